"""Boundaries that are ready before anybody asks: each complete, each used once.

    server ─┬─ keeper ── boundary, waiting for its command
            ├─ keeper ── boundary, waiting
            └─ keeper ── session of somebody who claimed one

A *keeper* is the launcher of one session, run as far as the boundary stands: a folder, an authority,
canaries, a network, mounts, the system-call filter, all its own. There it stops. The entry program inside
waits for a message (`boundary.waiting`), the keeper for a claim. What a keeper has made is used for that
claim or thrown away; nothing is given to a second one.

A claim must get what a cold start would get at that moment. So the keeper decides anew, from the policy files
and the file system as they are now, and compares the plan with the one that its boundary was built from;
where they differ the claim is refused, and the server builds new ones. The part that a policy cannot say
beforehand (the command, the folder below the project, the streams, the variables that the policy lets in)
comes with the claim.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ringfence.pool.client import Running, claim
    from ringfence.pool.platform import Pool

__all__ = ["Pool", "Running", "claim"]


def __getattr__(name: str) -> object:
    if name == "Pool":
        from ringfence.pool.platform import Pool

        return Pool
    if name in {"Running", "claim"}:
        from ringfence.pool import client

        return getattr(client, name)
    raise AttributeError(name)
