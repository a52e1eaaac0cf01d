"""Python packaging: what runs when the project is installed, and what it installs as commands."""

import re

from ringfence.workspace.content import Content
from ringfence.workspace.layers import Change
from ringfence.workspace.risks.finding import RUNS, Finding, excerpt_of, place_of, verb

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = "Python package"
GROUP = RUNS
DOC = "Python packaging: what runs when the project is installed, and what it installs as commands."

_PROGRAMS = frozenset(
    {"setup.py", "ez_setup.py", "_build.py", "build_backend.py", "hatch_build.py", "build.py"}
)
_TELLING = re.compile(
    rb"^\s*\[(build-system|project\.(scripts|gui-scripts|entry-points.*)|tool\.(setuptools|hatch"
    rb"|poetry|pdm|flit|uv|tox"
    rb"|poe|pixi|rye|invoke|taskipy|nox|maturin|scikit-build|cibuildwheel|briefcase).*"
    rb"|options\.entry_points|aliases"
    rb"|tool:pytest|pytest|tool\.pytest.*)\]"
    rb"|^\s*(requires|build-backend|backend-path|dependencies|optional-dependencies|entry_points"
    rb"|console_scripts|scripts"
    rb"|install_requires|setup_requires|cmdclass|plugins|addopts|pythonpath"
    rb"|[\w\"'.-]+\s{0,9}=\s{0,9}[\"'][\w.]+:[\w.]+[\"'])\b"
    rb"|@\s{0,9}(git|https?|file):|index-url|extra-index|find-links|trusted-host|git\+|file://",
    re.IGNORECASE | re.MULTILINE,
)
_SETTINGS = frozenset(
    {"pyproject.toml", "setup.cfg", "pdm.toml", "poetry.toml", "uv.toml", "hatch.toml", "pixi.toml"}
)
_INDEXES = frozenset(
    {"pip.conf", "pip.ini", ".pypirc", ".pydistutils.cfg", "pydistutils.cfg", ".condarc", "uv.toml"}
)


def look(change: Change, content: Content) -> "Iterator[Finding]":
    """Yield what this risk finds in one change."""
    name = place_of(change).name
    if name in _PROGRAMS:
        yield Finding(path=change.path, risk=NAME, why=f"{verb(change)} what runs when the project is built")
    elif name in _INDEXES:
        yield Finding(path=change.path, risk=NAME, why=f"{verb(change)} where packages are fetched from")
    elif name in _SETTINGS:
        yield from _settings(change, content)


def _settings(change: Change, content: Content) -> "Iterator[Finding]":
    """Yield the lines under a heading that names programs, and those that name some themselves."""
    under = headings(content.after or b"")
    for number, line in content.added():
        if _TELLING.search(line) or _TELLING.search(under.get(number, b"")):
            why = "changes how the project is built, what it depends on or which commands it has"
            yield Finding(path=change.path, risk=NAME, why=why, line=number, excerpt=excerpt_of(line))
    if content.large:
        yield Finding(path=change.path, risk=NAME, why="is too large to be looked through")


def headings(data: bytes) -> dict[int, bytes]:
    """Return for each line of a file with sections the heading that it stands under."""
    under: dict[int, bytes] = {}
    heading = b""
    for number, line in enumerate(data.split(b"\n"), start=1):
        heading = line if line.lstrip().startswith(b"[") and b"=" not in line else heading
        under[number] = heading if line.strip() else b""
    return under
