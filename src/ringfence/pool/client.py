"""Claiming a boundary: from a command to one that runs, as the pool's client."""

import _socket
import os

from ringfence.errors import RingfenceError
from ringfence.pool import ask, place
from ringfence.pool.ask import Claim

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


class ClaimError(RingfenceError):
    """The pool has no boundary for this claim. `why`: stale, unfit, or error."""

    def __init__(self, message: str, *, hint: str = "", why: str = "") -> None:
        super().__init__(message, hint=hint)
        self.why = why


class SessionError(RingfenceError):
    """The session ended by an error of ours, told in `text`."""

    def __init__(self, text: str, status: int) -> None:
        super().__init__(text)
        self.status = status

    def render(self) -> str:
        """Return the error as its session told it."""
        return self.message


class Running:
    """A claimed boundary in which a command runs. It ends when this end of the line is closed."""

    def __init__(self, line: _socket.socket, session: str) -> None:
        self.session = session
        self.said: list[str] = []  # what was told on the way, for people
        self._line = line
        self._status: int | None = None

    def fileno(self) -> int:
        """Return the descriptor to poll: it can be read when `heard` has something to do."""
        return self._line.fileno()

    def signal(self, number: int) -> None:
        """Send the command a signal: HUP, INT, QUIT or TERM."""
        place.send(self._line, {"signal": number}, wait=False)

    def heard(self) -> int | None:
        """Take in one message; return the status when it was the last. Raises SessionError."""
        message, _fds = place.receive(self._line)
        if message is None:
            raise SessionError("error: the session's keeper was killed\n", 125)
        if "say" in message:
            self.said.append(str(message["say"]))
        elif "error" in message:
            raise SessionError(str(message["error"]), int(message["status"]))
        elif "status" in message:
            self._status = int(message["status"])
        return self._status

    def wait(self) -> int:
        """Return the command's status, as a shell would see it, when the session is over."""
        while self._status is None:
            self.heard()
        self.close()
        return self._status

    def close(self) -> None:
        """End the session, if it has not ended."""
        self._line.close()

    def __enter__(self) -> "Running":  # noqa: PYI034 - typing.Self costs the launcher 8 ms
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def claim(
    state_dir: str,
    wanted: Claim,
    streams: tuple[int, int, int] = (0, 1, 2),
    *,
    name: str = "",
) -> Running:
    """Claim a boundary of the pool `name` of a project, and start a command in it on these streams.

    Raises place.NoPoolError where no pool runs, and ClaimError where it has nothing for this claim.
    """
    line = sent(state_dir, wanted, streams, name=name)
    try:
        return begun(line)
    except BaseException:
        line.close()
        raise


def sent(state_dir: str, wanted: Claim, streams: tuple[int, int, int], *, name: str = "") -> _socket.socket:
    """Send a claim; return the line on which the answer comes."""
    line = place.connect(place.of(state_dir, wanted.workspace, name))
    try:
        place.send(line, ask.spelled(wanted), streams)
    except BaseException:
        line.close()
        raise
    return line


def begun(line: _socket.socket) -> Running:
    """Wait for the answer to a claim; return what runs. Raises ClaimError."""
    answer, _fds = place.receive(line)
    if answer is None:
        raise ClaimError("the pool's server ended", hint="start it again: ringfence pool serve")
    if "session" not in answer:
        raise ClaimError(
            str(answer.get("refused", "the pool gave no answer")),
            hint=str(answer.get("hint", "")),
            why=str(answer.get("why", "")),
        )
    return Running(line, str(answer["session"]))


def asked(where: place.Place, what: str) -> "dict[str, Any]":
    """Return what a server says of itself: its `status`, or what variables it lets in (`waiting`)."""
    line = place.connect(where)
    try:
        place.send(line, {what: 1})
        answer, _fds = place.receive(line)
    finally:
        line.close()
    return answer or {}


def given(streams: "tuple[object, object, object]") -> tuple[int, int, int]:
    """Return the descriptors of three streams: files, or numbers."""
    numbers = [one if isinstance(one, int) else _fileno(one) for one in streams]
    return numbers[0], numbers[1], numbers[2]


def _fileno(one: object) -> int:
    number: Callable[[], int] = one.fileno  # type: ignore[attr-defined]
    return number()


def is_terminal(streams: tuple[int, ...]) -> bool:
    """Tell whether one of them is a terminal."""
    return any(map(os.isatty, streams))
