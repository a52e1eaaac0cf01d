"""A session whose system is an image: what the plan takes from it instead of from the host. Pure.

The image's files are all that programs inside find, read-only; the host's programs, toolchains and
configuration are not shown. Its variables come first, so that everything of the plan's wins over them.
"""

from ringfence.boundary.choice import Choice
from ringfence.boundary.environment import TRUST
from ringfence.boundary.model import Mount
from ringfence.credential.authority import BUNDLES, KEYSTORES
from ringfence.value import Struct

SHELL = "/bin/sh"
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class System(Struct):
    """The image."""

    id: str
    path: tuple[str, ...]
    variables: tuple[tuple[str, str], ...]


def of(choice: Choice) -> System | None:
    """Return the image of a session; None where the system is the host's."""
    tools = choice.runtime.tools
    if not tools.get("image"):
        return None
    pairs = (one.partition("=") for one in tools["variables"].split("\0"))
    variables = {name: value for name, mark, value in pairs if mark}
    path = variables.pop("PATH", _PATH)
    return System(
        id=tools["image"],
        path=tuple(one for one in path.split(":") if one[:1] == "/"),
        variables=tuple(sorted(variables.items())),
    )


def own_trust(authority: str) -> tuple[Mount, ...]:
    """Show the session's authority, in three forms."""
    return tuple(
        Mount(kind="ro", source=f"{authority}/{name}", target=target, why=why)
        for name, target, why in (
            ("ca.pem", TRUST.certificate, "the session's authority"),
            ("bundle.pem", TRUST.bundle, "the session's trust store"),
            ("truststore.jks", TRUST.keystore, "the same for Java"),
        )
    )


def trust(authority: str) -> tuple[Mount, ...]:
    """Show it, also over the trust stores that an image may have."""
    if not authority:
        return ()
    files = [(path, "bundle.pem") for path in BUNDLES] + [(path, "truststore.jks") for path in KEYSTORES]
    return (
        *own_trust(authority),
        *(
            Mount(
                kind="over",
                source=f"{authority}/{name}",
                target=path,
                why="programs that read the system's trust store",
            )
            for path, name in files
        ),
    )
