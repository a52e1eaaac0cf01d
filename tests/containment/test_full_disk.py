"""A session that filled the disk can still be looked at and thrown away, on record."""

import os
import subprocess

import pytest

pytestmark = pytest.mark.timeout(100)
POLICY = '[workspace]\nmode = "overlay"\n'


@pytest.fixture(params=["bytes", "files"])
def full(request, field):
    """A project whose session left not one byte, or not one file more, in the state folder's file system."""
    if os.getuid():
        pytest.skip("only root mounts here")
    os.makedirs(field.state)
    options = "size=4m" if request.param == "bytes" else "size=64m,nr_inodes=2000"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", field.state], check=True, timeout=10)
    try:
        field.own()
        field.put("file", "old\n")
        script = (
            "echo new > file; head -c 9000000 /dev/zero > filler; for i in 1 2 3 4 5 6 7 8; do echo > f$i; done"
            if request.param == "bytes"
            else "echo new > file; i=0; while : > f$i; do i=$((i+1)); done"
        )
        field.done = field.sh(script)
        yield field
    finally:
        subprocess.run(["umount", field.state], check=True, timeout=10)


def test_it_is_discarded_and_on_record(full):
    (session,) = [os.path.basename(one) for one in full.sessions()]
    assert full.run("diff", "--stat", session).code == 1
    done = full.run("discard", "--yes", session)
    assert (done.code, "discarded" in done.out) == (0, True), (full.done, done)
    assert not os.path.exists(f"{full.state}/sessions/{session}/upper")
    assert '"kind":"discard"' in full.run("log", "--json").out
    assert full.sh("cat file").out == "old\n"
    assert full.run("log", "--verify").code == 0


def test_a_part_of_it_is_discarded_too(full):
    name = "filler" if "filler" in full.run("diff", "--names").out else "f1"
    done = full.run("discard", "--yes", "last", name)
    assert done.code == 0, (full.done, done)
    assert name not in full.run("diff", "--names").out.split()
