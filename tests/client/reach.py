"""An interpreter with ringfence, and a `claude`, that an identity can reach.

A checkout in root's home, or an interpreter there, is closed to the ordinary user that the tests make.
Then what is needed is copied once, to a folder that everybody may read, and removed at the end.
"""

import atexit
import functools
import os
import shutil
import subprocess
import sys
import tempfile
from typing import NamedTuple

import pytest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SOURCE = os.path.join(TOP, "src")
# Large, and not needed to run ringfence or a program on the Agent SDK.
LEFT_OUT = ("_bundled", "__pycache__", "*mypy*", "hypothesis", "pygments", "setuptools", "pip", "anthropic")


class Python(NamedTuple):
    """An interpreter, and the folders to put on its module path."""

    program: str
    path: tuple[str, ...]
    folders: tuple[str, ...]  # what a boundary has to show for it to run inside


def python_for(prefix: tuple[str, ...]) -> Python:
    """Return an interpreter that can be run after `prefix`."""
    if _can(prefix, "-x", sys.executable) and _can(prefix, "-r", os.path.join(SOURCE, "ringfence")):
        folders = {sys.prefix, os.path.realpath(sys.base_prefix)} - {"/usr"}
        return Python(sys.executable, (SOURCE,), tuple(sorted(folders)))
    packages = _packages()
    return Python(_system_python(prefix), (packages,), (packages,))


def claude_for(prefix: tuple[str, ...], claude: str) -> str:
    """Return a `claude` that can be run after `prefix`."""
    if not claude or _can(prefix, "-x", claude):
        return claude
    return _copied(os.path.realpath(claude), "claude")


def _can(prefix: tuple[str, ...], flag: str, path: str) -> bool:
    return subprocess.run([*prefix, "test", flag, path], check=False, timeout=10).returncode == 0


def _system_python(prefix: tuple[str, ...]) -> str:
    # Compiled packages fit one minor version only.
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for folder in ("/usr/bin", "/usr/local/bin"):
        path = os.path.join(folder, name)
        if _can(prefix, "-x", path):
            return path
    pytest.skip(f"missing: {sys.executable} is closed to other users, and the system has no {name}")


@functools.cache
def _folder() -> str:
    made = tempfile.mkdtemp(prefix="rf-reach-", dir="/var/tmp")
    os.chmod(made, 0o755)
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return made


@functools.cache
def _packages() -> str:
    packages = os.path.join(_folder(), "packages")
    site = next(path for path in sys.path if path.endswith("site-packages"))
    ignore = shutil.ignore_patterns(*LEFT_OUT)
    shutil.copytree(site, packages, ignore=ignore, symlinks=True)
    shutil.copytree(SOURCE, packages, ignore=ignore, dirs_exist_ok=True)
    return packages


@functools.cache
def _copied(path: str, name: str) -> str:
    target = os.path.join(_folder(), "bin", name)
    os.makedirs(os.path.dirname(target), exist_ok=True)
    shutil.copy(path, target)
    os.chmod(target, 0o755)
    return target
