"""What is written in one turn of the event loop leaves together, and never before the records that tell of it."""

import asyncio
import socket

from ringfence.egress import limits
from ringfence.egress.stream import Registry, Stream


def conversed(work, settle=None):
    """Run `work(stream, other end)` with a stream over a real pair of sockets; returns what it returns."""
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)

    async def run():
        registry = Registry(settle)
        loop = asyncio.get_running_loop()
        _, stream = await loop.create_unix_connection(lambda: Stream(registry), sock=ours)
        try:
            return await work(stream, theirs)
        finally:
            stream.abort()
            await asyncio.sleep(0)

    with theirs:
        return asyncio.run(run())


def arrived(sock):
    """Return what has reached the other end by now."""
    try:
        return sock.recv(1 << 20)
    except BlockingIOError:
        return b""


async def turn():
    """Let everything happen that happens in one turn."""
    await asyncio.sleep(0)
    await asyncio.sleep(0)


def test_nothing_leaves_where_the_records_cannot_be_written():
    async def work(stream, other):
        stream.write(b"secret")
        await turn()
        stream.write(b"more")
        stream.close()
        return arrived(other)

    assert conversed(work, settle=lambda: False) == b""


def test_the_records_are_written_once_a_turn_and_first():
    seen = []

    async def work(stream, other):
        stream.write(b"one ")
        stream.write(b"two")
        assert seen == []
        await turn()
        return arrived(other), seen

    assert conversed(work, settle=lambda: not seen.append("settled")) == (b"one two", ["settled"])


def test_the_end_of_a_connection_sends_what_was_written_before():
    async def work(stream, other):
        stream.write(b"last")
        stream.write_eof()
        return arrived(other)

    async def aborted(stream, other):
        stream.write(b"last")
        stream.abort()
        return arrived(other)

    assert conversed(work) == b"last"
    assert conversed(aborted) == b"last"


def test_much_at_once_is_not_gathered():
    async def work(stream, other):
        stream.write(b"x" * (limits.TURN + 1))
        return len(arrived(other))

    assert conversed(work) == limits.TURN + 1


def test_the_end_of_a_session_drops_what_was_not_sent():
    async def work(stream, other):
        stream.write(b"on its way out")
        stream.registry.abort()
        return arrived(other)

    assert conversed(work) == b""
