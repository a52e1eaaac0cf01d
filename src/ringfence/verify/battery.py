"""The battery: every attack of the table on real sessions under the operator's own final policy.

One session takes all that can be tried from inside; what shows on the host only, while or after a session
runs, has sessions of its own beside it.
"""

import os
import time
from concurrent.futures import ThreadPoolExecutor

from ringfence.host.model import Host
from ringfence.preparation import Request
from ringfence.value import Struct
from ringfence.verify import facts as facts_of
from ringfence.verify import outside, pressure, race, records, session
from ringfence.verify.applicable import why_not
from ringfence.verify.attacks import ATTACKS, OUTSIDE, PLANTED, Attack
from ringfence.verify.canary import Canaries
from ringfence.verify.session import Starter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    Found = dict[str, dict[str, object]]  # module → finding

_EXIT = "the end of the session that makes the attacks"  # beside the modules' names
_STARTS_WEAKENED = 40  # tries of a race that is to be won
HALVES = {
    "terminal": outside.terminal,
    "leftovers": outside.leftovers,
    "memory": pressure.memory,
    "swapped": race.swap,
}


class Result(Struct):
    """What came of one attack."""

    id: str
    title: str
    row: str
    held: bool | None  # None: it could not be attempted, which is never counted as held
    evidence: str
    tries: int = 0
    applies: bool = True  # False: there is no object for it in this tier, so it need not be attempted


def well(results: "list[Result]") -> bool:
    """Tell whether everything held that has an object here."""
    return all(one.held is True or not one.applies for one in results)


def run(
    options: tuple[str, ...],
    request: Request,
    host: Host,
    chosen: tuple[Attack, ...] = ATTACKS,
    weakening: str = "",
) -> "Iterator[Result]":
    """Attack sessions started with these options of `run`, which say `request`; yield in the table's order.

    Raises BoundaryError if there is no boundary to attack. `weakening`: of `cli.weakened`, for tests.
    """
    with Canaries(request.workspace) as canaries:
        plan = facts_of.read_plan(request, host)
        known = {**facts_of.gather(plan, host), **canaries.facts, "variables": _planted_variables()}
        if plan.tier == "gvisor":
            canaries.open_in_project()  # after the facts, which name sockets that no tier may reach
            known |= canaries.facts
        known["abstract"] = [*known["abstract"], canaries.facts["canary_abstract"]]  # type: ignore[misc]
        beside = os.path.join(str(canaries.facts["planted_folder"]), "socket")
        known["sockets"] = [*known["sockets"], beside]  # type: ignore[misc]
        known["starts"] = _STARTS_WEAKENED if weakening else 0
        start = session.starter(options, canaries.token, weakening)
        yield from attack(start, known, canaries, chosen)


def attack(
    start: Starter, known: dict[str, object], canaries: Canaries, chosen: tuple[Attack, ...] = ATTACKS
) -> "Iterator[Result]":
    """Make the attacks on sessions of one starter."""
    tier = str(known.get("tier", ""))
    wanted = tuple(one for one in chosen if not why_not(one.id, tier))
    found = _lanes(start, known, canaries, wanted)
    for one in chosen:
        why = why_not(one.id, tier)
        yield _nowhere(one, why) if why else _result(one, found.get(one.module))


def _lanes(
    start: Starter, known: dict[str, object], canaries: Canaries, wanted: tuple[Attack, ...]
) -> "Found":
    """Make the attacks, in two lanes at once where sessions cannot get in each other's way.

    In a project that is no copy what one session plants another could take for its own. The race changes the
    project from outside, which others compare with what it was: it comes when they are done.
    """
    began = time.time()
    daemons = tuple(one for one in wanted if one.module == "leftovers")
    apart = tuple(one for one in wanted if one.kind == OUTSIDE and one.module != "swapped")
    together = tuple(one for one in wanted if one.kind != OUTSIDE)
    last = tuple(one for one in wanted if one.module == "swapped")
    with ThreadPoolExecutor(2 if known.get("copied") else 1) as pool:
        inside = pool.submit(_inside, start, known, canaries, together, daemons)
        beside = pool.submit(_apart, start, known, apart)
        found = {**beside.result(), **inside.result(), **_apart(start, known, last)}
    if _EXIT in found:
        found["leftovers"] = _both(found.pop(_EXIT), found["leftovers"])
    recorded = records.holding(str(known["token"]), str(known.get("state_dir", "")), began)
    if recorded and "secrets" in found:
        found["secrets"] = {"held": False, "evidence": f"it stands in {', '.join(recorded[:4])}"}
    return found


def _inside(
    start: Starter,
    known: dict[str, object],
    canaries: Canaries,
    attacks: tuple[Attack, ...],
    daemons: tuple[Attack, ...],
) -> "Found":
    """Make all that is tried from inside in one session, which leaves daemons behind when it ends."""
    if not attacks and not daemons:
        return {}
    mark = outside.new_mark()
    known = {**known, "mark": mark[::-1], "stay": False}
    ordered = sorted(attacks, key=lambda one: one.kind == PLANTED)  # those that change the project last
    found = outside.planted(start, (*ordered, *daemons), known, canaries.descriptors)
    if daemons:
        found[_EXIT] = outside.after_exit(mark, found.pop("leftovers", None))
    if canaries.visits and "network" in found:
        evidence = f"the battery's own server on the host got {canaries.visits[0]}"
        found["network"] = {"held": False, "evidence": evidence}
    return found


def _both(one: dict[str, object], other: dict[str, object]) -> dict[str, object]:
    """Join two findings on one attack: the worse counts."""
    worse = next((found for found in (one, other) if found["held"] is not True), None)
    return worse or {**other, "evidence": f"{one['evidence']}; {other['evidence']}"}


def _apart(start: Starter, known: dict[str, object], attacks: tuple[Attack, ...]) -> "Found":
    return {one.module: HALVES[one.module](start, one, known) for one in attacks}


def _nowhere(one: Attack, why: str) -> Result:
    text = f"not applicable: {why}"
    return Result(id=one.id, title=one.title, row=one.row, held=None, evidence=text, applies=False)


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
