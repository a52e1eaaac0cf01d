"""The files of packages that this machine has installed, for an image that is made without a registry.

Read from dpkg's own records (/var/lib/dpkg), without running it. What is taken is what the packages brought:
configuration that somebody has changed since stays here, and so does everything that no package knows.
"""

import os
import stat

from ringfence.errors import HostError

# What an agent works with, of which those are taken that are installed
USUAL = (
    "bash", "ca-certificates", "coreutils", "curl", "dash", "diffutils", "file", "findutils", "gawk", "git",
    "grep", "gzip", "jq", "less", "mawk", "nodejs", "patch", "procps", "python3", "ripgrep", "sed", "tar",
    "xz-utils",
)  # fmt: skip
_RECORDS = "/var/lib/dpkg"
_UNREAD = (
    "/usr/share/doc/",
    "/usr/share/man/",
    "/usr/share/info/",
    "/usr/share/locale/",
    "/usr/share/lintian/",
)
_BUNDLE = "/etc/ssl/certs/ca-certificates.crt"  # made from what packages brought
_LINKED = ("/usr/bin", "/usr/sbin")


class Package:
    """One installed package, as dpkg's status file tells it."""

    def __init__(self, fields: dict[str, str]) -> None:
        """`fields`: of its paragraph."""
        self.name, self.arch = fields["Package"], fields.get("Architecture", "")
        self.needs = [*_names(fields.get("Pre-Depends", "")), *_names(fields.get("Depends", ""))]
        self.provides = [one for group in _names(fields.get("Provides", "")) for one in group]
        self.settings = dict(
            line.split()[:2] for line in fields.get("Conffiles", "").splitlines() if line.strip()
        )

    def files(self) -> list[str]:
        """Return the paths that it brought."""
        for name in (f"{self.name}:{self.arch}", self.name):
            try:
                with open(f"{_RECORDS}/info/{name}.list", encoding="utf-8", errors="surrogateescape") as file:
                    return file.read().split("\n")
            except FileNotFoundError:
                continue
        return []


def installed() -> dict[str, Package]:
    """Return the installed packages by name, and by what they provide. HostError where there is no dpkg."""
    try:
        with open(f"{_RECORDS}/status", encoding="utf-8", errors="replace") as file:
            paragraphs = file.read().split("\n\n")
    except OSError:
        raise HostError(
            "this machine keeps no records of packages that could be read (dpkg's)",
            hint="make an image with your engine, and name it: [container] image",
        ) from None
    found = [
        Package(fields)
        for fields in map(_fields, paragraphs)
        if fields.get("Status", "").endswith(" installed") and "Package" in fields
    ]
    by_name = {name: one for one in found for name in one.provides}
    return {**by_name, **{one.name: one for one in found}}


def closure(names: tuple[str, ...], there: dict[str, Package]) -> list[Package]:
    """Return packages and all that they depend on. Raises HostError for one that is not installed."""
    missing = [name for name in names if name not in there]
    if missing:
        raise HostError(
            f"not installed: {', '.join(missing)}",
            hint=f"apt-get install {' '.join(missing)}, or leave it out",
        )
    found: dict[str, Package] = {}
    todo = [there[name] for name in names]
    while todo:
        one = todo.pop()
        if one.name not in found:
            found[one.name] = one
            todo += [
                there[next(name for name in group if name in there)]
                for group in one.needs
                if _any(group, there)
            ]
    return [found[name] for name in sorted(found)]


def files(packages: list[Package]) -> list[str]:
    """Return the paths to take, in the spelling that has no link in it but the last."""
    settings = {path: digest for one in packages for path, digest in one.settings.items()}
    found: set[str] = set()
    for one in packages:
        for path in one.files():
            if _wanted(path) and (path not in settings or _is_unchanged(path, settings[path])):
                found.add(_placed(path))
    found |= _alternatives(found)
    if any(one.name == "ca-certificates" for one in packages) and os.path.isfile(_BUNDLE):
        found.add(_BUNDLE)
    return sorted(path for path in found if os.path.lexists(path))


def top_links() -> list[str]:
    """Return the links at the top of the root that programs count on: /bin, /lib64 and the like."""
    return sorted(
        f"/{name}"
        for name in os.listdir("/")
        if os.path.islink(f"/{name}") and os.readlink(f"/{name}").startswith("usr/")
    )


def _wanted(path: str) -> bool:
    return path[:1] == "/" and (not path.startswith(_UNREAD) or path.endswith("/copyright"))


def _placed(path: str) -> str:
    folder, name = os.path.split(path)
    return f"{os.path.realpath(folder)}/{name}".replace("//", "/")


def _alternatives(found: set[str]) -> set[str]:
    """Return the links that choose between programs (`awk`, `pager`) and lead to one that is taken."""
    out = set()
    for folder in _LINKED:
        for entry in os.scandir(folder):
            if not entry.is_symlink() or not os.readlink(entry.path).startswith("/etc/alternatives/"):
                continue
            if os.path.realpath(entry.path) in found:
                out |= {entry.path, os.readlink(entry.path)}
    return out


def _is_unchanged(path: str, digest: str) -> bool:
    import hashlib

    try:
        with open(path, "rb") as file:
            return hashlib.md5(file.read(), usedforsecurity=False).hexdigest() == digest
    except OSError:
        return False


def _any(group: list[str], there: dict[str, Package]) -> bool:
    return any(name in there for name in group)


def _fields(paragraph: str) -> dict[str, str]:
    out: dict[str, str] = {}
    name = ""
    for line in paragraph.split("\n"):
        if line[:1] in {" ", "\t"}:
            out[name] = out.get(name, "") + "\n" + line.strip()
        elif ":" in line:
            name, _, value = line.partition(":")
            out[name] = value.strip()
    return out


def _names(relation: str) -> list[list[str]]:
    """Return groups of alternatives: `a (>= 1), b | c` is [[a], [b, c]]."""
    groups = [group.split("|") for group in relation.replace("\n", " ").split(",") if group.strip()]
    return [[one.split("(")[0].split(":")[0].strip() for one in group] for group in groups]


def is_plain(path: str) -> bool:
    """Tell whether a path is a file, a folder or a link, which is all that goes into an image."""
    mode = os.lstat(path).st_mode
    return stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISLNK(mode)
