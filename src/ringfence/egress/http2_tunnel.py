"""WebSockets over HTTP/2 (RFC 8441): one stream becomes a dialogue, in frames as over HTTP/1.1.

To the policy it is the same request in another dress: GET, host, path, `Upgrade: websocket`. Upstream it is
sent as HTTP/1.1, which every WebSocket server speaks: the key that HTTP/2 leaves out is made here, and the
upstream's answer to it is checked, so that nobody takes a 101 for granted that did not mean a WebSocket.
"""

import socket

from ringfence.egress import limits
from ringfence.egress.http2_channel import CANCEL, Channel

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


class ChannelStream:
    """A channel with the face of a stream (`stream.Stream`), for a tunnel."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._patience = limits.TUNNEL_TIME
        self.received = 0
        self.sent = 0

    @property
    def bottom(self) -> "ChannelStream":
        """The connection under all TLS: there is none."""
        return self

    @property
    def congested(self) -> bool:
        """Say yes: whether the agent takes more is found out by waiting."""
        return True

    async def read(self) -> bytes:
        """Return what has arrived, waiting for something; b"" is the end."""
        data = await self._channel.read(self._patience)
        self.received += len(data)
        return data

    def write(self, data: bytes) -> None:
        """Send; follow with `drain` where much may follow."""
        self._channel.write(data)
        self.sent += len(data)

    async def drain(self) -> None:
        """Wait until the agent has taken enough of what was written."""
        await self._channel.drain()

    def expect(self, seconds: float) -> None:
        """Set the patience of the reads that follow."""
        self._patience = seconds

    def write_eof(self) -> None:
        """End our direction, keep the other."""
        if self._channel.failure is None:
            self._channel.close(b"", [])

    def close(self) -> None:
        """End our direction: the stream ends when the agent has ended its own."""
        self.write_eof()

    def abort(self) -> None:
        """Reset the stream."""
        self._channel.reset(CANCEL)

    @property
    def ended(self) -> bool:
        """Whether the agent sends nothing more."""
        return self._channel.over or self._channel.failure is not None

    @property
    def lost(self) -> bool:
        """Whether the stream is gone."""
        return self._channel.failure is not None

    @property
    def socket(self) -> socket.socket:
        """A stream has none of its own; whoever would set an option on it goes on without."""
        raise OSError("a stream of HTTP/2 has no socket")

    @property
    def on_gone(self) -> "Callable[[], None] | None":
        """What is called when the agent has gone."""
        return self._channel.on_gone

    @on_gone.setter
    def on_gone(self, call: "Callable[[], None] | None") -> None:
        self._channel.on_gone = call
