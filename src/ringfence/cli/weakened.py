"""`ringfence run` with something taken from its boundary: for the tests of `ringfence verify`, no command.

`python -m ringfence.cli.weakened NAME [OPTION …] -- COMMAND`; refused without the environment variable that
the tests set (`cli/verify.py`).
"""

import sys

from ringfence.cli import _open_streams, run
from ringfence.cli.verify import GUARD
from ringfence.host import probe
from ringfence.verify import weakenings


def main(arguments: list[str]) -> int:
    """Weaken this process, then be `ringfence run`."""
    if not probe.settings((GUARD,)) or not arguments or not weakenings.apply(arguments[0]):
        sys.stderr.write("error: this program is for ringfence's own tests\n\nhint: ringfence run\n")
        return 2
    return run(["run", *arguments[1:]])


if __name__ == "__main__":
    _open_streams()
    sys.exit(main(sys.argv[1:]))
