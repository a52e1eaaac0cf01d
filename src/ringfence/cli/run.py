"""`ringfence run`: a command inside the boundary."""

import sys

from ringfence import session
from ringfence.cli import options
from ringfence.cli.request import DISCARD, OPTIONS, SESSION, request
from ringfence.host import probe

USAGE = "ringfence run [OPTION …] [--] COMMAND [ARGUMENT …]"
ABOUT = (
    "Run a command inside the boundary. Without a policy file the presets are chosen by the command.\n"
    "The status is the command's own; 125: the boundary failed, 126: not executable, 127: not found."
)


def main(arguments: list[str]) -> int:
    """Run the command; return its status."""
    known = (*OPTIONS, SESSION, DISCARD)
    given = options.read(arguments, (*known, options.Option(name="--help", help="this text")), USAGE)
    if "--help" in given.switches:
        sys.stdout.write(options.help_text(USAGE, ABOUT, known))
        return 0
    host = probe.host()
    return session.run(request(given, host), host)
