"""A process that makes sockets in the boundary's network, for published ports."""

import os
import sys

from ringfence.boundary import syscalls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

# Its whole program: for each byte asked, a socket of that family, made in the network it is in.
VENDOR = """
import _socket, struct
requests = _socket.socket(1, 5, 0, fileno=0)
while wanted := requests.recv(1):
    made = _socket.socket(10 if wanted == b"6" else 2, 1, 0)
    requests.sendmsg([wanted], [(1, 1, struct.pack("=i", made.fileno()))])
    made.close()
"""


def leave(requests: int, follow: "Callable[[int], None]", *, network: int | None) -> None:
    """Leave it behind. `follow` makes it end with us.

    `network`: the gate's end of the wire, where a guest's own network cannot be entered.

    It lives outside the sandbox's process and mount namespaces. It is a new program, not only a fork: our
    memory is a copy of the launcher's, with the operator's environment in it.
    """
    parent = os.getpid()
    if os.fork():
        os.close(requests)
        return
    try:
        follow(parent)
        if network is not None:
            syscalls.setns(network, syscalls.CLONE_NEWNET)
        os.dup2(requests, 0)
        syscalls.check_call(
            436, 1, 0xFFFFFFFF, 0
        )  # close_range(2): the launcher waits for our channel to close
        os.execve(sys.executable, [sys.executable, "-I", "-S", "-c", VENDOR], {})  # noqa: S606 - no shell
    finally:
        os._exit(125)
