"""The diff: what git and patch can read, and what they have no words for."""

import os
import shutil
import subprocess

import pytest

from layered import Layered, put
from ringfence.errors import HostError
from ringfence.workspace import changes, content
from ringfence.workspace.review import side, summary, unified
from ringfence.workspace.review.report import Report, judge


@pytest.fixture
def tree(tmp_path):
    made = Layered(tmp_path)
    put(made.below, "a.txt", "".join(f"{number}\n" for number in range(20)))
    return made


def shown(tree, columns=0):
    contents = content.Contents(tree.layers())
    try:
        out = []
        for change in changes.read(tree.layers()):
            both = contents.of(change)
            found = side.columns(change, both, columns) if columns else unified.lines(change, both)
            out += [text for _, text in found]
        return out
    finally:
        contents.close()


def patch_readers():
    return [["git", "apply", "-p1"], ["patch", "-p1", "--binary", "-s"]]


@pytest.mark.parametrize("reader", patch_readers(), ids=lambda argv: argv[0])
def test_plain_text_can_be_given_to_patch_readers(tree, reader):
    if not shutil.which(reader[0]):
        pytest.skip(f"missing: {reader[0]}")
    put(tree.below, "sub dir/b.txt", "one\ntwo")
    put(tree.below, "gone.txt", "x\n")
    put(tree.below, "crlf.txt", "1\r\n2\r\n3\r\n")
    put(tree.below, "empty-to-full", "")
    tree.agent(
        "sed -i s/^7/seven/ a.txt; printf 'one\\nzwei\\ndrei\\n' > 'sub dir/b.txt'; rm gone.txt;"
        "printf '1\\r\\nzwei\\r\\n3\\r\\n' > crlf.txt; echo new > new.txt; echo x > empty-to-full;"
        "printf 'no end' > noend; echo caf\\303\\251 > utf8.txt"
    )
    target = f"{tree.folder}/target"
    shutil.copytree(tree.below, target)
    diff = "".join(line + "\n" for line in shown(tree)).encode()
    subprocess.run(reader, cwd=target, input=diff, check=True, timeout=60)
    merged = {path: read(f"{target}/{path}") for path in files(target)}
    assert merged["crlf.txt"] == b"1\r\nzwei\r\n3\r\n"
    assert merged["noend"] == b"no end"
    for path, data in merged.items():
        if os.path.exists(f"{tree.upper}/{path}"):
            assert data == read(f"{tree.upper}/{path}"), path
    assert "gone.txt" not in merged


def files(root):
    return [
        os.path.relpath(os.path.join(folder, name), root)
        for folder, _, names in os.walk(root)
        for name in names
    ]


def read(path):
    with open(path, "rb") as file:
        return file.read()


def test_a_change_of_white_space_only_is_a_change(tree):
    put(tree.below, "code.py", "if x:\n    a()\n    b()\n")
    put(tree.upper, "code.py", "if x:\n    a()\nb() \n")
    assert shown(tree)[-3:] == ["     a()", "-    b()", "+b() "]


def test_a_change_of_line_ends_is_shown(tree):
    put(tree.below, "code.py", "a\nb\n")
    put(tree.upper, "code.py", "a\r\nb\n")
    assert "+a<CR>" in shown(tree)


def test_the_end_of_a_file_without_a_newline_is_told(tree):
    put(tree.upper, "a.txt", "".join(f"{number}\n" for number in range(20))[:-1])
    assert shown(tree)[-3:] == ["-19", "+19", "\\ No newline at end of file"]


def test_what_is_escaped_says_so(tree):
    put(tree.upper, "evil.py", "x = 1 # \u202e\n\x1b[2K\rok\n")
    found = shown(tree)
    assert "+x = 1 # <U+202E>" in found
    assert "+<ESC>[2K<CR>ok" in found
    assert "# the line above is shown escaped: carriage return, terminal control" in found
    assert not any("\x1b" in line or "\u202e" in line or "\r" in line for line in found)


def test_one_nul_does_not_hide_a_text(tree):
    put(tree.upper, "script.sh", b"#!/bin/sh\nrm -rf ~\n\0")
    assert "+rm -rf ~" in shown(tree)
    assert "+<NUL>" in shown(tree)


def test_a_binary_is_summed_up_with_its_digest(tree):
    put(tree.upper, "image.png", b"\x89PNG\r\n" + bytes(range(256)) * 8)
    found = shown(tree)
    assert found[-1] == "# lines not shown: PNG image"
    assert found[-2].startswith("# after: 2054 bytes, SHA-256 ")


def test_a_huge_file_is_summed_up_without_being_held(tree):
    import resource

    with open(f"{tree.upper}/huge.txt", "wb") as file:
        file.truncate(1 << 30)  # one line of a gigabyte
        file.seek(0)
        os.posix_fallocate(file.fileno(), 0, 1 << 20)
        file.write(b"x" * 100)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = shown(tree)
    assert found[-1] == "# lines not shown: too large to show"
    assert f"{1 << 30} bytes" in found[-2]
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000  # kB


def test_every_kind_that_is_no_file_is_told(tree):
    os.symlink("a.txt", f"{tree.below}/link")
    put(tree.below, "file", "x")
    put(tree.below, "run", "x\n", mode=0o755)
    put(tree.below, "half", "x\n", mode=0o644)
    tree.agent(
        "ln -sfn /etc/passwd link; mkfifo pipe; mkdir new; rm file; mkdir file; chmod 644 run; chmod 600 half"
    )
    assert shown(tree) == [
        "diff --git a/file b/file",
        "deleted file mode 100644",
        "--- a/file",
        "+++ /dev/null",
        "@@ -1 +0,0 @@",
        "-x",
        "\\ No newline at end of file",
        "# file: new folder, mode 0755",
        "# half: mode 0644 -> 0600",
        "diff --git a/link b/link",
        "--- a/link",
        "+++ b/link",
        "@@ -1 +1 @@",
        "-a.txt",
        "\\ No newline at end of file",
        "+/etc/passwd",
        "\\ No newline at end of file",
        "# new: new folder, mode 0755",
        "# pipe: new fifo, mode 0644",
        "diff --git a/run b/run",
        "old mode 100755",
        "new mode 100644",
    ]


def test_odd_modes_and_conflicts_are_told(tree):
    put(tree.upper, "tool", "x\n")
    os.chmod(f"{tree.upper}/tool", 0o4777)
    tree.began()
    put(tree.upper, "a.txt", "agent\n")
    put(tree.below, "a.txt", "user\n")
    found = shown(tree)
    assert "# tool: new with mode 4777" in found
    assert found[0] == "# a.txt: CONFLICT: changed in the workspace since the session began"


@pytest.mark.guarantee("V2")
def test_settings_of_the_project_have_no_say(tree):
    put(tree.below, ".gitattributes", "* -diff linguist-generated\n*.txt filter=evil diff=evil\n")
    put(tree.below, ".gitignore", "secret-*\n")
    put(tree.below, ".git/config", '[diff "evil"]\n\ttextconv = "touch /tmp/never"\n')
    put(tree.below, ".git/info/exclude", "*\n")
    tree.agent("sed -i s/^7/seven/ a.txt; echo x > secret-plan; echo y > .git/hooks-not; echo '*' > .ignore")
    found = shown(tree)
    assert "+seven" in found
    assert "diff --git a/secret-plan b/secret-plan" in found
    assert "diff --git a/.git/hooks-not b/.git/hooks-not" in found


def test_a_name_cannot_forge_a_header(tree):
    put(tree.upper, "x\ndiff --git a/y b/y\n", "1\n")
    assert [line for line in shown(tree) if line.startswith("diff --git a/y")] == []


@pytest.mark.guarantee("V6")
def test_a_file_that_changed_since_it_was_read_is_an_error(tree):
    put(tree.upper, "a.txt", "one\n")
    found = changes.read(tree.layers())
    put(tree.upper, "a.txt", "two\n")
    contents = content.Contents(tree.layers())
    with pytest.raises(HostError, match="changed while it was read"):
        contents.of(found[0])
    contents.close()


def test_side_by_side_cuts_nothing(tree):
    put(tree.below, "wide.txt", "a" * 50 + "\n")
    put(tree.upper, "wide.txt", "b" * 50 + "\n")
    found = shown(tree, columns=43)[-3:]
    assert found == [
        "a" * 20 + " | " + "b" * 20,
        "a" * 20 + " | " + "b" * 20,
        "a" * 10 + " " * 10 + " | " + "b" * 10,
    ]


@pytest.mark.guarantee("V1")
def test_counts_are_of_everything(tree):
    for number in range(200):
        put(tree.below, f"many/{number}", f"{number}\n")
    tree.agent("rm -r many; ln -s x link")
    contents = content.Contents(tree.layers())
    made = judge(changes.read(tree.layers()), contents)
    contents.close()
    assert summary.counts(made)["deleted"] == 201
    lines = [text for _, text in summary.summary(made)]
    assert lines[0] == "# 202 changes: 1 added, 201 deleted"
    assert len([text for _, text in summary.names(made)]) == 202


def test_nothing_is_told_as_nothing():
    assert [text for _, text in summary.summary(Report(changes=()))] == ["# 0 changes: nothing"]
