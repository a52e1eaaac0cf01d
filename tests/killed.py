"""Apply, undo, resume or roll back in a child that is killed at its n-th moment.

A fork, not a new interpreter: a test kills hundreds. What a killed child held open or locked is released as
that of any other process.
"""

import os
import signal
import traceback

from ringfence.workspace import apply, record, undo

_LONGEST = 60  # seconds


def killed(landing, action, moment):
    """Return whether it was killed; False: it came to the end before. 0 is no moment."""
    pid = os.fork()
    if not pid:
        _child(landing, action, moment)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert status in {0, -signal.SIGKILL}, f"{action} ended with {status}"
    return status != 0


def _child(landing, action, last):
    """Count the moments; die at the last one."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(_LONGEST)
    count = 0

    def moment(_what):
        nonlocal count
        count += 1
        if count == last:
            os.kill(os.getpid(), signal.SIGKILL)

    record.moment = moment
    acts = {
        "apply": landing.apply,
        "undo": lambda: undo.undo(landing.layers()),
        "resume": lambda: apply.resume(landing.layers()),
        "rollback": lambda: apply.roll_back(landing.layers()),
    }
    status = 1
    try:
        acts[action]()
        status = 0
    except BaseException:  # noqa: BLE001 - told here; nothing of the test's runs on in a child
        traceback.print_exc()
    finally:
        os._exit(status)
