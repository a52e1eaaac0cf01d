"""`ringfence check --stdin`: a verdict for each line of JSON, for CI and for other programs.

One bad line never ends the others, and never goes unanswered: it is denied, with the reason. A key that
stands twice in an object could mean either, so such a line is bad too.
"""

import json
import os
import sys

from ringfence.errors import RingfenceError
from ringfence.host import probe
from ringfence.host.files import Files
from ringfence.policy import toolrules
from ringfence.verdict.ruling import ToolCall
from ringfence.verdict.tool import Rulebook, decide

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

KEYS = frozenset({"id", "command", "tool", "input", "cwd", "rules", "shell"})
LONGEST_LINE = 8 << 20  # bytes
MOST_BOOKS = 256
EFFECTS = ("allow", "ask", "deny")


class _BadLineError(Exception):
    """A line that cannot be decided on; its text is the reason."""


class _Decider:
    def __init__(self, usual: "Callable[[], tuple[Rulebook, tuple[str, ...]]]", cwd: str, shell: str) -> None:
        self._usual = usual
        self._usual_book: Rulebook | None = None
        self._books: dict[str, Rulebook] = {}
        self._cwd = cwd
        self._shell = shell
        self._home = probe.host().home

    def answer(self, line: bytes) -> dict[str, object]:
        """Decide on one line."""
        name: object = None
        try:
            row = _object(line)
            name = row.get("id")
            call = self._call(row)
            ruling = decide(call, self._book(row), Files())
        except _BadLineError as why:
            return _denied(name, str(why))
        except RingfenceError as error:
            return _denied(name, error.message)
        except Exception as error:  # noqa: BLE001 - the other lines still want their answers
            return _denied(name, f"ringfence failed on this line ({type(error).__name__})")
        return {
            "id": name,
            "verdict": ruling.effect,
            "rule": ruling.rule.text if ruling.rule else None,
            "reason": ruling.reason,
            "risks": list(dict.fromkeys(one.risk for one in ruling.findings)),
            "suggestion": list(ruling.suggestion),
        }

    def _call(self, row: dict[str, object]) -> ToolCall:
        cwd, shell = row.get("cwd", self._cwd), row.get("shell", self._shell)
        if not isinstance(cwd, str) or not os.path.isabs(cwd) or "\0" in cwd:
            raise _BadLineError("`cwd` is not an absolute path")
        if not isinstance(shell, str):
            raise _BadLineError("`shell` is not a text")
        if ("command" in row) == ("tool" in row):
            raise _BadLineError("a line holds either `command`, or `tool` and `input`")
        if "command" in row:
            if not isinstance(row["command"], str):
                raise _BadLineError("`command` is not a text")
            return ToolCall(tool="Bash", input={"command": row["command"]}, cwd=cwd, shell=shell)
        tool, given = row["tool"], row.get("input", {})
        if not isinstance(tool, str) or not tool or not isinstance(given, dict):
            raise _BadLineError("`tool` is a name, and `input` an object")
        return ToolCall(tool=tool, input=given, cwd=cwd, shell=shell)

    def _book(self, row: dict[str, object]) -> Rulebook:
        if "rules" not in row:
            if self._usual_book is None:
                self._usual_book = self._usual()[0]
            return self._usual_book
        table = row["rules"]
        if not isinstance(table, dict) or not all(key in EFFECTS for key in table):
            raise _BadLineError("`rules` holds the lists allow, ask and deny, and nothing else")
        key = json.dumps(table, sort_keys=True)
        if key not in self._books:
            if len(self._books) >= MOST_BOOKS:
                self._books.clear()
            read = toolrules.read(*(table.get(effect, ()) for effect in EFFECTS), scope="session")
            self._books[key] = Rulebook(read.rules, home=self._home)
        return self._books[key]


def run(usual: "Callable[[], tuple[Rulebook, tuple[str, ...]]]", cwd: str, shell: str) -> int:
    """Answer each line of standard input on standard output."""
    decider = _Decider(usual, cwd, shell)
    source = sys.stdin.buffer
    while True:
        line = source.readline(LONGEST_LINE + 1)
        if not line:
            return 0
        if len(line) > LONGEST_LINE:
            while line and not line.endswith(b"\n"):
                line = source.readline(LONGEST_LINE)
            said = _denied(None, f"the line is longer than {LONGEST_LINE} bytes")
        elif not line.strip():
            continue
        else:
            said = decider.answer(line)
        sys.stdout.write(json.dumps(said) + "\n")
        sys.stdout.flush()


def _denied(name: object, reason: str) -> dict[str, object]:
    return {"id": name, "verdict": "deny", "rule": None, "reason": reason, "risks": [], "suggestion": []}


def _object(line: bytes) -> dict[str, object]:
    try:
        row = json.loads(line.decode("utf-8"), object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise _BadLineError(f"the line is not JSON: {error}") from None
    if not isinstance(row, dict):
        raise _BadLineError("a line is a JSON object")
    unknown = [key for key in row if key not in KEYS]
    if unknown:
        raise _BadLineError(f"a line does not have {unknown[0]!a}")
    return row


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("a key stands twice in an object")
    return made
