"""A name that is a program's, or a builtin's, stands for something else.

A function `git`, `hash -p ./evil git`, `enable -f lib.so git`: what a rule says of the name is then about
something that it has never heard of.
"""

NAME = "function-shadow"
TITLE = "A program's name taken by something else"
ADVICE = "Give the function a name of its own."
EXAMPLE = "git() { touch pwned; }; git status"
HARMLESS = "greet() { echo hello; }; greet"
