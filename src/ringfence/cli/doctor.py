"""`ringfence doctor`: say what this machine offers to the sandbox tier, and how to mend what is missing."""

import json
import sys

from ringfence.boundary import choice
from ringfence.errors import UsageError
from ringfence.host import probe
from ringfence.host.features import DEGRADED, MISSING, OK, Feature, container
from ringfence.value import plain

USAGE = """usage: ringfence doctor [--json]

Tries every kernel feature that a session is made of, in forked children that leave nothing behind.
Other tiers than the sandbox are listed with what they lack.
Exits with 0 if the sandbox tier can run here, else with 1.
"""


def main(arguments: list[str]) -> int:
    """Print the survey; 0 if a session can start on this machine."""
    if arguments in (["-h"], ["--help"]):
        sys.stdout.write(USAGE)
        return 0
    if arguments not in ([], ["--json"]):
        raise UsageError(f"unknown argument `{arguments[-1]}`", hint="ringfence doctor [--json]")
    found = _survey()
    able = can_run(found)
    text = _json(found, able=able) if arguments else _text(found, able=able)
    sys.stdout.write(text)
    return 0 if able else 1


def can_run(found: tuple[Feature, ...]) -> bool:
    """Tell whether everything is there that the sandbox tier cannot do without."""
    return all(feature.verdict != MISSING for feature in found if feature.needed)


def _survey() -> tuple[Feature, ...]:
    if sys.platform == "darwin":
        return _mac()
    from ringfence.host.survey import survey

    host = probe.host()
    return (*survey(host.state_dir, host.bwrap, host.system_bwrap), *map(_tier, choice.OTHERS))


def _tier(name: str) -> Feature:
    """Tell whether another tier than the sandbox can be had."""
    host = probe.host()
    found = choice.runtime_of(name, host, host.state_dir)
    return Feature(
        name=f"tier {name}",
        what=f"tier {name}",
        verdict=DEGRADED if found.refused else OK,
        detail=found.refused or f"{found.path} {found.version}".strip(),
        consequence=f'policies with `tier = ["{name}"]` are refused here' if found.refused else "",
        mend=found.mend if found.refused else "",
    )


def _mac() -> tuple[Feature, ...]:
    import os

    there = os.access("/usr/bin/sandbox-exec", os.X_OK)
    seatbelt = Feature(
        name="seatbelt",
        what="Seatbelt",
        verdict=OK if there else MISSING,
        detail="/usr/bin/sandbox-exec" if there else "no /usr/bin/sandbox-exec",
        consequence="" if there else "no boundary can be made",
        mend="" if there else "run ringfence in a Linux virtual machine",
        needed=True,
    )
    return (seatbelt,)


_MARKS = {OK: "ok      ", DEGRADED: "degraded", MISSING: "missing "}


def _text(found: tuple[Feature, ...], *, able: bool) -> str:
    width = max(len(feature.what) for feature in found)
    lines = []
    for feature in found:
        lines.append(f"{_MARKS[feature.verdict]}  {feature.what:<{width}}  {feature.detail}")
        if feature.verdict != OK:
            indent = " " * (12 + width)
            lines += [f"{indent}means: {feature.consequence}"] if feature.consequence else []
            lines += [f"{indent}mend:  {feature.mend}"] if feature.mend else []
    return "\n".join([*lines, "", _verdict(found, able=able), ""])


def _verdict(found: tuple[Feature, ...], *, able: bool) -> str:
    if able:
        short = [
            feature.what
            for feature in found
            if feature.verdict != OK and not feature.name.startswith("tier ")
        ]
        rest = f", with less than everything: {', '.join(short)}" if short else ""
        return f"The sandbox tier can run here{rest}."
    refused = any(
        feature.name == "bwrap" and f"{container()} container whose own filter" in feature.detail
        for feature in found
    )
    inside = container() if refused else ""
    if inside:
        return (
            f"The sandbox tier cannot run in this {inside} container: its filter refuses new\n"
            "namespaces, so the container itself is the only boundary there is. ringfence does not\n"
            "pretend otherwise: it refuses to run."
        )
    return "The sandbox tier cannot run here: `ringfence run` refuses until what is `missing` is mended."


def _json(found: tuple[Feature, ...], *, able: bool) -> str:
    return json.dumps({"sandbox": able, "features": plain(found)}, indent=2) + "\n"
