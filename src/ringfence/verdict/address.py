"""Decides on addresses: which of those that a name resolves to may be dialled.

A name is allowed because of who answers there; an answer that points into this machine or its own
network is someone else (DNS rebinding, THREATS.md §3.3). So everything that is not a plain public
address is refused, IPv4 hidden in IPv6 included, unless the operator named the address itself or a
network that holds it. Cloud metadata services hand out credentials to whoever connects: they take a
rule with the exact address, a network is not enough.
"""

import ipaddress

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

METADATA = frozenset(
    ipaddress.ip_address(text)
    for text in (
        *(
            "169.254.169.254",
            "169.254.170.2",
            "169.254.170.23",
            "fd00:ec2::254",
            "fd00:ec2::23",
        ),  # AWS, GCP, Azure, …
        *("100.100.100.200", "168.63.129.16", "192.0.0.192", "fd20:ce::254"),  # Alibaba, Azure, Oracle, GCP
    )
)

# Classes that a host on the operator's own network may have (`private = true` in its rule)
OWN_NETWORK = frozenset({"private", "unique local", "carrier-grade NAT"})

# First match wins: the narrow ranges stand before the wide ones that hold them.
_CLASSES = tuple(
    (ipaddress.ip_network(network), name)
    for network, name in (
        ("0.0.0.0/8", "this network"),
        ("127.0.0.0/8", "loopback"),
        ("10.0.0.0/8", "private"),
        ("172.16.0.0/12", "private"),
        ("192.168.0.0/16", "private"),
        ("100.64.0.0/10", "carrier-grade NAT"),
        ("169.254.0.0/16", "link-local"),
        ("192.0.0.0/24", "protocol assignment"),
        ("192.0.2.0/24", "documentation"),
        ("198.51.100.0/24", "documentation"),
        ("203.0.113.0/24", "documentation"),
        ("192.88.99.0/24", "6to4 relay"),
        ("198.18.0.0/15", "benchmarking"),
        ("224.0.0.0/4", "multicast"),
        ("240.0.0.0/4", "reserved"),
        ("::/128", "unspecified"),
        ("::1/128", "loopback"),
        ("::/96", "IPv4-compatible"),
        ("64:ff9b::/96", "NAT64"),
        ("64:ff9b:1::/48", "NAT64"),
        ("100::/64", "discard"),
        ("2001::/32", "Teredo"),
        ("2001:db8::/32", "documentation"),
        ("2001::/23", "protocol assignment"),
        ("2002::/16", "6to4"),
        ("3fff::/20", "documentation"),
        ("5f00::/16", "segment routing"),
        ("fc00::/7", "unique local"),
        ("fe80::/10", "link-local"),
        ("fec0::/10", "site-local"),
        ("ff00::/8", "multicast"),
    )
)
_GLOBAL_IPV6 = ipaddress.ip_network("2000::/3")


def parse(text: str) -> Address:
    """Read a resolver's address; an IPv4 address in IPv6 clothes is the IPv4 address."""
    address = ipaddress.ip_address(text.partition("%")[0])
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped or address


def address_class(address: Address) -> str:
    """Name the class that keeps an address from being dialled for a name, or return ""."""
    if address in METADATA:
        return "cloud metadata"
    for network, name in _CLASSES:
        if network.version == address.version and address in network:
            return name
    if address.version == 6 and address not in _GLOBAL_IPV6:
        return "unassigned"
    return ""
