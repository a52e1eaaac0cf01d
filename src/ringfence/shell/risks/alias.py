"""From the next line on, a name stands for something else.

`alias git='…'` makes an allowed command run what it likes.
"""

NAME = "alias"
TITLE = "An alias"
ADVICE = "Write out what is to run."
EXAMPLE = "alias git='touch pwned'"
HARMLESS = "alias"
