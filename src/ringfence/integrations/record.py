"""The record of tool calls: a hash-chained log for each session of a client, in the state folder."""

import fcntl
import os
import time

from ringfence.audit.chain import AuditError
from ringfence.audit.event import TOOLS
from ringfence.audit.log import Writer
from ringfence.canonical import digest, encode
from ringfence.value import Struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ringfence.integrations.permissions import Answer, Asked

PATIENCE = 3.0  # seconds: calls of one turn are decided side by side, each record takes a millisecond
_NAME = frozenset("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_")
_LONGEST_NAME = 100


class _Lock(Struct):
    """The lock that all who write tool records take in turn."""

    descriptor: int

    def __enter__(self) -> "_Lock":  # noqa: PYI034 - typing.Self costs a hook 8 ms
        until = time.monotonic() + PATIENCE
        while True:
            try:
                fcntl.flock(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > until:
                    os.close(self.descriptor)
                    raise AuditError("another process holds the records of tool calls") from None
                time.sleep(0.002)
            else:
                return self

    def __exit__(self, *_: object) -> None:
        os.close(self.descriptor)


def decision(state_dir: str, asked: "Asked", answer: "Answer", *, person: str, policy: str) -> None:
    """Write what was decided on a call. Raises AuditError where that is impossible."""
    found = answer.ruling
    call = asked.calls[0] if asked.calls else None
    given = [one.input for one in asked.calls]
    fields: dict[str, object] = {
        "client": asked.client,
        "tool": asked.shown or (call.tool if call else ""),
        "input": encode(asked.input),
        "input_digest": digest(given),
        "cwd": call.cwd if call else "",
        "root": asked.root,
        "mode": asked.mode,
        "effect": answer.effect,
        "ruling": found.effect,
        "reason": answer.reason,
        "policy_digest": policy,
    }
    if found.rule is not None:
        fields |= {"rule": f"{found.rule.effect} {found.rule.text}", "origin": found.rule.origin}
    if found.findings:
        fields["risks"] = [one.risk for one in found.findings]
    if person:
        fields["answer"] = person
    if asked.name:
        fields["call"] = asked.name
    _append(state_dir, session_name(asked), fields)


def session_name(asked: "Asked") -> str:
    """Return the name of a session's log: the client's own name for it, if that is harmless."""
    name = asked.session
    if not name or len(name) > _LONGEST_NAME or not _NAME.issuperset(name):
        name = digest(name)[:32] if name else "none"
    return f"{asked.client}-{name}"


def _append(state_dir: str, session: str, fields: "dict[str, object]") -> None:
    folder = f"{state_dir}/{TOOLS}"
    path = f"{folder}/{session}.jsonl"
    try:
        os.makedirs(folder, 0o700, exist_ok=True)
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        lock = _Lock(descriptor=os.open(f"{folder}/.lock", flags, 0o600))
    except OSError as error:
        raise AuditError(
            f"the record of tool calls in {folder} cannot be written: {error.strerror}"
        ) from None
    with lock:
        there = os.path.lexists(path) and os.lstat(path).st_size > 0
        if not there and os.path.lexists(path):
            os.unlink(path)  # begun by a process that died before its first record
        with Writer.resume(path) if there else Writer.create(path, session) as log:
            if not there:
                log.append("start", command=[fields["client"]], policy_digest=fields["policy_digest"])
            log.append("tool", **fields)
