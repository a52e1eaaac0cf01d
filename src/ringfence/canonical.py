"""One spelling of a value as JSON, for digests and hash chains: sorted keys, no spaces, ASCII.

Here so that the launcher need not import `json` (5 ms) or `hashlib` (2 ms) to name what it runs under.
"""

from ringfence.value import plain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

__all__ = ["digest", "encode", "encode_flat", "sha256", "text", "use_openssl"]

try:
    from _json import encode_basestring_ascii as _string
except ImportError:  # an interpreter without the C accelerator
    from json.encoder import py_encode_basestring_ascii as _string

text = _string  # a text alone
# A mapping of texts and numbers in one call. Floats are written as Python does: whole ones are not canonical.
encode_flat: "Callable[[dict[str, Any], int], Iterable[str]] | None" = None
try:
    from _json import make_encoder
except ImportError:
    pass
else:
    encode_flat = make_encoder(None, plain, _string, None, ":", ",", True, False, False)

try:  # the C implementation, without hashlib, which imports OpenSSL's bindings and more
    from _sha2 import sha256 as _sha256  # type: ignore[import-not-found, unused-ignore] # Python 3.12 and later
except ImportError:
    try:
        from _sha256 import sha256 as _sha256  # type: ignore[import-not-found, unused-ignore, no-redef]
    except ImportError:
        from hashlib import sha256 as _sha256  # type: ignore[assignment, unused-ignore, no-redef]


def encode(value: object) -> str:
    """Return the canonical JSON text of a struct or of plain data."""
    if type(value) is str:  # most of what an audit record holds, thousands of times a second
        return _string(value)
    if type(value) is int:
        return int.__repr__(value)
    return _encode(plain(value))


def decode(data: bytes) -> "Any":
    """Return what a JSON text says, without all that `json` imports. Raises ValueError."""
    try:
        from _json import make_scanner
    except ImportError:
        import json

        return json.loads(data)
    try:
        return make_scanner(_Plainly)(data.decode().strip(" \t\r\n"), 0)[0]  # type: ignore[arg-type]
    except StopIteration:
        raise ValueError("this is no JSON") from None


class _Plainly:
    """How the scanner reads: with nothing but Python's own types."""

    strict = True
    object_hook = object_pairs_hook = None
    parse_float, parse_int, parse_constant = float, int, float
    memo: "dict[str, str]" = {}  # noqa: RUF012 - the scanner's own


def sha256(data: bytes) -> str:
    """Return the SHA-256 of some bytes as lower-case hex."""
    made: str = _sha256(data).hexdigest()
    return made


def use_openssl() -> None:
    """Hash with OpenSSL from here on: it is there anyway where TLS is, and three times as fast."""
    global _sha256  # noqa: PLW0603 - one function for another that gives the same
    import hashlib

    _sha256 = hashlib.sha256


def digest(value: object) -> str:
    """Return the SHA-256 over the canonical JSON of a value."""
    return sha256(encode(value).encode("ascii"))


def _encode(value: object) -> str:
    if isinstance(value, str):
        return _string(value)
    if value is None or value is True or value is False:
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int):
        return int.__repr__(value)
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, list):
        return "[" + ",".join([_encode(item) for item in value]) + "]"
    if isinstance(value, dict):
        pairs = sorted(value.items())
        return "{" + ",".join([f"{_string(name)}:{_encode(item)}" for name, item in pairs]) + "}"
    raise TypeError(f"{type(value).__name__} has no JSON form")


def _number(value: float) -> str:
    if value != value or value in (float("inf"), float("-inf")):  # noqa: PLR0124 - the test for NaN
        raise ValueError("JSON has no infinity and no NaN")
    return str(int(value)) if value.is_integer() and abs(value) < 2**53 else float.__repr__(value)
