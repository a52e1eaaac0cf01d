"""How each agent asks its hooks, is answered, and is told of them: one client a file.

A client's module has a CLIENT, whose `asked` turns its JSON into calls and whose `reply` turns an answer into
what it reads. `fields` reads what they all send.
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
POWERSHELL = "powershell"


class Around(Struct):
    """What a hook knows beside its input. Nothing of it comes from the model."""

    project: str = ""  # the folder in which the client was started, where the client says so
    here: str = ""  # the folder in which the client runs its hooks
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
    any_shell: bool = False  # the user's own shell runs its hooks, and it may be no sh at all
    named_shell: bool = False  # its model says which shell runs a command, and its hooks are not told
    trust: "Callable[[str, str, str], str] | None" = (
        None  # (file, command, project): made it run our hook, or why not
    )
    extra: dict[str, object] = {}  # noqa: RUF012 - never changed; further keys of the hook's entry
    named: bool = False  # its entries have names, by which other settings can switch them off
    held: dict[str, dict[str, object]] = {}  # noqa: RUF012 - never changed; keys of managed settings that keep hooks on
    tried: str = ""  # the version that was tried for real; "": none


def client(name: str) -> Client:
    """Return what is known of a client."""
    module: Any = __import__(f"ringfence.integrations.clients.{name}", fromlist=["CLIENT"])
    found: Client = module.CLIENT
    return found


def shells() -> tuple[str, ...]:
    """Return the shells that a client's command tool may use where the choice is its own: bash or zsh."""
    from ringfence.host import probe

    told = probe.settings(("CLAUDE_CODE_SHELL", "SHELL"))
    name = os.path.basename(told.get("CLAUDE_CODE_SHELL") or told.get("SHELL") or "")
    if name in {"bash", "zsh"}:
        return (name,)
    return ("bash", "zsh") if _installed("zsh") else ("bash",)


def all_shells() -> tuple[str, ...]:
    """Return the shells that a model may name where the client lets it."""
    more = (("zsh", "zsh"), ("pwsh", POWERSHELL))
    return ("bash", "sh", *(shell for program, shell in more if _installed(program)))


def _installed(program: str) -> bool:
    from ringfence.host import probe

    path = probe.settings(("PATH",)).get("PATH", "").split(":")
    return any(
        os.access(f"{place}/{program}", os.X_OK) for place in ("/bin", "/usr/bin", "/usr/local/bin", *path)
    )


def reason(answer: "Answer") -> str:
    """Return the reason with the rule that decided. It is never empty: that may be no answer."""
    rule = answer.ruling.rule
    if rule is None or rule.text in answer.reason:
        return answer.reason or f"the verdict is {answer.effect}"
    return f"{answer.reason} ({rule.effect} rule {rule.text}, {rule.origin or rule.scope})"


def signed(answer: "Answer") -> str:
    """Return the reason as a model reads it: with the name of who refuses."""
    return f"ringfence: {reason(answer)}"
