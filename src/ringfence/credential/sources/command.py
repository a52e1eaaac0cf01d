"""`command:PROGRAM ARGUMENT…`: a program that prints the value, such as `pass show key` or `op read …`.

Split as a shell would, run without one, from `/`, with a scrubbed environment and a time limit. The
program is never taken from inside the workspace, and what it says on standard error is shown with
everything left out that could be a secret.
"""

import os
import selectors
import shlex
import signal
import subprocess
import time

from ringfence.credential.secret import MAX_LENGTH, SourceError
from ringfence.credential.sources import COMMAND_VARIABLES, Access, Reading, expand, find_program, own_path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

LIFETIME = 300.0  # seconds until a command is asked again
TIME_LIMIT = 30.0  # seconds; long enough for a person to touch a security key
GRACE = 0.05  # seconds that standard error may lag behind the end of standard output
OUTPUT_LIMIT = MAX_LENGTH + 2
PATH = "/usr/local/bin:/usr/bin:/bin"
SHOWN_LENGTH = 200  # characters of standard error told to the operator
WORD_LENGTH = 16  # letters; what is longer, or holds anything but letters, could be a secret


def read(words: str, access: Access, limit: float = TIME_LIMIT) -> Reading:
    """Run the program and return what it printed, without the final line break."""
    source = f"command:{words}"
    argv = _argv(source, words, access.environment, access.workspace)
    return Reading(run(source, argv, access, limit), LIFETIME)


def run(
    source: str, argv: list[str], access: Access, limit: float = TIME_LIMIT, also: tuple[str, ...] = ()
) -> str:
    """Run a program of the operator's and return what it printed; `also` are more variables it may see."""
    scrubbed = {
        name: access.environment[name] for name in (*COMMAND_VARIABLES, *also) if access.environment.get(name)
    }
    status, output, complaint = _run(source, argv, scrubbed, workspace=access.workspace, limit=limit)
    if status != 0:
        how = f"ended by signal {-status}" if status < 0 else f"exit status {status}"
        raise SourceError(
            f"`{source}`: {how}{told(complaint, output)}", hint="run the command yourself and mend it"
        )
    return output.decode("utf-8", "replace").removesuffix("\n").removesuffix("\r")


def told(complaint: bytes, output: bytes) -> str:
    """Return what a failed program said, only its plain words: no word it printed, nothing with digits."""
    printed = set(output.decode("utf-8", "replace").split())
    words = complaint.decode("utf-8", "replace")[: SHOWN_LENGTH * 4].split()
    text = " ".join(word if _plain(word) and word not in printed else "…" for word in words)
    return f": {text[:SHOWN_LENGTH]}" if text else ""


def _plain(word: str) -> bool:
    letters = word.strip(".,:;!?()'\"`")
    return (
        letters.isascii()
        and letters.isalpha()
        and len(letters) <= WORD_LENGTH
        and len(word) <= WORD_LENGTH + 2
    )


def _argv(source: str, words: str, environment: "Mapping[str, str]", workspace: str) -> list[str]:
    try:
        argv = shlex.split(words)
    except ValueError as error:
        raise SourceError(f"`{source}`: {error}", hint="quote the arguments as for a shell") from None
    if not argv:
        raise SourceError(f"`{source}`: no program", hint="write command:PROGRAM ARGUMENT…")
    name = expand(argv[0], environment.get("HOME", ""))
    program = find_program(name, (environment.get("PATH") or PATH).split(":"), workspace)
    if not program:
        raise SourceError(
            f"`{source}`: the program `{argv[0]}` is not found on PATH outside the workspace",
            hint="install it, or write its absolute path",
        )
    return [program, *argv[1:]]


def _run(
    source: str, argv: list[str], scrubbed: dict[str, str], *, workspace: str, limit: float
) -> tuple[int, bytes, bytes]:
    # What the program itself starts is looked up on its PATH: that too must not lead into the workspace.
    scrubbed["PATH"] = own_path(scrubbed.get("PATH", ""), workspace) or PATH
    try:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd="/",
            env=scrubbed,
            start_new_session=True,
        )
    except OSError as error:
        raise SourceError(
            f"`{source}`: {error.strerror}", hint="run the command yourself and mend it"
        ) from None
    with process:
        try:
            output, complaint = _collect(process, time.monotonic() + limit)
            return process.wait(1.0), output, complaint
        except (TimeoutError, subprocess.TimeoutExpired):
            raise SourceError(
                f"`{source}`: no answer within {limit:g} seconds", hint="make it answer without a prompt"
            ) from None
        except OverflowError:
            raise SourceError(
                f"`{source}`: printed more than a secret", hint="print only the value"
            ) from None
        finally:
            _end(process)


def _collect(process: subprocess.Popen[bytes], deadline: float) -> tuple[bytes, bytes]:
    """Read both pipes to their end, within the time and the size allowed."""
    if process.stdout is None or process.stderr is None:
        raise RuntimeError("started without pipes")
    parts = {process.stdout.fileno(): b"", process.stderr.fileno(): b""}
    wanted = process.stdout.fileno()
    with selectors.DefaultSelector() as waiting:
        for fd in parts:
            waiting.register(fd, selectors.EVENT_READ)
        while wanted in waiting.get_map():
            ready = waiting.select(max(0.0, deadline - time.monotonic()))
            if not ready:
                raise TimeoutError
            for key, _ in ready:
                data = os.read(key.fd, 65536)
                if not data:
                    waiting.unregister(key.fd)
                parts[key.fd] = _kept(parts[key.fd] + data, strict=key.fd == wanted)
        if waiting.get_map() and waiting.select(GRACE):
            parts[process.stderr.fileno()] += os.read(process.stderr.fileno(), 4096)
    return parts[wanted], parts[process.stderr.fileno()]


def _kept(data: bytes, *, strict: bool) -> bytes:
    if len(data) <= OUTPUT_LIMIT:
        return data
    if strict:
        raise OverflowError
    return data[:OUTPUT_LIMIT]


def _end(process: subprocess.Popen[bytes]) -> None:
    """End what is left of the program and of all it started."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return
