"""B15: the policy, the records and the rules of the next session, changed from inside."""

import os

from ringfence.verify.prelude import NO_CHANGE, Tally, can_open


def attack(facts):
    """Write the policy files, read or forge the audit log, and plant state for the session after this one."""
    tally = Tally()
    for path in facts.get("policy_files", []):
        tally.refuse(f"write {path}", lambda path=path: can_open(path, os.O_WRONLY), NO_CHANGE)
    for folder in facts.get("own_folders", []):
        tally.refuse(f"list {folder}", lambda folder=folder: _listed(folder), NO_CHANGE)
        shared = _is_hosts(folder, facts)
        tally.expect(
            f"plant in {folder}", not shared, "the host's own folder" if shared else "not the host's folder"
        )
    return tally.finding()


def _listed(folder):
    if not os.listdir(folder):
        raise FileNotFoundError(2, "empty")


def _is_hosts(folder, facts):
    """Tell the host's own folder, by its inode, from one of the same name in the private home."""
    identity = facts.get("own_identities", {}).get(folder)
    try:
        status = os.stat(folder)
    except OSError:
        return False
    return identity == [status.st_dev, status.st_ino]
