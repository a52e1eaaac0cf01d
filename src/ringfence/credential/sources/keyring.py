"""`keyring:SERVICE/USER`: the desktop's keyring.

Asked by the `keyring` library where it is installed (the extra `keyring`), else by libsecret's
`secret-tool`, else by macOS's `security`. Each runs as a program of its own, as `command:` sources do.
"""

import importlib.util
import sys

from ringfence.credential.secret import SourceError
from ringfence.credential.sources import Access, Reading, find_program
from ringfence.credential.sources.command import LIFETIME, PATH, run

_ALSO = ("PYTHON_KEYRING_BACKEND", "XDG_DATA_HOME", "XDG_CONFIG_HOME")


def read(rest: str, access: Access) -> Reading:
    """Return what the keyring holds for a service and a user."""
    service, _, user = rest.rpartition("/")
    source = f"keyring:{rest}"
    return Reading(run(source, argv(source, service, user, access), access, also=_ALSO), LIFETIME)


def argv(source: str, service: str, user: str, access: Access) -> list[str]:
    """Return the program that asks the keyring, with its arguments."""
    if importlib.util.find_spec("keyring") is not None:
        return [sys.executable, "-I", "-m", "keyring", "get", "--", service, user]
    path = (access.environment.get("PATH") or PATH).split(":")
    if program := find_program("secret-tool", path, access.workspace):
        return [program, "lookup", "service", service, "username", user]
    if sys.platform == "darwin":
        return ["/usr/bin/security", "find-generic-password", "-s", service, "-a", user, "-w"]
    raise SourceError(
        f"`{source}`: nothing here can ask a keyring",
        hint="pip install 'ringfence[keyring]', or install libsecret's secret-tool",
    )
