"""A sed script writes files, runs programs or is out of sight.

The script of `sed` can write files (`w`, `s///w`) and run programs (`e`, `s///e`): CVE-2025-64755. A
script in a file cannot be read here.
"""

NAME = "sed-script"
TITLE = "A sed script writes files, runs programs or is out of sight"
ADVICE = "Use a script that only edits, and -i or a redirection for where it goes."
EXAMPLE = "sed 's/a/b/w x' f"
HARMLESS = "sed 's/w/e/' f"
