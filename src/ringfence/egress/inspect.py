"""Facts of a body, read from as little of it as will do.

Pure: whoever has the body feeds it piece by piece until there is `enough`; nothing here decides. What is
longer than its limit is a fact that could not be read.
"""

from ringfence.egress import inspect_git, limits
from ringfence.egress.filters import Looking
from ringfence.egress.refusal import DENIED, Refusal, Refused
from ringfence.verdict.facts import GIT_COMMANDS, GRAPHQL, LFS, Commands, Facts, GraphQL, Lfs, Unread
from ringfence.verdict.request import Request

_LIMITS = {
    GRAPHQL: limits.GRAPHQL_BODY,
    LFS: limits.LFS_BODY,
    GIT_COMMANDS: limits.GIT_COMMANDS,
}


class Limited(Looking):
    """A filter: cuts a body off that turns out longer than a rule has it."""

    def __init__(self, limit: int, host: str) -> None:
        self._left = limit
        self._refusal = Refusal(
            status=403,
            kind=DENIED,
            message=f"the request was cut off: its body has more than the {limit} bytes that a rule takes",
            host=host,
        )

    def feed(self, data: bytes) -> bytes:
        """Return a piece that is within the limit."""
        self._left -= len(data)
        if self._left < 0:
            raise Refused(self._refusal)
        return data

    def finish(self) -> bytes:
        """Return nothing: nothing was held back."""
        return b""


class Inspection:
    """Reads the facts that a verdict needs from the body of one request."""

    def __init__(self, request: Request, needs: frozenset[str]) -> None:
        self._request = request
        self._needs = needs
        self._whole = needs - {GIT_COMMANDS}  # read at the body's end
        self._commands = inspect_git.CommandReader() if GIT_COMMANDS in needs else None
        self._limit = max(_LIMITS[need] for need in needs)
        self._pieces: list[bytes] = []
        self._size = 0
        self._ended = self.enough = request.length == 0  # all that is needed has been fed

    def feed(self, data: bytes) -> None:
        """Take the next piece of the body, b"" at its end."""
        self._ended = self._ended or not data
        self._pieces.append(data)
        self._size += len(data)
        known = self._commands is None or self._commands.feed(data)
        self.enough = self._ended or self._size > self._limit or (known and not self._whole)

    @property
    def taken(self) -> bytes:
        """Return what was fed, to be passed on where the request is allowed."""
        return b"".join(self._pieces)

    def facts(self) -> Facts:
        """Return every fact that was asked for, read or `Unread`."""
        return Facts(
            commands=self._pushed() if self._commands else None,
            graphql=self._graphql() if GRAPHQL in self._needs else None,
            lfs=self._lfs() if LFS in self._needs else None,
        )

    def _pushed(self) -> Commands | Unread:
        if self._commands is None or (self._size > _LIMITS[GIT_COMMANDS] and self._commands.found is None):
            return Unread(reason="the push changes more refs than can be looked at")
        return self._commands.finish()

    def _graphql(self) -> GraphQL | Unread:
        from ringfence.egress import inspect_graphql

        if self._too_long(GRAPHQL):
            return Unread(reason=f"the GraphQL request has more than {_LIMITS[GRAPHQL]} bytes")
        return inspect_graphql.read(self._request, self.taken)

    def _lfs(self) -> Lfs | Unread:
        if self._too_long(LFS):
            return Unread(reason=f"the git LFS batch has more than {_LIMITS[LFS]} bytes")
        return inspect_git.read_lfs(self.taken)

    def _too_long(self, need: str) -> bool:
        return not self._ended or self._size > _LIMITS[need]
