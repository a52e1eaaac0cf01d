"""How each agent asks its hooks, is answered, and is told of them: one client a file.

A client's module has a CLIENT, whose `asked` turns its JSON into calls and whose `reply` turns an answer into
what it reads.
"""

import os

from ringfence.value import Struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ringfence.integrations.permissions import Answer, Asked

NAMES = ("claude", "codex", "gemini", "cursor")
USER, PROJECT, MANAGED = "user", "project", "managed"
SCOPES = (USER, PROJECT, MANAGED)


class BadInputError(ValueError):
    """What came in is not what this client sends."""


class Around(Struct):
    """What a hook knows beside its input. Nothing of it comes from the model."""

    project: str = ""  # the folder in which the client was started, where the client says so
    shells: tuple[str, ...] = ("bash",)  # that the client's command tool may use


class Reply(Struct):
    """What a hook does: text for standard output, or an end with status 2 and a reason."""

    output: str = ""
    refusal: str = ""  # not "": status 2, with this on standard error


class Client(Struct):
    """One agent's hooks."""

    name: str
    title: str
    asked: "Callable[[dict[str, Any], Around], Asked]"
    reply: "Callable[[str, Answer], Reply]"
    files: dict[str, str]  # scope -> settings file: {home}, {project} filled in
    events: tuple[str, ...]  # hooked by `ringfence hook install`
    style: str = "claude"  # how its settings hold hooks: claude (groups with a matcher) | cursor
    matcher: str = "*"  # of a group, in style claude
    milliseconds: bool = False  # its time-outs are in milliseconds
    extra: dict[str, object] = {}  # noqa: RUF012 - never changed; further keys of the hook's entry
    tried: str = ""  # the version that was tried for real; "": none


def client(name: str) -> Client:
    """Return what is known of a client."""
    module: Any = __import__(f"ringfence.integrations.clients.{name}", fromlist=["CLIENT"])
    found: Client = module.CLIENT
    return found


def shells() -> tuple[str, ...]:
    """Return the shells that a client's command tool may use: its own choice is bash or zsh."""
    from ringfence.host import probe

    told = probe.settings(("CLAUDE_CODE_SHELL", "SHELL"))
    name = os.path.basename(told.get("CLAUDE_CODE_SHELL") or told.get("SHELL") or "")
    if name in {"bash", "zsh"}:
        return (name,)
    zsh = any(os.access(f"{place}/zsh", os.X_OK) for place in ("/bin", "/usr/bin", "/usr/local/bin"))
    return ("bash", "zsh") if zsh else ("bash",)


# --- reading what a client sends


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


def root(around: Around, cwd: str) -> str:
    """Return the project: where the client was started, or its folder now where it does not say."""
    return around.project if around.project.startswith("/") else cwd
