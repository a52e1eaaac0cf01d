"""Adds up the lines of an invoice."""


def total(lines, discount=0):
    """Return the sum of (count, price) lines in cents, less a discount in per cent."""
    amount = sum(count * price for count, price in lines)
    return amount - discount
