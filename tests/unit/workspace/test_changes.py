"""Reading what a session changed: every kind of change, through the kernel's own overlay and made by hand."""

import hashlib
import os
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
import unicodedata

import pytest

from layered import Layered, put, whiteout
from ringfence.errors import BoundaryError, HostError
from ringfence.workspace import below, changes, entries, pairing, snapshot
from ringfence.workspace.layers import (
    ADDED,
    CHANGED,
    COPY,
    DELETED,
    DIRECTORY,
    FILE,
    LINK,
    MODE,
    OTHER,
    RENAMED,
    TYPE,
)

needs_root = pytest.mark.skipif(os.getuid() != 0, reason="only root makes whiteouts by hand")


@pytest.fixture
def tree(tmp_path):
    """A small project, and an empty layer above it."""
    made = Layered(tmp_path)
    put(made.below, "README.md", "read me\n")
    put(made.below, "src/main.py", "print('hello')\n")
    put(made.below, "src/deep/er/one.py", "1\n")
    put(made.below, "src/deep/two.py", "22\n")
    put(made.below, "run.sh", "#!/bin/sh\n", mode=0o755)
    os.symlink("README.md", f"{made.below}/link")
    return made


def seen(tree, **more):
    return {change.path: change for change in changes.read(tree.layers(**more))}


def kinds(tree, **more):
    return {os.fsdecode(change.path): change.kind for change in changes.read(tree.layers(**more))}


def test_an_untouched_layer_is_no_change(tree):
    assert changes.read(tree.layers()) == ()


def test_what_was_only_opened_for_writing_is_no_change(tree):
    tree.agent(
        ": >> README.md; cat src/main.py > copy; cat copy > src/main.py; rm copy; chmod 755 run.sh; touch link"
    )
    assert os.path.exists(f"{tree.upper}/README.md")
    assert os.path.exists(f"{tree.upper}/src/main.py")
    assert kinds(tree) == {}


@pytest.mark.guarantee("V1")
def test_each_kind_of_change_through_the_kernel(tree):
    tree.agent(
        "echo more >> README.md; echo new > src/new.py; rm src/deep/two.py; chmod 700 run.sh;"
        "ln -sf src link; mkdir empty; rm src/main.py; mkdir src/main.py"
    )
    assert kinds(tree) == {
        "README.md": CHANGED,
        "empty": ADDED,
        "link": CHANGED,
        "run.sh": MODE,
        "src/deep/two.py": DELETED,
        "src/main.py": TYPE,
        "src/new.py": ADDED,
    }
    found = seen(tree)
    assert found[b"link"].before.target == b"README.md"
    assert found[b"link"].after.target == b"src"
    assert found[b"run.sh"].before.mode == 0o755
    assert found[b"run.sh"].after.mode == 0o700
    assert found[b"empty"].after.kind == DIRECTORY
    assert (found[b"src/main.py"].before.kind, found[b"src/main.py"].after.kind) == (FILE, DIRECTORY)


def test_the_digest_is_that_of_the_bytes(tree):
    content = os.urandom(3_000_000)
    put(tree.upper, "blob", content)
    assert seen(tree)[b"blob"].after.digest == hashlib.sha256(content).hexdigest()
    assert seen(tree)[b"blob"].after.size == len(content)


@pytest.mark.guarantee("V1")
def test_a_deleted_folder_names_every_file_in_it(tree):
    tree.agent("rm -r src")
    assert kinds(tree) == dict.fromkeys(
        ("src", "src/main.py", "src/deep", "src/deep/two.py", "src/deep/er", "src/deep/er/one.py"), DELETED
    )


def test_a_folder_made_anew_hides_what_was_in_it(tree):
    tree.agent("rm -r src; mkdir -p src/deep; echo x > src/deep/new.py")
    assert os.getxattr(f"{tree.upper}/src", "user.overlay.opaque") == b"y"
    assert kinds(tree) == {
        "src/main.py": DELETED,
        "src/deep/two.py": DELETED,
        "src/deep/er": DELETED,
        "src/deep/er/one.py": DELETED,
        "src/deep/new.py": ADDED,
    }


def test_a_folder_that_became_a_link_names_what_is_lost_in_it(tree):
    tree.agent("rm -r src/deep; ln -s /etc src/deep")
    found = seen(tree)
    assert found[b"src/deep"].kind == TYPE
    assert found[b"src/deep"].after.target == b"/etc"
    assert {path for path, change in found.items() if change.kind == DELETED} == {
        b"src/deep/two.py", b"src/deep/er", b"src/deep/er/one.py",
    }  # fmt: skip


def test_a_folder_moved_inside_is_renames_file_by_file(tree):
    tree.agent("mv src lib")
    found = seen(tree)
    assert {change.path: change.source for change in found.values() if change.kind == RENAMED} == {
        b"lib/main.py": b"src/main.py",
        b"lib/deep/two.py": b"src/deep/two.py",
        b"lib/deep/er/one.py": b"src/deep/er/one.py",
    }
    assert {path for path, change in found.items() if change.kind == DELETED} == {
        b"src",
        b"src/deep",
        b"src/deep/er",
    }


@needs_root
def test_a_whiteout_made_by_hand_deletes(tree):
    whiteout(tree.upper, "README.md")
    whiteout(tree.upper, "never-was-there")
    assert kinds(tree) == {"README.md": DELETED}


def test_an_xwhiteout_deletes(tree):
    put(tree.upper, "README.md")
    os.setxattr(f"{tree.upper}/README.md", "user.overlay.whiteout", b"y")
    assert kinds(tree) == {"README.md": DELETED}


def test_an_xwhiteout_with_content_is_a_file(tree):
    put(tree.upper, "README.md", "x")
    os.setxattr(f"{tree.upper}/README.md", "user.overlay.whiteout", b"y")
    assert kinds(tree) == {"README.md": CHANGED}


@needs_root
def test_only_the_namespace_of_the_mount_counts(tree):
    os.makedirs(f"{tree.upper}/src")
    os.setxattr(f"{tree.upper}/src", "user.overlay.opaque", b"y")
    assert kinds(tree, xattr="trusted.overlay") == {}
    os.setxattr(f"{tree.upper}/src", "trusted.overlay.opaque", b"y")
    assert "src/main.py" in kinds(tree, xattr="trusted.overlay")


def test_opaque_x_does_not_hide_what_is_below(tree):
    os.makedirs(f"{tree.upper}/src")
    os.setxattr(f"{tree.upper}/src", "user.overlay.opaque", b"x")
    assert kinds(tree) == {}


@pytest.mark.parametrize("feature", ["redirect", "metacopy"])
def test_content_that_is_elsewhere_is_refused(tree, feature):
    put(tree.upper, "src/main.py", "x")
    place = f"{tree.upper}/src" if feature == "redirect" else f"{tree.upper}/src/main.py"
    os.setxattr(place, f"user.overlay.{feature}", b"/etc")
    with pytest.raises(BoundaryError, match=feature):
        changes.read(tree.layers())


@pytest.mark.guarantee("V2")
def test_nothing_waits_for_a_fifo_or_opens_a_socket(tree):
    os.mkfifo(f"{tree.upper}/fifo")
    os.mkfifo(f"{tree.upper}/README.md")
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(f"{tree.upper}/socket")
    found = seen(tree)
    assert {path: change.after.kind for path, change in found.items()} == dict.fromkeys(
        (b"fifo", b"README.md", b"socket"), OTHER
    )
    assert found[b"fifo"].after.target == b"fifo"
    assert found[b"README.md"].kind == TYPE


@needs_root
def test_a_device_is_never_opened(tree):
    os.mknod(f"{tree.upper}/null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    os.mknod(f"{tree.upper}/disk", stat.S_IFBLK | 0o666, os.makedev(7, 200))
    found = seen(tree)
    assert found[b"null"].after.target == b"character device 1:3"
    assert found[b"disk"].after.target == b"block device 7:200"


def test_a_fifo_that_the_project_has_is_no_change_when_it_is_moved_back(tree):
    os.mkfifo(f"{tree.below}/fifo")
    tree.agent("mv fifo other; mv other fifo")
    assert kinds(tree) == {}


def test_set_id_bits_are_changes(tree):
    put(tree.upper, "run.sh", "#!/bin/sh\n", mode=0o755)
    os.chmod(f"{tree.upper}/run.sh", 0o6755)
    found = seen(tree)[b"run.sh"]
    assert (found.kind, found.after.mode) == (MODE, 0o6755)


def test_attributes_that_tell_something_are_named(tree):
    put(tree.upper, "note.txt", "x")
    os.setxattr(f"{tree.upper}/note.txt", "user.note", b"y")
    os.setxattr(f"{tree.upper}/note.txt", "user.overlay.origin", b"")
    tree.more["started"] = 1
    assert seen(tree)[b"note.txt"].after.attributes == ("user.note",)


def test_hard_links_are_noted_on_both_sides(tree):
    os.link(f"{tree.below}/README.md", f"{tree.below}/same.md")
    tree.agent("echo x >> README.md; echo y > a; ln a b")
    found = seen(tree)
    assert "hard links" in found[b"README.md"].notes[0]
    assert "one of 2 hard links" in found[b"a"].notes[0]
    assert found[b"a"].after.inode == found[b"b"].after.inode


def test_a_rename_needs_equal_bytes(tree):
    tree.agent("mv README.md GUIDE.md; mv src/main.py src/start.py; echo more >> src/start.py")
    found = seen(tree)
    assert found[b"GUIDE.md"].kind == RENAMED
    assert found[b"GUIDE.md"].source == b"README.md"
    assert b"README.md" not in found
    assert found[b"src/start.py"].kind == ADDED
    assert found[b"src/main.py"].kind == DELETED


def test_empty_files_are_never_renames(tree):
    put(tree.below, "one/__init__.py")
    tree.agent("rm one/__init__.py; mkdir two; : > two/__init__.py")
    assert kinds(tree)["two/__init__.py"] == ADDED


def test_of_two_sources_the_one_of_the_same_name_is_meant(tree):
    put(tree.below, "a/first.txt", "same\n")
    put(tree.below, "a/second.txt", "same\n")
    tree.agent("mkdir b; mv a/second.txt b/second.txt; rm a/first.txt")
    found = seen(tree)
    assert found[b"b/second.txt"].source == b"a/second.txt"
    assert found[b"a/first.txt"].kind == DELETED


def test_ten_thousand_copies_of_one_file_stay_linear(tree):
    for number in range(2000):
        put(tree.below, f"a/{number}", "same")
    tree.agent("mv a b")
    assert sum(change.kind == RENAMED for change in seen(tree).values()) == 2000


def test_a_rename_in_case_only_is_told(tree):
    tree.agent("mv README.md readme.md")
    found = seen(tree)[b"readme.md"]
    assert (found.kind, found.source) == (RENAMED, b"README.md")
    assert pairing.CASE_ONLY in found.notes


def test_twins_by_case_and_by_normal_form_are_told(tree):
    put(tree.below, unicodedata.normalize("NFC", "caf\u00e9.txt"), "1")
    put(tree.upper, unicodedata.normalize("NFD", "caf\u00e9.txt"), "2")
    put(tree.upper, "Readme.MD", "3")
    put(tree.upper, "both/x", "4")
    put(tree.upper, "both/X", "5")
    put(tree.upper, "both/y", "6")
    told = {
        path for path, change in seen(tree).items() if any("nearly the name" in note for note in change.notes)
    }
    assert told == {
        unicodedata.normalize("NFD", "caf\u00e9.txt").encode(),
        b"Readme.MD",
        b"both/x",
        b"both/X",
    }


@pytest.mark.parametrize(
    "name",
    [
        b"-rf",
        b"a\nb",
        b"a\tb",
        b"\x1b[31mred",
        "\u202egpj.exe".encode(),
        b"\xff\xfe",
        b"a\rb",
        b"'\"",
        b"x" * 255,
    ],
)
def test_names_are_bytes(tree, name):
    put(tree.upper, name, "x")
    assert list(seen(tree)) == [name]


def test_a_tree_deeper_than_any_path_is_read(tree):
    # 30 folders of 200 bytes: 6,000 bytes, which no single call takes.
    here = os.open(tree.upper, os.O_RDONLY)
    for _ in range(30):
        os.mkdir("d" * 200, dir_fd=here)
        inner = os.open("d" * 200, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = inner
    os.close(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=here))
    os.close(here)
    assert max(map(len, seen(tree))) == 30 * 201 + 4


def test_a_large_file_of_holes_is_not_read(tree):
    with open(f"{tree.upper}/sparse", "wb") as file:
        file.truncate(entries.LARGEST_SPARSE + 1)
    assert seen(tree)[b"sparse"].after.kind == OTHER
    assert b"mostly holes" in seen(tree)[b"sparse"].after.target


def test_too_many_changes_are_an_error_not_a_shorter_list(tree, monkeypatch):
    monkeypatch.setattr(changes, "MOST", 3)
    for number in range(4):
        put(tree.upper, f"{number}", "x")
    with pytest.raises(HostError, match="too many"):
        changes.read(tree.layers())


def test_excluded_paths_are_left_out_and_stay(tree):
    put(tree.below, "pkg/a.py", "a")
    put(tree.below, "pkg/a.pyc", "b")
    tree.agent("echo x > src/x.pyc; mkdir -p build/out; echo y > build/out/y; echo z > build.txt; rm -r pkg")
    found = kinds(tree, exclude=("*.pyc", "/build/"))
    assert found == {"build.txt": ADDED, "pkg/a.py": DELETED}  # the folder stays: it holds a.pyc


def test_what_was_masked_is_not_the_agents_to_delete_or_replace(tree):
    put(tree.below, "conf/.env", "KEY=1")
    put(tree.below, "conf/x", "x")
    tree.agent("rm -r conf")
    assert kinds(tree, masked=("conf/.env",)) == {"conf/x": DELETED}
    put(tree.below, ".env", "KEY=1")
    put(tree.upper, ".env", "KEY=stolen")
    found = seen(tree, masked=("conf/.env", ".env"))[b".env"]
    assert (found.kind, found.conflict) == (ADDED, changes.HIDDEN)
    assert found.before is None


def test_a_folder_with_masked_files_is_not_replaced(tree):
    put(tree.below, "conf/.env", "KEY=1")
    tree.agent("rm -r conf; echo x > conf")
    assert seen(tree, masked=("conf/.env",))[b"conf"].conflict == below.HOLDS_HIDDEN


# --- what the user changed meanwhile ---------------------------------------------------------------


def test_what_was_not_touched_below_is_no_conflict(tree):
    tree.began()
    tree.agent("echo x >> README.md; rm src/main.py; mv src/deep/two.py src/deep/three.py; ln -sf x link")
    assert [change.path for change in seen(tree).values() if change.conflict] == []


@pytest.mark.guarantee("V5")
def test_a_file_changed_below_is_a_conflict(tree):
    tree.began()
    tree.agent("echo agent >> README.md; rm src/main.py; mv run.sh go.sh; ln -sf x link")
    for name in ("README.md", "src/main.py", "run.sh"):
        os.utime(f"{tree.below}/{name}", (1, 1))  # even with its old time set back
    os.unlink(f"{tree.below}/link")
    os.symlink("elsewhere", f"{tree.below}/link")
    assert {change.path: change.conflict for change in seen(tree).values()} == dict.fromkeys(
        (b"README.md", b"src/main.py", b"go.sh", b"link"), below.LATER
    )


@pytest.mark.guarantee("V5")
def test_a_file_deleted_below_is_a_conflict(tree):
    tree.began()
    tree.agent("echo agent >> README.md; echo agent >> src/deep/two.py; echo new > src/deep/new.py")
    os.unlink(f"{tree.below}/README.md")
    shutil.rmtree(f"{tree.below}/src/deep")
    found = seen(tree)
    assert found[b"README.md"].conflict == changes.GONE
    assert found[b"src/deep/two.py"].conflict == changes.GONE
    assert found[b"src/deep"].conflict == changes.GONE
    assert found[b"src/deep/new.py"].conflict == ""


def test_a_file_moved_and_edited_inside_is_no_conflict(tree):
    tree.began()
    tree.agent(
        "mv README.md GUIDE.md; echo more >> GUIDE.md; mv src/main.py src/start.py; echo again > src/main.py"
    )
    assert [change.path for change in seen(tree).values() if change.conflict] == []


@pytest.mark.guarantee("V5")
def test_without_a_handle_in_the_origin_the_folder_tells(tree):
    tree.began()
    tree.agent(
        "echo x >> src/deep/two.py; mv README.md GUIDE.md; mv run.sh src/deep/go.sh; echo x >> src/deep/go.sh; rm link"
    )
    for path in ("src/deep/two.py", "GUIDE.md", "src/deep/go.sh"):
        os.setxattr(f"{tree.upper}/{path}", "user.overlay.origin", b"")
    assert [change.path for change in seen(tree).values() if change.conflict] == []
    os.unlink(f"{tree.below}/src/deep/two.py")
    assert {
        change.path: change.conflict for change in seen(tree).values() if change.conflict
    } == dict.fromkeys((b"src/deep/two.py", b"src/deep/go.sh"), pairing.PERHAPS_GONE)
    put(tree.below, "other", "x")  # the top folder as well: but equal bytes say that it was moved
    assert seen(tree)[b"GUIDE.md"].conflict == ""


def test_a_file_made_on_both_sides_is_a_conflict(tree):
    tree.began()
    tree.agent("echo agent > new.txt; rm -r src/deep")
    put(tree.below, "new.txt", "user")
    put(tree.below, "src/deep/users.py", "user")
    found = seen(tree)
    assert (found[b"new.txt"].kind, found[b"new.txt"].conflict) == (CHANGED, below.LATER)
    assert found[b"src/deep/users.py"].conflict == below.LATER
    assert found[b"src/deep"].conflict == below.LATER


def test_a_kind_changed_below_is_a_conflict(tree):
    tree.began()
    tree.agent("echo agent >> README.md; echo x > src/deep/x.py")
    os.unlink(f"{tree.below}/README.md")
    os.mkdir(f"{tree.below}/README.md")
    shutil.rmtree(f"{tree.below}/src/deep")
    os.symlink("/etc", f"{tree.below}/src/deep")
    found = seen(tree)
    assert (found[b"README.md"].kind, found[b"README.md"].conflict) == (TYPE, below.LATER)
    assert (found[b"src/deep"].kind, found[b"src/deep"].conflict) == (TYPE, below.LATER)
    assert found[b"src/deep"].before.kind == LINK


# --- a copied snapshot -----------------------------------------------------------------------------


def test_a_snapshot_is_compared_with_the_project(tree):
    shutil.rmtree(tree.upper)
    shutil.copytree(tree.below, tree.upper, symlinks=True)
    assert kinds(tree, kind=COPY) == {}
    put(tree.upper, "README.md", "changed\n")
    os.unlink(f"{tree.upper}/src/main.py")
    shutil.rmtree(f"{tree.upper}/src/deep/er")
    put(tree.upper, "new/file", "x")
    assert kinds(tree, kind=COPY) == {
        "README.md": CHANGED,
        "src/main.py": DELETED,
        "src/deep/er": DELETED,
        "src/deep/er/one.py": DELETED,
        "new": ADDED,
        "new/file": ADDED,
    }


@pytest.fixture
def copied(tree):
    """The project copied as a session does it, without what is masked."""
    put(tree.below, "set", "x")
    os.chmod(f"{tree.below}/set", 0o4755)
    put(tree.below, ".env", "KEY=1")
    os.mkfifo(f"{tree.below}/fifo")
    shutil.rmtree(tree.upper)
    os.mkdir(tree.upper)
    snapshot.take(
        tree.below,
        tree.upper,
        f"{tree.folder}/base",
        skipped=(".env",),
        texts=(("run.sh", "clean"),),
        bounded=True,
        owner=os.geteuid(),
    )
    tree.more |= {"kind": COPY, "masked": (".env",)}
    tree.began()
    return tree


def test_of_a_snapshot_only_what_was_touched_counts(copied):
    assert kinds(copied) == {}
    put(copied.below, "README.md", "user\n")
    put(copied.below, "users.txt", "user\n")
    os.unlink(f"{copied.below}/src/main.py")
    assert kinds(copied) == {}
    shutil.rmtree(f"{copied.upper}/src/deep")
    assert set(kinds(copied)) == {"src/deep", "src/deep/two.py", "src/deep/er", "src/deep/er/one.py"}


def test_a_conflict_in_a_snapshot(copied):
    for name in ("README.md", "src/main.py"):
        put(copied.upper, name, "agent\n")
    os.unlink(f"{copied.upper}/set")
    put(copied.below, "README.md", "user\n")
    os.unlink(f"{copied.below}/src/main.py")
    put(copied.below, "set", "user\n")
    assert {change.path: change.conflict for change in seen(copied).values()} == {
        b"README.md": below.LATER, b"src/main.py": changes.GONE, b"set": below.LATER,
    }  # fmt: skip


def test_what_came_to_the_project_later_keeps_its_folder(copied):
    shutil.rmtree(f"{copied.upper}/src")
    put(copied.below, "src/deep/users.py", "user\n")
    found = seen(copied)
    assert b"src/deep/users.py" not in found
    assert b"src" not in found
    assert found[b"src/main.py"].kind == DELETED


def test_a_snapshot_knows_no_whiteouts(tree):
    shutil.rmtree(tree.upper)
    shutil.copytree(tree.below, tree.upper, symlinks=True)
    put(tree.upper, "README.md")
    os.setxattr(f"{tree.upper}/README.md", "user.overlay.whiteout", b"y")
    assert kinds(tree, kind=COPY) == {"README.md": CHANGED}


# --- roots -----------------------------------------------------------------------------------------


def test_a_root_that_became_a_link_is_refused(tree):
    os.rename(tree.below, f"{tree.folder}/elsewhere")
    os.symlink("elsewhere", tree.below)
    with pytest.raises(HostError, match="the project"):
        changes.read(tree.layers())


def test_a_missing_layer_is_an_error(tree):
    with pytest.raises(HostError, match="the session's layer"):
        changes.read(tree.layers(upper=f"{tree.folder}/nowhere"))


def test_no_descriptor_is_left_open(tree):
    tree.agent("rm -r src; echo x > README.md; mkdir -p a/b/c")
    before = len(os.listdir("/proc/self/fd"))
    changes.read(tree.layers())
    assert len(os.listdir("/proc/self/fd")) == before


def test_another_folder_in_the_projects_place_is_refused(tree):
    status = os.stat(tree.below)
    assert changes.read(tree.layers(root=(status.st_dev, status.st_ino))) == ()
    with pytest.raises(HostError, match="another folder stands at"):
        changes.read(tree.layers(root=(status.st_dev, status.st_ino + 1)))


# --- permissions, for an ordinary user ---------------------------------------------------------------


@pytest.fixture
def ordinary():
    """A project of somebody without rights, and a way to do something as them."""
    folder = tempfile.mkdtemp(prefix="rf-changes-", dir="/var/tmp")
    made = Layered(folder)
    yield made
    shutil.rmtree(folder)


def as_owner(made, check):
    """Run a check as the ordinary owner of a project; root gives it away first."""
    if os.getuid() != 0:
        check()
        return
    for folder, _, names in os.walk(made.folder):
        for path in (folder, *(os.path.join(folder, name) for name in names)):
            os.chown(path, 65534, 65534, follow_symlinks=False)
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            os.setgroups([])
            os.setresgid(65534, 65534, 65534)
            os.setresuid(65534, 65534, 65534)
            check()
            status = 0
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_a_file_that_its_owner_may_not_read_is_read_and_keeps_its_mode(ordinary):
    put(ordinary.upper, "locked", "content", mode=0)

    def check():
        (found,) = changes.read(ordinary.layers())
        assert (found.after.kind, found.after.mode) == (FILE, 0)
        assert len(found.after.digest) == 64
        assert stat.S_IMODE(os.stat(f"{ordinary.upper}/locked").st_mode) == 0

    as_owner(ordinary, check)


def test_a_folder_that_its_owner_may_not_enter_is_told_not_left_out(ordinary):
    put(ordinary.upper, "closed/file", "x")
    put(ordinary.below, "closed/file", "x")
    put(ordinary.upper, "blind/file", "x")

    def check():
        os.chmod(f"{ordinary.upper}/closed", 0)
        os.chmod(f"{ordinary.upper}/blind", 0o600)
        found = {change.path: change for change in changes.read(ordinary.layers())}
        os.chmod(f"{ordinary.upper}/closed", 0o700)
        os.chmod(f"{ordinary.upper}/blind", 0o700)
        assert {path: change.after.kind for path, change in found.items()} == {
            b"blind": OTHER,
            b"closed": OTHER,
        }
        assert found[b"closed"].kind == TYPE

    as_owner(ordinary, check)


def test_a_file_of_the_project_that_cannot_be_read_is_a_conflict_and_left_alone(ordinary):
    put(ordinary.upper, "locked", "agent")
    put(ordinary.below, "locked", "user!", mode=0)

    def check():
        before = os.stat(f"{ordinary.below}/locked").st_ctime_ns
        (found,) = changes.read(ordinary.layers())
        assert (found.kind, found.conflict) == (CHANGED, below.UNREADABLE)
        assert os.stat(f"{ordinary.below}/locked").st_ctime_ns == before

    as_owner(ordinary, check)


# --- a writer that is still there --------------------------------------------------------------------


def test_what_is_swapped_while_it_is_read_never_leads_outside(tree):
    secret = f"{tree.folder}/secret"
    put(secret, "key", "the secret bytes")
    stolen = hashlib.sha256(b"the secret bytes").hexdigest()
    put(tree.upper, "dir/key", "harmless bytes!!")
    put(tree.upper, "file", "harmless bytes!!")
    os.symlink(secret, f"{tree.upper}/dir-link")
    os.symlink(f"{secret}/key", f"{tree.upper}/file-link")
    swapping = subprocess.Popen([sys.executable, "-c", SWAP, tree.upper])
    clean = 0
    try:
        for _ in range(300):
            try:
                found = changes.read(tree.layers())
            except HostError:
                continue
            clean += 1
            assert stolen not in {change.after.digest for change in found if change.after}
    finally:
        swapping.kill()
        swapping.wait()
    assert clean


SWAP = """
import ctypes, os, sys
os.chdir(sys.argv[1])
exchange = ctypes.CDLL(None).renameat2
while True:
    exchange(-100, b"dir", -100, b"dir-link", 2)
    exchange(-100, b"file", -100, b"file-link", 2)
"""
