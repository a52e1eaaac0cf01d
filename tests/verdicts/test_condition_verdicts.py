"""Runs the tables about conditions through the gate's own reading of a request, its body included."""

import json
import os
import re

import pytest
from test_egress_verdicts import gate

from ringfence.egress.gate import Origin, Target
from ringfence.egress.http1 import parse_request
from ringfence.egress.inspect import Inspection
from ringfence.policy import preset, read
from ringfence.policy.decode import decode
from ringfence.value import replace
from ringfence.verdict.request import INSPECT

FOLDER = os.path.dirname(os.path.abspath(__file__))
PAGES = ("conditions.md", "graphql.md", "git.md", "sets.md")
LINE = re.compile(
    r"\| `([A-Z]+) (https?)://([^/`]+)([^`]*)` \| (.*?) ?\| (.*?) ?\| (allow|ask|deny)(?:: (.*))? \|"
)
OLD, NEW, NONE = "1" * 40, "2" * 40, "0" * 40
IDS = {"create": (NONE, NEW), "update": (OLD, NEW), "delete": (OLD, NONE)}


def pkt(line):
    return b"%04x" % (len(line) + 4) + line


def pushed(text):
    """Write what a push asks for as git writes it."""
    if text == "signed":
        return pkt(b"push-cert\0report-status\n") + pkt(b"certificate version 0.1\n") + b"0000"
    commands = [] if text == "nothing" else [one.split(" ", 1) for one in text.split(", ")]
    lines = [" ".join((*IDS[action], ref)).encode() for action, ref in commands]
    return (
        b"".join(pkt(line + (b"" if at else b"\0 report-status")) for at, line in enumerate(lines))
        + b"0000PACK"
    )


def body_of(cell):
    if cell.startswith("push: "):
        return pushed(cell.removeprefix("push: "))
    return cell.strip("`").replace("'", '"').encode()


def policy_of(section):
    data = json.loads(section.partition("```json\n")[2].partition("```")[0])
    found = {effect: [] for effect in ("allow", "ask", "deny")}
    layers = [decode({"egress": {key: value for key, value in data.items() if key != "use"}}, "user")]
    layers += [read.layer(preset.source(name), "/proc/nowhere") for name in data.get("use", ())]
    for layer, problems in layers:
        assert not problems, problems
        for effect, rules in found.items():
            rules.extend(layer["egress"].get(effect, ()))
    return found


def cases():
    for page in PAGES:
        with open(os.path.join(FOLDER, page), encoding="utf-8") as file:
            sections = file.read().split("\n## ")[1:]
        for section in sections:
            title = section.partition("\n")[0]
            found = [LINE.fullmatch(line) for line in section.split("\n") if line.startswith("| `")]
            assert all(found), f"a line of {title!r} cannot be read"
            policy = policy_of(section)
            for at, one in enumerate(found):
                yield pytest.param(
                    policy, one.groups(), id=f"{page} {title} {at}: {one[1]} {one[4]} {one[7]}"
                )


def decided(made, request, body):
    """Decide as the judge does."""
    verdict = made.decide(request)
    if verdict.effect != INSPECT:
        return verdict
    inspection = Inspection(request, verdict.needs)
    pieces = [body[at : at + 7] for at in range(0, len(body), 7)]
    while not inspection.enough:
        inspection.feed(pieces.pop(0) if pieces else b"")
    return made.decide(replace(request, facts=inspection.facts()))


@pytest.mark.parametrize(("policy", "case"), list(cases()))
def test_the_page_is_true(policy, case):
    method, scheme, authority, path, headers, cell, effect, reason = case
    made, body = gate(policy), body_of(cell)
    fields = [field.strip("` ") for field in headers.split("`, `") if field]
    if body:
        fields.append(f"Content-Length: {len(body)}")
    lines = [f"{method} {path or '/'} HTTP/1.1", f"Host: {authority}", *fields]
    head = parse_request("\r\n".join(lines).encode() + b"\r\n\r\n")
    target = made.target(head, Origin(kind="tunnel", scheme=scheme))
    assert isinstance(target, Target), target
    verdict = decided(made, made.request(head, target), body)
    assert (verdict.effect, verdict.reason if reason else "") == (effect, verdict.reason if reason else "")
    if reason:
        assert reason in verdict.reason
