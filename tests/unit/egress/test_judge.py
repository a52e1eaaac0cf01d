"""What the judge holds of bodies that it looks into: no more than all may together, and given back at the end."""

import asyncio

import pytest

from ringfence.cli.policy_explain import handover
from ringfence.egress import judge, limits
from ringfence.egress.gate import Gate, Origin
from ringfence.egress.http1 import parse_request
from ringfence.egress.variety import Variety
from ringfence.policy.model import Egress, EgressRule, Policy

RULE = EgressRule(host="a.test", graphql=("query",))
ORIGIN = Origin(kind="tunnel", scheme="https")
HEAD = parse_request(
    b"POST /graphql HTTP/1.1\r\nHost: a.test\r\nContent-Type: application/json\r\nContent-Length: 30\r\n\r\n"
)


class Recorded:
    """The record, as far as a refusal needs it."""

    def __init__(self):
        self.told = []

    def flood(self, kind, **fields):
        self.told.append((kind, fields["reason"]))

    def request(self, verdict, **_fields):
        self.told.append((verdict.effect, verdict.reason))


class Shared:
    """What a session's requests share, as far as deciding needs it."""

    def __init__(self):
        self.gate = Gate(handover(Policy(egress=Egress(allow=(RULE,)))))
        self.record = Recorded()
        self.access = None
        self.variety = Variety(self.record)
        self.held = 0
        self.most = 0


class Arriving:
    """A request whose body arrives in these pieces."""

    head = HEAD
    answered = ended = False
    memo = None

    def __init__(self, shared, *pieces):
        self.shared = shared
        self.pieces = list(pieces)
        self.refusals = []

    async def read(self):
        self.shared.most = max(self.shared.most, self.shared.held)
        return self.pieces.pop(0) if self.pieces else b""

    def proceed(self):
        pass

    def unread(self, data):
        self.pieces.insert(0, data)

    def refuse(self, refusal):
        self.refusals.append(refusal)

    async def drain(self):
        pass


def served(*pieces):
    shared = Shared()
    inbound = Arriving(shared, *pieces)
    asyncio.run(judge.serve(shared, inbound, ORIGIN))
    return shared, inbound


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(limits, "HELD_BODIES", 20)


def test_what_is_looked_into_counts_and_is_given_back():
    shared, inbound = served(b"[1, 2,", b" 3, 4]")
    assert (shared.most, shared.held) == (12, 0)
    assert [one.status for one in inbound.refusals] == [403]
    assert "it is a batch" in inbound.refusals[0].message


def test_beyond_what_all_may_hold_a_request_is_turned_away():
    shared, inbound = served(b"[1, 2, 3, 4", b", 5, 6, 7, 8", b", 9]")
    assert [one.status for one in inbound.refusals] == [503]
    assert inbound.pieces == [b", 9]"]  # not read any further
    assert shared.held == 0
