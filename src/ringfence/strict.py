"""JSON from somebody else, read so that everybody reads the same: no name twice, no NaN, nothing behind it.

By the interpreter's own scanner, without the `json` package, which brings 8 ms of imports along.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_BLANK = " \t\n\r"


class _Context:
    """What the scanner asks for."""

    strict = True
    object_hook = None
    parse_float = float
    parse_int = int

    @staticmethod
    def object_pairs_hook(pairs: "list[tuple[str, Any]]") -> "dict[str, Any]":
        """Refuse a name that stands twice in one object: another reader may take the other one."""
        found = dict(pairs)
        if len(found) < len(pairs):
            raise ValueError("a name stands twice in one object")
        return found

    @staticmethod
    def parse_constant(name: str) -> None:
        """Refuse what is no JSON."""
        raise ValueError(f"JSON has no {name}")


def loads(text: str) -> "Any":
    """Return the value of a JSON text. Raises ValueError for anything else."""
    start = len(text) - len(text.lstrip(_BLANK))
    try:
        value, end = _scanner()(text, start)
    except (StopIteration, SystemError):  # without `json.decoder` the scanner cannot make its own error
        raise ValueError(f"this is not JSON{_where(text)}") from None
    except RecursionError:
        raise ValueError("this JSON is nested beyond reason") from None
    if text[end:].strip(_BLANK):
        raise ValueError("something stands behind the JSON value")
    return value


def _where(text: str) -> str:
    """Return where a text stops being JSON: the slow way, for a message only."""
    import json

    try:
        json.loads(text)
    except (ValueError, RecursionError) as error:
        return f": {error}"
    return ""


def _scanner() -> "Any":
    try:
        from _json import make_scanner
    except ImportError:  # an interpreter without the C accelerator
        from json.decoder import JSONDecoder

        context = _Context()
        decoder = JSONDecoder(
            object_pairs_hook=context.object_pairs_hook, parse_constant=context.parse_constant
        )
        return decoder.raw_decode
    return make_scanner(_Context())  # type: ignore[arg-type]  # it asks for these attributes only
