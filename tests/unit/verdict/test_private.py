"""A host on the operator's own network is dialled only where its rule says so, and never into this machine."""

import pytest

from ringfence.policy.model import EgressRule
from ringfence.verdict.address import OWN_NETWORK, address_class, parse
from ringfence.verdict.request import Rules, private


def test_a_host_is_private_only_by_its_own_rule():
    rules = Rules([EgressRule(host="mirror.corp.example", private=True), EgressRule(host="*.example")])
    assert not private("www.example", rules)
    assert not private("other.corp.example", rules)
    assert private("mirror.corp.example", rules)


@pytest.mark.parametrize("text", ["127.0.0.1", "169.254.169.254", "::1", "fe80::1", "0.0.0.0", "224.0.0.1"])
def test_no_rule_of_that_kind_opens_this_machine_or_metadata(text):
    assert address_class(parse(text)) not in OWN_NETWORK


@pytest.mark.parametrize(
    "text", ["10.1.2.3", "192.168.0.9", "172.20.1.1", "fd12::1", "100.64.3.3", "::ffff:10.0.0.1"]
)
def test_it_opens_the_private_ranges(text):
    assert address_class(parse(text)) in OWN_NETWORK
