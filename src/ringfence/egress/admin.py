"""The service's own page for those who run it: `/healthz` and `/metrics`, on a loopback address only.

It answers GET and HEAD, says nothing about any client, and takes no orders. A browser that was tricked
into asking (DNS rebinding) names another host than this machine, and gets nothing (THREATS.md §6, B07).
"""

import asyncio
import contextlib
import ipaddress

from ringfence.egress import http1, limits
from ringfence.egress.http1 import MalformedError, RequestHead
from ringfence.subject import split_authority

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Page = Callable[[], tuple[int, str]]

_PHRASES = {200: "OK", 400: "Bad Request", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed"}


class Admin:
    """Serves pages by path."""

    def __init__(self, pages: "dict[str, Page]") -> None:
        self._pages = pages
        self._open = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request and close."""
        self._open += 1
        try:
            if self._open <= limits.ADMIN_CONNECTIONS:
                async with asyncio.timeout(limits.ADMIN_TIME):
                    await self._answer(reader, writer)
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass
        finally:
            self._open -= 1
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        raw = await reader.readuntil(b"\r\n\r\n")
        try:
            head = http1.parse_request(raw)
        except MalformedError as error:
            status, text, body = 400, f"{error.message}\n", True
        else:
            status, text = self._page(head)
            body = head.method != "HEAD"
        content = text.encode()
        lines = [
            f"HTTP/1.1 {status} {_PHRASES.get(status, 'Service Unavailable')}",
            "Content-Type: text/plain; version=0.0.4; charset=utf-8",
            f"Content-Length: {len(content)}",
            "Cache-Control: no-store",
            "Connection: close",
        ]
        writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + (content if body else b""))
        await writer.drain()

    def _page(self, head: RequestHead) -> tuple[int, str]:
        if head.method not in {"GET", "HEAD"}:
            return 405, "GET only\n"
        if not _means_here(head.host):
            return 403, "this is not the host you think it is\n"
        page = self._pages.get(head.target.partition(b"?")[0].decode("latin-1"))
        return page() if page else (404, "/healthz and /metrics are here\n")


def _means_here(host: bytes | None) -> bool:
    """Say whether a request's Host is this machine's loopback, by its address or its usual name."""
    try:
        name, _ = split_authority((host or b"").decode("latin-1"), 80)
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
