"""Somebody with a home, keys in it, and a project: whoever runs the tests, or an ordinary user."""

import os
import secrets
import shutil
import site
import subprocess
import sys
import tempfile

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
LIMIT = 100.0  # seconds for one command


_FOLDERS = ("STATE", "CACHE", "CONFIG")


class Person:
    """One home and one project, with what an attack would look for."""

    def __init__(self, uid, gid, name):
        self.uid, self.gid, self.name = uid, gid, name
        self.folder = tempfile.mkdtemp(prefix="rf-contain-", dir="/var/tmp")
        self.home = f"{self.folder}/home"
        self.project = f"{self.home}/project"
        os.chmod(self.folder, 0o755)
        os.makedirs(self.project)
        self._fill()
        self.python = self._interpreter()
        self._own()

    def close(self):
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def prefix(self):
        if self.uid == os.getuid():
            return []
        return ["/usr/bin/setpriv", f"--reuid={self.uid}", f"--regid={self.gid}", "--clear-groups", "--"]

    @property
    def environment(self):
        return {
            "PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": self.home, "USER": self.name, "LANG": "C.UTF-8",
            "TERM": "xterm",
            "PYTHONPATH": os.path.join(TOP, "src"), "PYTHONDONTWRITEBYTECODE": "1",
            "GIT_CONFIG_NOSYSTEM": "1",
            "MY_SERVICE_TOKEN": "token-" + secrets.token_hex(8),
            **{f"RINGFENCE_{name}_DIR": f"{self.home}/.{name.lower()}/ringfence" for name in _FOLDERS},
            "RINGFENCE_MANAGED_POLICY": f"{self.home}/managed.toml",
        }  # fmt: skip

    def ringfence(self, *arguments, refusing="", limit=LIMIT, **more):
        """Run the command; `refusing` puts it under a filter (tests/refusing.py), `more` are variables."""
        around = [self.python, f"{TOP}/tests/refusing.py", refusing, "--"] if refusing else []
        argv = [*self.prefix, *around, self.python, "-m", "ringfence.cli", *arguments]
        return subprocess.run(
            argv,
            cwd=self.project,
            env={**self.environment, **more},
            capture_output=True,
            text=True,
            timeout=limit,
            check=False,
        )

    def write(self, path, text):
        full = os.path.join(self.home, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "w", encoding="utf-8") as file:
            file.write(text)

    def _fill(self):
        """Keys where keys lie, and a project with everything that git and editors obey."""
        secret = secrets.token_hex(16)
        for path in (
            ".ssh/id_ed25519",
            ".aws/credentials",
            ".netrc",
            ".config/gh/hosts.yml",
            ".docker/config.json",
            ".bashrc",
        ):
            self.write(path, f"secret = {secret}\n")
        for path in (
            ".env",
            "deploy/prod.pem",
            "sub/deep/er/.env.local",
            ".envrc",
            ".vscode/tasks.json",
            ".claude/settings.json",
            "a/b/.mcp.json",
        ):
            self.write(f"project/{path}", f"secret = {secret}\n")
        self.write("project/main.py", "print('hello')\n")
        git = [
            "git",
            "-c",
            "user.email=a@example.test",
            "-c",
            "user.name=a",
            "-c",
            "protocol.file.allow=always",
            "-C",
            self.project,
        ]
        subprocess.run([*git[:1], "init", "-q", f"{self.folder}/library"], check=True)
        subprocess.run(
            [*git[:-1], f"{self.folder}/library", "commit", "-q", "--allow-empty", "-m", "first"], check=True
        )
        subprocess.run([*git[:1], "init", "-q", self.project], check=True)
        subprocess.run([*git, "submodule", "--quiet", "add", f"{self.folder}/library", "library"], check=True)
        subprocess.run([*git, "commit", "-q", "-m", "first"], check=True)
        subprocess.run(
            [*git, "worktree", "add", "-q", f"{self.project}/tree", "-b", "tree"],
            check=True,
            capture_output=True,
        )

    def _interpreter(self):
        """Return a Python with our dependencies that this person can run; root's may lie in root's home."""
        if self.uid == os.getuid():
            return sys.executable
        base = f"/usr/bin/python{sys.version_info[0]}.{sys.version_info[1]}"
        subprocess.run([base, "-m", "venv", "--without-pip", f"{self.folder}/venv"], check=True, timeout=60)
        packages = f"{self.folder}/venv/lib/python{sys.version_info[0]}.{sys.version_info[1]}/site-packages"
        with open(f"{packages}/tests.pth", "w", encoding="utf-8") as file:
            file.write("\n".join([*site.getsitepackages(), f"{TOP}/src", ""]))
        return f"{self.folder}/venv/bin/python"

    def _own(self):
        for folder, folders, files in os.walk(self.home):
            for name in (".", *folders, *files):
                os.chown(os.path.join(folder, name), self.uid, self.gid, follow_symlinks=False)


def snapshot(folder):
    """Return path → (type and mode, size, time of change) of everything below a folder."""
    found = {}
    for place, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = os.path.join(place, name)
            status = os.lstat(path)
            changed = 0 if os.path.isdir(path) else status.st_mtime_ns
            found[os.path.relpath(path, folder)] = (
                status.st_mode,
                0 if os.path.isdir(path) else status.st_size,
                changed,
            )
    return found
