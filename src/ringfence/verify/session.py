"""Sessions of the battery: real ones, started through the command line like anybody's."""

import json
import os
import subprocess
import sys

from ringfence.errors import BoundaryError
from ringfence.value import Struct
from ringfence.verify import witness
from ringfence.verify.attacks import Attack, source

_HERE = os.path.dirname(os.path.abspath(__file__))
_PATIENCE = 600  # seconds for a whole session of attacks
# A Python that is visible inside: the operator's own may lie in a home directory that is not.
_FIND_PYTHON = 'text=$1; bundle=$2; shift 2; for p in "$@"; do if "$p" -I -S -c "import ctypes, json, socket" 2>/dev/null; then exec "$p" -I -S -c "$text" "$bundle"; fi; done; echo "no Python inside" >&2; exit 97'  # noqa: E501
_NO_PYTHON = 97
# Set around each session: none of them may arrive inside.
TOKEN_VARIABLES = ("VERIFY_CANARY_TOKEN", "LD_VERIFY_CANARY")
FUNCTION_VARIABLE = "BASH_FUNC_verify_canary%%"


class Starter(Struct):
    """How a session is started: the words before the command that runs inside."""

    words: tuple[str, ...]
    token: str  # the value of the planted variables

    def argv(self, command: tuple[str, ...]) -> list[str]:
        """Return the whole command line, with the planted variables around it."""
        planted = [f"{name}={self.token}" for name in TOKEN_VARIABLES]
        return ["/usr/bin/env", *planted, f"{FUNCTION_VARIABLE}=() {{ :; }}", *self.words, *command]


def starter(options: tuple[str, ...], token: str, weakening: str = "") -> Starter:
    """Return how `ringfence run` is started with the operator's options; for tests also weakened."""
    module = ("ringfence.cli.weakened", weakening) if weakening else ("ringfence.cli", "run")
    return Starter(words=(sys.executable, "-m", *module, "--discard", *options, "--"), token=token)


def bundle(attacks: tuple[Attack, ...], facts: dict[str, object]) -> str:
    """Return everything that the program inside needs, as one text."""
    with open(os.path.join(_HERE, "prelude.py"), encoding="utf-8") as file:
        prelude = file.read()
    rows = [{"name": attack.module, "source": source(attack.module)} for attack in attacks]
    return json.dumps({"prelude": prelude, "attacks": rows, "facts": facts})


def program(argument: str) -> tuple[str, ...]:
    """Return the command that runs inside: finds a Python, then makes the attacks."""
    with open(os.path.join(_HERE, "inside.py"), encoding="utf-8") as file:
        text = file.read()
    # a name on PATH may be a wrapper that changes the environment, so it is not the first choice
    pythons = ("/usr/bin/python3", "/usr/local/bin/python3", "python3", sys.executable)
    return ("/bin/sh", "-c", _FIND_PYTHON, "sh", text, argument, *pythons)


def make(
    start: Starter, attacks: tuple[Attack, ...], facts: dict[str, object], descriptors: tuple[int, ...] = ()
) -> dict[str, dict[str, object]]:
    """Run one session with these attacks. Return module → finding."""
    child = subprocess.Popen(
        start.argv(program("-")),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        pass_fds=descriptors,
    )
    engine = str(facts.get("engine") or "")
    with witness.Witness(child.pid, engine, str(facts.get("state_dir", ""))) as seen:
        try:
            out, complaint = child.communicate(bundle(attacks, facts).encode(), timeout=_PATIENCE)
        except BaseException:
            child.kill()
            child.communicate()
            raise
    found = findings(out.decode("utf-8", "replace"))
    if not found:
        raise _not_started(child.returncode, complaint.decode("utf-8", "replace"))
    if "kernel_files" in found and seen.lowered:
        said = f"on the host {seen.lowered} of the session's processes got a lower oom_score_adj"
        found["kernel_files"] = {"held": False, "evidence": said}
    if "engine" in found and engine and seen.container is None:
        found["engine"] = {"held": None, "evidence": "the engine did not say what it had made"}
    elif "engine" in found and seen.container:
        found["engine"] = {"held": False, "evidence": f"the engine made: {', '.join(seen.container)}"}
    return found


def findings(text: str) -> dict[str, dict[str, object]]:
    """Pick the findings out of what a session printed."""
    found = {}
    for line in text.splitlines():
        if line.lstrip().startswith('{"attack":'):
            one = json.loads(line)
            found[one.pop("attack")] = one
    return found


def _not_started(status: int, complaint: str) -> BoundaryError:
    if status == _NO_PYTHON:
        return BoundaryError(
            "no Python 3 is visible inside the boundary, so no attack can be made",
            hint="ringfence verify --read /usr/bin",
        )
    text = complaint.strip() or f"it ended with status {status} and said nothing"
    return BoundaryError(f"the boundary to be attacked did not start:\n{text}")
