"""Changes land in the project: what was reviewed, all or none of it, and back again."""

import fcntl
import os
import stat
from hashlib import sha256

import pytest

from landing import Landing, tree
from layered import put
from ringfence.errors import BoundaryError, HostError, UsageError
from ringfence.workspace import apply, manifest, undo
from ringfence.workspace.changes import read
from ringfence.workspace.layers import ADDED, FILE, Change, Entry
from ringfence.workspace.stage import Chosen
from ringfence.workspace.steps import Moved

EVERYTHING = """
echo new > added; chmod 755 added
echo more >> changed
rm gone
chmod 600 mode
rm -r tree
mkdir -p fresh/deep; echo x > fresh/deep/file; chmod 700 fresh
mv moved elsewhere
rm file2dir; mkdir file2dir; echo y > file2dir/inner
rm -r dir2file; echo z > dir2file
ln -s added link
rm target; ln -s changed target
rm -r replaced; mkdir replaced; echo again > replaced/other
"""


@pytest.fixture
def landing(tmp_path):
    """Return a project with everything that can be changed, in a session that is over."""
    one = Landing(tmp_path)
    for name in ("changed", "gone", "mode", "tree/a", "tree/b/c", "file2dir", "dir2file/in/ner", "untouched"):
        put(one.below, name, name)
    put(one.below, "moved", "some content that moves")
    put(one.below, "replaced/one", "1")
    os.symlink("untouched", f"{one.below}/target")
    one.began()
    return one


def merged(landing):
    """Return what the agent saw in the end, owners aside."""
    landing.agent("true")
    place = f"{landing.top}/copy"
    landing.agent(f"cp -a . {place}")
    return tree(place)


def plain(found):
    return {path: (kind, mode, what) for path, (kind, mode, _, _, what) in found.items()}


def test_what_the_agent_saw_is_what_stands_there_afterwards(landing):
    landing.agent(EVERYTHING)
    wanted = merged(landing)
    landing.apply()
    assert plain(tree(landing.below)) == plain(wanted)
    assert read(landing.layers()) == ()
    assert {"applied", "settled.json"} <= set(os.listdir(landing.session))


def test_undo_restores_all_of_it(landing):
    landing.agent(EVERYTHING)
    before = tree(landing.below)
    inode = os.stat(f"{landing.below}/changed").st_ino
    landing.apply()
    assert tree(landing.below) != before
    undo.undo(landing.layers())
    assert tree(landing.below) == before
    assert os.stat(f"{landing.below}/changed").st_ino == inode
    assert os.listdir(f"{landing.session}/applied") == []
    with pytest.raises(UsageError, match="nothing of session"):
        undo.undo(landing.layers())


def test_an_undone_apply_can_be_applied_again(landing):
    landing.agent(EVERYTHING)
    landing.apply()
    after = tree(landing.below)
    undo.undo(landing.layers())
    landing.apply()
    assert tree(landing.below) == after


def test_applies_are_undone_one_by_one(landing):
    landing.agent("echo 1 >> changed; echo 2 > added")
    before = tree(landing.below)
    landing.apply(b"added")
    middle = tree(landing.below)
    landing.apply()
    undo.undo(landing.layers())
    assert tree(landing.below) == middle
    undo.undo(landing.layers())
    assert tree(landing.below) == before


@pytest.mark.guarantee("Y3")
@pytest.mark.parametrize(
    "meanwhile",
    [
        "echo mine > added",
        "echo mine >> changed",
        "echo mine > gone",
        "echo mine > fresh/mine",
        "chmod 600 added",
    ],
)
def test_undo_takes_nothing_back_that_the_user_changed_since(landing, meanwhile):
    landing.agent(EVERYTHING)
    landing.apply()
    os.system(f"cd {landing.below} && {meanwhile}")
    now = tree(landing.below)
    with pytest.raises(BoundaryError, match="changed since the apply"):
        undo.undo(landing.layers())
    assert tree(landing.below) == now


@pytest.mark.guarantee("Y3")
@pytest.mark.parametrize(
    "meanwhile",
    ["echo mine >> changed", "echo mine > added", "rm gone", "chmod 640 mode", "echo > tree/b/mine"],
)
def test_what_the_user_changed_meanwhile_is_never_overwritten(landing, meanwhile):
    landing.agent(EVERYTHING)
    changes = landing.changes()
    os.system(f"cd {landing.below} && {meanwhile}")
    now = tree(landing.below)
    with pytest.raises(BoundaryError):
        apply.apply(landing.layers(), Chosen(changes=changes), manifest.Manifest.of(changes))
    assert tree(landing.below) == now
    if meanwhile != "rm gone":  # gone on both sides is no conflict
        with pytest.raises(BoundaryError):
            landing.apply()
        assert tree(landing.below) == now


@pytest.mark.guarantee("Y1")
def test_what_changed_in_the_layer_since_the_review_stops_all_of_it(landing):
    landing.agent("echo new > added; echo other > second; echo third > third")
    changes = landing.changes()
    before = tree(landing.below)
    put(landing.upper, "second", "OTHER\n")
    with pytest.raises(BoundaryError, match="second is not what was reviewed"):
        apply.apply(landing.layers(), Chosen(changes=changes), manifest.Manifest.of(changes))
    assert tree(landing.below) == before
    assert os.listdir(f"{landing.session}/applied") == []


def test_a_change_that_is_not_in_the_review_is_not_applied(landing):
    landing.agent("echo new > added; echo other > second")
    reviewed = manifest.Manifest.of(landing.changes(b"second"))
    with pytest.raises(BoundaryError, match="second is not what was reviewed"):
        apply.apply(landing.layers(), Chosen(changes=landing.changes()), reviewed)
    assert not os.path.exists(f"{landing.below}/added")


def test_a_session_that_runs_is_left_alone(landing):
    landing.agent("echo new > added")
    with open(f"{landing.session}/lock") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(UsageError, match="still running"):
            landing.apply()
    landing.more["ended"] = False
    with pytest.raises(UsageError, match="still running"):
        landing.apply()


def test_a_workspace_that_was_replaced_is_refused(landing):
    landing.agent("echo new > added")
    changes = landing.changes()
    os.rename(landing.below, f"{landing.top}/old")
    os.mkdir(landing.below)
    with pytest.raises(Moved, match="not the folder in which"):
        apply.apply(landing.layers(), Chosen(changes=changes), manifest.Manifest.of(changes))
    os.rmdir(landing.below)
    os.symlink("old", landing.below)
    with pytest.raises(Moved, match="cannot be opened as the folder it was"):
        apply.apply(landing.layers(), Chosen(changes=changes), manifest.Manifest.of(changes))
    assert os.listdir(f"{landing.top}/old") != ["added"]


def test_set_id_bits_and_writing_by_everybody_are_not_applied(landing):
    landing.agent("echo 1 > suid; chmod 6777 suid; mkdir dir; chmod 3777 dir; chmod 4755 mode")
    landing.apply()
    modes = {
        name: stat.S_IMODE(os.stat(f"{landing.below}/{name}").st_mode) for name in ("suid", "dir", "mode")
    }
    assert modes == {"suid": 0o775, "dir": 0o775, "mode": 0o755}


def test_hard_links_and_attributes_do_not_land(landing):
    landing.agent("echo 1 > one; ln one two; setfattr -n user.evil -v 1 one 2>/dev/null || true")
    landing.apply()
    assert os.stat(f"{landing.below}/one").st_nlink == 1
    assert os.listxattr(f"{landing.below}/one") == []


def test_a_file_with_holes_keeps_them(landing):
    landing.agent("truncate -s 100M sparse; echo end >> sparse")
    landing.apply()
    status = os.stat(f"{landing.below}/sparse")
    assert status.st_size == 100 * 1024 * 1024 + 4
    assert status.st_blocks * 512 < 1 << 20


def test_a_full_disk_is_noticed_before_anything_is_written(landing, monkeypatch):
    landing.agent("echo new > added")
    real = os.fstatvfs(0)
    monkeypatch.setattr(os, "fstatvfs", lambda _: os.statvfs_result((*real[:4], 1, *real[5:])))
    with pytest.raises(HostError, match="not enough space"):
        landing.apply()
    assert not os.path.exists(f"{landing.below}/added")


def test_part_of_a_file_is_applied_and_the_rest_can_follow(landing):
    landing.agent("printf '1\\n2\\n' > changed")
    landing.apply(contents={b"changed": b"1\n"})
    with open(f"{landing.below}/changed") as file:
        assert file.read() == "1\n"
    left = read(landing.layers())
    assert [(one.path, one.conflict) for one in left] == [(b"changed", "")]
    landing.apply()
    with open(f"{landing.below}/changed") as file:
        assert file.read() == "1\n2\n"


def forged(path, **more):
    return Change(
        path=path,
        kind=ADDED,
        after=Entry(kind=FILE, mode=0o644, size=4, digest=sha256(b"evil").hexdigest()),
        **more,
    )


@pytest.mark.guarantee("Y4")
@pytest.mark.parametrize(
    "path",
    [
        b"../decoy/x",
        b"/etc/x",
        b"a/../../decoy/x",
        b"/proc/self/fd/1",
        b"a//b",
        b".",
        b"..",
        b"",
        b"x\0y",
        b"n" * 300,
    ],
)
def test_a_path_that_no_honest_layer_holds_is_refused(landing, path):
    put(landing.top, "decoy/secret", "secret")
    put(landing.upper, "a/x", "evil")
    before, decoy = tree(landing.below), tree(f"{landing.top}/decoy")
    changes = (forged(path),)
    with pytest.raises((OSError, ValueError, BoundaryError)):
        apply.apply(landing.layers(), Chosen(changes=changes), manifest.Manifest.of(changes))
    assert (tree(landing.below), tree(f"{landing.top}/decoy")) == (before, decoy)


@pytest.mark.guarantee("Y4")
def test_a_file_does_not_come_through_a_link_of_the_same_layer(landing):
    put(landing.top, "decoy/x", "evil")
    decoy = tree(f"{landing.top}/decoy")
    os.symlink(f"{landing.top}/decoy", f"{landing.upper}/d")
    link = next(one for one in landing.changes() if one.path == b"d")
    changes = (link, forged(b"d/x"))
    before = tree(landing.below)
    with pytest.raises(BoundaryError):
        apply.apply(landing.layers(), Chosen(changes=changes), manifest.Manifest.of(changes))
    assert (tree(landing.below), tree(f"{landing.top}/decoy")) == (before, decoy)


def test_the_same_path_twice_is_refused(landing):
    put(landing.upper, "x", "evil")
    before = tree(landing.below)
    changes = (forged(b"x"), forged(b"x"))
    with pytest.raises(BoundaryError):
        apply.apply(landing.layers(), Chosen(changes=changes), manifest.Manifest.of(changes))
    assert tree(landing.below) == before


def test_a_review_that_is_not_of_this_session_is_refused(landing):
    landing.agent("echo new > added")
    manifest.save(landing.layers(), landing.changes())
    assert manifest.load(landing.layers()).items == manifest.Manifest.of(landing.changes()).items
    with pytest.raises(BoundaryError, match=r"is not the review of session"):
        manifest.load(landing.layers(session="20260101-000000-ffff"))
    path = f"{landing.session}/review.json"
    with open(path) as file:
        text = file.read()
    with open(path, "w") as file:
        file.write(text.replace("added", "addde"))
    with pytest.raises(BoundaryError, match=r"is not the review of session"):
        manifest.load(landing.layers())


def test_a_review_keeps_names_that_are_no_text(landing):
    put(landing.upper, b"\xff\x1b\n", "x")
    os.symlink(b"\xfe", os.fsencode(landing.upper) + b"/link")
    manifest.save(landing.layers(), landing.changes())
    assert manifest.load(landing.layers()).items == manifest.Manifest.of(landing.changes()).items
    landing.apply()
    assert read(landing.layers()) == ()


@pytest.mark.guarantee("Y4")
def test_another_name_of_a_file_outside_keeps_content_and_permissions(tmp_path):
    one = Landing(tmp_path)
    for name in ("mode", "content"):
        put(tmp_path, f"decoy/{name}", name, 0o600)
        os.link(f"{tmp_path}/decoy/{name}", f"{one.below}/{name}")
    decoy = tree(f"{tmp_path}/decoy")
    one.began()
    one.agent("chmod 755 mode; echo more >> content")
    one.apply()
    assert tree(f"{tmp_path}/decoy") == decoy
    assert stat.S_IMODE(os.stat(f"{one.below}/mode").st_mode) == 0o755
    undo.undo(one.layers())
    assert os.stat(f"{one.below}/mode").st_nlink == 2
