"""What a session's log is made of: events, each one line of JSON.

A line starts with the common fields in a fixed order, then the event's own fields sorted by name,
then the hash:

    {"seq":3,"time":"…","session":"…","kind":"dial","prev":"…","address":"…",…,"hash":"…"}

`hash` is SHA-256 over `prev` followed by the line without its hash member; `prev` is the hash of the
line before (zeros for the first). Because the hash always stands last and the bytes themselves are
hashed, a reader checks a line without parsing it, and any changed byte shows.

All text is escaped to printable ASCII here, once, so nothing that an agent puts into a host name or
a path can start a new record, colour a terminal or turn the direction of a line.
"""

from time import gmtime

from ringfence.canonical import encode, encode_flat, sha256
from ringfence.value import Struct, plain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

START, END = "start", "end"
KINDS = {
    START: "a session began: command, tier, policy digest",
    "plan": "what was decided before the start: guarantees held and not held, credentials by name",
    "verdict": "the gate decided on a request or a connection: effect, rule, reason, credential",
    "dial": "a connection to an upstream was opened, or failed",
    "inject": "a credential was made or renewed (its name, never its value)",
    "dns": "a name was asked for",
    "response": "an upstream answered: status, bytes, time",
    "refused": "something was turned away before there was a request to decide on",
    "publish": "a port inside was made reachable on this machine, or used",
    "set-aside": "a file that the host would obey appeared, and was moved out of the workspace",
    "approval": "a request that waited for a person was answered, or the time was over",
    "tool": "an agent's tool call was decided: tool, input, effect, rule, reason, a person's answer",
    "alarm": "a value that must not go out was found on its way out",
    "apply": "changes of a session's copy were taken over into the project, or into a commit",
    "undo": "the last taking over was taken back",
    "discard": "changes of a session's copy were thrown away",
    "program": "a program was kept from running inside by a deny rule",
    "note": "something the operator should know",
    "gap": "records of refusals left out because there were too many, with their number",
    END: "the session is over: exit status, duration",
}
TOOLS = "tools"  # folder of logs of tool calls: each is one client's session, whose end nobody tells
COMMON = ("seq", "time", "session", "kind", "prev", "hash")
GENESIS = "0" * 64

MAX_FIELD = 4096  # characters of one field's text; what is longer is cut, its length and digest kept
MAX_FIELDS = 64  # fields of one event
MAX_LINE = 1 << 20  # bytes a reader accepts as one record
HASH_MEMBER = len(',"hash":""}') + 64  # bytes at the end of every line, before the newline


class Event(Struct):
    """One record of a session's log, as read back."""

    seq: int
    time: str  # RFC 3339, UTC, microseconds
    session: str
    kind: str
    prev: str
    hash: str
    fields: "tuple[tuple[str, Any], ...]" = ()

    def get(self, name: str, default: object = None) -> "Any":
        """Return one of the event's own fields."""
        return dict(self.fields).get(name, default)


def line(
    seq: int, time: str, session: str, kind: str, *, prev: str, fields: "dict[str, Any]"
) -> tuple[str, str]:
    """Return a record's text without newline, and its hash. Values that are too long are cut."""
    return sealed(seq, time, session, kind, prev=prev, own=spelled(fields))


def spelled(fields: "dict[str, Any]") -> str:
    """Return an event's own fields as they stand in its record. Values that are too long are cut."""
    own = _usual(fields)
    return _spelled(limited(fields)) if own is None else own


def _spelled(fields: "dict[str, Any]") -> str:
    return "".join([f",{encode(name)}:{encode(value)}" for name, value in sorted(fields.items())])


def encoded(
    seq: int, time: str, session: str, kind: str, *, prev: str, fields: "dict[str, Any]"
) -> tuple[str, str]:
    """Return the one spelling of a record, and its hash."""
    return sealed(seq, time, session, kind, prev=prev, own=_spelled(fields))


def sealed(seq: int, time: str, session: str, kind: str, *, prev: str, own: str) -> tuple[str, str]:
    """Return a record whose own fields are spelled already, closed with its hash."""
    text = f'{{"seq":{seq},"time":"{time}","session":"{session}","kind":"{kind}","prev":"{prev}"{own}}}'
    if "\x7f" in text:
        text = text.replace("\x7f", "\\u007f")  # the one control character that JSON encoders leave raw
    made = sha256((prev + text).encode("ascii"))
    return f'{text[:-1]},"hash":"{made}"}}', made


def sealed_lines(
    seq: int, session: str, prev: str, events: "Iterable[tuple[str, str, int]]"
) -> tuple[bytes, str]:
    """Return records that follow each other as the lines that are written, and the last one's hash.

    Of each is given its kind, its own fields spelled already, and its time in nanoseconds.
    """
    lines: list[str] = []
    for number, (kind, own, at) in enumerate(events, seq):
        line, prev = sealed(number, timestamp(at), session, kind, prev=prev, own=own)
        lines.append(line)
    lines.append("")
    return "\n".join(lines).encode("ascii"), prev


def _usual(fields: "dict[str, Any]") -> str | None:
    """Encode short texts and numbers, all that most records hold; None where there is anything else."""
    kinds = set(map(type, fields.values()))
    if encode_flat is None or not kinds <= _FLAT or len(fields) > MAX_FIELDS or not _TAKEN.isdisjoint(fields):
        return None
    if float in kinds:
        fields = {name: _whole(value) for name, value in fields.items()}
    own = "".join(encode_flat(fields, 0))
    if len(own) > MAX_FIELD:  # so that no field of it can be too long
        return None
    return f",{own[1:-1]}" if fields else ""


_FLAT = frozenset({str, int, float})
_TAKEN = frozenset({*COMMON, "truncated"})


def _whole(value: object) -> object:
    """Return a number without a fraction as what the canonical form writes: a whole number."""
    return int(value) if type(value) is float and value.is_integer() and abs(value) < 2**53 else value


def _check_name(name: str) -> None:
    if name in _TAKEN:
        raise ValueError(f"an event has its own {name}")


def limited(fields: "dict[str, Any]") -> "dict[str, Any]":
    """Cut values that are too long; `truncated` then tells their whole length and digest."""
    if len(fields) > MAX_FIELDS:
        raise ValueError(f"an event of {len(fields)} fields")
    kept: dict[str, Any] = {}
    cut: dict[str, Any] = {}
    for name, value in fields.items():
        _check_name(name)
        text = _text(value)
        kept[name] = value
        if len(text) > MAX_FIELD:
            kept[name] = text[:MAX_FIELD]
            cut[name] = {"length": len(text), "sha256": sha256(text.encode("utf-8", "surrogatepass"))}
    if cut:
        kept["truncated"] = cut
    return kept


def _text(value: object) -> str:
    """Return what a limit on a value's size counts."""
    if isinstance(value, str):
        return value
    if value is None or isinstance(value, (int, float)):
        return ""
    return encode(plain(value))


_second = (-1, "")  # the last second that was written, and its text


def timestamp(nanoseconds: int) -> str:
    """Return a time as RFC 3339 in UTC with microseconds."""
    global _second  # noqa: PLW0603 - one second's text serves all records of it
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    known, text = _second
    if known != seconds:
        at = gmtime(seconds)
        day = f"{at.tm_year:04}-{at.tm_mon:02}-{at.tm_mday:02}"
        text = f"{day}T{at.tm_hour:02}:{at.tm_min:02}:{at.tm_sec:02}"
        _second = seconds, text
    return f"{text}.{rest // 1000:06}Z"


def printable(text: str) -> str:
    """Return a text with everything escaped that a terminal could obey or that hides what stands there."""
    return text if text.isascii() and text.isprintable() else ascii(text)[1:-1]
