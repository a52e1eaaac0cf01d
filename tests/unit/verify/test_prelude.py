"""How a try is judged: held only for an error that a refusal has."""

import errno
import os
import signal

import pytest

from ringfence.verify.prelude import NO_FILE, NotPossibleHere, Tally, in_child, syscall


def failing(number):
    def call():
        raise OSError(number, os.strerror(number))

    return call


class TestATry:
    def test_that_succeeds_got_through(self):
        tally = Tally()
        tally.refuse("it", lambda: 1)
        assert tally.finding() == {"held": False, "evidence": "it succeeded", "tries": 1}

    def test_that_reached_the_kernel_got_through(self):
        tally = Tally()
        tally.refuse("it", failing(errno.EINVAL))
        assert tally.finding()["evidence"] == "it reached the kernel (EINVAL)"
        assert tally.finding()["held"] is False

    def test_that_was_refused_held(self):
        tally = Tally()
        tally.refuse("it", failing(errno.EPERM))
        assert tally.finding() == {"held": True, "evidence": "EPERM: it", "tries": 1}

    def test_of_a_missing_file_holds_only_where_files_are_looked_for(self):
        tally = Tally()
        tally.refuse("file", failing(errno.ENOENT), NO_FILE)
        assert tally.finding()["held"] is True
        tally.refuse("call", failing(errno.ENOENT))
        assert tally.finding()["held"] is False

    def test_that_could_not_be_made_is_not_held(self):
        tally = Tally()

        def impossible():
            raise NotPossibleHere("no such processor")

        tally.refuse("it", impossible)
        assert tally.finding() == {"held": None, "evidence": "it: no such processor", "tries": 0}

    def test_one_that_got_through_outweighs_all_that_held(self):
        tally = Tally()
        for _ in range(50):
            tally.refuse("held", failing(errno.EPERM))
        tally.expect("seen", good=False, seen="a key")
        assert tally.finding()["held"] is False
        assert tally.finding()["evidence"] == "seen: a key"

    def test_nothing_tried_is_not_held(self):
        assert Tally().finding()["held"] is None


class TestAChild:
    def test_that_is_killed_by_a_filter_was_refused(self):
        with pytest.raises(OSError, match="killed by SIGSYS") as caught:
            in_child(lambda: os.kill(os.getpid(), signal.SIGSYS))
        assert caught.value.errno == errno.EPERM

    def test_returns_its_answer(self):
        assert in_child(lambda: 7) == "7"

    def test_passes_its_error_on(self):
        with pytest.raises(OSError, match="Bad file") as caught:
            in_child(lambda: os.close(9999))
        assert caught.value.errno == errno.EBADF

    def test_that_hangs_is_ended(self):
        import time

        with pytest.raises(OSError, match="no answer"):
            in_child(lambda: time.sleep(60), patience=0.2)

    def test_with_a_fault_of_ours_is_no_refusal(self):
        with pytest.raises(RuntimeError):
            in_child(lambda: 1 / 0)


def test_a_system_call_raises_what_the_kernel_says():
    with pytest.raises(OSError, match="Bad file") as caught:
        syscall("ioctl", 9999, 0, None)
    assert caught.value.errno == errno.EBADF
