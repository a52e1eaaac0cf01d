"""Claude Code's settings files: which permission rules they come to, exactly as that client reads them.

    managed > command line (--settings) > local > project > user

Lists of rules add up over all of them; of single settings the highest scope's counts. A managed file may have
drop-ins beside it, of which the last in the alphabet counts. What a repository ships (project, local) may
deny and ask; it allows nothing until `ringfence trust` has recorded the file's exact bytes.

Two things are stricter here than there. A file that cannot be read stops everything, whichever it is: the
rules that it denies would be lost. And `allowManagedPermissionRulesOnly` leaves out what others allow, but
not what they deny.
"""

import os

from ringfence import strict
from ringfence.diagnostic import Diagnostic
from ringfence.errors import PolicyError
from ringfence.policy import read, toolrules
from ringfence.policy.toolrules import ALLOW, ASK, DENY, ToolRule
from ringfence.value import Struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

    Trusted = Callable[[str, str], bool]  # real path, digest of the bytes

MANAGED, LINE, LOCAL, PROJECT, USER = "managed", "command line", "local", "project", "user"
SCOPES = (MANAGED, LINE, LOCAL, PROJECT, USER)  # the highest first
MANAGED_FOLDER = "/etc/claude-code"
SHIPPED = (LOCAL, PROJECT)  # a repository may hold these

MODES = ("default", "manual", "acceptEdits", "plan", "auto", "dontAsk", "bypassPermissions")
_LAX = ("acceptEdits", "auto", "bypassPermissions")
_PERMISSIONS = (
    *(ALLOW, ASK, DENY, "defaultMode", "additionalDirectories"),
    *("disableBypassPermissionsMode", "disableAutoMode"),
    *(
        "blockReadsOutsideWorkingDirectories",
        "blockWritesOutsideWorkingDirectories",
        "denyInsteadOfPrompting",
    ),
)
LOCKS = (
    *("allowManagedPermissionRulesOnly", "allowManagedHooksOnly", "allowManagedMcpServersOnly"),
    *("allowManagedDomainsOnly", "allowManagedReadPathsOnly", "disableSideloadFlags"),
    *("forceRemoteSettingsRefresh", "strictKnownMarketplaces"),
)


class Place(Struct):
    """One settings file that may be there."""

    scope: str
    path: str
    base: str  # folder that `/path` starts from


class File(Struct):
    """One settings file as it stands."""

    place: Place
    content: dict[str, object]
    digest: str
    trusted: bool  # whether what it allows counts


class InForce(Struct):
    """What all settings files come to."""

    files: tuple[File, ...] = ()  # the highest scope first
    rules: tuple[ToolRule, ...] = ()
    narrow: tuple[ToolRule, ...] = ()  # those that ask and come from where nothing may be allowed
    mode: str = "default"
    directories: tuple[str, ...] = ()  # beside the working directory
    locks: tuple[str, ...] = ()  # set in a managed file
    bypass: bool = True  # whether bypassPermissions may be used
    notes: tuple[str, ...] = ()


def places(
    *, project: str, config: str, managed: str = MANAGED_FOLDER, named: "Iterable[str]" = ()
) -> tuple[Place, ...]:
    """Return where settings may lie: `config` is the user's folder, usually ~/.claude."""
    drop_ins = [f"{managed}/managed-settings.d/{name}" for name in reversed(_names(managed))]
    return (
        *(Place(scope=MANAGED, path=path, base=project) for path in drop_ins),
        Place(scope=MANAGED, path=f"{managed}/managed-settings.json", base=project),
        *(Place(scope=LINE, path=path, base=os.path.dirname(os.path.abspath(path))) for path in named),
        Place(scope=LOCAL, path=f"{project}/.claude/settings.local.json", base=project),
        Place(scope=PROJECT, path=f"{project}/.claude/settings.json", base=project),
        Place(scope=USER, path=f"{config}/settings.json", base=config),
    )


def _names(managed: str) -> list[str]:
    folder = f"{managed}/managed-settings.d"
    try:
        return sorted(name for name in os.listdir(folder) if name.endswith(".json") and name[0] != ".")
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise PolicyError(f"the managed settings in {folder} cannot be read: {error.strerror}") from None


def in_force(where: "Iterable[Place]", trusted: "Trusted", *, closed: bool = False) -> InForce:
    """Read all files and say what holds. Raises PolicyError for one that cannot be used.

    `closed`: only managed files allow anything, as where they say so themselves.
    """
    found = [_read(place, trusted) for place in where]
    files = tuple(sorted(filter(None, found), key=lambda one: SCOPES.index(one.place.scope)))
    locks = tuple(name for name in LOCKS if _managed(files, name))
    notes: list[str] = []
    only = closed or "allowManagedPermissionRulesOnly" in locks
    by_file = [(file, tuple(_rules(file, notes, allowing=_may_allow(file, only)))) for file in files]
    bypass = all(_permissions(one).get("disableBypassPermissionsMode") != "disable" for one in files)
    mode = _mode(files, bypass=bypass)
    directories = tuple(
        directory for one in files if _may_allow(one, only) for directory in _directories(one)
    )
    return InForce(
        files=files,
        rules=tuple(rule for _, rules in by_file for rule in rules),
        narrow=tuple(
            rule
            for file, rules in by_file
            for rule in rules
            if rule.effect == ASK and not _may_allow(file, only)
        ),
        mode=mode,
        directories=directories,
        locks=locks,
        bypass=bypass,
        notes=tuple(notes),
    )


def _may_allow(file: File, only_managed: bool) -> bool:  # noqa: FBT001 - one caller, by name
    return file.trusted and (file.place.scope == MANAGED or not only_managed)


def _managed(files: tuple[File, ...], name: str) -> bool:
    """Say whether a managed file sets a lock; anything but false counts as set."""
    said = [one.content[name] for one in files if one.place.scope == MANAGED and name in one.content]
    return bool(said) and said[0] not in (False, None)


# --- one file


def _read(place: Place, trusted: "Trusted") -> File | None:
    kind = {MANAGED: "managed", USER: "user"}.get(
        place.scope, "project" if place.scope in SHIPPED else "named"
    )
    try:
        source = read.source(place.path, kind)
    except read.Failure as failure:
        raise _unusable(place, failure.diagnostic.message) from None
    if source is None:
        if place.scope == LINE:
            raise PolicyError(f"there is no settings file {place.path}")
        return None
    content = _parsed(place, source.data)
    free = place.scope not in SHIPPED or trusted(os.path.realpath(place.path), source.digest)
    return File(place=place, content=content, digest=source.digest, trusted=free)


def _parsed(place: Place, data: bytes) -> "dict[str, Any]":
    try:
        text = data.decode("utf-8").removeprefix("\ufeff")
        content = strict.loads(text) if text.strip() else {}
    except ValueError as error:
        raise _unusable(place, f"this is not JSON: {error}") from None
    if not isinstance(content, dict):
        raise _unusable(place, "settings are an object: { … }")
    _check_permissions(place, content.get("permissions", {}))
    return content


def _check_permissions(place: Place, permissions: object) -> None:
    """Refuse what might be a rule that nobody reads."""
    if not isinstance(permissions, dict):
        raise _unusable(place, "`permissions` is an object")
    unknown = [name for name in permissions if name not in _PERMISSIONS]
    if unknown:
        from ringfence.policy.decode import near, quoted

        hint = near(unknown[0], _PERMISSIONS)
        raise _unusable(place, f"`permissions` has an unknown key {quoted(unknown[0])}", hint)
    for name in (ALLOW, ASK, DENY, "additionalDirectories"):
        if not isinstance(permissions.get(name, []), list):
            raise _unusable(place, f"`permissions.{name}` is a list")
    mode = permissions.get("defaultMode", "default")
    if mode not in MODES:
        raise _unusable(place, "`permissions.defaultMode` names no mode")


def _unusable(place: Place, message: str, hint: str = "") -> PolicyError:
    told = Diagnostic(message=f"Claude Code's settings: {message}", file=place.path, hint=hint)
    return PolicyError(told.message, diagnostics=(told,))


def _permissions(file: File) -> "dict[str, Any]":
    found = file.content.get("permissions", {})
    return found if isinstance(found, dict) else {}


def _rules(file: File, notes: list[str], *, allowing: bool) -> "Iterator[ToolRule]":
    permissions, place = _permissions(file), file.place
    allow = permissions.get(ALLOW, [])
    if allow and not allowing:
        why = "only managed rules allow" if file.trusted else f"to trust it: ringfence trust {place.path}"
        notes.append(f"{place.path}: what it allows does not count: {why}")
    found = toolrules.read(
        allow=allow if allowing else (),
        ask=permissions.get(ASK, []),
        deny=permissions.get(DENY, []),
        scope=place.scope,
        origin=place.path,
        base=place.base,
    )
    notes.extend(f"{place.path}: {note}" for note in found.notes)
    yield from found.rules


def _mode(files: tuple[File, ...], *, bypass: bool) -> str:
    """Return the mode that a session begins with; a repository makes none that is laxer."""
    for one in files:
        mode = _permissions(one).get("defaultMode")
        if mode and not (mode in _LAX and not one.trusted):
            return "default" if mode == "bypassPermissions" and not bypass else str(mode)
    return "default"


def _directories(file: File) -> "Iterator[str]":
    for one in _permissions(file).get("additionalDirectories", ()):
        if isinstance(one, str) and one:
            yield one
