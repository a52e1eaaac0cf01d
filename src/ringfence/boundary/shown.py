"""Settings files of the workspace that are shown with placeholders: `source = "workspace:PATH#NAME"`.

The real file stays on the host, hidden; the gate reads it when it needs the key. That is safe only where
the agent can neither read, write, move nor replace it for the whole session, so anything else is refused:
a file that no mask hides, one with a second name, a link on the way, a writable mount above it.
"""

from ringfence.credential import keyed, placeholder
from ringfence.errors import PolicyError
from ringfence.policy.model import Credential, Policy
from ringfence.value import Struct
from ringfence.workspace.scan import Found

_SAFE = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:/+=@")
_SOURCE = "workspace:"


class Shown(Struct):
    """One file of the workspace that is shown as a copy."""

    path: str  # in the workspace
    text: str  # of the copy
    problem: str = ""  # why there can be none


def split(credential: Credential) -> tuple[str, str]:
    """Return path and name of a source in the workspace; ("", "") for another."""
    if not credential.source.startswith(_SOURCE):
        return "", ""
    path, _, name = credential.source[len(_SOURCE) :].rpartition("#")
    return path, name


def ask(policy: Policy, workspace: str) -> tuple[Shown, ...]:
    """Make the copies that the policy's credentials ask for."""
    wanted: dict[str, dict[str, str]] = {}
    for one in policy.credentials:
        path, name = split(one)
        if path:
            wanted.setdefault(path, {})[name] = one.placeholder or placeholder.default(one)
    return tuple([_made(workspace, path, names) for path, names in wanted.items()])


def _made(workspace: str, path: str, placeholders: dict[str, str]) -> Shown:
    text, problem = keyed.content(workspace, path)
    if problem:
        return Shown(path=path, text="", problem=problem)
    return Shown(path=path, text=keyed.copy(text, placeholders, json=keyed.is_json(path)))


def fit(made: tuple[Shown, ...], hidden: tuple[Found, ...]) -> tuple[Shown, ...]:
    """Return the copies that can be shown: of files that are there and hidden themselves."""
    masked = {one.path for one in hidden if not one.directory}
    return tuple([one for one in made if not one.problem and one.path in masked])


def check(
    credentials: tuple[Credential, ...],
    made: tuple[Shown, ...],
    hidden: tuple[Found, ...],
    *,
    mode: str,
    workspace: str,
    writable: tuple[str, ...],
) -> None:
    """Refuse a credential whose file the agent could get at. `credentials` are those that will be used."""
    problems = {one.path: one.problem for one in made}
    masked = {one.path: one for one in hidden}
    taken: dict[str, str] = {}
    for one in credentials:
        path, _name = split(one)
        if not path:
            continue
        if mode == "scratch":
            _refuse(one, "the mode `scratch` shows nothing of the workspace", "use another mode or source")
        if problems.get(path):
            _refuse(one, f"{path}: {problems[path]}", "it is to be a plain file, your own alone: chmod 600")
        if path not in masked or masked[path].directory:
            _refuse(one, f"{path} is not hidden from the agent", f'add `mask = ["/{path}"]` to [workspace]')
        if any(f"{workspace}/{path}".startswith(place.rstrip("/") + "/") for place in writable) or (
            f"{workspace}/{path}" in writable
        ):
            _refuse(one, f"{path} lies where `files.write` lets the agent write", "name narrower paths there")
        if taken.setdefault(one.source, one.name) != one.name:
            _refuse(one, f"{taken[one.source]} has the same place", "one name in a file stands for one key")
        if not _SAFE.issuperset(one.placeholder):
            _refuse(
                one, "its placeholder would not stay one word in the file", "use letters, digits and `-_`"
            )


def _refuse(one: Credential, why: str, hint: str) -> None:
    raise PolicyError(f"the credential {one.name} cannot come from the workspace: {why}", hint=hint)
