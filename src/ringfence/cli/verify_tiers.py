"""`ringfence verify --tier all`: the same battery against every tier of this machine, as one table."""

import json
import os
import sys
import time
from xml.etree import ElementTree as ET

from ringfence.boundary import choice
from ringfence.cli import options
from ringfence.cli.request import OPTIONS, request
from ringfence.errors import RingfenceError
from ringfence.host import probe
from ringfence.host.model import Host
from ringfence.value import replace
from ringfence.verify import battery
from ringfence.verify.attacks import ATTACKS, Attack
from ringfence.verify.battery import Result

_MARKS = {True: "held", False: "THROUGH", None: "?"}
_START = Result(id="START", title="start a session to attack", row="", held=False, evidence="")

Found = dict[str, list[Result]]  # tier → results


def run(words: tuple[str, ...], given: options.Given, chosen: tuple[Attack, ...]) -> int:
    """Attack every tier that is here; 0 only if in each of them everything held that has an object there."""
    host = probe.host()
    found: Found = {}
    missing: dict[str, str] = {}
    seconds: dict[str, float] = {}
    for tier, runtime in choice.held_here(host, os.getcwd()):
        if runtime.refused:
            missing[tier] = runtime.refused
            continue
        sys.stderr.write(f"attacking {tier} …\n")
        began = time.monotonic()
        found[tier] = _attacked(("--tier", tier, *words), host, chosen, given.one("--weaken"))
        seconds[tier] = time.monotonic() - began
    report = given.one("--junit")
    if report:
        _write_junit(report, found, missing)
    if "--json" in given.switches:
        print(json.dumps(_rows(found), indent=2))
    else:
        print(_table(found, missing, seconds))
    return 0 if found and all(map(battery.well, found.values())) else 1


def _attacked(words: tuple[str, ...], host: Host, chosen: tuple[Attack, ...], weakening: str) -> list[Result]:
    results: list[Result] = []
    try:
        asked = request(options.read(list(words), OPTIONS, "ringfence verify"), host, ("sh",))
        results.extend(battery.run(words, asked, host, chosen, weakening))
    except RingfenceError as error:  # one tier that does not start says nothing of the others
        results.append(replace(_START, evidence=str(error)))
    return results


def _rows(found: Found) -> list[dict[str, object]]:
    return [
        {"attack": one.id, "tier": tier, "held": one.held, "evidence": one.evidence}
        for tier, results in found.items()
        for one in results
    ]


def _table(found: Found, missing: dict[str, str], seconds: dict[str, float]) -> str:
    marks = {tier: {one.id: _mark(one) for one in results} for tier, results in found.items()}
    titles = {one.id: one.title for one in (_START, *ATTACKS)}
    lines = ["attack" + " " * 48 + "".join(f"{tier:<10}" for tier in found)]
    for id_, title in titles.items():
        if any(id_ in one for one in marks.values()):
            cells = "".join(f"{one.get(id_, '?'):<10}" for one in marks.values())
            lines.append(f"{id_:<6}{title[:46]:<48}{cells}".rstrip())
    lines += ["", *(line for tier, results in found.items() for line in _not_held(tier, results))]
    lines += [
        f"{tier} {sum(one.tries for one in results)} tries, {seconds[tier]:.1f} s"
        for tier, results in found.items()
    ]
    lines += [f"{tier} cannot be had here: {why}" for tier, why in missing.items()]
    return "\n".join(lines)


def _mark(one: Result) -> str:
    return _MARKS[one.held] if one.applies else "-"


def _not_held(tier: str, results: list[Result]) -> list[str]:
    """Say what got through, and what was not attempted, a "?" in the table."""
    lines = [f"{tier} {one.id} GOT THROUGH: {one.evidence}" for one in results if one.held is False]
    untried = [one for one in results if one.held is None and one.applies]
    return lines + [f"{tier} {one.id} not attempted: {one.evidence}" for one in untried]


def _write_junit(path: str, found: Found, missing: dict[str, str]) -> None:
    top = ET.Element("testsuites", name="ringfence verify")
    for tier, results in found.items():
        suite = ET.SubElement(
            top, "testsuite", name=tier, tests=str(len(results)),
            failures=str(sum(one.held is False for one in results)),
            errors=str(sum(one.held is None and one.applies for one in results)),
            skipped=str(sum(not one.applies for one in results)),
        )  # fmt: skip
        for one in results:
            case = ET.SubElement(suite, "testcase", classname=tier, name=f"{one.id} {one.title}")
            if one.held is not True:
                kind = "failure" if one.held is False else "error" if one.applies else "skipped"
                ET.SubElement(case, kind, message=_printable(one.evidence))
            ET.SubElement(case, "system-out").text = _printable(one.evidence)
    for tier, why in missing.items():
        suite = ET.SubElement(top, "testsuite", name=tier, tests="1", failures="0", skipped="1")
        case = ET.SubElement(suite, "testcase", classname=tier, name="is here")
        ET.SubElement(case, "skipped", message=why)
    ET.ElementTree(top).write(path, encoding="utf-8", xml_declaration=True)


def _printable(text: str) -> str:
    """Leave out what XML cannot hold: an attacker's evidence may hold any byte."""
    return "".join(char if char.isprintable() else "?" for char in text)
