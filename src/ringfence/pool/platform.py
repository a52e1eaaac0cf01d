"""A pool from Python: started, claimed from many times, stopped. For those who run agents by the thousand.

    with Pool("/srv/project", size=8, options=("--tier", "gvisor")) as pool:
        done = pool.run(["python3", "task.py"], input=b"…")     # Done(status, out, err, session)
        with pool.claim(["claude", "-p", "…"], stdout=log) as running:
            status = running.wait()

The server is a process of its own. Claims may come from any thread, one connection each.
"""

import os
import secrets
import subprocess
import sys
import threading
import time

from ringfence.errors import BoundaryError
from ringfence.host import probe
from ringfence.pool import client, place
from ringfence.pool.ask import Claim
from ringfence.pool.client import Running
from ringfence.value import Struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

_STARTS = 120.0  # seconds until the first boundary must wait
_ENDS = 30.0
_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
_SERVE = (
    "import sys; root = sys.argv.pop(1); root in sys.path or sys.path.insert(0, root); "
    "from ringfence.cli import main; main()"
)


class Done(Struct):
    """How a command ended."""

    status: int
    out: bytes
    err: bytes
    session: str
    said: tuple[str, ...] = ()  # by ringfence, for people


class Pool:
    """A pool of one project's boundaries, served as long as this object is open."""

    def __init__(
        self,
        workspace: str,
        *,
        size: int = 2,
        command: str = "sh",
        options: "Sequence[str]" = (),
    ) -> None:
        """Start a server. `options` are those of `ringfence run`; `command` is what presets are chosen by."""
        self.workspace = os.path.realpath(workspace)
        self._state = probe.host().state_dir
        self.name = secrets.token_hex(8)
        argv = [sys.executable, "-c", _SERVE, _ROOT, "pool", "serve", "--quiet", "--name", self.name]
        argv += ["--workspace", self.workspace, "--size", str(size), *options, "--", command]
        self._server = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
        self._errors = b""
        self._reader = threading.Thread(target=self._read_errors, daemon=True)
        self._reader.start()
        self._await()

    def _read_errors(self) -> None:
        assert self._server.stderr is not None  # noqa: S101 - for the type checker
        while data := os.read(self._server.stderr.fileno(), 4096):
            self._errors = (self._errors + data)[-65536:]

    def _await(self) -> None:
        deadline = time.monotonic() + _STARTS
        while True:
            try:
                if self.status().get("waiting"):
                    return
            except place.NoPoolError:
                pass
            if self._server.poll() is not None or time.monotonic() > deadline:
                self.close()
                text = self._errors.decode("utf-8", "replace").strip()
                raise BoundaryError(f"the pool did not start: {text or 'no boundary stood in time'}")
            time.sleep(0.01)

    def status(self) -> "dict[str, Any]":
        """Return what the server says of itself: how many wait, run, were served, and their memory."""
        return client.asked(place.of(self._state, self.workspace, self.name), "status")

    def claim(
        self,
        argv: "Sequence[str]",
        *,
        stdin: object = None,
        stdout: object = None,
        stderr: object = None,
        cwd: str = "",
        variables: "Mapping[str, str] | None" = None,
        discard: bool = False,
    ) -> Running:
        """Start a command in a boundary that waits; a stream that is not given is /dev/null.

        Raises client.ClaimError where the policy or the project has changed since the boundaries were built.
        """
        null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
        try:
            streams = client.given(
                (
                    null if stdin is None else stdin,
                    null if stdout is None else stdout,
                    null if stderr is None else stderr,
                )
            )
            wanted = Claim(
                argv=tuple(argv),
                workspace=self.workspace,
                cwd=os.path.realpath(cwd) if cwd else self.workspace,
                variables=tuple(sorted((variables or {}).items())),
                discard=discard,
            )
            return client.claim(self._state, wanted, streams, name=self.name)
        finally:
            os.close(null)

    def run(self, argv: "Sequence[str]", *, input: bytes = b"", **more: "Any") -> Done:  # noqa: A002 - as subprocess
        """Run a command to its end in a boundary that waits."""
        inside, ours = zip(*(os.pipe2(os.O_CLOEXEC)[:: 1 if n == 0 else -1] for n in range(3)), strict=True)
        try:
            running = self.claim(argv, stdin=inside[0], stdout=inside[1], stderr=inside[2], **more)
        except BaseException:
            for fd in ours:
                os.close(fd)
            raise
        finally:
            for fd in inside:
                os.close(fd)
        with running:
            out, err = _exchange(ours, input)
            status = running.wait()
        return Done(status=status, out=out, err=err, session=running.session, said=tuple(running.said))

    def close(self) -> None:
        """Stop the server, and with it every boundary and session of the pool."""
        if self._server.poll() is None:
            self._server.terminate()
            try:
                self._server.wait(_ENDS)
            except subprocess.TimeoutExpired:
                self._server.kill()
                self._server.wait()
        self._reader.join(_ENDS)
        if self._server.stderr is not None:
            self._server.stderr.close()

    def __enter__(self) -> "Pool":  # noqa: PYI034 - Python 3.11 has Self, the checker's floor has not
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _exchange(ours: tuple[int, ...], data: bytes) -> tuple[bytes, bytes]:
    """Write to the first descriptor and read the others to their ends; close them."""
    writer = threading.Thread(target=_write, args=(ours[0], data), daemon=True)
    writer.start()
    found: dict[int, bytes] = {}

    def read(fd: int) -> None:
        with open(fd, "rb") as file:
            found[fd] = file.read()

    second = threading.Thread(target=read, args=(ours[2],), daemon=True)
    second.start()
    read(ours[1])
    second.join()
    writer.join()
    return found[ours[1]], found[ours[2]]


def _write(fd: int, data: bytes) -> None:
    try:
        with open(fd, "wb") as file:
            file.write(data)
    except BrokenPipeError:
        return
