"""Another program decides what is run.

What runs is decided by another program's own rules for words (`env -S`, terminals, splitting), not by the
shell's (OpenClaw: wrappers before commands).
"""

NAME = "runner"
TITLE = "Another program decides what is run"
ADVICE = "Run the command by itself."
EXAMPLE = "env -S 'ls ${DIR}'"
HARMLESS = "env -u X ls"
