"""S14, the half outside: somebody swaps a folder of the project for a link while sessions start on it.

The folder holds a file that the host obeys, so mounts are made on it and on its folder; the link leads to a
folder of the host that no session sees, with a canary in it. A launcher that follows the link at any of its
steps shows that folder inside. Who swaps is a process of the battery's: a session in direct mode could.
"""

import contextlib
import os
import shutil
import subprocess
import sys

from ringfence.errors import BoundaryError
from ringfence.verify import session
from ringfence.verify.attacks import Attack, swapped
from ringfence.verify.session import Starter

STARTS = {"sandbox": 4, "container": 2}  # sessions begun meanwhile; elsewhere, and on a copy, one
# A folder for most of the time, so that it is found and mounts are made on it; a link for moments.
_SWAP = """import ctypes, os, sys, time
swap, number = ctypes.CDLL(None).syscall, int(sys.argv[1])
one, other = (ctypes.c_char_p(os.fsencode(path)) for path in sys.argv[2:4])
parent = os.getppid()
while os.getppid() == parent:
    for pause in (0.0002, 0.002):
        swap(number, -100, one, -100, other, 2)
        time.sleep(pause)
"""
_RENAMEAT2 = {"x86_64": "316", "aarch64": "276"}


def swap(start: Starter, attack: Attack, facts: dict[str, object]) -> dict[str, object]:
    """Start sessions while a folder is swapped; each looks for what the link leads to."""
    root = str(facts["root"])
    number = _RENAMEAT2.get(os.uname().machine)
    if not number or not os.access(root, os.W_OK):
        return {"held": None, "evidence": "nothing can be swapped in this project"}
    folder, link = f"{root}/{swapped.FOLDER}", f"{root}/{swapped.LINK}"
    elsewhere = f"{facts['planted_folder']}/{swapped.ELSEWHERE}"
    try:
        _plant(folder, "nothing")
        _plant(elsewhere, str(facts["token"]))
        os.symlink(elsewhere, link)
        argv = [sys.executable, "-I", "-S", "-c", _SWAP, number, folder, link]
        with subprocess.Popen(argv, stdin=subprocess.DEVNULL) as swapper:
            try:
                return _started(start, attack, facts)
            finally:
                swapper.kill()
    finally:
        for path in (folder, link, elsewhere):
            _remove(path)


def _started(start: Starter, attack: Attack, facts: dict[str, object]) -> dict[str, object]:
    usual = 1 if facts.get("copied") else STARTS.get(str(facts.get("tier")), 1)
    refused, starts = 0, int(str(facts.get("starts") or usual))
    for _ in range(starts):
        try:
            found = session.make(start, (attack,), facts).get(attack.module)
        except BoundaryError as error:
            if not any(name in str(error) for name in (swapped.FOLDER, swapped.LINK)):
                return {"held": None, "evidence": f"a session did not start: {error}"}
            refused += 1  # it saw a link where there had been a folder
            continue
        if found is None or found["held"] is not True:
            return found or {"held": None, "evidence": "the session ended before it had looked"}
    said = f"{starts} sessions begun while a folder was swapped for a link: {refused} refused to start"
    return {"held": True, "evidence": f"{said}, none showed what the link leads to", "tries": starts}


def _plant(folder: str, text: str) -> None:
    os.mkdir(folder)
    for name in swapped.NAMES:
        with open(f"{folder}/{name}", "x", encoding="ascii") as file:
            file.write(f"# {text}\n")


def _remove(path: str) -> None:
    with contextlib.suppress(OSError):
        if os.path.islink(path):
            os.unlink(path)
        else:
            shutil.rmtree(path)
