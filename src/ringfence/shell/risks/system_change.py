"""The machine itself is changed.

Mounts, kernel settings, accounts, services, installed packages: what changes the machine changes more
than a session.
"""

NAME = "system-change"
TITLE = "The machine itself is changed"
ADVICE = "Have a person do it, or prepare the machine before the session."
EXAMPLE = "mount /dev/sdb1 /mnt"
HARMLESS = "findmnt"
