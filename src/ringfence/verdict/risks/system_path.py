"""Writes where the machine's own files are: `/etc`, `/usr`, `/dev` and so on.

What lies there works for every program and user, and survives the session.
"""

NAME = "system-path"
TITLE = "Writing a file of the machine"
ADVICE = "Change the machine by hand, or let the agent work in a container of its own."
RULES = {"allow": ["Bash", "Edit"]}
EXAMPLE = "cp hosts /etc/hosts"
HARMLESS = "cp hosts etc-hosts"
