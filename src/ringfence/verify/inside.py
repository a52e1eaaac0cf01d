"""The program that runs inside the boundary: makes each attack in a process of its own, prints findings.

Its text is passed to a Python found inside; the attacks come as text too, since ringfence itself is
not there. One JSON line for each attack, on standard output.
"""

import json
import os
import select
import signal
import sys
import time
import types

_PATIENCE = 90


def main():
    """Make the attacks of the bundle given as an argument, or on standard input for `-`."""
    first = _descriptors()
    bundle = json.loads(sys.stdin.read() if sys.argv[1] == "-" else sys.argv[1])
    facts = {**bundle["facts"], "first_descriptors": first}
    _install("ringfence", "")
    _install("ringfence.verify", "")
    _install("ringfence.verify.prelude", bundle["prelude"])
    for attack in bundle["attacks"]:
        finding = _made(attack, facts)
        line = json.dumps({"attack": attack["name"], **finding}) + "\n"
        sys.stdout.write(line)
        sys.stdout.flush()


def _descriptors():
    found = []
    for name in os.listdir("/proc/self/fd"):
        try:
            found.append((int(name), os.readlink(f"/proc/self/fd/{name}")))
        except OSError:
            continue  # the one that listed them
    return found


def _install(name, source):
    module = types.ModuleType(name)
    sys.modules[name] = module
    exec(compile(source, name, "exec"), module.__dict__)


def _made(attack, facts):
    """Run one attack in a forked child: what it breaks or loses ends with it."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        os.write(writer, json.dumps(_attacked(attack, facts)).encode())
        os._exit(0)
    os.close(writer)
    text = _read(reader)
    if not text:
        os.kill(child, signal.SIGKILL)
    status = os.waitpid(child, 0)[1]
    if text:
        return json.loads(text)
    return {"held": None, "evidence": f"the attack ended without a finding (wait status {status})"}


def _attacked(attack, facts):
    try:
        scope = {"__name__": attack["name"]}
        exec(compile(attack["source"], attack["name"], "exec"), scope)
        return scope["attack"](facts)
    except BaseException as error:
        where = error.__traceback__
        while where and where.tb_next:
            where = where.tb_next
        return {
            "held": None,
            "evidence": f"could not be made: {error!r} at line {where.tb_lineno if where else 0}",
        }


def _read(reader):
    text, end = b"", time.monotonic() + _PATIENCE
    while time.monotonic() < end and select.select([reader], [], [], end - time.monotonic())[0]:
        part = os.read(reader, 65536)
        if not part:
            break
        text += part
    os.close(reader)
    return text


main()
