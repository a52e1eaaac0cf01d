"""The value of one variable names another: which one is meant is known only when it runs.

`${!x}`, `declare -n`, zsh's `${(P)x}`.
"""

NAME = "indirect"
TITLE = "A variable named by another one"
ADVICE = "Name the variable itself."
EXAMPLE = "x=PATH; echo ${!x}"
HARMLESS = "x=PATH; echo $x"
