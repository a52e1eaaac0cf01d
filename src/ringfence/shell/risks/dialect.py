"""Shells, or versions of one, read this differently: which commands it holds depends on who runs it."""

NAME = "dialect"
TITLE = "Read differently by different shells"
ADVICE = "Write it in a form that all shells share."
EXAMPLE = 'echo $"hello"'
HARMLESS = 'echo "hello"'
