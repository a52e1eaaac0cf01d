"""What is applied of what was asked for."""

import pytest

from ringfence.errors import UsageError
from ringfence.workspace.layers import (
    ADDED,
    CHANGED,
    DELETED,
    DIRECTORY,
    FILE,
    LINK,
    OTHER,
    RENAMED,
    TYPE,
    Change,
    Entry,
)
from ringfence.workspace.pairing import TWIN
from ringfence.workspace.selection import LEAVES, NEVER, Wanted, choose, leaves

F, D = Entry(kind=FILE, mode=0o644, digest="1"), Entry(kind=DIRECTORY, mode=0o755)


def added(path, entry=F, **more):
    return Change(path=path, kind=ADDED, after=entry, **more)


def deleted(path, entry=F):
    return Change(path=path, kind=DELETED, before=entry)


def names(selection):
    return [one.path for one in selection.changes]


def left(selection):
    return {one.path: one.why for one in selection.left}


def test_all_is_applied_but_what_is_risky():
    changes = (added(b"a"), added(b"b"))
    found = choose(changes, Wanted(), {b"b": ("runs code",)})
    assert (names(found), left(found)) == ([b"a"], {b"b": "runs code"})
    assert names(choose(changes, Wanted(risky=True), {b"b": ("runs code",)})) == [b"a", b"b"]
    assert names(choose(changes, Wanted(approved=frozenset([b"b"])), {b"b": ("runs code",)})) == [b"a", b"b"]


def test_naming_a_risky_path_is_no_approval():
    assert names(choose((added(b"b"),), Wanted(paths=(b"b",)), {b"b": ("runs code",)})) == []


def test_a_device_is_never_applied():
    found = choose((added(b"dev", Entry(kind=OTHER, mode=0)),), Wanted(risky=True, paths=(b"dev",)), {})
    assert (names(found), left(found)) == ([], {b"dev": NEVER})


@pytest.mark.parametrize(
    ("path", "target", "verdict"),
    [
        (b"l", b"a", False),
        (b"d/l", b"../a", False),
        (b"d/l", b"./x/./y", False),
        (b"l", b"/etc/passwd", True),
        (b"l", b"../x", True),
        (b"d/l", b"../../x", True),
        (b"d/l", b"a/../../../x", True),
        (b"l", b"a/../b", True),  # `a` may be a link itself
        (b"l", b".git/hooks", True),
        (b"d/l", b"../.GIT", True),
        (b".git/x", b"y", True),
    ],
)
def test_links_that_leave_are_known_by_their_text(path, target, verdict):
    assert leaves(path, target) == verdict
    found = choose((added(path, Entry(kind=LINK, mode=0o777, target=target)),), Wanted(), {})
    assert left(found) == ({path: LEAVES} if verdict else {})


def test_a_name_that_some_machines_take_for_another_needs_a_yes():
    found = choose((added(b"README", notes=(TWIN + "readme",)),), Wanted(), {})
    assert left(found) == {b"README": TWIN + "readme"}


def test_a_conflict_among_what_was_asked_for_is_told():
    changes = (added(b"a"), added(b"b", conflict="changed meanwhile"))
    assert [one.path for one in choose(changes, Wanted(), {}).conflicts] == [b"b"]
    assert choose(changes, Wanted(leave=(b"b",)), {}).conflicts == ()
    assert choose(changes, Wanted(paths=(b"a",)), {}).conflicts == ()


def test_a_file_brings_the_new_folders_it_lies_in():
    changes = (added(b"n", D), added(b"n/m", D), added(b"n/m/f"), added(b"n/other"))
    assert names(choose(changes, Wanted(paths=(b"n/m/f",)), {})) == [b"n", b"n/m", b"n/m/f"]


def test_what_lies_in_a_folder_that_is_left_out_is_left_out():
    changes = (added(b"n", D), added(b"n/f"))
    found = choose(changes, Wanted(), {b"n": ("danger",)})
    assert (names(found), left(found)[b"n/f"]) == ([], "its folder n is left out")


def test_a_folder_in_which_something_stays_is_kept_with_all_above():
    changes = (deleted(b"d", D), deleted(b"d/e", D), deleted(b"d/e/f"), deleted(b"d/g"))
    found = choose(changes, Wanted(leave=(b"d/e/f",)), {})
    assert names(found) == [b"d/g"]
    assert set(left(found)) == {b"d", b"d/e"}


def test_a_folder_from_which_a_file_moves_stays_when_the_move_is_left_out():
    moved = Change(path=b"new", kind=RENAMED, before=F, after=F, source=b"d/old")
    changes = (deleted(b"d", D), moved)
    assert names(choose(changes, Wanted(), {b"new": ("danger",)})) == []
    assert names(choose(changes, Wanted(), {})) == [b"d", b"new"]


def test_a_folder_is_not_replaced_by_a_file_while_something_in_it_stays():
    swap = Change(path=b"d", kind=TYPE, before=D, after=F)
    changes = (swap, deleted(b"d/f"), deleted(b"d/g"))
    assert names(choose(changes, Wanted(leave=(b"d/f",)), {})) == [b"d/g"]


def test_new_folders_are_not_made_for_nothing():
    changes = (added(b".github", D), added(b".github/w", D), added(b".github/w/ci"), added(b"empty", D))
    assert names(choose(changes, Wanted(), {b".github/w/ci": ("CI",)})) == [b"empty"]


def test_paths_are_folders_and_globs_too():
    changes = (
        added(b"src/a.py"),
        added(b"src/b.txt"),
        added(b"srcs"),
        Change(path=b"x[1]", kind=CHANGED, before=F, after=F),
    )
    assert names(choose(changes, Wanted(paths=(b"src",)), {})) == [b"src/a.py", b"src/b.txt"]
    assert names(choose(changes, Wanted(paths=(b"src/*.py", b"x[1]")), {})) == [b"src/a.py", b"x[1]"]


def test_a_path_that_names_nothing_is_an_error():
    with pytest.raises(UsageError, match="nothing that changed is called"):
        choose((added(b"a"),), Wanted(paths=(b"b",)), {})
    with pytest.raises(UsageError, match="nothing that changed is called"):
        choose((added(b"a"),), Wanted(leave=(b"typo",)), {})
