"""Counting what a gate does, for those who watch it: numbers by identity, in Prometheus' text format.

Everything that is counted goes through the record, so the two agree. No host, path or name of a client is
ever a label: an agent could make as many of them as it likes.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Labels = tuple[tuple[str, str], ...]

HELP = {
    "ringfence_verdicts_total": "Decisions on requests and connections, by effect.",
    "ringfence_refused_total": "What was refused for another reason than a rule.",
    "ringfence_responses_total": "Answers passed back, by class of status; 0: a raw connection.",
    "ringfence_sent_bytes_total": "Bytes of requests and tunnels sent to upstreams.",
    "ringfence_received_bytes_total": "Bytes of answers and tunnels received from upstreams.",
    "ringfence_dials_total": "Connections made to upstreams, by outcome.",
    "ringfence_strangers_total": "Clients that belonged to no identity.",
    "ringfence_access_lines_lost_total": "Lines of the access log that could not be written.",
    "ringfence_reloads_total": "Reloads of the configuration, by outcome.",
    "ringfence_connections": "Client connections now.",
    "ringfence_passages": "Requests and tunnels under way now.",
    "ringfence_up": "1 where an identity is served, 0 where it was stopped.",
    "ringfence_start_time_seconds": "When the service started.",
}


class Tally:
    """Counters by name and labels."""

    def __init__(self) -> None:
        self.counts: dict[tuple[str, Labels], float] = {}

    def add(self, name: str, amount: float = 1, **labels: str) -> None:
        """Count something."""
        key = (name, tuple(sorted(labels.items())))
        self.counts[key] = self.counts.get(key, 0) + amount

    def event(self, kind: str, fields: "dict[str, object]") -> None:
        """Count what is put on record."""
        if kind == "verdict":
            self.add("ringfence_verdicts_total", effect=str(fields.get("effect")))
        elif kind == "refused":
            self.add("ringfence_refused_total")
        elif kind == "dial":
            self.add("ringfence_dials_total", outcome="failed" if "error" in fields else "made")
        elif kind == "response":
            status = fields.get("status")
            shown = f"{status // 100}xx" if isinstance(status, int) and status else "0"
            self.add("ringfence_responses_total", status=shown)
            self.add("ringfence_sent_bytes_total", _number(fields.get("up")))
            self.add("ringfence_received_bytes_total", _number(fields.get("down")))


def _number(value: object) -> float:
    return value if isinstance(value, (int, float)) else 0


def render(rows: "Iterable[tuple[str, Labels, float]]") -> str:
    """Return rows in Prometheus' text format, each family under its help."""
    families: dict[str, list[str]] = {}
    for name, labels, value in rows:
        shown = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels)
        families.setdefault(name, []).append(
            f"{name}{{{shown}}} {value:.17g}" if shown else f"{name} {value:.17g}"
        )
    return "".join(line + "\n" for name in sorted(families) for line in _family(name, families[name]))


def _family(name: str, lines: list[str]) -> "Iterator[str]":
    yield f"# HELP {name} {HELP[name]}"
    yield f"# TYPE {name} {'counter' if name.endswith('_total') else 'gauge'}"
    yield from sorted(lines)


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
