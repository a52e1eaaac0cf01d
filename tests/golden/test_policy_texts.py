"""Whole texts: every error with its line and caret, what `init` writes, what `policy show` prints."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent / "policy"
SOURCE = str(Path(__file__).parents[2] / "src")


def compare(request: pytest.FixtureRequest, name: str, text: str) -> None:
    golden = HERE / name
    if request.config.getoption("--refresh-golden"):
        golden.write_text(text, encoding="utf-8")
    assert text == golden.read_text(encoding="utf-8")


def ringfence(folder: Path, *arguments: str, home: Path | None = None) -> subprocess.CompletedProcess[str]:
    place = home or folder / "home"
    environment = {"HOME": str(place), "PATH": "/nowhere", "PYTHONPATH": SOURCE, "USER": "ada"}
    environment["RINGFENCE_MANAGED_POLICY"] = str(place / "managed.toml")
    return subprocess.run(
        [sys.executable, "-c", "from ringfence.cli import main; main()", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        stdin=subprocess.DEVNULL,
    )


@pytest.mark.guarantee("T3")
@pytest.mark.parametrize("name", sorted(path.name for path in HERE.glob("*.bad.*") if path.suffix != ".txt"))
def test_every_problem_is_told_with_its_place_and_what_to_do(request, tmp_path, name):
    (tmp_path / name).write_bytes((HERE / name).read_bytes())
    done = ringfence(tmp_path, "policy", "check", name)
    assert (done.returncode, done.stdout) == (1, "")
    assert "Traceback" not in done.stderr
    compare(request, name + ".txt", done.stderr.replace(str(tmp_path) + os.sep, ""))


def test_init_writes_a_policy_that_is_valid_and_says_what_the_project_needs(request, tmp_path):
    for name in ("pyproject.toml", "package.json", "CLAUDE.md"):
        (tmp_path / name).write_text("")
    for name in ("secrets", ".git"):
        (tmp_path / name).mkdir()
    done = ringfence(tmp_path, "init", "--stdout")
    compare(request, "init.toml", done.stdout)
    assert ringfence(tmp_path, "init").returncode == 0
    assert (tmp_path / "ringfence.toml").read_text(encoding="utf-8") == done.stdout
    assert (
        ringfence(tmp_path, "policy", "check", "ringfence.toml").stdout == f"ok: {tmp_path}/ringfence.toml\n"
    )


def test_every_line_that_init_comments_out_is_valid_when_it_is_not(tmp_path):
    text = ringfence(tmp_path, "init", "--stdout").stdout
    live = [line.removeprefix("# ") if _is_policy(line) else line for line in text.splitlines()]
    # The short and the long form of egress.allow are alternatives.
    live = [line for line in live if not line.startswith('allow = ["GET,HEAD')]
    (tmp_path / "ringfence.toml").write_text("\n".join(live))
    done = ringfence(tmp_path, "policy", "check", "ringfence.toml")
    assert done.stderr == ""


def _is_policy(line: str) -> bool:
    bare = line.removeprefix("# ")
    key = bare.partition("=")[0].strip()
    return line.startswith("# ") and (
        bare.startswith("[") or ("=" in bare and key.replace("_", "").isalpha())
    )


def test_init_never_overwrites(tmp_path):
    (tmp_path / "ringfence.toml").write_text("# mine")
    done = ringfence(tmp_path, "init")
    assert done.returncode == 125
    assert done.stderr == (
        f"error: {tmp_path}/ringfence.toml is there already\n\n"
        "hint: ringfence init --stdout prints what it would write\n"
    )
    (tmp_path / "ringfence.toml").unlink()
    (tmp_path / "ringfence.toml").symlink_to(tmp_path / "elsewhere")
    assert ringfence(tmp_path, "init").returncode == 125
    assert not (tmp_path / "elsewhere").exists()


def test_show_prints_the_policy_and_where_each_line_comes_from(request, tmp_path):
    project = tmp_path / "project"
    project.mkdir()
    config = tmp_path / "home" / ".config" / "ringfence"
    config.mkdir(parents=True)
    (config / "policy.toml").write_bytes((HERE / "show.user.toml").read_bytes())
    (tmp_path / "home" / "managed.toml").write_text(
        '[egress]\ndeny = ["*.evil.test"]\n[limits]\nmemory = "4G"\n'
    )
    (tmp_path / "home" / "managed.toml").chmod(0o644)
    (project / "ringfence.toml").write_text(
        'use = ["node"]\n[workspace]\nmode = "readonly"\nmask = ["secrets/**"]\n'
    )
    done = ringfence(project, "policy", "show", home=tmp_path / "home")
    assert done.stderr == ""
    compare(request, "show.txt", done.stdout.replace(str(tmp_path), "/T"))
    import json

    shown = json.loads(ringfence(project, "policy", "show", "--json", home=tmp_path / "home").stdout)
    assert shown["workspace"]["mode"] == "readonly"
    assert done.stdout.startswith("policy " + shown["digest"][:12])
