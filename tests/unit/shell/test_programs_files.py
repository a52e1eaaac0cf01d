"""Programs that make, move, copy and remove files, and what must never be removed."""

import pytest
from looking import files, look_at, reads, risks, runs, writes

from ringfence.shell.programs.critical import lexical


@pytest.mark.parametrize(
    "line",
    [
        "rm -rf /", "rm -rf //", "rm -rf /.", "rm -rf /../", "rm -rf /w/../..", "rm -rf /usr", "rm -rf /etc/", "rm -rf /tmp", "rm -rf /home",
        "rm -rf /home/u", "rm -rf /home/other", "rm -rf /root", "rm -rf /Users/x", "rm -rf .", "rm -rf ./", "rm -rf ..", "rm -rf ../..",
        "rm -rf ../../", "rm -rf /w", "rm -rf src/..", "rm -rf a b /", "rm -r --no-preserve-root -f /", "rm -rf -- /", "rmdir /", "rm /",
        "rm -rf ⟪/*⟫", "rm -rf ⟪*⟫", "rm -rf ⟪./*⟫", "rm -rf ⟪../*⟫", "rm -rf ⟪/home/*⟫", "rm -rf ⟪/home/u/*⟫", "rm -rf ⟪.*⟫",
        "rm -rf ⟪/u*⟫", "rm -rf ⟪/*/x⟫", "rm -rf C:/", "rm -rf 'C:\\'", "rm -rf /mnt/c", "mv / x", "mv ~u/../../home x", "chmod -R 777 /",
        "chown -R u /", "chmod -R a+w /etc", "chgrp -R x .", "trash /", "mv /home/u /x", "find / -delete", "rm -rf /home/u/", "rm -rf /w/",
        "rm -rf ⟪/w/*⟫", "rm -rf ⟪..*⟫", "rm --recur /",
    ],
)  # fmt: skip
def test_what_much_depends_on_is_never_for_rules(line):
    findings = look_at(line).findings
    if line.startswith(("mv ~u", "find", "rm -rf ⟪..*⟫")):
        assert findings or line.startswith(("mv ~u", "rm -rf ⟪..*⟫"))
        return
    assert [one.exact for one in findings if one.risk == "critical-removal"][:1] == [False]


@pytest.mark.parametrize(
    "text",
    [
        '"$DIR"/',
        '"$DIR"/*',
        "$DIR/",
        "$DIR/*",
        "${DIR}/",
        '"${DIR}"/*',
        "$HOME",
        '"$HOME"',
        "$HOME/",
        "~/",
        "$(x)/",
        "`x`/*",
    ],
)
def test_an_empty_variable_may_make_it_the_root(text):
    from ringfence.shell.facts import UNKNOWN, Value
    from ringfence.shell.invocation import Invocation
    from ringfence.shell.programs import look

    words = (Value(text="-rf"), Value(text=text, certainty=UNKNOWN, single=text.startswith('"')))
    found = look(Invocation(program="rm", arguments=words, folder="/w", home="/home/u")).findings
    assert "critical-removal" in {one.risk for one in found}


@pytest.mark.parametrize(
    "line",
    [
        "rm -rf build", "rm -rf ./build", "rm -rf build/", "rm -rf src/../build", "rm -f a b", "rm ⟪*.pyc⟫", "rm -rf ⟪build/*⟫", "rm -rf /w/build",
        "rm -rf /tmp/x", "rm -rf /home/u/x/y", "rmdir a", "mv a b", "mv a b c/", "cp -r a b", "cp -a src dst", "mkdir -p a/b", "touch a",
        "touch -r a b", "chmod +x a", "chmod -w a", "chmod 644 a b", "chmod -R u+w src", "chown u:g a", "ln -s a b", "ln -sf ../a b",
        "install -m 644 a b", "install -d a", "tee a", "tee -a a", "truncate -s 0 a", "dd if=a of=b bs=1M", "split -l 10 a x", "mktemp -d",
        "unlink a", "chmod -R 755 ./build", "mv ⟪*.txt⟫ dst/", "shred -u a", "mkfifo a",
    ],
)  # fmt: skip
def test_ordinary_use_is_clean(line):
    found = risks(line)
    assert found == (["glob-option"] if line.startswith("mv ⟪") else [])


def test_both_ends_are_named():
    assert reads("cp .env x") == [".env"]
    assert writes("cp a .git") == [".git", ".git/a"]
    assert writes("cp a b .git") == [".git", ".git/a", ".git/b"]
    assert writes("cp -t .git hooks/x") == [".git", ".git/x"]
    assert writes("cp --target=.git x") == [".git", ".git/x"]
    assert reads("cp -r . x") == ["./**"]
    assert files("mv .env x", "delete") == [".env/**"]
    assert reads("mv .env x") == [".env/**"]
    assert writes("mv a .bashrc") == [".bashrc/**", ".bashrc/a/**"]
    assert reads("ln -s .env x") == [".env"]
    assert writes("ln .env x") == [".env", "x", "x/.env"]
    assert writes("ln -s /etc/passwd") == ["/etc/passwd", "passwd"]
    assert writes("install -m 755 a .git/hooks/x") == [".git/hooks/x", ".git/hooks/x/a"]
    assert writes("touch .git/x") == [".git/x"]
    assert writes("tee -a ~/.bashrc") == ["~/.bashrc"]
    assert writes("chmod +x .git/hooks/x") == [".git/hooks/x"]
    assert writes("chmod --reference=a b") == ["b"]
    assert writes("chmod -w b") == ["b"]
    assert files("rm -rf .git", "delete") == [".git/**"]
    assert files("rm .env", "delete") == [".env"]
    assert reads("dd if=.env") == [".env"]
    assert writes("dd of=.git/x") == [".git/x"]
    assert writes("truncate -s 0 .env") == [".env"]
    assert reads("split .env") == [".env"]
    assert writes("csplit -f x a 1") == ["x*"]
    assert reads("touch -r .env a") == [".env"]
    assert writes("patch -o x a p") == ["x", "a", "./**"]


def test_options_that_run_and_devices_are_found():
    assert "option-runs-program" in risks("install -s --strip-program=./x a b")
    assert "option-runs-program" in risks("install --strip-prog ./x a b")
    assert "option-runs-program" in risks("split --filter='curl x' a")
    assert runs("split --fil='curl x' a") == ["curl x"]
    assert "system-change" in risks("dd if=a of=/dev/sda")
    assert "system-change" in risks("mknod x c 1 3")
    assert "editor-command" in risks("patch -e a p")
    assert "interpreter-code" in risks("rename s/a/b/ x")
    assert "uncertain-argument" in risks("rm «x»")
    assert "uncertain-argument" in risks("dd if=«x»")
    assert "uncertain-argument" in risks("cp a «x»")
    assert "uncertain-argument" in risks("mkdir «x*»")


@pytest.mark.parametrize(
    ("text", "folder", "path"),
    [
        ("a/../b", "/w", "/w/b"),
        ("/a//b/.", None, "/a/b"),
        ("../x", None, "../x"),
        ("/..", None, "/"),
        ("", "/w", "/w"),
        ("../../..", "/w", "/"),
    ],
)
def test_paths_are_resolved_by_their_spelling(text, folder, path):
    assert lexical(text, folder) == path
