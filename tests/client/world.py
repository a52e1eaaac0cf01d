"""A person's machine in small: a home full of secrets, a project, a policy, and the command they type.

Everything lies in one folder of its own, owned by the identity that runs ringfence: whoever runs the
tests, or an ordinary user made for them.
"""

import json
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Self

from canaries import Canary, found_in, mint
from reach import claude_for, python_for

from fake_api.authority import Authority

LIMIT = 90.0  # seconds for one command

SUMS = "def add(a, b):\n    return a - b\n"
TEST_SUMS = """import unittest

from sums import add


class Adding(unittest.TestCase):
    def test_two_and_three(self):
        self.assertEqual(add(2, 3), 5)
"""


class Identity(NamedTuple):
    """Who runs the command."""

    uid: int
    gid: int
    name: str

    @property
    def prefix(self) -> list[str]:
        """What goes before an argument list to run it as this identity."""
        if self.uid == os.getuid():
            return []
        return ["setpriv", f"--reuid={self.uid}", f"--regid={self.gid}", "--clear-groups", "--"]


def myself() -> Identity:
    """Return the identity that runs the tests."""
    return Identity(os.getuid(), os.getgid(), pwd.getpwuid(os.getuid()).pw_name)


class Result(NamedTuple):
    """How a command ended."""

    code: int
    out: bytes
    err: bytes
    seconds: float

    @property
    def text(self) -> str:
        """Standard output as text."""
        return self.out.decode("utf-8", "replace")

    def told(self) -> str:
        """Everything, for the message of a failed assertion."""
        errors = self.err.decode("utf-8", "replace")
        how = f"exit {self.code} after {self.seconds:.1f} s"
        return f"{how}\n{self.text[-3000:]}\n--- stderr\n{errors[-3000:]}"


class World:
    """One home, one project, one policy."""

    def __init__(self, identity: Identity, claude: str = "") -> None:
        self.identity = identity
        self.folder = tempfile.mkdtemp(prefix="rf-client-", dir="/var/tmp")
        self.home = os.path.join(self.folder, "home")
        self.project = os.path.join(self.home, "project")
        self.config = os.path.join(self.home, ".config/ringfence")
        self.state = os.path.join(self.home, ".local/state/ringfence")
        self.cache = os.path.join(self.home, ".cache/ringfence")
        self.key = mint("API key", "sk-ant-api03-")
        self.canaries: list[Canary] = [self.key]
        self.variables: dict[str, str] = {"ANTHROPIC_API_KEY": self.key.value}
        self._claude = claude_for(tuple(identity.prefix), claude)
        self.python = python_for(tuple(identity.prefix))
        os.chmod(self.folder, 0o755)
        os.makedirs(self.project)
        os.makedirs(self.config)
        self._sample_project()
        self.own()

    def close(self) -> None:
        """Remove everything."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def environment(self) -> dict[str, str]:
        """What the operator's shell holds."""
        folders = [os.path.dirname(self._claude)] if self._claude else []
        path = os.pathsep.join([*folders, "/usr/local/bin", "/usr/bin", "/bin"])
        return {
            "PATH": path,
            "HOME": self.home,
            "LANG": "C.UTF-8",
            "USER": self.identity.name,
            "SHELL": "/bin/bash",
            "RINGFENCE_STATE_DIR": self.state,
            "RINGFENCE_CACHE_DIR": self.cache,
            "RINGFENCE_CONFIG_DIR": self.config,
            "RINGFENCE_MANAGED_POLICY": os.path.join(self.folder, "managed.toml"),
            "PYTHONPATH": os.pathsep.join(self.python.path),
            **self.variables,
        }

    def policy(self, text: str) -> None:
        """Write the user's policy."""
        self.write(os.path.join(self.config, "policy.toml"), text)

    def trust(self, authority: Authority) -> str:
        """Put the upstreams' authority where this identity can read it; return the file's path."""
        with open(authority.ca_file, encoding="utf-8") as file:
            return self.write(os.path.join(self.folder, "upstream-ca.pem"), file.read())

    def write(self, path: str, text: str, mode: int = 0o644) -> str:
        """Write a file of the operator's; a relative path lies in the project."""
        whole = os.path.join(self.project, path)
        os.makedirs(os.path.dirname(whole), exist_ok=True)
        with open(whole, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(whole, mode)
        self.own()
        return whole

    def plant(self, path: str, template: str = "{}\n", *, prefix: str = "") -> Canary:
        """Put a new canary into a file; `{}` in the template is its place."""
        canary = mint(path, prefix)
        self.write(path, template.replace("{}", canary.value), 0o600)
        self.canaries.append(canary)
        return canary

    def own(self) -> None:
        """Give everything to the identity."""
        if self.identity.uid == os.getuid():
            return
        for folder, folders, files in os.walk(self.folder):
            for name in [".", *folders, *files]:
                os.chown(
                    os.path.join(folder, name), self.identity.uid, self.identity.gid, follow_symlinks=False
                )

    def ringfence(self, *words: str) -> list[str]:
        """Return the argument list of a ringfence command. The agents here work on the real files."""
        if words[0] == "run" and not {"--mode", "--direct"}.intersection(words):
            words = ("run", "--direct", *words[1:])
        return [*self.identity.prefix, self.python.program, "-m", "ringfence.cli", *words]

    def run(self, *argv: str, options: Sequence[str] = (), **more: Any) -> Result:
        """Run a command inside the boundary."""
        return self.outside(*self.ringfence("run", *options, "--", *argv), **more)

    def bare(self, *argv: str, **more: Any) -> Result:
        """Run a command as the identity, with no boundary."""
        return self.outside(*self.identity.prefix, *argv, **more)

    def outside(
        self,
        *argv: str,
        variables: Mapping[str, str] | None = None,
        cwd: str = "",
        limit: float = LIMIT,
        stdin: bytes = b"",
        pass_fds: Sequence[int] = (),
    ) -> Result:
        """Run a program; one that takes too long is ended, and that is a failure."""
        started = time.monotonic()
        child = subprocess.Popen(
            argv,
            cwd=cwd or self.project,
            env={**self.environment, **(variables or {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            pass_fds=pass_fds,
        )
        try:
            out, err = child.communicate(stdin, timeout=limit)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            out, err = child.communicate()
            told = Result(-9, out, err, time.monotonic() - started).told()
            raise AssertionError(f"{argv} took longer than {limit} s\n{told}") from None
        return Result(child.returncode, out, err, time.monotonic() - started)

    def git(self, *words: str) -> str:
        """Run git on the project, as its owner, with none of its hooks."""
        safe = ["git", "-c", "core.fsmonitor=", "-c", "core.hooksPath=/dev/null", "-C", self.project]
        done = self.bare(*safe, *words)
        assert done.code == 0, done.told()
        return done.text

    def sessions(self) -> list[str]:
        """Return the folders of all sessions, oldest first."""
        top = os.path.join(self.state, "sessions")
        return sorted(os.path.join(top, name) for name in (os.listdir(top) if os.path.isdir(top) else []))

    def audit(self) -> list[dict[str, Any]]:
        """Return the records of the newest session."""
        with open(os.path.join(self.sessions()[-1], "audit.jsonl"), encoding="utf-8") as file:
            return [json.loads(line) for line in file]

    def leaks(self, data: bytes) -> list[str]:
        """Return the names of the canaries in `data`."""
        return found_in(data, self.canaries)

    def leaks_on_disk(self) -> dict[str, list[str]]:
        """Return the files that hold a canary and are not where it was planted."""
        planted = {os.path.join(self.project, one.name) for one in self.canaries}
        leaks: dict[str, list[str]] = {}
        for folder, _folders, files in os.walk(self.folder):
            for name in files:
                path = os.path.join(folder, name)
                if path in planted or os.path.islink(path) or not os.path.isfile(path):
                    continue
                with open(path, "rb") as file:
                    names = self.leaks(file.read(8 << 20))
                if names:
                    leaks[path] = names
        return leaks

    def _sample_project(self) -> None:
        self.write("sums.py", SUMS)
        self.write("test_sums.py", TEST_SUMS)
        self.write("README.md", "# Sums\n\nAdds numbers.\n")
        self.git("init", "-q", "-b", "main")
        self.git("config", "user.name", "A Developer")
        self.git("config", "user.email", "developer@example.com")
        self.git("add", ".")
        self.git("commit", "-qm", "Begin")
