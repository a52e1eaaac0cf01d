"""Keys at the gate: put in where they are bound, removed where the agent brings its own, never given back."""

import base64
import json
import os
import threading

import pytest
from gates import WAIT, Running, credential, drain, parse, read_head, rule

from ringfence.policy.model import Gateway

KEY = "canary-key-0123456789abcdef"
HOST = "api.example.com"
PLACEHOLDER = "sk-ringfence-placeholder"


@pytest.fixture(scope="module")
def upstream(serve):
    return serve(HOST, "api.example.com", "other.example.com")


@pytest.fixture(scope="module")
def gate(start, upstream, serve):
    plain = serve("plain", tls=False)
    gate = start(
        allow=(
            rule(HOST, schemes=("https", "http")),
            rule(HOST, ports=(8443,)),
            rule("other.example.com"),
            rule("absent.example.com"),
        ),
        static=(
            (HOST, upstream.address),
            ("other.example.com", upstream.address),
            ("absent.example.com", upstream.address),
        ),
        credentials=(
            credential(HOST, header="X-Api-Key", strip=("Authorization", "Cookie"), placeholder=PLACEHOLDER),
            credential(
                "absent.example.com",
                name="absent",
                source="env:ABSENT_KEY",
                prefix="Bearer ",
                strip=("x-api-key",),
                optional=True,
            ),
        ),
        gateways=(
            Gateway(name="model", upstream="https://api.example.com/base"),
            Gateway(name="gone", upstream="https://unlisted.example.com"),
        ),
        environment={"TEST_KEY": KEY},
    )
    gate.unencrypted = plain
    return gate


def fields(upstream):
    """Return the header fields of the last request seen."""
    return upstream.heads[-1].decode().split("\r\n")[1:]


def test_the_agents_own_keys_are_removed_in_every_spelling_and_ours_is_put_in(gate, upstream):
    own = [
        ("x-api-key", "mine"),
        ("X-API-KEY", "mine2"),
        ("AUTHORIZATION", "Bearer mine3"),
        ("Cookie", "mine4"),
    ]
    assert gate.ask(f"{HOST}:443", headers=own)[0] == 200
    assert fields(upstream) == [f"Host: {HOST}", f"x-api-key: {KEY}"]


def test_naming_the_credential_in_connection_does_not_drop_it(gate, upstream):
    raw = b"GET / HTTP/1.1\r\nHost: api.example.com\r\nConnection: close, x-api-key, host, cookie\r\n\r\n"
    assert parse(gate.tunnelled(f"{HOST}:443", raw))[0] == 200
    assert fields(upstream) == [f"Host: {HOST}", f"x-api-key: {KEY}"]


@pytest.mark.parametrize("name", ["X-Api-Key ", "X-Api-Key\t", " X-Api-Key", "X_Api_Key"])
def test_a_header_that_only_looks_like_the_credential_does_not_replace_it(gate, upstream, name):
    raw = f"GET / HTTP/1.1\r\nHost: api.example.com\r\n{name}: mine\r\nConnection: close\r\n\r\n".encode()
    if parse(gate.tunnelled(f"{HOST}:443", raw))[0] == 200:
        assert f"x-api-key: {KEY}" in fields(upstream)
        assert "X-Api-Key: mine" not in fields(upstream)


def test_the_key_goes_to_no_other_host_and_no_other_port(gate, upstream):
    gate.ask("other.example.com:443")
    assert fields(upstream) == ["Host: other.example.com"]
    gate.ask(f"{HOST}:8443")
    assert fields(upstream) == [f"Host: {HOST}:8443"]


@pytest.mark.usefixtures("upstream")
def test_the_key_never_goes_over_plain_http(gate, start):
    plain = gate.unencrypted
    own = start(
        allow=(rule(HOST, schemes=("http",), ports=(443, 80)),),
        static=((HOST, plain.address),),
        credentials=(credential(HOST),),
        environment={"TEST_KEY": KEY},
    )
    for port in ("", ":443"):
        raw = f"GET http://{HOST}{port}/ HTTP/1.1\r\nHost: {HOST}{port}\r\nConnection: close\r\n\r\n"
        assert parse(own.converse(raw.encode()))[0] == 200
    assert KEY.encode() not in plain.seen


def test_the_placeholder_is_not_replaced_in_a_body(gate, upstream):
    gate.ask(f"{HOST}:443", method="POST", body=PLACEHOLDER.encode())
    head, body = upstream.requests[-1]
    assert head.count(KEY.encode()) == 1
    assert body == PLACEHOLDER.encode()


ENCODED = base64.b64encode(b"x" + PLACEHOLDER.encode()).decode()


@pytest.mark.guarantee("C8")
@pytest.mark.parametrize("host", [HOST, "other.example.com"])
@pytest.mark.parametrize(
    ("path", "headers"),
    [
        (f"/?key={PLACEHOLDER}", ()),
        (f"/{PLACEHOLDER}/x", ()),
        ("/%73k-ringfence-placeholder", ()),
        ("/?a=%2573k-ringfence-placeholder", ()),
        ("/", [("Referer", f"https://x/{PLACEHOLDER}")]),
        ("/", [("X-Data", ENCODED)]),
        ("/", [("X-Data", PLACEHOLDER.encode().hex())]),
        ("/", [("X-One", PLACEHOLDER[:9]), ("X-Two", PLACEHOLDER[9:])]),
    ],
)
def test_a_placeholder_in_another_place_or_for_another_host_is_refused(gate, upstream, host, path, headers):
    before = len(upstream.requests)
    status, _, body = gate.ask(f"{host}:443", path=path, headers=headers)
    assert (status, json.loads(body)["error"]["type"]) == (403, "ringfence_credential")
    assert len(upstream.requests) == before
    assert gate.wait_for("refused", host=host, status=403)


def test_an_injection_is_on_record_by_name_only(gate):
    gate.ask(f"{HOST}:443")
    assert gate.wait_for("verdict", credential="test", host=HOST)
    with open(gate.audit_path, encoding="utf-8") as file:
        assert KEY not in file.read()


# --- a source that has nothing


@pytest.mark.parametrize("header", ["Authorization", "x-api-key"])
def test_without_a_secret_a_key_from_inside_is_refused_and_the_variable_named(gate, upstream, header):
    before = len(upstream.requests)
    status, headers, body = gate.ask("absent.example.com:443", headers=[(header, f"Bearer {PLACEHOLDER}")])
    assert (status, headers["x-ringfence-denied"]) == (401, "1")
    error = json.loads(body)["error"]
    assert error["type"] == "ringfence_credential"
    assert "ABSENT_KEY" in error["how"]
    assert len(upstream.requests) == before


def test_without_a_secret_a_request_that_needs_none_passes(start, serve):
    upstream = serve("absent.example.com")
    gate = start(
        allow=(rule("absent.example.com"),),
        static=(("absent.example.com", upstream.address),),
        credentials=(credential("absent.example.com", optional=True),),
        environment={},
    )
    assert gate.ask("absent.example.com:443")[0] == 200
    assert fields(upstream) == ["Host: absent.example.com"]


def test_of_several_credentials_the_first_with_a_secret_is_used_and_every_header_removed(start, serve):
    upstream = serve(HOST)
    gate = start(
        allow=(rule(HOST),),
        static=((HOST, upstream.address),),
        credentials=(
            credential(HOST, name="a", source="env:A", header="x-a", optional=True),
            credential(HOST, name="b", source="env:B", header="x-b", prefix="Token "),
            credential(HOST, name="c", source="env:C", header="x-c"),
        ),
        environment={"B": "bbbbbbbb", "C": "cccccccc"},
    )
    assert gate.ask(f"{HOST}:443", headers=[("X-A", "1"), ("X-B", "2"), ("X-C", "3")])[0] == 200
    assert fields(upstream) == [f"Host: {HOST}", "x-b: Token bbbbbbbb"]


@pytest.mark.guarantee("C9")
def test_a_rotated_file_is_used_at_the_next_request(start, serve, tmp_path):
    upstream = serve(HOST)
    path = tmp_path / "key"
    path.write_text("first-value-000")
    os.chmod(path, 0o600)
    gate = start(
        allow=(rule(HOST),),
        static=((HOST, upstream.address),),
        credentials=(credential(HOST, source=f"file:{path}", header="x-key"),),
    )
    gate.ask(f"{HOST}:443")
    path.write_text("second-value-11")
    gate.ask(f"{HOST}:443")
    assert [one[-1] for one in (head.decode().split("\r\n") for head in upstream.heads)] == [
        "x-key: first-value-000",
        "x-key: second-value-11",
    ]


# --- reflection


def test_a_reflected_key_is_overwritten_in_headers_and_bodies_also_across_pieces(start, serve):
    key = KEY.encode()

    def reflect(sock, *_):
        head = b"HTTP/1.1 200 " + key + b"\r\nX-Echo: a" + key + b"b\r\nLocation: https://x/?k=" + key
        sock.sendall(head + b"\r\nTransfer-Encoding: chunked\r\n\r\n")
        for at in range(0, len(key), 3):
            piece = key[at : at + 3]
            sock.sendall(b"%x\r\n%b\r\n" % (len(piece), piece))
        tail = b"<" + key + b"><" + key[:10]
        sock.sendall(b"%x\r\n%b\r\n0\r\n\r\n" % (len(tail), tail))

    upstream = serve(HOST, answer=reflect)
    gate = start(
        allow=(rule(HOST),),
        static=((HOST, upstream.address),),
        credentials=(credential(HOST),),
        environment={"TEST_KEY": KEY},
    )
    found = gate.tunnelled(
        f"{HOST}:443", b"GET / HTTP/1.1\r\nHost: api.example.com\r\nConnection: close\r\n\r\n"
    )
    assert key not in found
    _, headers, body = parse(found)
    assert headers["x-echo"] == "a" + "*" * len(key) + "b"
    stars = b"*" * len(key)
    assert body == stars + b"<" + stars + b"><" + key[:10]


def test_an_event_without_a_tail_like_the_key_is_not_held_back(start, serve):
    go = threading.Event()

    def events(sock, *_):
        sock.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\ndata: 1\n\n\r\n")
        assert go.wait(WAIT)
        sock.sendall(b"0\r\n\r\n")

    upstream = serve(HOST, answer=events)
    gate = start(
        allow=(rule(HOST),),
        static=((HOST, upstream.address),),
        credentials=(credential(HOST),),
        environment={"TEST_KEY": KEY},
    )
    with gate.connect(f"{HOST}:443") as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: api.example.com\r\n\r\n")
        read_head(sock)
        found = b""
        while not found.endswith(b"data: 1\n\n\r\n"):
            found += sock.recv(1)
        go.set()


# --- gateways


def gateway(gate, host, path="/v1/messages", extra="", form="absolute"):
    target = f"http://{host}{path}" if form == "absolute" else path
    raw = (
        f"POST {target} HTTP/1.1\r\nHost: {host}\r\n{extra}Content-Length: 2\r\nConnection: close\r\n\r\n{{}}"
    )
    return parse(gate.converse(raw.encode()))


@pytest.mark.parametrize("form", ["absolute", "origin"])
def test_a_gateway_stands_for_its_upstream_with_the_key_put_in(gate, upstream, form):
    status, _, _ = gateway(gate, "model.gateway.internal", extra="x-api-key: mine\r\n", form=form)
    assert status == 200
    assert upstream.heads[-1].startswith(b"POST /base/v1/messages HTTP/1.1\r\nHost: api.example.com\r\n")
    assert f"x-api-key: {KEY}" in fields(upstream)
    assert gate.wait_for("verdict", source="gateway model")


def test_a_gateways_prefix_cannot_be_left(gate, upstream):
    for path in ("/../admin", "/%2e%2e/admin", "/x/../../admin"):
        gateway(gate, "model.gateway.internal", path=path)
        assert upstream.heads[-1].startswith(b"POST /base/admin ")


@pytest.mark.usefixtures("upstream")
def test_a_gateway_through_connect_is_served_too(gate):
    with gate.plain() as sock:
        sock.sendall(b"CONNECT model.gateway.internal:80 HTTP/1.1\r\nHost: model.gateway.internal:80\r\n\r\n")
        assert read_head(sock).startswith(b"HTTP/1.1 200 ")
        sock.sendall(b"GET /x HTTP/1.1\r\nHost: model.gateway.internal\r\nConnection: close\r\n\r\n")
        assert parse(drain(sock))[0] == 200


def test_what_lies_behind_a_gateway_is_judged_like_any_request(gate):
    assert gateway(gate, "gone.gateway.internal")[0] == 403


@pytest.mark.parametrize(
    "host", ["unknown.gateway.internal", "model.gateway.internal:81", "x.model.gateway.internal"]
)
def test_a_gateway_that_is_not_there_is_403_and_the_others_are_named(gate, host):
    status, _, body = gateway(gate, host)
    assert status == 403
    assert b"http://model.gateway.internal" in body


# --- where the key is


def test_no_secret_is_in_the_processs_environment_arguments_or_open_files(gate):
    pid = gate.process.pid
    for name in ("environ", "cmdline"):
        with open(f"/proc/{pid}/{name}", "rb") as file:
            assert KEY.encode() not in file.read()
    links = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
    assert not [one for one in links if "secrets" in one or "handover" in one]


def test_the_process_is_closed_to_others_of_its_user_and_leaves_no_core(gate):
    pid = gate.process.pid
    assert os.stat(f"/proc/{pid}/environ").st_uid == 0  # not dumpable: root's, whoever runs it
    with open(f"/proc/{pid}/limits", encoding="ascii") as file:
        core = next(line for line in file if line.startswith("Max core file size"))
    assert {int(one) for one in core.split()[4:6]} <= {0, 1}  # of one byte: not even a pipe is run


def test_a_key_that_cannot_be_read_is_named_by_its_source_in_no_trace(tmp_path, certificates, serve):
    upstream = serve(HOST)
    (tmp_path / "gate").mkdir()
    gate = Running(
        tmp_path / "gate",
        allow=(rule(HOST),),
        extra_ca=(certificates.ca,),
        static=((HOST, upstream.address),),
        credentials=(credential(HOST),),
        environment={"TEST_KEY": "bad\nvalue-canary"},
    )
    try:
        assert gate.ask(f"{HOST}:443", headers=[("Authorization", "x")])[0] == 401
    finally:
        gate.stop()
    with open(gate.audit_path, encoding="utf-8") as file:
        assert "value-canary" not in file.read() + gate.stderr


def test_encoded_spellings_of_a_reflected_key_are_overwritten_too():
    from ringfence.egress.scrub import scrub, spellings

    encoded = base64.b64encode(b"x-api-key: " + KEY.encode() + b"\r\n")
    scrubbed = scrub(encoded, spellings((KEY.encode(),)))
    assert len(scrubbed) == len(encoded)
    assert KEY.encode()[2:-2] not in base64.b64decode(scrubbed.replace(b"*", b"A"))
