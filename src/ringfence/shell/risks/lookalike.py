"""A command's name has letters beyond ASCII that look like plain ones."""

NAME = "lookalike"
TITLE = "A name with look-alike letters"
ADVICE = "Spell the name in plain letters."
EXAMPLE = "g\u0456t status"
HARMLESS = "git log --author=Zoë"
