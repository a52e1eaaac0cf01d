"""Minting a session's certificate authority ahead of time, ready to be claimed by rename.

Run by the egress process while it is idle, for the *next* session, or by the launcher when none is
ready: `python -I -m ringfence.egress.mint READY_DIR [COUNT]`.

An authority serves one session. Its key signs nothing but that session's leaves, never enters a
boundary and is removed at the end. The public half is made ready in every form that runtimes read:

    ca.pem          the authority alone, for variables that add to what a runtime trusts
    ca.key          its key, mode 0600
    bundle.pem      the system's authorities and ours, for what replaces them
    truststore.jks  the same as a Java keystore
    system.txt      which system bundle was used, to notice when it has changed since

The Java keystore is the old JKS format, not PKCS12: it is to stand in for the JVM's own `cacerts`,
which the JVM opens without a password, and every JVM from 1.2 on reads a JKS file's certificates
without one, while those in a PKCS12 file with a password stay closed (tried with OpenJDK 17).
"""

import base64
import datetime as dt
import os
import secrets
import struct
import sys
import time
from hashlib import sha1

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ringfence.errors import HostError

# Where distributions keep their authorities in one file, the commonest first. Never from a variable:
# what the operator's shell points at need not be what this machine trusts.
SYSTEM_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Ubuntu, Arch, Alpine, Gentoo
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",  # Fedora, RHEL
    "/etc/pki/tls/certs/ca-bundle.crt",  # older Fedora and RHEL
    "/etc/ssl/ca-bundle.pem",  # openSUSE
    "/var/lib/ca-certificates/ca-bundle.pem",  # SUSE
    "/etc/ssl/cert.pem",  # Alpine, macOS
    "/etc/pki/tls/cert.pem",
)
LIFETIME = dt.timedelta(days=30)
BACKDATE = dt.timedelta(hours=1)  # for clocks inside that run late
KEYSTORE_PASSWORD = "changeit"  # noqa: S105 - Java's own default; the store holds only public certificates
POOL = 2  # authorities kept ready: one for the next session, one for another started beside it
MAX_COUNT = 16
ABANDONED = 60.0  # seconds after which a half-made authority has no maker any more


def top_up(ready_dir: str, count: int = POOL) -> list[str]:
    """Mint until `count` are ready, and clear away what a killed process left half made."""
    os.makedirs(ready_dir, mode=0o700, exist_ok=True)
    names = os.listdir(ready_dir)
    for name in names:
        _clear(ready_dir, name)
    ready = sum(1 for name in names if not name.startswith("."))
    return [mint(ready_dir) for _ in range(ready, min(count, MAX_COUNT))]


def _clear(ready_dir: str, name: str) -> None:
    if not name.startswith(".making-"):
        return
    try:
        if time.time() - os.stat(f"{ready_dir}/{name}").st_mtime > ABANDONED:
            _remove(f"{ready_dir}/{name}")
    except OSError:
        return


def mint(ready_dir: str, lifetime: dt.timedelta = LIFETIME) -> str:
    """Make one authority and return its folder in `ready_dir`. It appears there whole, by rename."""
    system, stamp = system_bundle()
    name = secrets.token_hex(8)
    making, made = f"{ready_dir}/.making-{name}", f"{ready_dir}/{name}"
    try:
        os.makedirs(ready_dir, mode=0o700, exist_ok=True)
        os.mkdir(making, 0o700)
        _fill(making, _authority(name, lifetime), system, stamp)
        os.rename(making, made)
    except OSError as error:
        raise HostError(
            f"cannot keep a certificate authority in {ready_dir!r}: {error.strerror}",
            hint="the state folder must belong to you and have some room: see RINGFENCE_STATE_DIR",
        ) from error
    finally:
        _remove(making)
    return made


def system_bundle() -> tuple[bytes, str]:
    """Return the system's authorities and the line that identifies this state of their file."""
    for path in SYSTEM_BUNDLES:
        try:
            with open(path, "rb") as file:
                state = os.fstat(file.fileno())
                return file.read(), f"{path}\n{state.st_size}\n{state.st_mtime_ns}\n"
        except OSError:
            continue
    raise HostError(
        "this machine has no bundle of certificate authorities: the gate cannot verify any upstream",
        hint="apt-get install ca-certificates (dnf, zypper, apk, pacman: the same name)",
    )


def _fill(
    folder: str, made: tuple[ec.EllipticCurvePrivateKey, x509.Certificate], system: bytes, stamp: str
) -> None:
    key, certificate = made
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    _write(f"{folder}/ca.key", private, 0o600)
    _write(f"{folder}/ca.pem", pem, 0o644)
    _write(f"{folder}/bundle.pem", system.rstrip(b"\n") + b"\n" + pem, 0o644)
    _write(f"{folder}/truststore.jks", keystore([*_ders(system), _der(certificate)]), 0o644)
    _write(f"{folder}/system.txt", stamp.encode(), 0o644)


def _authority(name: str, lifetime: dt.timedelta) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"ringfence session {name}")])
    now = dt.datetime.now(dt.UTC)
    only_sign = x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATE)
        .not_valid_after(now - BACKDATE + lifetime)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(only_sign, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return key, certificate


def keystore(certificates: list[bytes]) -> bytes:
    """Return trusted certificates (DER) as a Java keystore, type JKS.

    A big-endian header and, for each entry, tag 2, alias, time, type, certificate; at the end a SHA-1
    over password, the words "Mighty Aphrodite" and all before. The digest is not a protection here.
    """
    body = struct.pack(">III", 0xFEEDFEED, 2, len(certificates))
    for number, der in enumerate(certificates):
        body += struct.pack(">I", 2) + _utf(f"ringfence{number}") + struct.pack(">Q", 0)
        body += _utf("X.509") + struct.pack(">I", len(der)) + der
    salt = KEYSTORE_PASSWORD.encode("utf-16-be") + b"Mighty Aphrodite"
    return body + sha1(salt + body, usedforsecurity=False).digest()


def _utf(text: str) -> bytes:
    return struct.pack(">H", len(text)) + text.encode()


def _ders(pem: bytes) -> list[bytes]:
    """Return the certificates of a bundle. What does not decode is left out, as Java would."""
    begin, end = b"-----BEGIN CERTIFICATE-----", b"-----END CERTIFICATE-----"
    ders = []
    for part in pem.split(begin)[1:]:
        try:
            ders.append(base64.b64decode(part.partition(end)[0]))
        except ValueError:
            continue
    return ders


def _der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.DER)


def _write(path: str, data: bytes, mode: int) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, mode)
    with open(fd, "wb") as file:
        os.fchmod(fd, mode)  # whatever the umask
        file.write(data)


def _remove(folder: str) -> None:
    if not os.path.isdir(folder):
        return
    for name in os.listdir(folder):
        os.unlink(f"{folder}/{name}")
    os.rmdir(folder)


def main(arguments: list[str]) -> int:
    """Mint as many as asked for."""
    if not 1 <= len(arguments) <= 2 or not "".join(arguments[1:] or ["1"]).isdecimal():
        sys.stderr.write("usage: python -I -m ringfence.egress.mint READY_DIR [COUNT]\n")
        return 2
    os.umask(0o077)
    try:
        for _ in range(min(int(arguments[1]) if len(arguments) > 1 else 1, MAX_COUNT)):
            mint(arguments[0])
    except HostError as error:
        sys.stderr.write(error.render())
        return error.status
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
