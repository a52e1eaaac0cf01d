"""The process around one boundary of a pool: it builds, waits, serves one claim, and leaves nothing.

It hears from two sides. The server's channel brings claims, and its end means that the server is gone. The
line of who claims brings signals for the command, and its end means that they are gone.

    to the server   {"say": text}          something for the operator
                    {"warm": {…}}          the boundary stands and waits
                    {"failed": text}       it does not, and this keeper ends
                    {"stale": text}        another would be built now; this keeper ends
                    {"back": 1}            a claim was not for this boundary, which still waits
                    {"session": id}        a session began
    to the claimer  {"session": id}  {"say": text}  {"refused": text, "hint": …, "why": …}
                    {"status": n}  {"error": text, "status": n}
"""

import _signal  # type: ignore[import-not-found] # signal.py imports enum, 3 ms
import _socket
import gc
import os
import select

from ringfence.audit import prune
from ringfence.boundary import folder, launch, syscalls
from ringfence.boundary.supervise import SIGHUP, SIGINT, SIGQUIT, SIGTERM, Line
from ringfence.errors import RingfenceError
from ringfence.host.model import Host
from ringfence.pool import ask, place
from ringfence.pool.warm import StaleError, UnfitError, Warm
from ringfence.preparation import Request, prepare

_ROOM = 1 << 16


def keep(channel: int, request: Request, host: Host) -> None:
    """Be a keeper, in a process just forked from the server; never returns."""
    status = 125
    try:
        server = _alone(channel)
        status = _Keeper(server, request, host).run()
    except BaseException as error:  # noqa: BLE001 - told to the server, whatever it is
        _tell_failure(server, error)
    finally:
        os._exit(status)


def _tell_failure(server: _socket.socket, error: BaseException) -> None:
    ours = isinstance(error, RingfenceError)
    text = error.render() if ours else f"error: {type(error).__name__}: {error}\n"  # type: ignore[attr-defined]
    said = os.pread(2, _ROOM, 0).decode("utf-8", "replace")
    place.send(server, {"failed": said + text}, wait=False)


def _alone(channel: int) -> _socket.socket:
    """Leave the server: its descriptors, its terminal, its signals; keep the channel.

    What is said on the streams while the boundary is built goes into memory that nobody else has: the
    boundary's first process keeps these descriptors.
    """
    os.setsid()
    parent = os.getppid()
    for number in (SIGHUP, SIGINT, SIGQUIT, SIGTERM):
        _signal.signal(number, _nothing)
    syscalls.prctl(syscalls.PR_SET_PDEATHSIG, SIGTERM)
    if os.getppid() != parent:
        os._exit(0)
    null, said = os.open("/dev/null", os.O_RDWR), os.memfd_create("said", 0)
    for fd, source in ((0, null), (1, null), (2, said)):
        os.dup2(source, fd)
    os.dup2(channel, 3, inheritable=False)
    os.closerange(4, 1 << 16)
    kept = os.dup(3)
    os.close(3)  # the launcher keeps that number free for the entry program
    return _socket.socket(1, 5, 0, fileno=kept)


def _nothing(_number: int, _frame: object) -> None:
    """Do nothing: before a claim the server's channel tells what there is to do."""


class _Keeper:
    def __init__(self, server: _socket.socket, request: Request, host: Host) -> None:
        self._server, self._request, self._host = server, request, host
        self._line: _socket.socket | None = None  # to who claims
        self._streams: tuple[int, ...] = ()

    def run(self) -> int:
        for killed, moved in folder.sweep(self._host):
            text = f"session {killed} was killed before it could tidy up\n{moved.text}"
            place.send(self._server, {"say": text})
        syscalls.prctl(syscalls.PR_SET_DUMPABLE, 1)  # the child writes its own maps; unset again by `begin`
        launch.forbid_cores()
        prepared = prepare(self._request, self._host)
        try:
            warm = Warm(self._request, self._host, prepared)
        except BaseException:
            prepared.child.abandon()
            raise
        warm.stand()
        try:
            warm.rehearse()
        except StaleError as error:  # something changed while it was built
            warm.drop()
            place.send(self._server, {"stale": error.message}, wait=False)
            return 0
        except BaseException:
            warm.drop()
            raise
        gc.collect()
        gc.freeze()
        gc.disable()  # until the command has started
        self._announce(warm)
        return self._wait(warm)

    def _announce(self, warm: Warm) -> None:
        plan = warm.plan
        about = {
            "session": warm.id,
            "tier": plan.tier,
            "digest": plan.policy.digest,
            "keep": list(plan.policy.environment.keep),
        }
        place.send(self._server, {"warm": about})

    def _wait(self, warm: Warm) -> int:
        end, poll = os.pidfd_open(warm.child.pid), select.poll()
        for fd in (end, self._server.fileno()):
            poll.register(fd, select.POLLIN)
        while True:
            if end in dict(poll.poll()):
                warm.drop()
                place.send(self._server, {"failed": "error: a boundary that waited has ended\n"}, wait=False)
                return 0
            message, fds = place.receive(self._server)
            if message is None or "claim" not in message:
                warm.drop()
                return 0
            done = self._claimed(warm, message["claim"], fds)
            if done:
                return 0

    def _claimed(self, warm: Warm, said: object, fds: tuple[int, ...]) -> bool:
        """Serve a claim, or refuse it; False where the boundary still waits."""
        self._line, self._streams = _socket.socket(1, 5, 0, fileno=fds[0]), fds[1:]
        try:
            claim = ask.understood(said)
            found = warm.check(claim, terminal=any(map(os.isatty, self._streams)))
        except StaleError as error:
            self._refuse(error, "stale")
            warm.drop()
            place.send(self._server, {"stale": error.message}, wait=False)
            return True
        except RingfenceError as error:
            self._refuse(error, "unfit" if isinstance(error, UnfitError) else "error")
            place.send(self._server, {"back": 1}, wait=False)
            return False
        place.send(self._server, {"session": warm.id}, wait=False)
        self._say({"session": warm.id})
        self._serve(warm, found)
        return True

    def _serve(self, warm: Warm, found: "tuple[object, ...]") -> None:
        assert self._line is not None  # noqa: S101 - for the type checker
        line = Line(fd=self._line.fileno(), told=self._told)
        try:
            status = warm.run_claimed(found, self._streams, line, lambda text: self._say({"say": text}))  # type: ignore[arg-type]
        except RingfenceError as error:
            self._say({"error": error.render(), "status": error.status})
        except Exception as error:  # noqa: BLE001 - the claimer must hear of it
            self._say({"error": f"error: {type(error).__name__}: {error}\n", "status": 125})
        else:
            self._say({"status": status})
        if prune.is_due(self._host.state_dir):
            prune.automatic(self._host.state_dir)

    def _told(self) -> int:
        """Return the signal that the claimer wants sent; 0 for none, -1 when they are gone."""
        assert self._line is not None  # noqa: S101 - for the type checker
        message, fds = place.receive(self._line, wait=False)
        for fd in fds:
            os.close(fd)
        if message is None:
            return -1
        number = message.get("signal", 0)
        return number if number in {SIGHUP, SIGINT, SIGQUIT, SIGTERM} else 0

    def _refuse(self, error: RingfenceError, why: str) -> None:
        self._say({"refused": error.message, "hint": error.hint, "why": why})
        for fd in self._streams:
            os.close(fd)
        if self._line is not None:
            self._line.close()
        self._line, self._streams = None, ()

    def _say(self, message: dict[str, object]) -> None:
        if self._line is not None:
            place.send(self._line, message, wait=False)
