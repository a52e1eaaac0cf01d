"""Two independent readings of the text found different commands.

One strict reader of our own, one well-kept parser: where they differ, one of them is wrong, and an
attacker needs only one.
"""

NAME = "disagreement"
TITLE = "Two readings disagree"
ADVICE = "Write it more plainly."
EXAMPLE = "cat <<'E' ; ls\nx\nE\n"
HARMLESS = "cat <<'E'\nx\nE\nls"
