"""Working for an agent only as long as it is there: dialling ends when nobody waits for the connection.

An agent that opens connections and leaves them again would otherwise keep the gate dialling for as long
as an upstream can be slow, and hold a place among the session's connections all that time (THREATS.md T16).
"""

import asyncio

from ringfence.egress.stream import GoneError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Protocol

    class Agent(Protocol):
        """A connection or a request that says when its agent goes."""

        on_gone: Callable[[], None] | None


class Presence:
    """Ends the work in its block when the agent has gone, by `GoneError`."""

    __slots__ = ("_agent", "_ended", "_left", "_task")

    def __init__(self, agent: "Agent", left: "Callable[[], bool]") -> None:
        """`left` says whether the agent has gone: half a connection may still be an agent."""
        self._agent = agent
        self._left = left
        self._task: asyncio.Task[object] | None = None
        self._ended = False

    def __enter__(self) -> None:
        if self._left():
            raise GoneError("the agent left")
        self._task = asyncio.current_task()
        self._agent.on_gone = self._gone

    def _gone(self) -> None:
        # Invariant: called by the loop, so the task waits somewhere in the block, and wakes there.
        if self._left() and not self._ended and self._task is not None:
            self._ended = True
            self._task.cancel()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: "TracebackType | None",
    ) -> None:
        self._agent.on_gone = None
        # Cancelled by others as well, it stays cancelled.
        if self._ended and self._task is not None and self._task.uncancel() == 0:
            raise GoneError("the agent left before its connection was made") from None
