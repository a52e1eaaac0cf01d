"""Where a request goes and what of it goes on, as pure decisions."""

import pytest

from ringfence.cli.policy_explain import handover
from ringfence.egress.gate import PROXY, TUNNEL, Gate, Origin
from ringfence.egress.http1 import parse_request
from ringfence.policy.model import Credential, Egress, EgressRule, Gateway, Policy

PREFIXED = Gateway(name="model", upstream="https://api.test/v1")
KEY = Credential(name="key", source="env:KEY", host="api.test", header="x-api-key")


def made(**more):
    return Gate(handover(Policy(**more)))


@pytest.mark.parametrize(
    "path", ["/a/..%2f..%2fadmin", "/..%2fadmin", "/%2e%2e%2fadmin", "/x;/..%2F..%2fadmin"]
)
def test_no_reading_leaves_the_prefix_of_a_gateway(path):
    """An upstream that decodes once more would be outside: the rules have to see that."""
    rules = Egress(allow=(EgressRule(host="api.test", paths=("/v1/**",)),))
    gate = made(gateways=(PREFIXED,), egress=rules)
    head = parse_request(f"GET {path} HTTP/1.1\r\nHost: model.gateway.internal\r\n\r\n".encode())
    target = gate.target(head, Origin(kind=PROXY, scheme="http"))
    assert "/admin" in target.path.readings
    assert gate.decide(gate.request(head, target)).effect == "deny"


def test_a_path_behind_a_gateway_stays_what_it_is():
    gate = made(gateways=(PREFIXED,))
    head = parse_request(b"GET /@a%2fb/../c?d HTTP/1.1\r\nHost: model.gateway.internal\r\n\r\n")
    path = gate.target(head, Origin(kind=PROXY, scheme="http")).path
    assert (path.text, path.query) == ("/v1/c", "?d")


@pytest.mark.parametrize(
    "name",
    [
        *(b"X_Api_Key", b"x-api_key", b"Content_Length", b"Transfer_Encoding", b"X_Forwarded-For"),
        *(b"Proxy_Authorization", b"keep_alive"),
    ],
)
def test_no_field_goes_on_that_a_server_could_take_for_one_that_is_removed(name):
    """CGI and WSGI make `-` and `_` the same."""
    gate = made(credentials=(KEY,))
    head = parse_request(b"GET / HTTP/1.1\r\nHost: api.test\r\n" + name + b": x\r\nX-A_B: y\r\n\r\n")
    target = gate.target(head, Origin(kind=TUNNEL, scheme="https"))
    assert gate.outgoing(head, target).fields == [(b"X-A_B", b"y")]
