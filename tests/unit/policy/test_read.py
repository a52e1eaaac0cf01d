"""Files that cannot be used say so; nothing is guessed."""

import os

import pytest

from ringfence import cache
from ringfence.policy import read


def problems(path, kind="project", cache_dir="/proc/nowhere"):
    source = read.source(str(path), kind)
    assert source is not None
    return [str(one) for one in read.layer(source, cache_dir)[1]]


def failure(path, kind="project") -> str:
    with pytest.raises(read.Failure) as error:
        read.source(str(path), kind)
    return error.value.diagnostic.message


def test_a_file_that_is_not_there_is_no_file(tmp_path):
    assert read.source(str(tmp_path / "x.toml"), "project") is None
    (tmp_path / "file").write_text("")
    assert read.source(str(tmp_path / "file" / "x.toml"), "project") is None


def test_what_is_not_a_regular_file_is_refused_without_waiting(tmp_path):
    assert failure(tmp_path) == "a policy is a file, and this is a folder"
    os.mkfifo(tmp_path / "fifo")
    assert failure(tmp_path / "fifo") == "a policy is a regular file, and this is something else"


def test_a_projects_link_is_refused_and_a_users_is_followed(tmp_path):
    (tmp_path / "real.toml").write_text("use = []")
    (tmp_path / "link.toml").symlink_to(tmp_path / "real.toml")
    assert "symbolic link" in failure(tmp_path / "link.toml")
    assert read.source(str(tmp_path / "link.toml"), "user") is not None


def test_a_huge_file_is_refused(tmp_path):
    (tmp_path / "x.toml").write_bytes(b"#" * (read.LARGEST + 1))
    assert failure(tmp_path / "x.toml") == "a policy file has at most 1 MiB"


@pytest.mark.skipif(os.getuid() == 0, reason="root reads everything")
def test_an_unreadable_file_is_an_error(tmp_path):
    (tmp_path / "x.toml").write_text("")
    (tmp_path / "x.toml").chmod(0)
    assert failure(tmp_path / "x.toml") == "the policy cannot be read: permission denied"


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("x.toml", b"a = '\xff'", "line 1 holds a byte 0xff"),
        ("x.toml", b"a = [" * 5000, "this is not TOML"),
        ("x.toml", b"a = 1\na = 2", "this is not TOML: cannot overwrite a value"),
        ("x.toml", b"mode = readonly", "this is not TOML: invalid value"),
        ("x.toml", b"a = 1" + b"0" * 5000, "this is not TOML"),
        ("x.json", b"{", "this is not JSON: "),
        ("x.json", b"[]", "a policy is an object"),
        ("x.json", b"[" * 100000, "this is not a usable policy"),
        ("x.json", b'{"limits": {"cpus": NaN}}', "this is not a usable policy: JSON has no NaN"),
        ("x.json", b'{"use": [], "use": []}', "`use` stands here twice"),
        ("x.json", b'{"use": [], "x": 1, "use": []}', "unknown key `x`"),
    ],
)
def test_a_text_that_cannot_be_parsed_is_told(tmp_path, name, data, message):
    (tmp_path / name).write_bytes(data)
    assert message in "\n".join(problems(tmp_path / name))


def test_a_byte_order_mark_is_no_key(tmp_path):
    (tmp_path / "x.toml").write_bytes(b"\xef\xbb\xbfuse = []")
    assert problems(tmp_path / "x.toml") == []


def test_a_problem_is_told_again_the_next_time(tmp_path):
    (tmp_path / "x.toml").write_text("x = 1")
    for _ in range(2):
        assert "unknown key `x`" in problems(tmp_path / "x.toml", cache_dir=str(tmp_path / "cache"))[0]


def test_json_and_toml_of_the_same_bytes_are_not_confused(tmp_path):
    (tmp_path / "x.toml").write_text("")
    cache_dir = str(tmp_path / "cache")
    assert problems(tmp_path / "x.toml", cache_dir=cache_dir) == []
    (tmp_path / "x.json").write_text("")
    assert problems(tmp_path / "x.json", cache_dir=cache_dir) != []


def test_what_was_kept_for_a_managed_file_does_not_count_for_a_project(tmp_path):
    (tmp_path / "x.toml").write_text("[managed]\nlock = ['egress']")
    cache_dir = str(tmp_path / "cache")
    assert problems(tmp_path / "x.toml", "managed", cache_dir) == []
    assert problems(tmp_path / "x.toml", "project", cache_dir) != []


def test_a_kept_layer_is_the_layer_itself(tmp_path):
    (tmp_path / "x.toml").write_text("use = ['git']\n[limits]\nprocesses = 'unlimited'")
    cache_dir = str(tmp_path / "cache")
    source = read.source(str(tmp_path / "x.toml"), "user")
    first, second = read.layer(source, cache_dir), read.layer(source, cache_dir)
    assert first == second == ({"use": ("git",), "limits": {"processes": None}}, ())
    assert len(os.listdir(cache_dir + "/parsed")) == 1


# --- the cache ---------------------------------------------------------------------------------


def test_a_damaged_entry_is_no_entry(tmp_path):
    folder = str(tmp_path)
    cache.store(folder, "k", {"a": (1, None)})
    assert cache.load(folder, "k") == {"a": (1, None)}
    for damage in (b"", b"\x00", b"{", os.urandom(20)):
        (tmp_path / "parsed" / "k").write_bytes(damage)
        assert cache.load(folder, "k") is None or damage[:1] not in (b"", b"{")


def test_an_entry_that_others_can_write_is_no_entry(tmp_path):
    cache.store(str(tmp_path), "k", 1)
    (tmp_path / "parsed" / "k").chmod(0o666)
    assert cache.load(str(tmp_path), "k") is None
    (tmp_path / "parsed" / "k").chmod(0o600)
    assert cache.load(str(tmp_path), "k") == 1
    (tmp_path / "parsed").chmod(0o777)
    assert cache.load(str(tmp_path), "k") is None


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a file away")
def test_an_entry_of_somebody_else_is_no_entry(tmp_path):
    cache.store(str(tmp_path), "k", 1)
    os.chown(tmp_path / "parsed" / "k", 12345, 12345)
    assert cache.load(str(tmp_path), "k") is None


def test_a_link_is_no_entry(tmp_path):
    cache.store(str(tmp_path), "k", 1)
    (tmp_path / "parsed" / "l").symlink_to(tmp_path / "parsed" / "k")
    assert cache.load(str(tmp_path), "l") is None


def test_a_folder_that_cannot_be_is_no_error(tmp_path):
    (tmp_path / "file").write_text("")
    cache.store(str(tmp_path / "file"), "k", 1)
    cache.store("/proc/nowhere", "k", 1)
    cache.store(str(tmp_path), "k", object())
    assert cache.load(str(tmp_path / "file"), "k") is None
    assert os.listdir(tmp_path) == ["file"] or os.listdir(tmp_path / "parsed") == []
