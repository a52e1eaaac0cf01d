"""A gate that reads a request's length as the first parser of HTTP ever written might."""

from ringfence.egress import http1
from ringfence.verify.weakenings import in_gate, open_gate, replace


def weaken() -> None:
    """Have the gate's process forget RFC 9112."""
    in_gate(f"from {__name__} import forget; forget()")


def forget() -> None:
    """Take Content-Length for a body's length, whatever stands beside it; called in the gate's process.

    The gate is open as well: what it took for a request then reaches an upstream, or would.
    """
    open_gate.open_up()
    replace(http1, "_request_framing", lambda single, _minor: int(single.get(b"content-length", b"0")))
