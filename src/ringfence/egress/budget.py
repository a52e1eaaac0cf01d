"""Counts what a session sends and receives, against the budgets of its policy.

A budget is about one host, a suffix, or all hosts together; every budget that fits counts. A request over
budget is refused before it is sent; a body that runs over is cut, and so is the upstream's connection, so
that a cut upload is no whole one.
"""

from ringfence.egress import refusal
from ringfence.egress.filters import Looking
from ringfence.egress.refusal import Refusal, Refused
from ringfence.policy.model import Budget
from ringfence.subject import host_matches

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

REQUESTS, UP, DOWN = "requests", "up", "down"
_WORDS = {REQUESTS: "requests", UP: "bytes sent", DOWN: "bytes received"}


class Account:
    """One budget, and what was used of it."""

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self.used = {REQUESTS: 0, UP: 0, DOWN: 0}

    def left(self, what: str) -> float:
        """Return how much is left; infinite where nothing limits it."""
        limit = getattr(self.budget, what)
        return float("inf") if limit is None else limit - self.used[what]


class Budgets:
    """All budgets of a session."""

    def __init__(self, budgets: "Iterable[Budget]") -> None:
        self._accounts = tuple(Account(one) for one in budgets)

    def __bool__(self) -> bool:
        return bool(self._accounts)

    def about(self, host: str) -> tuple[Account, ...]:
        """Return the accounts that what goes to a host belongs to."""
        return tuple(
            one for one in self._accounts if not one.budget.host or host_matches(one.budget.host, host)
        )

    def admit(self, host: str, size: int = 0) -> Refusal | None:
        """Count one request or connection, or refuse it; the `size` bytes of its head leave as well."""
        accounts = self.about(host)
        for one in accounts:
            for what, least in ((REQUESTS, 1), (UP, size), (DOWN, 0)):
                if one.left(what) < least:
                    return exceeded(one, what, host)
        for one in accounts:
            one.used[REQUESTS] += 1
            one.used[UP] += size
        return None

    def meter(self, what: str, host: str) -> "Meter | None":
        """Return what counts one direction of one exchange, where something limits it."""
        accounts = tuple(one for one in self.about(host) if getattr(one.budget, what) is not None)
        return Meter(accounts, what, host) if accounts else None


class Meter(Looking):
    """A filter that counts one direction of one exchange and cuts it when a budget is used up."""

    def __init__(self, accounts: tuple[Account, ...], what: str, host: str) -> None:
        self._accounts = accounts
        self._what = what
        self._host = host

    def feed(self, data: bytes) -> bytes:
        """Count and pass on; raises Refused."""
        for one in self._accounts:
            one.used[self._what] += len(data)
            if one.left(self._what) < 0:
                raise Refused(exceeded(one, self._what, self._host))
        return data

    def finish(self) -> bytes:
        """Return nothing: all has been passed on."""
        return b""


def exceeded(account: Account, what: str, host: str) -> Refusal:
    """Tell the agent which budget is used up."""
    of = account.budget.host or "all hosts together"
    limit = getattr(account.budget, what)
    return Refusal(
        status=403,
        kind=refusal.BUDGET,
        message=f"the request to {host} was refused: this session's budget of {limit} {_WORDS[what]} "
        f"for {of} is used up",
        host=host,
        rule=f"{account.budget.origin or 'policy'}: budget {of}",
        how=f"the operator can raise `{what}` in the policy's [[budgets]]",
    )
