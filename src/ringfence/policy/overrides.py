"""What the command line says about the policy: one more layer, checked like a file."""

import os

from ringfence.errors import UsageError
from ringfence.value import Struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ringfence.policy.layers import Layer


class Overrides(Struct):
    """What the command line says about the policy; everything else comes from files."""

    policy_file: str = ""  # stands in for the project's file
    use: tuple[str, ...] = ()
    allow: tuple[str, ...] = ()  # egress rules in their short form
    deny: tuple[str, ...] = ()
    read: tuple[str, ...] = ()
    write: tuple[str, ...] = ()
    mode: str = ""
    tier: tuple[str, ...] = ()
    accept: tuple[str, ...] = ()
    memory: str = ""
    cpus: str = ""
    processes: str = ""
    wall_time: str = ""
    credentials: tuple[str, ...] = ()  # "NAME=SOURCE": another source for a credential that a layer declares


def layer(given: Overrides) -> "Layer":
    """Turn the command line into a layer, checked like a file."""
    data: dict[str, Any] = {
        "use": list(given.use),
        "tier": list(given.tier),
        "accept": list(given.accept),
        "workspace": {"mode": given.mode},
        "files": {"read": [_absolute(path) for path in given.read],
                  "write": [_absolute(path) for path in given.write]},
        "egress": {"allow": list(given.allow), "deny": list(given.deny)},
        "limits": {"memory": given.memory, "cpus": _number(given.cpus), "processes": _number(given.processes),
                   "wall_time": given.wall_time},
        "credentials": {},
    }  # fmt: skip
    for credential in given.credentials:
        name, mark, source = credential.partition("=")
        if not mark:
            raise UsageError(f"--credential {name}: write NAME=SOURCE, such as anthropic=env:MY_KEY")
        data["credentials"][name] = {"source": source}
    said = _said(data)
    return _checked(said) if said else {}


def _absolute(path: str) -> str:
    return path if path.startswith("~") else os.path.abspath(path)


def _said(data: "dict[str, Any]") -> "dict[str, Any]":
    """Leave out what the command line does not mention."""
    kept = {name: _said(value) if isinstance(value, dict) else value for name, value in data.items()}
    return {name: value for name, value in kept.items() if value not in ({}, [], "")}


def _number(text: str) -> "float | str":
    try:
        return int(text) if text.isdigit() else float(text)
    except ValueError:
        return text


def _checked(data: "dict[str, Any]") -> "Layer":
    from ringfence.policy.decode import decode

    layer, problems = decode(data, "user")
    if problems:
        told = "\n".join(
            f"error: --{_option(problem.path)}: {problem.message}"
            + (f" ({problem.hint})" if problem.hint else "")
            for problem in problems
        )
        raise UsageError(told.removeprefix("error: "))
    return layer


def _option(path: "tuple[str | int, ...]") -> str:
    words = [word for word in path if isinstance(word, str)]
    if words[0] == "credentials":
        return "credential"
    return words[min(1, len(words) - 1)].replace("_", "-")
