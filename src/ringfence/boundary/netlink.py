"""Raw netlink: network interfaces, addresses, routes and an nftables batch, packed by hand.

pyroute2 takes 125-270 ms to import and `ip` plus `nft` 14 ms to run; this takes 1.5 ms. Only what
`wire.py` needs is here. Layouts: linux/rtnetlink.h, linux/if_link.h, linux/netfilter/nf_tables.h.
A netlink socket stays bound to the namespace it was made in, so no setns(2) is needed.
"""

import _socket
import errno
import os
import struct

from ringfence.value import Struct

AF_INET, AF_INET6, AF_NETLINK = 2, 10, 16
_NETLINK_ROUTE, _NETLINK_NETFILTER = 0, 12
_REQUEST, _ACK, _EXCL, _CREATE, _REPLACE = 0x1, 0x4, 0x200, 0x400, 0x100
_NLMSG_ERROR = 2
_RTM_NEWLINK, _RTM_NEWADDR, _RTM_NEWROUTE, _RTM_NEWNEIGH = 16, 20, 24, 28


def attribute(kind: int, payload: bytes) -> bytes:
    """Pack one attribute, padded to four bytes."""
    length = 4 + len(payload)
    return struct.pack("=HH", length, kind) + payload + b"\0" * (-length % 4)


def nested(kind: int, *children: bytes) -> bytes:
    """Pack an attribute that holds attributes."""
    return attribute(kind | 0x8000, b"".join(children))


def message(kind: int, flags: int, payload: bytes, sequence: int = 0) -> bytes:
    """Pack one netlink message."""
    return struct.pack("=IHHII", 16 + len(payload), kind, flags, sequence, 0) + payload


class Socket:
    """One netlink socket, in the network namespace it was made in."""

    def __init__(self, protocol: int) -> None:
        self._socket = _socket.socket(AF_NETLINK, 3, protocol)
        self._socket.setsockopt(1, 7, 1 << 20)  # SO_SNDBUF
        self._socket.bind((0, 0))

    def send(self, *messages: bytes) -> None:
        """Send all messages in one go and wait for an acknowledgement of each that asks for one."""
        numbered = []
        waiting = set()
        for sequence, one in enumerate(messages, 1):
            numbered.append(one[:8] + struct.pack("=I", sequence) + one[12:])
            if struct.unpack_from("=H", one, 6)[0] & _ACK:
                waiting.add(sequence)
        self._socket.send(b"".join(numbered))
        while waiting:
            self._receive(waiting)

    def _receive(self, waiting: set[int]) -> None:
        data = self._socket.recv(65536)
        while len(data) >= 16:
            length, kind, _flags, sequence, _port = struct.unpack_from("=IHHII", data)
            if kind == _NLMSG_ERROR:
                code = -struct.unpack_from("=i", data, 16)[0]
                if code:
                    raise OSError(code, os.strerror(code), f"netlink message {sequence}")
                waiting.discard(sequence)
            data = data[(length + 3) & ~3 :]

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


class Address(Struct):
    """An address of ours on one end of the veth pair."""

    family: int
    packed: bytes
    prefix: int


def route_socket() -> Socket:
    """Open rtnetlink here."""
    return Socket(_NETLINK_ROUTE)


def filter_socket() -> Socket:
    """Open nfnetlink here."""
    return Socket(_NETLINK_NETFILTER)


def veth(name: str, mac: bytes, peer: str, peer_mac: bytes, peer_netns: int) -> bytes:
    """Make a veth pair: `name` (index 2) here, `peer` (index 2) in the other namespace."""
    other = _interface(0, 2) + attribute(1, peer_mac) + attribute(3, peer.encode() + b"\0")
    other += attribute(28, struct.pack("=i", peer_netns))  # IFLA_NET_NS_FD
    info = nested(18, attribute(1, b"veth"), nested(2, nested(1, other)))  # IFLA_LINKINFO
    body = _interface(0, 2) + attribute(1, mac) + attribute(3, name.encode() + b"\0") + info
    return message(_RTM_NEWLINK, _REQUEST | _ACK | _CREATE | _EXCL, body)


def up(index: int, *, quiet_ipv6: bool) -> bytes:
    """Bring an interface up; `quiet_ipv6`: no link-local address, no router solicitation."""
    body = _interface(1, index)
    if quiet_ipv6:
        body += nested(26, nested(AF_INET6, attribute(8, b"\1")))  # IFLA_AF_SPEC, ADDR_GEN_MODE_NONE
    return message(_RTM_NEWLINK, _REQUEST | _ACK, body)


def _interface(state: int, index: int) -> bytes:
    return struct.pack("=BxHiII", 0, 0, index, state, state)


def address(index: int, ours: Address) -> bytes:
    """Give an interface an address, without duplicate address detection (it would cost a second)."""
    flags = 0x02 | 0x80  # IFA_F_NODAD, IFA_F_PERMANENT
    body = struct.pack("=BBBBi", ours.family, ours.prefix, flags, 0, index)
    body += attribute(2, ours.packed) + attribute(1, ours.packed)  # IFA_LOCAL, IFA_ADDRESS
    return message(_RTM_NEWADDR, _REQUEST | _ACK | _CREATE | _REPLACE, body)


def neighbour(index: int, family: int, packed: bytes, mac: bytes) -> bytes:
    """Pin the link address of a neighbour: the first IPv6 packet would wait a second for discovery."""
    body = struct.pack("=BxHiHBB", family, 0, index, 0x80, 0, 0)  # NUD_PERMANENT
    return message(
        _RTM_NEWNEIGH, _REQUEST | _ACK | _CREATE | _REPLACE, body + attribute(1, packed) + attribute(2, mac)
    )


def default_route(family: int, gateway: bytes) -> bytes:
    """Send everything to `gateway`."""
    body = struct.pack("=BBBBBBBBI", family, 0, 0, 0, 254, 3, 0, 1, 0) + attribute(5, gateway)
    return message(_RTM_NEWROUTE, _REQUEST | _ACK | _CREATE, body)


def everything_local(family: int) -> bytes:
    """Make every destination one of this namespace's own (type local, in the main table).

    In the local table IPv6 would look it up first and replies would loop.
    """
    body = struct.pack("=BBBBBBBBI", family, 0, 0, 0, 254, 3, 254, 2, 0)  # RTN_LOCAL, scope host
    body += attribute(4, struct.pack("=i", 1))  # RTA_OIF lo
    return message(_RTM_NEWROUTE, _REQUEST | _ACK | _CREATE, body)


# nftables. Registers: 1 is a 16-byte register; verdict register 0.
_NFT_BASE = 10 << 8
_NEWTABLE, _NEWCHAIN, _NEWRULE = 0, 3, 6
_INET = 1
_ACCEPT, _DROP = 1, 0
TCP, UDP, ICMP6 = 6, 17, 58


def _nft(kind: int, body: bytes, flags: int = _CREATE) -> bytes:
    header = struct.pack("=BBH", _INET, 0, 0)
    return message(_NFT_BASE | kind, _REQUEST | _ACK | flags, header + body)


def nft_batch(*messages: bytes) -> tuple[bytes, ...]:
    """Wrap nftables messages in a transaction."""
    subsystem = struct.pack("=BBH", 0, 0, _swap16(10))
    begin, end = message(16, _REQUEST, subsystem), message(17, _REQUEST, subsystem)
    return (begin, *messages, end)


def _swap16(value: int) -> int:
    return int(struct.unpack("=H", struct.pack(">H", value))[0])


def _be32(value: int) -> bytes:
    return struct.pack(">I", value)


def _text(kind: int, text: str) -> bytes:
    return attribute(kind, text.encode() + b"\0")


def table(name: str) -> bytes:
    """Make a table of family inet."""
    return _nft(_NEWTABLE, _text(1, name) + attribute(2, _be32(0)))


def chain(table_name: str, name: str, kind: str, hook: int, priority: int, *, drop: bool = False) -> bytes:
    """Make a base chain on a netfilter hook (0 prerouting, 1 input, 2 forward)."""
    where = nested(4, attribute(1, _be32(hook)), attribute(2, struct.pack(">i", priority)))
    policy = attribute(5, _be32(_DROP if drop else _ACCEPT))
    return _nft(_NEWCHAIN, _text(1, table_name) + _text(3, name) + where + policy + _text(7, kind))


def rule(table_name: str, chain_name: str, *expressions: bytes) -> bytes:
    """Append a rule made of expressions."""
    body = _text(1, table_name) + _text(2, chain_name) + nested(4, *expressions)
    return _nft(_NEWRULE, body, _CREATE | 0x800)  # NLM_F_APPEND


def _expression(name: str, *parts: bytes) -> bytes:
    return nested(1, _text(1, name), nested(2, *parts))


def _compare(data: bytes) -> bytes:
    return _expression("cmp", attribute(1, _be32(1)), attribute(2, _be32(0)), nested(3, attribute(1, data)))


def protocol_is(number: int) -> tuple[bytes, ...]:
    """Match the transport protocol."""
    load = _expression("meta", attribute(1, _be32(1)), attribute(2, _be32(16)))  # NFT_META_L4PROTO
    return (load, _compare(bytes([number])))


def destination_port_is(port: int) -> tuple[bytes, ...]:
    """Match the destination port of TCP or UDP."""
    load = _expression(
        "payload",
        attribute(1, _be32(1)),
        attribute(2, _be32(2)),
        attribute(3, _be32(2)),
        attribute(4, _be32(2)),
    )
    return (load, _compare(struct.pack(">H", port)))


def icmp6_type_is(number: int) -> tuple[bytes, ...]:
    """Match the type of an ICMPv6 message."""
    load = _expression(
        "payload",
        attribute(1, _be32(1)),
        attribute(2, _be32(2)),
        attribute(3, _be32(0)),
        attribute(4, _be32(1)),
    )
    return (load, _compare(bytes([number])))


def established() -> tuple[bytes, ...]:
    """Match packets of connections that are already known."""
    load = _expression("ct", attribute(1, _be32(1)), attribute(2, _be32(0)))  # NFT_CT_STATE
    mask = struct.pack("=I", 2 | 4)  # established, related
    keep = _expression(
        "bitwise",
        attribute(1, _be32(1)),
        attribute(2, _be32(1)),
        attribute(3, _be32(4)),
        nested(4, attribute(1, mask)),
        nested(5, attribute(1, struct.pack("=I", 0))),
    )
    differs = _expression(
        "cmp", attribute(1, _be32(1)), attribute(2, _be32(1)), nested(3, attribute(1, struct.pack("=I", 0)))
    )
    return (load, keep, differs)


def redirect(port: int) -> tuple[bytes, ...]:
    """Send the packet to `port` of this namespace, keeping the original destination in conntrack."""
    load = _expression("immediate", attribute(1, _be32(1)), nested(2, attribute(1, struct.pack(">H", port))))
    return (load, _expression("redir", attribute(1, _be32(1))))


def accept() -> tuple[bytes, ...]:
    """Let the packet in."""
    verdict = nested(2, nested(2, attribute(1, _be32(_ACCEPT))))
    return (_expression("immediate", attribute(1, _be32(0)), verdict),)


def reject() -> tuple[bytes, ...]:
    """Answer with ICMP port unreachable, so that clients fall back at once instead of waiting."""
    return (
        _expression("reject", attribute(1, _be32(2)), attribute(2, bytes([1]))),
    )  # ICMPX, port unreachable


def is_missing(error: OSError) -> bool:
    """Tell whether the kernel lacks what the message asked for."""
    return error.errno in {errno.ENOENT, errno.EOPNOTSUPP, errno.EPROTONOSUPPORT, errno.ENOPROTOOPT}
