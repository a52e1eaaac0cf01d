"""How a secret gets into a request: one way a file, one line in the table.

Header fields are `(name, value)` pairs of bytes in the order of the request. What the agent itself
put where the secret goes is removed first, every copy of it, whatever its case.
"""

from ringfence.credential.inject import header
from ringfence.credential.inject.outgoing import Outgoing
from ringfence.credential.secret import Secret
from ringfence.policy.model import Credential

__all__ = ["WAYS", "Outgoing", "apply"]

WAYS = {"header": header.apply}


def apply(outgoing: Outgoing, credential: Credential, secret: Secret) -> None:
    """Put a credential into a request."""
    WAYS["header"](outgoing, credential, secret)
