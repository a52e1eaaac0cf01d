"""Whose word counts about an upstream: the system's authorities and those that the operator added.

Reading all of a system's authorities takes OpenSSL 3 a fifth of what a session may need until its first
answer, and a session needs two or three of them. Most systems also keep them in a folder where OpenSSL
finds each by a hash of its name, when a certificate asks for it: where there is one, it is enough at
first. The file is read when a certificate does not verify without it, and the handshake is tried again; so
the authorities that count are the same as ever.
"""

import os
import ssl

from ringfence.errors import HostError

# That an authority is missing (x509_vfy.h): no issuer here or at all, a certificate that vouches for itself
_MISSING = frozenset({2, 18, 19, 20, 21})


class Verifying(ssl.SSLContext):
    """A context for upstreams, which always verifies."""

    partial = False  # whether some of the system's authorities have not been read

    def complete(self, error: ssl.SSLCertVerificationError) -> bool:
        """Read what has not been read; False where that cannot change why it did not verify."""
        if not self.partial or error.verify_code not in _MISSING:
            return False
        self.partial = False
        self.load_default_certs()
        return True


def upstream_context(
    extra_ca: tuple[str, ...],
    file: str = "",
    folder: str = "",
    protocols: tuple[str, ...] = ("http/1.1",),
) -> Verifying:
    """Return the context for upstreams: always verified, by the system's authorities and the operator's.

    `file` and `folder` stand in the place of the system's own, as SSL_CERT_FILE and SSL_CERT_DIR say.
    """
    context = Verifying(ssl.PROTOCOL_TLS_CLIENT)  # verifies certificate and host name by default
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    usual = ssl.get_default_verify_paths()
    path = file or folder
    try:
        if path:
            context.load_verify_locations(cafile=file or usual.cafile, capath=folder or usual.capath)
        elif _hashed(usual.capath):
            context.load_verify_locations(capath=usual.capath)
            context.partial = True
        else:
            context.load_default_certs()
        for path in extra_ca:
            context.load_verify_locations(cafile=path)
    except OSError as error:  # ssl.SSLError is one
        reason = error.strerror or "it holds no certificate"
        raise HostError(f"the certificate authorities in {path} cannot be used: {reason}") from None
    context.set_alpn_protocols(protocols)
    return context


def _hashed(folder: str | None) -> bool:
    """Say whether a folder of authorities has them by their hashes (openssl-rehash(1))."""
    try:
        return folder is not None and any(name[8:] == ".0" for name in os.listdir(folder))
    except OSError:
        return False
