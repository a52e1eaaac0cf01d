"""A connection that remembers its last head decides, sends and records as one that remembers nothing.

Conversations are random: heads that come again whole, with another request line, another length, other lines,
hostile ones among them; on connections for one host and on those where each request names its own; rules with
and without a say in sizes, credentials of several kinds and places, secrets and policies that change between
two requests. Each is driven through the real judge twice, up to what would be sent.
"""

import asyncio
import json
from unittest import mock

from hypothesis import given, settings
from hypothesis import strategies as st

from ringfence.cli.policy_explain import handover
from ringfence.credential.secret import Secret
from ringfence.egress import judge
from ringfence.egress.controls import Controls
from ringfence.egress.gate import Gate, Origin
from ringfence.egress.http1 import MalformedError, parse_request, write_lines
from ringfence.egress.memo import Memo
from ringfence.egress.record import Record
from ringfence.egress.second import agree
from ringfence.egress.strays import Strays
from ringfence.egress.variety import Variety
from ringfence.policy.model import Credential, Egress, EgressRule, Policy, Watch

METHODS = ("GET", "POST", "POST", "PUT", "HEAD", "CONNECT", "OPTIONS", "PRI", "M-SEARCH", "TRACE", "Get", "X")
TARGETS = (
    *("/", "/v1/a", "/v1/a", "/v1/b?x=1", "//v1/../admin/x", "/admin/x", "/%61dmin/x", "/a b", "/%zz", "*"),
    *("https://a.test/v1/a", "https://b.test/v1/a", "http://a.test/", "/\xff", "/a#b", "a.test:443", ""),
    *("/v1/a?key=mine", "/v1/a?key=mine&x=1"),
    *(
        "https://c.b.test/v1/a",
        "https://d.b.test/v1/a?q=ringfence-placeholder-k",
        "/v1/ringfence-placeholder-k",
    ),
)
USUAL = st.sampled_from(
    (
        *("POST /v1/a HTTP/1.1", "POST /v1/a HTTP/1.1", "POST /v1/b?x=1 HTTP/1.1", "GET /admin/x HTTP/1.1"),
        *("PUT /v1/a HTTP/1.0", "GET https://a.test/v1/a HTTP/1.1", "X /v1/a HTTP/1.1"),
        *("GET https://a.test/v1/a HTTP/1.0", "GET https://b.test/v1/a HTTP/1.0"),
        *("GET https://c.b.test/v1/a HTTP/1.0", "GET https://d.b.test/v1/a HTTP/1.0"),
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
    *("X-B: ringfence-placeholder-k", "X-B: ringfence%2dplaceholder-k", "X_Other: z", "Host: c.b.test"),
)
LENGTHS = st.one_of(
    st.integers(0, 5000).map(str),
    st.sampled_from(
        ("0", "00", "03", "+3", "-3", "3 ", "\t3", "3\r\nX-B: 1", "3,3", "", "1e3", "٣", "9" * 18, "9" * 19)
    ),
)
NAMES = st.sampled_from(("Content-Length: ", "Content-Length: ", "content-length:", None))
PLAIN = st.sampled_from(
    ("X-A: 1", "Connection: keep-alive, x-a", "Accept-Encoding: br", "X-Api-Key: y", "X:", "X-Other: z")
)
BLOCKS = st.one_of(
    st.tuples(
        st.sampled_from(("a.test", None)), st.lists(PLAIN, max_size=3), st.lists(PLAIN, max_size=2), NAMES
    ),
    st.tuples(
        st.sampled_from(("a.test", "a.test", None, "A.test:443", "b.test", "a.test\r\nX: y")),
        st.lists(st.sampled_from(LINES), max_size=3),
        st.lists(st.sampled_from(LINES), max_size=2),
        NAMES,
    ),
)


def spelled(start, block, length):
    host, before, after, name = block
    sized = [] if name is None else [name + length]
    named = [] if host is None else [f"Host: {host}"]
    text = "\r\n".join([start, *named, *before, *sized, *after, "", ""])
    return text.encode("utf-8" if "٣" in text else "latin-1")


SECRETS = (None, Secret("canary-key-1234567890", "env:K"), Secret("canary-key-0987654321", "env:K"))


@st.composite
def conversations(draw):
    """Return heads, with the number of the policy that holds and of the secrets that are there.

    Most share their field lines.
    """
    blocks = draw(st.lists(BLOCKS, min_size=1, max_size=2))
    one = st.builds(spelled, STARTS, st.sampled_from(blocks), LENGTHS)
    heads = draw(
        st.lists(
            st.tuples(one, st.sampled_from((0, 0, 0, 1)), st.sampled_from((0, 1, 1, 1, 2))),
            min_size=2,
            max_size=8,
        )
    )
    return [again for head in heads for again in [head] * draw(st.integers(1, 2))]


RULES = st.builds(
    EgressRule,
    host=st.sampled_from(("a.test", "*.test", "b.test", "*.b.test")),
    paths=st.sampled_from(((), ("/v1/**",), ("/admin/**",), ("/v1/a",))),
    methods=st.sampled_from(((), ("GET",), ("POST", "PUT"))),
    max_body=st.sampled_from((None, None, 5, 1000)),
    headers=st.sampled_from(((), (), ("x-a: 1",), ("content-length: 7",))),
)
BOUND = (
    Credential(
        name="k", host="a.test", source="env:K", header="x-api-key", placeholder="ringfence-placeholder-k"
    ),
    Credential(name="l", host="a.test", source="env:L", header="authorization", strip=("x-a",)),
    Credential(name="m", host="b.test", source="env:M", header="x-other", prefix="Token "),
    Credential(name="n", host="*.b.test", source="env:N", kind="bearer"),
    Credential(name="o", host="a.test", source="env:O", kind="query", field="key"),
    Credential(name="p", host="b.test", source="env:P", kind="cookie", field="sid"),
    Credential(name="q", host="a.test", source="env:Q", kind="git", user="x"),
)
POLICIES = st.builds(
    lambda allow, ask, deny, bound, names: Policy(
        egress=Egress(allow=tuple(allow), ask=tuple(ask), deny=tuple(deny)),
        credentials=tuple(bound),
        watch=Watch(names=names),
    ),
    st.lists(RULES, min_size=1, max_size=3),
    st.lists(RULES, max_size=1),
    st.lists(RULES, max_size=1),
    st.lists(st.sampled_from(BOUND), max_size=2, unique_by=lambda one: one.name),
    st.sampled_from((1000, 1000, 1, None)),
)
ORIGIN = Origin(kind="tunnel", scheme="https", host="a.test", port=443)
ORIGINS = st.sampled_from(
    (
        ORIGIN,
        Origin(kind="proxy", scheme="https"),  # each request says where it goes
        Origin(kind="wire", scheme="https", host="", port=443, address="192.0.2.1"),
    )
)


class Lines:
    """Where a record goes: what is written, without number and time."""

    def __init__(self):
        self.written = []

    def append_spelled(self, kind, own, **_):
        self.written.append((kind, own))

    def flush(self):
        """Leave it: nothing is sent."""


class Held:
    """The session's secrets, of which each credential has the same."""

    def __init__(self):
        self.secret = None
        self.values = ()

    def at_hand(self, _credential):
        return self.secret

    async def choose(self, credentials):
        return (credentials[0], self.secret) if credentials and self.secret else None


class Shared:
    """What the requests of a session have in common, as far as the judge asks before it sends."""

    access = None
    held = 0
    answered = True
    asking = mock.Mock(open=False)  # nobody could be asked

    def __init__(self, policies):
        made = [handover(one) for one in policies]
        self.gates = [Gate(one) for one in made]
        self.checks = [[Strays(one.credentials).check] for one in made]
        self.lines = Lines()
        self.record = Record(self.lines, print)
        self.controls = Controls(made[0], self.record, lambda: None)
        self.keys = Held()
        self.stubs = {}
        self.variety = Variety(lambda text: self.record.event("note", text=text))
        self.variety.limit(made[0].watch)

    def under(self, number, secret):
        """Have a policy and a secret hold; the others were another's."""
        self.gate, self.head_checks = self.gates[number], self.checks[number]
        self.keys.secret = SECRETS[secret]


class Asked:
    """One request whose head was read, with its body at hand."""

    version, done, ended, answered = "1.1", True, False, False

    def __init__(self, head, memo):
        self.head, self.memo, self.told = head, memo, []

    def refuse(self, outcome):
        self.told.append(outcome)

    def abort(self, why=None):
        self.told.append(("cut", type(why)))

    async def drain(self):
        """Leave it: nothing is sent."""


class Sent:
    """What would be sent upstream."""

    all = ()

    def __init__(self, services, inbound, *, target, verdict, outgoing, gate, chosen):
        fields = {name: getattr(outgoing, name) for name in type(outgoing).__slots__ if name != "written"}
        assert outgoing.written in {b"", write_lines(outgoing.fields)}
        assert gate is services.gate
        self.what = target, verdict, fields, chosen, inbound.head

    async def run(self):
        Sent.all = (*Sent.all, self.what)


def anew(raw):
    head = parse_request(raw)
    agree(raw, head)
    return head


async def outcome(raw, shared, memo, origin):
    """Return all that the judge comes to about a head before it sends: as values that can be compared."""
    shared.lines.written.clear()
    Sent.all = ()
    try:
        asked = Asked(anew(raw) if memo is None else memo.read(raw), memo)
    except MalformedError as error:
        return type(error), error.message, error.answer
    await judge.serve(shared, asked, origin)
    return asked.head, asked.told, Sent.all, [*shared.lines.written]


@settings(max_examples=400, deadline=None)
@given(conversations(), st.lists(POLICIES, min_size=2, max_size=2), ORIGINS)
def test_what_is_remembered_is_what_would_be_found_again(heads, policies, origin):
    async def compared():
        mindful, forgetful, memo = Shared(policies), Shared(policies), Memo()
        for raw, number, secret in heads:
            mindful.under(number, secret)
            forgetful.under(number, secret)
            remembered = await outcome(raw, mindful, memo, origin)
            assert remembered == await outcome(raw, forgetful, None, origin)

    with mock.patch.object(judge, "Exchange", Sent):
        asyncio.run(compared())


def test_the_fields_that_carry_one_hosts_credential_are_kept_from_it_alone():
    """The same lines, without a Host, to one host and to another that has another credential."""
    heads = [
        f"GET https://{host}.test/v1/a HTTP/1.0\r\nX-Api-Key: y\r\nX-Other: z\r\n\r\n".encode()
        for host in "aabbaab"
    ]
    policy = Policy(
        egress=Egress(allow=(EgressRule(host="a.test"), EgressRule(host="b.test"))),
        credentials=(BOUND[0], BOUND[2]),
    )

    found = answers(policy, heads, origin=Origin(kind="proxy", scheme="https"))
    found = [sent[0][2]["fields"] for _, _, sent, _ in found]
    key = SECRETS[1].reveal_for_injection().encode()
    to_a = [(b"X-Other", b"z"), (b"x-api-key", key)]
    to_b = [(b"X-Api-Key", b"y"), (b"x-other", b"Token " + key)]
    assert found == [to_a, to_a, to_b, to_b, to_a, to_a, to_b]


def heads_of(lines, *starts):
    return ["\r\n".join([start, *lines, "", ""]).encode() for start in starts]


def answers(policy, heads, *, origin, secret=1):
    """Return what comes of heads on one connection that remembers."""

    async def asked():
        shared, memo = Shared([policy]), Memo()
        shared.under(0, secret)
        return [await outcome(raw, shared, memo, origin) for raw in heads]

    with mock.patch.object(judge, "Exchange", Sent):
        return asyncio.run(asked())


def test_each_record_names_the_host_that_its_request_names():
    policy = Policy(egress=Egress(allow=(EgressRule(host="*.test"),)))
    heads = heads_of(
        ["X-A: 1"], *(f"GET https://{host}.test/v1/a HTTP/1.0" for host in ("a", "a", "b", "c.b", "a"))
    )
    found = answers(policy, heads, origin=Origin(kind="proxy", scheme="https"))
    hosts = [json.loads("{" + own[1:] + "}")["host"] for _, _, _, ((_, own),) in found]
    assert hosts == ["a.test", "a.test", "b.test", "c.b.test", "a.test"]


def test_a_placeholder_in_the_path_is_found_whatever_is_remembered_of_the_lines():
    policy = Policy(egress=Egress(allow=(EgressRule(host="a.test"),)), credentials=BOUND[:1])
    paths = ("/v1/a", "/v1/b", "/v1/ringfence-placeholder-k", "/v1/c?x=ringfence%2dplaceholder%2dk", "/v1/d")
    heads = heads_of(["Host: a.test"], *(f"GET {path} HTTP/1.1" for path in paths))
    assert [len(sent) for _, _, sent, _ in answers(policy, heads, origin=ORIGIN)] == [1, 1, 0, 0, 1]


def test_a_key_of_the_agents_own_in_the_query_is_removed_whatever_is_remembered_of_the_lines():
    policy = Policy(egress=Egress(allow=(EgressRule(host="a.test"),)), credentials=(BOUND[0], BOUND[4]))
    heads = heads_of(["Host: a.test"], *(f"GET /v1/a{query} HTTP/1.1" for query in ("", "", "?key=mine&x=1")))
    assert [sent[0][2]["query"] for _, _, sent, _ in answers(policy, heads, origin=ORIGIN)] == [
        "",
        "",
        "?x=1",
    ]


def test_an_upgrade_hangs_on_the_method_whatever_is_remembered_of_the_lines():
    lines = ["Host: a.test", "Connection: upgrade", "Upgrade: websocket"]
    memo = Memo()
    for raw in heads_of(lines, *(f"{method} /v1/a HTTP/1.1" for method in ("GET", "POST", "GET", "HEAD"))):
        assert memo.read(raw) == anew(raw)


def test_a_request_that_goes_the_last_ones_way_takes_the_secret_that_is_there_now():
    raw = b"GET /v1/a HTTP/1.1\r\nHost: a.test\r\n\r\n"
    policy = Policy(egress=Egress(allow=(EgressRule(host="a.test"),)), credentials=BOUND[:1])

    async def sent():
        shared, memo, found = Shared([policy]), Memo(), []
        for secret in (1, 1, 2, 0, 1):
            shared.under(0, secret)
            _, _, all_sent, _ = await outcome(raw, shared, memo, ORIGIN)
            found.append(all_sent[0][2]["fields"])
        return found

    with mock.patch.object(judge, "Exchange", Sent):
        found = asyncio.run(sent())
    first, second = (one.reveal_for_injection().encode() for one in SECRETS[1:])
    keys = [[value for name, value in fields if name == b"x-api-key"] for fields in found]
    assert keys == [[first], [first], [second], [], [first]]


def test_a_length_that_a_rule_is_about_is_judged_anew():
    policy = Policy(egress=Egress(allow=(EgressRule(host="a.test", max_body=100),)))
    block = ("a.test", (), (), "Content-Length: ")
    heads = [spelled("POST /v1/a HTTP/1.1", block, size) for size in ("7", "100", "101", "99")]
    assert [len(sent) for _, _, sent, _ in answers(policy, heads, origin=ORIGIN)] == [1, 1, 0, 1]


def test_a_head_with_the_field_lines_of_the_last_one_is_not_read_line_by_line():
    memo, block = Memo(), ("a.test", ("X-A: 1",), ("X:",), "Content-Length: ")
    heads = [spelled(f"POST /{size} HTTP/1.1", block, size) for size in ("7", "100")]
    memo.read(heads[0])
    kept = memo._block
    assert memo.read(heads[1]) == anew(heads[1])
    assert memo._block is kept
