"""What a gate and `ringfence approve` say to each other: questions, answers, and the socket between them.

The gate of each session listens on a socket in the session's folder, which only the operator can enter and
nothing inside the boundary can see. Each message is one line of JSON, a question is named by its number and
bound by its digest: an answer counts for exactly the request that was shown, and only once.
"""

import os

from ringfence.canonical import digest
from ringfence.value import Struct, plain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

SOCKET = "approve.sock"
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
    """Yield (session, folder) of every session whose gate takes answers."""
    sessions = f"{state_dir}/sessions"
    try:
        names = sorted(os.listdir(sessions))
    except FileNotFoundError:
        return
    for name in names:
        if os.path.exists(f"{sessions}/{name}/{SOCKET}"):
            yield name, f"{sessions}/{name}"
