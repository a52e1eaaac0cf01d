"""Asking a nameserver of the operator's choice: one question, and a strict reader for what comes back.

An answer counts when it comes from the address that was asked, to the port that asked (the kernel chose
it at random), carries the number that was chosen at random, repeats the question letter by letter, and is
well-formed as far as it is used. Anything else is not heard. A truncated answer is asked for again over
TCP. An alias is followed inside the answer only; what its last name has no address for has no address.
"""

import asyncio
import ipaddress
import os
import struct

from ringfence.egress import limits
from ringfence.errors import PeerError
from ringfence.subject import split_authority
from ringfence.value import Struct

A, AAAA = 1, 28
_CNAME, _IN = 5, 1
_OK, _NO_SUCH_NAME = 0, 3
_RESPONSE, _TRUNCATED, _OPCODE, _WANTED = 0x8000, 0x0200, 0x7800, 0x0100


class NoAnswerError(PeerError):
    """A name could not be looked up."""


class Answer(Struct):
    """What a nameserver said about a name."""

    addresses: tuple[str, ...] = ()
    lifetime: float = 0.0  # seconds
    truncated: bool = False


async def ask(server: str, name: str, kind: int) -> Answer:
    """Ask a nameserver (`address:port`) for a name's addresses of one kind."""
    query = write_query(name, kind)
    for seconds in limits.LOOKUP_TRIES:
        try:
            async with asyncio.timeout(seconds):
                found = await _by_datagram(server, query)
                return await _by_stream(server, query) if found.truncated else found
        except (TimeoutError, OSError):
            continue
    raise NoAnswerError(f"the nameserver for {name} does not answer")


def write_query(name: str, kind: int) -> bytes:
    """Return a question with a number that nobody can guess."""
    labels = b"".join(bytes((len(label),)) + label for label in name.encode("ascii").split(b"."))
    head = os.urandom(2) + struct.pack("!HHHHH", _WANTED, 1, 0, 0, 0)
    return head + labels + b"\0" + struct.pack("!HH", kind, _IN)


def read_answer(query: bytes, reply: bytes) -> Answer | None:
    """Read a reply; None where it is none to this query. Raises NoAnswerError for one that says no."""
    if len(reply) < len(query) or reply[:2] != query[:2] or reply[12 : len(query)] != query[12:]:
        return None
    flags, questions, answers = struct.unpack_from("!HHH", reply, 2)
    if not flags & _RESPONSE or flags & _OPCODE or questions != 1:
        return None
    if flags & _TRUNCATED:
        return Answer(truncated=True)
    code = flags & 15
    if code == _NO_SUCH_NAME:
        return Answer()
    if code != _OK:
        raise NoAnswerError(f"the nameserver refuses to answer (code {code})")
    kind = int.from_bytes(query[-4:-2], "big")
    try:
        return _followed(reply, query, answers, kind)
    except (IndexError, struct.error, ValueError):
        raise NoAnswerError("the nameserver's answer is malformed") from None


def _followed(reply: bytes, query: bytes, count: int, kind: int) -> Answer:
    """Follow aliases from the name asked for to the addresses of the last one."""
    if count > limits.LOOKUP_RECORDS:
        raise ValueError("too many records")
    aliases: dict[bytes, bytes] = {}
    addresses: dict[bytes, list[str]] = {}
    lifetime = limits.RESOLVED_KEPT
    at = len(query)
    for _ in range(count):
        owner, at = _name(reply, at)
        found, kin, seconds, size = struct.unpack_from("!HHIH", reply, at)
        at += 10
        if at + size > len(reply):
            raise ValueError("cut short")
        if kin == _IN and found == _CNAME:
            aliases.setdefault(owner, _name(reply, at)[0])
        elif kin == _IN and found == kind:
            addresses.setdefault(owner, []).append(str(ipaddress.ip_address(reply[at : at + size])))
        lifetime = min(lifetime, seconds & 0x7FFFFFFF)
        at += size
    name = _name(query, 12)[0]
    for _ in range(limits.LOOKUP_ALIASES):
        if name in addresses:
            return Answer(addresses=tuple(addresses[name]), lifetime=lifetime)
        if name not in aliases:
            break
        name = aliases[name]
    return Answer(lifetime=lifetime)


def _name(data: bytes, at: int) -> tuple[bytes, int]:
    """Read a name, lower case, and where it ends; a pointer leads backwards, or it could lead in circles."""
    labels: list[bytes] = []
    end, before = 0, at
    while size := data[at]:
        if size >= 0xC0:
            end = end or at + 2
            at = (size & 0x3F) << 8 | data[at + 1]
            if at >= before:
                raise ValueError("a pointer forwards")
            before = at
            continue
        if size > 63 or at + 1 + size > len(data):
            raise ValueError("no label")
        labels.append(data[at + 1 : at + 1 + size].lower())
        at += 1 + size
        if len(labels) > 127:
            raise ValueError("too many labels")
    return b"\0".join(labels), end or at + 1


class _Datagrams(asyncio.DatagramProtocol):
    """Waits for the one datagram that answers."""

    def __init__(self, query: bytes) -> None:
        self._query = query
        self.answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()

    def datagram_received(self, data: bytes, addr: object) -> None:  # noqa: ARG002 - asyncio's name
        """Take the answer; what is none is not heard."""
        if self.answer.done():
            return
        try:
            found = read_answer(self._query, data)
        except NoAnswerError as error:
            self.answer.set_exception(error)
        else:
            if found is not None:
                self.answer.set_result(found)

    def error_received(self, exc: Exception) -> None:
        """Stop waiting: nobody is there."""
        if not self.answer.done():
            self.answer.set_exception(exc)


async def _by_datagram(server: str, query: bytes) -> Answer:
    loop = asyncio.get_running_loop()
    # Connected: the kernel drops what comes from anywhere else.
    transport, protocol = await loop.create_datagram_endpoint(
        lambda: _Datagrams(query), remote_addr=split_authority(server)
    )
    try:
        transport.sendto(query)
        return await protocol.answer
    finally:
        transport.close()


async def _by_stream(server: str, query: bytes) -> Answer:
    """Ask over TCP (RFC 7766): two bytes of length before question and answer."""
    reader, writer = await asyncio.open_connection(*split_authority(server))
    try:
        writer.write(struct.pack("!H", len(query)) + query)
        size = int.from_bytes(await reader.readexactly(2), "big")
        found = read_answer(query, await reader.readexactly(size))
    except asyncio.IncompleteReadError:
        found = None
    finally:
        writer.close()
    if found is None or found.truncated:
        raise NoAnswerError("the nameserver's answer over TCP is malformed")
    return found
