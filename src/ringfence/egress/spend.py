"""What the model has cost so far, in this session and today, against the policy's limits.

Sessions of one user share a day: each appends what it used to the day's file, a line an answer, and reads
what the others have added. A line is written in one piece, so nothing is lost or counted twice.
"""

import os
import time

from ringfence.egress import refusal
from ringfence.egress.refusal import Refusal
from ringfence.egress.usage import Usage
from ringfence.policy.model import ModelBudget

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_TABLE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "prices.toml")
_TOKENS, _COST = 0, 1


class Prices:
    """The table of prices."""

    def __init__(self) -> None:
        import tomllib  # 2 ms that most sessions do without

        with open(_TABLE, "rb") as file:
            table = tomllib.load(file)
        self.date: str = table["date"]
        self._prices: dict[str, list[float]] = table["prices"]
        self._dearest = [max(column) for column in zip(*self._prices.values(), strict=True)]

    def cost(self, usage: Usage) -> float:
        """Return what an answer cost, in US dollars; an unknown model costs what the dearest one does."""
        given, taken, read, write, write_1h = self.of(usage.model) or self._dearest
        tokens = usage.tokens
        short = max(tokens["write"] - tokens["write_1h"], 0)
        return (
            tokens["input"] * given
            + tokens["output"] * taken
            + tokens["read"] * read
            + short * write
            + tokens["write_1h"] * write_1h
        ) / 1e6

    def of(self, model: str) -> list[float] | None:
        """Return the prices of a model, whichever service runs it; None where the table has none."""
        name = model.rpartition("/")[2].rpartition("anthropic.")[2]
        fitting = [one for one in self._prices if name.startswith(one)]
        return self._prices[max(fitting, key=len)] if fitting else None


class Ledger:
    """What all of this user's sessions used today."""

    def __init__(self, folder: str, clock: "Callable[[], float]" = time.time) -> None:
        self._folder = folder
        self._clock = clock
        self._day = ""
        self._read = 0  # bytes of the day's file that are counted
        self._rest = b""
        self._sums = [0.0, 0.0]

    def add(self, tokens: int, cost: float) -> None:
        """Put one answer into the day's file."""
        path = self._today()
        os.makedirs(self._folder, mode=0o700, exist_ok=True)
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            os.write(fd, f"{tokens} {cost:.9f}\n".encode())
        finally:
            os.close(fd)

    def sums(self) -> tuple[float, float]:
        """Return today's tokens and cost."""
        path = self._today()
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            return 0.0, 0.0
        try:
            while piece := os.pread(fd, 1 << 16, self._read):
                self._read += len(piece)
                self._take(piece)
        finally:
            os.close(fd)
        return self._sums[_TOKENS], self._sums[_COST]

    def _take(self, piece: bytes) -> None:
        *lines, self._rest = (self._rest + piece).split(b"\n")
        for line in lines:
            tokens, _, cost = line.partition(b" ")
            try:
                self._sums[_TOKENS] += int(tokens)
                self._sums[_COST] += float(cost)
            except ValueError:
                continue  # not a line of ours

    def _today(self) -> str:
        day = time.strftime("%Y-%m-%d", time.gmtime(self._clock()))
        if day != self._day:
            self._day, self._read, self._rest, self._sums = day, 0, b"", [0.0, 0.0]
        return f"{self._folder}/{day}"


class Spend:
    """The limits of one session, and what was used."""

    def __init__(self, budget: ModelBudget, ledger: Ledger, warn: "Callable[[str], None]") -> None:
        self._budget = budget
        self._ledger = ledger
        self._warn = warn
        self._prices: Prices | None = None
        self._session = [0.0, 0.0]
        self._warned: set[str] = set()

    def __bool__(self) -> bool:
        budget = self._budget
        return any(
            limit is not None
            for limit in (budget.session_tokens, budget.session_cost, budget.day_tokens, budget.day_cost)
        )

    def stop(self, host: str) -> Refusal | None:
        """Refuse a further question to the model once a limit is used up."""
        for name, used, limit in self._limits():
            if used >= limit:
                return Refusal(
                    status=403,
                    kind=refusal.BUDGET,
                    message=f"the model budget is used up: {_shown(name, used)} of {_shown(name, limit)} "
                    f"{_WORDS[name]}. Nothing is wrong with the account or the login; "
                    "the operator of this sandbox set the limit",
                    host=host,
                    rule=f"model: {name}",
                    how=f"the operator can raise `{name}` under [model] in the policy",
                )
        return None

    def unseen(self, host: str, what: str) -> Refusal:
        """Refuse what would run up a cost that the gate never sees."""
        return Refusal(
            status=403,
            kind=refusal.BUDGET,
            message=f"{what} are refused while the policy limits what the model may cost: "
            "the gate does not see what they use",
            host=host,
            how="ask one at a time, or have the operator lift the limits under [model]",
        )

    def add(self, usage: Usage) -> dict[str, object]:
        """Count one answer; return what goes on record."""
        cost = self.prices.cost(usage)
        self._session[_TOKENS] += usage.total
        self._session[_COST] += cost
        if self._budget.day_tokens is not None or self._budget.day_cost is not None:
            self._ledger.add(usage.total, cost)
        for name, used, limit in self._limits():
            if used >= limit * self._budget.warn and name not in self._warned:
                self._warned.add(name)
                self._warn(f"the model has used {_shown(name, used)} of {_shown(name, limit)} {_WORDS[name]}")
        return {
            "model": usage.model,
            **{f"tokens_{kind}": count for kind, count in usage.tokens.items() if count},
            "cost": round(cost, 6),
            **({} if usage.stated else {"estimated": True}),
        }

    @property
    def prices(self) -> Prices:
        """The table, read when first needed."""
        if self._prices is None:
            self._prices = Prices()
        return self._prices

    def _limits(self) -> list[tuple[str, float, float]]:
        budget = self._budget
        day = (
            self._ledger.sums()
            if budget.day_tokens is not None or budget.day_cost is not None
            else (0.0, 0.0)
        )
        rows = (
            ("session_tokens", self._session[_TOKENS], budget.session_tokens),
            ("session_cost", self._session[_COST], budget.session_cost),
            ("day_tokens", day[_TOKENS], budget.day_tokens),
            ("day_cost", day[_COST], budget.day_cost),
        )
        return [(name, used, limit) for name, used, limit in rows if limit is not None]


_WORDS = {
    "session_tokens": "tokens of this session",
    "session_cost": "for this session",
    "day_tokens": "tokens of this day",
    "day_cost": "for this day",
}


def _shown(name: str, amount: float) -> str:
    return f"${amount:.2f}" if name.endswith("cost") else f"{amount:,.0f}"
