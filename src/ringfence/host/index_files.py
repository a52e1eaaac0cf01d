"""The settings files of package tools: read if they are the operator's, and taken apart.

A file within the workspace is as good as none. What cannot be read or parsed says nothing.
"""

import os

from ringfence import cache
from ringfence.value import Struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

LARGEST = 1 << 18


class Settings(Struct):
    """Where to look."""

    home: str
    variables: "dict[str, str]"
    cache_dir: str = ""
    workspace: str = ""  # files in here do not count
    root: str = ""  # before /etc, for tests


def text(path: str, settings: Settings) -> str:
    """Return a settings file's text, "" for one that is missing, odd, or within the workspace."""
    if not path.startswith("/") or _inside(path, settings.workspace):
        return ""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        return os.read(descriptor, LARGEST).decode("utf-8", "replace").removeprefix("\ufeff")
    except OSError:
        return ""
    finally:
        os.close(descriptor)


def _inside(path: str, workspace: str) -> bool:
    if not workspace:
        return False
    root = workspace.rstrip("/") + "/"
    return path.startswith(root) or os.path.realpath(path).startswith(root)


def toml(path: str, settings: Settings) -> "dict[str, Any]":
    """Return a TOML file's content, kept from the last time; empty for one that cannot be parsed."""
    content = text(path, settings)
    if not content:
        return {}
    name = cache.key(b"settings", content.encode())
    kept = cache.load(settings.cache_dir, name)
    if isinstance(kept, dict):
        return kept
    import tomllib

    try:
        data = tomllib.loads(content)
    except (ValueError, RecursionError):
        return {}
    cache.store(settings.cache_dir, name, data)
    return data


def ini(text: str) -> "Iterator[tuple[str, str, str]]":
    """Yield (section, name, value); an indented line goes on with the value before it."""
    section, name, value = "", "", ""
    for line in text.splitlines():
        stripped = line.strip()
        if not stripped or stripped[0] in "#;":
            continue
        if line[0] in " \t" and name and stripped[0] != "[":
            value = f"{value} {stripped}"
            continue
        if name:
            yield section, name, value
        name = ""
        if stripped[0] == "[":
            section = stripped.strip("[]").strip().lower()
            continue
        name, _, value = (part.strip() for part in stripped.partition("=" if "=" in stripped else ":"))
        value = value.strip("\"'")
    if name:
        yield section, name, value


def holds_secret(value: object) -> bool:
    """Say whether parsed settings may hold a secret: better one file too many outside than one too few."""
    if isinstance(value, dict):
        names = [str(name).lower() for name in value]
        if any(
            word in name for name in names for word in ("token", "password", "secret", "env", "credential")
        ):
            return True
        return any(map(holds_secret, value.values()))
    if isinstance(value, list):
        return any(map(holds_secret, value))
    return isinstance(value, str) and "://" in value and "@" in value


def between(text: str, start: str, end: str) -> "Iterator[str]":
    """Yield what stands between two marks."""
    for part in text.split(start)[1:]:
        yield part.partition(end)[0].strip()


def tables(value: object) -> "dict[str, dict[str, Any]]":
    """Return the tables in a table."""
    inside = value if isinstance(value, dict) else {}
    return {name: one for name, one in inside.items() if isinstance(one, dict)}


def string(value: object) -> str:
    """Return a text, "" for anything else."""
    return value if isinstance(value, str) else ""


def strings(value: object) -> list[str]:
    """Return the texts in a list, or the one text."""
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else [string(value)]


def one_line(text: str) -> "Iterator[str]":
    """Yield the URLs of apt's one-line format."""
    for line in text.splitlines():
        words = line.partition("#")[0].split()
        if words[:1] == ["deb"] or words[:1] == ["deb-src"]:
            yield next((word for word in words[1:] if "://" in word), "")


def deb822(text: str) -> "Iterator[str]":
    """Yield the URLs of apt's stanzas, but for disabled ones."""
    for stanza in text.replace("\r", "").split("\n\n"):
        fields: dict[str, str] = {}
        name = ""
        for line in stanza.splitlines():
            if line[:1] == "#":
                continue
            if line[:1] in (" ", "\t"):
                fields[name] = fields.get(name, "") + " " + line.strip()
            else:
                name, _, value = line.partition(":")
                name = name.strip().lower()
                fields[name] = value.strip()
        if fields.get("enabled", "yes").lower() not in {"no", "false"}:
            yield from fields.get("uris", "").split()
