"""Which packages an image is made of, and which of their files."""

import io
import os
import tarfile

import pytest

from ringfence.errors import HostError
from ringfence.host import image, packages

STATUS = """\
Package: shell
Status: install ok installed
Architecture: amd64
Pre-Depends: libc (>= 2)
Depends: base | other-base, awk
Conffiles:
 {kept} {digest}
 {changed} 00000000000000000000000000000000

Package: libc
Status: install ok installed
Architecture: amd64

Package: other-base
Status: install ok installed
Architecture: all
Depends: shell

Package: mawk
Status: install ok installed
Architecture: amd64
Provides: awk

Package: removed
Status: deinstall ok config-files
Architecture: amd64
"""


@pytest.fixture
def records(tmp_path, monkeypatch):
    import hashlib

    root = tmp_path / "records"
    (root / "info").mkdir(parents=True)
    kept, changed, plain = tmp_path / "kept", tmp_path / "changed", tmp_path / "plain"
    for one in (kept, changed, plain):
        one.write_text("text\n")
    digest = hashlib.md5(b"text\n", usedforsecurity=False).hexdigest()
    (root / "status").write_text(STATUS.format(kept=kept, changed=changed, digest=digest))
    (root / "info" / "shell:amd64.list").write_text(
        f"/.\n{tmp_path}\n{kept}\n{changed}\n{plain}\n{tmp_path}/gone\n"
    )
    monkeypatch.setattr(packages, "_RECORDS", str(root))
    monkeypatch.setattr(packages, "_alternatives", lambda _found: set())
    return tmp_path


@pytest.mark.usefixtures("records")
def test_all_that_a_package_depends_on_comes_with_it():
    found = packages.closure(("shell",), packages.installed())
    assert [one.name for one in found] == ["libc", "mawk", "other-base", "shell"]


@pytest.mark.parametrize("name", ["removed", "nothing"])
@pytest.mark.usefixtures("records")
def test_what_is_not_installed_is_said(name):
    with pytest.raises(HostError, match=f"not installed: {name}"):
        packages.closure((name,), packages.installed())


def test_configuration_that_was_changed_stays_here(records):
    found = packages.files(packages.closure(("shell",), packages.installed()))
    names = {os.path.basename(path) for path in found if path.startswith(str(records))}
    assert names - {records.name} == {"kept", "plain"}


def test_a_machine_without_dpkg_is_told_so(monkeypatch):
    monkeypatch.setattr(packages, "_RECORDS", "/nowhere")
    with pytest.raises(HostError, match="keeps no records"):
        packages.installed()


def test_the_archive_is_the_same_each_time_and_gives_nobody_rights(tmp_path, monkeypatch):
    monkeypatch.setattr(image, "_COVERED", ())
    place = tmp_path / "tool"
    place.mkdir()
    (place / "run").write_text("#!/bin/sh\n")
    (place / "run").chmod(0o6777)
    os.link(place / "run", place / "run2")
    (place / "link").symlink_to("run")
    os.mkfifo(place / "pipe")
    made = []
    for _ in range(2):
        out = io.BytesIO()
        image.write(out, image.below(str(place), "/root"), [])
        made.append(out.getvalue())
    assert made[0] == made[1]
    with tarfile.open(fileobj=io.BytesIO(made[0])) as archive:
        entries = {one.name: one for one in archive}
    run = entries[str(place / "run")[1:]]
    assert (run.mode, run.uid, run.uname) == (0o755, 0, "")
    assert entries[str(place / "link")[1:]].linkname == "run"
    assert str(place / "pipe")[1:] not in entries
    assert entries["tmp"].mode == 0o1777


@pytest.mark.parametrize("path", ["/home/me/tool", "tool", "/nowhere/at/all", "/var/tmp/tool"])
def test_what_nobody_would_see_inside_is_refused(path):
    with pytest.raises(HostError):
        image.below(path, "/home/me")
