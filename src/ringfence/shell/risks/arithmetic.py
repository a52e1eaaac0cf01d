"""Arithmetic evaluates what its names hold, as expressions, and those can run commands.

`x='a[$(id)]'; echo $((x))` runs `id` (Zed, gemini-cli#25935). A name is harmless where every value that
it can have is known to be a number.
"""

NAME = "arithmetic"
TITLE = "Arithmetic on values that are not known"
ADVICE = "Set the variables to numbers in the same text, or leave the arithmetic out."
EXAMPLE = "echo $((n + 1))"
HARMLESS = "n=4; echo $((n + 1))"
