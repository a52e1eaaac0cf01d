"""The handover, read back from JSON."""

import json
import os

import pytest

from ringfence.egress import configuration
from ringfence.errors import HostError
from ringfence.handover import Handover, Listener, Publication
from ringfence.policy.model import Credential, EgressRule, Gateway
from ringfence.value import plain

HANDOVER = Handover(
    session="s",
    policy_digest="d",
    listeners=(Listener(fd=3, kind="wire"),),
    dns_fd=None,
    control_fd=4,
    secrets_fd=5,
    vend_fd=None,
    audit_path="/a",
    authority_dir="/b",
    ready_dir="/c",
    allow=(EgressRule(host="a.example.com", ports=(1, 2), paths=("/x/**",)),),
    ask=(),
    deny=(EgressRule(host="b.example.com"),),
    splice=("c.example.com",),
    static=(("a.example.com", "127.0.0.1:1"),),
    extra_ca=(),
    credentials=(Credential(name="k", source="env:K", host="a.example.com"),),
    gateways=(Gateway(name="g", upstream="https://a.example.com"),),
    publish=(Publication(host_address="127.0.0.1", host_port=1, inside_port=2),),
    gate_address="100.64.0.1",
    proxy_port=3128,
)


def memory(text):
    fd = os.memfd_create("test")
    os.write(fd, text.encode())
    return fd


def test_it_comes_back_as_it_was():
    assert configuration.read(memory(json.dumps(plain(HANDOVER)))) == HANDOVER


@pytest.mark.parametrize(
    "text",
    [
        *("", "[]", "{", "{}", '{"session": 1}'),
        json.dumps({**plain(HANDOVER), "unknown": 1}),
        json.dumps({**plain(HANDOVER), "allow": "x"}),
        json.dumps({**plain(HANDOVER), "control_fd": "4"}),
        json.dumps({**plain(HANDOVER), "static": [["a"]]}),
    ],
)
def test_anything_else_is_an_error_that_says_who_starts_this(text):
    with pytest.raises(HostError) as error:
        configuration.read(memory(text))
    assert "ringfence run" in error.value.hint


def test_secrets_that_cannot_be_read_are_not_repeated_in_the_error():
    with pytest.raises(HostError) as error:
        configuration.environment(memory('{"KEY": "canary'))
    assert "canary" not in str(error.value)
    assert error.value.__cause__ is None
    assert error.value.__suppress_context__


def test_the_descriptor_is_closed_after_reading():
    fd = memory("{}")
    assert configuration.environment(fd) == {}
    with pytest.raises(OSError):
        os.fstat(fd)
