"""Rules with conditions through the gate's real process: what is looked into arrives whole, what is refused never."""

import json
import time

import pytest
from gates import drain, read_head, rule
from test_controls import Held, answered, open_question

from ringfence.cli.approve import Asked, policy_lines

HOST = "api.example.com"
AT = f"{HOST}:443"
JSON = ("Content-Type", "application/json")
ECHO_LIMIT = 1000


def echo(sock, _head, body):
    """Answer with the body that came."""
    sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))


@pytest.fixture(scope="module")
def upstream(serve):
    return serve(HOST, answer=echo)


@pytest.fixture(scope="module")
def gate(start, upstream):
    return start(
        allow=(
            rule(
                HOST, methods=("POST", "GET"), paths=("/graphql",), graphql=("query", "mutation addComment")
            ),
            rule(HOST, methods=("POST",), paths=("/small",), max_body=ECHO_LIMIT),
            rule(HOST, methods=("GET",), paths=("/list",), query=("page",)),
            rule(HOST, methods=("POST",), paths=("/json",), content_types=("application/json",)),
        ),
        deny=(rule(HOST, headers=("x-http-method-override",), reason="no overrides"),),
        static=((HOST, upstream.address),),
    )


@pytest.fixture(autouse=True)
def fresh(upstream):
    upstream.clear()


def graphql(gate, document, *more, **members):
    body = json.dumps({"query": document, **members}).encode()
    return gate.ask(AT, "POST", "/graphql", (JSON, *more), body), body


def error(answer):
    return json.loads(answer[2])["error"]


# --- GraphQL


@pytest.mark.guarantee("R3")
@pytest.mark.parametrize(
    "document",
    [
        "mutation { createIssue(input: {}) { id } }",
        "mutation addComment { addComment: createIssue { id } }",
        "query Q { viewer { login } } mutation M { createIssue { id } }",
        "mutation { ...F } fragment F on Mutation { createIssue { id } }",
        "{ __schema { types { name } } }",
        "subscription { events }",
        "not GraphQL",
    ],
)
def test_an_operation_that_no_rule_names_is_not_sent(gate, upstream, document):
    answer, _ = (
        graphql(gate, document, operationName="Q") if "query Q" in document else graphql(gate, document)
    )
    assert answer[0] == 403
    assert error(answer)["type"] == "ringfence_denied"
    assert upstream.requests == []


@pytest.mark.guarantee("R3")
def test_what_could_be_read_in_two_ways_is_not_sent(gate, upstream):
    hidden = b'{"query": "{ a }", "Query": "mutation { createIssue { id } }"}'
    batch = b'[{"query": "{ a }"}, {"query": "mutation { createIssue { id } }"}]'
    long = json.dumps({"query": "{ a }", "variables": {"x": "y" * 1_100_000}}).encode()
    for body in (hidden, batch, b'{"query": "{ a }', b'{"id": "persisted"}', long):
        assert gate.ask(AT, "POST", "/graphql", (JSON,), body)[0] == 403
    assert gate.ask(AT, "GET", "/graphql?query={a}&query=mutation{createIssue{id}}")[0] == 403
    assert gate.ask(AT, "POST", "/graphql?query=mutation{b}", (JSON,), b'{"query": "{ a }"}')[0] == 403
    assert upstream.requests == []


def test_a_named_operation_arrives_whole(gate, upstream):
    for document in ("{ viewer { login } }", "mutation X { addComment(input: {}) { id } }"):
        answer, body = graphql(gate, document, variables={"text": "z" * 300_000})
        assert (answer[0], answer[2]) == (200, body)
        assert upstream.requests[-1][1] == body
    assert gate.ask(AT, "GET", "/graphql?query=%7B%20viewer%20%7D")[0] == 200


def test_a_chunked_operation_is_looked_into_and_arrives_whole(gate, upstream):
    body = b'{"query": "{ viewer { login } }"}'
    pieces = b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\n\r\n"
    head = (
        f"POST /graphql HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: application/json\r\nConnection: close\r\n"
    )
    answer = gate.tunnelled(AT, head.encode() + b"Transfer-Encoding: chunked\r\n\r\n", pieces)
    assert answer.startswith(b"HTTP/1.1 200")
    raw = upstream.requests[-1][1]
    assert b"".join(part.partition(b"\r\n")[2] for part in _chunks(raw)) == body


def _chunks(raw):
    """Split a chunked body into its chunks, sizes with them."""
    while raw and not raw.startswith(b"0\r\n"):
        size, _, rest = raw.partition(b"\r\n")
        yield size + b"\r\n" + rest[: int(size, 16)]
        raw = rest[int(size, 16) + 2 :]


def test_a_client_that_waits_for_100_is_told_to_go_on_before_its_body_is_judged(gate, upstream):
    body = b'{"query": "mutation { createIssue { id } }"}'
    head = (
        f"POST /graphql HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: application/json\r\n"
        f"Expect: 100-continue\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    with gate.connect(AT) as sock:
        sock.sendall(head.encode())
        assert read_head(sock).startswith(b"HTTP/1.1 100 ")
        sock.sendall(body)
        assert read_head(sock).startswith(b"HTTP/1.1 403 ")
    assert upstream.requests == []


def test_a_connection_goes_on_after_a_refusal_whose_body_was_read(gate, upstream):
    bad, good = b'{"query": "mutation { x }"}', b'{"query": "{ x }"}'
    requests = [
        f"POST /graphql HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: application/json\r\n{more}"
        f"Content-Length: {len(body)}\r\n\r\n".encode()
        + body
        for body, more in ((bad, ""), (good, "Connection: close\r\n"))
    ]
    answer = gate.tunnelled(AT, b"".join(requests))
    assert answer.count(b"HTTP/1.1 403") == 1
    assert answer.count(b"HTTP/1.1 200") == 1
    assert [body for _, body in upstream.requests] == [good]


def test_a_body_that_never_ends_is_not_waited_for_beyond_its_limit(gate, upstream):
    head = f"POST /graphql HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: application/json\r\nContent-Length: 9000000\r\n\r\n"
    with gate.connect(AT) as sock:
        sock.sendall(head.encode() + b'{"query": "' + b"x" * 1_200_000)
        assert read_head(sock).startswith(b"HTTP/1.1 403 ")
    assert upstream.requests == []


# --- size


@pytest.mark.guarantee("R4")
def test_a_body_known_to_be_too_large_is_refused_before_anything_is_dialled(gate, upstream):
    answer = gate.ask(AT, "POST", "/small", (), b"x" * (ECHO_LIMIT + 1))
    assert answer[0] == 403
    assert error(answer)["message"].endswith(
        f"the body has {ECHO_LIMIT + 1} bytes, the rule takes {ECHO_LIMIT}"
    )
    assert upstream.seen == b""
    assert gate.ask(AT, "POST", "/small", (), b"x" * ECHO_LIMIT)[0] == 200


@pytest.mark.guarantee("R4")
def test_a_body_that_turns_out_too_large_is_cut_off_and_the_upstream_sees_that(gate, upstream):
    head = f"POST /small HTTP/1.1\r\nHost: {HOST}\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n".encode()
    with gate.connect(AT) as sock:
        sock.sendall(head + b"1f4\r\n" + b"x" * 500 + b"\r\n")
        time.sleep(0.2)
        sock.sendall(b"1f5\r\n" + b"x" * 501 + b"\r\n0\r\n\r\n")
        answer = drain(sock)
    assert answer.startswith(b"HTTP/1.1 403 ")
    assert b"more than the 1000 bytes" in answer
    until = time.monotonic() + 5
    while upstream.ended == 0 and time.monotonic() < until:
        time.sleep(0.01)
    assert upstream.ended == 1
    assert upstream.requests == []
    assert upstream.seen.count(b"x") <= ECHO_LIMIT


def test_a_chunked_body_within_its_limit_passes(gate):
    head = f"POST /small HTTP/1.1\r\nHost: {HOST}\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n".encode()
    assert gate.tunnelled(AT, head + b"5\r\nhello\r\n0\r\n\r\n").startswith(b"HTTP/1.1 200")


# --- the rest of the head, and what the agent is told


def test_other_conditions_hold_on_the_wire(gate, upstream):
    assert gate.ask(AT, "GET", "/list?page=1")[0] == 200
    upstream.clear()
    assert "query key" in error(gate.ask(AT, "GET", "/list?page=1&leak=c2VjcmV0"))["message"]
    assert (
        "content type"
        in error(gate.ask(AT, "POST", "/json", (("Content-Type", "text/xml"),), b"<a/>"))["message"]
    )
    denied = error(gate.ask(AT, "GET", "/list", (("X-HTTP-Method-Override", "DELETE"),)))
    assert "no overrides" in denied["message"]
    assert "allow" not in denied
    assert upstream.requests == []


def test_a_refusal_proposes_the_smallest_rule(gate):
    told = error(gate.ask(AT, "DELETE", "/v1/thing"))
    assert told == {
        "type": "ringfence_denied",
        "message": f"DELETE https://{HOST}/v1/thing was refused: no rule allows this: "
        f"the rule for {HOST} does not name this path",
        "host": HOST,
        "rule": "no rule",
        "near": f"policy: {HOST}",
        "how": f"the operator can allow it: `ringfence run --allow 'DELETE {HOST}/v1/thing'`, or in the policy: "
        f'[[egress.allow]] host = "{HOST}", methods = ["DELETE"], paths = ["/v1/thing"]',
        "allow": {"host": HOST, "methods": ["DELETE"], "paths": ["/v1/thing"]},
    }
    answer, _ = graphql(gate, "mutation { createIssue { id } }")
    assert error(answer)["allow"] == {
        "host": HOST,
        "methods": ["POST"],
        "paths": ["/graphql"],
        "graphql": ["mutation createIssue"],
    }
    assert 'graphql = ["mutation createIssue"]' in error(answer)["how"]


def test_the_record_says_which_condition_failed(gate):
    graphql(gate, "mutation { deleteEverything { id } }")
    told = gate.records("verdict")[-1]
    assert told["effect"] == "deny"
    assert "the mutation field `deleteEverything` is not in the rule" in told["reason"]


# --- what a person is asked


def test_a_person_is_shown_what_the_body_does_and_proposed_no_more_than_that(start, upstream, tmp_path):
    gate = start(
        allow=(rule(HOST, graphql=("query",)),),
        ask=(rule(HOST, graphql=("mutation",)),),
        static=((HOST, upstream.address),),
        session_dir=str(tmp_path),
    )
    body = b'{"query": "mutation Harmless { deleteRepository(input: {}) { id } }"}'
    held = Held(gate, AT, "POST", "/graphql", (JSON,), body)
    shown = open_question(tmp_path)
    assert shown["what"] == ["mutation deleteRepository"]
    shown.pop("name", None)
    told = Asked(str(tmp_path), dict(shown))
    assert told.is_whole()
    assert policy_lines(told.question) == (
        f'[[egress.allow]]\nhost = "{HOST}"\nmethods = ["POST"]\npaths = ["/graphql"]\n'
        'graphql = ["mutation deleteRepository"]\n'
    )
    assert upstream.requests == []
    answered(tmp_path, "once")
    assert held.outcome()[0] == 200
    assert [one for _, one in upstream.requests] == [body]
