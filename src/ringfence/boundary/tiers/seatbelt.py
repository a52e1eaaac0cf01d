"""The macOS sandbox tier: a Seatbelt profile (SBPL) rendered from the plan. Pure.

Seatbelt judges paths, not mounts, and of all the rules that match an operation the last one wins.
So the profile is the plan read aloud in order: everything is denied; each mount allows or denies
its whole subtree and overrides those before it, as a later mount covers an earlier one; then come
the hidden and the protected paths, which override all. What follows from judging by path:

- A path cannot be shown at another place. A mount whose target is not its source is refused here.
- A name that is denied can be moved out from under its rule by renaming a folder above it, so every
  ancestor of a hidden or protected path, up to the writable mount's own root, may not be unlinked
  (rename(2) asks for that).
- A hard link or a clone would be a second name outside the rule: `file-link` and `file-clone` are
  operations of their own, which the profile never allows.
- Patterns hold for names that do not exist yet, so what Linux has to set aside at the end cannot be
  made in the first place. macOS ignores case by default: patterns do too.

Private file systems (tmpfs) do not exist: the launcher plans a scratch directory as a writable mount.
"""

from ringfence.boundary.model import Mount, Plan
from ringfence.errors import BoundaryError
from ringfence.workspace import tables

# What any program needs to start: the dynamic linker's cache, system libraries, time zones, devices.
BASE_READS = (
    "/System/Library", "/System/Cryptexes", "/System/Volumes/Preboot/Cryptexes", "/usr/lib", "/usr/share",
    "/private/var/db/dyld", "/private/var/db/timezone", "/Library/Apple/System/Library",
)  # fmt: skip
BASE_METADATA = (  # the way to everything else
    "/", "/etc", "/tmp", "/var", "/private", "/private/etc", "/private/var", "/private/tmp", "/dev",  # noqa: S108
)  # fmt: skip
DEVICES = (
    "/dev/null",
    "/dev/zero",
    "/dev/random",
    "/dev/urandom",
    "/dev/tty",
    "/dev/ptmx",
    "/dev/dtracehelper",
)
_TERMINALS = "^/dev/ttys[0-9]+$"

# Services every program asks for: users and groups, logging, notifications. Left out on purpose are
# the keychain (securityd), the pasteboard, launchservicesd (opens programs outside), Apple events,
# and trustd, which fetches from the network on request.
MACH_SERVICES = (
    "com.apple.bsd.dirhelper",
    "com.apple.logd",
    "com.apple.system.logger",
    "com.apple.system.notification_center",
    "com.apple.system.opendirectoryd.libinfo",
    "com.apple.system.opendirectoryd.membership",
)
SYSCTLS = (
    "hw.activecpu", "hw.byteorder", "hw.cachelinesize", "hw.cpufrequency", "hw.cputype", "hw.cpusubtype",
    "hw.logicalcpu", "hw.logicalcpu_max", "hw.machine", "hw.memsize", "hw.model", "hw.ncpu",
    "hw.nperflevels", "hw.packages", "hw.pagesize", "hw.pagesize_compat", "hw.physicalcpu",
    "hw.physicalcpu_max", "kern.argmax", "kern.hostname", "kern.iossupportversion", "kern.maxfilesperproc",
    "kern.maxproc", "kern.ngroups", "kern.osproductversion", "kern.osrelease", "kern.ostype",
    "kern.osvariant_status", "kern.osversion", "kern.secure_kernel", "kern.tcsm_available",
    "kern.tcsm_enable", "kern.usrstack64", "kern.version", "machdep.cpu.brand_string",
    "machdep.ptrauth_enabled", "sysctl.proc_cputype", "sysctl.proc_native", "sysctl.proc_translated",
    "vm.loadavg",
)  # fmt: skip
SYSCTL_PREFIXES = ("hw.optional.", "hw.perflevel")


_READING = "file-read* file-test-existence file-map-executable process-exec"
_EVERYTHING = f"{_READING} file-write*"
# What the host runs or obeys later, wherever it appears: a pattern needs no file that exists.
_BUILT_IN = (
    *(f"**/{name}" for name in sorted(tables.PROTECTED_FILES | tables.PROTECTED_FOLDERS)),
    *(f"**/.git/{name}" for name in tables.PROTECTED_IN_GIT),
)
_OF_A_ROOT = frozenset(
    {"symlink", "text", "directory", "pin"}
)  # made for a root of one's own, which there is none of here
_LAYERED = frozenset({"overlay", "stand-in"})
_COVERS = frozenset({"tmpfs", "mask"})  # what is below cannot be seen
_SHOWS_WRITABLE = frozenset({"rw"})
_SHOWS = frozenset({"ro", "rw", "masked"})


def render(plan: Plan) -> str:
    """Return the profile for `sandbox-exec -p`."""
    blocks = (
        ("what a process is made of", _process()),
        ("files every program needs", _base()),
        ("the plan's mounts, in order", _mounts(plan.mounts)),
        ("the way to them", _ancestors(plan.mounts)),
        ("hidden: does not exist for the agent", _hidden(plan)),
        ("protected: the host runs or obeys it later", _protected(plan)),
        ("names that may not move, since rules are bound to them", _pinned(plan)),
        ("the only way out: the gate", _network(plan)),
    )
    lines = ["(version 1)", "(deny default)"]
    for title, rules in blocks:
        if rules:
            lines += ["", f"; {title}", *rules]
    return "\n".join(lines) + "\n"


def quote(text: str) -> str:
    """Return a string literal: nothing in a path can end it or start a rule of its own."""
    out = []
    for byte in text.encode("utf-8", "surrogateescape"):
        if byte in b'"\\':
            out.append("\\" + chr(byte))
        elif byte < 0x20 or byte >= 0x7F:
            out.append(f"\\x{byte:02x}")
        else:
            out.append(chr(byte))
    return f'"{"".join(out)}"'


def pattern(root: str, glob: str) -> str:
    """Return a regular expression for a pattern below `root` and everything under what it matches."""
    body = glob.strip("/")
    depth = "(.*/)?" if body.startswith("**/") else ""
    parts = [_segment(part) for part in body.removeprefix("**/").split("/")]
    return f"^{_escaped(root.rstrip('/'), fold=False)}/{depth}{'/'.join(parts)}(/.*)?$"


def _segment(text: str) -> str:
    if text == "**":
        return ".*"
    return "[^/]*".join(
        "[^/]".join(_escaped(part, fold=True) for part in star.split("?")) for star in text.split("*")
    )


def _escaped(text: str, *, fold: bool) -> str:
    out = []
    for letter in text:
        if fold and letter.isascii() and letter.isalpha():
            out.append(f"[{letter.lower()}{letter.upper()}]")
        elif letter in "\\.[]{}()*+?^$|":
            out.append("\\" + letter)
        else:
            out.append(letter)
    return "".join(out)


def _rule(verdict: str, operations: str, *filters: str) -> str:
    return f"({verdict} {operations} {' '.join(filters)})" if filters else f"({verdict} {operations})"


def _subpath(path: str) -> str:
    return f"(subpath {quote(path)})"


def _literal(path: str) -> str:
    return f"(literal {quote(path)})"


def _process() -> list[str]:
    same = "(target same-sandbox)"
    services = " ".join(f"(global-name {quote(name)})" for name in MACH_SERVICES)
    names = " ".join(f"(sysctl-name {quote(name)})" for name in SYSCTLS)
    prefixes = " ".join(f"(sysctl-name-prefix {quote(name)})" for name in SYSCTL_PREFIXES)
    return [
        _rule("allow", "process-fork"),
        _rule("allow", "process-info*", same),
        _rule("allow", "signal", same),
        _rule("allow", "mach-lookup", services),
        _rule("allow", "sysctl-read", names, prefixes),
        _rule("allow", "ipc-posix-sem"),
        _rule("allow", "pseudo-tty"),
    ]


def _base() -> list[str]:
    devices = [_literal(path) for path in DEVICES]
    terminals = f"(regex {quote(_TERMINALS)})"
    reads = [_subpath(path) for path in BASE_READS]
    return [
        _rule("allow", _READING, *reads),
        _rule("allow", "file-read-metadata", *map(_literal, BASE_METADATA)),
        _rule("allow", "file-read-data", _literal("/")),
        _rule("allow", "file-read* file-write-data file-ioctl", *devices, terminals),
    ]


def _mounts(mounts: tuple[Mount, ...]) -> list[str]:
    rules = []
    for mount in mounts:
        if mount.kind in _OF_A_ROOT:
            continue
        if mount.kind in _LAYERED:
            raise BoundaryError(
                "macOS mounts no overlay, so a session there cannot work on a copy of the project",
                hint='`--mode direct`, or `mode = "readonly"` under [workspace]',
            )
        here = _subpath(mount.target)
        if mount.kind in _COVERS:
            rules.append(_rule("deny", _EVERYTHING, here))
            continue
        if mount.source != mount.target:
            raise BoundaryError(
                f"macOS cannot show {mount.source!r} at {mount.target!r}: Seatbelt moves no path",
                hint="use the same path inside and outside",
            )
        rules.append(_rule("allow", _READING, here))
        if mount.kind in _SHOWS_WRITABLE:
            rules += [_rule("allow", "file-write*", here), _rule("deny", "file-write-setugid", here)]
        else:
            rules.append(_rule("deny", "file-write*", here))
    return rules


def _ancestors(mounts: tuple[Mount, ...]) -> list[str]:
    """Let programs find their way: realpath(3) and getcwd(3) look at every folder above."""
    found: dict[str, None] = {}
    for mount in mounts:
        if mount.kind in _SHOWS:
            found.update(dict.fromkeys(_above(mount.target)))
    return [_rule("allow", "file-read-metadata", *map(_literal, sorted(found)))] if found else []


def _above(path: str, stop: str = "/") -> list[str]:
    """Return the folders above a path, nearest first, down to but without `stop`."""
    found = []
    path = path.rpartition("/")[0]
    while path and path != stop:
        found.append(path)
        path = path.rpartition("/")[0]
    return found


def _absolute(plan: Plan, path: str) -> str:
    return path if path.startswith("/") else f"{plan.workspace.root}/{path}"


def _hidden(plan: Plan) -> list[str]:
    return [_rule("deny", _EVERYTHING, _subpath(_absolute(plan, one.path))) for one in plan.workspace.hidden]


def _protected(plan: Plan) -> list[str]:
    filters = [_subpath(_absolute(plan, path)) for path in plan.workspace.protected]
    if plan.workspace.mode == "direct":
        globs = (*_BUILT_IN, *plan.workspace.watched)
        filters += [f"(regex {quote(pattern(plan.workspace.root, glob))})" for glob in globs]
    return [_rule("deny", "file-write*", one) for one in filters]


def _pinned(plan: Plan) -> list[str]:
    """Deny unlinking whatever stands above a path that a rule is bound to, and the mounts' own roots."""
    roots = [mount.target for mount in plan.mounts if mount.kind == "rw"]
    bound = [_absolute(plan, one.path) for one in plan.workspace.hidden]
    bound += [_absolute(plan, path) for path in plan.workspace.protected]
    bound += [mount.target for mount in plan.mounts if mount.kind in _SHOWS | _COVERS]
    names: dict[str, None] = dict.fromkeys(roots)
    names.update(dict.fromkeys(_absolute(plan, path) for path in plan.workspace.pinned))
    for path in bound:
        names.update(dict.fromkeys(_above(path)))
    writable = [
        name for name in sorted(names) if any(name == root or name.startswith(f"{root}/") for root in roots)
    ]
    return [_rule("deny", "file-write-unlink", _literal(name)) for name in writable]


def _network(plan: Plan) -> list[str]:
    rules = []
    if plan.wire.kind != "none":
        rules.append(_rule("allow", "network-outbound", f'(remote ip "localhost:{plan.wire.proxy_port}")'))
    ports = [f'(local ip "localhost:{port.inside_port}")' for port in plan.publish]
    return rules + [_rule("allow", "network-bind network-inbound", one) for one in ports]
