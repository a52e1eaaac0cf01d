"""Touches a file whose name is known only when the command runs.

Rules about paths cannot be asked about it, so no rule about the command can answer for it either.
"""

NAME = "uncertain-path"
TITLE = "A file that cannot be told beforehand"
ADVICE = "Write the path out."
RULES = {"allow": ["Bash"], "deny": ["Read(./.env)"]}
EXAMPLE = 'cat "$FILE"'
HARMLESS = "cat README.md"
