"""§3.4: requests that two parsers read differently: a second one rides inside the first.

Raw bytes go to the gate, each with a second request where only a careless reader sees one. The gate has
to answer once, with a refusal, and close: two answers mean that it read two requests.
"""

from ringfence.verify.prelude import Tally, exchange, together

_NOBODY = "192.0.2.1"
_SECOND = b"GET /smuggled HTTP/1.1\r\nHost: smuggled.test\r\n\r\n"
_CHUNKED = b"Transfer-Encoding: chunked\r\n"


def _post(*fields, body=b"", line=b"POST / HTTP/1.1"):
    head = line + b"\r\nHost: evil.test\r\n" + b"".join(one + b"\r\n" for one in fields) + b"\r\n"
    return head + body


_END = b"0\r\n\r\n" + _SECOND
_REQUESTS = {
    "CL.TE": _post(b"Content-Length: 4", b"Transfer-Encoding: chunked", body=_END),
    "TE.CL": _post(
        b"Transfer-Encoding: chunked", b"Content-Length: 4", body=b"5e\r\n" + _SECOND + b"\r\n0\r\n\r\n"
    ),
    "TE xchunked": _post(b"Transfer-Encoding: xchunked", body=_END),
    "TE with a tab": _post(b"Transfer-Encoding:\tchunked\x0b", body=_END),
    "TE identity, chunked": _post(b"Transfer-Encoding: identity, chunked", body=_END),
    "TE twice": _post(b"Transfer-Encoding: chunked", b"Transfer-Encoding: identity", body=_END),
    "TE with a space before the colon": _post(b"Transfer-Encoding : chunked", body=_END),
    "TE folded": _post(b"Transfer-Encoding:\r\n chunked", body=_END),
    "TE in HTTP/1.0": _post(b"Transfer-Encoding: chunked", body=_END, line=b"POST / HTTP/1.0"),
    "CL twice": _post(b"Content-Length: 0", b"Content-Length: 4", body=_SECOND),
    "CL list": _post(b"Content-Length: 0, 4", body=_SECOND),
    "CL +0": _post(b"Content-Length: +0", body=_SECOND),
    "CL -1": _post(b"Content-Length: -1", body=_SECOND),
    "CL 0x0": _post(b"Content-Length: 0x0", body=_SECOND),
    "CL 00000000000000000000000": _post(b"Content-Length: " + b"0" * 23, body=_SECOND),
    "chunk size 0x0": _post(_CHUNKED[:-2], body=b"0x0\r\n\r\n" + _SECOND),
    "chunk size -0": _post(_CHUNKED[:-2], body=b"-0\r\n\r\n" + _SECOND),
    "chunk size of 17 digits": _post(_CHUNKED[:-2], body=b"0" * 17 + b"\r\n\r\n" + _SECOND),
    "bare LF after a chunk": _post(_CHUNKED[:-2], body=b"1\r\nx\n0\r\n\r\n" + _SECOND),
    "bare LF in an extension": _post(_CHUNKED[:-2], body=b"0;a\nb\r\n\r\n" + _SECOND),
    "a smuggled trailer": _post(_CHUNKED[:-2], body=b"0\r\nContent-Length: 90\r\n\r\n" + _SECOND),
    "bare LF lines": b"GET / HTTP/1.1\nHost: evil.test\n\n" + _SECOND,
    "bare CR in a value": _post(b"X: a\rb", body=_SECOND),
    "NUL in a value": _post(b"X: a\0b", body=_SECOND),
    "a leading space": b"GET / HTTP/1.1\r\n Host: evil.test\r\n\r\n" + _SECOND,
    "a field without a colon": _post(b"nonsense", body=_SECOND),
    "no Host": b"GET / HTTP/1.1\r\n\r\n" + _SECOND,
    "Host twice": _post(b"Host: other.test", body=_SECOND),
    "Host with a user": b"GET / HTTP/1.1\r\nHost: a@evil.test\r\n\r\n" + _SECOND,
    "two places": b"GET http://other.test/ HTTP/1.1\r\nHost: evil.test\r\n\r\n" + _SECOND,
    "another scheme": b"GET ftp://evil.test/ HTTP/1.1\r\nHost: evil.test\r\n\r\n" + _SECOND,
    "a file": b"GET file:///etc/passwd HTTP/1.1\r\nHost: evil.test\r\n\r\n" + _SECOND,
    "OPTIONS *": _post(body=_SECOND, line=b"OPTIONS * HTTP/1.1"),
    "HTTP/0.9": b"GET /\r\n" + _SECOND,
    "HTTP/2.0 in words": _post(body=_SECOND, line=b"GET / HTTP/2.0"),
    "two blanks": _post(body=_SECOND, line=b"GET  / HTTP/1.1"),
    "a small method": _post(body=_SECOND, line=b"get / HTTP/1.1"),
    "h2c": _post(b"Connection: Upgrade", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABk", body=_SECOND),
    "Expect with a body held back": _post(b"Expect: 100-continue", b"Content-Length: 4", body=_SECOND),
}


def attack(facts):
    """Send each, on a plain connection and to the gate's proxy port, and count the answers."""
    tally = Tally()
    gate = facts.get("gate")
    places = [(_NOBODY, 80)] if not gate else [(_NOBODY, 80), (gate[0], gate[1])]
    tries = [(_sent, f"{name} at {at[1]}", at, raw) for name, raw in _REQUESTS.items() for at in places]
    together(tally, tries)
    return tally.finding()


def _sent(tally, name, at, raw):
    try:
        answer = exchange(at[0], at[1], raw, whole=True)
    except OSError as error:
        tally.expect(name, True, type(error).__name__)
        return
    codes = [line.split()[1] for line in (answer or b"").split(b"\r\n") if line.startswith(b"HTTP/1.")]
    reached = [code for code in codes if code in {b"502", b"504"} or code[:1] not in {b"4", b"5"}]
    if len(codes) > 1 or b"smuggled" in (answer or b""):
        tally.expect(name, False, f"{len(codes)} answers")
    elif reached:
        tally.expect(name, False, f"answered {reached[0].decode()}")
    else:
        tally.expect(name, True, f"refused with {codes[0].decode()}" if codes else "closed without an answer")
