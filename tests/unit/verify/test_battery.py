"""The table, and how findings travel out of a session."""

import ast
import json
import os
import subprocess
import sys

import pytest

from ringfence.errors import BoundaryError
from ringfence.verify import attacks, battery, inspected, outside, session
from ringfence.verify.applicable import NOWHERE, why_not
from ringfence.verify.attacks import ATTACKS, INSIDE, OUTSIDE, Attack
from ringfence.verify.canary import Canaries

TIERS = ("sandbox", "container", "gvisor", "microvm")
FOLDER = os.path.dirname(attacks.__file__)
MODULES = sorted(
    name.removesuffix(".py") for name in os.listdir(FOLDER) if name.endswith(".py") and name != "__init__.py"
)


class TestTheTable:
    def test_holds_every_file_once(self):
        assert sorted(one.module for one in ATTACKS) == MODULES

    def test_has_no_id_twice(self):
        assert len({one.id for one in ATTACKS}) == len(ATTACKS)

    def test_gives_every_outside_attack_its_half(self):
        for one in ATTACKS:
            assert (one.kind == OUTSIDE) == (one.module in battery.HALVES)

    @pytest.mark.parametrize("name", MODULES)
    def test_an_attack_needs_nothing_of_ringfence_but_the_prelude(self, name):
        tree = ast.parse(attacks.source(name))
        imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        imported |= {
            alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names
        }
        assert {one for one in imported if one.startswith("ringfence")} <= {"ringfence.verify.prelude"}
        assert ast.get_docstring(tree)
        assert any(isinstance(node, ast.FunctionDef) and node.name == "attack" for node in tree.body)


def run_inside(text, facts, name="test"):
    """Run the inside program on an attack given as text, without any boundary."""
    with open(os.path.join(os.path.dirname(FOLDER), "prelude.py"), encoding="utf-8") as file:
        prelude = file.read()
    given = json.dumps({"prelude": prelude, "attacks": [{"name": name, "source": text}], "facts": facts})
    with open(os.path.join(os.path.dirname(FOLDER), "inside.py"), encoding="utf-8") as file:
        program = file.read()
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program, "-"],
        input=given,
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    return session.findings(done.stdout)[name]


class TestTheProgramInside:
    def test_passes_on_what_an_attack_found(self):
        assert run_inside("def attack(facts): return {'held': True, 'evidence': facts['x']}", {"x": "y"}) == {
            "held": True,
            "evidence": "y",
        }

    def test_does_not_count_a_broken_attack_as_held(self):
        found = run_inside("def attack(facts):\n    return facts['missing']", {})
        assert found["held"] is None
        assert "KeyError('missing') at line 2" in found["evidence"]

    def test_does_not_count_an_attack_that_ends_its_process_as_held(self):
        assert run_inside("import os\ndef attack(facts): os._exit(0)", {})["held"] is None

    def test_does_not_count_an_attack_that_does_not_parse_as_held(self):
        assert run_inside("def attack(", {})["held"] is None


class TestASession:
    def test_that_does_not_start_is_an_error_with_its_own_words(self):
        start = session.Starter(
            words=("/bin/sh", "-c", "echo 'error: no such tier' >&2; exit 125"), token="x"
        )
        with pytest.raises(BoundaryError, match="error: no such tier"):
            session.make(start, (), {})

    def test_without_a_python_inside_says_so(self):
        start = session.Starter(words=("/bin/sh", "-c", "exit 97"), token="x")
        with pytest.raises(BoundaryError, match="no Python 3 is visible inside"):
            session.make(start, (), {})

    def test_gets_the_planted_variables(self):
        argv = session.Starter(words=("env",), token="canary").argv(())
        done = subprocess.run(argv, capture_output=True, text=True, timeout=10, check=True)
        assert "VERIFY_CANARY_TOKEN=canary" in done.stdout
        assert "BASH_FUNC_verify_canary%%=() { :; }" in done.stdout


class TestResults:
    ONE = Attack(id="T", title="t", row="r", module="io_uring", kind=INSIDE)

    def test_an_attack_without_a_finding_is_not_held(self):
        assert battery._result(self.ONE, None).held is None

    @pytest.mark.parametrize("odd", [None, 1, "true", "held", []])
    def test_only_true_is_held(self, odd):
        assert battery._result(self.ONE, {"held": odd, "evidence": ""}).held is None


def test_canaries_are_there_and_gone():
    import socket

    with Canaries() as canaries:
        files = list(canaries.facts["planted_files"])
        assert all(os.path.exists(path) for path in files)
        with socket.create_connection(("127.0.0.1", canaries.facts["canary_port"]), 5) as end:
            assert canaries.token.encode() in end.recv(4096)
        assert canaries.visits
        assert all(os.fstat(fd) for fd in canaries.descriptors)
    assert not any(os.path.exists(path) for path in files)
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", canaries.facts["canary_port"]), 1)


class TestWhatTheHostObeys:
    def test_a_planted_repository_is_told_by_git_itself(self, tmp_path):
        place = tmp_path / "x.git"
        for name in ("objects", "refs"):
            (place / name).mkdir(parents=True)
        (place / "HEAD").write_text("ref: refs/heads/main\n")
        (place / "config").write_text(
            "[core]\n\trepositoryformatversion = 0\n[ringfence]\n\tverify = token\n"
        )
        made = [str(place / "config")]
        assert outside._obeyed(made, "token") == [str(place)]
        (place / "config").unlink()
        assert outside._obeyed(made, "token") == []

    def test_only_what_the_battery_made_is_taken_away(self, tmp_path):
        (tmp_path / "kept").write_text("x")
        before = set(os.listdir(tmp_path))
        (tmp_path / "written meanwhile by the user").write_text("x")
        (tmp_path / "ringfence-verify-bare").mkdir()
        (tmp_path / ".envrc").write_text("planted")
        outside._clean(str(tmp_path), before, set())
        assert sorted(os.listdir(tmp_path)) == ["kept", "written meanwhile by the user"]


class TestWhatNeedNotBeAttempted:
    def test_is_a_short_list_of_attacks_on_one_tiers_own_parts(self):
        assert {attack for attack, _tier in NOWHERE} == {"S23", "S24", "S25"}
        assert len(NOWHERE) == 9

    def test_leaves_every_attack_a_tier_in_which_it_is_made(self):
        for one in ATTACKS:
            assert [tier for tier in TIERS if not why_not(one.id, tier)], one.id

    def test_does_not_count_against_a_tier(self):
        nowhere = battery._nowhere(TestResults.ONE, "there is none")
        assert nowhere.held is None
        assert nowhere.evidence == "not applicable: there is none"
        assert battery.well([nowhere])

    @pytest.mark.parametrize("held", [None, False])
    def test_is_another_thing_than_not_having_been_attempted(self, held):
        found = battery._result(TestResults.ONE, {"held": held, "evidence": ""})
        assert not battery.well([found])


GOOD = {
    "Config": {"User": "65534:65534"},
    "Mounts": [{"Source": "/x", "RW": False}],
    "HostConfig": {
        "IpcMode": "private", "NetworkMode": "none", "CgroupnsMode": "private", "ReadonlyRootfs": True,
        "CapDrop": ["ALL"], "SecurityOpt": ["no-new-privileges", "seccomp={}"],
    },
}  # fmt: skip


class TestWhatAnEngineMade:
    def test_is_as_the_plan_has_it(self):
        assert inspected.judge(GOOD) == []

    @pytest.mark.parametrize(
        ("setting", "value"),
        [
            ("PidMode", "host"), ("IpcMode", "host"), ("NetworkMode", "bridge"), ("UTSMode", "host"),
            ("UsernsMode", "host"), ("CgroupnsMode", "host"), ("Privileged", True), ("ReadonlyRootfs", False),
            ("CapDrop", []), ("CapAdd", ["SYS_ADMIN"]), ("Devices", [{}]), ("Binds", ["/:/x"]),
            ("SecurityOpt", ["seccomp={}"]), ("SecurityOpt", ["no-new-privileges", "seccomp=unconfined"]),
        ],
    )  # fmt: skip
    def test_or_is_named(self, setting, value):
        made = {**GOOD, "HostConfig": {**GOOD["HostConfig"], setting: value}}
        assert len(inspected.judge(made)) == 1

    def test_a_root_a_writable_mount_and_an_engines_socket_are_named(self):
        made = {**GOOD, "Config": {}, "Mounts": [{"Source": "/run/docker.sock", "RW": True}]}
        assert len(inspected.judge(made)) == 3
