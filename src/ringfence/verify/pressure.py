"""S19, the half outside: a session of its own takes memory far beyond a limit, until something ends it."""

import subprocess
import threading

from ringfence.verify import session
from ringfence.verify.attacks import Attack
from ringfence.verify.session import Starter

_LIMIT = 256 << 20  # bytes; the least that a virtual machine takes
_PATIENCE = 120.0  # seconds


def memory(start: Starter, attack: Attack, facts: dict[str, object]) -> dict[str, object]:
    """Run the session with a limit of ours and read how far it came."""
    limit = min(_LIMIT, int(str(facts.get("memory") or _LIMIT)))
    limited = Starter(words=_limited(start.words, limit), token=start.token)
    text = session.bundle((attack,), {**facts, "memory": limit})
    child = subprocess.Popen(
        limited.argv(session.program("-")),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        out = _talked(child, text)
    finally:
        if child.poll() is None:
            child.kill()
        child.wait()
    return _judged(out, attack, limit, child.returncode)


def _limited(words: tuple[str, ...], limit: int) -> tuple[str, ...]:
    """Return the starting words with our limit in the place of another."""
    *kept, last = words
    while "--memory" in kept:
        at = kept.index("--memory")
        del kept[at : at + 2]
    kept = [word for word in kept if not word.startswith("--memory=")]
    return (*kept, "--memory", str(limit), last)


def _talked(child: "subprocess.Popen[bytes]", text: str) -> str:
    """Pass the bundle in and read until the session ends, or for as long as we wait."""
    timer = threading.Timer(_PATIENCE, child.kill)
    timer.start()
    try:
        out, _nothing = child.communicate(text.encode())
    finally:
        timer.cancel()
    return out.decode("utf-8", "replace")


def _judged(out: str, attack: Attack, limit: int, status: int) -> dict[str, object]:
    if "ready\n" not in out:
        return {"held": None, "evidence": "the session did not start"}
    took = max([int(line[5:]) for line in out.splitlines() if line.startswith("took ")], default=0)
    found = session.findings(out).get(attack.module, {})
    if found.get("held") is False:
        return found
    said = f"ended with status {status} after {took >> 20} MiB of {limit >> 20}"
    return {"held": took < 3 * limit, "evidence": said, "tries": 1}
