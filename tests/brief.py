"""Runs a program for a moment: with its end, or the moment's, everything ends that it has started."""

import os
import signal
import subprocess


def run(arguments, *, timeout, **more):
    """Run a program that reads nothing, and return what it said; TimeoutExpired where it takes longer."""
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(arguments, **pipes, start_new_session=True, **more) as child:
        try:
            out, err = child.communicate(timeout=timeout)
        finally:
            try:
                os.killpg(child.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
    return subprocess.CompletedProcess(arguments, child.returncode, out, err)
