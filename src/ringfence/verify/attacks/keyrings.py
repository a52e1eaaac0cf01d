"""S08: the kernel's keyrings, which no namespace separates: the operator's may hold secrets."""

from ringfence.verify.prelude import Tally, syscall

_SESSION, _USER = -3, -4


def attack(_facts):
    """Look for the session's and the user's keyring, add a key, ask for one."""
    tally = Tally()
    tally.refuse("session keyring", lambda: syscall("keyctl", 0, _SESSION, 0))
    tally.refuse("user keyring", lambda: syscall("keyctl", 0, _USER, 0))
    tally.refuse("join a session keyring", lambda: syscall("keyctl", 1, 0))
    tally.refuse("add_key", lambda: syscall("add_key", b"user", b"ringfence-verify", b"x", 1, -1))
    tally.refuse("request_key", lambda: syscall("request_key", b"user", b"ringfence-verify", None, 0))
    return tally.finding()
