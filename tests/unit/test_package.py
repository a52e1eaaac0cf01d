"""`pip install .` gives the command, with everything in it that is not Python."""

import os
import shutil
import subprocess
import sys
import zipfile

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Build the wheel from a copy, so that the checkout stays as it is, and without the network."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in ("src", "bin"):
        shutil.copytree(
            os.path.join(ROOT, name),
            source / name,
            ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"),
        )
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(os.path.join(ROOT, name), source)
    subprocess.run(
        [*PIP, "wheel", "-q", "--no-index", "--no-deps", "--no-build-isolation", "-w", str(out), str(source)],
        check=True, timeout=100,
    )  # fmt: skip
    return str(next(out.glob("ringfence-*.whl")))


def test_the_wheel_holds_every_file_of_the_package(wheel):
    with zipfile.ZipFile(wheel) as archive:
        packed = set(archive.namelist())
    wanted = set()
    for folder, _, names in os.walk(os.path.join(ROOT, "src", "ringfence")):
        if not folder.endswith("__pycache__"):
            place = os.path.relpath(folder, os.path.join(ROOT, "src"))
            wanted |= {os.path.join(place, name) for name in names if not name.endswith((".pyc", ".so"))}
    assert sorted(wanted - packed) == []


def test_the_installed_command_runs_with_its_own_python(wheel, tmp_path):
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True, timeout=60)
    subprocess.run(
        [*PIP, "--python", str(venv / "bin" / "python"), "install", "-q", "--no-index", "--no-deps", wheel],
        check=True, timeout=60,
    )  # fmt: skip
    with open(venv / "bin" / "ringfence", encoding="utf-8") as file:
        lines = file.read().splitlines()
    assert lines[0] == f"#!{venv}/bin/python"
    # pip's own script for an entry point imports `re`: 5 ms of the launcher's budget.
    assert "import re" not in "\n".join(lines)
    plain = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [str(venv / "bin" / "ringfence"), "--version"],
        env=plain, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout.split()[0]) == (0, "ringfence"), done.stderr
