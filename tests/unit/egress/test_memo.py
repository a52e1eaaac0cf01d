"""What a connection remembers of its last head is what reading and judging it anew would come to."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringfence.cli.policy_explain import handover
from ringfence.egress import judge, limits
from ringfence.egress.gate import Gate, Origin
from ringfence.egress.http1 import MalformedError, parse_request, parse_response
from ringfence.egress.memo import AnswerMemo, Memo
from ringfence.egress.second import agree
from ringfence.policy.model import Egress, EgressRule, Policy

LINES = st.sampled_from(
    [
        *(b"Host: a.test", b"Host: b.test", b"host: a.test", b"Content-Length: 3", b"Content-Length: 03"),
        *(b"Transfer-Encoding: chunked", b"X-A: 1", b"x-a:2", b"X-A : 1", b" folded", b"Connection: close"),
        *(b"Connection: Upgrade", b"Upgrade: websocket", b"Expect: 100-continue", b"Cookie: a=b", b"X: \xff"),
    ]
)
STARTS = st.sampled_from(
    [b"GET / HTTP/1.1", b"GET /a HTTP/1.1", b"POST / HTTP/1.1", b"GET / HTTP/1.0", b"GET  / HTTP/1.1", b"G"]
)
HEADS = st.builds(
    lambda start, lines: b"\r\n".join([start, *lines, b"", b""]), STARTS, st.lists(LINES, max_size=4)
)


def read(reading, raw):
    try:
        return reading(raw)
    except MalformedError as error:
        return error.message, error.answer


def anew(raw):
    head = parse_request(raw)
    agree(raw, head)
    return head


@given(st.lists(HEADS, max_size=8).flatmap(lambda heads: st.permutations(heads * 2)))
def test_every_head_of_a_connection_is_read_as_if_it_were_the_first(heads):
    memo = Memo()
    for raw in heads:
        assert read(memo.read, raw) == read(anew, raw)


def gate(*allow, deny=()):
    return Gate(handover(Policy(egress=Egress(allow=allow, deny=deny))))


class Shared:
    def __init__(self, gate):
        self.gate = gate


class Asked:
    def __init__(self, head, memo):
        self.head, self.memo = head, memo


def verdict(raw, memo, under):
    case = judge.Case(Shared(under), Asked(memo.read(raw), memo), Origin(kind="tunnel", scheme="https"))
    return case._found()[2].effect


ALLOWED = EgressRule(host="a.test")


def test_another_policy_judges_the_same_head_anew():
    memo, raw = Memo(), b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n"
    open_, shut = gate(ALLOWED), gate(ALLOWED, deny=(EgressRule(host="a.test", paths=("/**",)),))
    assert [verdict(raw, memo, one) for one in (open_, open_, shut, shut, open_)] == [
        *("allow", "allow", "deny", "deny", "allow")
    ]


@pytest.mark.parametrize(
    "other", [b"GET /b HTTP/1.1\r\nHost: a.test\r\n\r\n", b"GET / HTTP/1.1\r\nHost: b.test\r\n\r\n"]
)
def test_another_head_is_judged_for_itself(other):
    memo, rules = Memo(), gate(EgressRule(host="a.test", paths=("/",)))
    usual = b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n"
    assert [verdict(raw, memo, rules) for raw in (usual, usual, other, usual)] == [
        *("allow", "allow", "deny", "allow")
    ]


def test_a_head_that_another_stands_for_is_not_remembered():
    memo, rules = Memo(), gate(ALLOWED)
    head = memo.read(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
    assert memo.about(head, rules) is memo
    assert memo.about(parse_request(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n"), rules) is None


def test_a_long_head_is_not_kept():
    memo = Memo()
    raw = b"GET / HTTP/1.1\r\nHost: a.test\r\nX: " + b"x" * limits.HEAD_KEPT + b"\r\n\r\n"
    head = memo.read(raw)
    assert memo.read(raw) is not head
    assert memo.about(head, gate(ALLOWED)) is None


ANSWERS = st.sampled_from(
    [
        *(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n"),
        *(b"HTTP/1.1 304 \r\nETag: x\r\n\r\n", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
        *(b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\n\r\n", b"HTTP/1.1 200 OK\nX: y\r\n\r\n"),
    ]
)


@given(st.lists(st.tuples(ANSWERS, st.sampled_from(["GET", "HEAD"])), max_size=12))
def test_every_answer_of_an_upstream_is_read_as_if_it_were_the_first(answers):
    memo = AnswerMemo()
    for raw, method in answers:
        seen = read(lambda one, method=method: memo.read(one, method), raw)
        assert seen == read(lambda one, method=method: parse_response(one, method), raw)


def test_fields_of_an_answer_are_remembered_for_the_same_head_and_the_same_values_only():
    memo, values = AnswerMemo(), (b"secret",)
    head = memo.read(b"HTTP/1.1 200 OK\r\nX: y\r\n\r\n", "GET")
    memo.keep(head, values, [(b"X", b"y")])
    assert memo.returned(head, values) == ([(b"X", b"y")], b"X: y\r\n")
    assert memo.returned(head, (b"another", b"secret")) is None
    assert memo.returned(parse_response(b"HTTP/1.1 200 OK\r\nX: y\r\n\r\n", "GET"), values) is None
    memo.read(b"HTTP/1.1 200 OK\r\nX: z\r\n\r\n", "GET")
    assert memo.returned(head, values) is None


def test_an_answer_that_sets_a_cookie_is_not_kept():
    memo, raw = AnswerMemo(), b"HTTP/1.1 200 OK\r\nset-Cookie: a=b\r\n\r\n"
    assert memo.read(raw, "GET") is not memo.read(raw, "GET")
