"""Counts the names that are used below a wildcard: each of them is a message to whoever owns the suffix.

Under a rule for `*.example.com` the agent chooses what stands before the suffix, and the owner's nameserver
hears it before any request is judged by its content. Nobody needs thousands of names; so there are limits to
how many of them one session uses, and to what they hold together. A name is counted when it is first
resolved, connected to or asked for, and then no more. Names that a rule spells out carry nothing and do not
count.

What is kept ends at the limits: a name too many is not remembered.
"""

from ringfence.egress.refusal import NAMES, Refusal
from ringfence.policy.model import Watch
from ringfence.verdict.request import Rules

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


class Below:
    """What was used below one suffix."""

    __slots__ = ("bytes", "full", "names")

    def __init__(self) -> None:
        self.names: set[str] = set()
        self.bytes = 0
        self.full = False  # a name was refused, which the operator has been told


class Variety:
    """The names of one session, by the suffix that they stand below."""

    def __init__(self, tell: "Callable[[str], None]") -> None:
        """`tell` puts on record, once for each suffix, that its limit is reached."""
        self._tell = tell
        self._limits: tuple[int | None, int | None] = (None, None)
        self._below: dict[str, Below] = {}

    def limit(self, watch: Watch) -> None:
        """Set the limits; what was counted under others stays counted."""
        self._limits = watch.names, watch.name_bytes

    def admit(self, host: str, rules: Rules) -> Refusal | None:
        """Count a name that a rule may let pass, or refuse it."""
        suffixes = rules.allow.wildcards(host)
        if not suffixes or self._limits == (None, None):
            return None
        new = []
        for suffix in suffixes:
            below = self._below.setdefault(suffix, Below())
            if host in below.names:
                continue
            size = len(host) - len(suffix) - 1
            reached = self._reached(below, size)
            if reached:
                return self._refused(host, suffix, below, reached)
            new.append((below, size))
        for below, size in new:
            below.names.add(host)
            below.bytes += size
        return None

    def _reached(self, below: Below, size: int) -> str:
        """Name the limit that one more name would go beyond."""
        names, most = self._limits
        if names is not None and len(below.names) >= names:
            return f"names = {names}"
        if most is not None and below.bytes + size > most:
            return f"name_bytes = {most}"
        return ""

    def _refused(self, host: str, suffix: str, below: Below, reached: str) -> Refusal:
        if not below.full:
            below.full = True
            self._tell(
                f"{len(below.names)} names below *.{suffix} were used, with {below.bytes} bytes before it: "
                f"no new one is let through (watch.{reached})"
            )
        return Refusal(
            status=403,
            kind=NAMES,
            message=f"{host} was refused: this session has used as many different names below *.{suffix} "
            f"as the policy lets it",
            host=host,
            rule=f"policy: [watch] {reached}",
            how=f"names used before still work; the operator can allow {host} by a rule of its own, or raise "
            f"`{reached.partition(' ')[0]}` in the policy's [watch]",
        )
