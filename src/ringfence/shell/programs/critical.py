"""Folders whose removal is never a matter of rules.

The root, what lies directly in it, homes, the working directory and what holds it, and whatever an empty
variable would turn into one of them.

`rm -rf "$BUILD"/` is `rm -rf /` on the day that `BUILD` is not set.
"""

from ringfence.shell.facts import KNOWN, PATTERN, Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ringfence.shell.programs.draft import Draft

_HOMES = frozenset({"/home", "/Users", "/root", "/var/root", "/export/home"})
_DRIVES = frozenset({"/mnt", "/media", "/Volumes", "/cygdrive", "/run/media"})
_EVERYTHING = frozenset({"*", ".*", ".[!.]*", "?*", "{*,.*}", ".[^.]*", "..?*", "**"})


def critical(value: Value, folder: str | None, home: str | None) -> bool:
    """Say whether a path is, or may turn out to be, a folder that must not go."""
    if value.certainty == KNOWN:
        return _known(value.text, folder, home)
    if value.certainty == PATTERN:
        return _pattern(value.text, folder, home)
    return _unknown(value.text)


def _known(text: str, folder: str | None, home: str | None) -> bool:
    if _is_drive(text):
        return True
    path = lexical(text, folder)
    if not path.startswith("/"):  # the working directory is not known, and the path stays relative
        return path in {"", "."} or path.split("/")[0] == ".."
    if path == "/" or path.count("/") == 1:
        return True
    if home and (path == home or home.startswith(path + "/")):
        return True
    if folder and (path == folder or folder.startswith(path + "/")):
        return True
    parent = path.rpartition("/")[0]
    return parent in _HOMES or path in _HOMES or (parent in _DRIVES)


def _pattern(text: str, folder: str | None, home: str | None) -> bool:
    """Say whether a pattern stands for everything in a critical folder, or for such folders themselves."""
    if "~" in text[:1]:
        return True
    parts = text.rstrip("/").split("/")
    front: list[str] = []
    for part in parts:
        if any(char in part for char in "*?[("):
            break
        front.append(part.replace("\\", ""))
    rest = parts[len(front) :]
    held = "/".join(front) or ("/" if text.startswith("/") else ".")
    if len(rest) == 1 and rest[0] in _EVERYTHING:
        return _known(held, folder, home)
    # `/u*`, `/home/*`: children of the root, or homes
    path = lexical(held, folder)
    return (len(rest) == 1 and path in {"/", *_HOMES}) or (rest[:1] == ["*"] and path == "/")


def _unknown(text: str) -> bool:
    """Say whether a word of expansions alone is followed by nothing, by `/` or by `/*`."""
    bare = text.replace('"', "").replace("'", "")
    if bare.startswith(("~", "/")) and len(bare) < 2:
        return True
    if not bare.startswith(("$", "`", "~")):
        return False
    head, _, tail = bare.partition("/") if "(" not in bare and "{" not in bare else _closed(bare)
    if head in {"$HOME", "${HOME}", "~", "$PWD", "${PWD}", "$OLDPWD"} and tail in {"", "*", ".*", ".", ".."}:
        return True
    return "/" in bare[len(head) : len(head) + 1] and tail.strip("/.") in {"", "*"}


def _closed(text: str) -> tuple[str, str, str]:
    """Split behind the expansion that a word begins with."""
    end = max(text.rfind(")"), text.rfind("}"), text.rfind("`"))
    return text[: end + 1], text[end + 1 : end + 2], text[end + 2 :]


def _is_drive(text: str) -> bool:
    bare = text.rstrip("/\\*")
    return len(bare) == 2 and bare[1] == ":" and bare[0].isalpha()


def lexical(text: str, folder: str | None) -> str:
    """Resolve `.`, `..` and doubled slashes by their spelling alone."""
    whole = text if text.startswith("/") or folder is None else f"{folder}/{text}"
    rooted = whole.startswith("/")
    parts: list[str] = []
    for part in whole.split("/"):
        if part in {"", "."}:
            continue
        if part == ".." and parts and parts[-1] != "..":
            parts.pop()
        elif part != ".." or not rooted:
            parts.append(part)
    return ("/" if rooted else "") + "/".join(parts)


def guard(draft: "Draft", values: "list[Value]", verb: str) -> None:
    """Note a finding for each path that is critical."""
    home = draft.invocation.home
    for value in values:
        if critical(value, draft.folder, home):
            draft.finding(
                "critical-removal",
                f"{verb} a folder that much else depends on",
                value,
                exact=False,
            )
