"""The access log of a service: a line of JSON for each request that has ended, for those who run it.

It is for operations, the audit log is the proof. So it may lose lines and must never hold anything up:
lines wait in a queue of limited length for a thread that writes them, and what finds no room, or no place
on the disk, is counted, and told of by a line as soon as one can be written again. Queries are left out:
clients put keys there.
"""

import contextlib
import datetime as dt
import json
import os
import queue
import threading
import time
from contextvars import ContextVar

from ringfence.audit.event import MAX_FIELD
from ringfence.egress import limits
from ringfence.egress.refusal import rule_name
from ringfence.errors import HostError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ringfence.egress.judge import Case
    from ringfence.verdict.request import Verdict

CLIENT: ContextVar[str] = ContextVar("client", default="")  # the address of the connection that is served
STDOUT = "-"
_REOPEN, _END = object(), object()


class AccessLog:
    """The file, and the thread that writes it."""

    def __init__(self, path: str) -> None:
        """Open the file. Raises HostError."""
        self._path = path
        try:
            self._fd = _open(path)
        except OSError as error:
            raise HostError(f"cannot write the access log {path}: {error.strerror}") from None
        self._waiting: queue.SimpleQueue[object] = queue.SimpleQueue()
        self._full = 0  # lines that found no room in the queue
        self._failed = 0  # lines that could not be written
        self._told = 0
        self._thread = threading.Thread(target=self._work, name="access-log", daemon=True)
        self._thread.start()

    @property
    def lost(self) -> int:
        """How many lines were lost."""
        return self._full + self._failed

    def write(self, **fields: object) -> None:
        """Have a line written, soon."""
        if self._waiting.qsize() >= limits.ACCESS_LINES:
            self._full += 1
        else:
            self._waiting.put(spelled(fields))

    def reopen(self) -> None:
        """Go on in a file of that name, after the present one has been renamed."""
        self._waiting.put(_REOPEN)

    def close(self) -> None:
        """Write what waits, within a moment."""
        self._waiting.put(_END)
        self._thread.join(limits.ACCESS_TIME)

    # --- in the thread

    def _work(self) -> None:
        ended = False
        while not ended:
            taken = [self._waiting.get()]
            with contextlib.suppress(queue.Empty):
                while len(taken) < limits.ACCESS_BATCH:
                    taken.append(self._waiting.get_nowait())
            lines: list[bytes] = []
            for one in taken:
                if isinstance(one, bytes):
                    lines.append(one)
                    continue
                self._write(lines)
                lines, ended = [], ended or one is _END
                self._reopen()
            self._write(lines)

    def _reopen(self) -> None:
        if self._path == STDOUT:
            return
        with contextlib.suppress(OSError):  # as it was is better than not at all
            made = _open(self._path)
            os.close(self._fd)
            self._fd = made

    def _write(self, lines: list[bytes]) -> None:
        """Write lines, or count them. What was lost before is told of first."""
        if not lines:
            return
        lost = self.lost
        gap = [spelled({"lost": lost - self._told})] if lost > self._told else []
        data = b"".join([*gap, *lines])
        try:
            while data:
                data = data[os.write(self._fd, data) :]
        except OSError:
            self._failed += min(len(lines), data.count(b"\n"))
            with contextlib.suppress(OSError):
                os.write(self._fd, b"\n")  # so that the next line does not begin in the middle of one
        else:
            self._told = lost


def _open(path: str) -> int:
    if path == STDOUT:
        return 1
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOCTTY, 0o640)


def spelled(fields: "dict[str, object]") -> bytes:
    """Return a line: the time, and what there is to say, in ASCII without control characters."""
    now = dt.datetime.fromtimestamp(time.time(), dt.UTC).isoformat(timespec="milliseconds")
    told = {name: _short(value) for name, value in fields.items() if value not in {"", None}}
    line = json.dumps({"time": now.replace("+00:00", "Z"), **told}, separators=(",", ":"))
    return line.replace("\x7f", "\\u007f").encode("ascii") + b"\n"


def _short(value: object) -> object:
    return value[:MAX_FIELD] if isinstance(value, str) else value


class Access:
    """One identity's part of the log."""

    def __init__(self, log: AccessLog, identity: str) -> None:
        self._log = log
        self._identity = identity

    def request(self, case: "Case") -> None:
        """Tell of a request that has ended; a status of 0 was cut off before any answer."""
        head, target, verdict, exchange = case.inbound.head, case.target, case.verdict, case.exchange
        status = exchange.status if exchange is not None else 0
        if not status:
            status = case.outcome.status if case.outcome is not None else 200 * case.inbound.answered
        self._log.write(
            identity=self._identity,
            client=CLIENT.get(),
            method=head.method,
            scheme=target.scheme if target is not None else case.origin.scheme,
            host=target.host if target is not None else case.origin.host,
            port=target.port if target is not None else case.origin.port,
            path=target.path.text if target is not None else "",
            gateway=target.gateway if target is not None else "",
            status=status,
            verdict=_effect(verdict, case.outcome is not None),
            rule=rule_name(verdict.rule) if verdict is not None else "",
            credential=case.credential,
            reason=case.outcome.kind if case.outcome is not None else "",
            up=exchange.up if exchange is not None else 0,
            down=exchange.down if exchange is not None else 0,
            ms=_since(case.began),
        )

    def connection(
        self,
        verdict: "Verdict",
        *,
        scheme: str,
        host: str,
        port: int,
        status: int = 0,
        up: int = 0,
        down: int = 0,
        began: float = 0.0,
    ) -> None:
        """Tell of a connection that nobody looked into, or that was refused with a status."""
        self._log.write(
            identity=self._identity,
            client=CLIENT.get(),
            method="CONNECT",
            scheme=scheme,
            host=host,
            port=port,
            status=status,
            verdict=_effect(verdict, bool(status)),
            rule=rule_name(verdict.rule),
            up=up,
            down=down,
            ms=_since(began) if began else 0,
        )


def _effect(verdict: "Verdict | None", refused: bool) -> str:  # noqa: FBT001 - private
    if verdict is None:
        return "refused"
    return "refused" if refused and verdict.effect == "allow" else verdict.effect


def _since(began: float) -> float:
    return round((time.perf_counter() - began) * 1000, 1)
