"""Sockets that a service listens on: TCP, Unix and vsock, bound before anything is accepted from them."""

import contextlib
import os
import socket
import stat

from ringfence.egress import limits
from ringfence.egress.identity import Address
from ringfence.errors import HostError


def bind(address: Address) -> socket.socket:
    """Return a listening socket. Raises HostError."""
    families = {"unix": socket.AF_UNIX, "vsock": getattr(socket, "AF_VSOCK", socket.AF_UNIX)}
    family = families.get(address.kind, socket.AF_INET6 if ":" in address.host else socket.AF_INET)
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        if address.kind == "unix":
            _clear(address.host)
            sock.bind(address.host)
            os.chmod(address.host, 0o660)  # the folder says who else gets to it
        elif address.kind == "vsock":
            sock.bind((socket.VMADDR_CID_ANY, address.port))
        else:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind((address.host, address.port))
        sock.listen(limits.CONNECTIONS)
        sock.setblocking(False)
    except OSError as error:
        sock.close()
        raise HostError(
            f"cannot listen on {address.text}: {error.strerror or error}",
            hint="another process may listen there, or the address is not this machine's",
        ) from None
    return sock


def _clear(path: str) -> None:
    """Take away a Unix socket that nobody listens on any more; anything else stays, and is in the way."""
    try:
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            return
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)


def unlink(address: Address | None) -> None:
    """Take a Unix socket's name away."""
    if address is not None and address.kind == "unix":
        with contextlib.suppress(OSError):
            os.unlink(address.host)
