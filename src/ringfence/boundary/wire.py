"""The private wire: a network namespace whose only way out ends at sockets of ours.

    A, the boundary's namespace            G, the gate's namespace
    eth0 100.64.0.2/30 fd00:77::2/64 ----- gate0 100.64.0.1/30 fd00:77::1/64
    default route via the gate             every destination is local; nft redirects TCP to :3129
                                           and UDP 53 to :5353; all else is refused

Built in the process that later becomes the sandbox, in this order: it enters G, opens netlink and
the listening sockets there, fills in the rules, then leaves for A and makes the veth pair from
there with the peer in G. G lives as long as the listeners and the peer do. The boundary cannot
touch A: its own user namespace is a child of the one that owns A.
"""

import _socket
import fcntl
import os
import struct

from ringfence.boundary import netlink, syscalls
from ringfence.boundary.netlink import AF_INET, AF_INET6, Address
from ringfence.value import Struct, replace

GATE4, INSIDE4 = "100.64.0.1", "100.64.0.2"  # RFC 6598 shared space: never on a user's network behind us
GATE6, INSIDE6 = "fd00:77::1", "fd00:77::2"
TCP_PORT, DNS_PORT, PROXY_PORT = 3129, 5353, 3128
_GATE_MAC, _INSIDE_MAC = b"\x02\0\0\0\0\x01", b"\x02\0\0\0\0\x02"
INSIDE_MAC_TEXT = _INSIDE_MAC.hex(":")
_TUNSETIFF, _IFF_TAP, _IFF_NO_PI, _IFF_VNET_HDR = 0x400454CA, 0x0002, 0x1000, 0x4000
_LOOPBACK = 1
_LINK = 2
# Without nftables there is no redirect: one listener for each port that programs commonly dial.
_ANYIP_PORTS = (22, 80, 443, 3000, PROXY_PORT, 5432, 8000, 8080, 8443, 9418)


class Gate(Struct):
    """The gate's sockets, and how their original destination is read."""

    kind: str  # "wire": SO_ORIGINAL_DST; "anyip": getsockname
    listeners: tuple[int, ...]
    dns: int
    tap: int = -1  # of a virtual machine's network card


def build(*, tap: bool = False, inside: int | None = None) -> Gate:
    """Turn this process's network into the boundary's; return the gate's sockets.

    `inside`: a network namespace that is there already, and empty, becomes the boundary's.

    The caller is single-threaded and may create network namespaces (CAP_SYS_ADMIN over its user
    namespace). Raises OSError.
    """
    syscalls.unshare(syscalls.CLONE_NEWNET)
    _allow_ipv6()
    gate_route = netlink.route_socket()
    gate = _redirected() or _any_address()
    if tap:
        return replace(gate, tap=_tapped(gate_route))
    gate_netns = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    if inside is None:
        syscalls.unshare(syscalls.CLONE_NEWNET)
    else:
        syscalls.setns(inside, syscalls.CLONE_NEWNET)
    _allow_ipv6()
    _connect(gate_route, gate_netns)
    os.close(gate_netns)
    return gate


def _tapped(gate_route: netlink.Socket) -> int:
    """Make the gate's end the other end of a network card, and leave for a namespace with nothing in it."""
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC)
    flags = _IFF_TAP | _IFF_NO_PI | _IFF_VNET_HDR
    fcntl.ioctl(fd, _TUNSETIFF, struct.pack("=16sH22x", b"gate0", flags))
    gate_route.send(
        *_ends(GATE4, GATE6, INSIDE4, INSIDE6, _INSIDE_MAC),
        netlink.everything_local(AF_INET),
        netlink.everything_local(AF_INET6),
    )
    gate_route.close()
    syscalls.unshare(syscalls.CLONE_NEWNET)
    return fd


def _redirected() -> Gate | None:
    try:
        rules = netlink.filter_socket()  # refused, too, where the kernel has no nfnetlink
        try:
            rules.send(*_ruleset())
        finally:
            rules.close()
    except OSError as error:
        if netlink.is_missing(error):
            return None
        raise
    return Gate(kind="wire", listeners=(_listen(TCP_PORT),), dns=_dns_socket(DNS_PORT))


def _any_address() -> Gate:
    return Gate(kind="anyip", listeners=tuple(map(_listen, _ANYIP_PORTS)), dns=_dns_socket(53))


def _allow_ipv6() -> None:
    """Docker starts network namespaces with IPv6 off."""
    for where in ("all", "default"):
        try:
            fd = os.open(f"/proc/sys/net/ipv6/conf/{where}/disable_ipv6", os.O_WRONLY | os.O_CLOEXEC)
        except OSError:
            return
        try:
            os.write(fd, b"0")
        except OSError:
            pass
        finally:
            os.close(fd)


def _listen(port: int) -> int:
    listener = _socket.socket(AF_INET6, 1 | 0o2000000 | 0o4000)  # SOCK_CLOEXEC, SOCK_NONBLOCK
    listener.setsockopt(41, 26, 0)  # IPV6_V6ONLY off: one socket for both families
    listener.bind(("::", port))
    listener.listen(512)
    return listener.detach()


def _dns_socket(port: int) -> int:
    responder = _socket.socket(AF_INET6, 2 | 0o2000000 | 0o4000)
    responder.setsockopt(41, 26, 0)
    responder.setsockopt(41, 49, 1)  # IPV6_RECVPKTINFO: answer from the address that was asked
    responder.bind(("::", port))
    return responder.detach()


def _ruleset() -> tuple[bytes, ...]:
    name = "ringfence"
    rule, chain = netlink.rule, netlink.chain
    return netlink.nft_batch(
        netlink.table(name),
        chain(name, "pre", "nat", 0, -100),
        rule(
            name,
            "pre",
            *netlink.protocol_is(netlink.UDP),
            *netlink.destination_port_is(53),
            *netlink.redirect(DNS_PORT),
        ),
        rule(name, "pre", *netlink.protocol_is(netlink.TCP), *netlink.redirect(TCP_PORT)),
        chain(name, "inp", "filter", 1, 0, drop=True),
        rule(name, "inp", *netlink.established(), *netlink.accept()),
        rule(
            name,
            "inp",
            *netlink.protocol_is(netlink.TCP),
            *netlink.destination_port_is(TCP_PORT),
            *netlink.accept(),
        ),
        rule(
            name,
            "inp",
            *netlink.protocol_is(netlink.UDP),
            *netlink.destination_port_is(DNS_PORT),
            *netlink.accept(),
        ),
        rule(
            name, "inp", *netlink.protocol_is(netlink.ICMP6), *netlink.icmp6_type_is(135), *netlink.accept()
        ),
        rule(
            name, "inp", *netlink.protocol_is(netlink.ICMP6), *netlink.icmp6_type_is(136), *netlink.accept()
        ),
        rule(name, "inp", *netlink.reject()),
        chain(name, "fwd", "filter", 2, 0, drop=True),  # a new namespace inherits ip_forward=1 beside Docker
    )


def _connect(gate_route: netlink.Socket, gate: int) -> None:
    inside_route = netlink.route_socket()
    inside_route.send(netlink.veth("eth0", _INSIDE_MAC, "gate0", _GATE_MAC, gate))
    inside_route.send(*_ends(INSIDE4, INSIDE6, GATE4, GATE6, _GATE_MAC), *_default_routes())
    gate_route.send(
        *_ends(GATE4, GATE6, INSIDE4, INSIDE6, _INSIDE_MAC),
        netlink.everything_local(AF_INET),
        netlink.everything_local(AF_INET6),
    )
    inside_route.close()
    gate_route.close()


def _ends(ours4: str, ours6: str, peer4: str, peer6: str, peer_mac: bytes) -> tuple[bytes, ...]:
    return (
        netlink.up(_LOOPBACK, quiet_ipv6=False),
        netlink.up(_LINK, quiet_ipv6=True),
        netlink.address(_LINK, Address(family=AF_INET, packed=packed(ours4), prefix=30)),
        netlink.address(_LINK, Address(family=AF_INET6, packed=packed(ours6), prefix=64)),
        netlink.neighbour(_LINK, AF_INET, packed(peer4), peer_mac),
        netlink.neighbour(_LINK, AF_INET6, packed(peer6), peer_mac),
    )


def _default_routes() -> tuple[bytes, ...]:
    return (
        netlink.default_route(AF_INET, packed(GATE4)),
        netlink.default_route(AF_INET6, packed(GATE6)),
    )


def packed(text: str) -> bytes:
    return _socket.inet_pton(AF_INET6 if ":" in text else AF_INET, text)
