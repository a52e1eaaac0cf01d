"""§4 C09: the battery's own canary, which the operator's side holds in many places, found anywhere inside.

Its value stands in the launcher's environment, in files of the host, in an environment file of the
project's and in the memory of servers. It is looked for in every process, every descriptor and every small
file that can be read inside. The battery looks into the session's own records afterwards.
"""

import contextlib
import itertools
import os

from ringfence.verify.prelude import NO_FILE, Tally

_PLACES = ("/run", "/tmp", "/var/tmp", "/dev/shm", "/mnt", "/output")  # and the home, and the project
_LARGEST, _MOST = 1 << 12, 400  # bytes of a file; files of one place


def attack(facts):
    """Look for the value; the few processes that were told it by the battery do not count."""
    tally = Tally()
    token = facts["token"].encode()
    planted = facts.get("planted_secret")
    if planted:
        tally.refuse(planted, lambda: _reads(planted, token), NO_FILE)
    found = [one for one in _of_processes() if token in _content(one)]
    tally.expect("in processes", not found, ", ".join(found[:4]) or "nowhere")
    looked, seen = 0, []
    for place in (*_PLACES, facts.get("root") or os.getcwd(), facts.get("home") or "/"):
        for path in itertools.islice(_files(place), _MOST):
            looked += 1
            if token in _content(path):
                seen.append(path)
    tally.expect("in files", not seen, ", ".join(seen[:4]) or f"in none of {looked} files")
    return tally.finding()


def _reads(path, token):
    if token not in _content(path, strict=True):
        raise PermissionError(1, "another content")


def _of_processes():
    for name in filter(str.isdigit, os.listdir("/proc")):
        yield f"/proc/{name}/environ"
        yield f"/proc/{name}/cmdline"


def _files(place):
    for folder, folders, files in os.walk(place):
        folders[:] = [name for name in folders if name != ".git"]
        for name in files:
            yield os.path.join(folder, name)


def _content(path, *, strict=False):
    with contextlib.suppress(OSError):
        if path.startswith("/proc/") or (os.path.isfile(path) and os.stat(path).st_size <= _LARGEST):
            with open(path, "rb") as file:
                return file.read(_LARGEST)
        return b""
    if strict:
        os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK))
    return b""
