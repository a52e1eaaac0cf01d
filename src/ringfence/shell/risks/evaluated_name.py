"""The shell takes a name for an expression, and an expression can hold a command.

Where a variable's name is expected, `a[$(command)]` runs the command: `printf -v`, `read`, `unset`, `test
-v`, `[[ x -eq y ]]`, subscripts, `declare`. Only a plain identifier, or a plain number, is harmless.
"""

NAME = "evaluated-name"
TITLE = "A name that the shell evaluates"
ADVICE = "Use a plain variable name; compare numbers that the text itself holds."
EXAMPLE = "printf -v 'a[$(id)0]' x"
HARMLESS = "printf -v name x"
