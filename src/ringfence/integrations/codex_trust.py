"""Have Codex trust our hook: it skips one that nobody has trusted, in `codex exec` without a word.

Trust is a digest of the hook as Codex understands it. Codex is asked for that digest and told to note it,
by its own app server, so that nothing here depends on how it is made; then it is asked once more whether it
will run the hook. Whoever typed `ringfence hook install` has said that it may.
"""

import os

from ringfence import strict

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Self

PATIENCE = 60.0  # seconds for all of it
LONGEST = 16 << 20  # bytes of answers
EVENTS = frozenset(("preToolUse", "permissionRequest"))
_RUN = frozenset(("trusted", "managed"))


class SilentError(Exception):
    """Codex did not answer as expected."""


def trust(path: str, command: str, project: str) -> str:
    """Have Codex run the hook with this command in the file; return "", or why it does not."""
    import shutil

    program = shutil.which("codex")
    if program is None:
        return "there is no `codex` on the PATH to tell"
    try:
        with _Server(program, project) as server:
            found = _ours(server, path, command, project)
            waiting = {one["key"]: {"trusted_hash": one["currentHash"]} for one in found if not _runs(one)}
            if waiting:
                edit = {"keyPath": "hooks.state", "value": waiting, "mergeStrategy": "upsert"}
                server.ask("config/batchWrite", {"edits": [edit]})
                found = _ours(server, path, command, project)
    except (SilentError, OSError, KeyError, TypeError) as error:
        return f"`codex app-server` could not be told ({error})"
    if {one["eventName"] for one in found} != EVENTS:
        return "it does not list it; is the folder trusted, and are hooks switched on?"
    return "" if all(map(_runs, found)) else "it was told to trust it, and does not"


def _ours(server: "_Server", path: str, command: str, project: str) -> "list[dict[str, Any]]":
    """Return the entries of our hook as Codex lists them: of this file, with this very command."""
    answer = server.ask("hooks/list", {"cwds": [project]})
    return [
        one
        for folder in answer["data"]
        for one in folder["hooks"]
        if one.get("command") == command and os.path.realpath(one["sourcePath"]) == os.path.realpath(path)
    ]


def _runs(hook: "dict[str, Any]") -> bool:
    return hook["trustStatus"] in _RUN and hook["enabled"] is True


class _Server:
    """A `codex app-server`: JSON lines over pipes, one question at a time."""

    def __init__(self, program: str, project: str) -> None:
        import subprocess
        import time

        self._until = time.monotonic() + PATIENCE
        self._number = 0
        self._rest = b""
        self._process = subprocess.Popen(
            [program, "app-server"],
            cwd=project,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )

    def __enter__(self) -> "Self":
        try:
            self.ask("initialize", {"clientInfo": {"name": "ringfence", "version": "1"}})
            self._send({"method": "initialized"})
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()  # what it was told stands in its file before it answers
        self._process.communicate()

    def ask(self, method: str, parameters: "dict[str, Any]") -> "dict[str, Any]":
        """Return the result of a call."""
        self._number += 1
        self._send({"id": self._number, "method": method, "params": parameters})
        while True:
            answer = strict.loads(self._line().decode("utf-8"))
            if isinstance(answer, dict) and answer.get("id") == self._number and "method" not in answer:
                break
        if not isinstance(answer.get("result"), dict):
            raise SilentError(f"{method} was refused")
        found: dict[str, Any] = answer["result"]
        return found

    def _send(self, message: "dict[str, Any]") -> None:
        import json

        assert self._process.stdin is not None  # noqa: S101 - it was asked for
        self._process.stdin.write(json.dumps(message).encode() + b"\n")
        self._process.stdin.flush()

    def _line(self) -> bytes:
        import select
        import time

        assert self._process.stdout is not None  # noqa: S101 - it was asked for
        descriptor = self._process.stdout.fileno()
        while b"\n" not in self._rest:
            left = self._until - time.monotonic()
            if left <= 0 or not select.select([descriptor], [], [], left)[0]:
                raise SilentError("no answer in time")
            data = os.read(descriptor, 1 << 16)
            if not data or len(self._rest) > LONGEST:
                raise SilentError("it ended, or says too much")
            self._rest += data
        line, _, self._rest = self._rest.partition(b"\n")
        return line
