"""S14: a folder swapped for a link, over and over, while the launcher sets up mounts on it.

This half looks, in a session begun meanwhile, at whatever stands at the folder's name: what the link leads
to is no part of the project, and bears the battery's canary.
"""

import os
import time

FOLDER, LINK, ELSEWHERE = "ringfence-verify-swap", "ringfence-verify-link", "elsewhere"
NAMES = (".envrc", "plain.txt")  # one that the host obeys, and one like any other


def attack(facts):
    """Read what is there, for a moment: it may change all the time."""
    root = facts.get("root") or os.getcwd()
    paths = [f"{root}/{place}/{name}" for place in (FOLDER, LINK) for name in NAMES]
    end = time.monotonic() + 0.1
    while time.monotonic() < end:
        for path in paths:
            try:
                with open(path, encoding="utf-8", errors="replace") as file:
                    if facts["token"] in file.read():
                        return {"held": False, "evidence": f"{path} shows a folder of the host, by a link"}
            except OSError:
                continue
    return {"held": True, "evidence": "nothing of the host behind the link"}
