"""The battery: every attack of the table on a real session under the operator's own final policy."""

import os

from ringfence.host.model import Host
from ringfence.preparation import Request
from ringfence.value import Struct
from ringfence.verify import facts as facts_of
from ringfence.verify import outside, session
from ringfence.verify.attacks import ATTACKS, INSIDE, PLANTED, Attack
from ringfence.verify.canary import Canaries
from ringfence.verify.session import Starter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


class Result(Struct):
    """What came of one attack."""

    id: str
    title: str
    row: str
    held: bool | None  # None: it could not be attempted, which is never counted as held
    evidence: str
    tries: int = 0


def run(options: tuple[str, ...], request: Request, host: Host) -> "Iterator[Result]":
    """Attack sessions started with these options of `run`, which say `request`; yield in the table's order.

    Raises BoundaryError if there is no boundary to attack.
    """
    plan = facts_of.read_plan(request, host)
    with Canaries() as canaries:
        known = {**facts_of.gather(plan, host), **canaries.facts, "variables": _planted_variables()}
        known["abstract"] = [*known["abstract"], canaries.facts["canary_abstract"]]  # type: ignore[misc]
        known["sockets"] = [*known["sockets"], os.path.join(str(canaries.facts["planted_folder"]), "socket")]  # type: ignore[misc]
        yield from attack(session.starter(options, canaries.token), known, canaries)


def attack(start: Starter, known: dict[str, object], canaries: Canaries) -> "Iterator[Result]":
    """Make all attacks on sessions of one starter."""
    inside = session.make(start, _of(INSIDE), known, canaries.descriptors)
    if canaries.visits:
        evidence = f"the battery's own server on the host got {canaries.visits[0]}"
        inside["network"] = {"held": False, "evidence": evidence}
    planted: dict[str, dict[str, object]] | None = None
    for one in ATTACKS:
        if one.kind == INSIDE:
            found = inside.get(one.module)
        elif one.kind == PLANTED:
            planted = planted if planted is not None else outside.planted(start, _of(PLANTED), known)
            found = planted.get(one.module)
        else:
            found = getattr(outside, one.module)(start, one, known)
        yield _result(one, found)


def _of(kind: str) -> tuple[Attack, ...]:
    return tuple(one for one in ATTACKS if one.kind == kind)


def _result(one: Attack, found: "dict[str, object] | None") -> Result:
    found = found or {"held": None, "evidence": "the session ended before this attack"}
    held = found["held"] if isinstance(found["held"], bool) else None
    tries = found.get("tries", 0)
    return Result(
        id=one.id,
        title=one.title,
        row=one.row,
        held=held,
        evidence=str(found["evidence"]),
        tries=tries if isinstance(tries, int) else 0,
    )


def _planted_variables() -> list[str]:
    return [*session.TOKEN_VARIABLES, session.FUNCTION_VARIABLE]
