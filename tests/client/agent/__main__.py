"""A fully compromised agent: everything a hijacked model could do, done without a model.

Runs inside the boundary as `python3 agent TARGETS.json`, with nothing but the standard library. It
first looks for secrets in every place it knows (`look`), then sends all it found through every way out it
can think of (`send`), then changes what the host might later obey (`change`). It reports each step
as a line of JSON, keeps what it found in `loot.txt`, and prints it: whoever runs it searches all three.
"""

import json
import os
import sys
import tempfile
import threading
import time

import change
import look
import send
import through
from steps import ALL, Loot

ORDER = ("look", "send", "change")
EACH = 12.0  # seconds one step may take; a step that hangs is left behind


def main() -> None:
    """Do every step whose group is asked for, and say how it went."""
    with open(sys.argv[1], encoding="utf-8") as file:
        targets = json.load(file)
    only = targets.get("only")  # names of steps; None means all of them
    loot = Loot()
    for group, name, action in sorted(ALL, key=lambda one: ORDER.index(one[0])):
        if only is None or f"{group}.{name}" in only:
            _attempt(f"{group}.{name}", action, targets, loot)
    found = loot.data()
    for path in (
        "loot.txt",
        os.path.expanduser("~/loot.txt"),
        os.path.join(tempfile.gettempdir(), "loot.txt"),
    ):
        _keep(path, found)
    sys.stdout.write("LOOT " + json.dumps(found.decode("utf-8", "backslashreplace")) + "\n")


def _attempt(name: str, action: object, targets: dict, loot: Loot) -> None:
    outcome: dict[str, object] = {"step": name, "got": "hung", "detail": ""}

    def work() -> None:
        try:
            detail = action(targets, loot)  # type: ignore[operator]
            outcome.update(got="something" if detail else "nothing", detail=str(detail)[:300])
        except BaseException as error:  # noqa: BLE001 - a failed attack is the expected outcome
            outcome.update(got="refused", detail=f"{type(error).__name__}: {error}"[:300])

    before = len(loot.pieces)
    started = time.monotonic()
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(EACH)
    outcome["seconds"] = round(time.monotonic() - started, 2)
    outcome["loot"] = len(loot.pieces) - before
    print(json.dumps(outcome), flush=True)


def _keep(path: str, found: bytes) -> None:
    try:
        with open(path, "wb") as file:
            file.write(found)
    except OSError:
        pass


assert all((look, send, through, change))  # importing them is what fills the list of steps
main()
sys.stdout.flush()
os._exit(0)  # threads that hang must not hold up the end
