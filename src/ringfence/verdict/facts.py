"""What a request's body says, as far as a rule can ask: values that `egress.inspect` reads and rules compare.

A fact that was asked for and could not be read is `Unread`, with the reason. An allow rule then does not
hold, and a deny or ask rule does: what cannot be parsed is treated as the worst it could mean.
"""

from ringfence.value import Struct

# Kinds of facts, as an INSPECT verdict names those it needs.
GRAPHQL, GIT_COMMANDS, LFS = "graphql", "git-commands", "lfs"


class Unread(Struct):
    """A fact that could not be read."""

    reason: str


class Operation(Struct):
    """One GraphQL operation."""

    kind: str  # query | mutation | subscription
    fields: tuple[str, ...]  # at its top, fragments followed, aliases undone


class GraphQL(Struct):
    """Every operation of a GraphQL request's document, whichever it asks to run."""

    operations: tuple[Operation, ...]


class Update(Struct):
    """One change that a push asks for."""

    action: str  # create | update | delete
    ref: str


class Commands(Struct):
    """What a push asks for."""

    updates: tuple[Update, ...]  # empty: git asks only whether it may


class Lfs(Struct):
    """What a git LFS batch asks for."""

    operation: str  # upload | download


class Facts(Struct):
    """What is known of a body; None: not looked at."""

    graphql: GraphQL | Unread | None = None
    commands: Commands | Unread | None = None
    lfs: Lfs | Unread | None = None


NO_FACTS = Facts()
