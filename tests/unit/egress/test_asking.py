"""Requests wait for a person; an answer is for exactly what was shown, once, and silence is no."""

import asyncio
import json
import os
import socket
import stat

import pytest

from ringfence import approval
from ringfence.approval import Question
from ringfence.egress import asking, limits
from ringfence.egress.asking import Asking

QUESTION = Question(
    number=0, session="", method="POST", scheme="https", host="api.test", port=443, path="/x?y=1",
    rule="user policy: api.test", reason="", credentials=("github",), length=12,
)  # fmt: skip


class Room:
    """A gate's questions, and a person's side of the socket."""

    def __init__(self, folder, patience=5.0):
        self.events = []
        self.folder = str(folder)
        self.asking = Asking(
            "s1", self.folder, patience, lambda kind, **more: self.events.append((kind, more))
        )

    async def __aenter__(self):
        await self.asking.start()
        return self

    async def __aexit__(self, *_):
        self.asking.close()

    async def say(self, message):
        with approval.Place(self.folder) as place:
            reader, writer = await asyncio.open_unix_connection(place.path)
        writer.write((message if isinstance(message, bytes) else json.dumps(message).encode()) + b"\n")
        reply = json.loads(await reader.readline())
        writer.close()
        return reply

    async def questions(self, count=1):
        for _ in range(200):
            found = (await self.say({"do": "list"}))["questions"]
            if len(found) >= count:
                return found
            await asyncio.sleep(0.01)
        raise AssertionError("no question came")

    async def answer(self, shown, answer, other=None):
        message = {"do": "answer", "number": shown["number"], "seal": shown["seal"], "answer": answer}
        return await self.say(message | (other or {}))


def run(tmp_path, work, **more):
    async def whole():
        async with Room(tmp_path, **more) as room:
            async with asyncio.timeout(20):
                return await work(room)

    return asyncio.run(whole())


def test_a_request_waits_and_passes_once(tmp_path):
    async def work(room):
        waiting = asyncio.create_task(room.asking.ask(QUESTION))
        (shown,) = await room.questions()
        assert not waiting.done()
        assert shown["path"] == "/x?y=1"
        assert shown["credentials"] == ["github"]
        assert await room.answer(shown, "once") == {"done": "once"}
        assert (await waiting).allowed
        assert (await room.say({"do": "list"}))["questions"] == []
        again = asyncio.create_task(room.asking.ask(QUESTION))
        (second,) = await room.questions()
        assert second["seal"] != shown["seal"]
        assert "error" in await room.answer(shown, "once")  # the first answer is spent
        assert not again.done()
        await room.answer(second, "deny")
        assert not (await again).allowed
        assert [more["answer"] for _, more in room.events] == ["once", "deny"]

    run(tmp_path, work)


def test_an_answer_for_the_session_covers_the_same_door_only(tmp_path):
    async def work(room):
        waiting = asyncio.create_task(room.asking.ask(QUESTION))
        (shown,) = await room.questions()
        await room.answer(shown, "session")
        assert (await waiting).allowed
        assert (await room.asking.ask(asking.replace(QUESTION, path="/other", method="GET"))).allowed
        other = asyncio.create_task(room.asking.ask(asking.replace(QUESTION, port=8443)))
        assert len(await room.questions()) == 1
        other.cancel()

    run(tmp_path, work)


def test_silence_is_no(tmp_path):
    async def work(room):
        answer = await room.asking.ask(QUESTION)
        assert not answer.allowed
        assert answer.reason == asking.NOBODY
        assert room.events[0][1]["reason"] == asking.NOBODY

    run(tmp_path, work, patience=0.05)


@pytest.mark.parametrize("other", [{"seal": "0" * 64}, {"answer": "yes"}, {"number": 99}, {"seal": None}])
def test_an_answer_to_something_else_counts_for_nothing(tmp_path, other):
    async def work(room):
        waiting = asyncio.create_task(room.asking.ask(QUESTION))
        (shown,) = await room.questions()
        assert "error" in await room.answer(shown, "once", other)
        assert not waiting.done()
        waiting.cancel()

    run(tmp_path, work)


def test_a_question_goes_when_the_agent_goes(tmp_path):
    async def work(room):
        waiting = asyncio.create_task(room.asking.ask(QUESTION))
        await room.questions()
        waiting.cancel()
        await asyncio.sleep(0.01)
        assert (await room.say({"do": "list"}))["questions"] == []
        assert room.events[0][1]["reason"] == "the agent went away"

    run(tmp_path, work)


def test_a_flood_of_questions_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "QUESTIONS", 3)

    async def work(room):
        tasks = [asyncio.create_task(room.asking.ask(QUESTION)) for _ in range(3)]
        await room.questions(3)
        answer = await room.asking.ask(QUESTION)
        assert not answer.allowed
        assert "too many" in answer.reason
        for task in tasks:
            task.cancel()

    run(tmp_path, work)


@pytest.mark.parametrize("message", [b"{}", b"nonsense", b"[1]", b'{"do": "answer"}', b'{"do": 1}', b"\xff"])
def test_nonsense_is_answered_with_an_error(tmp_path, message):
    async def work(room):
        assert "error" in await room.say(message)

    run(tmp_path, work)


def test_the_socket_is_the_operators_alone_and_goes_away(tmp_path):
    deep = tmp_path / ("long" * 30)  # longer than a socket's path may be
    deep.mkdir()

    async def work(room):
        mode = os.stat(os.path.join(room.folder, approval.SOCKET)).st_mode
        assert stat.S_ISSOCK(mode)
        assert stat.S_IMODE(mode) == 0o600

    run(deep, work)
    assert not (deep / approval.SOCKET).exists()


def test_at_the_end_open_questions_are_refused(tmp_path):
    async def work(room):
        waiting = asyncio.create_task(room.asking.ask(QUESTION))
        await room.questions()
        room.asking.close()
        assert not (await waiting).allowed

    run(tmp_path, work)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_another_user_is_not_listened_to(tmp_path):
    async def work(room):
        pid = os.fork()
        if pid == 0:
            os.chmod(room.folder, 0o755)
            with approval.Place(room.folder) as place, socket.socket(socket.AF_UNIX) as sock:
                os.chmod(place.path, 0o666)
                path = place.path
                os.setresuid(65534, 65534, 65534)
                sock.settimeout(5)
                try:
                    sock.connect(path)
                    sock.sendall(b'{"do": "list"}\n')
                    os._exit(0 if sock.recv(10) == b"" else 3)
                except OSError:
                    os._exit(0)
        while True:
            done, status = os.waitpid(pid, os.WNOHANG)  # noqa: ASYNC222 - does not wait
            if done:
                return os.waitstatus_to_exitcode(status)
            await asyncio.sleep(0.01)

    os.chmod(tmp_path, 0o755)
    assert run(tmp_path, work) == 0


def test_what_was_granted_for_the_session_is_forgotten_when_other_rules_ask(tmp_path):
    async def work(room):
        first = asyncio.create_task(room.asking.ask(QUESTION))
        (shown,) = await room.questions()
        await room.answer(shown, "session")
        assert (await first).allowed
        assert (await room.asking.ask(QUESTION)).allowed
        room.asking.forget()
        again = asyncio.create_task(room.asking.ask(QUESTION))
        (shown,) = await room.questions()
        await room.answer(shown, "deny")
        assert not (await again).allowed

    run(tmp_path, work)
