"""How a secret gets into a request: one way a file, one line in the table.

Header fields are `(name, value)` pairs of bytes in the order of the request. What the agent itself
put where the secret goes is removed first, every copy of it, whatever its case.
"""

from ringfence.credential.inject import header
from ringfence.credential.secret import Secret
from ringfence.policy.model import Credential

WAYS = {"header": header.apply}


def apply(
    headers: list[tuple[bytes, bytes]], credential: Credential, secret: Secret
) -> list[tuple[bytes, bytes]]:
    """Return the request's header fields with the credential in place."""
    return WAYS["header"](headers, credential, secret)
