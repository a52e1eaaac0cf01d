"""What a client sends, read field by field. A shape that it does not send is no question to answer."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ringfence.integrations.clients import Around


class BadInputError(ValueError):
    """What came in is not what this client sends."""


def text(data: "dict[str, Any]", name: str, usual: str | None = None) -> str:
    """Return a text of the input; without `usual` it has to be there."""
    value = data.get(name, usual)
    if not isinstance(value, str):
        raise BadInputError(f"`{name}` is not a text")
    return value


def tool(data: "dict[str, Any]") -> str:
    """Return the name of the tool, which is no empty text."""
    value = text(data, "tool_name")
    if not value:
        raise BadInputError("`tool_name` is empty")
    return value


def table(data: "dict[str, Any]", name: str) -> "dict[str, Any]":
    """Return a table of the input, which has to be there."""
    value = data.get(name)
    if not isinstance(value, dict):
        raise BadInputError(f"`{name}` is not an object")
    return value


def folder(data: "dict[str, Any]", name: str) -> str:
    """Return an absolute path of the input."""
    value = text(data, name)
    if not value.startswith("/") or "\0" in value:
        raise BadInputError(f"`{name}` is not an absolute path")
    return value


def root(around: "Around", cwd: str) -> str:
    """Return the project: where the client was started, or its folder now where it does not say."""
    return around.project if around.project.startswith("/") else cwd
