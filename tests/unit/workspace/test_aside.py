"""What appeared where the host would obey it is moved out of the project, and nothing else is."""

import os
import subprocess

import pytest

from ringfence.workspace.aside import identities, set_aside
from ringfence.workspace.scan import Names, walk


class Project:
    """A project at the start of a session, and its end."""

    def __init__(self, root, folder):
        self.root, self.folder = str(root), str(folder)
        os.makedirs(self.root, exist_ok=True)

    def put(self, path, text="new"):
        full = os.path.join(self.root, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "w", encoding="utf-8") as file:
            file.write(text)

    def start(self, **names):
        self.names = Names(**names)
        self.before = identities(self.root, walk(self.root, self.names))

    def end(self):
        return set_aside(self.root, self.before, self.names, self.folder)

    def has(self, path):
        return os.path.lexists(os.path.join(self.root, path))


@pytest.fixture
def project(tmp_path):
    return Project(tmp_path / "project", tmp_path / "aside")


@pytest.mark.guarantee("F6")
class TestMoved:
    @pytest.mark.parametrize(
        "path", [".envrc", ".mcp.json", "a/b/c/.bashrc", ".git/hooks/pre-commit", "x/.vscode/tasks.json"]
    )
    def test_what_is_new(self, project, path):
        project.put("main.py")
        project.start()
        project.put(path)
        (moved,) = project.end()
        assert not project.has(moved.path)
        assert path.startswith(moved.path)
        assert os.path.lexists(moved.to)
        assert project.has("main.py")

    def test_what_was_replaced(self, project):
        project.put(".envrc", "old")
        project.start()
        project.put("other", "evil")
        os.rename(f"{project.root}/other", f"{project.root}/.envrc")
        (moved,) = project.end()
        with open(moved.to, encoding="utf-8") as file:
            assert file.read() == "evil"

    def test_a_replaced_folder_with_all_that_is_in_it(self, project):
        project.put(".vscode/settings.json", "old")
        project.start()
        os.rename(f"{project.root}/.vscode", f"{project.root}/kept")
        project.put(".vscode/settings.json", "evil")
        (moved,) = project.end()
        assert os.listdir(moved.to) == ["settings.json"]
        assert project.has("kept/settings.json")

    def test_a_protected_one_that_was_moved_to_another_protected_name(self, project):
        project.put("a/.envrc")
        project.put("b/x")
        project.start()
        os.rename(f"{project.root}/a/.envrc", f"{project.root}/b/.envrc")
        assert [one.path for one in project.end()] == ["b/.envrc"]

    def test_what_only_the_policy_protects(self, project):
        project.start(protect=("Makefile",))
        project.put("Makefile")
        assert [one.path for one in project.end()] == ["Makefile"]

    def test_several_of_one_name_without_overwriting(self, project):
        project.start()
        for folder in "abc":
            project.put(f"{folder}/.envrc", folder)
        moved = project.end()
        texts = set()
        for one in moved:
            with open(one.to, encoding="utf-8") as file:
                texts.add(file.read())
        assert texts == {"a", "b", "c"}


class TestLeft:
    def test_what_was_there(self, project):
        project.put(".envrc")
        project.put(".git/hooks/pre-commit")
        project.start()
        assert project.end() == ()

    def test_what_is_new_and_ordinary(self, project):
        project.start()
        project.put("src/main.py")
        project.put(".github/workflows/ci.yml")
        assert project.end() == ()

    def test_no_folder_is_made_for_nothing(self, project):
        project.start()
        project.end()
        assert not os.path.exists(project.folder)


class TestLinks:
    @pytest.mark.guarantee("F8")
    def test_a_link_is_moved_and_what_it_leads_to_is_not(self, project, tmp_path):
        (tmp_path / "outside").write_text("mine")
        project.start()
        os.symlink(tmp_path / "outside", f"{project.root}/.envrc")
        (moved,) = project.end()
        assert os.path.islink(moved.to)
        assert (tmp_path / "outside").read_text() == "mine"

    @pytest.mark.guarantee("F8")
    def test_nothing_is_taken_through_a_linked_folder(self, project, tmp_path):
        (tmp_path / "outside").mkdir()
        (tmp_path / "outside" / ".envrc").write_text("mine")
        project.start()
        os.symlink(tmp_path / "outside", f"{project.root}/folder")
        assert project.end() == ()
        assert (tmp_path / "outside" / ".envrc").read_text() == "mine"

    @pytest.mark.guarantee("F8")
    def test_a_folder_that_becomes_a_link_in_between_is_not_followed(self, project, tmp_path, monkeypatch):
        """The race: between the walk and the move somebody swaps a folder for a link."""
        from ringfence.workspace import aside

        (tmp_path / "outside").mkdir()
        (tmp_path / "outside" / ".envrc").write_text("mine")
        project.start()
        project.put("folder/.envrc")

        def walk_then_swap(*arguments):
            found = walk(*arguments)
            os.rename(f"{project.root}/folder", f"{project.root}/was")
            os.symlink(tmp_path / "outside", f"{project.root}/folder")
            return found

        monkeypatch.setattr(aside, "walk", walk_then_swap)
        (moved,) = project.end()
        assert moved.problem
        assert (tmp_path / "outside" / ".envrc").read_text() == "mine"


class TestTrouble:
    def test_nothing_is_lost_where_the_folder_cannot_be_made(self, project, tmp_path):
        (tmp_path / "aside").write_text("in the way")
        project.start()
        project.put(".envrc", "here")
        (moved,) = project.end()
        assert (moved.path, moved.to) == (".envrc", "")
        assert moved.problem == "File exists"
        assert project.has(".envrc")

    @pytest.mark.skipif(os.geteuid() != 0, reason="mounting a second file system takes root")
    @pytest.mark.parametrize("kind", ["file", "folder", "link"])
    def test_another_file_system_is_crossed(self, project, tmp_path, kind):
        other = tmp_path / "other"
        other.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(other)], check=True, timeout=10)
        try:
            far = Project(project.root, other / "aside")
            far.start()
            if kind == "folder":
                far.put(".vscode/a/b", "deep")
                os.symlink("/nowhere", f"{far.root}/.vscode/l")
            elif kind == "link":
                os.symlink("/nowhere", f"{far.root}/.envrc")
            else:
                far.put(".envrc", "far")
            (moved,) = far.end()
            assert moved.problem == ""
            assert not far.has(moved.path)
            assert os.path.lexists(moved.to)
            if kind == "folder":
                assert os.readlink(f"{moved.to}/l") == "/nowhere"
                assert os.path.exists(f"{moved.to}/a/b")
        finally:
            subprocess.run(["umount", str(other)], check=True, timeout=10)

    @pytest.mark.skipif(os.geteuid() != 0, reason="mounting a second file system takes root")
    def test_nothing_is_lost_where_the_other_file_system_is_full(self, project, tmp_path):
        other = tmp_path / "other"
        other.mkdir()
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(other)], check=True, timeout=10
        )
        try:
            far = Project(project.root, other / "aside")
            far.start()
            far.put(".envrc", "x" * 200_000)
            (moved,) = far.end()
            assert moved.problem == "No space left on device"
            assert os.path.getsize(f"{far.root}/.envrc") == 200_000
        finally:
            subprocess.run(["umount", str(other)], check=True, timeout=10)
