"""A real private wire for tests: a boundary's network with a process in it that runs what it is told."""

import json
import os
import socket
import subprocess
import sys

from gates import SOURCE, WAIT

INSIDE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "inside.py")


class Wire:
    """A boundary's network, and a way to run programs in it."""

    def __init__(self, folder):
        resolv = os.path.join(folder, "resolv.conf")
        with open(resolv, "w", encoding="ascii") as file:
            file.write("nameserver 100.64.0.1\noptions timeout:2 attempts:1\n")
        self.talk, theirs = socket.socketpair()
        self.talk.settimeout(30)
        apart = ["unshare", "-m"] if os.geteuid() == 0 else ["unshare", "-r", "-m"]
        self.process = subprocess.Popen(
            [*apart, sys.executable, "-I", INSIDE, SOURCE, str(theirs.fileno()), resolv],
            pass_fds=[theirs.fileno()],
            stderr=subprocess.PIPE,
            env={"PATH": os.environ["PATH"]},
        )
        theirs.close()
        kind, fds, _, _ = socket.recv_fds(self.talk, 16, 32)
        if not fds:
            self.process.wait(WAIT)
            raise OSError(self.process.stderr.read().decode())
        self.kind = kind.decode()
        self.dns, self.vend, *self.listeners = fds

    def run(self, *argv):
        """Run a program inside; returns (status, output, errors)."""
        self.talk.sendall(json.dumps(argv).encode())
        answer = b""
        while not answer.endswith(b"\n"):
            more = self.talk.recv(1 << 20)
            assert more, "the process inside is gone"
            answer += more
        return tuple(json.loads(answer))

    def python(self, code):
        return self.run(sys.executable, "-I", "-c", code)

    def close(self):
        self.talk.close()
        self.process.kill()
        self.process.wait(WAIT)
        self.process.stderr.close()
        for fd in (self.dns, self.vend, *self.listeners):
            os.close(fd)
