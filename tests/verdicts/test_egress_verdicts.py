"""Runs the tables of `egress.md` through the gate's own reading of a request."""

import json
import os
import re

import pytest

from ringfence.egress.gate import Gate, Origin, Target
from ringfence.egress.http1 import parse_request
from ringfence.handover import Handover
from ringfence.policy.model import EgressRule
from ringfence.verdict.request import Request

PAGE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "egress.md")
LINE = re.compile(r"\| `([A-Z]+) (https?)://([^/`]+)([^`]*)` \| (allow|ask|deny)(?:: (.*))? \|")


def gate(policy):
    rules = {
        name: tuple(EgressRule(**{key: tuple(item) if isinstance(item, list) else item for key, item in one.items()}) for one in policy.get(name, ()))
        for name in ("allow", "ask", "deny")
    }  # fmt: skip
    empty = dict.fromkeys(
        ("listeners", "splice", "static", "extra_ca", "publish", "credentials", "gateways"), ()
    )
    nothing = dict.fromkeys(("session", "policy_digest", "audit_path", "authority_dir", "ready_dir"), "")
    absent = dict.fromkeys(("dns_fd", "secrets_fd", "vend_fd"))
    return Gate(
        Handover(**rules, **empty, **nothing, **absent, control_fd=0, gate_address="127.0.0.1", proxy_port=1)
    )


def cases():
    with open(PAGE, encoding="utf-8") as file:
        sections = file.read().split("\n## ")[1:]
    for section in sections:
        title = section.partition("\n")[0]
        policy = json.loads(section.partition("```json\n")[2].partition("```")[0])
        found = LINE.findall(section)
        assert len(found) == section.count("\n| `"), f"a line of {title!r} cannot be read"
        for one in found:
            yield pytest.param(policy, one, id=f"{title}: {one[0]} {one[1]}://{one[2]}{one[3]} {one[4]}")


@pytest.mark.parametrize(("policy", "case"), list(cases()))
def test_the_page_is_true(policy, case):
    method, scheme, authority, path, effect, reason = case
    made = gate(policy)
    raw = f"{method} {path or '/'} HTTP/1.1\r\nHost: {authority}\r\n\r\n".encode()
    head = parse_request(raw)
    target = made.target(head, Origin(kind="tunnel", scheme=scheme))
    assert isinstance(target, Target), target
    verdict = made.decide(made.request(head, target))
    assert verdict.effect == effect
    if reason:
        assert verdict.reason == reason


def test_a_request_is_made_with_every_field_there_is():
    made = gate({})
    head = parse_request(b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n")
    target = made.target(head, Origin(kind="tunnel", scheme="https"))
    assert list(made.request(head, target).__dict__) == list(Request.__fields__)
