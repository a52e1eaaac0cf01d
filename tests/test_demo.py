"""The demo is a test: it checks every line it prints."""

import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def test_the_demo_comes_out_as_it_says():
    done = subprocess.run(
        [sys.executable, os.path.join(ROOT, "demo", "run.py")],
        capture_output=True, text=True, timeout=110, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "BAD" not in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 100


def test_the_demo_leaves_nothing_behind(tmp_path):
    subprocess.run(
        [sys.executable, os.path.join(ROOT, "demo", "run.py")],
        env={**os.environ, "TMPDIR": str(tmp_path)}, capture_output=True, timeout=110, check=False,
    )  # fmt: skip
    assert os.listdir(tmp_path) == []
