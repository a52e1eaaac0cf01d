"""Where secrets come from: one kind of source a file, one line in the table.

`read` runs in the egress process. The environment is handed over as a mapping that `gather` filled
in the launcher: nothing here trusts the process's own environment to hold a secret.
"""

import os

from ringfence.credential.secret import Document, Secret, SourceError
from ringfence.policy import kinds
from ringfence.policy.model import Credential

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from ringfence.credential.web import Web

# What a `command:` or `keyring:` source may see. None of these holds a secret; the last ones are how
# keyrings are reached.
COMMAND_VARIABLES = ("PATH", "HOME", "LANG", "USER", "LOGNAME", "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS")
_VAULT = ("ADDR", "CACERT", "NAMESPACE", "TOKEN", "ROLE_ID", "SECRET_ID")
_VARIABLES = {
    "file": ("HOME",),
    "dotenv": ("HOME",),
    "command": COMMAND_VARIABLES,
    "keyring": (*COMMAND_VARIABLES, "PYTHON_KEYRING_BACKEND", "XDG_DATA_HOME", "XDG_CONFIG_HOME"),
    "systemd": ("CREDENTIALS_DIRECTORY",),
    "workspace": (),
    "vault": ("HOME", *(f"{product}_{name}" for name in _VAULT for product in ("BAO", "VAULT"))),
    "aws-sm": (
        *("HOME", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"),
        *("AWS_SHARED_CREDENTIALS_FILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_CA_BUNDLE"),
        *("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_SECRETS_MANAGER"),
    ),
}
# What is read is no single value but a key file, or several values in JSON.
_DOCUMENTS = frozenset({kinds.AWS, kinds.OAUTH, kinds.GITHUB_APP, kinds.GOOGLE, kinds.MTLS})


class Reading:
    """What a source gave, and for how many seconds that may be used without asking again."""

    __slots__ = ("lifetime", "text")

    def __init__(self, text: str, lifetime: float = float("inf")) -> None:
        self.text = text
        self.lifetime = lifetime


class Access:
    """What sources are reached with: the operator's variables, calls to servers, logins under way."""

    def __init__(
        self, environment: "Mapping[str, str]", workspace: str = "", web: "Web | None" = None
    ) -> None:
        self.environment = environment
        self.workspace = workspace
        self.logins: dict[str, tuple[str, float]] = {}  # server -> (token, until when), for vault:
        self.rotated: dict[str, tuple[str, str]] = {}  # credential -> (digest of the source, refresh token)
        self.note: Callable[[str], None] = lambda _: None  # tells the operator; called from any thread
        self._web = web

    @property
    def web(self) -> "Web":
        """Return what makes calls to servers."""
        if self._web is None:
            from ringfence.credential.web import Web

            self._web = Web()
        return self._web

    @property
    def home(self) -> str:
        """Return the operator's home folder."""
        if self.environment.get("HOME"):
            return self.environment["HOME"]
        from pwd import getpwuid

        return getpwuid(os.getuid()).pw_dir


def split(source: str) -> tuple[str, str]:
    """Split a source such as `env:NAME` into its kind and the rest."""
    kind, _, rest = source.partition(":")
    if kind not in kinds.SOURCES or not rest:
        raise SourceError(
            f"`{source}` is not a credential source",
            hint="write env:NAME, file:PATH, command:PROGRAM … or another of docs/credentials.md",
        )
    return kind, rest


def read(credential: Credential, access: Access) -> Reading:
    """Return what the source holds. May block: run it off the event loop."""
    kind, rest = split(credential.source)
    if kind == "env":
        from ringfence.credential.sources import env

        return env.read(rest, access)
    if kind == "file":
        from ringfence.credential.sources import file

        return file.read(rest, access)
    if kind == "command":
        from ringfence.credential.sources import command

        return command.read(rest, access)
    return _read_more(kind, rest, credential, access)


def _read_more(kind: str, rest: str, credential: Credential, access: Access) -> Reading:
    if kind == "keyring":
        from ringfence.credential.sources import keyring

        return keyring.read(rest, access)
    if kind == "dotenv":
        from ringfence.credential.sources import dotenv

        return dotenv.read(rest, access)
    if kind == "systemd":
        from ringfence.credential.sources import systemd

        return systemd.read(rest, access)
    if kind == "workspace":
        from ringfence.credential.sources import workspace

        return workspace.read(rest, access)
    if kind == "vault":
        from ringfence.credential.sources import vault

        return vault.read(rest, access, credential)
    from ringfence.credential.sources import aws_sm

    return aws_sm.read(rest, access, credential)


def wrap(credential: Credential, reading: Reading) -> Secret:
    """Return what was read as a secret that does not show itself."""
    return (Document if credential.kind in _DOCUMENTS else Secret)(reading.text, credential.source)


def fetch(credential: Credential, environment: "Mapping[str, str]", *, workspace: str = "") -> Secret:
    """Return the secret, or say which source failed and what to do."""
    return wrap(credential, read(credential, Access(environment, workspace)))


def path_of(credential: Credential, access: Access) -> str:
    """Return the file that a source reads, or "": when that changes, it is read again."""
    kind, rest = split(credential.source)
    if kind == "file":
        return expand(rest, access.home)
    if kind == "dotenv":
        return expand(rest.rpartition("#")[0], access.home)
    if kind == "workspace":
        return f"{access.workspace}/{rest.rpartition('#')[0]}"
    if kind == "systemd" and access.environment.get("CREDENTIALS_DIRECTORY"):
        return f"{access.environment['CREDENTIALS_DIRECTORY']}/{rest}"
    return ""


def available(
    credential: Credential,
    set_variables: "Collection[str]",
    path: "Iterable[str]" = (),
    home: str = "",
    *,
    workspace: str = "",
) -> bool:
    """Tell cheaply whether a source looks usable: the name is set, the file exists, the program is found.

    A file or a program inside the workspace counts as not there, as it does for `read`.
    """
    kind, rest = split(credential.source)
    if kind == "env":
        return rest in set_variables
    if kind in {"file", "dotenv"}:
        place = expand(rest if kind == "file" else rest.rpartition("#")[0], home)
        return os.path.isfile(place) and not inside(place, workspace)
    if kind == "command":
        return find_program(expand(first_word(rest), home), path, workspace) != ""
    if kind == "workspace":
        return os.path.isfile(f"{workspace}/{rest.rpartition('#')[0]}")
    if kind == "systemd":
        return "CREDENTIALS_DIRECTORY" in set_variables
    if kind == "vault":
        return bool(credential.source_url) or not {"VAULT_ADDR", "BAO_ADDR"}.isdisjoint(set_variables)
    return True


def gather(credentials: "Iterable[Credential]", *, workspace: str = "") -> dict[str, str]:
    """Take from this process's environment what `read` will need for these credentials, and no more."""
    wanted: set[str] = set()
    for credential in credentials:
        kind, rest = split(credential.source)
        wanted.update((rest,) if kind == "env" else _VARIABLES[kind])
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
