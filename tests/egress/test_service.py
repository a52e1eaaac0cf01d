"""`ringfence egress`: who gets in, what is never shared, and how it begins and ends."""

import os
import signal
import socket
import ssl
import struct
import time

import pytest
import servers
from gates import WAIT, drain, parse, read_head
from services import BLUE, HOST, OTHER, RED, TCP, TWO, admin, allow, basic, eventually, policy, said, serving

# --- what does not start


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "say `--policy FILE` or `--identities FILE`"),
        (("--policy", "p.toml", "--identities", "who.toml"), "say `--policy FILE` or `--identities FILE`"),
        (("--policy", "p.toml"), "nobody could connect"),
        (("--listen", "3128", "--policy", "p.toml"), "an address cannot be used"),
        (("--listen", "localhost:3128", "--policy", "p.toml"), "an address cannot be used"),
        (("--listen", "unix:relative", "--policy", "p.toml"), "written as unix:/path"),
        (("--listen", "0.0.0.0:3128", "--policy", "p.toml"), "anybody who can reach 0.0.0.0:3128"),
        (("--listen", "[::]:3128", "--policy", "p.toml"), "anybody who can reach [::]:3128"),
        (("--listen", "vsock:3128", "--policy", "p.toml"), "anybody who can reach vsock:3128"),
        (("--listen", "127.0.0.1:1", "--policy", "none.toml"), "there is no policy file"),
        (("--listen", "127.0.0.1:1", "--policy", "wrong.toml"), "unknown key `alow`"),
        (("--listen", "192.0.2.1:3128", "--identities", "who.toml"), "cannot listen on 192.0.2.1:3128"),
        (("--listen", "127.0.0.1:1", "--policy", "p.toml", "--admin", "0.0.0.0:9"), "others could read it"),
        (("--listen", "127.0.0.1:1", "--policy", "p.toml", "--drain", "soon"), "--drain soon"),
        (("--listen", "127.0.0.1:1", "--identities", "none.toml"), "cannot read"),
        (("--identities", "who.toml"), "has nowhere to connect to"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_told_at_the_start(tmp_path, words, told):
    (tmp_path / "p.toml").write_text("")
    (tmp_path / "wrong.toml").write_text("[egress]\nalow = []\n")
    (tmp_path / "who.toml").write_text('[identity.a]\npolicy = "p.toml"\nsource = ["10.0.0.0/8"]\n')
    status, output, errors = said(tmp_path, "egress", *words)
    assert status in {2, 125}
    assert output == ""
    assert told in errors
    assert errors.startswith("error: ")
    assert "Traceback" not in errors


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "holds tables"),
        ("x = 1", "holds tables"),
        ("not toml", "is no TOML"),
        ('[identity.a]\ntoken = "env:RED"', "names no policy file"),
        ('[identity.a]\npolicy = "p.toml"', "could be anybody"),
        ('[identity.A]\npolicy = "p.toml"\ntoken = "env:RED"', "a name is made of"),
        ('[identity."../x"]\npolicy = "p.toml"\ntoken = "env:RED"', "a name is made of"),
        ('[identity.a]\npolicy = "p.toml"\ntokens = "env:RED"', "unknown key `tokens`"),
        ('[identity.a]\npolicy = "p.toml"\nsource = ["*.example"]', "no address and no network"),
        ('[identity.a]\npolicy = "p.toml"\nsource = [1]', "lists of texts"),
        ('[identity.a]\npolicy = "p.toml"\ntoken = "env:NOT_THERE"', "identity `a`"),
        ('[identity.a]\npolicy = "p.toml"\ntoken = "env:SHORT"', "shorter than 16"),
        ("".join(f'[identity.{one}]\npolicy = "p.toml"\ntoken = "env:RED"\n' for one in "ab"), "the same token"),
        ('[identity.a]\npolicy = "gone.toml"\ntoken = "env:RED"', "there is no policy file"),
    ],
)  # fmt: skip
def test_identities_that_cannot_be_meant_are_told(tmp_path, text, told):
    (tmp_path / "p.toml").write_text("")
    (tmp_path / "who.toml").write_text(text)
    words = ("--listen", "127.0.0.1:1", "--identities", "who.toml")
    status, _, errors = said(tmp_path, "egress", *words, environment={"RED": RED, "SHORT": "x" * 15})
    assert status == 125
    assert told in errors
    assert RED not in errors


def test_a_state_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "p.toml").write_text("")
    words = ("--listen", f"127.0.0.1:{servers.free_port()}", "--policy", "p.toml")
    status, _, errors = said(tmp_path, "egress", *words, environment={"RINGFENCE_STATE_DIR": "/proc/none"})
    assert status == 125
    assert errors.startswith("error: ")
    assert "/proc/none" in errors
    assert "Traceback" not in errors


def test_an_address_in_use_is_told_and_leaves_nothing(tmp_path):
    (tmp_path / "p.toml").write_text("")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        where = f"127.0.0.1:{taken.getsockname()[1]}"
        status, _, errors = said(tmp_path, "egress", "--listen", where, "--policy", "p.toml")
    assert status == 125
    assert f"cannot listen on {where}: Address already in use" in errors
    assert os.listdir(tmp_path / "state" / "sessions") == os.listdir(tmp_path / "state" / "live") == []


# --- strangers


@pytest.mark.guarantee("S1")
def test_who_belongs_to_nobody_is_told_so_and_nothing_else(many, services_upstream):
    service = many(TWO)
    services_upstream.clear()
    for who in (
        None,
        ("red", "wrong-token-0123456"),
        ("red", BLUE),
        ("blue", RED),
        ("green", RED),
        ("red", ""),
    ):
        sock, head = service.connect(f"{HOST}:443", who)
        with sock:
            assert head.startswith(b"HTTP/1.1 407 Proxy Authentication Required\r\n")
            assert b'Proxy-Authenticate: Basic realm="ringfence"' in head
            assert drain(sock) == b""
    for value in ("Bearer wrong", "Basic !", "Basic", "Digest x", "Basic " + "A" * 5000):
        raw = f"CONNECT {HOST}:443 HTTP/1.1\r\nHost: {HOST}:443\r\nProxy-Authorization: {value}\r\n\r\n"
        with service.plain() as sock:
            sock.sendall(raw.encode())
            assert read_head(sock).startswith(b"HTTP/1.1 407 ")
    assert services_upstream.handshakes == 0


def test_two_proofs_at_once_are_none(many):
    service = many(TWO)
    raw = "CONNECT {0}:443 HTTP/1.1\r\nHost: {0}:443\r\nProxy-Authorization: {1}\r\nProxy-Authorization: {2}\r\n\r\n"
    with service.plain() as sock:
        sock.sendall(raw.format(HOST, basic("red", RED), basic("blue", BLUE)).encode())
        assert read_head(sock)[9:12] in {b"407", b"400"}


@pytest.mark.guarantee("S1")
def test_strangers_by_socks_are_refused(many):
    service = many(TWO)
    for opening, answer in (
        (b"\5\1\0", b"\5\xff"),
        (b"\5\1\2\1\3red" + bytes((len(BLUE),)) + BLUE.encode(), b"\5\2\1\1"),
        (b"\5\1\2\1\0\0", b"\5\2\1\1"),
        (b"\4\1\1\xbb\x0a\0\0\1\0", b"\0\x5b" + bytes(6)),
    ):
        with service.plain() as sock:
            sock.sendall(opening)
            assert drain(sock) == answer


def test_a_connection_belongs_to_whom_it_was_accepted_from(many, services_upstream):
    """T15: a later request on it that gives another's token, or none, is nobody's."""
    service = many(TWO)
    services_upstream.clear()

    def request(who):
        auth = f"Proxy-Authorization: {basic(*who)}\r\n" if who else ""
        return f"GET http://evil.test/ HTTP/1.1\r\nHost: evil.test\r\n{auth}\r\n".encode()

    for second in (("blue", BLUE), None, ("red", "wrong-token-0123456")):
        with service.plain() as sock:
            sock.sendall(request(("red", RED)))
            answer = b""
            while not answer.endswith(b"}\n"):
                answer += sock.recv(65536)
            assert answer.startswith(b"HTTP/1.1 403 ")
            sock.sendall(request(second))
            assert drain(sock).startswith(b"HTTP/1.1 407 ")


def test_silent_strangers_do_not_keep_others_out(many):
    service = many(TWO)
    silent = [service.plain() for _ in range(600)]  # more than limits.STRANGERS
    try:
        assert service.ask(f"{HOST}:443", ("red", RED)) == (200, b"ok")
    finally:
        for sock in silent:
            sock.close()


# --- identities


@pytest.mark.guarantee("S2")
def test_each_identity_has_its_own_rules(many):
    service = many(TWO)
    assert service.ask(f"{OTHER}:443", ("blue", BLUE))[0] == 403
    assert service.ask(f"{OTHER}:443", ("red", RED)) == (200, b"ok")
    assert service.ask(f"{HOST}:443", ("blue", BLUE)) == (200, b"ok")


def test_a_bearer_token_says_who_it_is_by_itself(many):
    service = many(TWO)
    raw = f"CONNECT {OTHER}:443 HTTP/1.1\r\nHost: {OTHER}:443\r\nProxy-Authorization: Bearer {RED}\r\n\r\n"
    with service.plain() as sock:
        sock.sendall(raw.encode())
        assert read_head(sock).startswith(b"HTTP/1.1 200 ")


def test_socks_with_user_and_token(many):
    service = many(TWO)

    def wish(user, token, host):
        raw = b"\5\1\2\1" + bytes((len(user),)) + user.encode() + bytes((len(token),)) + token.encode()
        return raw + b"\5\1\0\3" + bytes((len(host),)) + host.encode() + struct.pack("!H", 443)

    for user, token, code in (("blue", BLUE, 2), ("red", RED, 0)):
        with service.plain() as sock:
            sock.sendall(wish(user, token, OTHER))
            answer = b""
            while len(answer) < 14:
                answer += sock.recv(14 - len(answer))
        assert answer[:5] == b"\5\2\1\0\5"
        assert answer[5] == code


@pytest.mark.guarantee("S2")
def test_neither_connections_nor_authorities_nor_logs_are_shared(many, services_upstream):
    service = many(TWO)
    services_upstream.clear()
    for who in (("red", RED), ("blue", BLUE), ("red", RED), ("blue", BLUE)):
        assert service.ask(f"{HOST}:443", who, path=f"/{who[0]}") == (200, b"ok")
    assert services_upstream.handshakes == 2  # one connection each, kept for the next request
    with pytest.raises(ssl.SSLCertVerificationError):
        service.ask(f"{HOST}:443", ("red", RED), name="blue")
    for name, other in (("red", "blue"), ("blue", "red")):
        told = str(service.events(name))
        assert f"/{name}" in told
        assert f"/{other}" not in told


@pytest.mark.guarantee("K7")
def test_names_below_a_wildcard_count_for_each_identity_and_over_a_reload(many, tmp_path):
    service = many(TWO)
    limited = '[egress]\nallow = ["*.example.test"]\n[watch]\nnames = {}\n'
    for name in ("red", "blue"):
        (tmp_path / f"{name}.toml").write_text(limited.format(1))
    service.process.send_signal(signal.SIGHUP)
    for who in (("red", RED), ("blue", BLUE)):  # one each
        name = f"{who[0]}.example.test:443"
        eventually(lambda who=who, name=name: service.ask(name, who)[0] == 502)
    status, told = service.ask("y.example.test:443", ("red", RED))
    assert (status, b"ringfence_names" in told) == (403, True)
    (tmp_path / "red.toml").write_text(limited.format(2))
    service.process.send_signal(signal.SIGHUP)
    eventually(lambda: service.ask("y.example.test:443", ("red", RED))[0] == 502)
    assert b"ringfence_names" in service.ask("z.example.test:443", ("red", RED))[1]


@pytest.mark.guarantee("S2")
def test_a_credential_is_its_identitys_alone(many, services_upstream, tmp_path, certificates):
    service = many(TWO)
    bound = '[credentials.key]\nsource = "env:KEY_OF_RED"\nhost = "api.example.com"\nheader = "x-api-key"\n'
    pairs = ((HOST, services_upstream.address), (OTHER, services_upstream.address))
    trusted = f'egress.extra_ca = ["{certificates.ca}"]\n'
    policy(tmp_path, "red.toml", pairs, allow(HOST), more=trusted)
    with open(tmp_path / "red.toml", "a", encoding="ascii") as file:
        file.write(bound)
    service.reload()
    services_upstream.clear()
    assert service.ask(f"{HOST}:443", ("red", RED)) == (200, b"ok")
    assert service.ask(f"{HOST}:443", ("blue", BLUE)) == (200, b"ok")
    assert b"x-api-key: sk-red-secret" in services_upstream.heads[0]
    assert b"sk-red-secret" not in services_upstream.heads[1]
    assert services_upstream.handshakes == 2


@pytest.mark.guarantee("S2")
def test_what_the_model_may_cost_in_a_day_is_each_identitys_own(
    many, services_upstream, tmp_path, certificates
):
    service = many(TWO)
    for name in ("red.toml", "blue.toml"):
        pairs = ((HOST, services_upstream.address),)
        policy(tmp_path, name, pairs, allow(HOST), more=f'egress.extra_ca = ["{certificates.ca}"]\n')
        with open(tmp_path / name, "a", encoding="ascii") as file:
            file.write("[model]\nday_tokens = 50\n")
    service.reload()

    def status(who):
        return service.ask(f"{HOST}:443", who, path="/v1/messages", body="x" * 400)[0]

    assert [status(("red", RED)) for _ in range(2)] == [200, 403]
    assert status(("blue", BLUE)) == 200


def test_a_token_never_travels_on(many, services_upstream, tmp_path, certificates):
    service = many(TWO)
    policy(
        tmp_path,
        "red.toml",
        ((HOST, services_upstream.address),),
        allow(HOST),
        more=f'egress.extra_ca = ["{certificates.ca}"]',
    )
    services_upstream.clear()
    assert (
        service.ask(f"{HOST}:443", ("red", RED), extra=f"Proxy-Authorization: {basic('red', RED)}\r\n")[0]
        == 200
    )
    assert b"roxy-" not in services_upstream.seen
    assert RED not in str(service.events("red"))


def test_an_identity_is_known_by_where_it_comes_from(many):
    service = many(
        '[identity.red]\npolicy = "red.toml"\nsource = ["127.0.0.2"]\n'
        '[identity.blue]\npolicy = "blue.toml"\nsource = ["127.0.0.3", "127.0.1.0/24"]\n'
    )
    assert service.ask(f"{OTHER}:443", name="red", source="127.0.0.1")[0] == 407
    assert service.ask(f"{OTHER}:443", name="blue", source="127.0.1.9")[0] == 403
    assert service.ask(f"{OTHER}:443", name="red", source="127.0.0.2") == (200, b"ok")


def test_a_token_may_count_only_from_certain_places(many):
    service = many('[identity.red]\npolicy = "red.toml"\ntoken = "env:RED"\nsource = ["127.0.0.2"]\n')
    assert service.ask(f"{HOST}:443", ("red", RED))[0] == 407
    assert service.ask(f"{HOST}:443", name="red", source="127.0.0.2")[0] == 407
    assert service.ask(f"{HOST}:443", ("red", RED), source="127.0.0.2") == (200, b"ok")


def unix(path):
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(WAIT)
    sock.connect(str(path))
    return sock


def test_a_unix_socket_is_one_identitys_door(many, tmp_path):
    path = tmp_path / "blue.sock"
    stale = socket.socket(socket.AF_UNIX)
    stale.bind(str(path))  # left behind by a service that was killed
    stale.close()
    service = many(
        f'[identity.red]\npolicy = "red.toml"\ntoken = "env:RED"\n'
        f'[identity.blue]\npolicy = "blue.toml"\nlisten = ["unix:{path}"]\n'
    )
    assert service.ask(f"{OTHER}:443", ("red", RED), sock=unix(path))[0] == 407  # not red's door
    assert service.ask(f"{OTHER}:443", name="blue", sock=unix(path))[0] == 403
    assert service.ask(f"{HOST}:443", name="blue", sock=unix(path)) == (200, b"ok")
    assert service.ask(f"{HOST}:443", name="blue")[0] == 407  # and blue has no other
    assert os.stat(path).st_mode & 0o777 == 0o660
    assert service.stop() == 0
    assert not path.exists()


def test_a_file_in_the_way_of_a_unix_socket_is_kept(tmp_path):
    (tmp_path / "p.toml").write_text("")
    (tmp_path / "precious").write_text("data")
    status, _, errors = said(
        tmp_path, "egress", "--listen", f"unix:{tmp_path}/precious", "--policy", "p.toml"
    )
    assert status == 125
    assert "Address already in use" in errors
    assert (tmp_path / "precious").read_text() == "data"


def test_no_name_leads_back_to_the_service_itself(one):
    """Not even where the policy admits this machine's own addresses: the admin page is not for agents."""
    port = servers.free_port()
    service = one(
        allow("localhost", ports=f"[{port}]", schemes='["http"]'), allow("127.0.0.0/8", ports=f"[{port}]",
        schemes='["http"]'), words=("--admin", f"127.0.0.1:{port}"),
    )  # fmt: skip
    assert admin(port)[0] == 200
    for host in ("localhost", "127.0.0.1", "127.0.0.2"):
        with service.plain() as sock:
            raw = f"GET http://{host}:{port}/metrics HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n"
            sock.sendall(raw.encode())
            assert parse(drain(sock))[0] in {403, 502}


# --- for those who run it


def test_the_admin_page_is_for_this_machine_and_takes_no_orders(one):
    port = servers.free_port()
    one(words=("--admin", f"127.0.0.1:{port}"))
    assert admin(port, host="evil.test")[0] == 403
    assert admin(port, host="127.0.0.1.evil.test")[0] == 403
    assert admin(port, method="POST")[0] == 405
    assert admin(port, path="/")[0] == 404
    assert admin(port, path="/../metrics")[0] == 404
    assert admin(port) == (200, b"ok\n")
    assert admin(port, host="localhost:9") == (200, b"ok\n")
    with socket.create_connection(("127.0.0.1", port), WAIT) as sock:
        sock.sendall(b"GET /healthz HTTP/1.1\r\n" + b"x: " + b"y" * 20000)
        assert drain(sock) == b""


def test_what_is_counted(many):
    port = servers.free_port()
    service = many(TWO, words=("--admin", f"127.0.0.1:{port}"))
    service.ask(f"{HOST}:443", ("red", RED))
    service.ask("evil.test:443", ("blue", BLUE))
    service.ask(f"{HOST}:443")
    status, body = admin(port, "/metrics")
    lines = body.decode().splitlines()
    assert status == 200
    assert 'ringfence_verdicts_total{effect="allow",identity="red"} 1' in sorted_labels(lines)
    assert 'ringfence_verdicts_total{effect="deny",identity="blue"} 1' in sorted_labels(lines)
    assert 'ringfence_strangers_total{reason="not recognised"} 1' in lines
    assert 'ringfence_responses_total{identity="red",status="2xx"} 1' in sorted_labels(lines)
    assert 'ringfence_up{identity="blue"} 1' in lines
    assert "evil.test" not in body.decode()
    names = [line.split("{")[0].split(" ")[0] for line in lines if line[0] != "#"]
    assert all(f"# TYPE {name} " in body.decode() for name in names)


def sorted_labels(lines):
    out = []
    for line in lines:
        name, brace, rest = line.partition("{")
        labels, _, value = rest.partition("} ")
        out.append(f"{name}{{{','.join(sorted(labels.split(',')))}}} {value}" if brace else line)
    return out


def test_the_authority_is_printed_and_stays_the_same(one, tmp_path):
    status, before, errors = said(tmp_path, "egress", "ca")
    assert (status, errors) == (0, "")
    service = one()
    assert service.ask(f"{HOST}:443") == (200, b"ok")
    with open(service.ca(), encoding="ascii") as file:
        assert file.read() == before
    assert os.stat(f"{tmp_path}/state/egress/default/authority/ca.key").st_mode & 0o777 == 0o600
    service.stop()
    assert said(tmp_path, "egress", "ca")[1] == before
    for name in ("../x", "A", "", "a/b"):
        assert said(tmp_path, "egress", "ca", "--identity", name)[0] == 2


def test_systemd_is_told(tmp_path):
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(path)
        sock.settimeout(WAIT)
        (tmp_path / "p.toml").write_text("")
        words = ("--listen", f"127.0.0.1:{servers.free_port()}", "--policy", "p.toml")
        with serving(tmp_path, *words, environment={"NOTIFY_SOCKET": path}) as service:
            assert sock.recv(200) == b"READY=1"
            service.reload()
            assert sock.recv(200).startswith(b"RELOADING=1\nMONOTONIC_USEC=")
            assert sock.recv(200) == b"READY=1"
            service.stop()
            assert sock.recv(200) == b"STOPPING=1"


# --- the end


def slow(seconds):
    def answer(sock, *_):
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nha")
        time.sleep(seconds)
        sock.sendall(b"lf")

    return answer


def under_way(service, host):
    """Begin a request whose answer takes a while; returns the connection."""
    sock, _ = service.connect(f"{host}:443")
    context = ssl.create_default_context(cafile=service.ca())
    inside = context.wrap_socket(sock, server_hostname=host)
    inside.sendall(f"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
    received = inside.recv(65536)
    while b"\r\n\r\nha" not in received:
        received += inside.recv(65536)
    return inside


def test_what_is_under_way_ends_before_the_service_does(one, serve):
    port = servers.free_port()
    late = serve(TCP, answer=slow(0.8))
    service = one(allow(TCP), static=((TCP, late.address),), words=("--admin", f"127.0.0.1:{port}"))
    idle, _ = service.connect(f"{TCP}:443")  # a connection on which nothing happens holds nobody up
    with under_way(service, TCP) as inside, idle:
        service.process.send_signal(signal.SIGTERM)
        eventually(lambda: admin(port) == (503, b"draining\n"))
        with pytest.raises(ConnectionRefusedError):
            service.plain()
        assert drain(inside).endswith(b"lf")
        assert service.process.wait(WAIT) == 0
    assert service.events(kind="end")


def test_draining_ends_at_its_deadline(one, serve):
    late = serve(TCP, answer=slow(WAIT))
    service = one(allow(TCP), static=((TCP, late.address),), words=("--drain", "500ms"))
    with under_way(service, TCP):
        started = time.monotonic()
        assert service.stop() == 0
        assert time.monotonic() - started < 5


def test_told_twice_it_ends_now(one, serve):
    late = serve(TCP, answer=slow(WAIT))
    service = one(allow(TCP), static=((TCP, late.address),))
    with under_way(service, TCP):
        started = time.monotonic()
        service.process.send_signal(signal.SIGTERM)
        time.sleep(0.2)
        assert service.stop(signal.SIGINT) == 0
        assert time.monotonic() - started < 5


def test_every_log_is_whole_at_the_end(many, tmp_path):
    service = many(TWO)
    service.ask(f"{HOST}:443", ("red", RED))
    service.stop()
    status, output, errors = said(tmp_path, "log", "--verify")
    assert (status, errors) == (0, "")
    assert "2 logs" in output
