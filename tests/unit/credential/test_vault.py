"""Secrets are fetched when first needed, again when they changed, and every one stays known for scrubbing."""

import os
import threading
import time

import pytest

from ringfence.credential.secret import SourceError
from ringfence.credential.sources import command
from ringfence.credential.vault import Vault
from ringfence.policy.model import Credential


def credential(source, name="key"):
    return Credential(name=name, source=source, host="api.example")


def values(vault):
    return {secret.reveal_for_injection() for secret in vault.every()}


@pytest.fixture
def counting(tmp_path):
    """A command that gives another value each time it runs."""
    path = tmp_path / "give"
    path.write_text(
        f"#!/bin/sh\nsleep 0.05; echo x >> {tmp_path}/runs; echo value$(wc -l < {tmp_path}/runs)\n"
    )
    path.chmod(0o755)
    return credential(f"command:{path}")


def test_nothing_is_ready_before_it_was_fetched():
    vault = Vault({"KEY": "value-1"})
    assert vault.ready(credential("env:KEY")) is None
    assert vault.get(credential("env:KEY")).reveal_for_injection() == "value-1"
    assert vault.ready(credential("env:KEY")).reveal_for_injection() == "value-1"


def test_a_file_that_changed_is_read_again_and_the_old_value_stays_known(tmp_path):
    path = tmp_path / "key"
    path.write_text("value-1")
    path.chmod(0o600)
    vault, key = Vault({}), credential(f"file:{path}")
    assert vault.get(key).reveal_for_injection() == "value-1"
    other = tmp_path / "new"
    other.write_text("value-2")
    other.chmod(0o600)
    os.replace(other, path)
    assert vault.ready(key) is None
    assert vault.get(key).reveal_for_injection() == "value-2"
    assert values(vault) == {"value-1", "value-2"}


def test_a_file_that_vanished_is_an_error_and_not_the_old_value(tmp_path):
    path = tmp_path / "key"
    path.write_text("value-1")
    path.chmod(0o600)
    vault, key = Vault({}), credential(f"file:{path}")
    vault.get(key)
    path.unlink()
    with pytest.raises(SourceError, match="No such file"):
        vault.get(key)


def test_a_command_is_asked_again_after_a_while(counting, monkeypatch):
    vault = Vault({})
    assert [vault.get(counting).reveal_for_injection() for _ in range(3)] == ["value1"] * 3
    monkeypatch.setattr(command, "LIFETIME", 0.0)
    vault = Vault({})
    assert vault.get(counting).reveal_for_injection() == "value2"
    assert vault.get(counting).reveal_for_injection() == "value3"
    assert values(vault) == {"value2", "value3"}


def test_a_refused_secret_is_fetched_again_and_stays_known(counting):
    vault = Vault({})
    vault.get(counting)
    vault.forget(counting)
    assert vault.ready(counting) is None
    assert vault.get(counting).reveal_for_injection() == "value2"
    assert values(vault) == {"value1", "value2"}
    vault.forget(credential("env:NEVER", name="never"))


def test_the_same_value_again_is_no_former_one(tmp_path):
    path = tmp_path / "key"
    path.write_text("value-1")
    path.chmod(0o600)
    vault, key = Vault({}), credential(f"file:{path}")
    for _ in range(3):
        vault.get(key)
        vault.forget(key)
    vault.get(key)
    os.utime(path, (1, 1))
    vault.get(key)
    assert [secret.reveal_for_injection() for secret in vault.every()] == ["value-1", "value-1"]


def test_many_requests_at_once_cause_one_fetch(counting):
    vault = Vault({})
    threads = [threading.Thread(target=vault.get, args=(counting,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert values(vault) == {"value1"}


def test_one_slow_command_does_not_hold_up_another_credential(tmp_path):
    path = tmp_path / "slow"
    path.write_text("#!/bin/sh\nsleep 2; echo slow\n")
    path.chmod(0o755)
    vault = Vault({"KEY": "value-1"})
    thread = threading.Thread(target=vault.get, args=(credential(f"command:{path}", name="slow"),))
    thread.start()
    time.sleep(0.1)
    started = time.monotonic()
    vault.get(credential("env:KEY"))
    assert time.monotonic() - started < 1
    assert vault.every()
    thread.join(10)


def test_a_source_inside_the_workspace_is_refused(tmp_path):
    path = tmp_path / "key"
    path.write_text("value-1")
    with pytest.raises(SourceError, match="inside the workspace"):
        Vault({}, workspace=str(tmp_path)).get(credential(f"file:{path}"))
