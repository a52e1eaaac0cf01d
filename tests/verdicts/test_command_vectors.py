"""Shell commands and the verdicts they deserve, row by row: tests/verdicts/commands*.jsonl.

commands.jsonl is the sample that this was built from, commands_more.jsonl our own. `tier` says how much a
row weighs: all of `must` hold, 95 % of `should`; `later` is only counted. Every row is decided twice: in a
folder that has the files which rows speak of, and by `ringfence check --stdin`, in a folder that has not.
"""

import json
import os
import re
import subprocess
import sys
import time
from collections import Counter

import pytest

from ringfence.errors import PolicyError
from ringfence.host.files import Files
from ringfence.policy import toolrules
from ringfence.verdict.ruling import ToolCall
from ringfence.verdict.tool import Rulebook, decide

HERE = os.path.dirname(os.path.abspath(__file__))
SLOWEST = 2.0
# Where the world does not exist, these cannot hold: what they are about is a link or a file of it.
NEEDS_WORLD = {"pth-22"}


def read(name):
    path = os.path.join(HERE, name)
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file if line.strip()]


ROWS = [*read("commands.jsonl"), *read("commands_more.jsonl")]


def expected(row):
    return {row["expect"]} if isinstance(row["expect"], str) else set(row["expect"])


@pytest.fixture(scope="session")
def world(tmp_path_factory):
    """Build the workspace that rows speak of as /w."""
    root = tmp_path_factory.mktemp("w")
    for folder in ("src", "secrets", "sub", "evilrepo", "evilbin", ".git/hooks", "build"):
        (root / folder).mkdir(parents=True)
    files = (".env", "secrets/token", "README.md", "src/a.py", "src/b.py", "sub/.env", "big.txt", "a.tar", "package.json")
    for name in files:
        (root / name).write_text("x\n")
    (root / "link_env").symlink_to(".env")
    (root / "link_etc").symlink_to("/etc")
    (root / "link_secrets").symlink_to("secrets")
    return root


def placed(text, root):
    """Put the world's folder in the place of /w."""
    return re.sub(r"(?<![\w.~-])/w(?=[/\s'\":;]|$)", str(root), text)


def told(row, effect, seconds, ruling_reason):
    shown = row["command"] if len(row["command"]) < 100 else row["command"][:97] + "…"
    return f"{row['id']}: {shown!r} is {effect}, not {row['expect']} ({seconds:.2f} s; {ruling_reason[:120]})"


def judged(rows, answers):
    """Compare, print the table of classes, and return what does not hold."""
    wrong = {"must": [], "should": [], "later": []}
    table = Counter()
    for row, (effect, seconds, reason) in zip(rows, answers, strict=True):
        right = effect in expected(row) and seconds <= row.get("max_ms", SLOWEST * 1000) / 1000
        table[row["class"], right] += 1
        if not right:
            wrong[row["tier"]].append(told(row, effect, seconds, reason))
    for name in sorted({name for name, _ in table}):
        print(f"{name}: {table[name, True]} of {table[name, True] + table[name, False]}")
    return wrong


def holds(wrong, rows):
    should = sum(row["tier"] == "should" for row in rows)
    assert not wrong["must"], "\n".join(["", *wrong["must"], *wrong["should"], *wrong["later"]])
    assert len(wrong["should"]) <= should * 0.05, "\n".join(["", *wrong["should"]])


def decided(row, root):
    """Decide on a row in a folder that stands for /w. Rules that cannot be read let nothing happen."""
    rules = {effect: [placed(one, root) for one in row["rules"].get(effect, [])] for effect in toolrules.EFFECTS}
    try:
        book = Rulebook(toolrules.read(**rules).rules, home="/home/user")
    except PolicyError as error:
        return "deny", error.message
    command = {"command": placed(row["command"], root)}
    ruling = decide(
        ToolCall(tool="Bash", input=command, cwd=str(root), shell=row.get("shell", "bash")), book, Files()
    )
    return ruling.effect, ruling.reason


def test_every_row_gets_its_verdict_where_its_files_are(world):
    answers = []
    for row in ROWS:
        start = time.perf_counter()
        effect, reason = decided(row, world)
        assert "ringfence failed" not in reason, (row["id"], reason)
        answers.append((effect, time.perf_counter() - start, reason))
    holds(judged(ROWS, answers), ROWS)


@pytest.mark.parametrize("cwd", ["/w", None])
def test_every_row_gets_its_verdict_from_the_command_line_without_any_files(cwd, tmp_path):
    rows = [row for row in ROWS if not row.get("world") and row["id"] not in NEEDS_WORLD]
    if cwd is None:
        rows = [row for row in rows if "/w" not in row["command"]]
    fields = ("id", "command", "rules", "shell")
    lines = [{key: row[key] for key in fields if key in row} | ({"cwd": cwd} if cwd else {}) for row in rows]
    done = subprocess.run(
        [sys.executable, "-m", "ringfence.cli", "check", "--stdin"],
        input="".join(json.dumps(line) + "\n" for line in lines),
        capture_output=True, text=True, timeout=120, check=True, cwd=tmp_path,
        env={**os.environ, "HOME": "/home/user"},
    )  # fmt: skip
    said = [json.loads(line) for line in done.stdout.splitlines()]
    assert [one["id"] for one in said] == [row["id"] for row in rows]
    assert done.stderr == ""
    answers = [(one["verdict"], 0.0, one["reason"]) for one in said]
    holds(judged(rows, answers), rows)
