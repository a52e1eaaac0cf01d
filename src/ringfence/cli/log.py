"""`ringfence log`: read the audit log, follow it, or check that nobody changed it."""

import sys
import time

from ringfence.audit import query, verify
from ringfence.audit.chain import member_of
from ringfence.audit.event import COMMON, KINDS, Event, encoded, printable
from ringfence.canonical import encode
from ringfence.errors import UsageError
from ringfence.host.probe import host

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator
    from typing import TextIO

POLL = 0.25  # seconds between two looks at the logs while following
SESSION_WIDTH = 20
KIND_WIDTH = max(map(len, KINDS))
FIRST = (
    "effect",
    "method",
    "host",
    "port",
    "path",
    "name",
    "answer",
    "status",
    "reason",
)  # fields shown first
COLOURS = {"deny": "31", "ask": "33", "allow": "32"}

_SLACK = 600.0  # seconds between the making of an id and the session's beginning, at most


def main(arguments: list[str]) -> int:
    """Run `ringfence log`."""
    options = _parser().parse_args(arguments)
    state_dir = host().state_dir
    names = _chosen(state_dir, options.id or options.session)
    if options.verify:
        return _verify(state_dir, names, everything=not (options.id or options.session))
    wanted = query.Filter(
        kind=options.kind, verdict=options.verdict, host=options.host, since=_since(options.since)
    )
    write = _write_json if options.json else _write_line
    try:
        if options.follow:
            _follow(state_dir, options.id or options.session, wanted, write)
        for event in query.select(_events(state_dir, names), wanted):
            write(sys.stdout, event)
    except KeyboardInterrupt:
        return 130
    return 0


def _parser() -> "argparse.ArgumentParser":
    import argparse

    parser = argparse.ArgumentParser(prog="ringfence log", description=__doc__, allow_abbrev=False)
    parser.add_argument("session", nargs="?", default="", help="a session's id, or `last`; all when left out")
    parser.add_argument("--session", dest="id", default="", metavar="ID", help="the same as an option")
    parser.add_argument("-f", "--follow", action="store_true", help="go on as records are written")
    parser.add_argument("--verdict", default="", choices=["allow", "ask", "deny"], help="only these verdicts")
    parser.add_argument("--host", default="", metavar="PATTERN", help="only this host, such as *.example.org")
    parser.add_argument(
        "--kind", default="", choices=[*KINDS, query.DAMAGED], help="only this kind of record"
    )
    parser.add_argument("--since", default="", metavar="TIME", help="RFC 3339, or 30s, 15m, 2h, 7d ago")
    parser.add_argument("--json", action="store_true", help="the records as they are, one a line")
    parser.add_argument(
        "--verify", action="store_true", help="check the chain; exit status 1 when it is broken"
    )
    return parser


def _chosen(state_dir: str, session: str) -> list[str]:
    """Return the ids that the command line means."""
    known = query.sessions(state_dir)
    if not session:
        return known
    if session == "last":
        return _last(state_dir, known)
    if session in known:
        return [session]
    fitting = [name for name in known if name.startswith(session)]
    if len(fitting) != 1:
        raise UsageError(
            f"no session {session!r} has a log in {state_dir!r}", hint="`ringfence log` shows all"
        )
    return fitting


def _last(state_dir: str, known: list[str]) -> list[str]:
    """Return the session that began last: one from a pool begins later than its id says."""
    from ringfence.pool.place import OLDEST

    best, found = "", known[-1:]
    for name in reversed(known):
        if name < _compact(best, OLDEST + _SLACK):
            break
        began = _began(state_dir, name)
        if began > best:
            best, found = began, [name]
    return found


def _began(state_dir: str, name: str) -> str:
    """Return when an agent's session began; "" where a log is of what was done with its copy afterwards."""
    with open(query.path_of(state_dir, name), "rb") as file:
        line = file.readline(1 << 20)
    return member_of(line.decode("latin-1"), "time") if b'"tier":' in line else ""


def _compact(moment: str, before: float) -> str:
    """Return how the id of a session made so many seconds before a moment begins; "" for no moment."""
    if not moment:
        return ""
    import datetime as dt

    made = dt.datetime.fromisoformat(moment) - dt.timedelta(seconds=before)
    return made.strftime("%Y%m%d-%H%M%S")


def _since(text: str) -> str:
    """Return a time as records spell it, from RFC 3339 or from an age such as `2h`."""
    if not text:
        return ""
    unit = {"s": 1, "m": 60, "h": 3600, "d": 86400}.get(text[-1])
    if unit and text[:-1].isdecimal():
        return _utc(time.time() - int(text[:-1]) * unit)
    import datetime as dt

    try:
        return _utc(dt.datetime.fromisoformat(text).timestamp())
    except ValueError:
        raise UsageError(
            f"not a time: {text!r}", hint="write 2026-01-31T12:00:00Z, or an age: 15m, 2h, 7d"
        ) from None


def _utc(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))


def _events(state_dir: str, names: list[str]) -> "Iterator[Event]":
    return query.merge(query.read(query.path_of(state_dir, name)) for name in names)


def _follow(state_dir: str, session: str, wanted: query.Filter, write: "Writing") -> None:
    """Write what is there, then records as they come, also of sessions that start later."""
    tails: dict[str, Tail] = {}
    while True:
        for name in _chosen(state_dir, session):
            if name not in tails:
                tails[name] = Tail(query.path_of(state_dir, name))
        fresh = query.merge([list(tail.fresh()) for tail in tails.values()])
        for event in query.select(fresh, wanted):
            write(sys.stdout, event)
        sys.stdout.flush()
        time.sleep(POLL)


class Tail:
    """What is still unread of one growing log."""

    def __init__(self, path: str) -> None:
        """Start at the beginning."""
        self._path = path
        self._at = 0

    def fresh(self) -> "Iterator[Event]":
        """Yield what was written since the last call, whole lines only."""
        try:
            with open(self._path, "rb") as file:
                file.seek(self._at)
                data = file.read()
        except FileNotFoundError:
            return
        whole = data[: data.rfind(b"\n") + 1]
        self._at += len(whole)
        for line in whole.split(b"\n")[:-1]:
            yield query.event_of(line.decode("latin-1"))


def _write_json(out: "TextIO", event: Event) -> None:
    common = {name: getattr(event, name) for name in COMMON if name != "hash"}
    out.write(encoded(**common, fields=dict(event.fields))[0] + "\n")


def _write_line(out: "TextIO", event: Event) -> None:
    """Write one record as one line. Every value is escaped: a log may hold what an agent chose."""
    fields = {name: value for name, value in event.fields if value != ""}
    parts = [_shown(name, fields.pop(name)) for name in FIRST if name in fields]
    parts += [_shown(name, value) for name, value in fields.items() if name != "truncated"]
    head = (f"{printable(event.time):<27}", f"{printable(event.session):<{SESSION_WIDTH}}", _kind(out, event))
    out.write("  ".join((*head, *parts)).rstrip() + "\n")


def _kind(out: "TextIO", event: Event) -> str:
    """Return the kind, coloured by verdict on a terminal: the verdict itself stands in the line as well."""
    kind = f"{printable(event.kind):<{KIND_WIDTH}}"
    colour = COLOURS.get(query.verdict_of(event))
    if colour is None or not out.isatty() or "NO_COLOR" in host().set_variables:
        return kind
    return f"\x1b[{colour}m{kind}\x1b[0m"


def _shown(name: str, value: object) -> str:
    """Return a field as `name=value`, quoted where it has spaces."""
    text = printable(value if isinstance(value, str) else encode(value))
    quoted = isinstance(value, str) and (not text or " " in text)
    return f'{printable(name)}="{text}"' if quoted else f"{printable(name)}={text}"


def _verify(state_dir: str, names: list[str], *, everything: bool) -> int:
    """Check logs and the file of heads; print what was found and return 0 or 1."""
    heads, known = verify.verify_heads(state_dir)
    reports = [verify.verify(query.path_of(state_dir, name), name, known.get(name)) for name in names]
    for report in [heads, *reports]:
        for finding in report.findings:
            print(finding)
    if everything:
        for session in sorted(known.keys() - set(names)):
            if known[session].pruned:
                continue
            print(f"warning: {query.path_of(state_dir, session)}: the log of this session is gone")
    broken = [report for report in [heads, *reports] if not report.ok]
    records = sum(report.records for report in reports)
    running = sum(1 for report in reports if report.running)
    pruned = len({one for one, head in known.items() if head.pruned}.difference(names)) if everything else 0
    print(
        f"{len(reports)} log{'' if len(reports) == 1 else 's'}, {records} records, {running} running"
        + (f", {pruned} pruned: " if pruned else ": ")
        + (f"{len(broken)} broken" if broken else "nothing changed, nothing missing")
    )
    return 1 if broken else 0


if TYPE_CHECKING:
    from collections.abc import Callable

    Writing = Callable[[TextIO, Event], None]
