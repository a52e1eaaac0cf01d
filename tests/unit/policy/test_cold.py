"""What loading a policy imports, in a process of its own: milliseconds of a budget."""

import os
import subprocess
import sys
import time
from pathlib import Path

SOURCE = str(Path(__file__).parents[3] / "src")
# 3 ms on an idle machine; CI shares its cores, and one bad moment is no regression.
BUDGET = 0.030
SLOW = {
    "asyncio",
    "ssl",
    "cryptography",
    "logging",
    "subprocess",
    "dataclasses",
    "typing",
    "enum",
    "re",
    "json",
    "tomllib",
    "pathlib",
    "socket",
    "hashlib",
    "tempfile",
    "shutil",
    "contextlib",
    "functools",
    "collections",
    "inspect",
    "importlib.metadata",
    "shlex",
    "difflib",
    "configparser",
    "urllib",
    "ringfence.policy.decode",
    "ringfence.policy.forms",
}
PROGRAM = """
import sys, time
sys.path.insert(0, SOURCE)
start = time.perf_counter()
from ringfence.host import indexes, probe
from ringfence.policy.load import effective
host = probe.host()
policy = effective(host, sys.argv[2], command=sys.argv[1], indexes=indexes.reader(host, sys.argv[2]))
took = time.perf_counter() - start
print(took, len(policy.egress.allow), len(policy.notes), *sorted(sys.modules))
"""


def load(machine, command: str) -> tuple[float, int, int, set[str]]:
    environment = {
        "PATH": os.pathsep.join(machine.host.path),
        "HOME": str(machine.home),
        "RINGFENCE_CONFIG_DIR": machine.host.config_dir,
        "RINGFENCE_STATE_DIR": machine.host.state_dir,
        "RINGFENCE_CACHE_DIR": machine.host.cache_dir,
        "RINGFENCE_MANAGED_POLICY": machine.host.managed_policy,
    }
    done = subprocess.run(
        [
            sys.executable,
            "-I",
            "-S",
            "-c",
            PROGRAM.replace("SOURCE", repr(SOURCE)),
            command,
            str(machine.workspace),
        ],
        env=environment,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    took, rules, notes, *modules = done.stdout.split()
    return float(took), int(rules), int(notes), set(modules)


def best(machine, command: str) -> float:
    deadline, times = time.monotonic() + 20, [load(machine, command)[0]]
    while min(times) > BUDGET / 10 and len(times) < 8 and time.monotonic() < deadline:
        times.append(load(machine, command)[0])
    return min(times)


def test_no_file_at_all_costs_a_few_milliseconds_and_no_slow_import(machine):
    _, rules, _, modules = load(machine, "true")
    assert rules == 0
    assert not modules & SLOW
    assert best(machine, "true") < BUDGET


def test_the_second_start_with_files_and_presets_parses_nothing(machine, tool):
    from ringfence.value import replace

    machine.host = replace(
        machine.host, path=(tool("bin", "git"), tool("bin", "python3"), tool("bin", "node"))
    )
    machine.managed('[egress]\ndeny = ["evil.test"]')
    machine.user('[egress]\nallow = ["a.test"]')
    machine.project('[egress]\nallow = ["b c.test"]'.replace("b c", "b"), trusted=True)
    assert "tomllib" in load(machine, "claude")[3]
    _, rules, notes, modules = load(machine, "claude")
    assert rules >= 8
    assert notes == 0
    assert not modules & SLOW
    assert best(machine, "claude") < BUDGET


def test_a_note_about_an_untrusted_project_imports_nothing_slow(machine):
    machine.project('[egress]\nallow = ["b.test"]')
    load(machine, "true")
    _, rules, notes, modules = load(machine, "true")
    assert (rules, notes) == (0, 1)
    assert not modules & SLOW
