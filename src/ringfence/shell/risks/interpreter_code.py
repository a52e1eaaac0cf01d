"""Code is run that is not read here.

Code of another language stands in the arguments or comes from standard input (`python -c`, `node -e`,
`eval`): it can do whatever the language can, and nothing here reads it.
"""

NAME = "interpreter-code"
TITLE = "Code is run that is not read here"
ADVICE = "Put it into a file of the project, so that it can be reviewed and named in a rule."
EXAMPLE = "python3 -c 'print(1)'"
HARMLESS = "python3 --version"
