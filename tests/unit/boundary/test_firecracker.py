"""Firecracker's configuration and its sockets: against its published interface, and a peer that plays it."""

import os
import socket
import stat
import threading

import jsonschema
import pytest
from facts import PRIVATE, host, survey
from firecracker_schema import CONFIGURATION, JAILER

from ringfence.boundary import hybrid
from ringfence.boundary.plan import plan
from ringfence.boundary.tiers import firecracker
from ringfence.boundary.tiers.firecracker import Jail
from ringfence.errors import BoundaryError
from ringfence.host.model import Runtime
from ringfence.policy.model import Limits, Policy, Workspace

RUNTIME = Runtime(path="/usr/bin/firecracker", tools={"jailer": "/usr/bin/jailer"}, cpus=3)
JAIL = Jail(base="/srv/jailer", session="20261123-120000-abcd", uid=30001, gid=30002)


def made(mode="direct", **limits):
    policy = Policy(workspace=Workspace(mode=mode), limits=Limits(**limits))
    return plan(policy, host(), survey(), ("tool",), cwd="/home/ada/work/project", wire=PRIVATE)


@pytest.mark.parametrize("mode", ["direct", "readonly", "scratch"])
@pytest.mark.parametrize(
    "limits", [{}, {"memory": 1 << 20}, {"memory": 8 << 30, "cpus": 2.5}, {"cpus": 1000.0}]
)
def test_every_plan_gives_a_configuration_that_the_interface_takes(mode, limits):
    found = firecracker.configuration(made(mode, **limits), RUNTIME)
    jsonschema.validate(found, CONFIGURATION)
    cpus = found["machine-config"]["vcpu_count"]
    assert cpus == 1 or cpus % 2 == 0  # others are refused
    assert found["machine-config"]["mem_size_mib"] >= 128
    ids = [one["drive_id"] for one in found["drives"]]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize(
    ("section", "change"),
    [
        ("vsock", {"guest_cid": 2}),
        ("machine-config", {"vcpu_count": 33}),
        ("machine-config", {"mem_size_mib": "2G"}),
        ("boot-source", {"kernel": "x"}),
        ("entropy", {"rate": 1}),
    ],
)
def test_a_configuration_that_is_wrong_would_be_seen(section, change):
    found = firecracker.configuration(made(), RUNTIME)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**found, section: {**found[section], **change}}, CONFIGURATION)


def test_the_machine_has_no_network_card_and_cannot_write_its_root():
    found = firecracker.configuration(made("readonly"), RUNTIME)
    assert "network-interfaces" not in found
    assert [one["is_read_only"] for one in found["drives"]] == [True, True]
    assert [one["is_read_only"] for one in firecracker.configuration(made(), RUNTIME)["drives"]] == [
        True,
        False,
    ]
    assert [one["drive_id"] for one in firecracker.configuration(made("scratch"), RUNTIME)["drives"]] == [
        "root"
    ]


def test_limits_become_the_machines_size():
    size = firecracker.configuration(made(memory=512 << 20, cpus=3.0), RUNTIME)["machine-config"]
    assert (size["mem_size_mib"], size["vcpu_count"]) == (512, 4)


def test_nothing_in_the_configuration_leads_out_of_the_jail():
    found = firecracker.configuration(made(), RUNTIME)
    paths = [found["vsock"]["uds_path"], *(one["path_on_host"] for one in found["drives"])]
    paths += [found["boot-source"][name] for name in ("kernel_image_path", "initrd_path")]
    assert all("/" not in path for path in paths)


def test_the_jailers_command_line_is_one_that_it_takes():
    words = list(firecracker.jailer(made(memory=1 << 30), RUNTIME, JAIL))
    given, rest = words[1 : words.index("--")], words[words.index("--") + 1 :]
    named = {}
    while given:
        name = given.pop(0)
        named[name] = given.pop(0) if JAILER[name] else ""
    assert {"--id", "--exec-file", "--uid", "--gid"} <= named.keys()  # what it asks for
    assert (named["--uid"], named["--gid"]) == ("30001", "30002")
    assert "--new-pid-ns" in named
    assert "firecracker" in os.path.basename(named["--exec-file"])  # it insists
    assert named["--cgroup"] == f"memory.max={(1 << 30) + (64 << 20)}"
    assert rest == ["--no-api", "--config-file", "vm.json"]  # nobody can change the machine afterwards


def test_a_jail_cannot_be_named_out_of_its_folder():
    for name in ("../x", "a/b", "", "x" * 65):
        with pytest.raises(ValueError, match="is no name for a jail"):
            firecracker.jailer(made(), RUNTIME, Jail(base="/srv", session=name, uid=1, gid=1))


@pytest.mark.parametrize(
    ("mode", "uid", "said"),
    [
        (stat.S_IFDIR | 0o755, 0, ""),
        (stat.S_IFDIR | 0o1777, 0, ""),
        (stat.S_IFDIR | 0o775, 0, "can be written by others"),
        (stat.S_IFDIR | 0o755, 1000, "is not root's"),
        (stat.S_IFLNK | 0o777, 0, "is no folder"),
    ],
)
def test_jails_lie_where_only_root_can_put_a_link(mode, uid, said):
    state = os.stat_result((mode, 0, 0, 1, uid, 0, 0, 0, 0, 0))
    assert said in firecracker.refusal("/srv/jailer", (("/srv", state),))
    assert bool(firecracker.refusal("/srv/jailer", (("/srv", state),))) == bool(said)


class Machine:
    """Plays Firecracker: answers at its socket, once, with what it is told to."""

    def __init__(self, path, answer):
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(path)
        self._listener.listen()
        self.heard, self._answer = b"", answer
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self):
        line, _ = self._listener.accept()
        with line:
            line.settimeout(20)
            while not self.heard.endswith(b"\n"):
                self.heard += line.recv(64)
            line.sendall(self._answer)

    def close(self):
        self._thread.join(timeout=20)
        self._listener.close()


@pytest.fixture
def machine(tmp_path):
    """Return a machine that gives an answer, and the path of its socket."""
    opened = []

    def start(answer):
        opened.append(Machine(str(tmp_path / "v.sock"), answer))
        return opened[-1], str(tmp_path / "v.sock")

    yield start
    for one in opened:
        one.close()


def test_a_connection_to_the_guest_is_asked_for_and_is_the_guests_afterwards(machine):
    peer, path = machine(b"OK 1073741824\nfrom the guest")
    line = socket.socket(fileno=hybrid.connect(path, 52))
    with line:
        assert line.recv(100) == b"from the guest"
    assert peer.heard == b"CONNECT 52\n"


@pytest.mark.parametrize("answer", [b"", b"NO\n", b"OK\n", b"OK x\n", b"O" * 100])
def test_anything_but_its_answer_is_no_connection(machine, answer):
    _peer, path = machine(answer)
    with pytest.raises(BoundaryError):
        hybrid.connect(path, 52)


def test_a_machine_that_is_not_there_is_said(tmp_path):
    with pytest.raises(BoundaryError, match="cannot be reached"):
        hybrid.connect(str(tmp_path / "v.sock"), 52)


def test_the_guest_arrives_at_the_port_it_connects_to_also_far_down(tmp_path):
    folder = tmp_path / ("deep" * 30)  # longer than a socket's address
    folder.mkdir()
    path = str(folder / "v.sock")
    listener = socket.socket(fileno=hybrid.listen(path, 3128))
    with listener:
        assert stat.S_IMODE(os.stat(f"{path}_3128").st_mode) == 0o600
        here = os.open(folder, os.O_PATH)
        guest = socket.socket(socket.AF_UNIX)
        with guest:
            guest.connect(f"/proc/self/fd/{here}/v.sock_3128")
            os.close(here)
            line, _ = listener.accept()
            with line:
                guest.sendall(b"hello")
                assert line.recv(10) == b"hello"
    with pytest.raises(BoundaryError, match="cannot be listened at"):
        hybrid.listen(path, 3128)  # somebody was there before
