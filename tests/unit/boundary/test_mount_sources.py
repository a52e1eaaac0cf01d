"""What a mount shows is opened without following a link of the project's, whenever somebody put it there."""

import errno
import json
import os
import shutil
import subprocess
import sys

import pytest

PROGRAM = """
import json, os, sys
from ringfence.boundary import syscalls
from ringfence.boundary.model import Mount
from ringfence.boundary.mounts import Builder
staging, workspace = sys.argv[1:3]
syscalls.mount("none", "/", "", syscalls.MS_REC | syscalls.MS_PRIVATE)
builder = Builder(staging, owner=0, idmap=None, workspace=workspace)
builder.put(Mount(kind="rw", source=workspace, target=workspace), ())
out = {}
for kind in ("ro", "pin"):
    for name in ("folder", "link"):
        path = f"{workspace}/{name}"
        try:
            tree = builder._source(Mount(kind=kind, source=path, target=path))
            out[f"{kind} {name}"] = sorted(os.listdir(f"/proc/self/fd/{tree}"))
        except OSError as error:
            out[f"{kind} {name}"] = error.errno
print(json.dumps(out))
"""


@pytest.fixture
def opened(tmp_path):
    """Return what came of opening a folder and a link to another, as root of a namespace of its own."""
    unshare = shutil.which("unshare")
    assert unshare, "missing: unshare (util-linux)"
    for folder in ("staging", "project/folder", "elsewhere"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "project/folder/file").write_text("ours")
    (tmp_path / "elsewhere/secret").write_text("the host's")
    (tmp_path / "project/link").symlink_to(tmp_path / "elsewhere")
    done = subprocess.run(
        [unshare, "--user", "--map-root-user", "--mount", sys.executable, "-c", PROGRAM,
         str(tmp_path / "staging"), str(tmp_path / "project")],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_link_is_refused(opened):
    assert opened["ro link"] == errno.ELOOP
    assert opened["pin link"] == errno.ELOOP


def test_a_folder_is_shown(opened):
    assert opened["ro folder"] == ["file"]
    assert opened["pin folder"] == ["file"]
