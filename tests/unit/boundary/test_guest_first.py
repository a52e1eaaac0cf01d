"""The guest's first program: assembled for every processor, and an archive that says what the kernel reads."""

import socket
import stat
import struct
import subprocess

import pytest

from ringfence.boundary import cpio, stub, wire
from ringfence.boundary.guest import first
from ringfence.boundary.stub import Call, Data


def read(archive):
    """Read an archive as the kernel does: path → (mode, device, content)."""
    found, at = {}, 0
    while True:
        fields = [int(archive[at + 6 + 8 * n : at + 14 + 8 * n], 16) for n in range(13)]
        assert archive[at : at + 6] == b"070701"
        name = archive[at + 110 : at + 110 + fields[11] - 1].decode()
        start = (at + 110 + fields[11] + 3) & ~3
        if name == "TRAILER!!!":
            return found
        assert name not in found
        found[name] = (fields[1], (fields[9], fields[10]), archive[start : start + fields[6]])
        at = (start + fields[6] + 3) & ~3


def mounts(steps):
    return [
        tuple(one.content.rstrip(b"\0").decode() if isinstance(one, Data) else one for one in step.arguments)
        for step in steps
        if isinstance(step, Call) and step.name == "mount"
    ]


@pytest.mark.parametrize("arch", ["x86_64", "aarch64"])
def test_it_can_be_assembled(arch):
    program = stub.assemble(arch, first.steps(1 << 20))
    assert program.startswith(b"\x7fELF")
    assert b"/script\0" in program


def test_the_archive_holds_its_folders_before_what_is_in_them_and_devices_as_they_are():
    found = read(cpio.archive({"init": b"program", "bin/busybox": b"busybox"}, first.entries()))
    order = list(found)
    assert all(order.index(name.rpartition("/")[0]) < order.index(name) for name in order if "/" in name)
    assert found["inside/null"][:2] == (stat.S_IFCHR | 0o666, (1, 3))
    assert found["inside/ptmx"] == (stat.S_IFLNK | 0o777, (0, 0), b"pts/ptmx")
    assert found["bin/reboot"][2] == b"busybox"
    assert found["init"] == (stat.S_IFREG | 0o755, (0, 0), b"program")
    assert found["nothing"] == (stat.S_IFREG | 0o444, (0, 0), b"")


def test_another_reader_takes_the_archive():
    archive = cpio.archive({"init": b"program"}, first.entries())
    listed = subprocess.run(
        ["busybox", "cpio", "-t"], input=archive, capture_output=True, timeout=20, check=True
    ).stdout.decode()
    assert set(listed.split()) == set(read(archive))


def test_what_the_command_sees_above_the_root_is_sealed():
    made = mounts(first.steps(None))
    order = [target for _source, target, *_rest in made]
    remount, bind, rdonly, nosuid, noexec = 32, 4096, 1, 2, 8
    for target in ("/new/dev", "/nothing", "/new/proc/sys"):
        flags = [one[3] for one in made if one[1] == target][-1]
        assert (
            flags & (remount | bind | rdonly | nosuid | noexec) == remount | bind | rdonly | nosuid | noexec
        )
    assert order.index("/new") < order.index("/new/dev")
    # a bind has the flags of what it is of: sealed before
    sealed = max(number for number, target in enumerate(order) if target == "/nothing")
    assert all(order.index(f"/new/proc/{name}") > sealed for name in ("keys", "kallsyms", "kcore"))


def test_what_must_not_fail_says_so():
    for step in first.steps(None):
        if isinstance(step, Call) and step.name == "mount":
            target = step.arguments[1].content
            must = target.startswith(b"/new") and not target.startswith((b"/new/proc/k", b"/new/dev/pts"))
            covers = any(target == f"/new/proc/{name}\0".encode() for name in first._COVERED)
            assert bool(step.failure) == (must and not covers) or target == b"/nothing\0"


def test_shared_memory_is_as_large_as_the_policy_says():
    assert "mode=1777,size=4096" in {one[4] for one in mounts(first.steps(4096))}
    assert "mode=1777" in {one[4] for one in mounts(first.steps(None))}


def test_the_network_is_the_inner_end_of_the_wire():
    structures = [
        step.arguments[2].content
        for step in first.steps(None)
        if isinstance(step, Call) and step.name == "ioctl" and isinstance(step.arguments[2], Data)
    ]
    address = struct.pack("=HH4s", socket.AF_INET, 0, socket.inet_aton(wire.INSIDE4))
    assert any(one.startswith(b"eth0\0") and address in one for one in structures)
    assert any(
        socket.inet_aton(wire.GATE4) in one and len(one) == 120 for one in structures
    )  # struct rtentry
    assert any(socket.inet_pton(socket.AF_INET6, wire.GATE6) in one and len(one) == 80 for one in structures)
