"""A command runs as another user.

`sudo`, `su`, `chroot`, `nsenter`: the command runs with other rights or another root than the session's.
"""

NAME = "privilege"
TITLE = "A command runs as another user"
ADVICE = "Have a person run it."
EXAMPLE = "sudo make install"
HARMLESS = "make install"
