"""One spelling of a value as JSON, for digests and hash chains: sorted keys, no spaces, ASCII.

Here so that the launcher need not import `json` (5 ms) or `hashlib` (2 ms) to name what it runs under.
"""

from ringfence.value import plain

try:
    from _json import encode_basestring_ascii as _string
except ImportError:  # an interpreter without the C accelerator
    from json.encoder import py_encode_basestring_ascii as _string

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def encode(value: object) -> str:
    """Return the canonical JSON text of a struct or of plain data."""
    return _encode(plain(value))


def sha256(data: bytes) -> str:
    """Return the SHA-256 of some bytes as lower-case hex."""
    return str(_sha256_type()(data).hexdigest())


def digest(value: object) -> str:
    """Return the SHA-256 over the canonical JSON of a value."""
    return sha256(encode(value).encode("ascii"))


def _encode(value: object) -> str:
    if isinstance(value, str):
        return _string(value)
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
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


def _sha256_type() -> "Callable[[bytes], Any]":
    """Return the C implementation without hashlib, which imports OpenSSL's bindings and more."""
    for module in ("_sha2", "_sha256", "hashlib"):  # from Python 3.12, before it, anywhere
        try:
            made: Callable[[bytes], Any] = __import__(module).sha256
        except (ImportError, AttributeError):
            continue
        return made
    raise ImportError("this interpreter has no SHA-256")
