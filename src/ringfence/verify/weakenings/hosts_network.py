"""The host's network: no namespace, so no wire. The gate listens where nobody comes."""

from ringfence.boundary import wire
from ringfence.verify.weakenings import no_landlock, replace


def weaken() -> None:
    """Leave the network as it is."""
    replace(wire, "build", lambda **_given: _gate())
    no_landlock()


def _gate() -> wire.Gate:
    listen, answer = wire._listen, wire._dns_socket  # noqa: SLF001 - any free ports
    return wire.Gate(kind="wire", listeners=(listen(0),), dns=answer(0))
