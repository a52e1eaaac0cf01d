"""A pool of a field's, for as long as a test needs it."""

import json
import os
import signal
import time

READY = 60.0  # seconds until the boundaries of a pool must wait, on a busy machine


class Served:
    """`ringfence pool serve` in a field's project."""

    def __init__(self, field, *options, size=2, refusing=""):
        self.field = field
        self.size = size
        self.child = field.start("pool", "serve", "--size", str(size), *options, refusing=refusing)

    def __enter__(self):
        try:
            self.until(lambda state: state["waiting"] == self.size)
        except BaseException:
            self.end()
            raise
        return self

    def __exit__(self, *_):
        self.end()

    def state(self):
        """Return what the server says of itself; {} where it does not listen."""
        done = self.field.run("pool", "status", "--json")
        found = json.loads(done.out)
        return found[0] if found else {}

    def until(self, check):
        """Wait until the server's state is as wanted; return it."""
        deadline = time.monotonic() + READY
        while not ((state := self.state()) and check(state)):
            assert self.child.poll() is None, self.child.stderr.read()
            assert time.monotonic() < deadline, state
            time.sleep(0.05)
        return state

    def run(self, *words, **how):
        """Run a command from the pool."""
        return self.field.run("pool", "run", "--", *words, **how)

    def sh(self, script, *options, **how):
        """Run a shell script from the pool."""
        return self.field.run("pool", "run", *options, "--", "sh", "-c", script, **how)

    def end(self, number=signal.SIGTERM):
        """Stop the server; return its status and what it said."""
        if self.child.poll() is None:
            os.kill(self.child.pid, number)
        try:
            _out, err = self.child.communicate(timeout=READY)
        finally:
            if self.child.poll() is None:
                os.killpg(self.child.pid, signal.SIGKILL)
                self.child.wait(timeout=10)
        return self.child.returncode, err.decode(errors="replace")
