"""Secrets planted to be looked for: `assert_absent` fails when one shows, raw or in another dress.

    canary = Canary("api key")
    … run something that holds canary.value …
    assert_absent(canary, stdout, stderr, tmp_path)

Looks at text, bytes, files and whole folders; inside gzip and zlib streams too.
"""

import base64
import gzip
import os
import secrets
import urllib.parse
import zlib


class Canary:
    """One planted value; `prefix` makes it look like the real kind."""

    def __init__(self, name: str, prefix: str = "canary-") -> None:
        self.name = name
        self.value = f"{prefix}{secrets.token_hex(16)}{secrets.token_urlsafe(16)}"

    def forms(self) -> dict[str, bytes]:
        """Return every spelling that counts as the value, by name."""
        raw = self.value.encode()
        return {
            "raw": raw,
            "its first half": raw[: len(raw) // 2],
            "its second half": raw[len(raw) // 2 :],
            "reversed": raw[::-1],
            "hex": raw.hex().encode(),
            "HEX": raw.hex().upper().encode(),
            "url-encoded": urllib.parse.quote(raw, safe="").encode(),
            "wholly url-encoded": "".join(f"%{byte:02X}" for byte in raw).encode(),
            "utf-16": self.value.encode("utf-16-le"),
            "escaped": "".join(f"\\u{byte:04x}" for byte in raw).encode(),
            **{f"base64 at {shift}": _base64(raw, shift) for shift in range(3)},
            **{f"base64url at {shift}": _base64(raw, shift).translate(_URL) for shift in range(3)},
        }

    def found_in(self, data: bytes) -> list[str]:
        """Return the names of the forms that `data` shows, compressed streams unpacked."""
        forms = self.forms()
        return [
            f"{form}{layer}"
            for layer, blob in _layers(data)
            for form, spelling in forms.items()
            if spelling in blob
        ]


_URL = bytes.maketrans(b"+/", b"-_")


def _base64(raw: bytes, shift: int) -> bytes:
    """Return what base64 makes of a value that begins `shift` bytes into a group, whole groups only."""
    encoded = base64.b64encode(bytes(shift) + raw).rstrip(b"=")
    # The first and the last group mix in the neighbours' bits.
    return encoded[4 if shift else 0 : -2]


def _layers(data: bytes):
    yield "", data
    for magic, wbits in ((b"\x1f\x8b", 31), (b"\x78\x9c", 15), (b"\x78\x01", 15), (b"\x78\xda", 15)):
        start = data.find(magic)
        while start >= 0:
            yield f", compressed at {start}", _unpacked(data[start:], wbits)
            start = data.find(magic, start + 1)


def _unpacked(data: bytes, wbits: int) -> bytes:
    try:
        return zlib.decompressobj(wbits).decompress(data, 64 << 20)
    except zlib.error:
        return b""


def assert_absent(canary: Canary, *places: "bytes | str | os.PathLike[str] | object") -> None:
    """Fail when a canary shows in a text, in bytes, in a file or anywhere below a folder."""
    shown = [
        f"{where}: {form}"
        for place in places
        for where, data in _blobs(place)
        for form in canary.found_in(data)
    ]
    assert not shown, f"the canary `{canary.name}` shows in {shown}"


def _blobs(place):
    if isinstance(place, bytes):
        yield "bytes", place
    elif isinstance(place, os.PathLike):
        yield from _files(os.fspath(place))
    else:
        yield "text", str(place).encode("utf-8", "surrogateescape")


def _files(path: str):
    if not os.path.isdir(path):
        with open(path, "rb") as file:
            yield path, file.read()
        return
    for folder, _, names in os.walk(path):
        for name in names:
            whole = os.path.join(folder, name)
            yield f"the name of {whole}", os.fsencode(name)
            if os.path.isfile(whole) and not os.path.islink(whole):
                with open(whole, "rb") as file:
                    yield whole, file.read()


def dressed(canary: Canary) -> dict[str, bytes]:
    """Return texts that each hold the value in one dress: what a search must find."""
    raw = canary.value.encode()
    inside = [b"a" * shift + raw + b"b" for shift in range(3)]
    return {
        "raw": b"x" + raw,
        "hex": raw.hex().encode(),
        "reversed": raw[::-1],
        "percent": "".join(f"%{byte:02X}" for byte in raw).encode(),
        "gzip": b"noise" + gzip.compress(b"before " + raw),
        "zlib": zlib.compress(raw),
        "cut": raw[: len(raw) // 2 + 3],
        **{f"base64 at {shift}": base64.b64encode(text) for shift, text in enumerate(inside)},
        **{f"base64url at {shift}": base64.urlsafe_b64encode(text) for shift, text in enumerate(inside)},
    }
