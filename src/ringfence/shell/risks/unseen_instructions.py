"""Instructions come from a file.

Instructions come from a file that is no part of the command: `ssh -F`, `curl -K`, `gdb -x`, `file -m`,
`source`. Whoever wrote the file says what happens.
"""

NAME = "unseen-instructions"
TITLE = "Instructions come from a file"
ADVICE = "Put the options on the command line."
EXAMPLE = "curl -K config https://example.com/"
HARMLESS = "curl -L https://example.com/"
