"""Apply, undo, resume or roll back in a process of its own that is killed at its n-th moment.

python killed.py FOLDER ACTION N     exits 0 when it came to the end before
"""

import os
import signal
import sys

from landing import Landing
from ringfence.workspace import apply, record, undo


def opened(folder, started, root):
    """Return the landing that the test made."""
    return Landing(folder, started=started, root=root)


def main(folder, started, device, inode, action, last):
    """Count the moments; die at the last one."""
    count = [0]

    def moment(_what):
        count[0] += 1
        if count[0] == int(last):
            os.kill(os.getpid(), signal.SIGKILL)

    landing = opened(folder, int(started), (int(device), int(inode)))
    record.moment = moment
    acts = {
        "apply": landing.apply,
        "undo": lambda: undo.undo(landing.layers()),
        "resume": lambda: apply.resume(landing.layers()),
        "rollback": lambda: apply.roll_back(landing.layers()),
    }
    acts[action]()


if __name__ == "__main__":
    main(*sys.argv[1:])
