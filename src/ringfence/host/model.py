"""The machine, as far as a plan depends on it."""

from ringfence.value import Struct


class Host(Struct):
    """Facts read once at the start. Holds no secret: of the environment only names and harmless values."""

    system: str  # "linux" or "darwin"
    arch: str  # as uname says: "x86_64", "aarch64"
    uid: int
    gid: int
    user: str
    home: str
    path: tuple[str, ...]  # the operator's PATH
    set_variables: frozenset[str]  # names of all variables that are set and not empty
    variables: tuple[tuple[str, str], ...]  # the values of harmless ones (TERM, LANG, LC_*, TZ, …)
    config_dir: str  # ~/.config/ringfence
    state_dir: str  # ~/.local/state/ringfence
    cache_dir: str  # ~/.cache/ringfence
    managed_policy: str  # /etc/ringfence/policy.toml
    bwrap: str  # the bundled bubblewrap, else the system's, else ""
    system_bwrap: str  # the distribution's bubblewrap, or ""


class Runtime(Struct):
    """A program that makes another kind of boundary, or why there is none that can be used."""

    path: str = ""
    version: str = ""
    refused: str = ""  # what is missing; empty where it can be used
    mend: str = ""
    tools: "dict[str, str]" = {}  # noqa: RUF012 - never changed; other files that it takes, by what they are
    identities: tuple[int, ...] = ()  # two subordinate uids that an ordinary user's runtime gets
    contents: "dict[str, bytes]" = {}  # noqa: RUF012 - never changed; what it takes out of those files
    links: tuple[tuple[str, str], ...] = ()  # (name, to): folders at the top of this machine that are links
    cpus: int = 1  # of this machine
