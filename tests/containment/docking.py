"""A Docker engine of the tests' own, for as long as they need it."""

import os
import shutil
import signal
import subprocess
import tempfile
import time


class Engine:
    """dockerd with folders of its own, no bridge and no firewall rules."""

    def __init__(self):
        assert shutil.which("dockerd"), "missing: docker.io (scripts/install-test-parts)"
        self.folder = tempfile.mkdtemp(prefix="rf-dock-", dir="/var/tmp")
        self.socket = f"{self.folder}/docker.sock"
        self.variables = {"DOCKER_HOST": f"unix://{self.socket}"}
        self.start()

    def start(self):
        self._log = open(f"{self.folder}/log", "ab")  # noqa: SIM115 - the daemon's, until it ends
        self._daemon = subprocess.Popen(
            ["dockerd", "--data-root", f"{self.folder}/data", "--exec-root", f"{self.folder}/exec",
             "-H", f"unix://{self.socket}", "--bridge", "none", "--iptables=false",
             "--pidfile", f"{self.folder}/pid"],
            stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log, start_new_session=True,
        )  # fmt: skip
        deadline = time.monotonic() + 30
        while self.docker("version", "-f", "{{.Server.Version}}", check=False).returncode:
            assert self._daemon.poll() is None, self.log()
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.1)

    def docker(self, *words, check=True):
        environment = {"PATH": os.environ["PATH"], "DOCKER_CONFIG": self.folder, **self.variables}
        return subprocess.run(
            ["docker", *words], env=environment, capture_output=True, text=True, timeout=60, check=check
        )

    def containers(self):
        return self.docker("ps", "-aq", "--no-trunc").stdout.split()

    def take(self, archive, name, *changes):
        """Make an image of an archive; return its name."""
        words = [word for one in changes for word in ("-c", one)]
        self.docker("import", *words, archive, name)
        return name

    def kill(self):
        """End the daemon as a crash does."""
        self._daemon.kill()
        self._daemon.wait(timeout=10)
        self._log.close()
        for entry in filter(str.isdigit, os.listdir("/proc")):  # its containerd stays, and is in the way
            try:
                with open(f"/proc/{entry}/cmdline", "rb") as file:
                    words = file.read().split(b"\0")
            except OSError:
                continue
            if words[0].endswith(b"containerd") and self.folder.encode() in b" ".join(words):
                os.kill(int(entry), signal.SIGKILL)
        for name in (
            "containerd/containerd.pid",
            "containerd/containerd.sock",
            "containerd/containerd-debug.sock",
        ):
            if os.path.exists(f"{self.folder}/exec/{name}"):
                os.unlink(f"{self.folder}/exec/{name}")

    def log(self):
        with open(f"{self.folder}/log", encoding="utf-8", errors="replace") as file:
            return file.read()[-3000:]

    def close(self):
        if self._daemon.poll() is None:
            for one in self.containers():
                self.docker("rm", "-f", one, check=False)
            self._daemon.send_signal(signal.SIGTERM)
            self._daemon.wait(timeout=30)
            self._log.close()
        with open("/proc/self/mounts", encoding="utf-8") as file:
            mounts = [line.split()[1] for line in file if f" {self.folder}/" in line]
        for place in reversed(mounts):  # what a daemon that was killed could not take away
            subprocess.run(["umount", "-l", place], check=False, capture_output=True)
        shutil.rmtree(self.folder, ignore_errors=True)


class Pods:
    """Podman of one person's, with folders of its own."""

    def __init__(self, person):
        assert shutil.which("podman"), "missing: podman (scripts/install-test-parts)"
        self.person = person
        self.folder = tempfile.mkdtemp(prefix="rf-pods-", dir="/var/tmp")
        for name in ("", "root", "run", "user", "home"):
            os.makedirs(f"{self.folder}/{name}", mode=0o700, exist_ok=True)
            os.chown(f"{self.folder}/{name}", person.uid, person.gid)
        with open(f"{self.folder}/storage.conf", "w", encoding="utf-8") as file:
            file.write(
                f'[storage]\ndriver = "overlay"\ngraphroot = "{self.folder}/root"\nrunroot = "{self.folder}/run"\n'
                f'rootless_storage_path = "{self.folder}/root"\n'
            )
        self.variables = {
            "CONTAINERS_STORAGE_CONF": f"{self.folder}/storage.conf",
            "XDG_RUNTIME_DIR": f"{self.folder}/user",
            "XDG_DATA_HOME": f"{self.folder}/home",
            "XDG_CONFIG_HOME": f"{self.folder}/home",
        }

    def podman(self, *words, check=True, **more):
        environment = {"PATH": os.environ["PATH"], "HOME": f"{self.folder}/home", **self.variables}
        v1 = not os.path.exists("/sys/fs/cgroup/cgroup.controllers")
        return subprocess.run(
            [*self.person.prefix, "podman", "--cgroup-manager", "cgroupfs", *(["--runtime", "runc"] if v1 else []), *words],
            env=environment, cwd=self.folder, capture_output=True, text=True, timeout=120, check=check, **more,
        )  # fmt: skip

    def containers(self):
        return self.podman("ps", "-aq", "--no-trunc").stdout.split()

    def take(self, archive, name, *changes):
        """Make an image of an archive; return its name."""
        words = [word for one in changes for word in ("-c", one)]
        with open(archive, "rb") as file:
            self.podman("import", "--quiet", *words, "-", f"localhost/{name}", stdin=file)
        return f"localhost/{name}"

    def close(self):
        for one in self.containers():
            self.podman("rm", "-f", one, check=False)
        try:  # what holds an ordinary user's namespaces between two calls
            with open(f"{self.folder}/user/libpod/tmp/pause.pid", encoding="ascii") as file:
                os.kill(int(file.read()), signal.SIGKILL)
        except (OSError, ValueError):
            pass
        with open("/proc/self/mounts", encoding="utf-8") as file:
            mounts = [line.split()[1] for line in file if f" {self.folder}/" in line]
        for place in reversed(mounts):
            subprocess.run(["umount", "-l", place], check=False, capture_output=True)
        if os.geteuid():  # files of subordinate uids
            self.podman("unshare", "rm", "-rf", f"{self.folder}/root", check=False)
        shutil.rmtree(self.folder, ignore_errors=True)


def small_image(folder, files=(), links=()):
    """Return the archive of an image: a shell and a few programs, none of them linked with anything."""
    place = tempfile.mkdtemp(dir=folder)
    os.makedirs(f"{place}/bin")
    os.makedirs(f"{place}/etc/ssl/certs")
    shutil.copy(shutil.which("busybox"), f"{place}/bin/busybox")
    for name in ("sh", "cat", "ls", "env", "id", "touch", "head", "wget", "grep", "wc", "sleep"):
        os.symlink("busybox", f"{place}/bin/{name}")
    for path, text in (
        ("etc/ssl/certs/ca-certificates.crt", "none\n"),
        ("etc/own", "of the image\n"),
        *files,
    ):
        os.makedirs(os.path.dirname(f"{place}/{path}"), exist_ok=True)
        with open(f"{place}/{path}", "w", encoding="utf-8") as file:
            file.write(text)
    for path, to in links:
        os.makedirs(os.path.dirname(f"{place}/{path}"), exist_ok=True)
        os.symlink(to, f"{place}/{path}")
    archive = f"{place}.tar"
    subprocess.run(["tar", "--sort=name", "--mtime=@0", "--owner=0", "--group=0", "-cf", archive, "-C", place, "."], check=True)  # fmt: skip
    shutil.rmtree(place)
    return archive
