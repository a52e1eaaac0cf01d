"""A placeholder that is replaced by the secret, in the places that the policy names and nowhere else.

Theory. Whoever replaces a placeholder wherever it stands hands the secret to anything that repeats what
it was given: a model that quotes its context, a log, an echo. So a place is one header, one query key,
one form field or one JSON field, each of which may stand there once and holds the placeholder alone (a
header may have a scheme word before it). Anything else in that place is another account's key: refused.
The placeholder anywhere else, also encoded or split over headers, is refused too (`strays`).

A JSON body is not written anew: servers disagree about duplicates, numbers and escapes. It is parsed
strictly, the field found by its pointer (RFC 6901), and the placeholder's one occurrence in the bytes
replaced; where there are two, or it is spelled with escapes, nobody can say which one counts.
"""

import json
import re
from urllib.parse import quote, quote_plus, unquote_plus

from ringfence.credential import placeholder as default
from ringfence.credential.inject.outgoing import Fields, Outgoing, UnfitError
from ringfence.credential.inject.query import is_named
from ringfence.credential.secret import Secret
from ringfence.policy.model import Credential

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

FORM = b"application/x-www-form-urlencoded"
_SCHEME = re.compile(rb"(?:[A-Za-z][A-Za-z0-9-]* )?")


def carried(_credential: Credential) -> tuple[str, ...]:
    """Return no field: what stands in one is judged."""
    return ()


def carries(credential: Credential, fields: Fields, query: str) -> bool:
    """Say whether something stands in one of the places, as far as the head tells."""
    for kind, name in _places(credential):
        if kind == "header" and any(one.lower() == name.encode() for one, _ in fields):
            return True
        if kind == "query" and any(is_named(pair, name) for pair in query[1:].split("&")):
            return True
    return False


def clear(outgoing: Outgoing, credential: Credential) -> None:
    """Refuse what stands in the places: another credential is put into this request."""
    if carries(credential, outgoing.fields, outgoing.query) or needs_body(outgoing, credential):
        raise UnfitError("the request brings something in the place of another credential of this host")


def needs_body(outgoing: Outgoing, credential: Credential) -> bool:
    """Say whether a place may lie in the body."""
    return outgoing.framing != 0 and in_body(credential)


def apply(outgoing: Outgoing, credential: Credential, secret: Secret) -> None:
    """Replace the placeholder in each of its places."""
    mark = (credential.placeholder or default.default(credential)).encode("latin-1")
    value = secret.reveal_for_injection()
    for kind, name in _places(credential):
        if kind == "header":
            _header(outgoing, name, mark, value)
        elif kind == "query":
            _query(outgoing, name, mark, value)
    if outgoing.body is not None:
        _body(outgoing, credential, mark, value)


def _places(credential: Credential) -> list[tuple[str, str]]:
    pairs = (one.partition(":") for one in credential.places)
    return [(kind, name) for kind, _, name in pairs]


def in_body(credential: Credential) -> bool:
    """Say whether a place lies in the body."""
    return any(kind in {"form", "json"} for kind, _ in _places(credential))


def _other(place: str) -> UnfitError:
    return UnfitError(f"something else than the credential's placeholder stands in {place}")


def _header(outgoing: Outgoing, name: str, mark: bytes, value: str) -> None:
    found = outgoing.values(name.encode())
    if not found:
        return
    scheme = _SCHEME.match(found[0])
    start = scheme.group() if scheme else b""
    if len(found) > 1 or found[0] not in {mark, start + mark}:
        raise _other(f"the header {name}")
    written = found[0][: -len(mark)] + value.encode("latin-1")
    outgoing.fields = [
        (one, written) if one.lower() == name.encode() else (one, content) for one, content in outgoing.fields
    ]


def _query(outgoing: Outgoing, name: str, mark: bytes, value: str) -> None:
    pairs = outgoing.query[1:].split("&") if outgoing.query else []
    outgoing.query = "?" + "&".join(_pairs(pairs, name, mark, quote(value, safe=""), "the query key"))
    if outgoing.query == "?":
        outgoing.query = ""


def _pairs(pairs: list[str], name: str, mark: bytes, written: str, what: str) -> list[str]:
    """Return the pairs with the one that is named replaced."""
    named = [pair for pair in pairs if is_named(pair, name)]
    if not named:
        return pairs
    key, _, content = named[0].partition("=")
    if len(named) > 1 or unquote_plus(key) != name or unquote_plus(content).encode() != mark:
        raise _other(f"{what} {name}")
    return [f"{key}={written}" if pair is named[0] else pair for pair in pairs]


# --- bodies


def _body(outgoing: Outgoing, credential: Credential, mark: bytes, value: str) -> None:
    body = outgoing.body or b""
    if outgoing.values(b"content-encoding"):
        raise UnfitError("a compressed body cannot be looked into for the credential's place", status=415)
    kind = b",".join(outgoing.values(b"content-type")).partition(b";")[0].strip().lower()
    names = [name for place, name in _places(credential) if place == "form"]
    if names and kind == FORM:
        pairs = body.decode("latin-1").split("&")
        for name in names:
            pairs = _pairs(pairs, name, mark, quote_plus(value), "the form field")
        outgoing.body = "&".join(pairs).encode("latin-1")
    pointers = [name for place, name in _places(credential) if place == "json"]
    if pointers:
        outgoing.body = _json(outgoing.body or b"", pointers, mark, value, named=b"json" in kind)


def _json(body: bytes, pointers: list[str], mark: bytes, value: str, *, named: bool) -> bytes:
    """Replace the placeholder in one field. A body that does not say it is JSON may be some all the same."""
    try:
        data = json.loads(body.decode("utf-8"), object_pairs_hook=_object, parse_constant=_constant)
    except (ValueError, RecursionError):
        if named or mark in body:
            raise UnfitError("the body is no JSON that could be read in one way only") from None
        return body
    for pointer in pointers:
        found = _at(data, pointer)
        if found is _ABSENT:
            continue
        if not isinstance(found, str) or found.encode() != mark:
            raise _other(f"the JSON field {pointer}")
        if body.count(mark) != 1 or _count(data, mark.decode("latin-1")) != 1:
            raise UnfitError("the credential's placeholder stands in the body more than once, or escaped")
        body = body.replace(mark, json.dumps(value, ensure_ascii=False)[1:-1].encode())
    return body


_ABSENT = object()


def _object(pairs: "list[tuple[str, Any]]") -> "dict[str, Any]":
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name that stands twice")
    return found


def _constant(_: str) -> object:
    raise ValueError("not JSON")


def _at(data: "Any", pointer: str) -> object:
    """Return what a JSON pointer leads to (RFC 6901)."""
    for part in pointer[1:].split("/"):
        name = part.replace("~1", "/").replace("~0", "~")
        if isinstance(data, dict):
            data = data.get(name, _ABSENT)
        elif isinstance(data, list):
            plain = name.isascii() and name.isdigit() and (name == "0" or name[0] != "0")
            data = data[int(name)] if plain and len(name) < 10 and int(name) < len(data) else _ABSENT
        else:
            return _ABSENT
        if data is _ABSENT:
            return _ABSENT
    return data


def _count(data: "Any", mark: str) -> int:
    """Count the texts, names included, that hold the placeholder."""
    if isinstance(data, str):
        return data.count(mark)
    if isinstance(data, dict):
        return sum(_count(name, mark) + _count(value, mark) for name, value in data.items())
    if isinstance(data, list):
        return sum(_count(value, mark) for value in data)
    return 0
