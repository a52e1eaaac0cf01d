"""Where a name may lead: the resolved-address guard (THREATS.md §3.3)."""

import asyncio
import socket

import pytest
from gates import rule

from ringfence.egress.dial import AddressError, Dialler, is_own
from ringfence.egress.stream import Registry
from ringfence.handover import Handover, Publication
from ringfence.verdict.address import parse
from ringfence.verdict.request import Rules


def test_a_name_that_leads_to_loopback_is_refused_by_class_and_without_the_address(start):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        gate = start(allow=(rule("localhost", ports=(port,)),))
        status, headers, body = gate.ask(f"localhost:{port}")
        listener.settimeout(0.2)
        with pytest.raises(TimeoutError):
            listener.accept()
    assert (status, headers["x-ringfence-denied"]) == (403, "1")
    assert b"loopback" in body
    assert b"127.0.0.1" not in body
    assert gate.wait_for("refused", host="localhost", reason="resolves to loopback")
    assert gate.records("dial") == []


def test_an_address_that_the_operator_named_is_dialled(start):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    gate = start(allow=(rule("localhost", ports=(port,)), rule("127.0.0.0/8")))
    assert gate.ask(f"localhost:{port}")[0] == 502  # nobody listens there any more
    assert gate.wait_for("dial", host="localhost")


def test_a_deny_rule_for_an_address_holds_for_names_that_lead_there(start):
    gate = start(
        allow=(rule("localhost"), rule("127.0.0.0/8"), rule("::1")), deny=(rule("127.0.0.1"), rule("::1"))
    )
    assert gate.ask("localhost:443")[0] == 403


class Silent:
    """A record that keeps nothing."""

    def event(self, *_, **__):
        pass

    flood = event


def vetted(addresses, *, allow=(), deny=(), port=443, publish=()):
    """Return which of a name's addresses would be dialled."""
    empty = dict.fromkeys(("listeners", "allow", "ask", "deny", "splice", "static", "extra_ca"), ())
    nothing = dict.fromkeys(("session", "policy_digest", "audit_path", "authority_dir", "ready_dir"), "")
    absent = dict.fromkeys(("dns_fd", "secrets_fd", "vend_fd"))
    handover = Handover(
        **{**empty, **nothing, **absent},
        credentials=(),
        gateways=(),
        publish=publish,
        control_fd=0,
        gate_address="127.0.0.1",
        proxy_port=1,
    )

    async def ask():
        made = Dialler(handover, Rules(allow, (), deny), Registry(), Silent())
        return made._vetted("a.example.com", port, addresses)

    return asyncio.run(ask())


def test_of_mixed_answers_only_the_public_ones_are_dialled():
    assert vetted(("10.0.0.1", "192.0.43.8", "::1", "2606:2800::1")) == ["192.0.43.8", "2606:2800::1"]


@pytest.mark.parametrize(
    "address",
    [
        "::ffff:127.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "0.0.0.0",
        "fe80::1%eth0",
        "100.64.0.1",
        "224.0.0.1",
    ],
)
@pytest.mark.guarantee("N5")
def test_no_spelling_of_a_private_address_is_dialled(address):
    with pytest.raises(AddressError):
        vetted((address,))


def test_metadata_takes_a_rule_with_its_exact_address():
    for network in ("169.254.0.0/16", "0.0.0.0/0"):
        with pytest.raises(AddressError):
            vetted(("169.254.169.254",), allow=(rule(network),))
    assert vetted(("169.254.169.254",), allow=(rule("169.254.169.254"),)) == ["169.254.169.254"]


def test_a_port_published_from_inside_is_no_way_back_in():
    published = (Publication(host_address="127.0.0.1", host_port=5173, inside_port=5173),)
    with pytest.raises(AddressError):
        vetted(("127.0.0.1",), allow=(rule("127.0.0.1"),), port=5173, publish=published)
    assert vetted(("127.0.0.1",), allow=(rule("127.0.0.1"),), port=5174, publish=published)


def test_no_answer_at_all_is_refused():
    with pytest.raises(AddressError):
        vetted(())


def test_this_machines_own_addresses_are_known():
    assert is_own(parse("127.0.0.1"))
    assert not is_own(parse("192.0.43.8"))


def test_a_name_that_does_not_resolve_is_502(start):
    gate = start(allow=(rule("does-not-exist.invalid"),))
    status, _, body = gate.ask("does-not-exist.invalid:443")
    assert status == 502
    assert b"does not resolve" in body
