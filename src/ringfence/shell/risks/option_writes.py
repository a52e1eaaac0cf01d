"""A program that reads is told to write.

An option of a program that reads has it write a file: `sort -o`, `curl -o`, `git diff --output`, `history
-a`, `uniq IN OUT`. Rules for such a program were written for reading.
"""

NAME = "option-writes"
TITLE = "A program that reads is told to write"
ADVICE = "Redirect the output with `>`, which rules for files look at."
EXAMPLE = "sort -o out in"
HARMLESS = "sort in"
