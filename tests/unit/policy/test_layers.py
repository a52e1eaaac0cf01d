"""Tiers, the one bound that needs more than one tier to show; the rest is in test_load and the laws."""

import pytest

from ringfence.policy import layers
from ringfence.policy.layers import EVERYTHING, Combined, combine


@pytest.fixture(autouse=True)
def tiers(monkeypatch):
    monkeypatch.setattr(layers, "TIERS", ("sandbox", "container", "gvisor", "microvm"))


def tier(below, given, locked=frozenset(), fixed=None):
    state = Combined(layer={"tier": below} if below else {}, fixed=fixed or {})
    after = combine(state, {"tier": given}, "", locked)
    return after.layer.get("tier"), after.ignored


def test_a_managed_minimum_is_never_undercut():
    fixed = {"tier": ("microvm", "gvisor")}
    assert tier(("microvm", "gvisor"), ("sandbox",), fixed=fixed) == (
        ("microvm", "gvisor"),
        ("tier sandbox",),
    )
    assert tier(("microvm", "gvisor"), ("microvm", "container"), fixed=fixed) == (
        ("microvm",),
        ("tier container",),
    )


def test_a_layer_without_trust_only_raises_the_minimum():
    assert tier(("gvisor",), ("sandbox",), EVERYTHING) == (("gvisor",), ("tier sandbox",))
    assert tier(None, ("microvm", "sandbox"), EVERYTHING) == (("microvm", "sandbox"), ())
    assert tier(("sandbox",), ("gvisor",), EVERYTHING) == (("gvisor",), ())


def test_a_layer_with_trust_chooses():
    assert tier(("gvisor",), ("sandbox",)) == (("sandbox",), ())


def test_what_is_said_twice_stands_once():
    rule = {"host": "a.test"}
    state = combine(Combined(layer={}, fixed={}), {"egress": {"allow": (rule, rule)}}, "one", frozenset())
    state = combine(state, {"egress": {"allow": (rule, {"host": "b.test"})}}, "two", frozenset())
    assert [(one["host"], one["origin"]) for one in state.layer["egress"]["allow"]] == [
        ("a.test", "one"),
        ("b.test", "two"),
    ]


def test_names_below_a_wildcard_are_only_ever_made_fewer_by_a_layer_without_trust():
    def after(given, locked=EVERYTHING, fixed=None):
        state = combine(Combined(layer=fixed or {}, fixed=fixed or {}), {"watch": given}, "", locked)
        return state.layer.get("watch", {}), state.ignored

    assert after({"names": 2000}) == ({}, ("watch.names",))
    assert after({"name_bytes": None}) == ({}, ("watch.name_bytes",))
    assert after({"names": 10, "name_bytes": 100}) == ({"names": 10, "name_bytes": 100}, ())
    assert after({"names": None}, frozenset()) == ({"names": None}, ())
    assert after({"names": None}, frozenset(), {"watch": {"names": 5}})[1] == ("watch.names",)
