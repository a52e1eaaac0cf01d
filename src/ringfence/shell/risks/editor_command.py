"""An editor is given commands to run.

Editors have commands that start programs: `vim -c ':!x'`, `+!x`, `ed` reading `!x`, `emacs --eval` (GTFOBins).
"""

NAME = "editor-command"
TITLE = "An editor is given commands to run"
ADVICE = "Open the file without commands, or edit it with a tool for that."
EXAMPLE = "vim -c ':!id' f"
HARMLESS = "vim f"
