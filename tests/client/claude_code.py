"""How these tests type a Claude Code command, and read what it says."""

import json
from typing import Any

from world import Result, World

from fake_api.authority import Authority

API_HOST = "api.anthropic.com"


def claude_words(prompt: str, *more: str) -> list[str]:
    """Return the command of a quiet, non-interactive run."""
    return ["claude", "-p", prompt, "--output-format", "json", "--dangerously-skip-permissions", *more]


def answer(done: Result) -> dict[str, Any]:
    """Return the JSON result of a run, which must have ended well."""
    assert done.code == 0, done.told()
    found: dict[str, Any] = json.loads(done.out)
    assert (found["subtype"], found["is_error"]) == ("success", False), done.told()
    return found


def policy(world: World, authority: Authority, static: dict[str, str], more: str = "") -> str:
    """Return a user's policy for Claude Code in which some hosts are listeners of the tests."""
    rows = "\n".join(f'"{host}" = "{address}"' for host, address in static.items())
    return f"""
use = ["claude", "python", "git"]

[egress]
extra_ca = ["{world.trust(authority)}"]

[egress.static]
{rows}
{more}
"""
