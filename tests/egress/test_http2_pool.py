"""The pool for HTTP/2 by itself: one dial for many, failures told to all, idle connections closed."""

import asyncio

import pytest
from gates import WAIT

from ringfence.egress import limits
from ringfence.egress.dial import UnreachableError
from ringfence.egress.gate import Target
from ringfence.egress.http2_pool import Multiplexer
from ringfence.egress.path import Path
from ringfence.egress.stream import Registry, Stream

TARGET = Target(
    scheme="http", host="api.example.com", port=80, path=Path(text="/", readings=("/",), query="")
)


@pytest.fixture
def upstream(serve2):
    return serve2(tls=False)


class World:
    """A pool whose dials go to one upstream."""

    def __init__(self, upstream):
        self.registry = Registry()
        self.dials = 0
        self.fails = False
        self._upstream = upstream
        self.pool = Multiplexer(self._connect, self._otherwise)

    async def _connect(self, _target, _credential):
        self.dials += 1
        await asyncio.sleep(0.05)
        if self.fails:
            raise UnreachableError("nobody there")
        _, stream = await asyncio.get_running_loop().create_connection(
            lambda: Stream(self.registry), "127.0.0.1", self._upstream.port
        )
        return stream

    async def _otherwise(self, *_):
        raise AssertionError

    async def ask(self, credential="", **more):
        outbound = await self.pool.take(TARGET, credential, fresh=False)
        outbound.send("GET", more.get("path", "/"), [], 0)
        outbound.finish()
        head = await outbound.head()
        body = b""
        while not outbound.done:
            body += await outbound.read()
        outbound.release()
        return head.status, body


def run(upstream, work):
    async def whole():
        world = World(upstream)
        async with asyncio.timeout(WAIT):
            await work(world)
        world.registry.abort()
        await asyncio.sleep(0.05)

    asyncio.run(whole())


def test_many_first_requests_share_one_dial(upstream):
    async def work(world):
        found = await asyncio.gather(*(world.ask() for _ in range(30)))
        assert found == [(200, b"ok")] * 30
        assert world.dials == 1

    run(upstream, work)
    assert upstream.faults == []


def test_a_connection_that_has_seen_one_credential_carries_no_other(upstream):
    async def work(world):
        await asyncio.gather(*(world.ask(name) for name in ("", "mine", "yours", "mine")))
        assert world.dials == 3

    run(upstream, work)


def test_who_waits_for_a_dial_that_fails_fails_with_it(upstream):
    async def work(world):
        world.fails = True
        found = await asyncio.gather(*(world.ask() for _ in range(10)), return_exceptions=True)
        assert [str(one) for one in found] == ["nobody there"] * 10
        assert world.dials == 1
        world.fails = False
        assert await world.ask() == (200, b"ok")

    run(upstream, work)


def test_a_maker_that_is_cancelled_leaves_nobody_waiting(upstream):
    async def work(world):
        first = asyncio.create_task(world.ask())
        await asyncio.sleep(0.01)
        second = asyncio.create_task(world.ask())
        await asyncio.sleep(0.01)
        first.cancel()
        assert await second == (200, b"ok")

    run(upstream, work)


def test_idle_connections_are_closed_and_busy_ones_kept(upstream):
    async def work(world):
        await world.ask()
        now = asyncio.get_running_loop().time()
        world.pool.sweep(now + limits.POOL_IDLE - 5)
        await world.ask()
        assert world.dials == 1
        outbound = await world.pool.take(TARGET, "", fresh=False)
        outbound.send("GET", "/", [], 0)
        world.pool.sweep(now + limits.POOL_IDLE + 5)
        outbound.finish()
        assert (await outbound.head()).status == 200
        outbound.release()
        world.pool.sweep(now + 2 * limits.POOL_IDLE + 5)
        until = asyncio.get_running_loop().time() + WAIT
        while not upstream.ended:
            assert asyncio.get_running_loop().time() < until
            await asyncio.sleep(0.01)
        assert await world.ask() == (200, b"ok")
        assert world.dials == 2

    run(upstream, work)


def test_a_connection_that_the_upstream_closes_is_replaced(upstream):
    async def work(world):
        await world.ask()
        world.registry.abort()
        await asyncio.sleep(0.05)
        assert await world.ask() == (200, b"ok")
        assert world.dials == 2

    run(upstream, work)


def test_the_abandoned_window_is_given_back(upstream):
    """Answers that are given up must not use up the window that all streams share."""
    upstream.answer = lambda peer, request: peer.reply(request, 200, bytes(400_000))

    async def work(world):
        for _ in range(100):  # 100 times 256 KiB is more than the connection's window
            outbound = await world.pool.take(TARGET, "", fresh=False)
            outbound.send("GET", "/", [], 0)
            outbound.finish()
            await outbound.head()
            await outbound.read()
            outbound.abort()
        outbound = await world.pool.take(TARGET, "", fresh=False)
        outbound.send("GET", "/", [], 0)
        outbound.finish()
        await outbound.head()
        size = 0
        while not outbound.done:
            size += len(await outbound.read())
        assert size == 400_000
        assert world.dials == 1

    run(upstream, work)
