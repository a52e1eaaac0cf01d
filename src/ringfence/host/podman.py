"""Podman, as far as a session needs it: by its own program, since there is no daemon to be asked.

Run by root it makes containers as Docker's daemon does. Run by an ordinary user it makes them in a user
namespace that is this user's, so the launcher may enter them as well. It is run with the operator's own
settings of containers (`CONTAINERS_CONF` and the like), and never with `CONTAINER_HOST`: an engine on another
machine is none.
"""

import os
import select
import time

from ringfence.canonical import decode
from ringfence.errors import BoundaryError
from ringfence.host.engine import Image

_SETTINGS = (
    "HOME", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "CONTAINERS_CONF",
    "CONTAINERS_STORAGE_CONF", "CONTAINERS_REGISTRIES_CONF", "DBUS_SESSION_BUS_ADDRESS", "TMPDIR",
)  # fmt: skip
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_INITS = (
    "/usr/libexec/podman/catatonit",
    "/usr/libexec/catatonit/catatonit",
    "/usr/bin/catatonit",
    "/usr/bin/tini-static",
    "/usr/bin/tini",
    "/usr/bin/docker-init",
    "/usr/libexec/docker/docker-init",
)
_RUNC = ("/usr/bin/runc", "/usr/sbin/runc", "/usr/local/sbin/runc", "/usr/local/bin/runc")
_V2 = "/sys/fs/cgroup"
_LOADS = 600.0  # seconds that an image may take


def init() -> str:
    """Return the program that reaps in a container and passes signals on; nothing where there is none."""
    return next((path for path in _INITS if os.access(path, os.X_OK)), "")


def holds_limits() -> bool:
    """Tell whether its containers are held in a cgroup: always root's, an ordinary user's with delegation."""
    if not os.geteuid():
        return True
    uid = os.getuid()
    place = f"{_V2}/user.slice/user-{uid}.slice/user@{uid}.service/cgroup.controllers"
    try:
        with open(place) as file:
            return {"cpu", "memory", "pids"} <= set(file.read().split())
    except OSError:
        return False


class Podman:
    """One machine's Podman, of whoever runs this."""

    kind = "podman"

    def __init__(self, path: str, runtime: str = "") -> None:
        """`runtime`: the one that is asked for, by name."""
        from ringfence.host import probe

        self.path = path
        self.where = "podman"
        self.note = f"podman {path}"
        self._environment = {**probe.settings(_SETTINGS), "PATH": _PATH, "LC_ALL": "C.UTF-8"}
        self._words = ("podman", *_options(runtime))

    def find(self, name: str) -> Image | None:
        """Return an image that it has; None where there is none of that name."""
        status, out, err = self._run("image", "inspect", "--format", "json", "--", name)
        if status:
            if "no such image" in err or "image not known" in err:
                return None
            raise BoundaryError(f"podman cannot tell about the image {name}: {_short(err)}", hint=_DOCTOR)
        found = decode(out.encode())[0]
        settings = found.get("Config") or {}
        return Image(
            id=f"sha256:{found['Id'].removeprefix('sha256:')}",
            layers=tuple((found.get("RootFS") or {}).get("Layers") or ()),
            volumes=tuple(sorted(settings.get("Volumes") or ())),
            variables=tuple(settings.get("Env") or ()),
            labels=tuple((settings.get("Labels") or {}).items()),
        )

    def load(self, name: str, archive: "bytes | memoryview") -> None:
        """Make an image of an archive of files."""
        status, _out, err = self._run("import", "--quiet", "-", name, body=archive, wait=_LOADS)
        if status:
            raise BoundaryError(f"the image {name} could not be made: {_short(err)}", hint=_DISK)

    def create(self, name: str, words: "list[str]") -> None:
        """Make a container."""
        status, _out, err = self._run("create", "--name", name, *words)
        if status:
            raise BoundaryError(f"the container could not be made: podman: {_short(err)}", hint=_DOCTOR)

    def inspect(self, name: str) -> "dict[str, Any]":
        """Return a container as podman describes it."""
        status, out, err = self._run("container", "inspect", name)
        if status:
            raise BoundaryError(f"podman cannot tell about the container: {_short(err)}", hint=_DOCTOR)
        found: dict[str, Any] = decode(out.encode())[0]
        return found

    def client(self, name: str, keys: str) -> "tuple[str, list[str], dict[str, str]]":
        """Return what starts a container and passes its streams on: program, arguments, environment."""
        words = ["start", "--attach", "--interactive", "--sig-proxy=false", f"--detach-keys={keys}", name]
        return self.path, [*self._words, *words], {**self._environment, "TERM": "xterm"}

    def signal(self, name: str, number: int) -> None:
        """Send a signal to a container's first process."""
        self._run("kill", "--signal", str(number), name)

    def remove(self, name: str) -> bool:
        """End a container and remove it, if there is one; tell whether podman could do that."""
        status, _out, err = self._run("rm", "--force", "--volumes", "--time", "0", name)
        return not status or "no such container" in err or "no container with" in err

    def refused(self) -> str:
        """Return why it cannot make containers here; nothing where it can."""
        status, _out, err = self._run("image", "exists", "ringfence-none")
        return f"podman does not work here: {_short(err)}" if status not in {0, 1} else ""

    def _run(self, *words: str, body: "bytes | memoryview" = b"", wait: float = 60.0) -> tuple[int, str, str]:
        """Run it to its end; what it prints goes through files, which do not fill up as pipes do."""
        given = os.memfd_create("podman", os.MFD_CLOEXEC)
        _write_all(given, body)
        os.lseek(given, 0, 0)
        files = (given, *(os.memfd_create("podman", os.MFD_CLOEXEC) for _ in range(2)))
        actions = [(os.POSIX_SPAWN_DUP2, fd, number) for number, fd in enumerate(files)]
        # In no folder of the operator's: what holds an ordinary user's namespaces stays where it began.
        argv = ["env", "--chdir=/", self.path, *self._words[1:], *words]
        try:
            pid = os.posix_spawn("/usr/bin/env", argv, self._environment, file_actions=actions, setpgroup=0)
            status = _ended(pid, wait)
            out, err = (os.pread(fd, 8 << 20, 0).decode("utf-8", "replace") for fd in files[1:])
        finally:
            for fd in files:
                os.close(fd)
        return (status, out, err) if status >= 0 else (125, "", f"no answer within {wait:g} s")


_DOCTOR = "`ringfence doctor` says what this machine offers"
_DISK = "is there space left where podman keeps its images? `podman info` says where that is"


def _options(runtime: str) -> tuple[str, ...]:
    """Return what every call needs to say on this machine."""
    out: tuple[str, ...] = ()
    if not os.path.isdir("/run/systemd/system"):
        out += ("--cgroup-manager", "cgroupfs")
    if runtime:
        return (*out, "--runtime", runtime)
    if not os.path.exists(f"{_V2}/cgroup.controllers"):  # crun takes no mixture of both versions
        out += next((("--runtime", path) for path in _RUNC if os.access(path, os.X_OK)), ())
    return out


def _ended(pid: int, wait: float) -> int:
    """Return a process's status; -1 where it took too long, and was ended."""
    end, poll = os.pidfd_open(pid), select.poll()
    poll.register(end, select.POLLIN)
    until = time.monotonic() + wait
    try:
        while not poll.poll(max(0, int((until - time.monotonic()) * 1000))):
            if time.monotonic() >= until:
                os.killpg(pid, 9)
                os.waitpid(pid, 0)
                return -1
    finally:
        os.close(end)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return 128 - status if status < 0 else status


def _write_all(fd: int, content: "bytes | memoryview") -> None:
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(fd, rest) :]


def _short(text: str) -> str:
    """Return the last thing that it said, without its log lines before it."""
    lines = [line for line in text.strip().splitlines() if not line.startswith("time=")]
    said = (lines or text.strip().splitlines() or ["it did not say why"])[-1]
    return said.removeprefix("Error: ")[:400]


TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any
