"""Whatever a layer holds: what is applied is what was reviewed, byte for byte, and nothing around is touched."""

import os
import shutil
import stat
import tempfile
import unicodedata  # noqa: F401 - imported late, and perhaps where only root can read
from hashlib import sha256

import pytest
from hypothesis import HealthCheck, given, settings

from hostile_layers import LAYERS, PROJECTS, build
from landing import Landing, tree
from ringfence.workspace import apply, manifest, selection, trace, undo
from ringfence.workspace.changes import read
from ringfence.workspace.layers import DIRECTORY, FILE, LINK, OTHER
from ringfence.workspace.review import report, standing
from ringfence.workspace.selection import Wanted
from ringfence.workspace.stage import Chosen, permissions

NOBODY = 65534
KINDS = {FILE: stat.S_IFREG, DIRECTORY: stat.S_IFDIR, LINK: stat.S_IFLNK}


@pytest.fixture(params=["whoever runs this", "ordinary user"])
def who(request):
    """Drop root's rights for a test."""
    if os.getuid() or request.param == "whoever runs this":
        yield os.geteuid()
        return
    with World({b"a": ("dir", {}, 0o755)}, {b"b": ("file", b"x", 0o644)}) as world:
        world.landing.apply()  # the same for all else
        undo.undo(world.landing.layers())
    os.setegid(NOBODY)
    os.seteuid(NOBODY)
    yield NOBODY
    os.seteuid(0)
    os.setegid(0)


class World:
    """A project, a layer, and a decoy beside them that nothing may touch."""

    def __init__(self, project, layer):
        self.top = tempfile.mkdtemp(prefix="rf-hostile-", dir="/var/tmp")
        os.makedirs(f"{self.top}/decoy/inner")
        for name in ("secret", "inner/secret"):
            with open(f"{self.top}/decoy/{name}", "w") as file:
                file.write("secret")
        self.landing = Landing(self.top)
        decoy = os.fsencode(f"{self.top}/decoy")
        build(os.fsencode(self.landing.below), project, decoy)
        self.landing.began()
        build(os.fsencode(self.landing.upper), layer, decoy)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for place, folders, _ in os.walk(os.fsencode(self.top)):
            for name in folders:
                path = os.path.join(place, name)
                if not os.path.islink(path):
                    os.chmod(path, 0o700)
        shutil.rmtree(self.top)

    def around(self):
        """Return everything that an apply has no business with."""
        return shallow(f"{self.top}/decoy"), shallow(self.landing.upper), sorted(os.listdir(self.top))


def shallow(folder):
    """Return what stands below a folder, by type, mode, size and time; without opening anything."""
    found = {}
    for place, folders, files in os.walk(os.fsencode(folder)):
        for name in (*folders, *files):
            status = os.lstat(os.path.join(place, name))
            found[os.path.join(place, name)] = (
                status.st_mode,
                status.st_size,
                status.st_mtime_ns,
                status.st_ino,
            )
    return found


def snapshot(folder):
    """Return a project as it is, whatever its permissions."""
    found = {}
    for path in _walk(os.fsencode(folder)):
        status = os.lstat(path)
        mode = stat.S_IMODE(status.st_mode)
        what = b""
        if stat.S_ISLNK(status.st_mode):
            what, mode = os.readlink(path), 0
        elif stat.S_ISREG(status.st_mode):
            what = _content(path)
        found[os.path.relpath(path, os.fsencode(folder))] = (stat.S_IFMT(status.st_mode), mode, what)
    return found


def _walk(folder):
    for name in sorted(os.listdir(folder)):
        path = folder + b"/" + name
        yield path
        if stat.S_ISDIR(os.lstat(path).st_mode):
            yield from _walk(path)


def _content(path):
    try:
        with open(path, "rb") as file:
            return sha256(file.read()).hexdigest()
    except PermissionError:
        return f"unreadable {os.lstat(path).st_size} {os.lstat(path).st_ino}"


def becomes(change):
    """Return what a reviewed change leaves at its path."""
    after = change.after
    if after is None:
        return None
    what = after.target if after.kind == LINK else after.digest if after.kind == FILE else b""
    return KINDS[after.kind], 0 if after.kind == LINK else permissions(change), what


def standing_changes(layers):
    """Return the changes as a review that still stands gives them back; as read, where it does not."""
    seen = trace.Trace()
    changes = read(layers, seen)
    seen.began += 10**9  # as if what was made just now were older
    standing.save(layers, report.Report(changes=changes), seen, shown=manifest.save(layers, changes))
    found = standing.load(layers)
    if found is None:
        return changes
    assert found.report.changes == changes
    assert found.reviewed == manifest.load(layers)
    return found.report.changes


@pytest.mark.guarantee("Y1")
@pytest.mark.guarantee("Y4")
@pytest.mark.guarantee("Y5")
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(project=PROJECTS, layer=LAYERS)
def test_what_is_applied_is_what_was_reviewed(who, project, layer):
    with World(project, layer) as world:
        landing = world.landing
        around, before = world.around(), snapshot(landing.below)
        changes = standing_changes(landing.layers())
        picked = frozenset(one.path for one in changes if not in_conflict(one.path, changes))
        chosen = selection.choose(changes, Wanted(risky=True, picked=picked), {})
        assert not any(one.after is not None and one.after.kind == OTHER for one in chosen.changes)
        apply.apply(landing.layers(), Chosen(changes=chosen.changes), manifest.Manifest.of(changes))
        assert world.around() == around
        now = snapshot(landing.below)
        expected = dict(before)
        for change in chosen.changes:
            if change.source:
                expected.pop(change.source, None)
        for change in chosen.changes:
            if change.after is None:
                expected.pop(change.path, None)
        for change in chosen.changes:
            if change.after is not None:
                expected[change.path] = becomes(change)
        assert readable(now, expected) == expected
        assert owned(landing.below, chosen.changes) <= {who}
        undo.undo(landing.layers()) if chosen.changes else None
        assert snapshot(landing.below) == before
        assert world.around() == around


def in_conflict(path, changes):
    """Tell whether a path, or a folder that it lies in, was changed by the user as well."""
    return any(one.conflict and (path == one.path or path.startswith(one.path + b"/")) for one in changes)


def readable(now, expected):
    """Where a file may not be read, believe the digest: it was compared when it was written."""
    return {
        path: expected[path] if path in expected and str(what[2]).startswith("unreadable") else what
        for path, what in now.items()
    }


def owned(folder, changes):
    """Return who owns what was applied, and refuse set-id bits and attributes."""
    found = set()
    for change in changes:
        if change.after is None:
            continue
        path = os.fsencode(folder) + b"/" + change.path
        status = os.lstat(path)
        found.add(status.st_uid)
        if change.before is None and not stat.S_ISLNK(status.st_mode):
            assert not status.st_mode & 0o7002
        if change.kind != "mode" and stat.S_ISREG(status.st_mode):
            assert status.st_nlink == 1
            assert os.listxattr(path, follow_symlinks=False) == []
    return found


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(project=PROJECTS, layer=LAYERS)
def test_the_real_kernel_sees_the_same(project, layer):
    """The merged view of a mounted overlay, less what is never applied, is what stands there afterwards."""
    if os.geteuid():
        pytest.skip("whoever is not root has no device whiteouts to compare with")
    layer = plain(layer)
    with World(project, layer) as world:
        landing = world.landing
        place = f"{world.top}/merged"
        landing.agent(f"cp -a . {place} || true")  # the kernel lists whiteouts in new folders
        wanted = snapshot(place)
        changes = tuple(one for one in read(landing.layers()) if not one.conflict)
        apply.apply(landing.layers(), Chosen(changes=changes), manifest.Manifest.of(changes))
        assert {path: (kind, what) for path, (kind, _, what) in snapshot(landing.below).items()} == {
            path: (kind, what) for path, (kind, _, what) in wanted.items()
        }
        assert tree(f"{world.top}/decoy").keys() == {b"secret", b"inner", b"inner/secret"}


def plain(layer):
    """Leave out what is never applied."""
    return {
        name: (node[0], plain(node[1]), node[2]) if node[0] in {"dir", "opaque"} else node
        for name, node in layer.items()
        if node[0] != "fifo"
    }
