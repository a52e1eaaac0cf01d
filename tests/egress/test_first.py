"""The main path, end to end."""

import pytest
from gates import RefusedError, credential, parse, rule


@pytest.fixture(scope="module")
def upstream(serve):
    return serve("api.example.com")


@pytest.fixture(scope="module")
def gate(start, upstream):
    return start(
        allow=(rule("api.example.com"),),
        static=(("api.example.com", upstream.address),),
        credentials=(credential("api.example.com", header="x-api-key", strip=("authorization",)),),
        environment={"TEST_KEY": "canary-key-1234567890"},
    )


def test_a_host_that_no_rule_names_is_refused_at_connect(gate):
    with pytest.raises(RefusedError) as refused:
        gate.connect("evil.example.com:443")
    status, headers, body = parse(refused.value.answer)
    assert status == 403
    assert headers["x-ringfence-denied"] == "1"
    assert b"ringfence run --allow evil.example.com" in body


def test_an_allowed_request_reaches_the_upstream_with_the_key_and_without_the_agents_own(gate, upstream):
    status, _, body = gate.ask(
        "api.example.com:443", headers=[("x-api-key", "mine"), ("Authorization", "Bearer mine")]
    )
    assert (status, body) == (200, b"ok")
    assert b"x-api-key: canary-key-1234567890\r\n" in upstream.seen
    assert b"mine" not in upstream.seen
