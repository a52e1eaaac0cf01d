"""The spelling of rules about tool calls, as a policy file may hold them.

A mistake in a rule is an error of the file, whichever list it stands in: one that denies must not get
lost, and one that allows would grant nothing while its author believes that it does.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


def checker(effect: str) -> "Callable[[str], str]":
    """Return what checks a rule of one list (allow, ask, deny) and gives its text back."""

    def check(text: str) -> str:
        return checked(text, effect)

    return check


def checked(text: str, effect: str) -> str:  # noqa: ARG001 - the reader of rules will need it
    """Check one rule."""
    name, bracket, rest = text.strip().partition("(")
    if not name or any(char.isspace() or not char.isprintable() for char in name):
        raise ValueError("a rule is written Tool or Tool(specifier), such as Bash(npm run *)")
    if bracket and (not rest.endswith(")") or len(rest) < 2):
        raise ValueError("this rule's bracket is not closed, or holds nothing")
    return text
