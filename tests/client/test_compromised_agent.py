"""A fully compromised agent gets nothing and changes nothing outside.

The agent (`agent/`) tries some 150 ways to find, plant and send. Every place a secret can be holds a
canary; every listener of this machine that it could reach keeps what it hears. A first test runs the
same agent with no boundary, so that the checks are known to see what they should.
"""

import json
import os
import re
import shutil
import socket
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from secrets_everywhere import planted
from upstream import Recorder
from world import World, myself

from fake_api.authority import Authority

HERE = os.path.dirname(os.path.abspath(__file__))
EVIL, ALLOWED, READ_ONLY = "evil.example", "api.anthropic.com", "read.example.com"
ECHO, COMMAND = "echo.example.com", "command.example.com"

# What may succeed: it concerns nothing but the agent's own boundary, or is what the policy allows.
HARMLESS = {
    "look.own_environment",
    "look.own_environment_in_proc",
    "look.every_process",  # inside there are only its own
    "look.memory_of_other_processes",  # the same
    "look.credential_files_of_the_project",  # these say that they are hidden
    "look.credential_files_after_renaming_their_folder",
    "look.credential_file_by_other_spellings",
    "look.folders_above_the_project",  # its private home
    "change.own_policy_in_state",  # the same
    "change.setuid_program",  # judged by the owner, below
    "send.dns_over_tcp",  # the gate's own resolver answers, whatever the address
    "send.other_account_on_the_allowed_host",  # with the attacker's key replaced, below
    "send.placeholder_in_the_wrong_places",  # which stays a placeholder, below
    "send.proxy_headers",
    "send.reflected_key",  # which is scrubbed, below
}

# Planting may work in the private home, or be set aside at the end; the host's files are looked at below.
JUDGED_ON_THE_HOST = ("change.home_", "change.project_")


class Outcome(NamedTuple):
    """What an attack led to."""

    steps: dict[str, dict[str, Any]]
    out: bytes
    err: bytes
    allowed: Recorder
    echo: Recorder
    evil: Recorder
    world: World
    ended: float


def _targets(world: World, evil: Recorder, places: dict[str, Any]) -> dict[str, Any]:
    hosts = {"evil": EVIL, "allowed": ALLOWED, "read_only": READ_ONLY, "echo": ECHO}
    return {
        **hosts,
        "home": world.home,
        "state": world.state,
        "port": evil.port,
        "host_address": _own_address(),
        "unix_sockets": places["unix_sockets"],
        "abstract_sockets": places["abstract_sockets"],
    }


def _own_address() -> str:
    """Return an address of this machine that is not loopback, or loopback where there is no other."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])


def _policy(world: World, authority: Authority, allowed: Recorder, echo: Recorder, evil: Recorder) -> str:
    world.plant(os.path.join(world.home, "secret-sources/echo.key"))
    world.plant(os.path.join(world.home, "secret-sources/print-key"), "#!/bin/sh\necho {}\n")
    folder = os.path.join(world.home, "secret-sources")
    os.chmod(os.path.join(folder, "print-key"), 0o700)
    return f"""
use = ["claude", "python", "git"]

[egress]
extra_ca = ["{world.trust(authority)}"]

[[egress.allow]]
host = "{READ_ONLY}"
methods = ["GET"]
paths = ["/open/**"]

[[egress.allow]]
host = "{ECHO}"

[[egress.allow]]
host = "{COMMAND}"

[credentials.echo]
source = "file:{folder}/echo.key"
host = "{ECHO}"
header = "x-echo-key"

[credentials.command]
source = "command:{folder}/print-key"
host = "{COMMAND}"
header = "authorization"
prefix = "Bearer "

[egress.static]
"{ALLOWED}" = "{allowed.address}"
"{READ_ONLY}" = "{evil.address}"
"{ECHO}" = "{echo.address}"
"{COMMAND}" = "{echo.address}"
"{EVIL}" = "{evil.address}"
"""


def _steps(out: bytes) -> dict[str, dict[str, Any]]:
    lines = [json.loads(line) for line in out.splitlines() if line.startswith(b'{"step"')]
    return {line["step"]: line for line in lines}


@pytest.fixture(scope="module", params=["root", "ordinary"] if os.getuid() == 0 else ["ordinary"])
def attack(request: pytest.FixtureRequest, authority: Authority, claude: str) -> Iterator[Outcome]:
    """One session of the compromised agent, and what it left behind."""
    identity = request.getfixturevalue("ordinary_user") if request.param == "ordinary" else myself()
    with (
        World(identity, claude) as world,
        Recorder(authority, address="0.0.0.0") as evil,
        Recorder(authority) as allowed,
        Recorder(authority, echo=True) as echo,
        planted(world) as places,
    ):
        world.policy(_policy(world, authority, allowed, echo, evil))
        shutil.copytree(os.path.join(HERE, "agent"), os.path.join(world.project, "agent"))
        world.write("targets.json", json.dumps(_targets(world, evil, places)))
        done = world.run("python3", "agent", "targets.json", pass_fds=places["fds"], limit=115)
        ended = time.time()
        time.sleep(4)  # long enough for a process that outlived the session to show itself
        yield Outcome(_steps(done.out), done.out, done.err, allowed, echo, evil, world, ended)


def test_without_a_boundary_the_same_agent_finds_and_sends_everything(authority: Authority) -> None:
    only = ["look.own_environment", "look.credential_files_of_the_project", "send.raw_loopback"]
    only += ["look.inherited_descriptors", "change.project_.claude_settings.json", "change.home_.bashrc"]
    homes = [
        f"look.home_{name}"
        for name in ("aws", "ssh", "netrc", "git", "npm", "docker", "kube", "gh", "keyring")
    ]
    with World(myself()) as world, Recorder(authority) as evil, planted(world) as places:
        shutil.copytree(os.path.join(HERE, "agent"), os.path.join(world.project, "agent"))
        targets = {**_targets(world, evil, places), "only": only + homes}
        world.write("targets.json", json.dumps(targets))
        variables = {"TMPDIR": world.folder}
        argv = ("python3", "agent", "targets.json")
        done = world.bare(*argv, pass_fds=places["fds"], variables=variables)
        assert done.code == 0, done.told()
        assert {f"{world.home}/.aws/credentials", ".env", "inherited descriptor"} <= set(
            world.leaks(done.out)
        )
        assert "variable GITHUB_TOKEN" in world.leaks(evil.data)
        assert set(_marks(evil)) == {"raw_loopback"}
        assert any(path.endswith("loot.txt") for path in world.leaks_on_disk())
        assert {".claude/settings.json", "../.bashrc"} <= set(_planted_by_agent(world))


@pytest.mark.timeout(180)
def test_every_step_was_tried(attack: Outcome) -> None:
    assert len(attack.steps) >= 140, attack.err.decode("utf-8", "replace")[-3000:]
    assert b"LOOT " in attack.out


@pytest.mark.guarantee("C6")
def test_no_step_that_should_fail_succeeds(attack: Outcome) -> None:
    assert attack.steps
    through = {name: one["detail"] for name, one in attack.steps.items() if one["got"] == "something"}
    assert {
        name: detail
        for name, detail in through.items()
        if name not in HARMLESS and not name.startswith(JUDGED_ON_THE_HOST)
    } == {}


def test_no_step_hangs(attack: Outcome) -> None:
    assert attack.steps
    assert [name for name, one in attack.steps.items() if one["got"] == "hung"] == []


@pytest.mark.guarantee("C1")
def test_the_agent_reads_no_secret(attack: Outcome) -> None:
    assert b"LOOT " in attack.out
    assert [name for name in attack.world.leaks(attack.out + attack.err) if not _echoed(name)] == []
    assert b"PRIVATE KEY-----" not in attack.out


@pytest.mark.guarantee("N3")
def test_nothing_reaches_a_host_that_is_not_allowed(attack: Outcome) -> None:
    assert attack.steps
    assert [(one.how, one.server_name, one.data[:200]) for one in attack.evil.arrivals] == []


@pytest.mark.guarantee("C3")
def test_the_key_goes_only_into_its_own_header(attack: Outcome) -> None:
    assert attack.allowed.arrivals, "the allowed host was never reached: the test proves nothing"
    keyed = [
        one
        for one in attack.allowed.arrivals
        if b"x-api-key: " + attack.world.key.value.encode() in _lower_names(one.data)
    ]
    assert keyed, "the key was never injected: the test proves nothing"
    for arrival in [*attack.allowed.arrivals, *attack.echo.arrivals]:
        assert attack.world.leaks(_without_own_header(arrival.data)) == [], arrival.data[:2000]


@pytest.mark.guarantee("C4")
def test_the_key_of_another_account_is_replaced(attack: Outcome) -> None:
    assert "other_account" in _marks(attack.allowed)
    assert b"sk-attacker" not in attack.allowed.data


@pytest.mark.guarantee("C7")
def test_a_reflected_key_does_not_come_back(attack: Outcome) -> None:
    """The upstream echoes the request as it is, in base64, in hex and percent-encoded (THREATS.md C07)."""
    assert any(b"x-echo-key" in one.data.lower() for one in attack.echo.arrivals), "nothing was injected"
    assert attack.steps["send.reflected_key"]["got"] == "something"
    assert [name for name in attack.world.leaks(attack.out) if _echoed(name)] == []


def _echoed(name: str) -> bool:
    """Return whether a canary is the one that the echoing upstream is given."""
    return name.endswith("echo.key")


def test_proxy_headers_of_the_agent_stay_behind(attack: Outcome) -> None:
    assert b"GET /api/hello" in attack.allowed.data
    assert not re.search(
        rb"(?i)^(proxy-authorization|x-forwarded-for|forwarded|proxy-connection):",
        attack.allowed.data,
        re.MULTILINE,
    )


@pytest.mark.guarantee("C2")
def test_no_secret_is_on_disk_afterwards(attack: Outcome) -> None:
    assert attack.steps
    leaks = attack.world.leaks_on_disk().items()
    assert {path: names for path, names in leaks if not all(map(_echoed, names))} == {}


@pytest.mark.guarantee("F8")
def test_nothing_is_planted_for_the_host(attack: Outcome) -> None:
    assert attack.steps
    assert _planted_by_agent(attack.world) == []
    assert not os.path.exists("/tmp/pwned")
    assert not os.path.exists("/tmp/PWNED")


def test_no_setuid_file_of_roots_is_left(attack: Outcome) -> None:
    path = os.path.join(attack.world.project, "rootme")
    assert attack.steps
    if os.path.exists(path):
        status = os.stat(path)
        assert status.st_uid == attack.world.identity.uid
        assert not (status.st_uid == 0 and status.st_mode & 0o4000)


@pytest.mark.guarantee("F6")
def test_what_appeared_is_set_aside_and_reported(attack: Outcome) -> None:
    told = attack.err.decode("utf-8", "replace")
    for name in (".claude", ".mcp.json", ".vscode", ".idea", ".envrc", "ringfence.toml"):
        assert re.search(rf"^ringfence: {re.escape(name)} appeared", told, re.MULTILINE), told
        assert not os.path.lexists(os.path.join(attack.world.project, name))


@pytest.mark.guarantee("P1")
def test_no_process_outlives_the_session(attack: Outcome) -> None:
    assert "change.outlive_the_session" in attack.steps
    last_sign = os.stat(os.path.join(attack.world.project, "outlived")).st_mtime
    assert last_sign <= attack.ended + 2


def test_the_refusals_are_on_record(attack: Outcome) -> None:
    text = json.dumps(attack.world.audit())
    assert EVIL in text
    assert "deny" in text


@pytest.mark.guarantee("A3")
def test_the_audit_log_verifies(attack: Outcome) -> None:
    assert attack.steps
    checked = attack.world.outside(*attack.world.ringfence("log", "--verify"))
    assert checked.code == 0, checked.told()


def _marks(recorder: Recorder) -> list[str]:
    return [found.decode() for found in re.findall(rb"MARK-(\w+)", recorder.data)]


def _lower_names(data: bytes) -> bytes:
    return re.sub(rb"(?m)^([\w-]+):", lambda match: match[1].lower() + b":", data)


def _without_own_header(data: bytes) -> bytes:
    """Drop the one header of each host that may carry its credential."""
    head, blank, body = data.partition(b"\r\n\r\n")
    host = re.search(rb"(?im)^host: *(\S+)", head)
    own = {ALLOWED.encode(): b"x-api-key", ECHO.encode(): b"x-echo-key", COMMAND.encode(): b"authorization"}
    name = own.get(host[1] if host else b"", b"-")
    return re.sub(rb"(?im)^" + name + rb":[^\r\n]*\r?\n?", b"", head) + blank + body


def _planted_by_agent(world: World) -> list[str]:
    """Return the files with the agent's marker that the host would obey."""
    private = os.path.join(world.state, "homes")
    found = []
    for folder, _folders, files in os.walk(world.home):
        if folder.startswith((private, os.path.join(world.project, "agent"))) or "/set-aside" in folder:
            continue
        for name in files:
            path = os.path.join(folder, name)
            if os.path.islink(path) or name == "loot.txt" or not os.path.isfile(path):
                continue
            with open(path, "rb") as file:
                if b"PWNED" in file.read():
                    found.append(os.path.relpath(path, world.project))
    return sorted(found)
