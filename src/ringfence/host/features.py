"""What this machine offers to the sandbox tier, and how to mend what is missing.

The theory: a kernel feature is known to work when it was tried, and only then. Sysctls, versions
and configuration files are read only to *explain* a refusal that has happened. `trials` makes the
attempts in forked children and reports errno; this module knows what each refusal means.

`explain` is also what the launcher says when a step of its own fails, so that `ringfence run` and
`ringfence doctor` never tell two stories.
"""

import errno as E  # noqa: N812 - the table below reads as the kernel's own names
import os

from ringfence.value import Struct

OK, DEGRADED, MISSING = "ok", "degraded", "missing"
PROFILE = "ringfence"  # the name inside `ringfence.apparmor`

_HERE = os.path.dirname(os.path.abspath(__file__))


class Feature(Struct):
    """One thing the machine offers or lacks."""

    name: str
    what: str
    verdict: str  # OK, DEGRADED or MISSING
    detail: str = ""  # what was seen
    consequence: str = ""  # what that means for a session, in one clause
    mend: str = ""  # one command, or one sentence where no command can
    needed: bool = False  # the sandbox tier cannot run without it


# What a failing step was doing, for the first half of the message.
STEPS = {
    "userns": "make a user namespace",
    "uid_map": "map its user inside a user namespace",
    "netns": "make a network namespace",
    "timens": "make a time namespace",
    "wire": "build the private wire",
    "mounts": "build the file system inside",
    "uid": "give up root",
    "terminal": "take the terminal",
    "bubblewrap": "start bubblewrap",
    "veth": "make the pair of interfaces that is the private wire",
    "nftables": "set the redirect at the gate",
    "mountns": "make a mount namespace",
    "mount": "mount inside its namespace",
    "overlay": "mount an overlay",
    "pidns": "make a process namespace",
    "seccomp": "install a seccomp filter",
    "landlock": "use Landlock",
    "cgroup": "make a control group",
    "bwrap": "run bubblewrap",
    "idmap": "make an id-mapped mount",
    "pidfd": "watch a process by descriptor",
    "tun": "open /dev/net/tun",
    "fork": "start a process",
    "state": "write its state directory",
}
_NAMESPACE_STEPS = frozenset(
    {
        "userns",
        "uid_map",
        "netns",
        "timens",
        "mountns",
        "pidns",
        "mount",
        "mounts",
        "bwrap",
        "veth",
        "nftables",
        "wire",
    }
)
_MODULES = {
    "veth": "veth",
    "nftables": "nf_tables nft_chain_nat nft_redir",
    "overlay": "overlay",
    "tun": "tun",
}
_ABSENT = frozenset({E.EOPNOTSUPP, E.EPROTONOSUPPORT, E.EAFNOSUPPORT, E.ENOENT, E.ENODEV})
_REFUSED = frozenset({E.EPERM, E.EACCES})


def explain(step: str, errno: int, root: str = "/") -> tuple[str, str]:
    """Say what the kernel's refusal of `step` means here, and how to mend it: (message, hint).

    `root` is where sysctls are read from; only tests pass another.
    """
    what = STEPS.get(step, step)
    message = (
        f"the kernel did not let ringfence {what}: {os.strerror(errno)} ({E.errorcode.get(errno, errno)})"
    )
    cause, hint = _cause(step, errno, root)
    return (f"{message}; {cause}" if cause else message), hint


def _cause(step: str, errno: int, root: str) -> tuple[str, str]:
    if step in _NAMESPACE_STEPS and errno == E.ENOSPC:
        return _no_more_namespaces(root)
    if step in _NAMESPACE_STEPS and errno in _REFUSED:
        return _refused_namespace(step, root)
    if errno == E.ENOSYS or (errno == E.EINVAL and step in {"userns", "netns", "mountns", "pidns", "timens"}):
        return "this kernel was built without it, or a filter around us hides it", _kernel_hint(root)
    if step in _MODULES and errno in _ABSENT:
        modules = _MODULES[step]
        return f"the kernel module is not loaded ({modules})", f"sudo modprobe -a {modules}"
    if errno in (E.EAGAIN, E.ENOMEM):
        return (
            "a limit on processes or memory is reached",
            "ulimit -u; raise the limit on processes or end some of them",
        )
    if errno in (E.ENOSPC, E.EDQUOT):
        return "the disk or the quota is full", "df -h: free some space"
    if errno == E.EROFS:
        return "the file system is read-only", "set RINGFENCE_STATE_DIR to a directory that can be written"
    if step == "cgroup" and errno in _REFUSED:
        return "this control group is not delegated to this user", _CGROUP_MEND
    if step in {"tun", "idmap"} and errno in _REFUSED:
        return "that takes root here", ""
    if step == "state" and errno in _REFUSED:
        return "it belongs to somebody else", "set RINGFENCE_STATE_DIR to a directory that can be written"
    return "", ""


_CGROUP_MEND = "systemd-run --user --scope --property=Delegate=yes ringfence run …"


def _no_more_namespaces(root: str) -> tuple[str, str]:
    if _sysctl(root, "user/max_user_namespaces") == "0":
        return (
            "user namespaces are switched off (user.max_user_namespaces=0)",
            "sudo sysctl -w user.max_user_namespaces=15000",
        )
    return (
        "no more namespaces may be made here: too many, or nested too deep",
        "sudo sysctl -w user.max_user_namespaces=15000, or run ringfence one container further out",
    )


def _refused_namespace(step: str, root: str) -> tuple[str, str]:
    """Find who refused, the commonest first.

    AppArmor lets the namespace be made and refuses what is done in it; a container's filter refuses
    the namespace itself, and sees the sysctl of the machine around it all the same.
    """
    inside = container(root)
    restricted = _sysctl(root, "kernel/apparmor_restrict_unprivileged_userns") == "1"
    if restricted and (step != "userns" or not inside):
        return (
            "AppArmor keeps programs without a profile from using user namespaces (Ubuntu 23.10 and later)",
            install_profile(),
        )
    if inside:
        return (
            f"this is a {inside} container whose own filter refuses it",
            f"start the container with {_container_options(inside)}, or run ringfence on the machine outside",
        )
    if _sysctl(root, "kernel/unprivileged_userns_clone") == "0":
        return (
            "this distribution gives user namespaces to root only",
            "sudo sysctl -w kernel.unprivileged_userns_clone=1",
        )
    if _sysctl(root, "user/max_user_namespaces") == "0":
        return _no_more_namespaces(root)
    if step == "mount":
        return "parts of /proc or /sys are covered by mounts that may not be undone, as in a container", ""
    return (
        "a seccomp filter or a security module around this process refuses it",
        "run ringfence outside the sandbox or service that started this shell",
    )


def _container_options(kind: str) -> str:
    program = "podman" if kind == "podman" else "docker"
    return f"`{program} run --security-opt seccomp=unconfined --security-opt systempaths=unconfined …`"


def _kernel_hint(root: str) -> str:
    if "microsoft" in _read(root, "proc/version").lower():
        return "wsl --set-version DISTRIBUTION 2: WSL 1 has no Linux kernel"
    return "a newer kernel, or one with CONFIG_USER_NS, CONFIG_NET_NS and CONFIG_PID_NS"


def install_profile() -> str:
    """Return the one command that installs our AppArmor profile."""
    source = os.path.join(_HERE, "ringfence.apparmor")
    return (
        f"sudo install -m 644 {quoted(source)} /etc/apparmor.d/{PROFILE}"
        f" && sudo apparmor_parser -r /etc/apparmor.d/{PROFILE}"
    )


def quoted(path: str) -> str:
    """Return `path` as one word of a shell command."""
    if all(letter.isalnum() or letter in "/._-+" for letter in path):
        return path
    return "'" + path.replace("'", "'\\''") + "'"


def enter_profile() -> bool:
    """Put this process under our AppArmor profile, for what it forks and makes from here on.

    Call it in the forked child, before the user namespace. False: no AppArmor, or no such profile;
    the caller goes on, since only the attempt tells whether it was needed.
    """
    for name in ("/proc/self/attr/apparmor/current", "/proc/self/attr/current"):
        try:
            fd = os.open(name, os.O_WRONLY | os.O_CLOEXEC)
        except OSError:
            continue
        try:
            os.write(fd, b"changeprofile " + PROFILE.encode())
        except OSError:
            return False
        else:
            return True
        finally:
            os.close(fd)
    return False


def container(root: str = "/") -> str:
    """Return what kind of container this is: "docker", "podman", "kubernetes" or ""."""
    if os.path.exists(os.path.join(root, "run/.containerenv")):
        return "podman"
    if os.path.exists(os.path.join(root, ".dockerenv")):
        return "docker"
    text = _read(root, "proc/1/cgroup")
    for sign, kind in (("kubepods", "kubernetes"), ("docker", "docker"), ("libpod", "podman")):
        if sign in text:
            return kind
    return ""


def _sysctl(root: str, name: str) -> str:
    return _read(root, f"proc/sys/{name}").strip()


def _read(root: str, name: str) -> str:
    try:
        fd = os.open(os.path.join(root, name), os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        return os.read(fd, 65536).decode("utf-8", "replace")
    except OSError:
        return ""
    finally:
        os.close(fd)
