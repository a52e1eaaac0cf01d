"""A machine, a project on it, and the hook as a client runs it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = str(Path(__file__).parents[3] / "src")


class Desk:
    """One home, one project, one policy, one hook."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.home = root / "home"
        self.project = self.home / "work" / "project"
        self.project.mkdir(parents=True)
        self.config = self.home / ".config" / "ringfence"
        self.state = self.home / ".local" / "state" / "ringfence"
        self.managed = root / "managed" / "policy.toml"

    def policy(self, text: str) -> Path:
        return self.write(self.config / "policy.toml", text)

    def write(self, path: Path, text: str) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        path.chmod(0o644)
        return path

    def words(self, *more: str) -> list[str]:
        program = f"import sys; sys.path.insert(0, {SOURCE!r}); from ringfence.cli import main; main()"
        folders = ["--home", str(self.home), "--managed", str(self.managed)]
        return [sys.executable, "-I", "-c", program, "hook", *folders, *more]

    def call(self, command: str = "make x", **more: object) -> dict:
        return {
            "hook_event_name": "PreToolUse",
            "session_id": "s1",
            "cwd": str(self.project),
            "permission_mode": "default",
            "tool_name": "Bash",
            "tool_input": {"command": command},
            "tool_use_id": "toolu_1",
            **more,
        }

    def hook(self, given: object, *more: str, environment: dict[str, str] | None = None) -> "Told":
        data = given if isinstance(given, bytes) else json.dumps(given).encode()
        usual = {"PATH": "/usr/bin:/bin", "SHELL": "/bin/bash", "CLAUDE_PROJECT_DIR": str(self.project)}
        done = subprocess.run(
            self.words(*more),
            input=data,
            capture_output=True,
            timeout=60,
            check=False,
            env={**usual, **(environment or {})},
        )
        return Told(done)

    def records(self) -> list[dict]:
        folder = self.state / "tools"
        names = sorted(name for name in os.listdir(folder) if name.endswith(".jsonl"))
        lines = [line for name in names for line in (folder / name).read_text().splitlines()]
        return [record for record in map(json.loads, lines) if record["kind"] == "tool"]


class Told:
    """How a hook ended, and what it said."""

    def __init__(self, done: subprocess.CompletedProcess[bytes]) -> None:
        self.status = done.returncode
        self.out = done.stdout.decode()
        self.err = done.stderr.decode()

    @property
    def said(self) -> dict:
        assert self.status == 0, self.err
        return json.loads(self.out)["hookSpecificOutput"] if self.out else {}

    @property
    def verdict(self) -> str:
        return self.said.get("permissionDecision", "")

    @property
    def why(self) -> str:
        return self.said.get("permissionDecisionReason", "")


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)
