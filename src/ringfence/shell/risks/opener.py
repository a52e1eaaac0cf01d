"""Something is opened with whatever program there is.

`xdg-open`, `open` and their kin start whatever program the desktop has for a file or address, outside of
the session and of what rules see.
"""

NAME = "opener"
TITLE = "Something is opened with whatever program there is"
ADVICE = "Have a person open it."
EXAMPLE = "xdg-open page.html"
HARMLESS = "cat page.html"
