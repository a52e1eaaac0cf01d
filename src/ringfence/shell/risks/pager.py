"""A pager or a browser is opened.

Manual pages and help open a pager or a browser, which can start programs: `man -P`, `man --html`, `git help`
(CVE-2025-66032).
"""

NAME = "pager"
TITLE = "A pager or a browser is opened"
ADVICE = "Use `--help` of the program, or `man -k`."
EXAMPLE = "man --html=./x ls"
HARMLESS = "man -k printf"
