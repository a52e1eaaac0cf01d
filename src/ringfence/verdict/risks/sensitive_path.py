"""Touches a place where keys and secrets lie, outside the workspace.

`~/.ssh`, `~/.aws`, `/etc/shadow`, `/proc/…/environ` and their kin (CVE-2025-55284): an allow rule for `cat` was
never meant for them.
"""

NAME = "sensitive-path"
TITLE = "A place of keys or secrets"
ADVICE = "Give the agent credentials through the gate instead: it needs no key of its own."
RULES = {"allow": ["Bash", "Read"]}
EXAMPLE = "cat ~/.ssh/id_ed25519"
HARMLESS = "cat ssh/readme"
