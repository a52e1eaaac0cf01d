"""Split DNS: which nameserver is asked, what of its answers is used, and how they are judged."""

import contextlib
import os
import socket
import struct
import subprocess
import sys
import threading

import pytest
import servers
from gates import SOURCE, WAIT, rule

from ringfence.egress.dns import read_question

A, AAAA = 1, 28


class Nameserver:
    """A nameserver on loopback that answers each question as `answer(name, kind)` says.

    An answer is a list of addresses, a number (the code), None (silence) or bytes (records, ready made).
    """

    def __init__(self, answer):
        self._answer = answer
        self.asked = []
        self.streams = 0
        self.truncate = False
        self.before = []  # made from the query: sent before the true answer
        self._tcp = socket.create_server(("127.0.0.1", 0))
        self.port = self._tcp.getsockname()[1]
        self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._udp.bind(("127.0.0.1", self.port))
        self.address = f"127.0.0.1:{self.port}"
        self._threads = [
            threading.Thread(target=work, daemon=True) for work in (self._datagrams, self._connections)
        ]
        for thread in self._threads:
            thread.start()

    def _datagrams(self):
        with contextlib.suppress(OSError):
            while True:
                query, peer = self._udp.recvfrom(2048)
                if not query:
                    return
                for lie in self.before:
                    self._udp.sendto(lie(query), peer)
                reply = self._reply(query)
                if reply:
                    self._udp.sendto(reply, peer)

    def _connections(self):
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self._tcp.accept()
                self.streams += 1
                with sock:
                    query = sock.recv(2048)[2:]
                    reply = self._reply(query, whole=True)
                    sock.sendall(struct.pack("!H", len(reply)) + reply)

    def _reply(self, query, *, whole=False):
        question = read_question(query)
        if question is None:  # somebody else's, to a port that was used before
            return b""
        self.asked.append((question.name, question.kind))
        found = self._answer(question.name, question.kind)
        if found is None:
            return b""
        if self.truncate and not whole:
            return query[:2] + struct.pack("!HHHHH", 0x8380, 1, 0, 0, 0) + query[12:]
        return answering(query, found)

    def close(self):
        """End both threads before their sockets: they would read from whatever gets the numbers next."""
        self._udp.sendto(b"", ("127.0.0.1", self.port))
        self._tcp.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)
        self._udp.close()
        self._tcp.close()


def answering(query, found):
    kind = struct.unpack("!H", query[-4:-2])[0]
    code = found if isinstance(found, int) else 0
    family = socket.AF_INET if kind == A else socket.AF_INET6
    texts = [one for one in found if (":" in one) == (kind == AAAA)] if isinstance(found, list) else []
    packed = [socket.inet_pton(family, one) for one in texts]
    records = b"".join(b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, 0, len(one)) + one for one in packed)
    return query[:2] + struct.pack("!HHHHH", 0x8180 | code, 1, len(packed), 0, 0) + query[12:] + records


@pytest.fixture
def nameserver():
    with contextlib.ExitStack() as stack:

        def begin(answer):
            made = Nameserver(answer)
            stack.callback(made.close)
            return made

        yield begin


@pytest.fixture(scope="module")
def upstream(serve):
    return serve("db.corp.example", "corp.example", "six.corp.example")


VOUCHED = rule("127.0.0.1", ports=(1,))  # the operator names the address, so that it may be dialled


def ask(start, name, port, nameserver, *rules, domain="corp.example"):
    gate = start(allow=(rule(name, ports=(port,)), *rules), resolvers=((domain, nameserver.address),))
    return gate, gate.ask(f"{name}:{port}")


# --- refusals first


@pytest.mark.parametrize(
    ("address", "called"),
    [
        ("127.0.0.1", "loopback"), ("0.0.0.0", "this network"), ("169.254.1.1", "link-local"), ("::1", "loopback"),
        ("169.254.169.254", "cloud metadata"), ("fd00:ec2::254", "cloud metadata"), ("224.0.0.1", "multicast"),
        ("64:ff9b::7f00:1", "NAT64"), ("2002:7f00:1::", "6to4"), ("::ffff:127.0.0.1", "loopback"),
        ("10.0.0.5", "private"), ("100.64.0.9", "carrier-grade NAT"), ("fd00::5", "unique local"),
        ("198.18.0.1", "benchmarking"),
    ],
)  # fmt: skip
def test_what_a_nameserver_answers_is_judged_like_any_address(start, nameserver, address, called):
    """A1, A4: the class is named, the address is not told."""
    server = nameserver(lambda *_: [address])
    gate, (status, _, body) = ask(start, "db.corp.example", 443, server)
    assert status == 403
    assert called.encode() in body
    assert address.encode() not in body
    assert gate.wait_for("refused", host="db.corp.example", reason=f"resolves to {called}")
    assert gate.records("dial") == []


def test_private_admits_private_addresses_and_no_others(start, nameserver):
    server = nameserver(lambda *_: ["127.0.0.1", "169.254.169.254"])
    own = rule("db.corp.example", private=True)
    assert ask(start, "db.corp.example", 443, server, own)[1][0] == 403


@pytest.mark.guarantee("N18")
@pytest.mark.parametrize("found", [3, 2, 5, [], None])
def test_a_nameserver_that_says_no_or_nothing_is_the_last_word(start, nameserver, found):
    """A3: nobody else is asked: localhost would resolve by the system's resolver."""
    server = nameserver(lambda *_: found)
    gate, (status, _, body) = ask(start, "localhost", 443, server, domain="localhost")
    assert (status, b"does not resolve" in body) == (502, True)
    assert {name for name, _ in server.asked} == {"localhost"}
    assert gate.wait_for("dial", host="localhost", error="the name does not resolve")


def test_a_nameserver_that_is_not_there_is_502(start):
    gate = start(
        allow=(rule("db.corp.example"),), resolvers=(("corp.example", f"127.0.0.1:{servers.free_port()}"),)
    )
    assert gate.ask("db.corp.example:443")[0] == 502


def test_rebinding_between_two_questions_changes_nothing_that_was_judged(start, nameserver, upstream):
    """A2: an answer is judged each time it is used; the address that was judged is the one dialled."""
    answers = iter([["127.0.0.1"], ["10.0.0.5"]])
    server = nameserver(lambda _, kind: next(answers, ["10.0.0.5"]) if kind == A else [])
    gate, (status, _, _) = ask(start, "db.corp.example", upstream.port, server, VOUCHED)
    assert status == 200
    assert [one["address"] for one in gate.records("dial")] == ["127.0.0.1"]


def test_answers_that_somebody_else_could_send_are_not_heard(start, nameserver, upstream):
    server = nameserver(lambda *_: ["127.0.0.1"])
    server.before = [
        lambda query: bytes((query[0] ^ 1, query[1])) + answering(query, ["10.6.6.6"])[2:],
        lambda query: answering(query[:13] + b"x" + query[14:], ["10.6.6.6"]),
        lambda query: answering(query, ["10.6.6.6"])[:20],
    ]
    gate, (status, _, _) = ask(start, "db.corp.example", upstream.port, server, VOUCHED)
    assert status == 200
    assert "10.6.6.6" not in str(gate.records())


# --- and what it does


def test_a_domain_is_looked_up_at_its_own_nameserver(start, nameserver, upstream):
    server = nameserver(lambda *_: ["127.0.0.1"])
    gate, (status, _, body) = ask(start, "db.corp.example", upstream.port, server, VOUCHED)
    assert (status, body) == (200, b"ok")
    assert sorted(server.asked) == [("db.corp.example", A), ("db.corp.example", AAAA)]
    assert gate.records("dial")[-1]["address"] == "127.0.0.1"


def test_the_longest_domain_wins_and_no_other_name_is_asked(start, nameserver, upstream):
    wide, narrow = nameserver(lambda *_: 3), nameserver(lambda *_: ["127.0.0.1"])
    gate = start(
        allow=(rule("*.corp.example", ports=(upstream.port,)), rule("notcorp.example"), VOUCHED),
        resolvers=(("corp.example", wide.address), ("db.corp.example", narrow.address)),
    )
    assert gate.ask(f"db.corp.example:{upstream.port}")[0] == 200
    assert gate.ask("notcorp.example:443")[0] == 502
    assert wide.asked == []


def test_a_long_answer_is_asked_for_again_over_tcp(start, nameserver, upstream):
    server = nameserver(lambda *_: ["127.0.0.1"])
    server.truncate = True
    assert ask(start, "db.corp.example", upstream.port, server, VOUCHED)[1][0] == 200
    assert server.streams == 2


def test_one_silent_kind_of_address_leaves_the_other(start, nameserver, upstream):
    server = nameserver(lambda _, kind: ["127.0.0.1"] if kind == A else 2)
    assert ask(start, "db.corp.example", upstream.port, server, VOUCHED)[1][0] == 200


def test_a_name_is_not_asked_for_again_at_once(start, nameserver, upstream):
    server = nameserver(lambda *_: ["127.0.0.1"])
    gate, _ = ask(start, "db.corp.example", upstream.port, server, VOUCHED)
    for _ in range(3):
        assert gate.ask(f"db.corp.example:{upstream.port}")[0] == 200
    assert len(server.asked) <= 4


def test_every_question_comes_from_a_port_of_its_own(start):
    seen = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.settimeout(WAIT)
        gate = start(
            allow=(rule("*.corp.example"),),
            resolvers=(("corp.example", f"127.0.0.1:{sock.getsockname()[1]}"),),
        )
        threads = [
            threading.Thread(target=gate.ask, args=(f"a{index}.corp.example:443",)) for index in range(4)
        ]
        for one in threads:
            one.start()
        for _ in range(8):
            query, peer = sock.recvfrom(2048)
            seen.append((query[:2], peer[1]))
            sock.sendto(answering(query, 3), peer)
        for one in threads:
            one.join(WAIT)
    assert len({port for _, port in seen}) == 8
    assert len({number for number, _ in seen}) > 4


def test_ipv6_from_the_name_to_the_certificate(start, nameserver, certificates):
    from gates import Upstream

    upstream = Upstream(certificates.context("six.corp.example"), family=socket.AF_INET6)
    try:
        server = nameserver(lambda *_: ["::1"])
        gate, (status, _, body) = ask(start, "six.corp.example", upstream.port, server, rule("::1"))
        assert (status, body) == (200, b"ok")
        assert gate.records("dial")[-1]["address"] == "::1"
    finally:
        upstream.close()


def test_a_slow_address_does_not_hold_up_the_next(start, nameserver, upstream):
    """A5: of an address that answers nothing and one that does, the second is used; both were judged."""
    server = nameserver(lambda *_: ["2001:db8::1", "127.0.0.1"])
    gate, (status, _, _) = ask(
        start, "db.corp.example", upstream.port, server, VOUCHED, rule("2001:db8::/32")
    )
    assert status == 200
    assert gate.records("dial")[-1]["address"] == "127.0.0.1"


# --- the system's resolver

SEARCHING = """
import fcntl, os, socket, struct, sys, threading
sys.path.insert(0, sys.argv[1])
from ringfence.egress.__main__ import resolve_as_judged
if sys.argv[2] == "judged":
    resolve_as_judged()
with socket.socket() as sock:  # lo up: SIOCSIFFLAGS, IFF_UP
    fcntl.ioctl(sock, 0x8914, struct.pack("16sh", b"lo", 1))
served = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
served.bind(("127.0.0.1", 53))
asked = set()
def serve():
    while True:
        query, peer = served.recvfrom(2000)
        asked.add(bytes(query[12:-5]).decode())
        served.sendto(query[:2] + struct.pack("!HHHHH", 0x8183, 1, 0, 0, 0) + query[12:], peer)
threading.Thread(target=serve, daemon=True).start()
try:
    socket.getaddrinfo("api.unknown.example", 443)
except socket.gaierror:
    pass
print(len({"corp" in one for one in asked}), flush=True)
os._exit(0)
"""


@pytest.mark.parametrize(("how", "kinds"), [("plainly", "2"), ("judged", "1")])
def test_no_search_list_is_tried_behind_a_name(tmp_path, how, kinds):
    """`plainly` shows that this machine's resolver would: the list below is tried."""
    (tmp_path / "resolv.conf").write_text("nameserver 127.0.0.1\nsearch corp.example\n")
    (tmp_path / "ask.py").write_text(SEARCHING)
    script = (
        f"mount --bind {tmp_path}/resolv.conf /etc/resolv.conf && exec {sys.executable} -I {tmp_path}/ask.py"
    )
    done = subprocess.run(
        ["unshare", "-rmn", "sh", "-c", f"{script} {SOURCE} {how}"],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        env={"PATH": os.environ["PATH"]},
    )
    if "unshare" in done.stderr:
        pytest.skip(f"no namespaces here: {done.stderr}")
    assert (done.stdout.strip(), done.stderr) == (kinds, "")


# --- static names


def test_a_static_name_may_have_an_address_for_each_port(start, upstream, serve):
    other = serve("db.corp.example", tls=False)
    gate = start(
        allow=(
            rule("db.corp.example", ports=(443, upstream.port)),
            rule("db.corp.example", ports=(8080,), schemes=("http",)),
        ),
        static=(("db.corp.example", "127.0.0.1"), ("db.corp.example:443", upstream.address),
                ("db.corp.example:8080", other.address)),
    )  # fmt: skip
    assert gate.ask("db.corp.example:443")[0] == 200
    assert gate.ask(f"db.corp.example:{upstream.port}")[0] == 200
    raw = b"GET http://db.corp.example:8080/ HTTP/1.1\r\nHost: db.corp.example:8080\r\nConnection: close\r\n\r\n"
    assert gate.converse(raw).endswith(b"ok")


def test_a_static_ipv6_address(start, certificates):
    from gates import Upstream

    upstream = Upstream(certificates.context("six.corp.example"), family=socket.AF_INET6)
    try:
        gate = start(
            allow=(rule("six.corp.example"),), static=(("six.corp.example", f"[::1]:{upstream.port}"),)
        )
        assert gate.ask("six.corp.example:443")[0] == 200
    finally:
        upstream.close()
