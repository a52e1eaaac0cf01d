"""Reading logs: events by session, kind, verdict, host and time, of one session or of all."""

import fnmatch
import heapq
import json
import os

from ringfence.audit.event import COMMON, TOOLS, Event
from ringfence.value import Struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

NAME = "audit.jsonl"
NO_NAME = "no such name"  # the answer of a `dns` record about a name that is not allowed
DAMAGED = "damaged"  # the kind given to a line that is no record; `verify` says more


class Filter(Struct):
    """Which events are wanted. An empty field wants all."""

    kind: str = ""
    verdict: str = ""
    host: str = ""  # a name, or a pattern such as *.example.org
    since: str = ""  # RFC 3339; compared as text, which is right in UTC

    def wants(self, event: Event) -> bool:
        """Tell whether an event is wanted."""
        if self.kind not in ("", event.kind) or event.time < self.since:
            return False
        if self.verdict not in ("", verdict_of(event)):
            return False
        named = str(event.get("host") or (event.get("name") if event.kind == "dns" else ""))
        return not self.host or fnmatch.fnmatchcase(named.lower(), self.host.lower())


def verdict_of(event: Event) -> str:
    """Return allow, ask or deny, or "" where an event is not about a decision.

    Besides verdicts, what was turned away before there was a request is a denial, and so is a name
    that did not resolve.
    """
    effect = event.get("effect")
    if isinstance(effect, str):
        return effect
    refused = event.kind == "refused" or (event.kind == "dns" and event.get("answer") == NO_NAME)
    return "deny" if refused else ""


def sessions(state_dir: str) -> list[str]:
    """Return the ids of all sessions that have a log, the oldest first; then those of tool calls."""
    folder = f"{state_dir}/sessions"
    own = sorted(name for name in _names(folder) if os.path.isfile(f"{folder}/{name}/{NAME}"))
    calls = sorted(name.removesuffix(".jsonl") for name in _names(f"{state_dir}/{TOOLS}") if name[:1] != ".")
    return [*own, *calls]


def _names(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except FileNotFoundError:
        return []


def path_of(state_dir: str, session: str) -> str:
    """Return where a session's log is: a client's tool calls have one beside those of our sessions."""
    calls = f"{state_dir}/{TOOLS}/{session}.jsonl"
    if os.path.isfile(calls):
        return calls
    return f"{state_dir}/sessions/{session}/{NAME}"


def read(path: str) -> "Iterator[Event]":
    """Yield a log's events. A line that is no record comes out as one of kind `damaged`."""
    with open(path, encoding="latin-1", newline="\n") as file:
        for text in file:
            yield event_of(text)


def event_of(text: str) -> Event:
    """Return the event that a line holds."""
    try:
        record = json.loads(text)
        common = {name: record.pop(name) for name in COMMON}
        return Event(**common, fields=tuple(record.items()))
    except (ValueError, KeyError, TypeError, AttributeError):
        shown = ascii(text.rstrip("\n"))
        return Event(seq=-1, time="", session="", kind=DAMAGED, prev="", hash="", fields=(("line", shown),))


def merge(logs: "Iterable[Iterable[Event]]") -> "Iterator[Event]":
    """Yield the events of several logs in the order of time."""
    return heapq.merge(*logs, key=lambda event: event.time)


def select(events: "Iterable[Event]", wanted: Filter) -> "Iterator[Event]":
    """Yield the events that a filter wants."""
    return (event for event in events if wanted.wants(event))
