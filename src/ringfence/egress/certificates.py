"""Client certificates: which one a connection to an upstream shows, each in a TLS context of its own.

A connection's label names the credential and the very certificate, so that a pooled connection never
serves another, and a renewed certificate is shown from the next request on.
"""

import os
import ssl

from ringfence.canonical import sha256
from ringfence.credential.secret import Secret, SourceError
from ringfence.egress.trust import Verifying, upstream_context
from ringfence.policy.model import Credential

KEPT = 16  # certificates at a time, the oldest out


Trust = tuple[tuple[str, ...], str, str]  # more authorities, and what stands in the place of the system's


class Certificates:
    """The client certificates of one session."""

    def __init__(self, trust: Trust) -> None:
        self._trust = trust
        self._held: dict[str, tuple[Secret, dict[tuple[str, ...], Verifying]]] = {}

    def show(self, credential: Credential, secret: Secret) -> str:
        """Have a certificate shown; returns the label of the connections that show it."""
        label = f"{credential.name}#{sha256(secret.reveal_for_injection().encode())[:16]}"
        if label not in self._held:
            context = self._made(credential, secret, ("http/1.1",))
            while len(self._held) >= KEPT:
                self._held.pop(next(iter(self._held)))
            self._held[label] = (secret, {("http/1.1",): context})
        return label

    def context(self, label: str, protocols: tuple[str, ...] = ("http/1.1",)) -> Verifying | None:
        """Return the context for a connection's label; None where it shows no certificate."""
        if "#" not in label:
            return None
        name = label.partition("+")[0]
        held = self._held.get(name)
        if held is None:
            return None
        secret, contexts = held
        if protocols not in contexts:
            contexts[protocols] = self._loaded(secret, protocols, name)
        return contexts[protocols]

    def _made(self, credential: Credential, secret: Secret, protocols: tuple[str, ...]) -> Verifying:
        return self._loaded(secret, protocols, credential.name)

    def _loaded(self, secret: Secret, protocols: tuple[str, ...], name: str) -> Verifying:
        context = upstream_context(*self._trust, protocols=protocols)
        fd = os.memfd_create("certificate", os.MFD_CLOEXEC)
        try:
            os.write(fd, secret.reveal_for_injection().encode())
            # A wrong password callback, so that an encrypted key is an error and no prompt.
            context.load_cert_chain(f"/proc/self/fd/{fd}", password=lambda: b"")
        except (ssl.SSLError, ValueError):
            raise SourceError(
                f"credential {name}: its file holds no certificate with its unencrypted key",
                hint="put the certificate, its chain and its private key into one PEM file",
            ) from None
        finally:
            os.close(fd)
        return context
