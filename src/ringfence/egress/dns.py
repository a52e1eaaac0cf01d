"""Our resolver: names the policy may allow get an address of their own, everything else does not exist.

The addresses come from 198.18.0.0/15 (RFC 2544, routed nowhere); a connection to one names its host, for
any protocol, without a proxy variable or SNI. Nothing is ever asked upstream for the boundary, so a
question carries nothing out. AAAA and other types of an allowed name are empty answers.
"""

import ipaddress
import struct

from ringfence.egress import limits
from ringfence.subject import canonical_host, is_address
from ringfence.value import Struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

FIRST = int(ipaddress.ip_address("198.18.0.1"))
LIFETIME = 60  # seconds an answer may be kept; an address never changes its name within a session

_A, _ANY, _IN = 1, 255, 1
_NOERROR, _FORMERR, _SERVFAIL, _NXDOMAIN, _NOTIMP = 0, 1, 2, 3, 4
_POINTER = b"\xc0\x0c"  # to the question's name


class Question(Struct):
    """The one question of a query."""

    identifier: bytes
    flags: int
    name: str  # as asked, without the last dot
    kind: int
    wire: bytes  # the question section, to be repeated


class Names:
    """Which address stands for which name."""

    def __init__(self) -> None:
        self._by_name: dict[str, str] = {}
        self._by_address: dict[str, str] = {}

    def address(self, name: str) -> str | None:
        """Return the address of an allowed name, handing one out at first; None when there are no more."""
        found = self._by_name.get(name)
        if found is not None or len(self._by_name) >= limits.DNS_NAMES:
            return found
        made = str(ipaddress.ip_address(FIRST + len(self._by_name)))
        self._by_name[name], self._by_address[made] = made, name
        return made

    def name(self, address: str) -> str | None:
        """Return the name that an address stands for."""
        return self._by_address.get(address)


def is_ours(address: str) -> bool:
    """Say whether an address is of the range that stands for names."""
    return address.startswith(("198.18.", "198.19."))


def answer(datagram: bytes, allowed: "Callable[[str], bool]", names: Names) -> tuple[bytes, str, str]:
    """Return the reply (empty: none), the name asked for and the answer, for the record."""
    question = read_question(datagram)
    if question is None:
        return _unread(datagram), "", "malformed"
    if question.flags & 0x7800:
        return _reply(question, _NOTIMP), question.name, "not a query"
    try:
        name = canonical_host(question.name)
    except ValueError:
        return _reply(question, _NXDOMAIN), question.name, "no such name"
    if is_address(name) or not allowed(name):
        return _reply(question, _NXDOMAIN), question.name, "no such name"
    if question.kind not in {_A, _ANY}:
        return _reply(question, _NOERROR), question.name, "no such type"
    address = names.address(name)
    if address is None:
        return _reply(question, _SERVFAIL), question.name, "no addresses left"
    return _reply(question, _NOERROR, address), question.name, address


def read_question(datagram: bytes) -> Question | None:
    """Read a query with exactly one question of class IN (RFC 1035 §4.1)."""
    if len(datagram) < 17 or datagram[2] & 0x80 or datagram[4:6] != b"\0\1":
        return None
    labels, at = [], 12
    while at < len(datagram) and (size := datagram[at]):
        if size > 63 or at + 1 + size >= len(datagram):
            return None  # compression has no place in a question
        labels.append(datagram[at + 1 : at + 1 + size])
        at += 1 + size
    end = at + 5
    if at >= len(datagram) or end > len(datagram) or at - 12 > 254:
        return None
    kind, kin = struct.unpack_from("!HH", datagram, at + 1)
    if kin != _IN or any(b"." in label for label in labels):
        return None
    return Question(
        identifier=datagram[:2],
        flags=int.from_bytes(datagram[2:4], "big"),
        name=b".".join(labels).decode("latin-1"),
        kind=kind,
        wire=datagram[12:end],
    )


def _unread(datagram: bytes) -> bytes:
    """Refuse what is no query; an answer sent to us is not answered."""
    if len(datagram) < 12 or datagram[2] & 0x80:
        return b""
    return datagram[:2] + struct.pack("!HHHHH", 0x8000 | _FORMERR, 0, 0, 0, 0)


def _reply(question: Question, code: int, address: str | None = None) -> bytes:
    flags = 0x8480 | (question.flags & 0x7900) | code  # answer, authoritative, recursion available
    head = question.identifier + struct.pack("!HHHHH", flags, 1, 1 if address else 0, 0, 0)
    if address is None:
        return head + question.wire
    record = _POINTER + struct.pack("!HHIH", _A, _IN, LIFETIME, 4)
    return head + question.wire + record + ipaddress.ip_address(address).packed
