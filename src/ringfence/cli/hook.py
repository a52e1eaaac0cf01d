"""`ringfence hook`: answer an agent's question whether a tool may be used.

A client lets the tool run when its hook fails in any way but one: status 2. So everything that goes wrong
here ends with status 2 and the reason on standard error, what takes too long is ended by a clock of our own,
and `ringfence hook install` guards the whole program from outside (a missing interpreter, a signal).

Which folders hold policy and state comes from the command line that `install` wrote, else from the account's
home: the environment of a hook can be set by a project's settings.
"""

import os
import sys

from ringfence.errors import RingfenceError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ringfence.host.model import Host
    from ringfence.integrations.clients import Around, Client, Reply

REFUSED = 2
TIME = 5.0  # seconds for everything but a person's answer
GRACE = 3.0  # more seconds until a clock that needs no interpreter ends the process
LARGEST = 16 << 20  # bytes of input
HELP = """\
usage: ringfence hook [--client claude|codex|gemini|cursor]   answer a question on standard input
       ringfence hook install [OPTION …]                      have a client ask (`--help` says more)
       ringfence hook remove [OPTION …]                       take that back
"""
_OPTIONS = ("--client", "--home", "--config", "--state", "--cache", "--managed", "--claude", "--policy")


def main(arguments: list[str]) -> int:
    """Answer one question, or see to it that questions are asked."""
    if arguments[:1] in (["install"], ["remove"]):
        from ringfence.cli import hook_install

        status: int = hook_install.main(arguments)
        return status
    if arguments[:1] in (["-h"], ["--help"]):
        sys.stdout.write(HELP)
        return 0
    try:
        _arm(TIME)
        made = _answered(_given(arguments))
    except BaseException as error:  # noqa: BLE001 - whatever it is, the tool must not run
        return _refuse(_told(error))
    if made.refusal:
        return _refuse(made.refusal)
    return _say(made.output)


def _given(arguments: list[str]) -> dict[str, str]:
    values: dict[str, str] = {}
    words = iter(arguments)
    for word in words:
        name, equals, value = word.partition("=")
        if name not in _OPTIONS:
            raise UsageError(f"unknown option {word!r}", hint=HELP)
        values[name[2:]] = value if equals else next(words, "")
        if not values[name[2:]]:
            raise UsageError(f"{name} needs a value", hint=HELP)
    return values


# --- deciding


def _answered(given: dict[str, str]) -> "Reply":
    from ringfence import strict
    from ringfence.integrations.clients import NAMES, client
    from ringfence.integrations.permissions import LONGEST_WAIT, Permissions

    name = given.get("client", "claude")
    if name not in NAMES:
        raise UsageError(f"there is no client {name!r}", hint="one of " + ", ".join(NAMES))
    one = client(name)
    data = strict.loads(_input())
    if not isinstance(data, dict):
        raise UsageError("the input is no JSON object")
    asked = one.asked(data, _around(one))
    machine = host(given)
    permissions = Permissions(
        machine, asked.root, claude=given.get("claude", ""), policy_file=given.get("policy", "")
    )
    _arm(TIME + min(permissions.policy.commands.prompt_timeout, LONGEST_WAIT))
    return one.reply(str(data.get("hook_event_name", "")), permissions.answer(asked))


def _input() -> str:
    pieces, size = [], 0
    while piece := os.read(0, 1 << 16):
        size += len(piece)
        if size > LARGEST:
            raise UsageError("the input is larger than 16 MiB")
        pieces.append(piece)
    return b"".join(pieces).decode("utf-8")


def host(given: dict[str, str]) -> "Host":
    """Return this machine with the folders that the command line names; the environment names none."""
    from ringfence.host import probe
    from ringfence.value import replace

    found = probe.host()
    home = given.get("home") or probe.account_home()
    usual = {"config": ".config/ringfence", "state": ".local/state/ringfence", "cache": ".cache/ringfence"}
    folders = {f"{name}_dir": given.get(name) or f"{home}/{place}" for name, place in usual.items()}
    managed = probe.managed(given.get("managed") or probe.MANAGED)
    return replace(found, home=home, managed_policy=managed, **folders)


def _around(client: "Client") -> "Around":
    from ringfence.host import probe
    from ringfence.integrations import clients
    from ringfence.integrations.clients import Around

    told = probe.settings(("CLAUDE_PROJECT_DIR", "GEMINI_PROJECT_DIR"))
    project = told.get("CLAUDE_PROJECT_DIR") or told.get("GEMINI_PROJECT_DIR") or ""
    shells = clients.all_shells() if client.named_shell else clients.shells()
    return Around(project=project, here=os.getcwd(), shells=shells)


# --- telling


def _say(text: str) -> int:
    """Write everything, or refuse; then end without tidying up, which would only cost time."""
    data = text.encode("utf-8", "backslashreplace")
    try:
        while data:
            data = data[os.write(1, data) :]
    except OSError as error:
        return _refuse(f"the answer could not be written: {error.strerror}")
    sys.stderr.flush()
    os._exit(0)


def _refuse(reason: str) -> int:
    _end_with(f"ringfence: refused: {reason}\n")
    return REFUSED


def _end_with(text: str) -> None:
    try:
        os.write(2, text.encode("utf-8", "backslashreplace"))
    finally:
        os._exit(REFUSED)


def _told(error: BaseException) -> str:
    if isinstance(error, RingfenceError):
        return " ".join(error.render().split())
    if isinstance(error, ValueError):
        return f"the input cannot be used: {error}"
    if isinstance(error, OSError):
        return f"{error.filename or 'a file'}: {error.strerror or error}"
    return f"this is a fault of ringfence: {type(error).__name__}: {error}"


# --- the clock


def _arm(seconds: float) -> None:
    """End this process in time: by a signal, and where the interpreter is stuck, without it."""
    import _signal as signal  # type: ignore[import-not-found] # `signal` itself imports enum: 3 ms
    import faulthandler

    signal.signal(signal.SIGALRM, _too_late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    faulthandler.dump_traceback_later(seconds + GRACE, exit=True)


def _too_late(_signal: int, _frame: object) -> None:
    _end_with("ringfence: refused: no answer was found in time\n")
