"""Where secrets come from: one kind of source a file, one line in the table.

`fetch` runs in the egress process. The environment is handed over as a mapping that `gather` filled
in the launcher: nothing here trusts the process's own environment to hold a secret.
"""

import os

from ringfence.credential.secret import Secret, SourceError
from ringfence.policy.model import Credential

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

KINDS = ("env", "file", "command")
# What a `command:` source may see. None of these holds a secret; the last two are how keyrings are reached.
COMMAND_VARIABLES = ("PATH", "HOME", "LANG", "USER", "LOGNAME", "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS")


def split(source: str) -> tuple[str, str]:
    """Split a source such as `env:NAME` into its kind and the rest."""
    kind, _, rest = source.partition(":")
    if kind not in KINDS or not rest:
        raise SourceError(
            f"`{source}` is not a credential source", hint="write env:NAME, file:PATH or command:PROGRAM …"
        )
    return kind, rest


def fetch(credential: Credential, environment: "Mapping[str, str]", *, workspace: str = "") -> Secret:
    """Return the secret, or say which source failed and what to do. May block: run it off the event loop."""
    kind, rest = split(credential.source)
    if kind == "env":
        from ringfence.credential.sources import env

        return env.fetch(rest, environment)
    if kind == "file":
        from ringfence.credential.sources import file

        return file.fetch(rest, environment, workspace)
    from ringfence.credential.sources import command

    return command.fetch(rest, environment, workspace)


def available(
    credential: Credential,
    set_variables: "Collection[str]",
    path: "Iterable[str]" = (),
    home: str = "",
    *,
    workspace: str = "",
) -> bool:
    """Tell cheaply whether a source looks usable: the name is set, the file exists, the program is found.

    A file or a program inside the workspace counts as not there, as it does for `fetch`.
    """
    kind, rest = split(credential.source)
    if kind == "env":
        return rest in set_variables
    if kind == "file":
        place = expand(rest, home)
        return os.path.isfile(place) and not inside(place, workspace)
    return find_program(expand(first_word(rest), home), path, workspace) != ""


def gather(credentials: "Iterable[Credential]", *, workspace: str = "") -> dict[str, str]:
    """Take from this process's environment what `fetch` will need for these credentials, and no more."""
    wanted: set[str] = set()
    for credential in credentials:
        kind, rest = split(credential.source)
        wanted.update({"env": (rest,), "file": ("HOME",), "command": COMMAND_VARIABLES}[kind])
    found = {name: os.environ[name] for name in sorted(wanted) if os.environ.get(name)}
    return {**found, "PATH": own_path(found["PATH"], workspace)} if "PATH" in found else found


def own_path(path: str, workspace: str) -> str:
    """Return PATH without what is relative or in the workspace, such as an activated environment."""
    return ":".join(one for one in path.split(":") if one.startswith("/") and not inside(one, workspace))


def first_word(words: str) -> str:
    """Return the program of a command, quoted as a whole or not at all, without importing shlex."""
    if words[:1] in {"'", '"'}:
        return words[1:].partition(words[0])[0]
    return words.split(None, 1)[0] if words.split() else ""


def expand(path: str, home: str) -> str:
    """Expand a leading `~`."""
    if path != "~" and not path.startswith("~/"):
        return path
    return home + path[1:]


def find_program(name: str, path: "Iterable[str]", workspace: str) -> str:
    """Return where a program is, or "". Never looks inside the workspace, which the agent can write."""
    if "/" in name:
        candidates = [name] if name.startswith("/") else []
    else:
        candidates = [f"{folder}/{name}" for folder in path if folder.startswith("/")]
    for candidate in candidates:
        if os.path.isfile(candidate) and os.access(candidate, os.X_OK) and not inside(candidate, workspace):
            return candidate
    return ""


def inside(path: str, folder: str) -> bool:
    """Tell whether a path, or what it points to, lies in a folder."""
    if not folder:
        return False
    root = os.path.realpath(folder).rstrip("/") + "/"
    return any((one + "/").startswith(root) for one in (os.path.abspath(path), os.path.realpath(path)))
