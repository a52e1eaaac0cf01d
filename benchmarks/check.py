"""What a decision on a tool call costs: in process, for large and hostile texts, and as a whole command.

    python benchmarks/check.py [--runs N]

Decisions are timed with ten rules and with a thousand; a start is a whole process, beside a bare interpreter.
"""

import argparse
import os
import subprocess
import sys
import time

from ringfence.host.files import Files
from ringfence.policy import toolrules
from ringfence.verdict.ruling import ToolCall
from ringfence.verdict.tool import Rulebook, decide

RULES = {
    "allow": [
        "Bash(npm run *)", "Bash(git status *)", "Bash(git log *)", "Bash(git diff *)", "Bash(ls *)",
        "Bash(cat *)", "Bash(echo *)", "Bash(find *)", "Bash(sed *)", "Bash(grep *)",
    ],
    "ask": ["Bash(git push *)"],
    "deny": ["Bash(curl *)", "Read(./.env)", "Read(./secrets/**)"],
}  # fmt: skip
TYPICAL = (
    "git status && ls -la",
    "npm run build 2>&1 | grep -i error",
    "git log --oneline -5 2>/dev/null",
    "cat README.md",
    "sed -n '1,20p' README.md",
    "grep -n 'curl ' README.md",
    "NODE_ENV=test npm run test",
    "git diff HEAD~1",
    "find . -name '*.py' -not -path './x/*'",
    "echo hello",
)
HEAVY = {
    "10 kB of arguments": "echo " + "a " * 4990,
    "10 kB of commands": "echo a; " * 1240,
    "3,000 substitutions, one in the other": "$(" * 3000 + "ls" + ")" * 3000,
    "5,000 brackets": "(" * 2500 + "ls" + ")" * 2500,
    "5,000 backslashes": "echo " + "\\" * 5000,
    "4,000 [": "[[" * 2000,
    "2,000 here-documents": "<<" * 2000,
    "braces that make a thousand million words": "echo " + "{a,b}" * 30,
    "300 kB": "a" * 300_000,
}


def book(extra: int = 0) -> Rulebook:
    """Return the rules, and as many more as are asked for."""
    more = [f"Bash(program{number} *)" for number in range(extra)]
    return Rulebook(toolrules.read(RULES["allow"] + more, RULES["ask"], RULES["deny"]).rules, home="/root")


def rate(rules: Rulebook, runs: int, cwd: str) -> float:
    """Return typical decisions in a second, in the best of some runs."""
    calls = [ToolCall(tool="Bash", input={"command": text}, cwd=cwd) for text in TYPICAL]
    files, best = Files(), 0.0
    for _ in range(runs):
        start = time.process_time()
        for _ in range(20):
            for call in calls:
                decide(call, rules, files)
        best = max(best, 20 * len(calls) / (time.process_time() - start))
    return best


def seconds(text: str, rules: Rulebook, cwd: str) -> float:
    """Return what one decision takes, in the best of three."""
    call, best = ToolCall(tool="Bash", input={"command": text}, cwd=cwd), 99.0
    for _ in range(3):
        start = time.process_time()
        decide(call, rules, Files())
        best = min(best, time.process_time() - start)
    return best


def start(arguments: list[str], runs: int, given: bytes = b"") -> float:
    """Return how long a whole process takes, in the best of some runs."""
    best = 99.0
    for _ in range(runs):
        began = time.perf_counter()
        subprocess.run([sys.executable, *arguments], input=given, capture_output=True, check=False)
        best = min(best, time.perf_counter() - began)
    return best


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=10)
    runs = parser.parse_args().runs
    cwd = os.getcwd()
    few, many = book(), book(1000)
    print(f"decisions a second: {rate(few, runs, cwd):,.0f}, with 1,000 rules: {rate(many, runs, cwd):,.0f}")
    for name, text in HEAVY.items():
        print(f"{seconds(text, few, cwd) * 1000:8.1f} ms  {name}")
    bare = start(["-I", "-c", "pass"], runs)
    check = start(["-I", "-m", "ringfence.cli", "check", "ls", "--allow", "Bash(ls)"], runs)
    print(f"{check * 1000:8.1f} ms  ringfence check, {(check - bare) * 1000:.1f} ms over a bare interpreter")


if __name__ == "__main__":
    main()
