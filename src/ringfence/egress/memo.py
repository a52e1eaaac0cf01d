"""What was found out about a head, kept for the next one of its connection that is the same, or nearly so.

Theory. Clients repeat themselves: an agent that polls, or asks a model turn after turn, sends the same head
again, or one that differs in nothing but its request line and the number in Content-Length. What is kept
here is what bytes that came again alone decide, under one policy and for one connection. Each is a pure
function of those bytes, the connection's origin and the gate: what is remembered is what would be found
again. With another byte or another policy all is found anew that hangs on it:

- *The same head, byte for byte*: how it is read, that two parsers read it alike, where it goes, the verdict,
  which of its fields travel on, how the decision is spelled on record.
- *The same field lines*, that is a request line, then the bytes of the last head up to the number, digits
  that are a length, and the bytes of the last head behind them: no CR fits into the digits, so the lines
  are the same one by one, but for that number. A line is read by its own bytes, so fields, what occurs once
  and what Connection names are the last head's with that number in it; whether a body's framing, an upgrade
  and the end of the connection follow from them is asked anew, as for the first head (`request_head`). So
  is the second reader, about all bytes of the head (`second.agree_again`). Of what travels on no field is
  Content-Length, so those that do are the same where the same names are left out. All that a request line
  has a say in is found anew.
  The lines and the connection alone say which host is meant by a target that is a path (`Gate.named`); a
  target that names a host itself is read anew. A decision is spelled for the record with room for the path,
  and used again for the same verdict, method, place and credential.
- *The same request line as well*: only the length differs. It has no say in where a request goes, in the
  names of the record or in the credentials of a path. It has one in the verdict where a rule about the host
  has a condition, which may be about size: then the verdict is found anew, and the record with it.
- *The way upstream* (`Way`) of the same lines, to the same place, by the same rules, with the very secret
  that is at hand still, for requests that are allowed by their head alone: the fields, as lines, with the
  secret in its one field. They passed the last look at what leaves (`head_checks`); a path does so each time.
  Where a credential also changes the path, or several belong to the host, there is no such way. A secret is
  held in this way no longer than its session holds it, to find it in answers.

What is not a function of these is never kept: budgets, a person's answer, facts of the body, the time; where
a policy sets budgets or watches for values, no way is taken. One head a connection, within a limit, and only
as long as the connection is open: no other connection, and so no other tenant, is ever asked. But for that
secret, what is held in this way came from the agent itself.

Upstreams repeat themselves as well, within a second even their clock. Of an answer's head it is remembered
how it is read, and which of its fields travel on where none of the session's values stands in it. A head that
sets a cookie is not kept: the connection may wait for another of the session's requests.
"""

from ringfence.credential.inject.outgoing import Outgoing
from ringfence.egress import limits
from ringfence.egress.http1 import (
    RequestHead,
    ResponseHead,
    field_lines,
    head_again,
    is_length,
    parse_response,
    request_head,
    request_line,
    without,
    write_lines,
)
from ringfence.egress.second import agree, agree_again

TYPE_CHECKING = False
if TYPE_CHECKING:
    import re

    from ringfence.credential.secret import Secret
    from ringfence.egress.gate import Gate, Target
    from ringfence.egress.http1 import Fields, Lines
    from ringfence.policy.model import Credential
    from ringfence.verdict.request import Request, Verdict

_LENGTH = b"content-length"


class Block:
    """The field lines of one head, read twice, with a place for another number in Content-Length."""

    __slots__ = ("_after", "_at", "_before", "_lines", "_shown_at", "head", "shown")

    def __init__(self, raw: bytes, start: int, lines: "Lines", head: RequestHead) -> None:
        """`lines` is how those of `raw` were read without fault; they begin at `start`."""
        self.head = head
        self._lines = lines
        fields, single, nominated = lines
        self.shown = without(fields, nominated) if nominated else fields  # what rules see
        self._at = self._shown_at = -1
        if _LENGTH in single:
            self._at, self._shown_at = _length_at(fields), _length_at(self.shown)
        self._before, self._after = raw[start:], b""
        if self._at >= 0:
            until = raw[start:-4].split(b"\r\n")[: self._at + 1]
            value, end = single[_LENGTH], start + len(b"\r\n".join(until).rstrip(b" \t"))
            self._before, self._after = raw[start : end - len(value)], raw[end:]

    def read(self, raw: bytes, start: int) -> "tuple[Fields, Fields, bytes] | None":
        """Return the fields of a head, what of them rules see, and the length, where these are its lines."""
        before, after = self._before, self._after
        if not raw.startswith(before, start):
            return None
        if self._at < 0:
            return (self._lines[0], self.shown, b"") if len(raw) == start + len(before) else None
        begin, end = start + len(before), len(raw) - len(after)
        value = raw[begin:end]
        if end <= begin or not raw.endswith(after) or not is_length(value):
            return None
        fields = self._lines[0]
        mine = _with(fields, self._at, value)
        shown = mine if self.shown is fields else _with(self.shown, self._shown_at, value)
        return mine, shown, value

    def begun(self, line: "re.Match[bytes]", fields: "Fields", length: bytes) -> RequestHead:
        """Return the head that begins with a line and has these fields."""
        former, (_, single, nominated) = self.head, self._lines
        # Another version reads the same lines in another way, and an upgrade hangs on the method as well.
        if int(line.group(3)) == former.minor and b"upgrade" not in nominated:
            return head_again(former, line, fields, int(length) if length else former.framing)
        if length:
            single = {**single, _LENGTH: length}
        return request_head(line, (fields, single, nominated))


def _length_at(fields: "Fields") -> int:
    """Return which field is Content-Length, or -1."""
    return next((at for at, one in enumerate(fields) if one[0].lower() == _LENGTH), -1)


def _with(fields: "Fields", at: int, value: bytes) -> "Fields":
    """Return fields with another value in one of them."""
    if at < 0:
        return fields
    made = [*fields]
    made[at] = made[at][0], value
    return made


class Way:
    """How the fields of a head go upstream: to one place, with one secret put in, ready to be written."""

    __slots__ = (
        "_fields",
        "_name",
        "_removed",
        "_written",
        "chosen",
        "counted",
        "credential",
        "secret",
        "target",
    )

    def __init__(
        self, target: "Target", outgoing: Outgoing, chosen: "tuple[Credential, Secret] | None"
    ) -> None:
        """`outgoing` has passed all checks, with what was `chosen` put in."""
        self.target = target
        self.chosen = chosen
        self.credential = None if chosen is None else chosen[0]
        self.secret = None if chosen is None else chosen[1]
        self._name = outgoing.connection
        self._removed = outgoing.removed
        self._fields = outgoing.fields
        self._written = write_lines(outgoing.fields)

    def leads(self, target: "Target") -> bool:
        """Say whether it leads to where a target is."""
        return same_place(self.target, target)

    def outgoing(self, head: RequestHead, target: "Target") -> Outgoing:
        """Return the request that goes upstream, with its credential."""
        made = Outgoing(
            method=head.method,
            scheme=target.scheme,
            host=target.host,
            port=target.port,
            path=target.path.text,
            query=target.path.query,
            fields=self._fields,
            framing=head.framing,
        )
        made.removed, made.written, made.connection = self._removed, self._written, self._name
        return made


def same_place(one: "Target", other: "Target") -> bool:
    """Say whether two targets differ in their path at most."""
    return one is other or (one.scheme, one.host, one.port, one.gateway) == (
        *(other.scheme, other.host, other.port),
        other.gateway,
    )


class Memo:
    """The last head of one connection."""

    __slots__ = (
        *("_block", "_gate", "_head", "_line", "_raw"),
        *("bound", "fields", "found", "place", "record", "shown", "sized", "target", "verdict", "way"),
    )

    def __init__(self) -> None:
        self._raw = self._line = b""
        self._head: RequestHead | None = None
        self._block: Block | None = None
        self._gate: Gate | None = None
        self.shown: Fields | None = None  # what rules see of the fields
        self.forget()

    def forget(self) -> None:
        """Find everything anew that a policy has a say in."""
        self._gate = None
        # Whether a credential will be put in, the names left out, and the fields that travel on before.
        self.fields: tuple[bool, frozenset[bytes], Fields] | None = None
        self.way: Way | None = None
        self.place: tuple[str, int] | None = None  # host and port of a request that names none in its target
        self.sized: dict[str, bool] = {}  # whether a length may decide about a host
        # How a decision is spelled, but for the path: the verdict, the credential's name, the method, a
        # target at that place, and what stands before and behind the path.
        self.record: tuple[Verdict, str, str, Target, str, str] | None = None
        self._forget_line()

    def _forget_line(self) -> None:
        """Find everything anew that the request line has a say in."""
        self.found: tuple[Target, Request, Verdict] | None = None
        self.target: Target | None = None
        self.verdict: Verdict | None = None  # where it is the same for every length of the body
        # The credentials that belong to the host, and those of them that this request would get.
        self.bound: tuple[tuple[Credential, ...], tuple[Credential, ...]] | None = None

    def read(self, raw: bytes) -> RequestHead:
        """Read a head, twice, but for what was read of these very bytes before."""
        head = self._head
        if head is not None and raw == self._raw:
            return head
        start = raw.find(b"\r\n") + 2
        block, self._head = self._block, None
        known = None if block is None or len(raw) > limits.HEAD_KEPT else block.read(raw, start)
        if block is None or known is None:
            return self._read_anew(raw, start)
        fields, shown, length = known
        head = block.begun(request_line(raw), fields, length)
        agree_again(raw, head)
        self.found = None
        if len(self._line) != start or not raw.startswith(self._line):
            self._forget_line()
            self._line = raw[:start]
        self._raw, self._head, self.shown = raw, head, shown
        return head

    def _read_anew(self, raw: bytes, start: int) -> RequestHead:
        self._block = self.shown = None
        self.forget()
        line = request_line(raw)
        lines = field_lines(raw, start)
        head = request_head(line, lines)
        agree(raw, head)
        if len(raw) <= limits.HEAD_KEPT:
            self._raw, self._line, self._head = raw, raw[:start], head
            self._block = Block(raw, start, lines, head)
            self.shown = self._block.shown
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

    __slots__ = ("_head", "_method", "_raw", "_values", "_way", "_written")

    def __init__(self) -> None:
        self._raw = b""
        self._method = ""
        self._head: ResponseHead | None = None
        self._way: Fields | None = None  # the fields that travel on
        self._written = b""  # these as lines
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

    def returned(self, head: ResponseHead, values: tuple[bytes, ...]) -> "tuple[Fields, bytes] | None":
        """Return the fields that travel on, where these values were looked for in that head.

        Also as lines: none of them speaks of a content coding.
        """
        if head is not self._head or values is not self._values or self._way is None:
            return None
        return self._way, self._written

    def keep(self, head: ResponseHead, values: tuple[bytes, ...], fields: "Fields") -> None:
        """Remember which fields travel on of a head in which none of these values stands."""
        if head is self._head and b"content-encoding" not in self._raw.lower():
            self._values, self._way, self._written = values, fields, write_lines(fields)
