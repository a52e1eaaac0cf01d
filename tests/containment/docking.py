"""A Docker engine of the tests' own, for as long as they need it."""

import os
import shutil
import signal
import subprocess
import tempfile
import time

from leaks import Traces


class Engine:
    """dockerd with folders of its own, no bridge and no firewall rules."""

    def __init__(self):
        assert shutil.which("dockerd"), "missing: docker.io (scripts/install-test-parts)"
        self.folder = tempfile.mkdtemp(prefix="rf-dock-", dir="/var/tmp")
        Traces.standing.append(self.folder)
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
        Traces.standing.remove(self.folder)
