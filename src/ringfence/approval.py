"""What a gate and `ringfence approve` say to each other: questions, answers, and the socket between them.

The gate of each session listens on a socket in the session's folder, which only the operator can enter and
nothing inside the boundary can see. A tool call that waits has a folder and a socket of its own. Each message
is one line of JSON, a question is named by its number and bound by its digest: an answer counts for exactly
the request that was shown, and only once.
"""

import os

from ringfence.canonical import digest
from ringfence.value import Struct, plain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

SOCKET = "approve.sock"
CALLS = "calls"  # in the state folder: one folder for each tool call that waits
ONCE, SESSION, DENY = "once", "session", "deny"
ANSWERS = (ONCE, SESSION, DENY)
LARGEST = 1 << 20  # bytes of one message


class Question(Struct):
    """One request that waits for a person."""

    number: int
    session: str
    method: str  # of HTTP, or "connect" for a connection that nobody looks into
    scheme: str
    host: str
    port: int
    path: str  # with the query, as it would be sent
    rule: str  # that asks, and where it comes from
    reason: str  # the rule's own word
    credentials: tuple[str, ...] = ()  # that the gate would put in
    length: int = 0  # bytes of its body; -1 where it does not say
    asked: float = 0.0  # seconds since the epoch
    until: float = 0.0  # when silence becomes no
    what: tuple[str, ...] = ()  # what the body says, where the rule is about that: GraphQL fields, git refs
    lines: str = ""  # the smallest rule that would let just this request pass, as a policy has it
    headers: tuple[tuple[str, str], ...] = ()  # as sent, escaped, without what opens something
    body: str = ""  # its beginning, escaped line by line
    beginning: int = 0  # bytes of the body that `body` stands for
    digest: str = ""  # SHA-256 of the whole body; "" where it is not held but streamed once it is allowed

    @property
    def seal(self) -> str:
        """The digest of everything that is shown."""
        return str(digest(plain(self)))

    @property
    def url(self) -> str:
        """What is asked for, as a URL."""
        name = f"[{self.host}]" if ":" in self.host else self.host
        usual = {"https": 443, "http": 80}.get(self.scheme)
        return f"{self.scheme}://{name}{'' if self.port == usual else f':{self.port}'}{self.path}"


class CallQuestion(Struct):
    """One tool call that waits for a person: everything that an answer is bound to."""

    session: str  # the client's
    client: str
    tool: str
    input: str  # as canonical JSON, whole
    text: str  # what a person reads first: the command, the path, the URL; whole
    cwd: str
    root: str  # the project
    rule: str  # that asks, and where it comes from; "" where none did
    reason: str
    risks: tuple[str, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()  # variables that matter: name, digest of the value
    policy: str = ""  # digest
    number: int = 1
    asked: float = 0.0  # seconds since the epoch
    until: float = 0.0  # when silence becomes no
    lines: str = ""  # the smallest rule that would allow this call, as a policy has it; "" where none can

    @property
    def seal(self) -> str:
        """The digest of everything that is shown."""
        return str(digest(plain(self)))


def question(shown: "dict[str, Any]") -> "Question | CallQuestion":
    """Return what a message shows. Raises TypeError or KeyError for anything else."""
    if "tool" not in shown:
        headers = _pairs(shown["headers"])
        lists = {name: tuple(shown[name]) for name in ("credentials", "what")}
        return Question(**{**shown, **lists, "headers": headers})
    pairs = _pairs(shown["environment"])
    return CallQuestion(**{**shown, "risks": tuple(shown["risks"]), "environment": pairs})


def _pairs(shown: "Any") -> tuple[tuple[str, str], ...]:
    return tuple((str(name), str(value)) for name, value in shown)


class Place:
    """A session's folder, held open: socket paths are short, folders' need not be."""

    def __init__(self, folder: str) -> None:
        self._fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    @property
    def path(self) -> str:
        """The socket's path, by way of the descriptor."""
        return f"/proc/self/fd/{self._fd}/{SOCKET}"

    def __enter__(self) -> "Place":  # noqa: PYI034 - typing.Self costs the launcher 8 ms
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)


def waiting(state_dir: str) -> "Iterator[tuple[str, str]]":
    """Yield (name, folder) of every session whose gate takes answers, and of every call that waits."""
    for place in (f"{state_dir}/sessions", f"{state_dir}/{CALLS}"):
        try:
            names = sorted(os.listdir(place))
        except FileNotFoundError:
            continue
        for name in names:
            if os.path.exists(f"{place}/{name}/{SOCKET}"):
                yield name, f"{place}/{name}"
