"""The warden of a session, from the launcher's side: its life, and what it wrote down."""

import os

from ringfence.boundary import launch
from ringfence.boundary.model import Plan

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ringfence.audit.log import Writer

FILE = "programs.jsonl"
_MOST_TOLD = 5  # lines on the operator's terminal


class Guarding:
    """The warden of one session, on the launcher's side."""

    def __init__(self, plan: Plan, folder: str) -> None:
        self._plan = plan
        self._file = f"{folder}/{FILE}"
        self._pid = 0
        self._found: list[dict[str, Any]] = []
        self._more = 0

    def start(self, listener: int) -> None:
        """Leave the listener to a warden."""
        from ringfence.boundary.warden import Denied

        path = dict(self._plan.environment).get("PATH", "").split(":")
        denied_ = Denied(
            rules=self._plan.programs,
            path=tuple(path),
            unchecked="debuggers" in self._plan.policy.accept,
        )
        self._pid = launch.start_warden(listener, denied_, self._file)
        os.close(listener)

    def end(self) -> None:
        """End the warden, and take what it wrote down."""
        launch.kill(self._pid)
        self._found, self._more = _read(self._file)

    def record(self, log: "Writer") -> str:
        """Put on record what was refused; return a sentence for the operator, if there is one to say."""
        for one in self._found:
            log.append("program", **one)
        if self._more:
            log.append("gap", left_out=self._more, reason="too many programs refused to record each")
        return _told(self._found, self._more)


def _read(file: str) -> "tuple[list[dict[str, Any]], int]":
    from json import loads

    try:
        with open(file, "rb") as stream:
            text = stream.read()
    except FileNotFoundError:
        return [], 0
    os.unlink(file)
    *lines, rest = text.split(b"\n")
    return [loads(line) for line in lines], rest.count(b".")


def _told(found: "list[dict[str, Any]]", more: int) -> str:
    from ringfence.audit.event import printable

    if not found:
        return ""
    lines = dict.fromkeys(
        f"  {printable(' '.join(one['argv']))[:200]}  ({one['rule'] or one['how']})" for one in found
    )
    shown = list(lines)[:_MOST_TOLD]
    if len(lines) > len(shown):
        shown.append(f"  and {len(lines) - len(shown)} others")
    count = len(found) + more
    what = "1 program was" if count == 1 else f"{count} programs were"
    return f"ringfence: {what} kept from running by deny rules:\n" + "\n".join(shown)
