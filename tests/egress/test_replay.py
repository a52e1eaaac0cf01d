"""Replays of what smuggles elsewhere: an upstream sees nothing, or the one request that was judged.

The tables are in `cases/`. Each goes through gates with nothing but rules, and through gates that also hold
bodies, look into them, count, watch and ask: none of that may open a gap between what is read and what is sent.
"""

import json

import pytest
from gates import credential, rule
from strict import Approver, Replay, Strict, Strict2, cases

from ringfence.handover import Canary
from ringfence.policy.model import Budget, ModelBudget

H1, H2 = "one.example.com", "two.example.com"
HOSTS = (H1, H2)
KEY = "canary-key-0123456789abcdef"
NEVER = "smuggled"
SMUGGLED = "GET /smuggled HTTP/1.1\r\nHost: {host}\r\n\r\n"
POST = "POST /ok HTTP/1.1\r\nHost: {host}\r\n"


def features(tmp):
    """Return what each gate has beside rules, by name."""
    allow = tuple(rule(host) for host in HOSTS)
    hidden = tmp / "hidden.env"
    hidden.write_text("TOKEN=k9Xm2Qv7Lp4Zt8RwQQ\n")
    return {
        "rules": {"allow": allow},
        "json placeholder": {
            "allow": allow,
            "credentials": tuple(
                credential(host, name=host[:3], kind="placeholder", places=("json:/key", "form:key"))
                for host in HOSTS
            ),
        },
        "several credentials": {
            "allow": allow,
            "credentials": tuple(
                credential(host, name=f"{host[:3]}-{kind}", kind=kind, **more)
                for host in HOSTS
                for kind, more in (("query", {"field": "key"}), ("cookie", {"field": "key"}), ("bearer", {}))
            ),
        },
        "inspection": {
            "allow": tuple(
                rule(host, **more)
                for host in HOSTS
                for more in ({"graphql": ("query",)}, {"max_body": 100}, {"git": ("push a/b refs/heads/*",)})
            ),
        },
        "controls": {
            "allow": allow,
            "budgets": (Budget(name="all", up=10_000_000, down=10_000_000, requests=100_000),),
            "canaries": (Canary(place="BACKUP", value="rf8Zq27LmXw0TnPvKc5Bd1Ys"),),
            "masked": (str(hidden),),
            "model": ModelBudget(session_tokens=10**9),
            "state_dir": str(tmp),
        },
        "asking": {"ask": allow, "session_dir": str(tmp)},
    }


FEATURES = ("rules", "json placeholder", "several credentials", "inspection", "controls", "asking")


@pytest.fixture(scope="module")
def one(certificates):
    made = Strict(certificates.context(H1))
    yield made
    made.close()


@pytest.fixture(scope="module")
def two(certificates):
    made = Strict2(certificates.context(H2))
    yield made
    made.close()


@pytest.fixture(scope="module", params=FEATURES)
def gate(request, start, one, two, tmp_path_factory):
    tmp = tmp_path_factory.mktemp("world")
    running = start(
        static=((H1, one.address), (H2, two.address)),
        environment={"TEST_KEY": KEY},
        deny=tuple(rule(host, paths=(f"/{NEVER}**",)) for host in HOSTS),
        **features(tmp)[request.param],
    )
    running.feature = request.param
    approver = Approver(tmp) if request.param == "asking" else None
    yield running
    if approver:
        approver.stop()


@pytest.fixture
def replay(gate, one):
    one.clear()
    return Replay(gate, one, H1)


def expected(gate, expect):
    """Return what has to come of a case: who looks into bodies may refuse what is sound elsewhere."""
    return (
        expect
        if expect != "one" or gate.feature in {"rules", "several credentials", "controls", "asking"}
        else "any"
    )


@pytest.mark.guarantee("N10")
def test_codings_that_some_server_takes_for_chunked(replay):
    for line in cases("http1")["codings"]:
        tail = "0\r\n\r\n" + SMUGGLED
        replay.one(f"alone: {line!r}", f"{POST}{line}\r\n\r\n5\r\nhello\r\n0\r\n\r\n{SMUGGLED}")
        length = len(tail.replace("{host}", H1))
        replay.one(f"CL.TE: {line!r}", f"{POST}Content-Length: {length}\r\n{line}\r\n\r\n{tail}")
        inner = SMUGGLED.replace("{host}", H1)
        replay.one(
            f"TE.CL: {line!r}",
            f"{POST}{line}\r\nContent-Length: 4\r\n\r\n{len(inner):x}\r\n{inner}\r\n0\r\n\r\n",
        )
    assert replay.check() == []


@pytest.mark.guarantee("N10")
def test_lengths_that_some_server_takes_for_five(replay):
    for line in cases("http1")["lengths"]:
        replay.one(f"alone: {line!r}", f"{POST}{line}\r\n\r\nhello{SMUGGLED}")
        replay.one(f"beside 0: {line!r}", f"{POST}Content-Length: 0\r\n{line}\r\n\r\n{SMUGGLED}")
        replay.one(
            f"on GET: {line!r}", f"GET /ok HTTP/1.1\r\nHost: {{host}}\r\n{line}\r\n\r\nhello{SMUGGLED}"
        )
    assert replay.check() == []


@pytest.mark.guarantee("N10")
def test_whole_requests_of_http_1(gate, replay):
    for case in cases("http1")["whole"]:
        replay.one(case["name"], case["raw"], expected(gate, case["expect"]), case.get("body"))
    assert replay.check() == []


@pytest.mark.guarantee("N10")
def test_what_stands_behind_a_sound_request_is_judged_for_itself(gate, replay):
    """Whatever follows in the same packet is the next request, or none: never a part of the first."""
    sound = "POST /ok HTTP/1.1\r\nHost: {host}\r\nContent-Length: 5\r\n\r\nhello"
    tails = [SMUGGLED, "\r\n" + SMUGGLED, "\0", "0\r\n\r\n" + SMUGGLED, "x" * 70_000, SMUGGLED * 20]
    for tail in tails:
        replay.one(f"then {tail[:20]!r}", sound + tail, expected(gate, "one"), "hello")
    assert replay.check() == []


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.guarantee("N10")
def test_whole_requests_of_http_2(gate, one, two, host):
    upstream = one if host == H1 else two
    upstream.clear()
    replay = Replay(gate, upstream, host)
    for case in cases("http2")["whole"]:
        replay.two(
            case["name"],
            case["fields"],
            expected(gate, case["expect"]),
            case.get("data"),
            case.get("body"),
            case.get("trailers", ()),
            kept_open=case.get("open", False),
        )
    assert replay.check() == []


def test_what_the_features_are_for_was_reached(gate, one, two):
    """The replays above would pass before a gate that refuses all, or that never looks into anything."""
    for host, upstream in ((H1, one), (H2, two)):
        upstream.clear()
        body = json.dumps({"query": "{viewer}"} if gate.feature == "inspection" else {"a": 1}).encode()
        fields = [("Content-Type", "application/json")]
        if host == H1:
            assert gate.ask(f"{host}:443", "POST", "/ok?a=b", fields, body)[0] == 200
        else:
            replay = Replay(gate, upstream, host)
            head = [(":method", "POST"), (":scheme", "https"), (":authority", host), (":path", "/ok")]
            replay.two(
                "sound", [*head, ("content-type", "application/json")], "one", body.decode(), body.decode()
            )
            assert replay.check() == []
        (seen,) = upstream.whole
        assert seen.body == body
