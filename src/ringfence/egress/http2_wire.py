"""The h2 library, narrowed to what the gate needs: states and windows are its business, the rest is ours.

What differs from the library as it comes:
- field lists are checked by `http2_fields`, request by request, not by the library;
- ours are written without compression: a table shared by requests could tell one secret's length by
  another's (CRIME), and costs more time than it saves bytes;
- the peer's tables, settings and closed streams are kept within bounds;
- a GOAWAY ends nothing that is under way: the library would refuse every frame after it (RFC 9113 §6.8).
"""

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import ConnectionTerminated, Event
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes
from hpack import Decoder, Encoder
from hpack.exceptions import InvalidTableSizeError
from hyperframe.frame import Frame, GoAwayFrame, RstStreamFrame, SettingsFrame

from ringfence.egress import limits

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_KNOWN = frozenset(SettingCodes)
_TABLE_UPDATES = 2  # at the front of one header block (RFC 7541 §4.2)


class PlainEncoder(Encoder):
    """Writes field lists without tables and without Huffman's code: literals, never to be indexed."""

    def __init__(self) -> None:
        super().__init__()
        self._begun = False

    @property
    def header_table_size(self) -> int:
        """The size of our table: none. What the peer would allow changes nothing."""
        return 0

    @header_table_size.setter
    def header_table_size(self, value: int) -> None:
        pass

    def encode(self, headers: "Iterable[tuple[bytes, bytes]]", huffman: bool = True) -> bytes:  # type: ignore[override]  # noqa: ARG002, FBT001, FBT002 - the library's signature
        """Return a header block; the first says that no table is used (RFC 7541 §6.3)."""
        out = bytearray() if self._begun else bytearray(b"\x20")
        self._begun = True
        for name, value in headers:
            out += b"\x10"  # literal, name and value as they stand, never indexed (RFC 7541 §6.2.3)
            _put(out, name)
            _put(out, value)
        return bytes(out)


def _put(out: bytearray, text: bytes) -> None:
    """Add a string: its length in a prefix of seven bits (RFC 7541 §5.1), and itself."""
    size = len(text)
    if size < 127:
        out.append(size)
    else:
        out.append(127)
        size -= 127
        while size > 127:
            out.append(size & 127 | 128)
            size >>= 7
        out.append(size)
    out += text


class BoundedDecoder(Decoder):
    """Reads field lists; a block may resize the table as often as there is a reason to."""

    _updates = 0

    def decode(self, data: bytes, raw: bool = False) -> "Iterable[object]":  # type: ignore[override]  # noqa: FBT001, FBT002 - the library's signature
        """Return the fields of a header block."""
        self._updates = 0
        return super().decode(data, raw)

    def _update_encoding_context(self, data: "bytes | memoryview") -> int:
        self._updates += 1
        if self._updates > _TABLE_UPDATES:
            raise InvalidTableSizeError("the table is resized too often")
        return super()._update_encoding_context(data)


class Wire(H2Connection):
    """One connection's states and windows."""

    MAX_CLOSED_STREAMS = 4096

    def __init__(self, *, client: bool) -> None:
        """`client`: we make the requests."""
        super().__init__(
            H2Configuration(
                client_side=client,
                header_encoding=None,
                validate_inbound_headers=False,
                normalize_inbound_headers=False,
                validate_outbound_headers=False,
                normalize_outbound_headers=False,
            )
        )
        self.encoder = PlainEncoder()
        self.decoder = BoundedDecoder(limits.HEAD)
        initial: dict[SettingCodes | int, int] = {
            SettingCodes.MAX_CONCURRENT_STREAMS: limits.H2_STREAMS,
            SettingCodes.MAX_HEADER_LIST_SIZE: limits.HEAD,
            SettingCodes.INITIAL_WINDOW_SIZE: limits.H2_WINDOW,
        }
        if client:
            initial[SettingCodes.ENABLE_PUSH] = 0
            del initial[SettingCodes.MAX_CONCURRENT_STREAMS]
        else:
            initial[SettingCodes.ENABLE_CONNECT_PROTOCOL] = 1  # WebSockets (RFC 8441)
        self.local_settings.update(initial)
        self.local_settings.acknowledge()

    def begin(self, window: int) -> None:
        """Say our settings, and open the connection's own window."""
        self.initiate_connection()
        self.increment_flow_control_window(window - 65_535)

    @property
    def waiting(self) -> bool:
        """Whether there are bytes to send."""
        return bool(self._data_to_send)

    def _receive_settings_frame(self, frame: SettingsFrame) -> tuple[list[Frame], list[Event]]:
        frame.settings = {code: value for code, value in frame.settings.items() if code in _KNOWN}
        return super()._receive_settings_frame(frame)

    def _receive_rst_stream_frame(self, frame: RstStreamFrame) -> tuple[list[Frame], list[Event]]:
        """Refuse to reset what never was (RFC 9113 §6.4); the library overlooks it."""
        if frame.stream_id > max(self.highest_inbound_stream_id, self.highest_outbound_stream_id):
            raise ProtocolError("a stream that is idle was reset")
        return super()._receive_rst_stream_frame(frame)

    def _receive_goaway_frame(self, frame: GoAwayFrame) -> tuple[list[Frame], list[Event]]:
        """Tell of it. What is under way goes on, until the peer closes."""
        event = ConnectionTerminated()
        event.error_code = frame.error_code
        event.last_stream_id = frame.last_stream_id
        event.additional_data = None
        return [], [event]


__all__ = ["ErrorCodes", "Wire"]
