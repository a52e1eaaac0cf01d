"""What a session decides before anything is started: which wire, who the agent is, what is kept."""

import os

import pytest

from ringfence import session
from ringfence.boundary.launch import Refused
from ringfence.boundary.plan import NOBODY
from ringfence.errors import BoundaryError, HostError
from ringfence.host import probe
from ringfence.policy.model import Egress, EgressRule, Environment, Gateway, Policy
from ringfence.session import Request
from ringfence.value import replace

RULE = EgressRule(host="a.example")


def test_another_system_is_refused():
    with pytest.raises(HostError, match="runs on Linux, not on darwin"):
        session.prepare(
            Request(argv=("true",), workspace="/w", cwd="/w"), replace(probe.host(), system="darwin")
        )


def test_a_workspace_that_is_everything_is_refused_before_it_is_walked():
    with pytest.raises(BoundaryError, match="the whole file system"):
        session.prepare(Request(argv=("true",), workspace="/", cwd="/"), probe.host())


@pytest.mark.parametrize(
    ("policy", "speaks"),
    [
        (Policy(), False),
        (Policy(egress=Egress(deny=(RULE,))), False),
        (Policy(egress=Egress(allow=(RULE,))), True),
        (Policy(egress=Egress(ask=(RULE,))), True),
        (Policy(gateways=(Gateway(name="x", upstream="https://x.example"),)), True),
    ],
)
def test_an_authority_is_needed_only_where_something_may_leave(policy, speaks):
    assert session.speaks(policy) is speaks


def test_roots_agent_becomes_the_owner_or_nobody(tmp_path):
    root = replace(probe.host(), uid=0)
    assert session._owner(str(tmp_path), root) == (os.stat(tmp_path).st_uid or NOBODY)
    assert session._owner("/usr", root) == NOBODY
    with pytest.raises(BoundaryError, match="cannot be used: No such file"):
        session._owner("/no/such/folder", root)


def test_others_agent_is_themselves(tmp_path):
    assert session._owner(str(tmp_path), replace(probe.host(), uid=1234)) == 1234


@pytest.mark.guarantee("P7")
def test_variables_are_kept_by_exact_name_or_prefix_only(monkeypatch):
    for name in ("KEEP_ME", "KEEP_ME_NOT", "AB_ONE", "AB_TWO", "ABC", "xAB_", "STAR"):
        monkeypatch.setenv(name, name.lower())
    policy = Policy(environment=Environment(keep=("KEEP_ME", "AB_*", "MISSING", "ST")))
    assert session._kept(policy, probe.host()) == (
        ("AB_ONE", "ab_one"),
        ("AB_TWO", "ab_two"),
        ("KEEP_ME", "keep_me"),
    )


@pytest.mark.guarantee("T7")
def test_without_any_bubblewrap_a_machine_that_refuses_the_wire_is_an_error():
    refused = Refused(step="userns", errno=1, text="Operation not permitted")
    bare = replace(probe.host(), bwrap="", system_bwrap="")
    with pytest.raises(HostError, match="user namespace"):
        session._loopback(refused, bare)
    wire = session._loopback(refused, replace(bare, bwrap="/bwrap"))
    assert (wire.kind, wire.gate_address) == ("loopback", "127.0.0.1")
    assert "user namespace" in wire.why
