"""S17: memory and temporary files shared with the host: /tmp, /dev/shm, System V objects, message queues."""

import ctypes
import os

from ringfence.verify.prelude import NO_FILE, Tally, read_text, syscall


def attack(facts):
    """Look for what the battery planted outside in each of them."""
    tally = Tally()
    for path in facts.get("planted_files", []):
        tally.refuse(path, lambda path=path: os.stat(path), NO_FILE)
    key = facts.get("sysv_key")
    if key:
        tally.refuse("System V shared memory", lambda: syscall("shmget", key, 0, 0), NO_FILE)
        tally.refuse("System V message queue", lambda: syscall("msgget", key, 0), NO_FILE)
        tally.refuse("System V semaphore", lambda: syscall("semget", key, 0, 0), NO_FILE)
    queue = facts.get("message_queue")
    if queue:
        tally.refuse(
            "POSIX message queue",
            lambda: os.close(syscall("mq_open", ctypes.c_char_p(queue.encode()), 0, 0, None)),
            NO_FILE,
        )
    for name in ("shm", "msg", "sem"):
        rows = read_text(f"/proc/sysvipc/{name}").splitlines()[1:]
        tally.expect(f"System V {name} objects in sight", not rows, f"{len(rows)}")
    return tally.finding()
