"""Text or a file is run as code by the shell itself.

`eval`, `source`, `trap`, `mapfile -C`, `bind`, `complete -C`, zsh's modules: what they run is put
together when they run. Commands that can be read in the text are held against the rules that deny all the
same.
"""

NAME = "evaluation"
TITLE = "Text that is run as code"
ADVICE = "Run the command itself."
EXAMPLE = "eval 'touch x'"
HARMLESS = "echo eval"
