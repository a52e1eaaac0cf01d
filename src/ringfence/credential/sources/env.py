"""`env:NAME`: a variable of the operator's environment, handed over by the launcher."""

from ringfence.credential.secret import SourceError
from ringfence.credential.sources import Access, Reading


def read(name: str, access: Access) -> Reading:
    """Return the variable's value."""
    value = access.environment.get(name, "")
    if not value:
        raise SourceError(
            f"`env:{name}`: the variable is not set", hint=f"export {name}=… before `ringfence run`"
        )
    return Reading(value)
