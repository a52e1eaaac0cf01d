"""Every row of the built-in tables does what it is there for, in a real tree."""

import pytest

from ringfence.workspace import tables
from ringfence.workspace.scan import Names, walk


def hides(root, path):
    """Make a file at `path` and say whether the walk hides it."""
    full = root / path
    full.parent.mkdir(parents=True, exist_ok=True)
    full.write_text("x")
    return [one.path for one in walk(str(root), Names()).hidden]


@pytest.mark.guarantee("F3")
class TestCredentials:
    @pytest.mark.parametrize("name", sorted(tables.CREDENTIAL_FILES))
    @pytest.mark.parametrize("folder", ["", "a/b/c/d/e/"])
    def test_a_credential_file_is_hidden_at_any_depth(self, tmp_path, folder, name):
        assert hides(tmp_path, folder + name) == [folder + name]

    @pytest.mark.parametrize("suffix", tables.CREDENTIAL_SUFFIXES)
    def test_a_file_with_a_credentials_ending_is_hidden(self, tmp_path, suffix):
        assert hides(tmp_path, f"deploy/prod{suffix}") == [f"deploy/prod{suffix}"]

    @pytest.mark.parametrize("name", [".env", ".env.local", ".env.production", ".envrc", ".env-old", ".env~"])
    def test_every_kind_of_env_file_is_hidden(self, tmp_path, name):
        assert hides(tmp_path, f"app/{name}") == [f"app/{name}"]

    @pytest.mark.parametrize("name", sorted(tables.CREDENTIAL_FOLDERS))
    def test_a_credential_folder_is_hidden_as_a_whole(self, tmp_path, name):
        assert hides(tmp_path, f"backup/{name}/inside") == [f"backup/{name}"]

    @pytest.mark.parametrize(("parent", "name"), sorted(tables.CREDENTIAL_PAIRS))
    def test_a_file_that_is_one_only_in_its_folder_is_hidden_there(self, tmp_path, parent, name):
        assert hides(tmp_path, f"x/{parent}/{name}") == [f"x/{parent}/{name}"]

    @pytest.mark.parametrize(
        ("parent", "name"),
        sorted(pair for pair in tables.CREDENTIAL_PAIRS if pair[1] not in tables.CREDENTIAL_FILES),
    )
    def test_and_not_elsewhere(self, tmp_path, parent, name):
        del parent
        assert hides(tmp_path, f"elsewhere/{name}") == []

    @pytest.mark.parametrize("name", sorted(tables.PUBLIC_FILES))
    def test_what_is_public_by_nature_is_shown(self, tmp_path, name):
        assert hides(tmp_path, f"app/{name}") == []

    @pytest.mark.parametrize(
        "name",
        [
            "README.md",
            "environment.py",
            "env",
            "key.py",
            "pem.txt",
            "credentials.py",
            "id_rsa.pub",
            "keys",
            ".key2",
        ],
    )
    def test_ordinary_files_are_shown(self, tmp_path, name):
        assert hides(tmp_path, name) == []


@pytest.mark.guarantee("F5")
class TestProtections:
    def protected(self, root):
        return {one.path for one in walk(str(root), Names()).protected}

    @pytest.mark.parametrize("name", sorted(tables.PROTECTED_FILES))
    @pytest.mark.parametrize("folder", ["", "a/b/c/d/e/"])
    def test_a_file_that_the_host_obeys_is_protected_at_any_depth(self, tmp_path, folder, name):
        hides(tmp_path, folder + name)
        assert self.protected(tmp_path) == {folder + name}

    @pytest.mark.parametrize("name", sorted(tables.PROTECTED_FOLDERS))
    def test_a_folder_that_the_host_obeys_is_protected(self, tmp_path, name):
        hides(tmp_path, f"a/{name}/settings.json")
        assert f"a/{name}" in self.protected(tmp_path)

    @pytest.mark.parametrize("name", tables.PROTECTED_IN_GIT)
    def test_gits_own_is_protected_in_git_folders_only(self, tmp_path, name):
        hides(tmp_path, f"a/.git/{name}")
        hides(tmp_path, f"b/{name}")
        assert self.protected(tmp_path) == {f"a/.git/{name}"}

    def test_what_git_obeys_in_submodules_and_bare_repositories_is_protected(self, tmp_path):
        for folder in (".git/modules/library", "fixtures/bare", "mirror.git"):
            for name in ("HEAD", "config"):
                hides(tmp_path, f"{folder}/{name}")
            for name in ("objects", "refs", "hooks"):
                (tmp_path / folder / name).mkdir()
        assert self.protected(tmp_path) >= {
            f"{folder}/{name}"
            for folder in (".git/modules/library", "fixtures/bare", "mirror.git")
            for name in ("config", "hooks")
        }

    def test_ordinary_files_are_not(self, tmp_path):
        for path in (
            "src/main.py",
            "Makefile",
            ".gitignore",
            "config",
            "hooks/x",
            ".github/workflows/ci.yml",
        ):
            hides(tmp_path, path)
        assert self.protected(tmp_path) == set()
