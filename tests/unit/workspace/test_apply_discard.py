"""Single changes thrown away: the project shows through again, and nothing else changes."""

import fcntl
import os

import pytest

from landing import Landing, tree
from layered import put
from ringfence.errors import UsageError
from ringfence.workspace import discard
from ringfence.workspace.changes import read
from ringfence.workspace.layers import COPY


@pytest.fixture
def landing(tmp_path):
    """Return a session that changed something of every kind."""
    one = Landing(tmp_path)
    for name in ("changed", "gone", "mode/file", "tree/a", "tree/b", "swapped", "replaced/one", "moved"):
        put(one.below, name, name)
    one.began()
    one.agent(
        "echo x > changed; rm gone; chmod 700 mode; rm -r tree; rm swapped; mkdir swapped; echo x > swapped/in;"
        "rm -r replaced; mkdir replaced; echo x > replaced/two; mv moved elsewhere; mkdir new; echo x > new/file"
    )
    return one


def paths(landing):
    return [one.path for one in read(landing.layers())]


def drop(landing, *names):
    going = tuple(
        one
        for one in read(landing.layers())
        if any(one.path == n or one.path.startswith(n + b"/") for n in names)
    )
    return discard.discard(landing.layers(), going)


@pytest.mark.parametrize(
    "name", [b"changed", b"gone", b"mode", b"tree", b"swapped", b"elsewhere", b"new", b"new/file"]
)
def test_what_is_discarded_is_no_change_any_more(landing, name):
    project, before = tree(landing.below), paths(landing)
    drop(landing, name)
    assert paths(landing) == [one for one in before if one != name and not one.startswith(name + b"/")]
    assert tree(landing.below) == project


@pytest.mark.parametrize("name", [b"tree/a", b"replaced/one"])
def test_what_was_deleted_with_its_folder_goes_with_it_only(landing, name):
    layer = tree(landing.upper) if os.getuid() else None
    before = paths(landing)
    with pytest.raises(UsageError, match="cannot be discarded alone"):
        drop(landing, name)
    assert paths(landing) == before
    assert layer is None or tree(landing.upper) == layer


def test_nothing_goes_while_the_session_runs(landing):
    before = paths(landing)
    with open(landing.more["lock"]) as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(UsageError, match="still running"):
            drop(landing, b"changed")
    assert paths(landing) == before


def test_a_copied_project_is_discarded_whole(landing):
    with pytest.raises(UsageError, match="whole copy"):
        discard.discard(landing.layers(kind=COPY), ())
