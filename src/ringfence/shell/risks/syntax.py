"""The text cannot be read as a whole, or not with certainty. What cannot be read is never allowed."""

NAME = "syntax"
TITLE = "Not readable as a shell command"
ADVICE = "Finish the command; quote what is meant literally."
EXAMPLE = "git status ;;"
HARMLESS = "git status ;"
