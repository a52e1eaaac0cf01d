"""`systemd:NAME`: a credential in the service's $CREDENTIALS_DIRECTORY, put there by systemd."""

from ringfence.credential.secret import SourceError
from ringfence.credential.sources import Access, Reading
from ringfence.credential.sources.file import content


def read(name: str, access: Access) -> Reading:
    """Return the credential's content without its final line break."""
    folder = access.environment.get("CREDENTIALS_DIRECTORY", "")
    if not folder:
        raise SourceError(
            f"`systemd:{name}`: $CREDENTIALS_DIRECTORY is not set",
            hint=f"start ringfence from a unit with LoadCredential={name}:… or LoadCredentialEncrypted=",
        )
    text = content(f"systemd:{name}", f"{folder}/{name}", access.workspace)
    return Reading(text.removesuffix("\n").removesuffix("\r"))
