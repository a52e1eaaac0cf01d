"""The process that stands by when programs start inside, and refuses those that the policy denies.

Every execve(2) inside waits for its word. A program that a rule denies gets EACCES. One that may start is
looked at once more when the kernel has loaded it and before it runs: a thread that changed the path or the
arguments between the two looks gains nothing, since the second look kills what the first would have
refused. If this process dies, no program can start inside any more.

It writes a line for each refusal into the session's folder; the launcher puts them on record at the end.
"""

import _signal  # type: ignore[import-not-found] # signal.py imports enum, 3 ms
import os
import select

from ringfence.boundary import tracing
from ringfence.boundary.tracing import Asked, GoneError, Image
from ringfence.canonical import encode
from ringfence.value import Struct
from ringfence.verdict.execution import ProgramRule, ProgramRules, Started

_EACCES = 13
_SIGCHLD, _SIGKILL = 17, 9
_WALL = 0x40000000
_MOST_RECORDS = 1000  # lines; what is refused beyond is counted
_MOST_COMPARED = 64 << 20  # bytes of a program that is compared with a denied one
# One file, many programs: that it is denied under one name says nothing about the others.
_MULTI_CALL = frozenset({"busybox", "toybox", "coreutils", "git", "uutils"})


class Denied(Struct):
    """What the warden holds."""

    rules: tuple[ProgramRule, ...]
    path: tuple[str, ...]  # folders in which the boundary looks for programs
    unchecked: bool = False  # debuggers inside may hold a thread themselves: then only the first look is left


class Programs:
    """The files behind the programs that rules name: they are known under any name, and as copies."""

    def __init__(self, denied: Denied) -> None:
        self._names: dict[tuple[int, int], set[str]] = {}
        self._files: dict[int, list[tuple[str, str]]] = {}  # size -> (file, program)
        self._digests: dict[str, str] = {}
        for program in {rule.program for rule in denied.rules}:
            for folder in denied.path:
                self._add(program, f"{folder}/{program}")

    def _add(self, program: str, path: str) -> None:
        try:
            real = os.path.realpath(path)
            status = os.stat(real)
        except OSError:
            return
        if os.path.basename(real) in _MULTI_CALL and os.path.basename(real) != program:
            return
        self._names.setdefault((status.st_dev, status.st_ino), set()).add(program)
        self._files.setdefault(status.st_size, []).append((real, program))

    def names(self, seen: Image, process: int) -> tuple[str, ...]:
        """Return under which denied programs' names the file of an image is known."""
        device, inode, size = seen.identity
        found = self._names.get((device, inode))
        if found is not None:
            return tuple(sorted(found))
        same = self._files.get(size, ())
        if not same or size > _MOST_COMPARED:
            return ()
        digest = _digest(f"/proc/{process}/exe")
        return tuple(program for file, program in same if self._digest(file) == digest)

    def _digest(self, file: str) -> str:
        if file not in self._digests:
            self._digests[file] = _digest(file)
        return self._digests[file]


def _digest(file: str) -> str:
    from ringfence.canonical import sha256

    with open(file, "rb") as stream:
        return sha256(stream.read())


class Records:
    """What was refused, a line each."""

    def __init__(self, file: str) -> None:
        self._fd = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._written = 0

    def refused(self, rule: str, path: str, argv: tuple[str, ...], *, how: str) -> None:
        """Write one down; beyond a number they are only counted."""
        self._written += 1
        if self._written > _MOST_RECORDS:
            line = "."
        else:
            shown = [word[:1000] for word in argv[:100]]
            line = (
                encode({"rule": rule, "path": path[:1000], "argv": shown, "words": len(argv), "how": how})
                + "\n"
            )
        os.write(self._fd, line.encode("utf-8", "surrogateescape"))


class Warden:
    """The loop, and what it knows."""

    def __init__(self, listener: int, denied: Denied, records: Records) -> None:
        self._listener = listener
        self._denied = denied
        self._rules = ProgramRules(denied.rules)
        self._records = records
        self._programs: Programs | None = None
        self._traced: set[int] = set()
        self._begun = False  # the operator's own command has started, which no rule is about

    def run(self) -> None:
        """Answer until nobody is left inside."""
        wakeup = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        _signal.signal(_SIGCHLD, _ignore)
        _signal.set_wakeup_fd(wakeup[1], warn_on_full_buffer=False)
        poll = select.poll()
        poll.register(self._listener, select.POLLIN)
        poll.register(wakeup[0], select.POLLIN)
        while True:
            for fd, events in poll.poll():
                if fd == wakeup[0]:
                    os.read(fd, 4096)
                    self._stops()
                elif events & select.POLLIN:
                    self._asked()
                else:
                    return

    # --- before ------------------------------------------------------------------------------------

    def _asked(self) -> None:
        asked = tracing.next_call(self._listener)
        if asked is None or not tracing.valid(self._listener, asked.cookie):
            return
        rule = self._rule(Started(names=_asked_names(asked), arguments=asked.argv[1:])) if self._begun else ""
        if rule and tracing.there(asked):
            self._records.refused(rule, asked.path, asked.argv, how="refused")
            tracing.answer(self._listener, asked.cookie, _EACCES)
        else:
            self._let_start(asked)

    def _let_start(self, asked: Asked) -> None:
        thread = asked.thread
        if thread not in self._traced:
            try:
                tracing.seize(thread)
            except ProcessLookupError:
                return
            except OSError:  # somebody else traces it
                error = 0 if self._denied.unchecked else _EACCES
                if error:
                    self._records.refused("", asked.path, asked.argv, how="cannot be looked at")
                tracing.answer(self._listener, asked.cookie, error)
                return
            self._traced.add(thread)
        tracing.answer(self._listener, asked.cookie, 0)
        try:
            tracing.interrupt(thread)
        except OSError:
            return  # it has ended, which its stop will tell

    # --- after -------------------------------------------------------------------------------------

    def _stops(self) -> None:
        """Look at every thread that is held."""
        while True:
            try:
                process, status = os.waitpid(-1, os.WNOHANG | _WALL)
            except ChildProcessError:
                return
            if not process:
                return
            if not os.WIFSTOPPED(status):
                self._traced.discard(process)
            elif status >> 16 == tracing.EVENT_EXEC:
                self._executed(process)
            else:  # its call has returned without a new program
                self._traced.discard(process)
                tracing.let_go(process, 0 if status >> 16 else os.WSTOPSIG(status))

    def _executed(self, process: int) -> None:
        self._traced -= {process, tracing.former(process)}
        try:
            seen = tracing.image(process)
            rule = next(filter(None, map(self._rule, self._of_image(seen, process))), "")
        except (GoneError, OSError):
            _kill(process)
            return
        begun, self._begun = self._begun, True
        if rule and begun:
            _kill(process)
            self._records.refused(rule, seen.file, seen.argv, how="ended")
        else:
            tracing.let_go(process)

    def _of_image(self, seen: Image, process: int) -> tuple[Started, ...]:
        if self._programs is None:
            self._programs = Programs(self._denied)
        known = self._programs.names(seen, process)
        first = seen.argv[0] if seen.argv else ""
        names = (
            seen.file,
            _base(seen.file),
            seen.asked_as,
            _base(seen.asked_as),
            first,
            _base(first),
            *known,
        )
        return Started(names=names, arguments=seen.argv[1:]), *_script(seen)

    def _rule(self, started: Started) -> str:
        return self._rules.refused(started)


def _asked_names(asked: Asked) -> tuple[str, ...]:
    first = asked.argv[0] if asked.argv else ""
    return asked.path, _base(asked.path), first, _base(first)


def _script(seen: Image) -> tuple[Started, ...]:
    """Return the script that an image is, if it is one: it stands among its interpreter's arguments."""
    if _base(seen.asked_as) == _base(seen.file) or seen.asked_as not in seen.argv[1:]:
        return ()
    behind = seen.argv[seen.argv.index(seen.asked_as, 1) + 1 :]
    return (Started(names=(seen.asked_as, _base(seen.asked_as)), arguments=behind),)


def _base(path: str) -> str:
    return path.rpartition("/")[2]


def _kill(process: int) -> None:
    try:
        os.kill(process, _SIGKILL)
    except ProcessLookupError:
        return


def _ignore(_number: int, _frame: object) -> None:
    """Do nothing: the wakeup descriptor tells the loop."""
