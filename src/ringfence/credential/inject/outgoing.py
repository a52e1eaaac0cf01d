"""A request as it is about to be sent: what the kinds of credentials change."""

from ringfence.errors import PeerError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ringfence.credential.inject.aws_chunks import Chunks

Fields = list[tuple[bytes, bytes]]


class UnfitError(PeerError):
    """What the agent sent has no place for the credential, or brings one of its own there."""

    def __init__(self, message: str, *, status: int = 403) -> None:
        super().__init__(message)
        self.status = status


class Outgoing:
    """One request, in the gate's own spelling. Mutable until it is sent.

    `fields` are those that travel on: neither Host nor framing, and nothing that carries one of the host's
    credentials. `framing` is the body's length, or -1 where only its end tells. `body` is there only for
    kinds that need the whole of it; `chunks` signs the body's pieces as they stream by.
    """

    __slots__ = (
        *("body", "chunks", "connection", "fields", "framing", "host", "method", "path", "port", "query"),
        *("removed", "scheme", "written"),
    )

    def __init__(
        self,
        *,
        method: str,
        scheme: str,
        host: str,
        port: int,
        path: str,
        query: str,
        fields: Fields,
        framing: int,
    ) -> None:
        self.method = method
        self.scheme = scheme
        self.host = host
        self.port = port
        self.path = path
        self.query = query  # with its "?", or ""
        self.fields = fields
        self.framing = framing
        self.body: bytes | None = None
        self.chunks: Chunks | None = None
        self.removed: frozenset[bytes] = frozenset()  # lower-case names known to be gone from `fields`
        self.written = b""  # `fields` as lines, where they are known, and known to pass all checks
        self.connection = ""  # the credentials that its connection has seen: it serves no others

    def values(self, name: bytes) -> list[bytes]:
        """Return the values of every field of one lower-case name."""
        return [value for one, value in self.fields if one.lower() == name]

    def drop(self, *names: bytes) -> None:
        """Remove every field of these lower-case names."""
        if self.removed.issuperset(names):
            return
        self.fields = [one for one in self.fields if one[0].strip().lower() not in names]
