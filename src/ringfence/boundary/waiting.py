"""A boundary that waits: complete but for its command, which comes with a claim (`ringfence.pool`).

The entry program says that it waits, and reads one message: an image for a place in its memory whose
address is known, and three descriptors that become its standard streams. The image is made of words, which
are addresses in it, and of the strings that they lead to: the command, its arguments, its environment. So
the program needs no loop and no decision to find them, and what follows is what every entry program does.

    word 0   the folder to change to
    word 1   the argument table          word 2   the environment table
    word 3, 4   what to say when the command is not found, and how long that is; 5, 6: not executable
    word 7 …    the paths to try; a spare one leads to an empty string, which is no path
"""

import struct

from ringfence.boundary.model import Plan
from ringfence.boundary.stub import PAGE, Call, Execute, Slot, Span, Step, Store, address_of
from ringfence.errors import UsageError

WAITS = b"W"
MOST = 128 << 10  # bytes of an image: a datagram between sockets with the kernel's usual buffers
WRITABLE = PAGE + MOST

_WORDS = 7
_STREAMS = 3
_CONTROL = 16 + 16  # struct cmsghdr, three descriptors, and what fills the last word
_HEADER, _VECTOR, _RECEIVED = 1024, 1088, 1104  # offsets: struct msghdr, struct iovec, the control message
_TIOCSCTTY = 0x540E


def steps(channel: int | Slot) -> tuple[Step, ...]:
    """Return the entry program's calls: wait at `channel` for the image, take the streams and the terminal.

    A process that leads a group cannot begin a session, so it joins the first process's group before; a
    stream that is no terminal, or a terminal that is another's, does not become one.
    """
    gone = "the launcher is gone"
    words = (0, 0, address_of(_VECTOR), 1, address_of(_RECEIVED), _CONTROL, 0)
    header = tuple(Store(slot=Slot(offset=_HEADER + 8 * n), value=word) for n, word in enumerate(words))
    return (
        *header,
        Store(slot=Slot(offset=_VECTOR), value=address_of(PAGE)),
        Store(slot=Slot(offset=_VECTOR + 8), value=MOST),
        Call(name="recvmsg", arguments=(channel, Slot(offset=_HEADER, address=True), 0), failure=gone),
        *(
            Call(name="dup3", arguments=(Slot(offset=_RECEIVED + 16 + 4 * fd), fd, 0), failure=gone)
            for fd in range(_STREAMS)
        ),
        *(Call(name="close", arguments=(Slot(offset=_RECEIVED + 16 + 4 * fd),)) for fd in range(_STREAMS)),
        Call(name="setpgid", arguments=(0, 1)),
        Call(name="setsid"),
        *(Call(name="ioctl", arguments=(fd, _TIOCSCTTY, 0)) for fd in range(_STREAMS)),
    )


def change_folder() -> tuple[Step, ...]:
    """Return the step into the folder that the image names."""
    return (Call(name="chdir", arguments=(_word(0),), failure="the working directory is not there"),)


def execute(plan: Plan) -> Execute:
    """Return the last step, for a command of a plan that is not known yet."""
    return Execute(
        paths=tuple(_word(_WORDS + number) for number in range(_paths(plan))),
        argv=_word(1),
        environment=_word(2),
        not_found=Span(start=_word(3), length=_word(4)),
        not_executable=Span(start=_word(5), length=_word(6)),
    )


def image(given: Execute, plan: Plan) -> bytes:
    """Return the image for a command of the plan; `given` is how a program that does not wait starts it."""
    base, paths, folder = address_of(PAGE), _paths(plan), plan.cwd.encode("utf-8", "surrogateescape")
    out = bytearray(8 * (_WORDS + paths))

    def place(content: bytes) -> int:
        out.extend(content)
        return base + len(out) - len(content)

    def table(strings: object) -> int:
        assert isinstance(strings, tuple)  # noqa: S101 - for the type checker
        pointers = [place(one + b"\0") for one in strings]
        out.extend(b"\0" * (-len(out) % 8))
        return place(struct.pack(f"<{len(pointers) + 1}Q", *pointers, 0))

    said = [f"ringfence: {text}\n".encode(errors="backslashreplace") for text in _texts(given)]
    tried = [one for one in given.paths if isinstance(one, bytes)][:paths]
    tried += [b""] * (paths - len(tried))
    words = [place(folder + b"\0"), table(given.argv), table(given.environment)]
    for text in said:
        words += [place(text), len(text)]
    words += [place(one + b"\0") for one in tried]
    out[: 8 * len(words)] = struct.pack(f"<{len(words)}Q", *words)
    if len(out) > MOST:
        raise UsageError(
            f"the command and its environment take {len(out)} bytes, more than the {MOST} that a waiting "
            "boundary reads",
            hint="leave long texts in a file, or start without the pool",
        )
    return bytes(out)


def _paths(plan: Plan) -> int:
    """Return how many paths the waiting program tries: a command's name may stand for one in each folder."""
    return dict(plan.environment).get("PATH", "").count(":") + 1


def _texts(given: Execute) -> tuple[str, str]:
    assert isinstance(given.not_found, str)  # noqa: S101 - for the type checker
    assert isinstance(given.not_executable, str)  # noqa: S101
    return given.not_found, given.not_executable


def _word(number: int) -> Slot:
    return Slot(offset=PAGE + 8 * number)
