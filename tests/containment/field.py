"""One operator's home and project for one test, the command they type, and what is left of it afterwards."""

import glob
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time

from leaks import Traces
from person import TOP

LIMIT = 40.0
SECRET = "value-that-nobody-may-see"


class Done:
    """How a command ended."""

    def __init__(self, code, out, err, seconds):
        self.code, self.raw, self.seconds = code, out, seconds
        self.out = out.decode("utf-8", "surrogateescape")
        self.err = err.decode("utf-8", "surrogateescape")

    def __repr__(self):
        return (
            f"exit {self.code} after {self.seconds:.2f} s\n{self.out[-2000:]}\n--- stderr\n{self.err[-2000:]}"
        )


class Field:
    """A home, a project and a state folder of somebody's."""

    def __init__(self, person, name="project"):
        self.person = person
        self.folder = tempfile.mkdtemp(prefix="rf-field-", dir="/var/tmp")
        os.chmod(self.folder, 0o755)
        self.home = f"{self.folder}/home"
        self.project = f"{self.home}/{name}"
        self.state = f"{self.folder}/state"
        self.variables = {}
        self.tier = "sandbox"  # as the policy says
        self.mode = ""  # the workspace's, where a test is about one; empty: what the policy says
        os.makedirs(self.project)
        self.own()

    def close(self):
        Traces.made += [self.folder, *map(os.path.basename, self.sessions())]
        shutil.rmtree(self.folder, ignore_errors=True)

    def own(self):
        for folder, folders, files in os.walk(self.folder):
            for name in (".", *folders, *files):
                os.chown(os.path.join(folder, name), self.person.uid, self.person.gid, follow_symlinks=False)

    @property
    def environment(self):
        return {
            "PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": self.home, "USER": self.person.name, "TERM": "xterm",
            "PYTHONPATH": f"{TOP}/src", "PYTHONDONTWRITEBYTECODE": "1",
            "RINGFENCE_STATE_DIR": self.state, "RINGFENCE_CACHE_DIR": f"{self.folder}/cache",
            "RINGFENCE_CONFIG_DIR": f"{self.folder}/config", "RINGFENCE_MANAGED_POLICY": f"{self.folder}/managed.toml",
            "MY_SERVICE_TOKEN": SECRET, **self.variables,
        }  # fmt: skip

    def put(self, path, text="x\n", mode=0o644):
        """Write a file of the operator's; a relative path lies in the project."""
        full = os.path.join(self.project, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "wb") as file:
            file.write(text.encode("utf-8", "surrogateescape"))
        os.chmod(full, mode)
        self.own()
        return full

    def read(self, path):
        with open(os.path.join(self.project, path), "rb") as file:
            return file.read().decode("utf-8", "surrogateescape")

    def policy(self, text):
        self.put(f"{self.folder}/config/policy.toml", text)

    def argv(self, *words, refusing=""):
        named = {"--mode", "--direct", "--session"}.intersection(words)
        if self.mode and words[0] in {"run", "plan", "verify"} and not named:
            words = (words[0], "--mode", self.mode, *words[1:])
        around = [self.person.python, f"{TOP}/tests/refusing.py", refusing, "--"] if refusing else []
        return [*self.person.prefix, *around, self.person.python, "-m", "ringfence.cli", *words]

    def sh(self, script, *options, **how):
        """Run a shell script inside."""
        return self.run("run", *options, "--", "sh", "-c", script, **how)

    def python(self, script, *options, **how):
        """Run a Python script inside."""
        return self.run("run", *options, "--", "/usr/bin/python3", "-I", "-c", script, **how)

    def run(self, *words, refusing="", cwd="", variables=None, without=(), data=b"", limit=LIMIT, **more):
        """Run a ringfence command to its end."""
        child = self.start(*words, refusing=refusing, cwd=cwd, variables=variables, without=without, **more)
        started = time.monotonic()
        try:
            out, err = child.communicate(data, timeout=limit)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            out, err = child.communicate()
            raise AssertionError(f"{words} took longer than {limit} s: {Done(-9, out, err, limit)}") from None
        return Done(child.returncode, out or b"", err or b"", time.monotonic() - started)

    def start(self, *words, refusing="", cwd="", variables=None, without=(), **more):
        environment = {**self.environment, **(variables or {})}
        more = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **more}
        return subprocess.Popen(
            self.argv(*words, refusing=refusing),
            cwd=cwd or self.project,
            env={name: value for name, value in environment.items() if name not in without},
            start_new_session=True,
            **more,
        )

    def bare(self, *argv):
        """Run a program as the operator, without a boundary."""
        done = subprocess.run(
            [*self.person.prefix, *argv], cwd=self.project, env=self.environment, capture_output=True, text=True,
            timeout=20, check=True,
        )  # fmt: skip
        return done.stdout

    def sessions(self):
        return sorted(glob.glob(f"{self.state}/sessions/*"))

    def events(self):
        with open(f"{self.sessions()[-1]}/audit.jsonl", encoding="utf-8") as file:
            return [json.loads(line) for line in file]

    def left_over(self):
        """Return what of our sessions still exists: processes, mounts, live files, staging folders, cgroups."""
        names = [os.path.basename(one) for one in self.sessions()]
        found = (
            [f"live {one}" for one in os.listdir(f"{self.state}/live")]
            if os.path.isdir(f"{self.state}/live")
            else []
        )
        found += [f"process {pid}" for pid in self.processes()]
        with open("/proc/self/mounts", encoding="utf-8", errors="replace") as file:
            found += [
                f"mount {line}" for line in file if self.folder in line or any(name in line for name in names)
            ]
        for staging in (f"{self.state}/root", "/run/ringfence"):
            found += glob.glob(f"{staging}/*")
        found += [
            one
            for name in names
            for one in glob.glob(f"/sys/fs/cgroup/*/**/ringfence-{name}", recursive=True)
        ]
        return found

    def processes(self):
        """Return the processes that belong to this field: by arguments, current folder or environment."""
        found = []
        for entry in os.listdir("/proc"):
            if not entry.isdigit() or int(entry) == os.getpid():
                continue
            try:
                with open(f"/proc/{entry}/cmdline", "rb") as file:
                    words = file.read()
                with open(f"/proc/{entry}/stat", "rb") as file:
                    if file.read().rpartition(b")")[2].split()[0] == b"Z":
                        continue
                if self.folder.encode() in words or os.readlink(f"/proc/{entry}/cwd").startswith(self.folder):
                    found.append(int(entry))
            except OSError:
                continue
        return found


def eventually(check, seconds=2.0):
    """Wait until `check` gives something true; return it, or what it gave last."""
    until = time.monotonic() + seconds
    while not (found := check()) and time.monotonic() < until:
        time.sleep(0.02)
    return found


def gone_within(field, seconds=2.0):
    """Return what is left after so many seconds, and nothing as soon as nothing is."""
    until = time.monotonic() + seconds
    while (left := field.processes()) and time.monotonic() < until:
        time.sleep(0.02)
    return left
