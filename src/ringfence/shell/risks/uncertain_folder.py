"""Where a command runs is known only when it runs, so nothing relative can be held against a rule.

`cd "$x"`, `popd`, a loop whose turns each go deeper, a function that moves the shell.
"""

NAME = "uncertain-folder"
TITLE = "The folder is not known before it runs"
ADVICE = "Write the folder out, or use absolute paths."
EXAMPLE = 'cd "$target" && ls'
HARMLESS = "cd src && ls"
