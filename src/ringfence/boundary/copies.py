"""The session's copy of the project, from the launcher's side: taken, watched, given back.

`workspace.overlay` keeps copies on disk; here is what a session needs of them.
"""

import os

from ringfence.boundary import project
from ringfence.boundary.folder import Folder
from ringfence.boundary.model import WorkspacePlan
from ringfence.boundary.project import Place
from ringfence.boundary.survey import Survey
from ringfence.canonical import sha256
from ringfence.errors import HostError, UsageError
from ringfence.host.model import Host
from ringfence.policy.model import Policy
from ringfence.workspace import overlay
from ringfence.workspace.layers import COPY, OVERLAY, REPOSITORY, UPPER, WHOLE, Layers
from ringfence.workspace.overlay import Held

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ringfence.workspace.quota import Quota
    from ringfence.workspace.upper import Usage


def take(folder: Folder, policy: Policy, survey: Survey, owner: int, refused: str) -> Held:
    """Begin a copy of the project for a new session."""
    kind = COPY if refused else OVERLAY
    hidden = tuple(one.path for one in survey.findings.hidden)
    masked = (*hidden, *(path for path, _text in survey.clean_configs))
    kept = tuple(pattern for path in survey.kept for pattern in (path, f"{path}/**"))
    made = Layers(
        session=folder.id,
        workspace=survey.workspace,
        upper=f"{folder.path}/{WHOLE if refused else UPPER}",
        kind=kind,
        exclude=(*policy.workspace.exclude, *kept),
        masked=masked,
    )
    try:
        held = overlay.begin(folder.path, made, owner)
    except OSError as error:
        raise HostError(
            f"the session's copy cannot be made in {folder.path}: {error.strerror}",
            hint="free some space, or name another state folder with RINGFENCE_STATE_DIR",
        ) from None
    if kind == COPY:
        _copy(held, policy, survey, hidden, owner)
    return held


def add_repository(held: Held, survey: Survey, owner: int) -> None:
    """Make a layer for the git folder of a linked worktree too."""
    if survey.repository is None or held.layers.kind == COPY:
        return
    found = survey.repository
    masked = (*(one.path for one in found.hidden), *(path for path, _text in found.clean_configs))
    overlay.add_repository(held, found.path, masked, owner)


def _copy(held: Held, policy: Policy, survey: Survey, hidden: tuple[str, ...], owner: int) -> None:
    from ringfence.workspace import snapshot

    texts = project.shown_texts(survey)
    try:
        snapshot.take(
            survey.workspace,
            held.layers.upper,
            f"{held.folder}/{overlay.BASE}",
            skipped=(*(path for path in hidden if path not in dict(texts)), *survey.kept),
            texts=texts,
            bounded=not policy.workspace.snapshot,
            owner=owner,
        )
        for path in survey.kept:
            os.makedirs(f"{held.layers.upper}/{path}", exist_ok=True)
    except BaseException:
        overlay.abandon(held)
        raise


def continued(host: Host, name: str, workspace: str, refused: str) -> Held:
    """Take the copy of an earlier session into use again."""
    layers = overlay.find(host.state_dir, name, workspace)
    if layers.kind == OVERLAY and refused:
        raise HostError(
            f"session {layers.session} wrote into an overlay, and none can be mounted now: {refused}",
            hint="`ringfence doctor` says what this machine offers",
        )
    return overlay.resume(layers, workspace)


def place_of(host: Host, held: Held, refused: str, survey: Survey, owner: int) -> Place:
    """Return where the plan finds the copy, and what is kept beside it; kept folders are made."""
    key = sha256(survey.workspace.encode("utf-8", "surrogateescape"))[:24]
    keep = f"{host.state_dir}/keep/{key}"
    for path in survey.kept:
        kept = project.kept_folder(keep, path)
        if not os.path.isdir(kept):
            os.makedirs(kept, 0o700)
            if not host.uid:
                os.chown(kept, owner, owner)
    if held.layers.kind == COPY and not refused:
        refused = "the session that is continued has one"
    return Place(session=held.layers.session, folder=held.folder, refused=refused, keep=keep)


def check_asked(policy: Policy, session: str, *, review: bool) -> None:
    """Refuse to continue a session, or to apply at its end, where there is no copy or nothing may be."""
    if review and policy.workspace.mode != "overlay":
        raise UsageError(
            f"`--review auto` applies changes from a copy, but the mode is {policy.workspace.mode}",
            hint="add `--mode overlay`",
        )
    if review and not policy.review.auto:
        raise UsageError(
            "`--review auto` needs a policy that says what may be applied without a person",
            hint='write `auto = ["docs/**"]` below [review] into your policy',
        )
    if session and policy.workspace.mode != "overlay":
        raise UsageError(
            f"`--session {session}` continues a copy of the project, but the mode is {policy.workspace.mode}",
            hint="add `--mode overlay`",
        )


def left(held: Held | None) -> Layers | None:
    """Return what a session left in its copy, or None where it changed nothing."""
    if held is None or not os.path.exists(f"{held.folder}/{overlay.LAYERS}"):
        return None
    return overlay.load(f"{held.folder}/{overlay.LAYERS}")


def review(layers: Layers, policy: Policy, say: "Callable[[str], None]") -> int:
    """Apply what the policy lets through without a person; return the status for the shell."""
    from ringfence.workspace import automatic

    outcome = automatic.finish(layers, policy.review.auto)
    if outcome.text:
        say(f"ringfence: {outcome.text}")
    return outcome.status


def quota_of(held: Held | None, policy: Policy) -> "Quota | None":
    """Return what watches the copy's size."""
    limit = policy.workspace.quota
    if held is None or limit is None:
        return None
    from ringfence.workspace.quota import Quota

    repository = f"{held.folder}/{REPOSITORY}"
    return Quota((held.layers.upper, *([repository] if os.path.isdir(repository) else ())), limit)


def changed_text(workspace: WorkspacePlan, used: "Usage | None") -> str:
    """Return the line that tells at the end what is in the copy; nothing where that is nothing."""
    if used is None or not used.entries:
        return ""
    what = "1 file" if used.entries == 1 else f"{used.entries} files"
    what = what if used.complete else f"more than {what}"
    session = workspace.session
    return (
        f"ringfence: {what} changed in a copy; review: ringfence diff {session}, "
        f"take over: ringfence apply {session}"
    )
