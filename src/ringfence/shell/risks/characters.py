"""Characters that people do not see, that hide others, or that no command line can hold.

Control characters, invisible and direction-changing ones, odd blanks, lone surrogates: a terminal shows
another command than the shell runs (GHSA-4hmj-39m8-jwc7), and parsers split where the shell does not.
"""

NAME = "characters"
TITLE = "Characters that hide what runs"
ADVICE = "Use plain characters; escape others with $'…'."
EXAMPLE = "git\x0bstatus"
HARMLESS = "echo grüße"
