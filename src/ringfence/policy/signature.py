"""Is a policy from elsewhere signed by somebody whose key the operator named? minisign and ssh-ed25519.

minisign: a file of four lines; `Ed` signs the bytes, `ED` their BLAKE2b-512; a second signature covers the
first one and the trusted comment. ssh: what `ssh-keygen -Y sign -n ringfence-policy` writes
(PROTOCOL.sshsig); keys as in `authorized_keys` or a file of allowed signers. Both are Ed25519, verified by
`cryptography`.

Everything is read at its strictest: no blanks within, nothing behind, no algorithm but these.
"""

import base64
import binascii
import hashlib
import os

from ringfence.errors import UsageError
from ringfence.value import Struct

NAMESPACE = "ringfence-policy"
LARGEST = 1 << 16  # bytes of a signature, or of a file of keys
_SSH_BEGIN, _SSH_END = "-----BEGIN SSH SIGNATURE-----", "-----END SSH SIGNATURE-----"
_SSH_TYPE = b"ssh-ed25519"
_HASHES = {b"sha512": hashlib.sha512, b"sha256": hashlib.sha256}


class BadSignatureError(ValueError):
    """The signature does not prove that one of the keys signed these bytes."""


class Key(Struct):
    """One key that the operator trusts with policies."""

    kind: str  # minisign | ssh
    raw: bytes  # 32 bytes
    number: bytes = b""  # minisign: the key's id
    who: str = ""  # ssh: principals, or the comment
    after: str = ""  # ssh: valid from, as YYYYMMDDHHMMSS in UTC
    before: str = ""  # and until

    @property
    def fingerprint(self) -> str:
        """Return what names the key for people."""
        if self.kind == "minisign":
            return f"minisign {self.number[::-1].hex().upper()}"
        blob = _packed(_SSH_TYPE, self.raw)
        return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")


def keys(text: str) -> tuple[Key, ...]:
    """Read keys: a minisign key or its file, lines of ssh keys, or a file of allowed signers."""
    found: list[Key] = []
    for line in text.splitlines():
        row = line.strip()
        if not row or row.startswith(("#", "untrusted comment:")):
            continue
        key = _minisign_key(row) or _ssh_key(row)
        if key is None:
            message = f"this is no key that signs policies: {row[:60]!r}"
            raise UsageError(message, hint="minisign or ssh-ed25519")
        found.append(key)
    if not found:
        raise UsageError("there is no key in what --key names")
    return tuple(found)


def keys_of(named: str) -> tuple[Key, ...]:
    """Return the keys that a word of the command line means: itself, or a file."""
    if not os.path.exists(named):
        return keys(named)
    with open(named, "rb") as file:
        data = file.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise UsageError(f"{named} is too large for a file of keys")
    return keys(data.decode("utf-8", "replace"))


def verify(data: bytes, signature: bytes, trusted: tuple[Key, ...], *, now: str) -> Key:
    """Return the key that signed `data`. Raises BadSignatureError. `now` is YYYYMMDDHHMMSS in UTC."""
    try:
        text = signature.decode("ascii") if len(signature) <= LARGEST else ""
    except UnicodeDecodeError:
        text = ""
    if text.startswith(_SSH_BEGIN):
        return _verify_ssh(data, text, trusted, now)
    if text.startswith("untrusted comment:"):
        return _verify_minisign(data, text, trusted)
    raise BadSignatureError("this is neither a minisign nor an ssh signature")


# --- minisign


def _minisign_key(row: str) -> Key | None:
    raw = _decoded(row)
    if raw is None or len(raw) != 42 or raw[:2] != b"Ed":
        return None
    return Key(kind="minisign", number=raw[2:10], raw=raw[10:])


def _verify_minisign(data: bytes, text: str, trusted: tuple[Key, ...]) -> Key:
    lines = text.split("\n")
    if (
        len(lines) not in {4, 5}
        or lines[4:] not in ([], [""])
        or not lines[2].startswith("trusted comment: ")
    ):
        raise BadSignatureError("a minisign signature has four lines")
    made, whole = _decoded(lines[1]), _decoded(lines[3])
    if made is None or len(made) != 74 or whole is None or len(whole) != 64:
        raise BadSignatureError("this minisign signature is damaged")
    kind, number, signature = made[:2], made[2:10], made[10:]
    if kind not in {b"Ed", b"ED"}:
        raise BadSignatureError("this minisign signature is of an unknown kind")
    key = next((one for one in trusted if one.kind == "minisign" and one.number == number), None)
    if key is None:
        raise BadSignatureError("it was made with a key that is not among those named")
    signed = hashlib.blake2b(data).digest() if kind == b"ED" else data
    comment = lines[2].removeprefix("trusted comment: ").encode()
    _check(key, signature, signed)
    _check(key, whole, signature + comment)
    return key


# --- ssh


def _ssh_key(row: str) -> Key | None:
    """Read `ssh-ed25519 AAAA… comment`, or a line of allowed signers: principals, options, key."""
    words = _split(row)
    at = next((number for number, word in enumerate(words[:3]) if word == "ssh-ed25519"), -1)
    if at < 0 or len(words) < at + 2:
        return None
    raw = _blob(_decoded(words[at + 1]))
    if raw is None:
        return None
    options = _options(words[1]) if at == 2 else {}
    if options is None:
        return None
    who = words[0] if at else " ".join(words[2:])
    return Key(kind="ssh", raw=raw, who=who, after=options.get("valid-after", ""),
               before=options.get("valid-before", ""))  # fmt: skip


def _split(row: str) -> list[str]:
    """Split at blanks that stand in no quotes."""
    words, quoted = [""], False
    for char in row:
        if char == '"':
            quoted = not quoted
        if char in " \t" and not quoted:
            words.append("")
        else:
            words[-1] += char
    return [word for word in words if word]


def _options(text: str) -> dict[str, str] | None:
    """Read the options of an allowed signer; None where one is not known or not for policies."""
    found: dict[str, str] = {}
    pieces, quoted = [""], False
    for char in text:
        quoted ^= char == '"'
        if char == "," and not quoted:
            pieces.append("")
        else:
            pieces[-1] += char
    for piece in pieces:
        name, _, value = piece.partition("=")
        value = value.strip('"')
        if name.lower() == "namespaces":
            if NAMESPACE not in value.split(","):
                return None
        elif name.lower() in {"valid-after", "valid-before"}:
            digits = value.rstrip("Zz")
            if not digits.isdigit() or len(digits) not in {8, 12, 14}:
                return None
            found[name.lower()] = digits.ljust(14, "0")
        else:
            return None
    return found


def _verify_ssh(data: bytes, text: str, trusted: tuple[Key, ...], now: str) -> Key:
    lines = text.strip().split("\n")
    body = _decoded("".join(line.strip() for line in lines[1:-1]))
    if lines[-1].strip() != _SSH_END or body is None or body[:10] != b"SSHSIG\x00\x00\x00\x01":
        raise BadSignatureError("this ssh signature is damaged")
    fields = _unpacked(body[10:], 5)
    if fields is None:
        raise BadSignatureError("this ssh signature is damaged")
    public, namespace, reserved, name, made = fields
    raw, pair = _blob(public), _unpacked(made, 2)
    if namespace != NAMESPACE.encode():
        raise BadSignatureError(f"it was made for another purpose than {NAMESPACE}")
    if name not in _HASHES or raw is None or pair is None or pair[0] != _SSH_TYPE or len(pair[1]) != 64:
        raise BadSignatureError("only ssh-ed25519 signatures over SHA-512 or SHA-256 are known here")
    key = next((one for one in trusted if one.kind == "ssh" and one.raw == raw), None)
    if key is None:
        raise BadSignatureError("it was made with a key that is not among those named")
    if (key.after and now < key.after) or (key.before and now >= key.before):
        raise BadSignatureError("the key that made it is not valid at this time")
    digest = _HASHES[name](data).digest()
    _check(key, pair[1], b"SSHSIG" + _packed(namespace, reserved, name, digest))
    return key


def _blob(blob: bytes | None) -> bytes | None:
    pair = _unpacked(blob, 2) if blob is not None else None
    return pair[1] if pair is not None and pair[0] == _SSH_TYPE and len(pair[1]) == 32 else None


def _packed(*values: bytes) -> bytes:
    return b"".join(len(value).to_bytes(4, "big") + value for value in values)


def _unpacked(data: bytes, count: int) -> list[bytes] | None:
    found, at = [], 0
    for _ in range(count):
        size = int.from_bytes(data[at : at + 4], "big")
        if at + 4 + size > len(data):
            return None
        found.append(data[at + 4 : at + 4 + size])
        at += 4 + size
    return found if at == len(data) else None


# --- both


def _decoded(text: str) -> bytes | None:
    """Decode base64 that is spelled in the one way there is: other readers may not see what follows it."""
    try:
        found = base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, ValueError):
        return None
    return found if base64.b64encode(found).decode() == text else None


def _check(key: Key, signature: bytes, signed: bytes) -> None:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(key.raw).verify(signature, signed)
    except (InvalidSignature, ValueError):
        raise BadSignatureError("the signature is not of these bytes: they were changed, or it was") from None
