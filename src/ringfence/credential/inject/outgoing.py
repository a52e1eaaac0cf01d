"""A request as it is about to be sent: what the kinds of credentials change."""

Fields = list[tuple[bytes, bytes]]


class Outgoing:
    """One request, in the gate's own spelling. Mutable until it is sent.

    `fields` are those that travel on: neither Host nor framing, and nothing that carries one of the host's
    credentials. `framing` is the body's length, or -1 where only its end tells. `body` is there only for
    kinds that need the whole of it.
    """

    __slots__ = ("body", "fields", "framing", "host", "method", "path", "port", "query", "scheme")

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
