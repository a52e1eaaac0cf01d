"""Where clients are told of our hook: a settings file edited so that nothing else in it changes.

The command guards the program from outside. A client takes every end of a hook but status 2 for "go on", so a
missing interpreter, a signal or a fault at import have to become status 2 as well, and they have to say why.
"""

import os
import sys

from ringfence import strict
from ringfence.errors import HostError, UsageError
from ringfence.integrations.clients import MANAGED, PROJECT, USER, Client

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Settings = dict[str, Any]

MARK = "# ringfence hook"  # ends every command of ours, so that it is found again
PATIENCE = 600  # seconds that a client gives a hook; our own clock is faster
LARGEST = 4 << 20


def command(client: Client, folders: dict[str, str]) -> str:
    """Return the shell command that a client runs: absolute, isolated from the environment, guarded."""
    words = [sys.executable, "-I", *_program(), "hook", "--client", client.name]
    words += [word for name, value in folders.items() for word in (f"--{name}", value)]
    guarded = (
        f"{' '.join(map(_quoted, words))}; s=$?; [ $s -eq 0 ] || {{ [ $s -eq 2 ] || "
        'echo "ringfence: refused: the hook ended with status $s" >&2; exit 2; }'
    )
    return f"exec /bin/sh -c {_quoted(guarded)} {MARK}" if client.any_shell else f"{guarded} {MARK}"


def _program() -> tuple[str, ...]:
    """Return what makes the interpreter run this very package, whatever the environment says."""
    import sysconfig

    here = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    installed = sysconfig.get_paths()
    if here in {installed["purelib"], installed["platlib"]}:
        return ("-m", "ringfence.cli")
    return ("-c", f"import sys; sys.path.insert(0, {here!r}); from ringfence.cli import main; main()")


def _quoted(word: str) -> str:
    plain = word and all(char.isalnum() or char in "/._-+@%=:," for char in word)
    return word if plain else "'" + word.replace("'", "'\"'\"'") + "'"


# --- what stands in a settings file


def added(settings: "Settings", client: Client, line: str, scope: str = USER) -> "Settings":
    """Return settings in which our hook stands once for each event."""
    found = removed(settings, client)
    hooks = dict(found.get("hooks", {}))
    name = {"name": _name(settings)} if client.named else {}
    for event in client.events:
        hooks[event] = [*hooks.get(event, []), _entry(client, line, name)]
    head = {"version": 1, **found} if client.style == "cursor" else found
    return {**head, **(_held(settings, client) if scope == MANAGED else {}), "hooks": hooks}


def _name(settings: "Settings") -> str:
    """Return the name that our hook has, or a new one that no repository can guess and so switch off."""
    groups = [group for entries in settings.get("hooks", {}).values() for group in entries]
    hooks = [hook for group in groups if isinstance(group, dict) for hook in group.get("hooks") or ()]
    names = [hook["name"] for hook in hooks if _is_ours(hook) and isinstance(hook.get("name"), str)]
    return names[0] if names else f"ringfence-{os.urandom(8).hex()}"


def _held(settings: "Settings", client: Client) -> "Settings":
    found = {name: settings.get(name) for name in client.held}
    tables = {name: value for name, value in found.items() if isinstance(value, dict)}
    return {name: {**tables.get(name, {}), **value} for name, value in client.held.items()}


def _entry(client: Client, line: str, name: dict[str, str]) -> "Settings":
    if client.style == "cursor":
        return {"command": line, **client.extra}
    timeout = PATIENCE * (1000 if client.milliseconds else 1)
    hook = {"type": "command", **name, "command": line, "timeout": timeout, **client.extra}
    return {"matcher": client.matcher, "hooks": [hook]}


def removed(settings: "Settings", client: Client) -> "Settings":
    """Return settings without our hook, and without lists that it leaves empty."""
    if not isinstance(settings.get("hooks", {}), dict):
        raise UsageError("`hooks` in the settings is no object")
    kept: Settings = {}
    for event, entries in settings.get("hooks", {}).items():
        if not isinstance(entries, list):
            raise UsageError(f"`hooks.{event}` in the settings is no list")
        rest = [one for one in (_without(entry, client) for entry in entries) if one is not None]
        if rest or not entries:
            kept[event] = rest
    others = {name: value for name, value in settings.items() if name != "hooks"}
    return {**others, "hooks": kept} if kept or settings.get("hooks") == {} else others


def _without(entry: object, client: Client) -> object | None:
    if client.style == "cursor":
        return None if _is_ours(entry) else entry
    if not isinstance(entry, dict) or not isinstance(entry.get("hooks"), list):
        return entry
    rest = [hook for hook in entry["hooks"] if not _is_ours(hook)]
    if len(rest) == len(entry["hooks"]):
        return entry
    return {**entry, "hooks": rest} if rest else None


def _is_ours(hook: object) -> bool:
    return isinstance(hook, dict) and str(hook.get("command", "")).rstrip().endswith(MARK)


# --- the file


def place(client: Client, scope: str, *, home: str, project: str, claude: str = "", codex: str = "") -> str:
    """Return the settings file of a scope."""
    if scope not in client.files:
        raise UsageError(f"{client.title} has no {scope} settings that take a hook")
    folders = {"claude": claude or f"{home}/.claude", "codex": codex or f"{home}/.codex"}
    return client.files[scope].format(home=home, project=project, **folders)


def read(path: str, scope: str) -> "tuple[Settings, bytes]":
    """Return a settings file's content and bytes; empty where there is none."""
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | (os.O_NOFOLLOW if scope == PROJECT else 0)
    try:
        descriptor = os.open(path, flags)
    except FileNotFoundError:
        return {}, b""
    except OSError as error:
        raise HostError(f"{path} cannot be read: {error.strerror}") from None
    with open(descriptor, "rb") as file:
        data = file.read(LARGEST + 1)
    try:
        found = strict.loads(data.decode("utf-8") or "{}")
    except ValueError as error:
        raise UsageError(f"{path} is not JSON: {error}", hint="mend it first: nothing was changed") from None
    if not isinstance(found, dict) or len(data) > LARGEST:
        raise UsageError(f"{path} holds no settings", hint="mend it first: nothing was changed")
    return found, data


def _unchanged(path: str, scope: str, before: bytes) -> None:
    if read(path, scope)[1] != before:
        raise HostError(f"{path} was changed by somebody else meanwhile", hint="try again")


def write(path: str, settings: "Settings", before: bytes, scope: str) -> None:
    """Put settings in the place of those that were read: whole or not at all."""
    import json

    real = path if scope == PROJECT else os.path.realpath(path)
    folder = os.path.dirname(real)
    data = (json.dumps(settings, indent=2, ensure_ascii=False) + "\n").encode("utf-8", "surrogatepass")
    mode = 0o644 if scope == MANAGED else 0o600
    try:
        os.makedirs(folder, 0o755 if scope != "user" else 0o700, exist_ok=True)
        if os.path.exists(real):
            mode = os.stat(real).st_mode & 0o777
        mine = f"{real}.{os.getpid()}.{os.urandom(4).hex()}"
        descriptor = os.open(mine, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
        try:
            with open(descriptor, "wb") as file:
                os.fchmod(descriptor, mode)
                file.write(data)
                file.flush()
                os.fsync(descriptor)
            _unchanged(path, scope, before)
            os.rename(mine, real)
        except BaseException:
            os.unlink(mine)
            raise
    except OSError as error:
        raise HostError(f"{path} cannot be written: {error.strerror}") from None
