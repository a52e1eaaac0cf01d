"""Where fuzzing begins: one or more sound inputs for each target. What was found stands in `corpus/`."""

import base64
import contextlib
import gzip
import json
import os
import ssl
import struct
import tomllib
import zlib

from targets import CANARY, MARK

HERE = os.path.dirname(os.path.abspath(__file__))
CASES = os.path.join(os.path.dirname(HERE), "tests", "egress", "cases")


def seeds(name: str) -> list[bytes]:
    """Return the inputs to begin with, those that once were finds among them."""
    folder = os.path.join(HERE, "corpus", name)
    found = list(SEEDS.get(name, list)())
    for file in sorted(os.listdir(folder)) if os.path.isdir(folder) else ():
        with open(os.path.join(folder, file), "rb") as one:
            found.append(one.read())
    return found


def _cases() -> list[bytes]:
    with open(os.path.join(CASES, "http1.toml"), "rb") as file:
        table = tomllib.load(file)
    host = "api.example.com"
    return [one["raw"].replace("{host}", host).encode("latin-1") for one in table["whole"]]


def _commands() -> list[bytes]:
    verdicts = os.path.join(os.path.dirname(HERE), "tests", "verdicts", "commands.jsonl")
    with open(verdicts, encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    return [b"\x80" + row["command"].encode("utf-8", "surrogatepass")[:1000] for row in rows]


def _bodies() -> list[bytes]:
    return [b"\x04" + raw.partition(b"\r\n\r\n")[2] for raw in _cases() if b"chunked" in raw]


def _http2() -> list[bytes]:
    from hpack import Encoder

    head = [(":method", "POST"), (":scheme", "https"), (":authority", "api.example.com"), (":path", "/x")]
    block = Encoder().encode([*head, ("x-a", "b")])
    frames = [
        frame(4, 0, 0, b""),
        frame(1, 4, 1, block),
        frame(0, 1, 1, b"hello"),
        frame(1, 5, 3, Encoder().encode(head)),
        frame(1, 0, 5, block[:3]) + frame(9, 4, 5, block[3:]),
        frame(3, 0, 1, bytes(4)),
        frame(6, 0, 0, bytes(8)),
        frame(8, 0, 0, b"\0\0\1\0"),
        frame(7, 0, 0, bytes(8)),
    ]
    return [b"\x3f" + b"".join(frames), b"\x07" + b"".join(frames[:3])]


def frame(kind: int, flags: int, number: int, content: bytes) -> bytes:
    """Return a frame of HTTP/2."""
    return len(content).to_bytes(3, "big") + bytes((kind, flags)) + number.to_bytes(4, "big") + content


def _fields() -> list[bytes]:
    head = [b":method\0POST", b":scheme\0https", b":authority\0api.example.com", b":path\0/x"]
    return [b"\xff".join([*head, b"te\0trailers", b"content-length\0005", b"cookie\0a=b", b"cookie\0c=d"])]


def _hello() -> list[bytes]:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname="api.example.com")
    with contextlib.suppress(ssl.SSLWantReadError):
        client.do_handshake()
    return [outgoing.read()]


def _dns() -> list[bytes]:
    name = b"".join(bytes((len(one),)) + one for one in (b"api", b"example", b"com")) + b"\0"
    return [
        struct.pack("!HHHHHH", 7, 0x100, 1, 0, 0, 0) + name + struct.pack("!HH", kind, 1) for kind in (1, 28)
    ]


def _socks() -> list[bytes]:
    name = b"api.example.com"
    asked = b"\5\1\0\3" + bytes((len(name),)) + name + b"\1\xbb"
    return [
        b"\x05\5\1\0" + asked + b"rest",
        b"\x3f\5\1\2\1\1a\1b" + asked,
        b"\x3f\5\1\0\5\1\0\1\x7f\0\0\1\0P",
    ]


def _push() -> list[bytes]:
    line = b"0" * 40 + b" " + b"a" * 40 + b" refs/heads/x"
    lines = [line + b"\0report-status\n", line, b"shallow " + b"b" * 40]
    return [
        b"\x09" + b"".join(b"%04x%b" % (len(one) + 4, one) for one in given) + b"0000PACK"
        for given in (lines[:2], lines[::-1])
    ]


def _aws() -> list[bytes]:
    seal = b";chunk-signature=" + b"a" * 64 + b"\r\n"
    body = b"5" + seal + b"hello\r\n0" + seal
    return [
        b"\x10" + body + b"\r\n",
        b"\x10" + body + b"x-amz-checksum-crc32:AAAA\r\nx-amz-trailer-signature:" + b"b" * 64 + b"\r\n\r\n",
    ]


def _usage() -> list[bytes]:
    usage = {"type": "message_delta", "model": "claude-x", "usage": {"input_tokens": 3, "output_tokens": 7}}
    text = json.dumps(usage).encode()
    wrapped = json.dumps({"bytes": base64.b64encode(text).decode()}).encode()
    message = struct.pack("!II", 16 + len(wrapped), 0)
    message += struct.pack("!I", zlib.crc32(message)) + wrapped
    message += struct.pack("!I", zlib.crc32(message))
    return [b"\x09" + text, b"\x09event: x\ndata: " + text + b"\n\ndata: [DONE]\n\n", b"\x09" + message * 2]


def _watch() -> list[bytes]:
    return [
        b"\x05before" + CANARY[:-1] + b"after",
        b"\x05" + gzip.compress(b"nothing to see", mtime=0) + b"\x1f\x8b\x08\x00",
        b"\x3f\x81\x85" + bytes(4) + b"hello",
    ]


def _graphql() -> list[bytes]:
    document = 'query A($x: Int = 1) @d { viewer { ...F id } } fragment F on U { a(b: [1, {c: "d"}]) }'
    return [
        json.dumps({"query": document, "variables": {"x": 1}, "operationName": "A"}).encode(),
        document.encode(),
    ]


SEEDS = {
    "commands": _commands,
    "http1_request": _cases,
    "http1_body": _bodies,
    "http1_response": lambda: [b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nKeep-Alive: timeout=5\r\n\r\nok"],
    "http2": _http2,
    "http2_fields": _fields,
    "path": lambda: [b"a/../%61%2f..;x//b/.?c=%2f&d#e", b"@scope%2fname", b"%252e%252e/"],
    "authority": lambda: [b"api.example.com:443", b"[::ffff:1.2.3.4]:80", b"127.0.0.1.", b"xn--a-0ga.test"],
    "hello": _hello,
    "dns": _dns,
    "socks": _socks,
    "push": _push,
    "graphql": _graphql,
    "watch": _watch,
    "coding": lambda: [
        b"\x09" + gzip.compress(b"abc" * 50, mtime=0),
        b"\x09" + zlib.compress(b"abc" * 50),
        b"\x09\x28\xb5\x2f\xfd\x04\x58\x19\x00\x00abc",
    ],
    "aws_chunks": _aws,
    "usage": _usage,
    "json_place": lambda: [b'{"a": "' + MARK + b'", "b": [1, "x"]}', b'{"a": "x", "a": "' + MARK + b'"}'],
}
