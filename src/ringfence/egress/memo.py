"""What was found out about a head, kept for the next one of its connection that is the same byte for byte.

Theory. Clients repeat themselves: an agent that polls, or asks a model turn after turn, sends the same head
again. What is kept here is what a head's bytes alone decide, under one policy and for one connection: how it
is read, that two parsers read it alike, where it goes, the verdict, which of its fields travel on, how the
decision is spelled on record. Each is a pure function of those bytes, the connection's origin and the gate:
what is remembered is what would be found again. With another byte or another policy all is found anew.

What is not a function of these is never kept: secrets, budgets, a person's answer, facts of the body, the
time. One head a connection, within a limit, and only as long as the connection is open: no other
connection, and so no other tenant, is ever asked. What is held in this way came from the agent itself.

Upstreams repeat themselves as well, within a second even their clock. Of an answer's head it is remembered
how it is read, and which of its fields travel on where none of the session's values stands in it. A head that
sets a cookie is not kept: the connection may wait for another of the session's requests.
"""

from ringfence.egress import limits
from ringfence.egress.http1 import RequestHead, ResponseHead, parse_request, parse_response
from ringfence.egress.second import agree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ringfence.egress.gate import Gate, Target
    from ringfence.egress.http1 import Fields
    from ringfence.policy.model import Credential
    from ringfence.verdict.request import Request, Verdict


class Memo:
    """The last head of one connection."""

    __slots__ = ("_gate", "_head", "_raw", "bound", "fields", "found", "record")

    def __init__(self) -> None:
        self._raw = b""
        self._head: RequestHead | None = None
        self._gate: Gate | None = None
        self.forget()

    def forget(self) -> None:
        """Find everything anew that a policy has a say in."""
        self._gate = None
        self.found: tuple[Target, Request, Verdict] | None = None
        # The credentials that belong to the host, and those of them that this request would get.
        self.bound: tuple[tuple[Credential, ...], tuple[Credential, ...]] | None = None
        # Those fields that travel on, before a credential is put in, and whether one will be.
        self.fields: tuple[bool, Fields] | None = None
        self.record: tuple[Verdict, str, str] | None = None  # of a verdict and a credential's name, spelled

    def read(self, raw: bytes) -> RequestHead:
        """Read a head, twice, unless these very bytes were read before."""
        head = self._head
        if head is not None and raw == self._raw:
            return head
        self._head = None
        self.forget()
        head = parse_request(raw)
        agree(raw, head)
        if len(raw) <= limits.HEAD_KEPT:
            self._raw, self._head = raw, head
        return head

    def about(self, head: RequestHead, gate: "Gate") -> "Memo | None":
        """Return what is known of a head under a policy: itself, emptied where that is another policy."""
        if head is not self._head:
            return None
        if gate is not self._gate:
            self.forget()
            self._gate = gate
        return self


class AnswerMemo:
    """The last head that one upstream connection answered with."""

    __slots__ = ("_head", "_method", "_raw", "_values", "_way")

    def __init__(self) -> None:
        self._raw = b""
        self._method = ""
        self._head: ResponseHead | None = None
        self._way: Fields | None = None  # the fields that travel on
        self._values: tuple[bytes, ...] | None = None  # where none of these stands in the head

    def read(self, raw: bytes, method: str) -> ResponseHead:
        """Read a head, unless these very bytes answered such a request before."""
        head = self._head
        if head is not None and raw == self._raw and method == self._method:
            return head
        self._head = self._way = None
        head = parse_response(raw, method)
        if len(raw) <= limits.HEAD_KEPT and b"set-cookie" not in raw.lower():
            self._raw, self._method, self._head = raw, method, head
        return head

    def returned(self, head: ResponseHead, values: tuple[bytes, ...]) -> "Fields | None":
        """Return the fields that travel on, where these values were looked for in that head."""
        if head is not self._head or values is not self._values or self._way is None:
            return None
        return [*self._way]

    def keep(self, head: ResponseHead, values: tuple[bytes, ...], fields: "Fields") -> None:
        """Remember which fields travel on of a head in which none of these values stands."""
        if head is self._head:
            self._values, self._way = values, [*fields]
