"""What is done with a session's copy afterwards, on record: taking over, taking back, throwing away.

A session's log has ended by then, and stays as it is. So each deed has a short log of its own, beside those
of sessions and chained into the same file of heads: who asked what (the command), of which copy, and what
came of it. It is begun before the deed; one that has no end was killed in the middle.
"""

import contextlib
import os

from ringfence.audit import heads
from ringfence.audit.log import Writer
from ringfence.boundary import folder, reserve
from ringfence.host.model import Host
from ringfence.policy.model import Policy
from ringfence.workspace.layers import Layers
from ringfence.workspace.overlay import Held

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

APPLY, UNDO, DISCARD = "apply", "undo", "discard"


@contextlib.contextmanager
def on_record(host: Host, kind: str, layers: Layers, **about: object) -> "Iterator[dict[str, object]]":
    """Record a deed around its doing; what is put into the dict that this gives goes on record with it.

    Raises HostError where nothing can be recorded: then nothing is done.
    """
    if kind == DISCARD:
        reserve.make_room(host.state_dir)  # a full disk is a reason for it
    place = folder.create(host)
    told: dict[str, object] = dict(about)
    try:
        with Writer.create(place.log, place.id) as log:
            log.append(
                "start", command=[kind, layers.session], workspace=layers.workspace, copy=layers.session
            )
            done = False
            try:
                yield told
                done = True
            except BaseException as error:
                told["failed"] = type(error).__name__
                raise
            finally:
                log.append(kind, copy=layers.session, **told)
                log.append("end", status=0 if done else 1, reason="")
                heads.append(host.state_dir, place.id, log.seq - 1, log.head)
    finally:
        folder.finish(place)


def review(host: Host, held: Held | None, policy: Policy, say: "Callable[[str], None]") -> int:
    """Apply what a policy lets through without a person, on record; return the status for the shell."""
    from ringfence.boundary import copies

    layers = copies.left(held)
    if layers is None:
        return 0
    with on_record(host, APPLY, layers, automatic=True) as told:
        told["status"] = status = copies.review(layers, policy, say)
    return status


def paths_told(paths: "tuple[bytes, ...]", most: int = 50) -> dict[str, object]:
    """Return how many paths, and the first of them, for a record."""
    return {"paths": len(paths), "first": [os.fsdecode(path) for path in paths[:most]]}
