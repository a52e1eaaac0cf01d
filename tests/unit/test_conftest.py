"""CI's rule about skips, tried on a real run of pytest."""

import os
import subprocess
import sys

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


@pytest.mark.parametrize(
    ("environment", "reason", "status"),
    [
        ({"CI": "true"}, "missing: javac", 1),
        ({"CI": "true"}, "not for this platform", 0),
        ({}, "missing: javac", 0),
    ],
)
def test_a_skip_for_a_missing_part_fails_in_ci_only(tmp_path, environment, reason, status):
    with open(os.path.join(ROOT, "tests", "conftest.py"), encoding="utf-8") as file:
        (tmp_path / "conftest.py").write_text(file.read())
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "test_it.py").write_text(
        f"import pytest\ndef test_it(): pytest.skip({reason!r})\ndef test_two(): pass\n"
        f"@pytest.mark.skipif(True, reason={reason!r})\ndef test_three(): pass\n"
    )
    plain = {name: value for name, value in os.environ.items() if name not in {"CI", "PYTEST_ADDOPTS"}}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)],
        env={**plain, **environment}, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == status, done.stdout + done.stderr
    assert ("scripts/install-test-parts" in done.stdout) == bool(status)


def test_no_two_test_files_share_a_name():
    """Without packages the second of them cannot be collected."""
    top = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    names = [
        name
        for _folder, _folders, files in os.walk(top)
        for name in files
        if name.startswith("test_") and name.endswith(".py")
    ]
    assert sorted({name for name in names if names.count(name) > 1}) == []
