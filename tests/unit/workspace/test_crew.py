"""Work that is shared among processes: the same results in the same order, and no process left behind."""

import ctypes
import os
import signal
import subprocess
import sys
import time

import pytest

from ringfence.errors import BoundaryError, HostError
from ringfence.workspace import crew


@pytest.fixture(autouse=True)
def three(monkeypatch):
    """Have three processors."""
    monkeypatch.setattr(crew, "_processors", lambda: 3)
    ctypes.CDLL(None).prctl(36, 0, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER, which tests of the boundary set
    before = children()
    yield
    assert children() <= before


def children():
    """Return this process's children; those of other tests' that it has taken in are among them."""
    found = set()
    for task in os.listdir("/proc/self/task"):
        with open(f"/proc/self/task/{task}/children", encoding="ascii") as file:
            found.update(file.read().split())
    return found


def test_an_error_in_a_child_is_raised_as_it_is():
    def act(some):
        if 9 in some:
            raise BoundaryError("nine", hint="none")
        return list(some)

    with pytest.raises(BoundaryError, match="nine") as caught:
        crew.shared(range(10), act, 1)
    assert caught.value.hint == "none"


def test_an_error_of_the_system_keeps_its_number_and_file():
    def act(some):
        if 9 in some:
            os.stat("/nowhere/at/all")
        return list(some)

    with pytest.raises(FileNotFoundError) as caught:
        crew.shared(range(10), act, 1)
    assert caught.value.filename == "/nowhere/at/all"


def test_an_error_here_ends_the_children():
    def act(some):
        if 0 in some:
            raise BoundaryError("zero")
        time.sleep(60)
        return list(some)

    began = time.monotonic()
    with pytest.raises(BoundaryError, match="zero"):
        crew.shared(range(10), act, 1)
    assert time.monotonic() - began < 30


def test_a_child_that_is_killed_is_an_error_and_no_shorter_list():
    def act(some):
        if 9 in some:
            os.kill(os.getpid(), signal.SIGKILL)
        return list(some)

    with pytest.raises(HostError, match="ended from outside"):
        crew.shared(range(10), act, 1)


def test_the_children_of_a_process_that_is_killed_end_with_it(tmp_path):
    program = f"""
import os, signal, time
from ringfence.workspace import crew
crew._processors = lambda: 2
def act(some):
    if 0 in some:
        time.sleep(1)
        os.kill(os.getpid(), signal.SIGKILL)
    open("{tmp_path}/child", "w").write(str(os.getpid()))
    time.sleep(60)
crew.shared(range(10), act, 1)
"""
    source = os.path.dirname(os.path.dirname(os.path.dirname(crew.__file__)))
    done = subprocess.run(
        [sys.executable, "-c", program], env={"PYTHONPATH": source}, timeout=30, check=False
    )
    assert done.returncode == -signal.SIGKILL
    pid = int((tmp_path / "child").read_text())
    until = time.monotonic() + 10
    while is_alive(pid) and time.monotonic() < until:
        time.sleep(0.01)
    assert not is_alive(pid)


def is_alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("count", [1, 2, 3, 4, 7, 100])
def test_results_come_in_order(count):
    assert crew.shared(range(count), lambda some: [2 * one for one in some], 1) == [
        2 * one for one in range(count)
    ]


def test_many_share_and_few_do_not():
    def act(some):
        return [os.getpid()] * len(some)

    assert len(set(crew.shared(range(9), act, 1))) == 3
    assert set(crew.shared(range(9), act)) == {os.getpid()}


def test_where_one_processor_is_there_is_one_process(monkeypatch):
    monkeypatch.setattr(crew, "_processors", lambda: 1)
    assert set(crew.shared(range(9), lambda some: [os.getpid()] * len(some), 1)) == {os.getpid()}


def test_what_is_carried_comes_to_its_end_before_an_error_is_raised(tmp_path):
    def act(some):
        if 0 in some:
            raise BoundaryError("zero")
        time.sleep(0.3)
        (tmp_path / str(some[0])).write_text("")
        return list(some)

    with pytest.raises(BoundaryError, match="zero"):
        crew.carried(crew.cut(range(9), 1), act)
    assert sorted(os.listdir(tmp_path)) == ["3", "6"]


def test_what_is_carried_is_told_in_order_and_errors_are_raised():
    def act(some):
        if 8 in some:
            raise BoundaryError("eight")
        return [2 * one for one in some]

    assert crew.carried(crew.cut(range(8), 1), act) == [2 * one for one in range(8)]
    with pytest.raises(BoundaryError, match="eight"):
        crew.carried(crew.cut(range(9), 1), act)
