"""S16: what /proc and /etc tell about the machine outside: its paths, users, mounts and options."""

import os

from ringfence.verify.prelude import NO_FILE, Tally, read_text

_SECRETS = (
    "/run/secrets",
    "/var/run/secrets",
    "/.dockerenv",
    "/run/.containerenv",
    "/var/run/secrets/kubernetes.io",
)


def attack(facts):
    """Read pid 1's command line, the mount table, /etc and the usual places of mounted secrets."""
    tally = Tally()
    private = [path for path in facts.get("private_paths", []) if len(path) > 1]
    for path in (
        "/proc/1/cmdline",
        "/proc/self/mounts",
        "/proc/1/mountinfo",
        "/proc/1/maps",
        "/proc/self/mountinfo",
    ):
        text = read_text(path)
        seen = [one for one in private if one in text]
        tally.expect(path, not seen, ", ".join(seen) or "no private path of the host")
    for path in _SECRETS:
        tally.refuse(path, lambda path=path: os.listdir(path), NO_FILE)
    for entry in facts.get("invisible", []):
        tally.refuse(entry["path"], lambda entry=entry: _see(entry), NO_FILE)
    users = [line.split(":")[0] for line in read_text("/etc/passwd").splitlines()]
    others = sorted(set(facts.get("users", [])) & set(users))
    tally.expect("users of the host in /etc/passwd", not others, ", ".join(others[:5]) or "none")
    return tally.finding()


def _see(entry):
    """Look for the host's own: the same name may stand for something of the boundary's.

    By its inode, or by size and time of change, since another kernel counts inodes in its own way.
    """
    status = os.stat(entry["path"])
    same = (status.st_dev, status.st_ino) == (entry["device"], entry["inode"])
    if not same and (status.st_size, status.st_mtime_ns) != (entry["size"], entry["changed"]):
        raise PermissionError(13, "not the host's")
