"""The private wire on the real kernel: built in a child, tried from inside, received at the gate's sockets."""

import ctypes
import errno
import fcntl
import json
import os
import select
import signal
import socket
import struct
import time

import pytest

from ringfence.boundary import child, syscalls, wire

USER = 23456  # any uid without rights; it needs no account
IDENTITIES = ["root", "user"] if os.geteuid() == 0 else ["user"]
SO_ORIGINAL_DST, IP6T_SO_ORIGINAL_DST = 80, 80
DESTINATIONS = [
    ("93.184.215.14", 443), ("10.1.2.3", 1), ("192.168.1.1", 22), ("169.254.169.254", 80), ("198.18.0.7", 65535),
    ("100.64.0.1", 3128), ("100.64.0.1", 3129), ("8.8.8.8", 53), ("172.17.0.1", 2375),
    ("2606:2800:21f:cb07:6820:80da:af6b:8b2c", 443), ("fd00:77::1", 80), ("64:ff9b::a00:1", 8080),
]  # fmt: skip
UNREACHABLE = {errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ECONNREFUSED, errno.EINVAL, errno.EADDRNOTAVAIL}


def in_child(probe, identity, *arguments, before=None):
    """Build the wire in a forked child of that identity and return what `probe(gate, …)` finds there."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            signal.alarm(20)
            os.close(reader)
            _own_namespaces(identity)
            if before is not None:
                before()
            gate = wire.build()
            settle(gate)
            found = {"found": probe(gate, *arguments)}
        except BaseException as error:  # noqa: BLE001 - the test must hear of it
            found = {"error": f"{type(error).__name__}: {error}"}
        finally:
            with open(writer, "w") as file:
                json.dump(found, file)
            os._exit(0)
    os.close(writer)
    with open(reader) as file:
        text = file.read()
    os.waitpid(pid, 0)
    answer = json.loads(text or '{"error": "no word"}')
    assert "error" not in answer, answer["error"]
    return answer["found"]


def _own_namespaces(identity):
    if identity == "root":
        return
    if os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(USER, USER, USER)
        os.setresuid(USER, USER, USER)
        syscalls.prctl(syscalls.PR_SET_DUMPABLE, 1)
    uid, gid = os.geteuid(), os.getegid()
    syscalls.unshare(syscalls.CLONE_NEWUSER | syscalls.CLONE_NEWNS)
    child._map_to_root(uid, gid)


@pytest.fixture(params=IDENTITIES)
def identity(request):
    return request.param


def refuse_nftables():
    """Let this process's kernel answer as one without nfnetlink does: no such protocol."""
    number = {"x86_64": 41, "aarch64": 198}[os.uname().machine]
    code = b"".join(
        struct.pack("=HBBI", *one)
        for one in (
            (0x20, 0, 0, 0), (0x15, 0, 5, number), (0x20, 0, 0, 16), (0x15, 0, 3, 16), (0x20, 0, 0, 32),
            (0x15, 0, 1, 12), (0x06, 0, 0, 0x50000 | errno.EPROTONOSUPPORT), (0x06, 0, 0, 0x7FFF0000),
        )
    )  # fmt: skip
    buffer = ctypes.create_string_buffer(code, len(code))
    head = struct.pack("HxxxxxxP", len(code) // 8, ctypes.addressof(buffer))
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.prctl(38, 1, 0, 0, 0) == 0
    assert libc.prctl(22, 2, head, 0, 0) == 0


def settle(gate):
    """Wait until the wire carries: a worker of the kernel's brings both ends up, some milliseconds later.

    A session takes longer than that to its first packet.
    """
    for family, address in ((socket.AF_INET, "8.8.8.8"), (socket.AF_INET6, "2001:4860:4860::8888")):
        with socket.socket(family, socket.SOCK_DGRAM) as one:
            one.connect((address, 53))
            while not select.select([gate.dns], [], [], 0.01)[0]:
                one.send(b"settled")
    with socket.socket(fileno=os.dup(gate.dns)) as responder:
        while select.select([gate.dns], [], [], 0.02)[0]:
            responder.recv(64)


# --- probes, run in the child --------------------------------------------------------------------


def family_of(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def connect(address, port):
    """Start a connection as a program inside would."""
    one = socket.socket(family_of(address), socket.SOCK_STREAM)
    one.settimeout(2)
    one.connect((address, port, 0, 2) if ":" in address else (address, port))
    return one


def accepted(gate, listener):
    """Return where the waiting connection wanted to go."""
    door = socket.socket(fileno=os.dup(listener))
    taken, peer = door.accept()
    if gate.kind == "anyip":
        address, port = taken.getsockname()[:2]
    elif peer[0].startswith("::ffff:"):
        raw = taken.getsockopt(socket.SOL_IP, SO_ORIGINAL_DST, 16)
        (port,), address = struct.unpack_from(">H", raw, 2), socket.inet_ntop(socket.AF_INET, raw[4:8])
    else:
        raw = taken.getsockopt(socket.IPPROTO_IPV6, IP6T_SO_ORIGINAL_DST, 28)
        (port,), address = struct.unpack_from(">H", raw, 2), socket.inet_ntop(socket.AF_INET6, raw[8:24])
    return taken, address.removeprefix("::ffff:"), port


def arrivals(gate, destinations):
    """Connect to each destination; return where the gate says it went, with bytes passed both ways."""
    out = []
    for address, port in destinations:
        client = connect(address, port)
        ready = select.select(gate.listeners, [], [], 2)[0]
        taken, wanted, at = accepted(gate, ready[0])
        taken.settimeout(2)
        client.sendall(b"ping")
        got = taken.recv(4)
        taken.sendall(got[::-1])
        out.append([wanted, at, client.recv(4).decode()])
        client.close()
        taken.close()
    return out


def refusal(gate, kind, address, port):
    """Send one thing; return the errno of the answer and after how long."""
    del gate
    started = time.monotonic()
    one = socket.socket(family_of(address), kind)
    one.settimeout(2)
    try:
        one.connect((address, port))
        one.send(b"x")
        one.recv(1)
    except TimeoutError:
        return ["silence", time.monotonic() - started]
    except OSError as error:
        return [error.errno, time.monotonic() - started]
    return ["an answer", 0]


def asks(gate, address):
    """Send a datagram to port 53 of any address; return what the gate's socket got and what came back."""
    client = socket.socket(family_of(address), socket.SOCK_DGRAM)
    client.settimeout(2)
    client.connect((address, 53))
    client.send(b"question")
    responder = socket.socket(fileno=os.dup(gate.dns))
    responder.settimeout(2)
    data, where = responder.recvfrom(64)
    responder.sendto(b"answer", where)
    return [data.decode(), client.recv(64).decode()]


def interfaces(_gate):
    return sorted(name for _index, name in socket.if_nameindex())


def echo(_gate):
    """Send an ICMP echo request with all rights the child has; return what comes back, but for refusals."""
    one = socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)
    one.settimeout(0.5)
    packet = struct.pack("!BBHHH", 8, 0, 0, 1, 1)
    total = sum(struct.unpack("!4H", packet))
    one.sendto(struct.pack("!BBHHH", 8, 0, 0xFFFF - total, 1, 1), ("8.8.8.8", 0))
    kinds = []
    try:
        while True:
            kinds.append(one.recv(200)[20])
    except TimeoutError:
        return kinds


def nobody_listens(gate):
    """Close the gate's sockets, as its death does; return what a connection gets then."""
    for fd in (*gate.listeners, gate.dns):
        os.close(fd)
    return refusal(gate, socket.SOCK_STREAM, "93.184.215.14", 443)


def flags(gate):
    fds = (*gate.listeners, gate.dns)
    return [bool(fcntl.fcntl(fd, fcntl.F_GETFD) & fcntl.FD_CLOEXEC) for fd in fds]


# --- the tests -----------------------------------------------------------------------------------


class TestRedirected:
    @pytest.mark.guarantee("N2")
    def test_a_connection_to_any_address_and_port_arrives_with_its_destination(self, identity):
        assert in_child(arrivals, identity, DESTINATIONS) == [[*one, "gnip"] for one in DESTINATIONS]

    @pytest.mark.parametrize("address", ["100.64.0.1", "8.8.8.8", "fd00:77::1", "2001:4860:4860::8888"])
    def test_a_question_to_any_name_server_arrives_and_is_answered(self, identity, address):
        assert in_child(asks, identity, address) == ["question", "answer"]

    @pytest.mark.guarantee("N2")
    @pytest.mark.parametrize(
        ("address", "port"), [("8.8.8.8", 443), ("100.64.0.1", 123), ("2606::1", 443), ("8.8.8.8", 5354)]
    )
    def test_other_datagrams_are_refused_at_once(self, identity, address, port):
        code, seconds = in_child(refusal, identity, socket.SOCK_DGRAM, address, port)
        assert code in UNREACHABLE
        assert seconds < 0.5

    @pytest.mark.guarantee("N2")
    def test_an_echo_request_gets_no_reply(self, identity):
        assert 0 not in in_child(echo, identity)

    @pytest.mark.guarantee("N4")
    def test_there_is_no_interface_but_loopback_and_the_wire(self, identity):
        allowed = {"eth0", "lo"}
        # a kernel with tunnels built in puts their unusable ends into every namespace
        assert {
            name for name in in_child(interfaces, identity) if not name.endswith("0") or name == "eth0"
        } <= allowed

    @pytest.mark.guarantee("N13")
    def test_without_its_sockets_everything_is_refused_at_once(self, identity):
        code, seconds = in_child(nobody_listens, identity)
        assert code in UNREACHABLE
        assert seconds < 0.5

    @pytest.mark.guarantee("N4")
    def test_the_hosts_loopback_is_not_the_boundarys(self, identity):
        with socket.create_server(("127.0.0.1", 0)) as host:
            assert (
                in_child(refusal, identity, socket.SOCK_STREAM, "127.0.0.1", host.getsockname()[1])[0]
                in UNREACHABLE
            )

    def test_no_socket_is_inherited_by_programs(self, identity):
        assert all(in_child(flags, identity))


class TestWithoutNftables:
    """A kernel without nfnetlink: the gate listens on the ports that are commonly dialled, on every address."""

    def test_a_connection_to_a_common_port_arrives_with_its_destination(self, identity):
        common = [("93.184.215.14", 443), ("10.1.2.3", 80), ("100.64.0.1", 3128), ("2606:2800::1", 443)]
        found = in_child(arrivals, identity, common, before=refuse_nftables)
        assert found == [[*one, "gnip"] for one in common]

    def test_a_connection_to_another_port_is_refused_at_once(self, identity):
        code, seconds = in_child(
            refusal, identity, socket.SOCK_STREAM, "93.184.215.14", 4433, before=refuse_nftables
        )
        assert code == errno.ECONNREFUSED
        assert seconds < 0.5

    def test_names_are_asked_of_the_gate(self, identity):
        assert in_child(asks, identity, "100.64.0.1", before=refuse_nftables) == ["question", "answer"]

    def test_other_datagrams_are_refused(self, identity):
        found = in_child(refusal, identity, socket.SOCK_DGRAM, "8.8.8.8", 443, before=refuse_nftables)
        assert found[0] in UNREACHABLE
