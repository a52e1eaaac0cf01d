"""More, or deeper, than is looked at with certainty.

Limits that nobody states become holes: 50 parts and the rest unread (Adversa 2026-04), 10,000 characters.
Ours end in a question; rules that deny still apply to all that was read.
"""

NAME = "size"
TITLE = "Too long or too deep"
ADVICE = "Split it, or put it into a script file."
EXAMPLE = "echo {1..99999999}"
HARMLESS = "echo {1..9}"
