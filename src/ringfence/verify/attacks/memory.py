"""S19: memory far beyond the limit. The limit is one that the battery gives this session of its own.

This half takes memory piece by piece, touches each page, and says how far it came. The battery looks at how
far that was, and whether the session's end has a reason.
"""

import mmap
import os
import time

_PIECE = 32 << 20


def attack(facts):
    """Take memory up to four times the limit, slowly enough for who watches."""
    limit, held = int(facts["memory"]), []
    os.write(1, b"ready\n")
    try:
        while len(held) * _PIECE < 4 * limit:
            piece = mmap.mmap(-1, _PIECE)
            for at in range(0, _PIECE, mmap.PAGESIZE):
                piece[at] = 1
            held.append(piece)
            os.write(1, f"took {len(held) * _PIECE}\n".encode())
            time.sleep(0.05)
        time.sleep(1)
    except (OSError, MemoryError) as error:
        return {"held": True, "evidence": f"refused after {len(held) * _PIECE >> 20} MiB: {error}"}
    return {"held": False, "evidence": f"{len(held) * _PIECE >> 20} MiB of {limit >> 20} taken, and kept"}
