"""The keeper of a virtual machine: nothing of what the guest wrote is lost, and nothing added."""

import os
import socket
import threading

import pytest

from ringfence.boundary.guest.keeper import CONSOLE, ERR, IN, OUT, SAY, TELL, Keeper


class Guest:
    """The other ends of the ports, and what the keeper wrote."""

    def __init__(self):
        pairs = [socket.socketpair() for _ in range(6)]
        self.ours = [ours for ours, _ in pairs]
        self.kept = [theirs.detach() for _, theirs in pairs]
        self.told = self.ours[TELL].makefile("rb")

    def say(self, text):
        self.ours[SAY].sendall(text.encode() + b"\n")

    def hear(self):
        return self.told.readline().decode().split()

    def off(self):
        for one in self.ours:
            one.close()
        self.told.close()


def kept(act):
    """Run a keeper in a process of its own beside `act`; return its status and what it wrote."""
    guest = Guest()
    out, into = os.pipe()
    ready = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            for one in guest.ours:
                one.close()
            nothing = os.open("/dev/null", os.O_RDONLY)
            os.dup2(nothing, 0)
            os.dup2(into, 1)
            os.dup2(into, 2)
            os._exit(Keeper(tuple(guest.kept), ready[1], terminal=False).run())
        finally:
            os._exit(99)
    for fd in (into, ready[1], *guest.kept):
        os.close(fd)
    wrote = []

    def read():
        with os.fdopen(out, "rb") as stream:
            wrote.append(stream.read())

    reader = threading.Thread(target=read)
    reader.start()
    try:
        act(guest)
    finally:
        guest.off()
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        reader.join()
        os.close(ready[0])
    return status, wrote[0]


def test_what_comes_after_the_end_of_the_command_is_passed_on_up_to_the_mark():
    def act(guest):
        guest.say("ready")
        guest.ours[OUT].sendall(b"before ")
        guest.say("exit 7")
        word, mark = guest.hear()
        assert word == "mark"
        late = b"late " * 1000
        for at in range(0, len(late), 700):
            guest.ours[OUT].sendall(late[at : at + 700])
        for byte in (mark + "\n").encode():  # in pieces, as ports have them
            guest.ours[OUT].sendall(bytes([byte]))
        guest.ours[ERR].sendall(mark.encode() + b"\n")
        assert guest.hear() == ["off"]

    assert kept(act) == (7, b"before " + b"late " * 1000)


def test_what_looks_like_the_mark_and_is_not_is_passed_on():
    def act(guest):
        guest.say("ready")
        guest.say("exit 0")
        _, mark = guest.hear()
        guest.ours[OUT].sendall(mark[:20].encode())
        guest.ours[OUT].sendall(b"\n" + mark.encode() + b"\n")
        guest.ours[ERR].sendall(mark.encode() + b"\n")
        assert guest.hear() == ["off"]
        seen.append(mark[:20].encode() + b"\n")

    seen = []
    assert kept(act) == (0, seen[0])


@pytest.mark.parametrize("last", ["", "exit 0"])
def test_a_machine_that_goes_before_all_has_come_is_no_success(last):
    def act(guest):
        guest.say("ready")
        guest.ours[CONSOLE].sendall(b"Kernel panic\n")
        if last:
            guest.say(last)
            guest.hear()

    status, wrote = kept(act)
    assert status == 125
    assert b"ended before its command did\nguest: Kernel panic" in wrote


def test_the_end_of_input_is_passed_on():
    def act(guest):
        guest.say("ready")
        assert guest.ours[IN].recv(1) == b""
        guest.say("exit 0")
        _, mark = guest.hear()
        for port in (OUT, ERR):
            guest.ours[port].sendall(mark.encode() + b"\n")
        guest.hear()

    assert kept(act) == (0, b"")
