"""A command runs somewhere else.

The command runs on another machine or in a cluster, where no rule of this one holds, or something is sent
there to be acted on.
"""

NAME = "remote-shell"
TITLE = "A command runs somewhere else"
ADVICE = "Name the very command in a rule without a wildcard."
EXAMPLE = "ssh host uptime"
HARMLESS = "ssh -V"
