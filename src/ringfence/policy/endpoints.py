"""Where the gate dials instead of what a name says: static addresses, nameservers, an upstream proxy.

Each function turns what a policy file says into its one canonical spelling, or raises ValueError.
"""

from ringfence.subject import canonical_host, is_address, split_authority

PROXY_PORTS = {"http": 3128, "socks5": 1080}  # kinds of upstream proxy, and their usual ports

_HEX = frozenset("0123456789abcdefABCDEF")


def static(value: str) -> str:
    """Check what a static name stands for: an address, with a port where it is not the one asked for."""
    if _is_authority(value):
        return _endpoint(value, "this is an address, or address:port, such as 127.0.0.1:8443")
    host = canonical_host(value)
    if not is_address(host):
        raise ValueError("this is an address, or address:port, such as 127.0.0.1:8443")
    return host


def split_static(value: str, port: int) -> tuple[str, int]:
    """Split a checked static address; `port` is the one asked for."""
    return split_authority(value) if _is_authority(value) else (value, port)


def static_name(value: str) -> str:
    """Check a static name: a host for all its ports, or host:port for one of them."""
    return join(*split_authority(value)) if _is_authority(value) else canonical_host(value)


def nameserver(value: str) -> str:
    """Check a nameserver's address; its port is 53 where none is named."""
    wrong = "a nameserver is an address, such as 10.0.0.53, with a port where it is not 53"
    if _is_authority(value):
        return _endpoint(value, wrong)
    host = canonical_host(value)
    if not is_address(host):
        raise ValueError(wrong)
    return join(host, 53)


def proxy(value: str) -> str:
    """Check an upstream proxy's URL; its password has no business in a policy file."""
    if any(ord(char) < 33 or ord(char) > 126 for char in value):
        raise ValueError("a URL has neither spaces nor control characters, and is ASCII")
    scheme, mark, rest = value.partition("://")
    scheme = scheme.lower()
    if not mark or scheme not in PROXY_PORTS:
        raise ValueError(
            "a proxy is written as http://host:port or socks5://host:port, with user@ if need be"
        )
    user, at, authority = rest.removesuffix("/").rpartition("@")
    if ":" in user:
        raise ValueError("no password belongs into a URL: name its source in `proxy_password`")
    name = _decoded(user)
    if at and (not user or any(char in "/?#@" for char in user) or not name.isprintable() or ":" in name):
        raise ValueError("the user's name is written percent-encoded, as in a URL")
    host, port = split_authority(authority, PROXY_PORTS[scheme])
    return f"{scheme}://{user}{at}{join(host, port)}"


def split_proxy(url: str) -> tuple[str, str, str, int]:
    """Split a checked URL into scheme, user, host and port."""
    scheme, _, rest = url.partition("://")
    user, _, authority = rest.rpartition("@")
    host, port = split_authority(authority)
    return scheme, _decoded(user), host, port


def join(host: str, port: int) -> str:
    """Write host and port as URLs do."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _endpoint(value: str, wrong: str) -> str:
    host, port = split_authority(value)
    if not is_address(host):
        raise ValueError(wrong)
    return join(host, port)


def _is_authority(value: str) -> bool:
    """Tell `host:port` from a host, which may be an IPv6 address without brackets."""
    host, colon, _ = value.rpartition(":")
    return bool(colon) and (":" not in host or host[:1] == "[") and not value.endswith("]")


def _decoded(text: str) -> str:
    """Undo percent-encoding."""
    first, *rest = text.split("%")
    if any(len(piece) < 2 or not _HEX.issuperset(piece[:2]) for piece in rest):
        raise ValueError("the user's name is written percent-encoded, as in a URL")
    return first + "".join(chr(int(piece[:2], 16)) + piece[2:] for piece in rest)
