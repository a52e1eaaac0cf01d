"""A builtin of the shell that writes, reads or expands a file: `history -a FILE` (CVE-2025-66032)."""

NAME = "builtin-writes"
TITLE = "A builtin that writes a file"
ADVICE = "Use a redirection, which rules about files know."
EXAMPLE = "history -a notes.txt"
HARMLESS = "history"
