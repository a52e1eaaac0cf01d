"""An editor is given commands to run.

Editors have commands that start programs: `vim -c ':!x'`, `+!x`, `ed` reading `!x`, `emacs --eval`
(GTFOBins).
"""

NAME = "editor-command"
TITLE = "An editor is given commands to run"
ADVICE = "Edit the file with a tool for that, such as sed, or have a person open it."
EXAMPLE = "vim -c ':!id' f"
HARMLESS = "nano f"
