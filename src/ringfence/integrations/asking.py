"""A tool call that waits for a person: its hook listens, `ringfence approve` answers.

The process that waits is the one that will say yes or no, so an answer cannot outlive it or serve another
call: it names the digest of everything that was shown, the first one counts, and the socket is gone with it.
Silence is no.
"""

import os
import select
import socket
import struct
import time

from ringfence import strict
from ringfence.approval import CALLS, DENY, LARGEST, ONCE, SOCKET, CallQuestion, Place
from ringfence.canonical import encode
from ringfence.errors import HostError
from ringfence.host import probe
from ringfence.value import plain, replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ringfence.integrations.permissions import Asked
    from ringfence.policy.model import Policy
    from ringfence.verdict.ruling import Ruling

NOBODY = "nobody answered in time (`ringfence approve` shows what waits)"
MOST = 64  # calls that wait at once
PEER_TIME = 5.0  # seconds for one who connects to say what he wants
_ANSWERS = (ONCE, DENY)
_MAIN = ("command", "file_path", "notebook_path", "path", "url", "query", "pattern")


def question(asked: "Asked", found: "Ruling", policy: "Policy") -> CallQuestion:
    """Return what a person is asked about a call."""
    call = asked.calls[0]
    rule = f"{found.rule.text} [{found.rule.origin}]" if found.rule else ""
    return CallQuestion(
        session=asked.session,
        client=asked.client,
        tool=asked.shown or call.tool,
        input=encode(asked.input),
        text=main_text(call.input),
        cwd=call.cwd,
        root=asked.root,
        rule=rule,
        reason=found.reason,
        risks=tuple(f"{one.risk}: {one.reason}" for one in found.findings),
        environment=probe.fingerprint(),
        policy=policy.digest,
        lines=policy_lines(found.suggestion),
    )


def main_text(given: "dict[str, object]") -> str:
    """Return the part of an input that a person reads first, whole."""
    for name in _MAIN:
        value = given.get(name)
        if isinstance(value, str):
            return value
    return ""


def policy_lines(rules: tuple[str, ...]) -> str:
    """Return rules as a policy has them."""
    if not rules:
        return ""
    return f"[commands]\nallow = [{', '.join(encode(rule) for rule in rules)}]\n"


def ask(state_dir: str, asked: CallQuestion, patience: float) -> tuple[bool, str]:
    """Wait for an answer; return whether the call may go on, and why or why not."""
    now = time.time()
    waiting = replace(asked, asked=now, until=now + patience)
    folder = _folder(state_dir)
    try:
        return _served(folder, waiting, time.monotonic() + patience)
    finally:
        _remove(folder)


def _folder(state_dir: str) -> str:
    top = f"{state_dir}/{CALLS}"
    os.makedirs(top, 0o700, exist_ok=True)
    facts = os.lstat(top)
    if facts.st_uid != os.geteuid() or facts.st_mode & 0o077 or not os.path.isdir(top) or os.path.islink(top):
        raise HostError(
            f"{top} must be a folder of yours that nobody else can enter", hint=f"chmod 700 {top}"
        )
    _sweep(top)
    if len(os.listdir(top)) >= MOST:
        raise HostError("too many calls wait for an answer already", hint="ringfence approve --list")
    folder = f"{top}/{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{os.urandom(2).hex()}"
    os.mkdir(folder, 0o700)
    return folder


def _sweep(top: str) -> None:
    """Remove what hooks left that were killed: nobody listens there."""
    for name in os.listdir(top):
        folder = f"{top}/{name}"
        try:
            with Place(folder) as place, socket.socket(socket.AF_UNIX) as sock:
                sock.settimeout(1)
                sock.connect(place.path)
        except ConnectionRefusedError:
            _remove(folder)
        except OSError:
            continue


def _remove(folder: str) -> None:
    try:
        if os.path.lexists(f"{folder}/{SOCKET}"):
            os.unlink(f"{folder}/{SOCKET}")
        os.rmdir(folder)
    except OSError:
        return  # whoever asks next sweeps it


def _served(folder: str, asked: CallQuestion, deadline: float) -> tuple[bool, str]:
    with Place(folder) as place, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.bind(place.path)
        os.chmod(place.path, 0o600)
        sock.listen(8)
        while (left := deadline - time.monotonic()) > 0:
            if not select.select([sock], [], [], left)[0]:
                break
            peer, _ = sock.accept()
            with peer:
                answer = _conversation(peer, asked, deadline)
            if answer == ONCE:
                return True, "a person allowed this call, once"
            if answer == DENY:
                return False, "a person said no"
    return False, NOBODY


def _conversation(peer: socket.socket, asked: CallQuestion, deadline: float) -> str:
    """Serve one who connected; return the answer given, or ""."""
    peer.settimeout(max(0.1, min(PEER_TIME, deadline - time.monotonic())))
    try:
        if not _is_operator(peer):
            return ""
        with peer.makefile("rb") as lines:
            while line := lines.readline(LARGEST):
                reply, answer = _reply(line, asked)
                peer.sendall(encode(reply).encode() + b"\n")
                if answer:
                    return answer
    except (OSError, ValueError, RecursionError):
        return ""
    return ""


def _reply(line: bytes, asked: CallQuestion) -> "tuple[dict[str, Any], str]":
    message = strict.loads(line.decode())
    said = message.get("do") if isinstance(message, dict) else ""
    if said == "list":
        return {"questions": [{**plain(asked), "seal": asked.seal}]}, ""
    if said != "answer":
        return {"error": "not a message that is understood here"}, ""
    if message.get("seal") != asked.seal:
        return {"error": "the call that waits is another one than was shown"}, ""
    answer = message.get("answer")
    if answer not in _ANSWERS:
        return {"error": f"an answer to a tool call is one of {', '.join(_ANSWERS)}"}, ""
    return {"done": answer}, answer


def _is_operator(peer: socket.socket) -> bool:
    """Say whether the one who connected is this process's own user, or root (SO_PEERCRED, unix(7))."""
    _pid, uid, _gid = struct.unpack("3i", peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return uid in {os.geteuid(), 0}
