"""A line is continued in the middle of a word, where what is seen is not what runs.

`cu`, a backslash and `rl` on the next line are `curl` to the shell and two words to most parsers.
"""

NAME = "continuation"
TITLE = "A word that goes over a line's end"
ADVICE = "Write the word on one line."
EXAMPLE = "gi\\\nt status"
HARMLESS = "git \\\n status"
