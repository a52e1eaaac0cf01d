"""The first process inside, where a tier has none of its own: it stays, reaps, passes signals on. Pure.

A process whose parent has gone becomes a child of the first one, which is the only one that can take its
status away; a command that became the first process would let them heap up. So the entry program forks: the
child becomes the command, and the parent waits for signals, all of which it has blocked. It sends them on to
the command, reaps whatever ended, and ends as the command did (128 + n after a signal, as shells say).

With a terminal a second process comes between them. The sentry shows what comes from the host as a file
without a name, so that `tty` would find none. The command gets a pseudo-terminal of the sentry's own, and
what is typed or printed passes through the second process; the outer one has been told to leave everything as
it is. No direction waits for the other: where one is full poll(2) waits, else a large paste would stop both.
"""

from ringfence.boundary.stub import (
    SLOTS,
    Add,
    Call,
    Copy,
    Data,
    Execute,
    Half,
    Jump,
    Place,
    Slot,
    Step,
    Store,
)

_ALL, _NONE = Data(content=b"\xff" * 8), Data(content=bytes(8))
_CHILD, _SIGNAL, _PID, _CODE, _STATUS, _GOT = (Slot(offset=1024 + 8 * number) for number in range(6))
_MASTER, _SLAVE, _SIGNALS, _GROUP, _TURNS = (Slot(offset=1088 + 8 * number) for number in range(5))
_KEYS, _WAITING, _FROM, _LEFT, _AT = (Slot(offset=1136 + 8 * number) for number in range(5))
_POLLED, _INFO, _SIZE = 1200, 1280, 1424  # struct pollfd[3]; siginfo_t or signalfd_siginfo; struct winsize
_PID_AT, _CODE_AT, _STATUS_AT = _INFO + 16, _INFO + 8, _INFO + 24
_TYPED, _TYPED_SIZE = 4096, 4096
_SHOWN = 8192
_BASE = 0x10000000  # of the slots
_SIGCHLD, _SIGWINCH = 17, 28
_EXITED = 1  # CLD_EXITED
ENDED = b"E"  # said to the launcher: what holds the command has not died before it
_LAUNCHER = 3
_FAILURE = "the first process could not be made"
_IN, _OUT = 1 << 32, 4 << 32  # POLLIN, POLLOUT in the place of a pollfd's events
_GRANTED = 1000  # pieces that are still passed on when the command has ended, however much others write


def staying(before: tuple[Step, ...], execute: Execute, terminals: tuple[int, ...]) -> tuple[Step, ...]:
    """Return the steps of a first process that starts a command. `terminals`: its streams that are some."""
    return (
        *before,
        Call(name="rt_sigprocmask", arguments=(2, _ALL, 0, 8), failure=_FAILURE),
        *_fork("second"),
        *(Call(name="close", arguments=(fd,)) for fd in (0, 1, 2)),
        *_waiting(),
        Call(name="write", arguments=(_LAUNCHER, Data(content=ENDED), 1)),
        *_leave("first"),
        Place(name="second"),
        Call(name="close", arguments=(_LAUNCHER,)),
        *(_beside(terminals) if terminals else ()),
        Call(name="rt_sigprocmask", arguments=(2, _NONE, 0, 8)),
        execute,
    )


def _fork(child: str) -> tuple[Step, ...]:
    return (
        Call(name="clone", arguments=(_SIGCHLD, 0, 0, 0, 0), result=_CHILD, failure=_FAILURE),
        Jump(to=child, when=(_CHILD, 0)),
    )


def _leave(name: str) -> tuple[Step, ...]:
    """End as the child did."""
    return (
        Jump(to=name, when=(_CODE, _EXITED)),
        Add(slot=_STATUS, value=128),
        Place(name=name),
        Call(name="exit_group", arguments=(_STATUS,)),
    )


def _waiting() -> tuple[Step, ...]:
    return (
        Place(name="wait"),
        Call(name="rt_sigtimedwait", arguments=(_ALL, 0, 0, 8), result=_SIGNAL),
        Jump(to="ended", when=(_SIGNAL, _SIGCHLD)),
        Jump(to="wait", when=(_SIGNAL, 0), less=True),
        Call(name="kill", arguments=(_CHILD, _SIGNAL)),
        Jump(to="wait"),
        *_reap("ended", again="wait", done="over"),
        Place(name="over"),
    )


def _reap(name: str, *, again: str, done: str) -> tuple[Step, ...]:
    """Take away the status of all that ended; go on at `done` when the child is among them."""
    info = Slot(offset=_INFO, address=True)
    return (
        Place(name=name),
        Store(slot=Slot(offset=_PID_AT), value=0),
        Call(name="waitid", arguments=(0, 0, info, 4 | 1, 0)),  # P_ALL; WEXITED | WNOHANG
        Half(offset=_PID_AT, target=_PID),
        Half(offset=_CODE_AT, target=_CODE),
        Half(offset=_STATUS_AT, target=_STATUS),
        Jump(to=again, when=(_PID, 0)),
        Jump(to=done, when=(_PID, _CHILD)),
        Jump(to=name),
    )


def _beside(terminals: tuple[int, ...]) -> tuple[Step, ...]:
    """Be the second process, which keeps the terminal; go on as the third, which becomes the command."""
    return (
        *_terminal(terminals[0]),
        *_fork("third"),
        *(Call(name="close", arguments=(fd,)) for fd in (0, 1, 2) if fd not in terminals),
        *_relay(terminals),
        *_leave("leave"),
        Place(name="third"),
        *_take(terminals),
    )


def _terminal(outer: int) -> tuple[Step, ...]:
    """Lead a session at the command's terminal, which gets the size of the one that it is seen on."""
    failure = "no terminal could be made"
    size = Slot(offset=_SIZE, address=True)
    # O_RDWR | O_CLOEXEC | O_NONBLOCK; the first of a new devpts is 0
    return (
        Call(name="setsid", failure=failure),
        Call(
            name="openat",
            arguments=(-100, Data(content=b"/dev/ptmx\0"), 0o2004002, 0),
            result=_MASTER,
            failure=failure,
        ),
        Call(name="ioctl", arguments=(_MASTER, 0x40045431, _NONE)),  # TIOCSPTLCK
        Call(
            name="openat",
            arguments=(-100, Data(content=b"/dev/pts/0\0"), 0o2000402, 0),
            result=_SLAVE,
            failure=failure,
        ),
        Call(name="ioctl", arguments=(_SLAVE, 0x540E, 0), failure=failure),  # TIOCSCTTY
        Call(name="ioctl", arguments=(outer, 0x5413, size)),  # TIOCGWINSZ
        Call(name="ioctl", arguments=(_MASTER, 0x5414, size)),  # TIOCSWINSZ
        Call(name="signalfd4", arguments=(-1, _ALL, 8, 0o2004000), result=_SIGNALS, failure=failure),
    )


def _take(terminals: tuple[int, ...]) -> tuple[Step, ...]:
    """Be the terminal's foreground, as a group of its own: keys then reach the command and not us."""
    failure = "the terminal could not be taken"
    group = Slot(offset=_GROUP.offset, address=True)
    return (
        Call(name="setpgid", arguments=(0, 0), failure=failure),
        Call(name="getpid", result=_GROUP),
        Call(name="ioctl", arguments=(_SLAVE, 0x5410, group), failure=failure),  # TIOCSPGRP
        *(Call(name="dup3", arguments=(_SLAVE, fd, 0), failure=failure) for fd in terminals),
        Call(name="close_range", arguments=(3, 0xFFFFFFFF, 0)),
    )


def _relay(terminals: tuple[int, ...]) -> tuple[Step, ...]:
    target = next((fd for fd in (1, 2) if fd in terminals), terminals[0])
    one, two, three = (Slot(offset=_POLLED + 8 * number) for number in range(3))
    info, polled = Slot(offset=_INFO, address=True), Slot(offset=_POLLED, address=True)
    return (
        Store(slot=_KEYS, value=0 if 0 in terminals else 0xFFFFFFFF),
        Place(name="loop"),
        Copy(source=_SIGNALS, target=one),
        Add(slot=one, value=_IN),
        Copy(source=_MASTER, target=two),
        Add(slot=two, value=_IN),
        Copy(source=_KEYS, target=three),
        Add(slot=three, value=_IN),
        Jump(to="poll", when=(_WAITING, 0)),
        Add(slot=two, value=_OUT),
        Store(slot=three, value=0xFFFFFFFF),  # nothing is taken while something waits
        Place(name="poll"),
        Call(name="ppoll", arguments=(polled, 3, 0, 0, 8)),
        Call(name="read", arguments=(_SIGNALS, info, 128), result=_GOT),
        Jump(to="typed", when=(_GOT, 1), less=True),
        Half(offset=_INFO, target=_SIGNAL),
        Jump(to="reap", when=(_SIGNAL, _SIGCHLD)),
        Jump(to="resize", when=(_SIGNAL, _SIGWINCH)),
        Call(name="kill", arguments=(_CHILD, _SIGNAL)),
        Jump(to="loop"),
        *_reap("reap", again="loop", done="done"),
        *_resize(terminals[0]),
        *_typed(),
        *_shown(target),
        Place(name="done"),
        Store(slot=_TURNS, value=_GRANTED),
        Place(name="rest"),
        Jump(to="left", when=(_TURNS, 0)),
        Add(slot=_TURNS, value=1, subtract=True),
        *_piece(target, nothing="left", then="rest", name="last"),
        Place(name="left"),
    )


def _resize(outer: int) -> tuple[Step, ...]:
    """Pass a new size on; the sentry does not tell the programs at its terminals."""
    size, group = Slot(offset=_SIZE, address=True), Slot(offset=_GROUP.offset, address=True)
    return (
        Place(name="resize"),
        Call(name="ioctl", arguments=(outer, 0x5413, size)),
        Call(name="ioctl", arguments=(_MASTER, 0x5414, size)),
        Store(slot=_GROUP, value=0),
        Call(name="ioctl", arguments=(_SLAVE, 0x540F, group)),  # TIOCGPGRP
        Jump(to="loop", when=(_GROUP, 2), less=True),
        Store(slot=_GOT, value=0),
        Add(slot=_GOT, value=_GROUP, subtract=True),
        Call(name="kill", arguments=(_GOT, _SIGWINCH)),
        Jump(to="loop"),
    )


def _typed() -> tuple[Step, ...]:
    """Take what was typed, or give what was taken."""
    buffer = Slot(offset=_TYPED, address=True)
    return (
        Place(name="typed"),
        Jump(to="take", when=(_WAITING, 0)),
        Call(name="write", arguments=(_MASTER, _FROM, _WAITING), result=_GOT),
        Jump(to="shown", when=(_GOT, 0), less=True),
        Add(slot=_FROM, value=_GOT),
        Add(slot=_WAITING, value=_GOT, subtract=True),
        Jump(to="shown"),
        Place(name="take"),
        Half(offset=_POLLED + 20, target=_GOT),  # events, and above them what poll(2) answered
        Jump(to="shown", when=(_GOT, 1 << 16), less=True),
        Call(name="read", arguments=(0, buffer, _TYPED_SIZE), result=_GOT),
        Jump(to="shown", when=(_GOT, 0), less=True),
        Jump(to="closed", when=(_GOT, 0)),
        Copy(source=_GOT, target=_WAITING),
        Store(slot=_FROM, value=_BASE + _TYPED),
        Jump(to="shown"),
        Place(name="closed"),
        Store(slot=_KEYS, value=0xFFFFFFFF),
    )


def _shown(target: int) -> tuple[Step, ...]:
    return Place(name="shown"), *_piece(target, nothing="loop", then="loop", name="print")


def _piece(target: int, *, nothing: str, then: str, name: str) -> tuple[Step, ...]:
    """Pass one piece of what the command prints on."""
    buffer = Slot(offset=_SHOWN, address=True)
    return (
        Call(name="read", arguments=(_MASTER, buffer, SLOTS - _SHOWN), result=_LEFT),
        Jump(to=nothing, when=(_LEFT, 1), less=True),
        Store(slot=_AT, value=_BASE + _SHOWN),
        Place(name=name),
        Call(name="write", arguments=(target, _AT, _LEFT), result=_GOT),
        Jump(to=nothing, when=(_GOT, 1), less=True),
        Add(slot=_AT, value=_GOT),
        Add(slot=_LEFT, value=_GOT, subtract=True),
        Jump(to=then, when=(_LEFT, 0)),
        Jump(to=name),
    )
