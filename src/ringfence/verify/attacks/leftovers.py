"""S20 and sandlock#251: processes that outlive their session: daemons, deaf to signals, or stopped.

This part starts them inside; the battery ends the session in three ways and looks for them among
the processes of the host.
"""

import os
import signal
import sys
import time

_DEAF = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGUSR1)
_SLEEP = """import os, signal, sys, time
if sys.argv[1] == "stopped":
    os.kill(os.getpid(), signal.SIGSTOP)
time.sleep(300)
"""


def attack(facts):
    """Start three daemons that bear a mark, say so, and stay if the session is to be ended from outside."""
    mark = facts["mark"][::-1]  # turned around: the launcher's own arguments must not match
    for kind in ("daemon", "closed", "stopped"):
        _daemon(mark, kind)
    time.sleep(0.2)
    os.write(1, b"ready\n")
    if facts["stay"]:
        time.sleep(300)
    return {"held": True, "evidence": "started"}


def _daemon(mark, kind):
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        return
    os.setsid()
    if os.fork():
        os._exit(0)
    for deaf in _DEAF:
        signal.signal(deaf, signal.SIG_IGN)
    null = os.open("/dev/null", os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    if kind == "closed":
        os.closerange(0, 3)
    os.execv(sys.executable, [mark, "-I", "-S", "-c", _SLEEP, kind])
