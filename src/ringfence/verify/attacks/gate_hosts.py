"""§3.2: hosts that no rule allows, spelled so that careless matching would take them for others.

Each spelling goes to the gate as a CONNECT, as an absolute request, over SOCKS5 and as the Host of a
plain connection. What counts is that the gate refuses by itself: 502 and 504 would mean that it looked
the name up or dialled. None of the names exists (RFC 6761), so nobody is ever reached.
"""

import struct

from ringfence.verify.prelude import Tally, answered, exchange, together

_NOBODY = "192.0.2.1"
_WEIRD = (
    "evil.test", "EVIL.test.", "evil.test..", ".evil.test", "a..evil.test", "-a.evil.test", "*.evil.test",
    "*", "xn--e1awd7f.evil.test", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "0", "0.0.0.0", "[::]",
    "[::1]", "localhost", "a.localhost", "[::ffff:7f00:1]", "[::7f00:1]", "[64:ff9b::7f00:1]",
    "[2002:7f00:1::]", "[fe80::1%25eth0]", "[::1%25x.example.com]", "169.254.169.254", "10.0.0.1",
    "metadata.google.internal", "host.docker.internal", "gateway.internal", "evil.gateway.internal",
    "ringfence.internal", "192.0.2.1", "evil.test%2eexample.com", "evil%2etest", "evil.test%00.example.com",
    "evil.test\\example.com", "evil.test#example.com", "evil.test?example.com", "evil.test/example.com",
    "evil.test:80:443", "a" * 64 + ".test",
)  # fmt: skip
_ENDS = (  # what is made of each name that the policy allows; never the name itself: nobody is to be reached
    "x{name}", "{name}.evil.test", "{name}..", "{name}@evil.test", "evil.test@{name}",
    "{name}%2eevil.test", "{name}%00.evil.test", "{name}\\evil.test", "evil.test%00.{name}",
    "{name}:443@evil.test", "{name}\u3002evil.test",
)  # fmt: skip
_PORTS = (22, 25, 53, 853, 9999)
_SOCKS_GREETING = b"\x05\x01\x00"


def attack(facts):
    """Ask for every spelling in every way."""
    tally = Tally()
    gate = facts.get("gate")
    names = [*_WEIRD, *(end.format(name=name) for name in facts.get("allowed", []) for end in _ENDS)]
    tries = []
    for name in names:
        raw = name.encode()
        tries.append((_plain, raw, name))
        if gate:
            tries += [(_asked, gate, raw, name, way) for way in ("CONNECT", "GET")]
            tries.append((_socks, gate, raw, name))
    for name in facts.get("allowed", []) if gate else ():
        tries += [(_asked, gate, f"{name}:{port}".encode(), f"{name}:{port}", "CONNECT") for port in _PORTS]
    together(tally, tries)
    return tally.finding()


def _plain(tally, raw, name):
    request = b"GET / HTTP/1.1\r\nHost: " + raw + b"\r\nConnection: close\r\n\r\n"
    answered(tally, f"Host {name}", _NOBODY, 80, request)


def _asked(tally, gate, raw, name, way):
    at = raw if raw.rpartition(b":")[2].isdigit() and not raw.endswith(b"]") else raw + b":443"
    target = at if way == "CONNECT" else b"http://" + raw + b"/"
    request = way.encode() + b" " + target + b" HTTP/1.1\r\nHost: " + at + b"\r\nConnection: close\r\n\r\n"
    answered(tally, f"{way} {name}", gate[0], gate[1], request)


def _socks(tally, gate, raw, name):
    """Ask for a name over SOCKS5; the second answer's second byte is 0 where it is granted."""
    request = b"\x05\x01\x00\x03" + bytes([min(len(raw), 255)]) + raw[:255] + struct.pack(">H", 443)
    try:
        answer = exchange(gate[0], gate[1], _SOCKS_GREETING + request, whole=True) or b""
    except OSError as error:
        tally.expect(f"SOCKS5 {name}", True, type(error).__name__)
        return
    # 5: refused by its peer, 4: host unreachable; both say that somebody was looked for
    granted = answer[:2] == b"\x05\x00" and len(answer) > 3 and answer[3] in {0, 3, 4, 5, 6}
    tally.expect(f"SOCKS5 {name}", not granted, f"answered {answer[2:4].hex()}" if granted else "refused")
