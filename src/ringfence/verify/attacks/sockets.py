"""S03: sockets of other kinds than Unix, TCP and UDP: ways around the wire, or kernel code to break.

AF_VSOCK is not confined by a network namespace; AF_ALG and others load kernel modules on demand.
The same is asked through the two entry points that a filter for 64-bit calls does not see: the
32-bit gate `int 0x80` with i386 numbers, and x32's numbers.
"""

import ctypes
import mmap
import os
import socket
import struct

from ringfence.verify.prelude import (
    ARCH,
    NO_SOCKET,
    REFUSED,
    NotPossibleHere,
    Tally,
    in_child,
    number,
    syscall,
)

_FAMILIES = {
    4: "IPX", 5: "APPLETALK", 9: "X25", 15: "KEY", 17: "PACKET", 21: "RDS", 23: "IRDA", 24: "PPPOX",
    26: "LLC", 29: "CAN", 30: "TIPC", 31: "BLUETOOTH", 33: "RXRPC", 36: "IEEE802154", 38: "ALG", 39: "NFC",
    40: "VSOCK", 41: "KCM", 42: "QIPCRTR", 43: "SMC", 44: "XDP", 45: "MCTP",
}  # fmt: skip
_KINDS = (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW, socket.SOCK_SEQPACKET)
# Everything netlink but ROUTE, which getaddrinfo(3) needs
_NETLINK = {
    2: "USERSOCK", 4: "SOCK_DIAG", 6: "XFRM", 7: "SELINUX", 8: "ISCSI", 9: "AUDIT", 10: "FIB_LOOKUP",
    11: "CONNECTOR", 12: "NETFILTER", 15: "KOBJECT_UEVENT", 16: "GENERIC", 18: "SCSITRANSPORT", 20: "RDMA",
    21: "CRYPTO",
}  # fmt: skip
_X32 = 0x40000000
_I386_SOCKET, _I386_GETPID = 359, 20


def attack(_facts):
    """Open a socket of every family, raw sockets, netlink's protocols; change the network by netlink."""
    tally = Tally()
    for family, name in _FAMILIES.items():
        tally.refuse(f"AF_{name}", lambda family=family: _any_kind(family), NO_SOCKET)
    for family, name in ((socket.AF_INET, "IPv4"), (socket.AF_INET6, "IPv6")):
        for protocol in (1, 6, 17, 58, 255):
            tally.refuse(
                f"raw {name}/{protocol}", lambda f=family, p=protocol: _open(f, socket.SOCK_RAW, p), NO_SOCKET
            )
    tally.refuse("SOCK_PACKET", lambda: _open(socket.AF_INET, 10, 3), NO_SOCKET | {22})
    tally.refuse("ping socket", lambda: _open(socket.AF_INET, socket.SOCK_DGRAM, 1), NO_SOCKET)
    tally.refuse("SCTP", lambda: _open(socket.AF_INET, socket.SOCK_STREAM, 132), NO_SOCKET)
    for protocol, name in _NETLINK.items():
        tally.refuse(
            f"netlink {name}", lambda p=protocol: _open(socket.AF_NETLINK, socket.SOCK_RAW, p), NO_SOCKET
        )
    tally.refuse("netlink RTM_NEWLINK", _new_link)
    tally.refuse("netlink RTM_DELLINK of the wire", _delete_link, REFUSED | {19, 95})
    tally.refuse(
        "x32 socket(AF_ALG)", lambda: in_child(lambda: syscall(_X32 | _x86(number("socket")), 38, 5, 0))
    )
    tally.refuse("x32 getpid", lambda: in_child(lambda: syscall(_X32 | _x86(number("getpid")))))
    tally.refuse("int 0x80 getpid", lambda: in_child(lambda: _int80(_I386_GETPID, 0, 0, 0)))
    tally.refuse("int 0x80 socket(AF_ALG)", lambda: in_child(lambda: _int80(_I386_SOCKET, 38, 5, 0)))
    return tally.finding()


def _any_kind(family):
    """Open a socket of any type: a family is closed if it is for every type."""
    last = None
    for kind in _KINDS:
        try:
            return _open(family, kind, 0)
        except OSError as error:
            if error.errno not in NO_SOCKET:
                raise
            last = error
    raise last


def _open(family, kind, protocol):
    """Call socket(2) itself: Python's own asks the kernel more questions afterwards."""
    os.close(syscall("socket", family, kind, protocol))


def _x86(value):
    if ARCH != "x86_64":
        raise NotPossibleHere(f"{ARCH} has no x32")
    return value


def _int80(call, first, second, third):
    """Enter the kernel by `int 0x80`, whose numbers are i386's."""
    if ARCH != "x86_64":
        raise NotPossibleHere(f"{ARCH} has no int 0x80")
    code = (
        b"\x53\xb8" + struct.pack("<I", call) + b"\xbb" + struct.pack("<I", first)
    )  # push rbx; mov eax, ebx
    code += b"\xb9" + struct.pack("<I", second) + b"\xba" + struct.pack("<I", third)  # mov ecx, edx
    code += b"\xcd\x80\x5b\xc3"  # int 0x80; pop rbx; ret
    page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    page.write(code)
    address = ctypes.addressof(ctypes.c_char.from_buffer(page))
    result = ctypes.CFUNCTYPE(ctypes.c_int)(address)()
    if -4096 < result < 0:
        raise OSError(-result, os.strerror(-result))
    return result


def _route(kind, flags, body):
    wire = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
    wire.settimeout(2)
    wire.send(struct.pack("=IHHII", 16 + len(body), kind, flags, 1, 0) + body)
    answer = wire.recv(65536)
    wire.close()
    code = -struct.unpack_from("=i", answer, 16)[0]
    if code:
        raise OSError(code, os.strerror(code))


def _new_link():
    kind = struct.pack("=HH8s", 12, 1, b"dummy\0\0\0")
    _route(16, 0x605, struct.pack("=BxHiII", 0, 0, 0, 0, 0) + struct.pack("=HH", 4 + len(kind), 18) + kind)


def _delete_link():
    """Take away the interface `eth0`, or rather one that is not there: asked before it is looked up."""
    name = struct.pack("=HH8s", 12, 3, b"eth0\0\0\0\0")
    if "eth0" not in [found for _, found in socket.if_nameindex()]:
        raise NotPossibleHere("no eth0 inside")
    _route(17, 0x5, struct.pack("=BxHiII", 0, 0, 0, 0, 0) + name)
