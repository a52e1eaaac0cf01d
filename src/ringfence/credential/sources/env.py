"""`env:NAME`: a variable of the operator's environment, handed over by the launcher."""

from ringfence.credential.secret import Secret, SourceError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


def fetch(name: str, environment: "Mapping[str, str]") -> Secret:
    """Return the variable's value."""
    value = environment.get(name, "")
    if not value:
        raise SourceError(
            f"`env:{name}`: the variable is not set", hint=f"export {name}=… before `ringfence run`"
        )
    return Secret(value, f"env:{name}")
