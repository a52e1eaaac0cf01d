"""`ringfence verify --tier all`: the same battery against every tier of this machine, as one table."""

import json
import os
import sys
from xml.etree import ElementTree as ET

from ringfence.boundary import choice
from ringfence.cli import options
from ringfence.cli.request import OPTIONS, request
from ringfence.errors import BoundaryError, HostError
from ringfence.host import probe
from ringfence.host.model import Host
from ringfence.value import replace
from ringfence.verify import battery
from ringfence.verify.attacks import ATTACKS
from ringfence.verify.battery import Result

_MARKS = {True: "held", False: "THROUGH", None: "-"}
_START = Result(id="START", title="start a session to attack", row="", held=False, evidence="")
_OWN = (options.Option(name="--json"), options.Option(name="--junit", value="FILE"))


def run(arguments: list[str], given: options.Given) -> int:
    """Attack every tier; 0 only if in none of those that are here anything got through."""
    host = probe.host()
    kept = _without_tier(arguments)
    found: dict[str, list[Result]] = {}
    missing: dict[str, str] = {}
    for tier, runtime in choice.held_here(host, os.getcwd()):
        if runtime.refused:
            missing[tier] = runtime.refused
        else:
            sys.stderr.write(f"attacking {tier} …\n")
            found[tier] = _attacked(tier, kept, host)
    report = given.one("--junit")
    if report:
        _write_junit(report, found, missing)
    if "--json" in given.switches:
        print(json.dumps(_rows(found), indent=2))
    else:
        print(_table(found, missing))
    return 1 if any(one.held is False for results in found.values() for one in results) else 0


def _without_tier(arguments: list[str]) -> list[str]:
    """Return the options for the sessions: without those of ours, and without a tier."""
    kept, words = [], iter(arguments)
    for word in words:
        name, equals, _value = word.partition("=")
        if name in {"--tier", "--junit"}:
            _ = None if equals else next(words, None)
        elif word not in {"--json", "--"}:
            kept.append(word)
    return kept


def _attacked(tier: str, kept: list[str], host: Host) -> list[Result]:
    words = ["--tier", tier, *kept]
    asked = request(options.read(words, (*OPTIONS, *_OWN), "ringfence verify"), host, ("sh",))
    results: list[Result] = []
    try:
        results.extend(battery.run(tuple(words), asked, host))
    except (BoundaryError, HostError) as error:  # one tier that does not start says nothing of the others
        results.append(replace(_START, evidence=str(error)))
    return results


def _rows(found: dict[str, list[Result]]) -> list[dict[str, object]]:
    return [
        {"attack": one.id, "tier": tier, "held": one.held, "evidence": one.evidence}
        for tier, results in found.items()
        for one in results
    ]


def _table(found: dict[str, list[Result]], missing: dict[str, str]) -> str:
    marks = {tier: {one.id: _MARKS[one.held] for one in results} for tier, results in found.items()}
    titles = {one.id: one.title for one in (_START, *ATTACKS)}
    lines = ["attack" + " " * 48 + "".join(f"{tier:<10}" for tier in found)]
    for id_, title in titles.items():
        if any(id_ in one for one in marks.values()):
            cells = "".join(f"{one.get(id_, '-'):<10}" for one in marks.values())
            lines.append(f"{id_:<6}{title[:46]:<48}{cells}".rstrip())
    lines.append("")
    for tier, results in found.items():
        lines += [f"{tier} {one.id} GOT THROUGH: {one.evidence}" for one in results if one.held is False]
        lines += [f"{tier} {one.id} not attempted: {one.evidence}" for one in results if one.held is None]
    lines += [f"{tier} cannot be had here: {why}" for tier, why in missing.items()]
    return "\n".join(lines)


def _write_junit(path: str, found: dict[str, list[Result]], missing: dict[str, str]) -> None:
    top = ET.Element("testsuites", name="ringfence verify")
    for tier, results in found.items():
        suite = ET.SubElement(
            top, "testsuite", name=tier, tests=str(len(results)),
            failures=str(sum(one.held is False for one in results)),
            skipped=str(sum(one.held is None for one in results)),
        )  # fmt: skip
        for one in results:
            case = ET.SubElement(suite, "testcase", classname=tier, name=f"{one.id} {one.title}")
            if one.held is not True:
                kind = "failure" if one.held is False else "skipped"
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
