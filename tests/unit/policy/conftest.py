"""A machine of its own for every test: home, configuration, state and cache below tmp_path."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from ringfence.host.model import Host
from ringfence.policy.load import Overrides, effective
from ringfence.policy.model import Policy


class Machine:
    """Files of every layer, and what they come to."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.home = root / "home"
        self.workspace = self.home / "work" / "project"
        self.workspace.mkdir(parents=True)
        self.host = Host(
            system="linux",
            arch="x86_64",
            uid=os.getuid(),
            gid=os.getgid(),
            user="ada",
            home=str(self.home),
            path=(),
            set_variables=frozenset(),
            variables=(),
            config_dir=str(root / "config"),
            state_dir=str(root / "state"),
            cache_dir=str(root / "cache"),
            managed_policy=str(root / "managed.toml"),
            bwrap="",
            system_bwrap="",
        )

    def managed(self, text: str) -> Path:
        return self._write(self.root / "managed.toml", text)

    def user(self, text: str) -> Path:
        return self._write(self.root / "config" / "policy.toml", text)

    def project(self, text: str, *, trusted: bool = False) -> Path:
        path = self._write(self.workspace / "ringfence.toml", text)
        if trusted:
            self.trust(path)
        return path

    def trust(self, path: Path) -> None:
        from ringfence.canonical import sha256
        from ringfence.policy import trust

        trust.record(self.host.state_dir, os.path.realpath(path), sha256(path.read_bytes()))

    def policy(self, command: str = "", **overrides: object) -> Policy:
        given = Overrides(**overrides)
        return effective(self.host, str(self.workspace), command=command, overrides=given)

    def _write(self, path: Path, text: str) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        path.chmod(0o644)
        return path


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.fixture
def tool(tmp_path: Path) -> Callable[[str, str], str]:
    """Make an empty program in a folder, as toolchains are told by their programs."""

    def make(folder: str, name: str) -> str:
        path = tmp_path / folder
        path.mkdir(parents=True, exist_ok=True)
        (path / name).write_text("")
        (path / name).chmod(0o755)
        return str(path)

    return make
