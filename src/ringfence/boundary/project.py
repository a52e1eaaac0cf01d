"""The project inside: what of it is hidden, protected, or a copy, and the mounts that make it so. Pure.

direct     the real files; what the host would run or obey is bound read-only, hidden files are covered
overlay    a session's own layer above the real files, which takes all that is written. Nothing that is
           written lands by itself, so nothing needs protection; hidden files do not exist
           (a "copy" where the kernel mounts no overlay: the whole project copied, without hidden files)
readonly   the real files under a layer without the hidden ones
scratch    an empty folder in memory
"""

from ringfence.boundary import shown
from ringfence.boundary.environment import INSIDE
from ringfence.boundary.model import Hidden, Mount, WorkspacePlan
from ringfence.boundary.survey import Survey
from ringfence.policy.model import Policy
from ringfence.value import Struct
from ringfence.workspace.layers import COPY, OVERLAY, REPOSITORY, WHOLE
from ringfence.workspace.scan import Found

MASKED_FILE, MASKED_FOLDER = f"{INSIDE}/hidden", f"{INSIDE}/hidden.d"

_PLACEHOLDERS = "settings with placeholders instead of keys"


class Place(Struct):
    """Where a session's copy of the project is on the host, in overlay mode."""

    session: str = ""
    folder: str = ""  # the session's
    refused: str = ""  # why the kernel mounts no overlay for it
    keep: str = ""  # the folder that holds what is kept for this workspace between sessions


NOWHERE = Place()


def assess(policy: Policy, survey: Survey, place: Place) -> WorkspacePlan:
    """Return what of the project is hidden, protected and kept."""
    root, mode = survey.workspace, policy.workspace.mode
    hidden = _hidden(root, survey.findings.hidden)
    if survey.repository and not place.refused:
        hidden += _hidden(survey.repository.path, survey.repository.hidden)
    if mode == "scratch":
        return WorkspacePlan(root=root, mode=mode)
    if mode == "readonly":
        return WorkspacePlan(root=root, mode=mode, hidden=hidden)
    if mode == "overlay":
        return WorkspacePlan(
            root=root,
            mode=mode,
            hidden=hidden,
            copy=COPY if place.refused else OVERLAY,
            why=place.refused,
            session=place.session,
            kept=tuple(f"{root}/{path}" for path in survey.kept),
            repository=survey.repository.path if survey.repository and not place.refused else "",
        )
    masked = {one.path for one in survey.findings.hidden} | {path for path, _text in survey.clean_configs}
    all_protected = tuple(one.path for one in survey.findings.protected)
    protected = tuple(path for path in all_protected if path not in masked)
    return WorkspacePlan(
        root=root,
        mode=mode,
        hidden=hidden,
        protected=tuple(f"{root}/{path}" for path in protected),
        # .envrc is masked and obeyed; of a file that the gate reads nobody may take the place
        pinned=tuple(f"{root}/{path}" for path in _ancestors((*all_protected, *_copies(survey)))),
        watched=policy.workspace.protect,
    )


def _copies(survey: Survey) -> dict[str, str]:
    """Return the settings files that are shown with placeholders."""
    return {one.path: one.text for one in shown.fit(survey.shown, survey.findings.hidden)}


def _hidden(root: str, found: tuple[Found, ...]) -> tuple[Hidden, ...]:
    return tuple(Hidden(path=f"{root}/{one.path}", rule=one.rule, directory=one.directory) for one in found)


def _ancestors(paths: tuple[str, ...]) -> tuple[str, ...]:
    """Return every folder above the paths, outermost first: bound onto themselves they cannot be renamed."""
    out: set[str] = set()
    for path in paths:
        parts = path.split("/")[:-1]
        out.update("/".join(parts[: end + 1]) for end in range(len(parts)))
    return tuple(sorted(out, key=lambda path: (path.count("/"), path)))


def mounts(workspace: WorkspacePlan, policy: Policy, survey: Survey, place: Place) -> tuple[Mount, ...]:
    """Return the mounts that make the project, in order."""
    root, noexec = workspace.root, policy.workspace.noexec
    if workspace.mode == "scratch":
        size = policy.limits.scratch
        return (
            Mount(kind="tmpfs", target=root, size=size, mode=0o755, why="scratch workspace", noexec=noexec),
        )
    if workspace.mode == "readonly":
        return (
            *_stand_ins(root, tuple(_copies(survey).items()), _PLACEHOLDERS),
            Mount(kind="masked", source=root, target=root, why="the project, read-only", noexec=noexec),
            *_clean_configs(survey),
        )
    if workspace.mode == "overlay":
        return _copied(workspace, survey, place, noexec=noexec)
    kind, copies = "rw" if survey.writable else "ro", _copies(survey)
    return (
        Mount(kind=kind, source=root, target=root, why="the project", noexec=noexec),
        *(
            Mount(kind="pin", source=path, target=path, why="holds protected files", noexec=noexec)
            for path in workspace.pinned
        ),
        *(
            Mount(kind="ro", source=path, target=path, why="the host runs or obeys it", noexec=noexec)
            for path in workspace.protected
        ),
        *(
            mask(one.path, directory=one.directory)
            for one in workspace.hidden
            if one.path[len(root) + 1 :] not in copies
        ),
        *_covered(root, copies),
        *_clean_configs(survey),
    )


def mask(path: str, *, directory: bool) -> Mount:
    """Return the mount that covers a credential file or folder with an empty one."""
    return Mount(
        kind="mask", source=MASKED_FOLDER if directory else MASKED_FILE, target=path, why="credentials"
    )


def _copied(workspace: WorkspacePlan, survey: Survey, place: Place, *, noexec: bool) -> tuple[Mount, ...]:
    kept = tuple(
        Mount(
            kind="rw",
            source=kept_folder(place.keep, path[len(workspace.root) + 1 :]),
            target=path,
            why="kept for this workspace between sessions, no part of the changes",
            noexec=noexec,
        )
        for path in workspace.kept
    )
    if workspace.copy == COPY:
        source = f"{place.folder}/{WHOLE}"
        return (
            Mount(
                kind="rw", source=source, target=workspace.root, why="a copy of the project", noexec=noexec
            ),
            *kept,
        )
    return (
        *_stand_ins(workspace.root, survey.clean_configs),
        *_stand_ins(workspace.root, tuple(_copies(survey).items()), _PLACEHOLDERS),
        *(Mount(kind="stand-in", target=path, why="to mount on") for path in workspace.kept),
        Mount(
            kind="overlay",
            source=workspace.root,
            target=workspace.root,
            upper=place.folder,
            why="the project under a layer of the session's own",
            noexec=noexec,
        ),
        *kept,
        *_linked(survey, place),
    )


def _linked(survey: Survey, place: Place) -> tuple[Mount, ...]:
    """Show the repository of a linked worktree the same way: what git writes there stays in the session."""
    if survey.repository is None:
        return ()
    path = survey.repository.path
    return (
        *_stand_ins(path, survey.repository.clean_configs),
        Mount(
            kind="overlay",
            source=path,
            target=path,
            upper=f"{place.folder}/{REPOSITORY}",
            why="the repository that this worktree belongs to, under a layer of the session's own",
        ),
    )


def _stand_ins(
    root: str, texts: tuple[tuple[str, str], ...], why: str = "a git configuration without its credentials"
) -> tuple[Mount, ...]:
    return tuple(
        Mount(kind="stand-in", target=f"{root}/{path}", text=text, directory=False, why=why)
        for path, text in texts
    )


def _covered(root: str, copies: dict[str, str]) -> tuple[Mount, ...]:
    """Cover settings files with copies that hold placeholders."""
    out = []
    for number, (path, text) in enumerate(copies.items()):
        copy = f"{INSIDE}/settings-{number}"
        out.append(Mount(kind="text", target=copy, text=text, why=_PLACEHOLDERS))
        out.append(Mount(kind="mask", source=copy, target=f"{root}/{path}", why="credentials"))
    return tuple(out)


def kept_folder(base: str, path: str) -> str:
    """Return where a kept folder of the project lies on the host."""
    return f"{base}/{path.replace('%', '%25').replace('/', '%2F')}"


def shown_texts(survey: Survey) -> tuple[tuple[str, str], ...]:
    """Return all files of the project that are shown as texts of ours: (path, text)."""
    return (*survey.clean_configs, *_copies(survey).items())


def notes(policy: Policy, survey: Survey, place: Place) -> list[str]:
    """Return what the operator should know of a session's copy."""
    out = []
    if place.refused:
        out.append(
            f"no overlay can be mounted ({place.refused}): the session works on a whole copy of the project"
        )
    elif survey.submounts:
        what = ", ".join(survey.submounts)
        out.append(f"other file systems are mounted in the project and look empty inside: {what}")
    if survey.repository:
        path = survey.repository.path
        out.append(
            f"git does not work inside: its repository {path} is no part of a copy made whole"
            if place.refused
            else f"commits made inside stay in the session's copy of {path}; files are what can be applied"
        )
    lost = [path for path in policy.workspace.keep if path not in survey.kept]
    out += [f"`keep` cannot hold {path}: a part of it is a link or a file" for path in lost]
    return out


def _clean_configs(survey: Survey) -> tuple[Mount, ...]:
    """Cover git configurations that hold credentials with copies that do not."""
    out = []
    for number, (path, text) in enumerate(survey.clean_configs):
        copy = f"{INSIDE}/git-config-{number}"
        out.append(
            Mount(kind="text", target=copy, text=text, why="a git configuration without its credentials")
        )
        out.append(Mount(kind="mask", source=copy, target=f"{survey.workspace}/{path}", why="credentials"))
    return tuple(out)
