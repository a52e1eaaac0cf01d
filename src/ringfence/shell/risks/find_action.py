"""find does more than find.

`find` runs (`-exec`, `-execdir`, `-ok`), deletes (`-delete`) and writes (`-fprint`, `-fls`) what its
expression says (CVE-2026-24887).
"""

NAME = "find-action"
TITLE = "find does more than find"
ADVICE = "List first, then act on what was found with a command of its own."
EXAMPLE = "find . -name '*.tmp' -delete"
HARMLESS = "find . -name '*.tmp'"
