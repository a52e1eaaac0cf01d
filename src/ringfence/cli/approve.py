"""`ringfence approve`: see which requests and tool calls wait for a person, and answer them."""

import json
import socket
import sys
import time

from ringfence import approval
from ringfence.approval import DENY, ONCE, SESSION, CallQuestion, Place, Question
from ringfence.audit.event import printable
from ringfence.errors import UsageError
from ringfence.host.probe import host

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator
    from typing import Any

POLL = 0.5  # seconds between two looks while watching
ALWAYS = "always"
_KEYS = {"o": ONCE, "s": SESSION, "a": ALWAYS, "d": DENY, "n": DENY}
_WAIT = 10.0  # seconds for a gate to answer


class Asked:
    """An open question, and the gate that waits for its answer."""

    def __init__(self, folder: str, shown: "dict[str, Any]") -> None:
        self.folder = folder
        self.seal = str(shown.pop("seal"))
        self.question = approval.question(shown)
        place = folder if isinstance(self.question, CallQuestion) else self.question.session
        self.name = f"{place[-4:]}.{self.question.number}"

    def is_whole(self) -> bool:
        """Say whether the digest belongs to what is shown here."""
        return self.question.seal == self.seal


def main(arguments: list[str]) -> int:
    """Run `ringfence approve`."""
    options = _parser().parse_args(arguments)
    state_dir = host().state_dir
    try:
        if options.question:
            return _answer_one(state_dir, options)
        if options.watch or (sys.stdin.isatty() and not options.json and not options.list):
            return _watch(state_dir, forever=options.watch)
        return _list(state_dir, as_json=options.json)
    except KeyboardInterrupt:
        return 130


def _parser() -> "argparse.ArgumentParser":
    import argparse

    parser = argparse.ArgumentParser(prog="ringfence approve", description=__doc__, allow_abbrev=False)
    parser.add_argument(
        "question", nargs="?", default="", help="the name of a question, as the list shows it"
    )
    group = parser.add_mutually_exclusive_group()
    for name, text in (
        (ONCE, "let exactly this request pass"),
        (SESSION, "let requests to the same scheme, host and port pass until the session ends"),
        (ALWAYS, "the same, and print the line for the policy"),
        (DENY, "refuse it"),
    ):
        group.add_argument(f"--{name}", dest="answer", action="store_const", const=name, help=text)
    parser.add_argument("--list", action="store_true", help="list what waits and end")
    parser.add_argument("--json", action="store_true", help="the list as JSON, one question a line")
    parser.add_argument("-w", "--watch", action="store_true", help="stay, and ask as questions come")
    return parser


def questions(state_dir: str) -> list[Asked]:
    """Return all open questions of all running sessions."""
    found = []
    for _session, folder in approval.waiting(state_dir):
        reply = _say(folder, {"do": "list"})
        found += [Asked(folder, one) for one in reply.get("questions", ())]
    return [one for one in found if one.is_whole()]


def _say(folder: str, message: "dict[str, Any]") -> "dict[str, Any]":
    """Send one message to a gate; a gate that is gone has nothing to say."""
    try:
        with Place(folder) as place, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
            sock.settimeout(_WAIT)
            sock.connect(place.path)
            sock.sendall(json.dumps(message).encode() + b"\n")
            reply: dict[str, Any] = json.loads(sock.makefile("rb").readline(approval.LARGEST * 64) or b"{}")
    except (OSError, ValueError):
        return {"error": "who asked does not wait any more"}
    return reply


def _list(state_dir: str, *, as_json: bool) -> int:
    found = questions(state_dir)
    for one in found:
        if as_json:
            from ringfence.canonical import encode
            from ringfence.value import plain

            about = {} if isinstance(one.question, CallQuestion) else {"url": one.question.url}
            sys.stdout.write(encode({"name": one.name, **about, **plain(one.question)}) + "\n")
        else:
            sys.stdout.write(_shown(one))
    if not found and not as_json:
        sys.stdout.write("Nothing waits for an answer.\n")
    return 0


def _shown(one: Asked) -> str:
    """Show a question whole: nothing of it is cut, what is not plain text is escaped."""
    question = one.question
    if isinstance(question, CallQuestion):
        return _shown_call(one.name, question)
    left = max(question.until - time.time(), 0)
    size = {0: "", -1: ", with a body of unknown length"}.get(
        question.length, f", with {question.length} bytes"
    )
    lines = [
        f"{one.name}  {question.method} {question.url}{size}",
        f"      session {question.session}, asked by {question.rule}",
        *([f"      {question.reason}"] if question.reason else []),
        *([f"      asks for {', '.join(question.what)}"] if question.what else []),
        *([f"      carries {', '.join(question.credentials)}"] if question.credentials else []),
        *(f"      > {name}: {value}" for name, value in question.headers),
        *_body(question),
        f"      refused by itself in {left:.0f} s",
    ]
    return "".join(printable(line) + "\n" for line in lines)


def _body(question: Question) -> "Iterator[str]":
    """Show a body as far as the gate has it; its lines are marked, so that they look like no others."""
    if question.length == 0 or not question.path:  # a connection that nobody looks into has no path
        return
    if question.digest:
        part = "" if question.beginning == question.length else f", its first {question.beginning} bytes"
        yield f"      body, sha256 {question.digest}{part}"
    elif question.beginning:
        yield f"      body streamed once it is allowed: only its first {question.beginning} bytes are here"
    else:
        yield "      body streamed once it is allowed: nothing of it is here"
    if question.beginning:
        for line in question.body.split("\n"):
            yield f"      | {line}"


def _shown_call(name: str, question: CallQuestion) -> str:
    """Show a tool call whole: its text, and its input as it would be used."""
    left = max(question.until - time.time(), 0)
    lines = [
        f"{name}  {question.tool}: {question.text}",
        f"      {question.client} session {question.session}, in {question.cwd}",
        *([f"      project {question.root}"] if question.root != question.cwd else []),
        f"      asked by {question.rule}" if question.rule else "      no rule names it",
        *([f"      {question.reason}"] if question.reason else []),
        *(f"      risk {risk}" for risk in question.risks),
        f"      input {question.input}",
        f"      with {', '.join(name for name, _ in question.environment)} as they are now",
        f"      refused by itself in {left:.0f} s",
    ]
    return "".join(printable(line) + "\n" for line in lines)


def _answer_one(state_dir: str, options: "argparse.Namespace") -> int:
    found = [one for one in questions(state_dir) if one.name == options.question]
    if not found:
        raise UsageError(
            f"no question {options.question!r} is open",
            hint="`ringfence approve --list` shows those that are",
        )
    if not options.answer:
        raise UsageError("how is it answered?", hint="give --once, --session, --always or --deny")
    return _answered(found[0], options.answer)


def _answered(one: Asked, answer: str) -> int:
    call = isinstance(one.question, CallQuestion)
    if call and answer == SESSION:
        raise UsageError("a tool call is allowed once", hint="--once, --always or --deny")
    sent = {True: ONCE, False: SESSION}[call] if answer == ALWAYS else answer
    reply = _say(
        one.folder, {"do": "answer", "number": one.question.number, "seal": one.seal, "answer": sent}
    )
    if "error" in reply:
        sys.stderr.write(f"error: {reply['error']}\n")
        return 1
    sys.stdout.write(f"{one.name}: {_CALL_WORDS[sent] if call else _WORDS[sent]}\n")
    if answer == ALWAYS and not policy_lines(one.question):
        sys.stdout.write("No rule allows just this: it will be asked about again.\n")
    elif answer == ALWAYS:
        sys.stdout.write(f"For the policy, so that it is not asked again:\n\n{policy_lines(one.question)}\n")
    return 0


_WORDS = {
    ONCE: "this request may pass, once",
    SESSION: "requests to this scheme, host and port may pass until the session ends",
    DENY: "refused",
}


_CALL_WORDS = {ONCE: "this call may go on, once", DENY: "refused"}


def policy_lines(question: "Question | CallQuestion") -> str:
    """Return the narrowest rule that would have let this pass; "" where none would."""
    if question.lines or isinstance(question, CallQuestion):
        return question.lines
    lines = ["[[egress.allow]]", f'host = "{question.host}"']
    if question.port != {"https": 443, "http": 80}.get(question.scheme):
        lines.append(f"ports = [{question.port}]")
    if question.scheme != "https":
        lines.append(f'schemes = ["{question.scheme}"]')
    if question.scheme in {"https", "http"}:
        path = question.path.partition("?")[0]
        lines.append(f'methods = ["{question.method}"]')
        if "*" not in path:
            lines.append(f'paths = ["{path}"]')
    return "".join(f"{line}\n" for line in lines)


def _forget_typed() -> None:
    """Drop what was typed before the question stood there: an answer is to what was seen."""
    if sys.stdin.isatty():
        import termios

        termios.tcflush(sys.stdin, termios.TCIFLUSH)


def _watch(state_dir: str, *, forever: bool) -> int:
    """Ask the person, question after question; without `forever` until none is left."""
    skipped: set[str] = set()
    while True:
        found = [one for one in questions(state_dir) if one.seal not in skipped]
        if not found and not forever:
            sys.stdout.write("Nothing waits for an answer.\n")
            return 0
        for one in found:
            choices = "" if isinstance(one.question, CallQuestion) else "this [s]ession, "
            sys.stdout.write(f"{_shown(one)}[o]nce, {choices}[a]lways, [d]eny, or Enter for later: ")
            sys.stdout.flush()
            _forget_typed()
            line = sys.stdin.readline()
            if not line:
                return 0
            answer = _KEYS.get(line.strip()[:1].lower())
            if answer is None or (answer == SESSION and not choices):
                skipped.add(one.seal)
            else:
                _answered(one, answer)
        if not found:
            time.sleep(POLL)
        elif not forever:
            return 0
