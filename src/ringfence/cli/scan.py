"""`ringfence scan`: look into the project's files for keys, now."""

import os
import sys

from ringfence.boundary import detector
from ringfence.canonical import encode
from ringfence.errors import RingfenceError, UsageError
from ringfence.host import probe
from ringfence.policy import load
from ringfence.preparation import workspace_of
from ringfence.workspace import detect

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ringfence.workspace.detect import Hit

HELP = """\
usage: ringfence scan [--json] [FOLDER]

Look into the files of the project (or FOLDER's) for keys, and list where they stand: path:line and which
rule fits, never the value. Sessions hide such files. What `workspace.unmask` gives up is left out.

  --json   an array of {"path", "line", "rule"}

Exit status: 0 when no file holds a key, 1 when one does.
"""


def main(arguments: list[str]) -> int:
    """Look, list."""
    if arguments and arguments[0] in {"-h", "--help"}:
        sys.stdout.write(HELP)
        return 0
    words = [word for word in arguments if word != "--json"]
    if len(words) > 1 or (words and words[0].startswith("-")):
        raise UsageError(f"`ringfence scan` does not know `{words[-1]}`", hint=HELP.strip())
    host = probe.host()
    workspace = (
        os.path.realpath(words[0]) if words else workspace_of(os.path.realpath(os.getcwd()), host.home)
    )
    if not os.path.isdir(workspace):
        raise UsageError(f"{workspace} is no folder")
    unmask = load.effective(host, workspace).workspace.unmask
    found = [
        hit
        for hit in _look(workspace, detect.file_of(host.cache_dir, workspace))
        if not _given_up(hit, unmask)
    ]
    places = [(hit.path, place.line, place.rule) for hit in found for place in hit.places]
    if "--json" in arguments:
        print(encode([{"path": path, "line": line, "rule": rule} for path, line, rule in places]))
    else:
        for path, line, rule in places:
            print(f"{_shown(path)}:{line}: {rule}")
    return 1 if places else 0


def _given_up(hit: "Hit", unmask: tuple[str, ...]) -> bool:
    return detect.is_given_up(hit.path, unmask)


def _look(workspace: str, file: str) -> "tuple[Hit, ...]":
    from ringfence.workspace import detection

    if not detection.has_detect_secrets():
        sys.stderr.write(
            "ringfence: without detect-secrets only keys of well-known shapes are found; "
            "`pip install 'ringfence[detect]'`\n"
        )
    if not file:
        raise RingfenceError(
            "there is no cache folder to keep the result in", hint="set RINGFENCE_CACHE_DIR or HOME"
        )
    os.makedirs(os.path.dirname(file), 0o700, exist_ok=True)
    detector.confine(workspace, os.path.dirname(file))
    detection.scan(workspace, file)
    return detect.present(workspace, detect.load(file, workspace))


def _shown(path: str) -> str:
    return path if path.isprintable() else path.encode("unicode_escape", "backslashreplace").decode()
