"""Where a pool listens: private, found again, of one server, and gone with it."""

import os
import socket
import stat

import pytest

from ringfence.errors import UsageError
from ringfence.pool import place


@pytest.fixture
def where(tmp_path):
    deep = tmp_path / ("long" * 30)  # longer than a socket's address may be
    deep.mkdir()
    return place.of(str(deep), "/p")


def test_nobody_is_told_where_nobody_serves(where):
    with pytest.raises(place.NoPoolError, match="no pool keeps boundaries for this project"):
        place.connect(where)


def test_a_place_is_private_and_of_one_server(where):
    listener, lock = place.listen(where)
    try:
        assert stat.S_IMODE(os.stat(where.folder).st_mode) == 0o700
        assert stat.S_IMODE(os.stat(f"{where.folder}/socket").st_mode) == 0o600
        with pytest.raises(UsageError, match="runs already"):
            place.listen(where)
        line = place.connect(where)
        assert place.peer(line)[1] == os.geteuid()
        line.close()
        assert place.every(os.path.dirname(os.path.dirname(where.folder))) == (where,)
    finally:
        listener.close()
        os.close(lock)
        place.leave(where)
    assert not os.path.exists(os.path.dirname(where.folder))


def test_what_a_killed_server_left_is_in_nobodys_way(where):
    listener, lock = place.listen(where)
    listener.close()
    os.close(lock)
    with pytest.raises(place.NoPoolError):
        place.connect(where)
    listener, lock = place.listen(where)
    listener.close()
    os.close(lock)


def test_pools_of_other_projects_and_names_lie_elsewhere(tmp_path):
    made = {place.of(str(tmp_path), *one).folder for one in (("/p",), ("/q",), ("/p", "a"), ("/p", "b"))}
    assert len(made) == 4


def test_messages_and_descriptors_pass_and_the_end_is_one():
    one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    assert place.receive(other, wait=False) == ({}, ())
    assert place.send(one, {"a": "\udcff"}, (0, 1))
    message, fds = place.receive(other)
    assert message == {"a": "\udcff"}
    assert len(fds) == 2
    assert not any(map(os.get_inheritable, fds))
    for fd in fds:
        os.close(fd)
    one.send(b"nonsense")
    assert "a" not in place.receive(other)[0]
    with pytest.raises(UsageError, match="longer than"):
        place.send(one, {"a": "x" * 300_000})
    one.close()
    assert place.receive(other) == (None, ())
    assert not place.send(other, {"a": 1})
    other.close()
