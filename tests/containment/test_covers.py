"""In direct mode a mount hides or protects one file: when the host puts another in its place, the session ends."""

import os
import signal

import pytest
from field import Field, eventually

LATER = "s3cret-that-came-later"


@pytest.fixture
def busy(field):
    """A session on the real files that goes on until it is told to end, and what it says."""
    field.put(".env", "KEY=first\n")
    field.put(".git/config", "[core]\n\tbare = false\n")
    child = field.start(
        "run", "--direct", "--", "sh", "-c", "echo up; read line; sleep 2; cat .env; echo x=1 >> .git/config"
    )
    assert child.stdout.readline() == b"up\n"
    yield child
    if child.poll() is None:
        os.killpg(child.pid, signal.SIGKILL)
    child.communicate(timeout=20)


def ended(child):
    out, err = child.communicate(b"go\n", timeout=30)
    return child.returncode, out.decode(), err.decode()


def replaced(field: Field, name, text):
    """Replace a file as editors and git do."""
    new = field.put(f"{name}.new", text)
    os.rename(new, f"{field.project}/{name}")


@pytest.mark.guarantee("F12")
def test_a_session_ends_when_a_hidden_file_is_replaced_on_the_host(field, busy):
    replaced(field, ".env", f"KEY={LATER}\n")
    status, out, err = ended(busy)
    assert status == 137
    assert f"{field.project}/.env was replaced on the host" in err
    assert LATER not in out + err
    assert field.read(".env") == f"KEY={LATER}\n"


@pytest.mark.guarantee("F12")
def test_a_session_ends_when_a_protected_file_is_replaced_on_the_host(field, busy):
    replaced(field, ".git/config", "[user]\n\tname = the operator\n")
    status, _out, err = ended(busy)
    assert status == 137
    assert f"{field.project}/.git/config was replaced on the host" in err
    assert eventually(lambda: field.read(".git/config") == "[user]\n\tname = the operator\n", 5.0)


def test_what_is_not_replaced_stays_hidden_and_protected_to_the_end(field, busy):
    field.put("other.txt", "new\n")
    with open(f"{field.project}/.env", "a", encoding="utf-8") as file:
        file.write(f"MORE={LATER}\n")  # in place: the mount stays where it is
    status, out, err = ended(busy)
    assert status != 137, err
    assert LATER not in out
    assert "x=1" not in field.read(".git/config")


def test_in_a_copy_the_name_stays_hidden_whatever_the_host_does(field):
    field.put(".env", "KEY=first\n")
    child = field.start("run", "--mode", "overlay", "--", "sh", "-c", "echo up; read line; sleep 1; cat .env")
    try:
        assert child.stdout.readline() == b"up\n"
        replaced(field, ".env", f"KEY={LATER}\n")
        status, out, err = ended(child)
        assert "was replaced on the host" not in err
        assert LATER not in out, status
    finally:
        if child.poll() is None:
            child.kill()
            child.wait(timeout=20)
