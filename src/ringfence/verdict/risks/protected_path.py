"""Writes a file that programs on this machine run or obey later.

Shell start files, `.git`, editor and agent settings, hooks: whoever writes one of them runs code outside every
rule the next time somebody opens a shell, an editor or a repository (CVE-2026-25722, CVE-2025-53536). No rule
that allows covers them, whichever way the file is spelled.
"""

NAME = "protected-path"
TITLE = "Writing a protected file"
ADVICE = "Look at what is written, and answer by hand."
RULES = {"allow": ["Bash", "Edit"]}
EXAMPLE = "echo x >> .git/hooks/pre-commit"
HARMLESS = "echo x >> notes.txt"
