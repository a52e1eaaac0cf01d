"""A connection that remembers its last head decides, sends and records as one that remembers nothing.

Conversations are random: heads that come again whole, with another request line, another length, other lines,
hostile ones among them; rules with and without a say in sizes; policies that change between two requests.
"""

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from ringfence.cli.policy_explain import handover
from ringfence.credential.secret import Secret
from ringfence.egress import injection, judge
from ringfence.egress.controls import Controls
from ringfence.egress.gate import Gate, Origin
from ringfence.egress.http1 import MalformedError, parse_request
from ringfence.egress.memo import Memo
from ringfence.egress.record import Record
from ringfence.egress.second import agree
from ringfence.policy.model import Credential, Egress, EgressRule, Policy

METHODS = ("GET", "POST", "POST", "PUT", "HEAD", "CONNECT", "OPTIONS", "PRI", "M-SEARCH", "TRACE", "Get", "X")
TARGETS = (
    *("/", "/v1/a", "/v1/a", "/v1/b?x=1", "//v1/../admin/x", "/admin/x", "/%61dmin/x", "/a b", "/%zz", "*"),
    *("https://a.test/v1/a", "https://b.test/v1/a", "http://a.test/", "/\xff", "/a#b", "a.test:443", ""),
)
USUAL = st.sampled_from(
    (
        *("POST /v1/a HTTP/1.1", "POST /v1/a HTTP/1.1", "POST /v1/b?x=1 HTTP/1.1", "GET /admin/x HTTP/1.1"),
        *("PUT /v1/a HTTP/1.0", "GET https://a.test/v1/a HTTP/1.1", "X /v1/a HTTP/1.1"),
    )
)
STARTS = st.one_of(
    USUAL,
    USUAL,
    st.builds(
        "{} {} {}".format,
        st.sampled_from(METHODS),
        st.sampled_from(TARGETS),
        st.sampled_from(("HTTP/1.1", "HTTP/1.1", "HTTP/1.0", "HTTP/2.0", "HTTP/1.1 ", "http/1.1")),
    ),
)
LINES = (
    *("X-A: 1", "x-a:2", "X-A : 1", " folded", "Connection: close", "Connection: keep-alive, x-a", "X: \xff"),
    *(
        "Connection: upgrade",
        "Upgrade: websocket",
        "Expect: 100-continue",
        "Cookie: a=b",
        "Accept-Encoding: br",
    ),
    *(
        "Connection: content-length",
        "Transfer-Encoding: chunked",
        "X-HTTP-Method-Override: PUT",
        "TE: trailers",
    ),
    *(
        "Authorization: Bearer x",
        "X-Api-Key: y",
        "Content_Length: 5",
        "Keep-Alive: 3",
        "Host: b.test",
        "\x00",
    ),
    *("Proxy-Authorization: Basic eA==", "Connection: te", "Via: 1.1 x", "content-length: 7", "X:"),
)
LENGTHS = st.one_of(
    st.integers(0, 5000).map(str),
    st.sampled_from(
        ("0", "00", "03", "+3", "-3", "3 ", "\t3", "3\r\nX-B: 1", "3,3", "", "1e3", "٣", "9" * 18, "9" * 19)
    ),
)
NAMES = st.sampled_from(("Content-Length: ", "Content-Length: ", "content-length:", None))
PLAIN = st.sampled_from(
    ("X-A: 1", "Connection: keep-alive, x-a", "Accept-Encoding: br", "X-Api-Key: y", "X:")
)
BLOCKS = st.one_of(
    st.tuples(st.just("a.test"), st.lists(PLAIN, max_size=3), st.lists(PLAIN, max_size=2), NAMES),
    st.tuples(
        st.sampled_from(("a.test", "a.test", "A.test:443", "b.test", "a.test\r\nX: y")),
        st.lists(st.sampled_from(LINES), max_size=3),
        st.lists(st.sampled_from(LINES), max_size=2),
        NAMES,
    ),
)


def spelled(start, block, length):
    host, before, after, name = block
    sized = [] if name is None else [name + length]
    text = "\r\n".join([start, f"Host: {host}", *before, *sized, *after, "", ""])
    return text.encode("utf-8" if "٣" in text else "latin-1")


@st.composite
def conversations(draw):
    """Return heads, with the number of the policy that holds, and whether there is a secret.

    Most share their field lines.
    """
    blocks = draw(st.lists(BLOCKS, min_size=1, max_size=2))
    one = st.builds(spelled, STARTS, st.sampled_from(blocks), LENGTHS)
    heads = draw(
        st.lists(st.tuples(one, st.sampled_from((0, 0, 0, 1)), st.booleans()), min_size=2, max_size=8)
    )
    return [again for head in heads for again in [head] * draw(st.integers(1, 2))]


RULES = st.builds(
    EgressRule,
    host=st.sampled_from(("a.test", "*.test", "b.test")),
    paths=st.sampled_from(((), ("/v1/**",), ("/admin/**",), ("/v1/a",))),
    methods=st.sampled_from(((), ("GET",), ("POST", "PUT"))),
    max_body=st.sampled_from((None, None, 5, 1000)),
    headers=st.sampled_from(((), (), ("x-a: 1",), ("content-length: 7",))),
)
POLICIES = st.builds(
    lambda allow, ask, deny, bound: Policy(
        egress=Egress(allow=tuple(allow), ask=tuple(ask), deny=tuple(deny)),
        credentials=(Credential(name="k", host="a.test", source="env:K", header="x-api-key"),)
        if bound
        else (),
    ),
    st.lists(RULES, min_size=1, max_size=3),
    st.lists(RULES, max_size=1),
    st.lists(RULES, max_size=1),
    st.booleans(),
)
ORIGIN = Origin(kind="tunnel", scheme="https", host="a.test", port=443)


class Lines:
    """Where a record goes: what is written, without number and time."""

    def __init__(self):
        self.written = []

    def append_spelled(self, kind, own, **_):
        self.written.append((kind, own))

    def flush(self):
        """Leave it: nothing is sent."""


class Shared:
    """What the requests of a session have in common, as far as the judge asks before it sends."""

    def __init__(self, policy):
        made = handover(policy)
        self.gate = Gate(made)
        self.lines = Lines()
        self.record = Record(self.lines, print)
        self.controls = Controls(made, self.record, lambda: None)


class Asked:
    """One request whose head was read."""

    def __init__(self, head, memo):
        self.head, self.memo = head, memo


def anew(raw):
    head = parse_request(raw)
    agree(raw, head)
    return head


def outcome(raw, shared, memo, *, secret):
    """Return all that the judge comes to about a head before it sends: as values that can be compared."""
    shared.lines.written.clear()
    try:
        head = anew(raw) if memo is None else memo.read(raw)
        case = judge.Case(shared, Asked(head, memo), ORIGIN)
        found = case._found()
    except MalformedError as error:
        return type(error), error.message, error.answer
    if not isinstance(found, tuple):
        return head, found
    target, _, verdict = found
    case._record(target, verdict, "k")
    case.choice = injection.choice(shared.gate, target, case._remembered())
    bound = None if case.choice is None else (case.choice.bound, case.choice.wanted)
    if bound is not None and secret:
        case.choice.main = (case.choice.bound[0], Secret("canary-key-1234567890", "env:K"))
    out = case._outgoing(target)
    sent = {name: getattr(out, name) for name in type(out).__slots__}
    return head, found, sent, bound, [*shared.lines.written]


@settings(max_examples=400, deadline=None)
@given(conversations(), st.lists(POLICIES, min_size=2, max_size=2))
def test_what_is_remembered_is_what_would_be_found_again(heads, policies):
    async def compared():
        shared = [Shared(one) for one in policies]
        memo = Memo()
        for raw, number, secret in heads:
            remembered = outcome(raw, shared[number], memo, secret=secret)
            assert remembered == outcome(raw, shared[number], None, secret=secret)

    asyncio.run(compared())


def test_a_length_that_a_rule_is_about_is_judged_anew():
    async def judged():
        shared = Shared(Policy(egress=Egress(allow=(EgressRule(host="a.test", max_body=100),))))
        memo, block = Memo(), ("a.test", (), (), "Content-Length: ")
        heads = [spelled("POST /v1/a HTTP/1.1", block, size) for size in ("7", "100", "101", "99")]
        return [outcome(raw, shared, memo, secret=False)[1][2].effect for raw in heads]

    assert asyncio.run(judged()) == ["allow", "allow", "deny", "allow"]


def test_a_head_with_the_field_lines_of_the_last_one_is_not_read_line_by_line():
    memo, block = Memo(), ("a.test", ("X-A: 1",), ("X:",), "Content-Length: ")
    heads = [spelled(f"POST /{size} HTTP/1.1", block, size) for size in ("7", "100")]
    memo.read(heads[0])
    kept = memo._block
    assert memo.read(heads[1]) == anew(heads[1])
    assert memo._block is kept
