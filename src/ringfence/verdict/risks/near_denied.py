"""Does not name a file that a rule is about, but may reach it.

A pattern that could come to it (`cat .e*`), a folder that holds it (`grep -r x .`), a name that is the same
where names have no case (`.ENV` on a Mac, CVE-2025-59944).
"""

NAME = "near-denied"
TITLE = "May reach a denied file without naming it"
ADVICE = "Name the files or the folder that are meant."
RULES = {"allow": ["Bash"], "deny": ["Read(./.env)"]}
EXAMPLE = "cat .e?v"
HARMLESS = "cat *.md"
