"""What the planner must know of this machine's file system: asked once, before anything is decided.

Everything here is a question; `plan.py` decides. Together with the policy a survey determines the
plan, so a golden test can pin a plan without this machine.
"""

import os
import stat
import sys

from ringfence.boundary import landlock, shown
from ringfence.boundary.shown import Shown
from ringfence.canonical import sha256
from ringfence.credential.authority import mount_points
from ringfence.host import identity, toolchains
from ringfence.host.model import Host
from ringfence.host.toolchains import Toolchain
from ringfence.policy.model import Policy
from ringfence.value import Struct, replace
from ringfence.verdict.execution import denied
from ringfence.workspace import aside, detect, git_config, scan
from ringfence.workspace.aside import Identity
from ringfence.workspace.scan import Findings, Found, Names

# Of /etc only what programs need to run; /etc/shadow, sudoers, pip.conf, npmrc and the like stay out
ETC = (
    "alternatives", "bash.bashrc", "bash_completion", "ca-certificates", "ca-certificates.conf",
    "crypto-policies",
    "debian_version", "default/locale", "fonts", "host.conf", "inputrc", "java", "java-11-openjdk",
    "java-17-openjdk", "java-21-openjdk", "java-25-openjdk", "ld.so.cache", "ld.so.conf", "ld.so.conf.d",
    "locale.alias", "localtime", "lsb-release", "magic", "magic.mime", "maven", "mime.types", "os-release",
    "perl", "pki/ca-trust", "pki/tls", "pki/java", "profile", "profile.d", "protocols", "python3",
    "python3.11", "python3.12", "python3.13", "R", "redhat-release", "alpine-release", "services",
    "sgml", "shells",
    "ssl/certs", "ssl/openssl.cnf", "ssl/ca-bundle.pem", "ssl/cert.pem", "terminfo", "timezone", "xml",
    "zsh", "ImageMagick-6", "ImageMagick-7", "rpc", "ethertypes", "gai.conf", "emacs", "vim",
)  # fmt: skip


# Files of /proc that tell about the whole machine, or about the operator's keys by their names
PROC = ("keys", "key-users", "timer_list", "sched_debug", "kcore", "latency_stats", "kallsyms", "slabinfo")


class Entry(Struct):
    """One path of the system: a folder or file to bind, or a link to make again."""

    path: str
    link: str = ""


class Repository(Struct):
    """A git folder outside the workspace that the workspace's git needs."""

    path: str
    hidden: tuple[Found, ...]
    clean_configs: tuple[tuple[str, str], ...]


class Survey(Struct):
    """The answers."""

    workspace: str
    owner: int  # uid that owns the workspace
    writable: bool  # by the operator
    system: tuple[Entry, ...]
    etc: tuple[Entry, ...]
    toolchains: tuple[Toolchain, ...]
    readable: tuple[str, ...]  # policy's files.read that exist, real paths
    writable_paths: tuple[str, ...]  # policy's files.write that exist, real paths
    missing: tuple[str, ...]  # policy paths that do not exist
    plain_files: frozenset[str]  # those of all these paths that are no folders
    findings: Findings  # in the workspace; `findings.hidden` with links replaced by what they lead to
    clean_configs: tuple[
        tuple[str, str], ...
    ]  # (path in the workspace, git configuration without credentials)
    identities: tuple[Identity, ...]  # which files stand at protected paths
    hidden_elsewhere: tuple[
        tuple[str, str, bool], ...
    ]  # (path, rule, is a folder) in the other visible paths
    protected_elsewhere: tuple[str, ...]  # below the writable paths
    git_user: tuple[str, str]
    landlock: int  # ABI
    trust: tuple[tuple[str, str], ...]  # (system file, "bundle" or "keystore")
    proc: tuple[str, ...]  # files of /proc that are there and to be covered
    java: bool  # whether a JVM is on PATH
    cgroup: str  # "v2", "v1" or "": where this process may make limits
    command: str  # the command's absolute path on the host, or as given
    kept: tuple[str, ...] = ()  # the policy's workspace.keep that can be mounted on, relative
    repository: Repository | None = None  # that a linked worktree or a submodule belongs to
    output: str = ""  # the policy's workspace.output, real path
    submounts: tuple[str, ...] = ()  # other file systems mounted in the workspace: no part of an overlay
    shown: tuple[Shown, ...] = ()  # settings files that credentials are taken from, as copies
    programs: str = ""  # why deny rules cannot be held when programs start; asked where there are such rules


def survey(policy: Policy, host: Host, workspace: str, argv: tuple[str, ...]) -> Survey:
    """Ask this machine everything that a plan for `argv` in `workspace` depends on."""
    names = names_of(policy)
    status = os.stat(workspace)
    readable, missing_read = _real(policy.files.read, host.home)
    output, missing_output = _real((policy.workspace.output,) if policy.workspace.output else (), host.home)
    writable, missing_write = _real((*policy.files.write, *output), host.home)
    command = _command(argv, host.path, workspace)
    found = toolchains.find(host.path, host.home)
    own = toolchains.of_command(command, (workspace, *(one.path for one in found)), host.home)
    found = found if own is None else (*found, own)
    found = tuple(one for one in found if not _overlaps(one.path, workspace))
    others = (*readable, *writable, *(one.path for one in found if not one.installed))
    java = _java(host.path)
    raw = _with_ourselves(workspace, _scan(workspace, names, host))
    return Survey(
        workspace=workspace,
        owner=status.st_uid,
        writable=os.access(workspace, os.W_OK),
        system=_entries(toolchains.SYSTEM),
        etc=_entries(tuple(f"/etc/{name}" for name in ETC)),
        toolchains=found,
        readable=readable,
        writable_paths=writable,
        missing=missing_read + missing_write + missing_output,
        plain_files=frozenset(path for path in others if not os.path.isdir(path)),
        findings=_with_keys(workspace, _without_links(workspace, raw), policy, host),
        clean_configs=_clean_configs(workspace, raw),
        identities=aside.identities(workspace, raw),
        hidden_elsewhere=_hidden_elsewhere(others, names, host),
        protected_elsewhere=_protected_elsewhere(writable, names, host),
        git_user=identity.git_user(host.home),
        landlock=landlock.abi(),
        programs=_programs(policy),
        trust=mount_points(java),
        proc=tuple(f"/proc/{name}" for name in PROC if os.path.exists(f"/proc/{name}")),
        java=bool(java),
        cgroup=_cgroup(),
        command=command,
        kept=tuple(path for path in policy.workspace.keep if _can_keep(workspace, path)),
        repository=_repository(workspace, host) if policy.workspace.mode == "overlay" else None,
        output=output[0] if output else "",
        submounts=_submounts(workspace) if policy.workspace.mode == "overlay" else (),
        shown=shown.ask(policy, workspace),
    )


def _repository(workspace: str, host: Host) -> Repository | None:
    if not os.path.isfile(f"{workspace}/.git"):
        return None
    from ringfence.workspace import git_link

    path = git_link.repository(workspace)
    if not path:
        return None
    raw = scan.walk(path, Names(), cache_file(path, host))
    found = _without_links(path, raw)
    return Repository(path=path, hidden=found.hidden, clean_configs=_clean_configs(path, raw))


def _can_keep(workspace: str, path: str) -> bool:
    """Tell whether every part of a path is a folder, or not there: no link may lead a mount elsewhere."""
    parts = path.split("/")
    for end in range(1, len(parts) + 1):
        try:
            mode = os.lstat("/".join((workspace, *parts[:end]))).st_mode
        except FileNotFoundError:
            return True
        if not stat.S_ISDIR(mode):
            return False
    return True


def _submounts(workspace: str) -> tuple[str, ...]:
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        places = [line.split(" ", 5)[4] for line in file]
    unescaped = [
        place.replace("\\040", " ").replace("\\011", "\t").replace("\\134", "\\") for place in places
    ]
    return tuple(place for place in unescaped if place.startswith(workspace + "/"))


def _with_ourselves(workspace: str, findings: Findings) -> Findings:
    """Protect the virtual environment that this very program runs from, where it lies in the workspace."""
    prefix = os.path.realpath(sys.prefix)
    if not prefix.startswith(workspace + "/"):
        return findings
    own = Found(path=prefix[len(workspace) + 1 :], rule="ringfence itself", directory=True)
    below = own.path + "/"
    others = tuple(one for one in findings.protected if not one.path.startswith(below))
    return replace(findings, protected=(*others, own))


def _scan(workspace: str, names: Names, host: Host) -> Findings:
    if names == Names() and _is_empty(workspace):
        return Findings(hidden=(), protected=(), entries=0)
    return scan.walk(workspace, names, cache_file(workspace, host))


def names_of(policy: Policy) -> Names:
    """Return what a walk over the workspace looks for."""
    return Names(mask=policy.workspace.mask, unmask=policy.workspace.unmask, protect=policy.workspace.protect)


def cache_file(workspace: str, host: Host) -> str:
    """Return where findings in this workspace are kept between walks."""
    key = sha256(workspace.encode("utf-8", "surrogateescape"))[:24]
    return f"{host.cache_dir}/scan/{key}" if host.cache_dir else ""


def _without_links(workspace: str, findings: Findings) -> Findings:
    """Replace hidden links by what they lead to inside the workspace; drop protected ones.

    A mount cannot cover a link. One that leads outside leads to nothing inside the boundary; a
    protected link that is replaced shows at the end by its identity.
    """
    hidden = []
    for found in findings.hidden:
        full = f"{workspace}/{found.path}"
        if not os.path.islink(full):
            hidden.append(found)
            continue
        real = os.path.realpath(full)
        if real.startswith(workspace + "/") and os.path.exists(real):
            inner = real[len(workspace) + 1 :]
            hidden.append(Found(path=inner, rule=found.rule, directory=os.path.isdir(real)))
    protected = tuple(one for one in findings.protected if not os.path.islink(f"{workspace}/{one.path}"))
    unique = {one.path: one for one in hidden}
    return Findings(hidden=tuple(unique.values()), protected=protected, entries=findings.entries)


def _with_keys(workspace: str, findings: Findings, policy: Policy, host: Host) -> Findings:
    """Hide what the last scan found keys in too, where that is not hidden anyway."""
    if policy.workspace.content != "mask":
        return findings
    names = {one.path for one in findings.hidden}
    folders = tuple(one.path + "/" for one in findings.hidden if one.directory)
    kept = detect.file_of(host.cache_dir, workspace)
    hits = detect.found(workspace, kept, policy.workspace.unmask)
    more = [one for one in hits if one.path not in names and not one.path.startswith(folders)]
    return replace(findings, hidden=(*findings.hidden, *more)) if more else findings


def _clean_configs(workspace: str, findings: Findings) -> tuple[tuple[str, str], ...]:
    """Return copies of git configurations that hold credentials; of a link, for the file that it leads to."""
    names = ("/config", "/config.worktree")
    found = [one.path for one in findings.protected if f"/{one.path}".endswith(names) and not one.directory]
    real = {os.path.realpath(f"{workspace}/{path}") for path in found}
    inside = sorted(path for path in real if path.startswith(workspace + "/"))
    copies = [(path[len(workspace) + 1 :], git_config.clean_copy(path)) for path in inside]
    return tuple((path, text) for path, text in copies if text is not None)


def _is_empty(path: str) -> bool:
    with os.scandir(path) as entries:
        return next(entries, None) is None


def _hidden_elsewhere(paths: tuple[str, ...], names: Names, host: Host) -> tuple[tuple[str, str, bool], ...]:
    out = {}
    wanted = Names(mask=names.mask, unmask=names.unmask)
    for path in dict.fromkeys(paths):
        if os.path.isdir(path):
            found = scan.walk(path, wanted, cache_file(path, host), protections=False)
            for one in _without_links(path, found).hidden:
                out[f"{path}/{one.path}"] = (f"{path}/{one.path}", one.rule, one.directory)
    return tuple(out.values())


def _protected_elsewhere(paths: tuple[str, ...], names: Names, host: Host) -> tuple[str, ...]:
    """Return what the host runs or obeys below other paths that may be written."""
    wanted = Names(mask=names.mask, unmask=names.unmask)
    out = []
    for path in paths:
        if os.path.isdir(path):
            found = _without_links(path, scan.walk(path, wanted, cache_file(path, host), protections=False))
            masked = {one.path for one in found.hidden}
            out += [f"{path}/{one.path}" for one in found.protected if one.path not in masked]
    return tuple(out)


def _real(paths: tuple[str, ...], home: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    present, missing = [], []
    for path in paths:
        full = home + path[1:] if path == "~" or path.startswith("~/") else path
        if os.path.exists(full):
            present.append(os.path.realpath(full))
        else:
            missing.append(path)
    return tuple(dict.fromkeys(present)), tuple(missing)


def _entries(paths: tuple[str, ...]) -> tuple[Entry, ...]:
    out = []
    for path in paths:
        try:
            mode = os.lstat(path).st_mode
        except OSError:
            continue
        out.append(Entry(path=path, link=os.readlink(path) if stat.S_ISLNK(mode) else ""))
    return tuple(out)


def _overlaps(path: str, workspace: str) -> bool:
    """Tell whether a toolchain folder lies in the workspace: the workspace's own mount shows it."""
    return path == workspace or path.startswith(workspace + "/")


def _java(path: tuple[str, ...]) -> tuple[str, ...]:
    candidates = [f"{entry}/java" for entry in path if entry.startswith("/")]
    return tuple(one for one in candidates if os.access(one, os.X_OK))[:1]


def _command(argv: tuple[str, ...], path: tuple[str, ...], workspace: str) -> str:
    """Return where the command lies; relative names with a slash count from the workspace."""
    name = argv[0]
    if "/" in name:
        return name if name.startswith("/") else os.path.normpath(f"{workspace}/{name}")
    for entry in path:
        candidate = f"{entry}/{name}"
        if entry.startswith("/") and os.access(candidate, os.X_OK) and not os.path.isdir(candidate):
            return candidate
    return name


def _cgroup() -> str:
    """Return which cgroup hierarchy this process may make a group in."""
    from ringfence.boundary import limits

    return limits.hierarchy()


def _programs(policy: Policy) -> str:
    if not denied(policy):
        return ""
    from ringfence.boundary import tracing

    return tracing.available()
