"""From files and the command line to the one policy that holds.

    defaults < presets < managed < user < project < command line

The project's file is `ringfence.toml` (or `ringfence.json`) in the workspace or, where the workspace lies
within a repository, the first one on the way up to the folder that holds `.git`. Folders above a
repository, and above a workspace that is in none, are not the project's. The file may only narrow until
`ringfence trust` has recorded its exact bytes, and so may any other policy file that lies inside the
workspace, where the agent of an earlier session could have written it. The managed file stands above:
`layers` says how.
"""

import os

from ringfence import cache
from ringfence.canonical import digest
from ringfence.diagnostic import Diagnostic
from ringfence.errors import PolicyError, UsageError
from ringfence.policy import layers, model, parameters, preset, read
from ringfence.policy.build import build
from ringfence.policy.overrides import Overrides
from ringfence.policy.overrides import layer as overrides_layer
from ringfence.value import Struct, replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Protocol

    from ringfence.policy.layers import Combined, Layer

    class _Host(Protocol):
        @property
        def home(self) -> str: ...
        @property
        def path(self) -> tuple[str, ...]: ...
        @property
        def config_dir(self) -> str: ...
        @property
        def state_dir(self) -> str: ...
        @property
        def cache_dir(self) -> str: ...
        @property
        def managed_policy(self) -> str: ...

    Indexes = Callable[[tuple[str, ...], str], Any]  # `host.indexes.reader(host)`: tools -> Found

PROJECT_FILES = ("ringfence.toml", "ringfence.json")
NONE = "none"  # `--use none`: no presets at all


class _File(Struct):
    """One file that was read: its layer, and whether it may widen."""

    source: read.Source
    layer: "Layer"
    free: bool


def effective(
    host: "_Host",
    workspace: str,
    *,
    command: str = "",
    overrides: Overrides = Overrides(),  # noqa: B008 - frozen
    indexes: "Indexes | None" = None,
) -> model.Policy:
    """Return the policy for running `command` in `workspace`, or raise PolicyError with every problem.

    `indexes` is `host.indexes.reader(host)`: without it the public package indexes are meant.
    """
    found = _files(host, workspace, overrides)
    line = overrides_layer(overrides)
    state, notes = _combined(host, workspace, found, line, command=command, indexes=indexes)
    policy = build(state.layer, ((one.source, one.layer) for one in found))
    origins = tuple((one.source.kind, one.source.path) for one in found)
    settled = digest(replace(policy, notes=(), origins=(), digest=""))
    return replace(policy, origins=origins, notes=tuple(notes), digest=settled)


def project_file(host: "_Host", workspace: str) -> str:
    """Return the path of the project's policy file, or "" where there is none."""
    for folder in _project_folders(host, workspace):
        present = [name for name in PROJECT_FILES if os.path.lexists(os.path.join(folder, name))]
        if len(present) > 1:
            raise PolicyError(f"{folder} holds both {' and '.join(present)}", hint="keep one of them")
        if present:
            return os.path.join(folder, present[0])
    return ""


def _project_folders(host: "_Host", workspace: str) -> list[str]:
    """Return the workspace and the folders above it that belong to the same repository."""
    folders = [workspace]
    while not os.path.lexists(folders[-1] + "/.git"):
        above = os.path.dirname(folders[-1])
        if above == "/" or f"{host.home}/".startswith(above + "/"):
            return folders[:1]
        folders.append(above)
    return folders


# --- files -------------------------------------------------------------------------------------


def _files(host: "_Host", workspace: str, overrides: Overrides) -> tuple[_File, ...]:
    """Read every file there is; raise with the problems of all of them."""
    places = [
        *((path, "managed") for path in managed_files(host.managed_policy)),
        (_user_file(host), "user"),
        *_project(host, workspace, overrides),
    ]
    found: list[_File] = []
    problems: list[Diagnostic] = []
    for path, kind in places:
        try:
            source = read.source(path, kind) if path else None
            if source:
                layer, wrong = read.layer(source, cache.usable(host.cache_dir, workspace))
                problems.extend(sorted((*wrong, *unknown_presets(source, layer)), key=read.place))
                free = kind == "managed" or _may_widen(host, workspace, source)
                found.append(_File(source=source, layer=_based(layer, path), free=free))
        except read.Failure as failure:
            problems.append(failure.diagnostic)
    if problems:
        raise PolicyError("the policy cannot be used", diagnostics=tuple(problems))
    return tuple(found)


def _based(layer: "Layer", path: str) -> "Layer":
    """Write into rules about tool calls from which folder their `/path` starts."""
    folder = os.path.dirname(os.path.abspath(path))
    return {
        section: {
            name: tuple({**one, "base": folder} for one in value) if name in _EFFECTS else value
            for name, value in content.items()
        }
        if section in {"commands", "tools"}
        else content
        for section, content in layer.items()
    }


_EFFECTS = (model.ALLOW, model.ASK, model.DENY)


def managed_files(path: str) -> tuple[str, ...]:
    """Return the managed policy and its drop-ins, `policy.d/*.toml` beside it, in their order."""
    folder = os.path.dirname(path) + "/policy.d"
    try:
        names = sorted(name for name in os.listdir(folder) if name.endswith(".toml") and name[0] != ".")
    except (FileNotFoundError, NotADirectoryError):
        return (path,)
    except OSError as error:
        raise PolicyError(f"the managed policies in {folder} cannot be read: {error.strerror}") from None
    problem = read.folder_problem(folder)
    if problem:
        raise PolicyError(problem.message, diagnostics=(problem,))
    return (path, *(f"{folder}/{name}" for name in names))


def _user_file(host: "_Host") -> str:
    usual, machine = host.config_dir + "/policy.toml", host.config_dir + "/policy.json"
    return machine if not os.path.lexists(usual) and os.path.lexists(machine) else usual


def _project(host: "_Host", workspace: str, overrides: Overrides) -> list[tuple[str, str]]:
    if not overrides.policy_file:
        return [(project_file(host, workspace), "project")]
    path = os.path.abspath(overrides.policy_file)
    if not os.path.exists(path):
        raise PolicyError(f"there is no policy file {path}")
    return [(path, "project" if cache.inside(path, workspace) else "named")]


def _may_widen(host: "_Host", workspace: str, source: read.Source) -> bool:
    if source.kind != "project" and not cache.inside(source.path, workspace):
        return True
    if cache.inside(host.state_dir, workspace):
        return False  # an agent could have written the record: nothing in there proves trust
    from ringfence.policy import trust

    return trust.trusted(host.state_dir, os.path.realpath(source.path), source.digest)


# --- merging -----------------------------------------------------------------------------------


def _combined(
    host: "_Host",
    workspace: str,
    found: tuple[_File, ...],
    line: "Layer",
    *,
    command: str,
    indexes: "Indexes | None",
) -> "tuple[Combined, list[str]]":
    above = [one.layer for one in found if one.source.kind == "managed"]
    managed = _joined(above)
    locks = frozenset(name for one in above for name in one.get("lock", ()))
    state = layers.Combined(layer=layers.DEFAULTS, fixed=managed)
    notes: list[str] = []
    auto = preset.chosen(command, host.path, workspace)
    used = _used(auto, found, line, locks, notes)
    cache_dir = cache.usable(host.cache_dir, workspace)
    for name, free in used:
        content = _preset(name, workspace, cache_dir, indexes, notes)
        state = layers.combine(state, content, f"preset {name}", frozenset() if free else locks)
        notes.extend(_note(f"preset {name}", state.ignored, "the managed policy locks this"))
    for layer in above:
        state = layers.combine(replace(state, fixed={}), layer, "managed policy", frozenset())
    state = replace(state, fixed=managed)
    for one in found:
        if one.source.kind != "managed":
            state = _add_file(state, one, locks, notes)
    state = layers.combine(state, line, "command line", locks)
    notes.extend(_note("command line", state.ignored, "the managed policy does not permit it"))
    state.layer["use"] = tuple(name for name, _ in used)
    if "commands" in locks:
        state.layer["commands"] = {**state.layer.get("commands", {}), "closed": True}
    return state, notes


def _joined(above: "list[Layer]") -> "Layer":
    """Return what the managed files say together: lists add up, of single settings the last one counts."""
    if len(above) == 1:
        return above[0]
    state = layers.Combined(layer={}, fixed={})
    for layer in above:
        state = layers.combine(state, layer, "managed policy", frozenset())
    return state.layer


def _add_file(state: "Combined", one: _File, locks: "frozenset[str]", notes: list[str]) -> "Combined":
    origin = f"{'project' if one.source.kind == 'named' else one.source.kind} policy"
    state = layers.combine(state, one.layer, origin, locks if one.free else layers.EVERYTHING)
    if one.free:
        notes.extend(
            _note(f"{origin} {one.source.path}", state.ignored, "the managed policy does not permit it")
        )
        return state
    vain = (*(f"use {name}" for name in one.layer.get("use", ())), *state.ignored)
    if vain:
        file = _quoted(one.source.path)
        why = f"nobody has trusted this file as it stands now; to do so: ringfence trust {file}"
        notes.extend(_note(f"{origin} {one.source.path}", vain, why))
    return state


def _note(who: str, ignored: tuple[str, ...], why: str) -> list[str]:
    if not ignored:
        return []
    shown = ", ".join(ignored[:24]) + (f" and {len(ignored) - 24} more" if len(ignored) > 24 else "")
    told = f"{who}: ignored {shown}: {why}"
    return ["".join(char if char.isprintable() else "\ufffd" for char in told)]


def _quoted(path: str) -> str:
    """Quote a path for a shell; `shlex` would import `re`."""
    plain = all(char.isalnum() or char in "/._-+@%" for char in path)
    return path if plain else "'" + path.replace("'", "'\"'\"'") + "'"


def _used(
    auto: tuple[str, ...], found: tuple[_File, ...], line: "Layer", locks: "frozenset[str]", notes: list[str]
) -> list[tuple[str, bool]]:
    """Return (preset, whether the managed policy names it), in an order that no file can change."""
    named: dict[str, bool] = {}
    said = False
    for one in found:
        if "use" in one.layer and one.free:
            above = one.source.kind == "managed"
            if "use" in locks and not above:
                notes.extend(_note(one.source.path, one.layer["use"], "the managed policy locks `use`"))
                continue
            said = True
            named |= {name: named.get(name, False) or above for name in one.layer["use"]}
    if "use" in locks:
        return sorted(named.items())
    if "use" in line:
        said = True
        named |= {name: named.get(name, False) for name in line["use"]}
    if not said:
        named = dict.fromkeys(auto, False)
    return sorted((name, above) for name, above in named.items() if name != NONE)


def _preset(
    name: str, workspace: str, cache_dir: str, indexes: "Indexes | None", notes: list[str]
) -> "Layer":
    message, hint = _unusable(name)
    source = preset.source(name)
    if message or not source:  # files were checked before; the command line was not
        raise UsageError(message, hint=hint)
    layer, problems = read.layer(source, cache_dir)
    if problems:
        raise PolicyError(f"preset {name} is broken", diagnostics=problems)
    if "indexes" not in layer:
        return layer
    told = indexes(tuple(layer["indexes"]), workspace) if indexes else None
    if told:
        notes.extend(told.notes)
    return _with_indexes(layer, name, told)


def _with_indexes(layer: "Layer", name: str, told: "Any") -> "Layer":
    """Add read-only rules for package indexes to a preset: the operator's own, else the public ones."""
    public = layer["indexes"]
    rules = [
        {"host": host, "methods": ("GET", "HEAD"), "origin": f"preset {name}"}
        for tool in public
        if not told or tool not in told.replaced
        for host in public[tool]
    ]
    if not told:
        return _with(layer, ("egress", "allow"), tuple(rules))
    rules += [_index_rule(one, name) for one in told.indexes]
    layer = _with(layer, ("egress", "allow"), tuple(rules))
    layer = _with(layer, ("files", "read"), told.folders)
    variables = layer.get("environment", {}).get("set", {})
    return {
        **layer,
        "environment": {**layer.get("environment", {}), "set": {**variables, **dict(told.environment)}},
    }


def _with(layer: "Layer", place: tuple[str, str], added: "tuple[Any, ...]") -> "Layer":
    section = layer.get(place[0], {})
    return {**layer, place[0]: {**section, place[1]: (*section.get(place[1], ()), *added)}}


def _index_rule(index: "Any", name: str) -> "Layer":
    rule: Layer = {
        "host": index.host,
        "schemes": (index.scheme,),
        "methods": ("GET", "HEAD"),
        "private": True,  # the operator's own setting vouches for it
        "origin": f"preset {name} (your {index.tool} index)",
    }
    if index.port != (443 if index.scheme == "https" else 80):
        rule["ports"] = (index.port,)
    if index.paths:
        rule["paths"] = index.paths
    return rule


def unknown_presets(source: read.Source, layer: "Layer") -> tuple[Diagnostic, ...]:
    """Return a problem for each preset that a file names and that cannot be used."""
    told = [(index, *_unusable(name)) for index, name in enumerate(layer.get("use", ()))]
    if not any(message for _, message, _ in told):
        return ()
    from ringfence.policy.decode import Problem

    return tuple(
        read.point(source, Problem(path=("use", index), message=message, hint=hint))
        for index, message, hint in told
        if message
    )


def _unusable(use: str) -> tuple[str, str]:
    """Say what is wrong with a preset that is named, and what may be meant; "" where nothing is."""
    name, _ = parameters.split(use)
    if name != NONE and not os.access(f"{preset.FOLDER}/{name}.toml", os.R_OK):
        return f"there is no preset `{name}`", _near(name)
    return parameters.wrong(use), ""


def _near(name: str) -> str:
    from ringfence.policy.decode import near

    known = preset.names()
    return near(name, known) or "there are " + ", ".join(known)
