"""FD: descriptors that the operator's shell had open, inherited into the boundary past every path rule.

The battery starts its session with a file, a folder and a socket open at low and high numbers.
"""

import os

from ringfence.verify.prelude import Tally


def attack(facts):
    """Look at what was open when the first program of the battery started, and at the working directory."""
    tally = Tally()
    extra = [f"{fd} → {target}" for fd, target in facts.get("first_descriptors", []) if fd > 2]
    tally.expect("descriptors above 2", not extra, ", ".join(extra[:4]) or "none")
    for fd in facts.get("planted_descriptors", []):
        tally.expect(
            f"planted descriptor {fd}",
            not _is_planted(fd, facts),
            "closed" if not _is_planted(fd, facts) else "open",
        )
    folder = os.readlink("/proc/self/cwd")
    tally.expect("working directory", "/proc/" not in folder and "(unreachable)" not in folder, folder)
    return tally.finding()


def _is_planted(fd, facts):
    try:
        status = os.fstat(fd)
    except OSError:
        return False
    return [status.st_dev, status.st_ino] in facts.get("planted_identities", [])
