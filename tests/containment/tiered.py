"""Sessions that many checks share, whatever they are made of: one driven by a program, one at a terminal."""

import fcntl
import json
import os
import pty
import re
import select
import shutil
import signal
import struct
import subprocess
import termios
import time

from field import Done, Field
from leaks import Traces

WHO = ["root", "user"] if os.geteuid() == 0 else ["user"]
TIERS = ("sandbox", "container", "gvisor", "microvm")
BELL = "\x07"  # a shell's, for a key that it does not know: the sentry hands on what made a signal, too
WAIT = 60.0  # seconds for one answer: a translated guest on a busy machine is slow
_ESCAPES = re.compile(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|[()][AB0]|[=>])|\r")

# Runs one command for each line of JSON, and answers with one.
_DRIVER = """
import json, subprocess, sys
print("ready", flush=True)
for line in iter(sys.stdin.readline, ""):
    words = json.loads(line)
    done = subprocess.run(words["argv"], input=words["data"], capture_output=True, text=True, errors="surrogateescape")
    print(json.dumps([done.returncode, done.stdout, done.stderr]), flush=True)
"""


def tiered(person, tier, request):
    """Make a field whose sessions are of a tier."""
    one = Field(person)
    one.tier = tier
    if tier == "container":
        which = "pods" if person.uid else "engine"  # Podman for an ordinary user
        one.variables = request.getfixturevalue(which).variables
    one.policy(f'tier = ["{tier}"]\n')
    if tier == "microvm":
        request.getfixturevalue("tun_for_everybody")
        os.makedirs(f"{one.state}/images", 0o700)
        shutil.copy(request.getfixturevalue("guest_kernel"), f"{one.state}/images/kernel")
        one.own()
    return one


class Inside:
    """A session in which a program runs one command after the other."""

    def __init__(self, field, *options):
        self.field, self.tier = field, field.tier
        self.child = field.start("run", "--discard", *options, "--", "/usr/bin/python3", "-I", "-c", _DRIVER)
        Traces.standing_pids.append(self.child.pid)
        assert self._line() == "ready\n", self.child.stderr.read()

    def _line(self):
        if not select.select([self.child.stdout], [], [], WAIT)[0]:
            self.child.kill()  # what comes late would be taken for the next answer
            raise AssertionError("no answer from inside")
        return self.child.stdout.readline().decode()

    def run(self, *argv, data=""):
        """Run a program inside."""
        started = time.monotonic()
        self.child.stdin.write(json.dumps({"argv": argv, "data": data}).encode() + b"\n")
        self.child.stdin.flush()
        line = self._line()
        assert line, self.child.stderr.read()
        code, out, err = json.loads(line)
        return Done(
            code,
            out.encode(errors="surrogateescape"),
            err.encode(errors="surrogateescape"),
            time.monotonic() - started,
        )

    def sh(self, script, data=""):
        """Run a shell script inside."""
        return self.run("sh", "-c", script, data=data)

    def python(self, script):
        """Run a Python script inside."""
        return self.run("/usr/bin/python3", "-I", "-c", script)

    def end(self, number):
        """End the session by a signal to its launcher; return the launcher's status and what it said."""
        if self.child.poll() is None:
            self.child.send_signal(number)
        try:
            _out, err = self.child.communicate(timeout=WAIT)
        finally:
            if self.child.poll() is None:
                os.killpg(self.child.pid, signal.SIGKILL)
                self.child.communicate()
            Traces.standing_pids.remove(self.child.pid)
        return self.child.returncode, err.decode()


class Screen:
    """A session at a terminal of 31 lines and 97 columns, and somebody who types into a shell there."""

    def __init__(self, field, *command):
        self.seen = ""
        self.master, slave = pty.openpty()
        os.set_blocking(self.master, False)
        self.resize(31, 97)
        words = command or ("bash", "--norc", "--noprofile")
        self.child = subprocess.Popen(
            field.argv("run", "--discard", "--", *words), cwd=field.project, env=field.environment,
            stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509 - no thread runs here
        )  # fmt: skip
        os.close(slave)
        Traces.standing_pids.append(self.child.pid)
        if not command:
            self.until(r"bash-[0-9.]+\$ $")
            self.say("PS1='<$?>> '; bind 'set enable-bracketed-paste off'")

    def close(self):
        """End it where it has not ended."""
        if self.child.poll() is None:
            self.child.terminate()
            try:
                self.status(20)
            except AssertionError:
                os.killpg(self.child.pid, signal.SIGKILL)
        self.child.wait(timeout=20)
        os.close(self.master)
        Traces.standing_pids.remove(self.child.pid)

    def resize(self, rows, columns):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, text):
        """Type, and read what comes meanwhile."""
        left, until = text.encode(), time.monotonic() + WAIT
        while left:
            assert time.monotonic() < until, f"it does not take what is typed; {self.seen[-500:]!r}"
            _in, ready, _err = select.select([], [self.master], [], 0.05)
            if ready:
                left = left[os.write(self.master, left[:1024]) :]
            self._read()

    def until(self, pattern, seconds=WAIT):
        """Return what was shown until it matched, without what moves the cursor or colours."""
        deadline = time.monotonic() + seconds
        while not re.search(pattern, shown := _ESCAPES.sub("", self.seen).replace(BELL, "")):
            assert time.monotonic() < deadline, f"no {pattern!r} in {self.seen[-2000:]!r}"
            assert self._read(0.1) or self.child.poll() is None, (
                f"ended before {pattern!r}: {self.seen[-2000:]!r}"
            )
        self.seen = ""
        return shown

    def say(self, line):
        """Type a line into the shell; return what was shown until its next prompt, without the line."""
        self.type(line + "\n")
        shown = self.until(r"<\d+>> $")
        return shown.partition("\n")[2].rpartition("<")[0].strip("\n")

    def press(self, key, pattern):
        """Press a key again and again, until what is shown matches: a shell takes its time to hand the keys over."""
        deadline, shown = time.monotonic() + WAIT, ""
        while not shown:
            self.type(key)
            try:
                shown = self.until(pattern, 2.0)
            except AssertionError:
                if time.monotonic() > deadline:
                    raise
        self.type("\x15echo in' 'step\n")  # a key too many may have made one more prompt, which comes late
        self.until(r"in step\n<\d+>> $")
        return shown

    def status(self, seconds=WAIT):
        """Return how the session ended."""
        deadline = time.monotonic() + seconds
        while self.child.poll() is None:
            assert time.monotonic() < deadline, f"it does not end: {self.seen[-2000:]!r}"
            self._read(0.1)
        self._read()
        return self.child.returncode

    def _read(self, seconds=0.0):
        if not select.select([self.master], [], [], seconds)[0]:
            return False
        try:
            data = os.read(self.master, 65536)
        except OSError:  # EIO: the session has closed its end
            time.sleep(min(seconds, 0.02))
            return False
        self.seen += data.decode(errors="replace")
        return True
