"""Placeholders where they do not belong: a sign that something carries them off.

A placeholder opens nothing, so nothing is lost when it leaves; but whoever sends one to another host, or
in another place, tries to find out where it is replaced. It is refused and put on record, also encoded
(base64, hexadecimal, percent) or split over several headers. Every head is looked at after the credentials
have been put in, so that a placeholder in its own place is gone by then. Bodies are looked into only where
a placeholder is to be replaced on that host: a model's context may well repeat one.
"""

from urllib.parse import unquote_to_bytes

from ringfence.credential import placeholder
from ringfence.credential.inject import Outgoing
from ringfence.egress.filters import Filter, Looking
from ringfence.egress.finder import Finder
from ringfence.egress.gate import Target
from ringfence.egress.http1 import RequestHead
from ringfence.egress.refusal import CREDENTIAL, Refusal, Refused
from ringfence.egress.scrub import in_base64
from ringfence.policy import kinds
from ringfence.policy.model import Credential
from ringfence.verdict.request import Verdict

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

WORD = placeholder.WORD.encode("ascii")
SHORTEST = 12  # a shorter placeholder could be an innocent word


class Strays:
    """Looks for the placeholders of all credentials."""

    def __init__(self, credentials: "Iterable[Credential]") -> None:
        self._credentials = tuple(credentials)
        marks = {one.name: _marks(one) for one in self._credentials}
        self._known = tuple((name, spelled) for name, found in marks.items() for spelled in _spelled(found))
        # Nearly every placeholder holds our own word: looking for that spares looking for each of them.
        every = [mark for found in marks.values() for mark in found]
        ours = [WORD] if any(WORD in mark for mark in every) else []
        self._signs = Finder(_spelled([*ours, *(mark for mark in every if WORD not in mark)]))
        self._replaced = {
            (one.host, one.port): _spelled(marks[one.name])
            for one in self._credentials
            if one.kind == kinds.PLACEHOLDER and marks[one.name]
        }
        self.looks_into_bodies = bool(self._replaced)

    def check(self, outgoing: Outgoing) -> Refusal | None:
        """Refuse a head that holds a placeholder; the values are joined, so that none is split over two.

        Fields that have passed are not looked at again: with a line feed behind them, which no placeholder
        holds and no decoding takes away, they have no share in what the path holds.
        """
        text = b"" if outgoing.written else b"".join([value for _, value in outgoing.fields])
        place = outgoing.path + outgoing.query
        whole = b"\n".join((text, place.encode("utf-8", "surrogateescape")))
        if b"; " in text:  # HTTP/2 splits cookies, and they are joined by this (RFC 9113 §8.2.3)
            whole += b"\n" + text.replace(b"; ", b"")
        if "%" in place or b"%" in text:
            whole += b"\n" + unquote_to_bytes(unquote_to_bytes(whole))
        return None if self._signs.first(whole) is None else self._found(whole, outgoing.host)

    def _found(self, whole: bytes, host: str) -> Refusal | None:
        return next((refusal(name, host) for name, spelled in self._known if spelled in whole), None)

    def watch(self, _head: RequestHead, target: Target, _verdict: Verdict, _notes: object) -> "Filter | None":
        """Return a filter for the body where this host has a placeholder that is replaced."""
        found = self._replaced.get((target.host, target.port))
        return Watch(found, target.host) if found else None


class Watch(Looking):
    """Cuts off a body in which a placeholder shows up."""

    def __init__(self, spelled: tuple[bytes, ...], host: str) -> None:
        self._spelled = spelled
        self._host = host
        self._tail = b""
        self._keep = max(map(len, spelled)) - 1

    def feed(self, data: bytes) -> bytes:
        """Pass a piece on, unless it completes a placeholder."""
        seen = self._tail + data
        if any(one in seen for one in self._spelled):
            raise Refused(refusal("", self._host))
        self._tail = seen[-self._keep :]
        return data

    def finish(self) -> bytes:
        """Return nothing: nothing is held back."""
        return b""


def refusal(name: str, host: str) -> Refusal:
    """Tell about a placeholder in a wrong place."""
    whose = f" of credential {name}" if name else ""
    return Refusal(
        status=403,
        kind=CREDENTIAL,
        message=f"the placeholder{whose} stands where it is never replaced",
        host=host,
        how="it is replaced only on its own host and in the place that the policy names",
    )


def _marks(one: Credential) -> list[bytes]:
    found = {*placeholder.variables(one).values(), one.placeholder or placeholder.default(one)}
    return sorted(mark.encode("latin-1") for mark in found if len(mark) >= SHORTEST)


def _spelled(marks: list[bytes]) -> tuple[bytes, ...]:
    """Return marks as they are, in hexadecimal and in base64; percent-encoding is decoded instead."""
    found: dict[bytes, None] = {}
    for mark in marks:
        plain = [mark, mark.hex().encode(), mark.hex().upper().encode()]
        found.update(dict.fromkeys(plain + [one for at in range(3) for one in in_base64(mark, at)]))
    return tuple(found)
