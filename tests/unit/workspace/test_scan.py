"""The walk: what it finds, what it leaves, and that its cache never lies."""

import os
import shutil
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringfence.workspace import scan
from ringfence.workspace.scan import Names, walk


def put(root, *paths):
    for path in paths:
        full = os.path.join(root, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "w", encoding="utf-8") as file:
            file.write("x")


SOON = 0.02  # seconds until a change counts as settled in these tests: some ticks of the coarsest clock


@pytest.fixture(scope="module", autouse=True)
def settled_soon():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scan, "_SETTLED", SOON)
        yield


def settle():
    """Let every change so far count as settled."""
    time.sleep(SOON * 1.5)


def hidden(root, **names):
    return [one.path for one in walk(str(root), Names(**names)).hidden]


def protected(root, **names):
    return [one.path for one in walk(str(root), Names(**names)).protected]


class TestGlobs:
    def test_unmask_gives_up_a_built_in_mask_and_only_that(self, tmp_path):
        put(tmp_path, ".env", "app/.env", "id_rsa")
        assert hidden(tmp_path, unmask=("/.env",)) == ["app/.env", "id_rsa"]
        assert hidden(tmp_path, unmask=("**/.env",)) == ["id_rsa"]

    def test_mask_hides_more(self, tmp_path):
        put(tmp_path, "notes/secret.txt", "notes/other.txt", "private/a", "private/b/c")
        assert hidden(tmp_path, mask=("**/secret.txt", "private/")) == ["notes/secret.txt", "private"]

    def test_a_trailing_slash_means_folders_only(self, tmp_path):
        put(tmp_path, "a/private", "b/private/x")
        assert hidden(tmp_path, mask=("private/",)) == ["b/private"]

    def test_what_the_policy_masks_cannot_be_unmasked_beside(self, tmp_path):
        put(tmp_path, "a.secret")
        assert hidden(tmp_path, mask=("*.secret",), unmask=("*.secret",)) == ["a.secret"]

    def test_protect_protects_more(self, tmp_path):
        put(tmp_path, "Makefile", "sub/Makefile", "ci/run")
        assert protected(tmp_path, protect=("Makefile", "/ci/**")) == ["Makefile", "ci/run", "sub/Makefile"]

    def test_a_file_can_be_hidden_and_protected(self, tmp_path):
        put(tmp_path, ".envrc")
        assert hidden(tmp_path) == protected(tmp_path) == [".envrc"]


class TestPlaces:
    @pytest.mark.parametrize("folder", ["node_modules", "site-packages", "__pycache__", ".tox", ".nox"])
    def test_installed_dependencies_are_full_of_test_keys_and_not_hidden(self, tmp_path, folder):
        put(tmp_path, f"x/{folder}/pkg/test/server.key", f"x/{folder}/pkg/.npmrc")
        assert hidden(tmp_path) == []

    def test_but_what_the_policy_names_is_hidden_there_too(self, tmp_path):
        put(tmp_path, "node_modules/pkg/test/server.key")
        assert hidden(tmp_path, mask=("*.key",)) == ["node_modules/pkg/test/server.key"]

    def test_a_folder_that_is_only_named_alike_is_no_dependency(self, tmp_path):
        put(tmp_path, "node_modules2/.env", "my_node_modules/.env")
        assert hidden(tmp_path) == ["my_node_modules/.env", "node_modules2/.env"]

    def test_credentials_in_protected_folders_are_hidden(self, tmp_path):
        put(tmp_path, ".vscode/prod.pem", ".claude/.credentials.json")
        assert hidden(tmp_path) == [".claude/.credentials.json", ".vscode/prod.pem"]

    def test_gits_objects_are_not_walked(self, tmp_path):
        put(tmp_path, *[f".git/objects/{number:02x}/{'0' * 38}" for number in range(50)])
        assert walk(str(tmp_path), Names()).entries < 10

    def test_names_that_are_no_text_are_found_too(self, tmp_path):
        put(tmp_path, os.fsdecode(b"d\xff\n/\xfe.pem"))
        assert hidden(tmp_path) == [os.fsdecode(b"d\xff\n/\xfe.pem")]


class TestLinks:
    def test_a_link_with_a_matching_name_is_reported(self, tmp_path):
        put(tmp_path, "real")
        os.symlink("real", tmp_path / ".env")
        os.symlink("/nowhere", tmp_path / "id_rsa")
        assert hidden(tmp_path) == [".env", "id_rsa"]

    def test_no_link_is_followed(self, tmp_path):
        put(tmp_path, "outside/.env", "project/x")
        os.symlink("../outside", tmp_path / "project" / "way")
        os.symlink(".", tmp_path / "project" / "loop")
        assert hidden(tmp_path / "project") == []

    def test_a_folder_that_cannot_be_read_is_left_out(self, tmp_path):
        put(tmp_path, "closed/.env", "open/.env")
        os.chmod(tmp_path / "closed", 0)
        try:
            found = hidden(tmp_path)
        finally:
            os.chmod(tmp_path / "closed", 0o755)
        assert "open/.env" in found
        assert ("closed/.env" in found) == (os.geteuid() == 0)


# --- the cache -----------------------------------------------------------------------------------

NAMES = (
    ".env",
    "id_rsa",
    "main.py",
    ".vscode",
    "node_modules",
    ".git",
    "HEAD",
    "objects",
    "refs",
    "config",
    "hooks",
    "sub",
)
PATHS = st.lists(st.sampled_from(NAMES), min_size=1, max_size=4).map("/".join)
EDITS = st.lists(
    st.one_of(
        st.tuples(st.just("file"), PATHS, PATHS),
        st.tuples(st.just("folder"), PATHS, PATHS),
        st.tuples(st.just("remove"), PATHS, PATHS),
        st.tuples(st.just("rename"), PATHS, PATHS),
        st.tuples(st.just("link"), PATHS, PATHS),
        st.tuples(st.just("walk"), st.just(""), st.just("")),
    ),
    max_size=25,
)


def edit(root, kind, path, other):
    """Make one change; one that the tree does not allow is none."""
    full, second = os.path.join(root, path), os.path.join(root, other)
    try:
        if kind == "file":
            put(root, path)
        elif kind == "folder":
            os.makedirs(full)
        elif kind == "rename":
            os.rename(full, second)
        elif kind == "link":
            os.symlink(other, full)
        elif os.path.isdir(full) and not os.path.islink(full):
            shutil.rmtree(full)
        else:
            os.unlink(full)
    except OSError:
        return


def same(one, other):
    return one.hidden == other.hidden and one.protected == other.protected


class TestCache:
    @settings(max_examples=60, deadline=None)
    @given(first=EDITS, second=EDITS)
    def test_what_it_gives_is_what_a_fresh_walk_finds(self, tmp_path_factory, first, second):
        base = str(tmp_path_factory.mktemp("tree"))
        root, cache = f"{base}/root", f"{base}/cache"
        os.mkdir(root)
        for kind, path, other in first:
            if kind == "walk":
                walk(root, Names(), cache)
            else:
                edit(root, kind, path, other)
        settle()
        walk(root, Names(), cache)
        for kind, path, other in second:
            if kind != "walk":
                edit(root, kind, path, other)
            else:
                assert same(walk(root, Names(), cache), walk(root, Names()))
        assert same(walk(root, Names(), cache), walk(root, Names()))
        shutil.rmtree(base)

    def test_an_unchanged_tree_is_not_read_again(self, tmp_path):
        root, cache = tmp_path / "root", str(tmp_path / "cache")
        put(root, *[f"d{number}/{name}" for number in range(20) for name in ("a", ".env", "b")])
        settle()
        assert walk(str(root), Names(), cache).entries == 80
        again = walk(str(root), Names(), cache)
        assert again.entries == 0
        assert len(again.hidden) == 20

    def test_only_the_changed_folder_is_read_again(self, tmp_path):
        root, cache = tmp_path / "root", str(tmp_path / "cache")
        put(root, *[f"d{number}/a" for number in range(20)])
        settle()
        walk(str(root), Names(), cache)
        put(root, "d7/.env")
        found = walk(str(root), Names(), cache)
        assert (found.entries, [one.path for one in found.hidden]) == (2, ["d7/.env"])

    def test_a_folder_that_was_changed_just_now_is_not_kept(self, tmp_path):
        root, cache = tmp_path / "root", str(tmp_path / "cache")
        put(root, "a")
        walk(str(root), Names(), cache)
        assert walk(str(root), Names(), cache).entries == 1

    def test_setting_the_time_of_a_folder_back_hides_no_change(self, tmp_path):
        root, cache = tmp_path / "root", str(tmp_path / "cache")
        put(root, "a")
        settle()
        walk(str(root), Names(), cache)
        status = os.stat(root)
        put(root, ".env")
        os.utime(root, ns=(status.st_atime_ns, status.st_mtime_ns))
        assert [one.path for one in walk(str(root), Names(), cache).hidden] == [".env"]

    def test_other_globs_make_another_cache(self, tmp_path):
        root, cache = tmp_path / "root", str(tmp_path / "cache")
        put(root, "a.secret", ".env")
        settle()
        walk(str(root), Names(), cache)
        assert len(walk(str(root), Names(mask=("*.secret",)), cache).hidden) == 2
        assert [one.path for one in walk(str(root), Names(unmask=(".env",)), cache).hidden] == []

    @pytest.mark.parametrize("content", [b"", b"nonsense", b"\xff" * 100, b"[", b"i\x01\x00\x00\x00"])
    def test_a_broken_cache_is_none(self, tmp_path, content):
        root, cache = tmp_path / "root", tmp_path / "cache"
        put(root, ".env")
        cache.write_bytes(content)
        cache.chmod(0o600)
        assert len(walk(str(root), Names(), str(cache)).hidden) == 1

    @pytest.mark.parametrize("how", ["written by others", "a link"])
    def test_a_cache_that_somebody_else_could_have_written_is_none(self, tmp_path, how):
        root, cache, other = tmp_path / "root", tmp_path / "cache", tmp_path / "other"
        put(root, ".env")
        settle()
        walk(str(root), Names(), str(cache))
        if how == "a link":
            os.rename(cache, other)
            os.symlink(other, cache)
        else:
            cache.chmod(0o666)
        assert walk(str(root), Names(), str(cache)).entries == 1

    def test_a_cache_that_cannot_be_written_costs_nothing_else(self, tmp_path):
        put(tmp_path / "root", ".env")
        put(tmp_path, "file")
        assert len(walk(str(tmp_path / "root"), Names(), str(tmp_path / "file" / "cache")).hidden) == 1


def test_a_thousand_entries_cost_about_a_millisecond(tmp_path):
    put(tmp_path, *[f"d{number // 50}/module_{number}.py" for number in range(5000)])
    best = min(_seconds(tmp_path) for _ in range(7))
    assert best / 5 < 0.004  # the budget is 1 ms on a quiet machine; this one is shared


def _seconds(root):
    started = time.perf_counter()
    scan.walk(str(root), Names())
    return time.perf_counter() - started
