"""§3.1, §3.5: tunnels and other protocols: what is said first is not what is done then.

A TLS name that differs from the address, no name at all, other protocols on the ports of TLS, a tunnel
inside a tunnel, WebSockets, SOCKS for datagrams and for servers. Nothing may come back but a refusal.
"""

import socket
import ssl
import struct

from ringfence.verify.prelude import PATIENCE, Tally, answered, exchange, together

_NOBODY = "192.0.2.1"
_GREETING = b"\x05\x01\x00"
_OTHERS = {
    "an SSH banner": b"SSH-2.0-OpenSSH_9.9\r\n",
    "HTTP on the port of TLS": b"GET / HTTP/1.1\r\nHost: evil.test\r\n\r\n",
    "PostgreSQL": struct.pack(">II", 8, 80877103),
    "SMTP": b"EHLO evil.test\r\n",
    "Redis": b"*1\r\n$4\r\nPING\r\n",
    "Minecraft, or anything": bytes(range(256)),
    "DNS": b"\0\x1d\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x04evil\x04test\0\0\x01\0\x01",
}
_UPGRADE = (
    b"GET /socket HTTP/1.1\r\nHost: evil.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)


def attack(facts):
    """Try each, on plain connections and through the proxy port."""
    tally = Tally()
    gate, allowed = facts.get("gate"), facts.get("allowed", [])
    tries = [(answered, name, _NOBODY, 443, raw) for name, raw in _OTHERS.items()]
    tries.append((answered, "a WebSocket", _NOBODY, 80, _UPGRADE))
    for name in ("evil.test", "localhost", "192.0.2.1", "", *(f"{one}.evil.test" for one in allowed)):
        tries.append((_hello, f"TLS for {name or 'nobody'}", name, None))
        if gate:
            tries.append((_hello, f"TLS for {name or 'nobody'} in a tunnel", name, (gate, "evil.test")))
            tries += [
                (_hello, f"TLS for {name} in a tunnel to {one}", name, (gate, one)) for one in allowed[:2]
            ]
    if gate:
        inner = b"CONNECT evil.test:443 HTTP/1.1\r\nHost: evil.test:443\r\n\r\n"
        tries.append((answered, "a tunnel to the gate itself", *gate, _connect(gate[0], gate[1]) + inner))
        tries += [(_socks, f"SOCKS5 {name}", gate, command) for command, name in ((2, "BIND"), (3, "UDP"))]
        tries.append((_socks4, "SOCKS4", gate, b"\x04\x01\x01\xbb\xc0\0\x02\x01me\0"))
        tries.append((_socks4, "SOCKS4a", gate, b"\x04\x01\x01\xbb\0\0\0\x01me\0evil.test\0"))
    together(tally, tries)
    return tally.finding()


def _connect(host, port):
    return f"CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode()


def _hello(tally, name, server, tunnel):
    """Shake hands by a name, then ask for another: only a refusal of the gate's may come back."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with socket.create_connection(tuple(tunnel[0]) if tunnel else (_NOBODY, 443), PATIENCE) as end:
            if tunnel:
                end.sendall(_connect(tunnel[1], 443))
                told = end.recv(4096)
                if not told.startswith(b"HTTP/1.1 200"):
                    code = told[9:12].decode(errors="replace")
                    tally.expect(
                        name, code not in {"502", "504"}, f"refused with {code}" if code else "closed"
                    )
                    return
            with context.wrap_socket(end, server_hostname=server or None) as inner:
                inner.sendall(b"GET / HTTP/1.1\r\nHost: evil.test\r\nConnection: close\r\n\r\n")
                told = inner.recv(4096)
    except (OSError, ValueError) as error:
        tally.expect(name, True, f"closed ({type(error).__name__})")
        return
    code = told[9:12]
    good = not told or (code[:1] == b"4" and told.startswith(b"HTTP/1."))
    tally.expect(name, good, f"refused with {code.decode(errors='replace')}" if told else "closed")


def _socks(tally, name, gate, command):
    request = bytes([5, command, 0, 1, 192, 0, 2, 1]) + struct.pack(">H", 443)
    try:
        answer = exchange(gate[0], gate[1], _GREETING + request, whole=True) or b""
    except OSError as error:
        tally.expect(name, True, type(error).__name__)
        return
    granted = answer[:2] == b"\x05\x00" and answer[3:4] == b"\0"
    tally.expect(name, not granted, "granted" if granted else "refused")


def _socks4(tally, name, gate, request):
    try:
        answer = exchange(gate[0], gate[1], request, whole=True) or b""
    except OSError as error:
        tally.expect(name, True, type(error).__name__)
        return
    refused = not answer or answer[:2] == b"\0\x5b"  # 91: rejected or failed
    tally.expect(name, refused, "refused" if refused else f"answered {answer[:2].hex()}")
