"""Programs of the operator's that show a review: a pager, or a viewer for two files.

Which program comes from the operator (an option, or their environment), never from the project: it is
looked for in the absolute folders of their PATH, the project's own left out, and started in `/` as an
argument list. A viewer gets read-only copies under names of ours: a file that tools obey by its name
(`.vscode/tasks.json`, `conftest.py`) is not called so there.
"""

import os
import subprocess

from ringfence.errors import UsageError
from ringfence.workspace.content import Content
from ringfence.workspace.layers import Change

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

PAGER = "less"  # where the operator's environment names none
# Colours pass, short texts stay on the screen
_LESS = ("-FRX",)
_SAFE = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")
_LONGEST_NAME = 80


def command(given: str, path: tuple[str, ...], workspace: str) -> list[str]:
    """Return a program and its arguments; UsageError where there is no such program."""
    import shlex

    try:
        words = shlex.split(given)
    except ValueError as error:
        raise UsageError(f"`{given}` cannot be read as a command: {error}") from None
    if not words:
        raise UsageError("the viewer's name is empty", hint="name a program: --tool meld")
    found = find(words[0], path, workspace)
    if not found:
        raise UsageError(
            f"`{words[0]}` is no program on your PATH",
            hint="programs of the project itself are not used to look at it",
        )
    return [found, *words[1:]]


def find(name: str, path: tuple[str, ...], workspace: str) -> str:
    """Return where a program is, outside the project; nothing where it is nowhere."""
    places = [name] if "/" in name else [f"{folder}/{name}" for folder in path]
    inside = os.path.realpath(workspace) + "/"
    for place in places:
        real = os.path.realpath(place)
        folder = os.path.realpath(os.path.dirname(place)) + "/"
        ours = real.startswith(inside) or folder.startswith(inside)
        if os.path.isabs(place) and not ours and os.path.isfile(real) and os.access(real, os.X_OK):
            return place
    return ""


def page(words: list[str], text: "Iterable[str]") -> None:
    """Show lines through a pager; closing it early is no error."""
    if os.path.basename(words[0]) == "less" and len(words) == 1:
        words = [*words, *_LESS]
    pager = subprocess.Popen(
        words, stdin=subprocess.PIPE, cwd="/", encoding="utf-8", errors="backslashreplace", text=True
    )
    try:
        with pager.stdin as out:  # type: ignore[union-attr]
            for line in text:
                out.write(line)
    except BrokenPipeError:
        pass
    finally:
        pager.wait()


def open_tool(words: list[str], change: Change, content: Content, number: int) -> int:
    """Run a viewer on both sides of a change, and wait for it; return its status."""
    import tempfile

    with tempfile.TemporaryDirectory(prefix="ringfence-diff-") as folder:
        name = safe_name(change.path, number)
        places = [
            _copy(f"{folder}/{side}", name, data or b"")
            for side, data in (("before", content.before), ("after", content.after))
        ]
        try:
            return subprocess.run([*words, *places], cwd="/", check=False).returncode
        finally:
            for side in ("before", "after"):
                os.chmod(f"{folder}/{side}", 0o700)


def _copy(folder: str, name: str, data: bytes) -> str:
    os.mkdir(folder, 0o700)
    place = f"{folder}/{name}"
    with open(os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o400), "wb") as file:
        file.write(data)
    os.chmod(folder, 0o500)
    return place


def safe_name(path: bytes, number: int) -> str:
    """Return a name of ours that still tells a person, and an editor's colours, what the file is."""
    text = os.fsdecode(path.rpartition(b"/")[2])
    told = "".join(char if char in _SAFE else "_" for char in text)[-_LONGEST_NAME:]
    return f"{number:04d}-{told}"
