"""What the tests of other clients' hooks share: a policy, and what came of the calls it is about."""

import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from world import World

from fake_api.server import FakeAPI
from ringfence.cli import approve

POLICY = """
[commands]
allow = ["Bash(touch allowed)", "Edit(made.txt)"]
ask   = ["Bash(touch asked)"]
deny  = ["Bash(touch denied)", "Edit(forbidden.txt)"]
"""
APPROVE = 'prompt = "approve"\nprompt_timeout = "60s"\n'
NAMES = ("denied", "asked", "unnamed", "allowed", "forbidden.txt", "made.txt")


def installed(world: World, client: str) -> None:
    """Have the client ask."""
    world.policy(POLICY)
    done = world.outside(*world.ringfence("hook", "install", "--client", client))
    assert done.code == 0, done.told()


def made(world: World) -> list[str]:
    """Return what the calls left behind."""
    return [name for name in NAMES if os.path.exists(os.path.join(world.project, name))]


def told(api: FakeAPI, path: str) -> str:
    """Return all that the model was told in the last request."""
    return json.dumps(api.record.sent_to(path)[-1].json())


def break_hook(world: World, file: str, program: str) -> None:
    """Put another program where the hook's interpreter stands."""
    path = os.path.join(world.home, file)
    with open(path, encoding="utf-8") as settings:
        text = settings.read()
    assert world.python.program in text
    world.write(path, text.replace(world.python.program, program))


@contextmanager
def somebody_allows(world: World) -> Iterator[list[str]]:
    """Answer the first question with `once`, as a person would; yields what was asked."""
    seen: list[str] = []
    over = threading.Event()

    def answer() -> None:
        while not over.is_set():
            for one in approve.questions(world.state):
                seen.append(one.question.text)
                approve._answered(one, "once")
                return
            time.sleep(0.05)

    person = threading.Thread(target=answer, daemon=True)
    person.start()
    try:
        yield seen
    finally:
        over.set()
        person.join(20)
