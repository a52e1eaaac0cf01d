"""find: its expression, word by word."""

import pytest
from looking import files, look_at, reads, risks, runs, writes

CLEAN = [
    "find", "find .", "find . -name '*.py'", "find src -type f -name x", "find . -maxdepth 2 -not -path './.git/*' -print",
    "find . \\( -name a -o -name b \\) -print0", "find . -newer a -mtime -1", "find . -size +1M -ls", "find -L . -empty", "find . -regex '.*x'",
    "find . ! -user root", "find a b c -iname x", "find . -printf '%p\\n'", "find -O3 . -name x", "find . -perm -u+x", "find . -name «x»",
    "find . -newermt 2020-01-01", "find . -type f , -name x", "find . -prune -o -print", "find -H -P . -name x", "find ./⟪*⟫ -name x",
]  # fmt: skip
RISKY = [
    "find . -exec touch x ;", "find . -exec touch x {} +", "find . -execdir x ;", "find . -ok x ;", "find . -okdir x ;", "find . -delete",
    "find . -name x -delete", "find . -fprint x", "find . -fprint0 x", "find . -fprintf x %p", "find . -fls x", "find . -files0-from x",
    "find -files0-from x", "find . «x*» touch x ;", "find «x»", "find . -name «x*»", "find . -frobnicate", "find ⟪*⟫", "find . -name ⟪*.py⟫ -print ⟪*⟫",
    "find . ⟪-*⟫", "find . -maxdepth 0 -exec", "find . -name a -exec a ; -exec b ;",
]  # fmt: skip


@pytest.mark.parametrize("line", CLEAN)
def test_looking_is_clean(line):
    assert risks(line.replace("\\(", "'('").replace("\\)", "')'")) == []


@pytest.mark.parametrize("line", RISKY)
def test_doing_is_found(line):
    assert risks(line.replace(" ;", " ';'"))


def test_commands_and_files_are_named():
    assert runs("find . -exec curl x ';'") == ["curl x"]
    assert runs("find . -exec a ';' -execdir curl {} + -ok c ';'") == ["a", "curl {}", "c"]
    assert runs("find . -exec curl x") == ["curl x"]
    assert writes("find . -fprintf x %p") == ["x"]
    assert writes("find . -fls /dev/null") == []
    assert files("find a b -name x", "list") == ["a/**", "b/**"]
    assert files("find a -delete", "delete") == ["a/**"]
    assert files("find -delete", "delete") == ["./**"]
    assert reads("find . -files0-from .env") == [".env"]
    assert look_at("find . -exec x ';'").runner
    assert not look_at("find . -name x").runner
