"""Requests that wait for a person: asked here, answered by `ringfence approve` in another terminal.

A request under an `ask` rule is held, undialled, until somebody answers or the time is over, which means
no. `once` lets exactly this request pass; `session` lets requests of the same scheme, host and port pass
until the session ends. An answer names the question's digest, so nobody approves something else than what
was shown. When the agent goes away its question goes with it.
"""

import asyncio
import contextlib
import json
import os
import socket
import struct
import time

from ringfence.approval import ANSWERS, DENY, LARGEST, ONCE, SESSION, Place, Question
from ringfence.egress import limits
from ringfence.egress.stream import GoneError
from ringfence.policy.model import ASK
from ringfence.policy.model import DENY as REFUSE
from ringfence.value import plain, replace
from ringfence.verdict.request import Verdict

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Protocol

    class Agent(Protocol):
        """Whoever waits for the answer."""

        on_gone: Callable[[], None] | None

        @property
        def ended(self) -> bool: ...


Door = tuple[str, str, int]
NOBODY = "nobody answered in time"


class Answer:
    """What came of a question: whether it may pass, and the reason if not."""

    def __init__(self, *, allowed: bool, reason: str = "") -> None:
        self.allowed = allowed
        self.reason = reason


class Asking:
    """The open questions of one session, and the socket on which they are answered."""

    def __init__(self, session: str, folder: str, patience: float, record: "Callable[..., None]") -> None:
        """`folder` is the session's own; `patience` seconds until silence is no; `record` writes an event."""
        self._session = session
        self._folder = folder
        self._patience = patience
        self._record = record
        self._open: dict[int, tuple[Question, asyncio.Future[str]]] = {}
        self._granted: set[Door] = set()
        self._count = 0
        self._server: asyncio.Server | None = None
        self._place: Place | None = None

    async def start(self) -> None:
        """Listen for answers. Raises OSError where the session's folder does not allow it."""
        self._place = Place(self._folder)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._place.path)
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.bind(self._place.path)
        os.chmod(self._place.path, 0o600)
        self._server = await asyncio.start_unix_server(self._serve, sock=sock, limit=LARGEST)

    def close(self) -> None:
        """Answer everything with no, and take the socket away."""
        for _question, answer in list(self._open.values()):
            if not answer.done():
                answer.set_result(DENY)
        if self._server is not None:
            self._server.close()
        if self._place is not None:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._place.path)
            self._place.__exit__()
            self._place = None

    # --- the gate's side

    @property
    def open(self) -> bool:
        """Whether there is somebody who could be asked."""
        return self._server is not None

    def forget(self) -> None:
        """Take back what was granted for the session: other rules ask now."""
        self._granted.clear()

    def granted(self, scheme: str, host: str, port: int) -> bool:
        """Say whether a door stands open until the session ends."""
        return (scheme, host, port) in self._granted

    def refuses(self, verdict: Verdict) -> bool:
        """Say whether a connection is refused before its requests are known: nobody could allow one."""
        return verdict.effect == REFUSE or (verdict.effect == ASK and not self.open)

    async def while_there(self, agent: "Agent", question: Question) -> Answer:
        """Ask for as long as the agent is there."""
        task = asyncio.get_running_loop().create_task(self.ask(question))

        def gone() -> None:
            task.cancel()

        agent.on_gone = gone
        try:
            if agent.ended:
                task.cancel()
            return await task
        except asyncio.CancelledError:
            if agent.ended and not _cancelled():
                raise GoneError("the agent left before its request was answered") from None
            raise
        finally:
            agent.on_gone = None
            task.cancel()

    async def ask(self, question: Question) -> Answer:
        """Hold a request until it is answered; cancelled when the agent goes."""
        door = (question.scheme, question.host, question.port)
        if door in self._granted:
            return Answer(allowed=True)
        if self._server is None:
            return Answer(allowed=False, reason="nobody can be asked in this session")
        if len(self._open) >= limits.QUESTIONS:
            return Answer(allowed=False, reason="too many requests wait for an answer already")
        self._count += 1
        now = time.time()
        question = replace(
            question, number=self._count, session=self._session, asked=now, until=now + self._patience
        )
        future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._open[question.number] = question, future
        try:
            async with asyncio.timeout(self._patience):
                answer = await future
        except TimeoutError:
            self._tell(question, DENY, NOBODY)
            return Answer(allowed=False, reason=NOBODY)
        except asyncio.CancelledError:
            self._tell(question, DENY, "the agent went away")
            raise
        finally:
            del self._open[question.number]
        self._tell(question, answer, "")
        if answer == SESSION:
            self._granted.add(door)
        return Answer(allowed=answer != DENY, reason="" if answer != DENY else "the operator said no")

    def _tell(self, question: Question, answer: str, why: str) -> None:
        self._record(
            "approval",
            answer=answer,
            **({"reason": why} if why else {}),
            number=question.number,
            seal=question.seal,
            method=question.method,
            host=question.host,
            port=question.port,
            path=question.path,
        )

    # --- the person's side

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if not _is_operator(writer.get_extra_info("socket")):
                return
            async with asyncio.timeout(limits.APPROVER_TIME):
                while line := await reader.readline():
                    writer.write(json.dumps(self._reply(line)).encode() + b"\n")
                    await writer.drain()
        except (OSError, ValueError, TimeoutError):
            return
        finally:
            writer.close()

    def _reply(self, line: bytes) -> "dict[str, Any]":
        try:
            message = json.loads(line)
            if message["do"] == "list":
                return {"questions": [{**plain(one), "seal": one.seal} for one, _ in self._open.values()]}
            if message["do"] == "answer":
                return self._answered(message["number"], message["seal"], message["answer"])
        except (ValueError, KeyError, TypeError):
            pass
        return {"error": "not a message this gate understands"}

    def _answered(self, number: int, seal: str, answer: str) -> "dict[str, Any]":
        question, future = self._open.get(number, (None, None))
        if question is None or future is None or future.done():
            return {"error": f"question {number} is not open any more"}
        if question.seal != seal:
            return {"error": f"question {number} is another one than was shown"}
        if answer not in ANSWERS:
            return {"error": f"an answer is one of {', '.join(ANSWERS)}"}
        future.set_result(answer)
        return {"done": answer}


def _cancelled() -> bool:
    """Say whether it is this task that is being ended."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _is_operator(sock: "Any") -> bool:
    """Say whether the one who connected is this gate's own user, or root (SO_PEERCRED, unix(7))."""
    raw = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    _pid, uid, _gid = struct.unpack("3i", raw)
    return uid in {os.geteuid(), 0}


__all__ = ["DENY", "NOBODY", "ONCE", "SESSION", "Answer", "Asking"]
