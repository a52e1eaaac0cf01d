"""Deciding: policy, host and survey in, plan out. Pure; what it returns is all that launching needs."""

from ringfence.boundary import environment, guarantees, imaged, limits, project, shown
from ringfence.boundary.canaries import mounts as lay_mounts
from ringfence.boundary.choice import CONTAINER, SANDBOX, SANDBOX_TIER, Choice
from ringfence.boundary.environment import INSIDE
from ringfence.boundary.model import Mount, Plan, Wire
from ringfence.boundary.project import MASKED_FILE, MASKED_FOLDER, NOWHERE, Place, mask
from ringfence.boundary.survey import Entry, Survey
from ringfence.credential import sources
from ringfence.errors import BoundaryError, HostError, PolicyError
from ringfence.handover import Canary, Publication
from ringfence.host import toolchains
from ringfence.host.model import Host
from ringfence.policy.model import Credential, Policy
from ringfence.verdict.execution import denied
from ringfence.workspace.tables import CREDENTIAL_FOLDERS

NOBODY = 65534
OUTPUT = "/output"  # inside: a link to the output folder
_AGENT = 1000  # who root's agent is inside
ENTRY = f"{INSIDE}/enter"
_NSSWITCH = (
    "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\nservices: files\nprotocols: files\n"
)


def plan(
    policy: Policy,
    host: Host,
    survey: Survey,
    argv: tuple[str, ...],
    *,
    cwd: str,
    wire: Wire,
    authority: str = "",
    homes: str = "",
    canaries: tuple[Canary, ...] = (),
    publish: tuple[Publication, ...] = (),
    kept: tuple[tuple[str, str], ...] = (),
    place: Place = NOWHERE,
    choice: Choice = SANDBOX_TIER,
) -> Plan:
    """Decide everything about one session.

    `authority` is the folder of the session's public certificates, `homes` the folder in which
    `files.state` is kept for this workspace, `place` where an overlay's layers are; all on the host.
    """
    check_workspace(survey.workspace, host)
    programs = _programs_refused(policy, survey, choice)
    _check_accepted(policy, survey, wire, programs)
    _check_own_folders(policy, survey, host)
    _check_publish(publish, wire, choice)
    _check_output(policy, survey)
    _check_noexec(policy, wire)
    uid, gid = inside_identity(host, survey, choice.tier)
    user = host.user if host.uid else "agent"
    credentials = usable_credentials(policy, host, survey.workspace)
    shown.check(
        credentials,
        survey.shown,
        survey.findings.hidden,
        mode=policy.workspace.mode,
        workspace=survey.workspace,
        writable=survey.writable_paths,
    )
    workspace = project.assess(policy, survey, place)
    image = imaged.of(choice)
    shell = imaged.SHELL if image else _shell(survey)
    mounts = (
        *(() if image else _system(survey)),
        *_etc(survey, host, wire, uid=uid, gid=gid, user=user, shell=shell, ours=bool(image)),
        *_private(policy, host),
        *(imaged.trust(authority) if image else _trust(survey, authority)),
        *(() if image else _tools(survey, host)),
        *_files(policy, survey, host, homes),
        *_output(survey, bind=bool(image)),
        *lay_mounts(canaries, host.home),
        *project.mounts(workspace, policy, survey, place),
    )
    visible = tuple(mount.target for mount in mounts if mount.kind in {"ro", "rw"})
    path = image.path if image else toolchains.visible_path(host.path, (*toolchains.SYSTEM, *visible))
    cgroup = "" if choice.tier == CONTAINER else survey.cgroup
    limit_plans = (*limits.plan(policy.limits, cgroup, choice.tier), *limits.of_copy(policy.workspace))
    if choice.tier == CONTAINER and choice.runtime.tools.get("limits", "engine") == "engine":
        limit_plans = limits.by_engine(limit_plans)
    return Plan(
        tier=choice.tier,
        argv=argv,
        cwd=cwd,
        home=host.home,
        uid=uid,
        gid=gid,
        environment=environment.variables(
            policy,
            host,
            path=path,
            wire=wire,
            credentials=credentials,
            kept=kept,
            trusts=bool(authority),
            java_option=bool(image)
            or (survey.java and not any(kind == "keystore" for _path, kind in survey.trust)),
            shell=shell,
            user=user,
            canaries=canaries,
            output=survey.output,
            brought=image.variables if image else (),
        ),
        mounts=mounts,
        covered=survey.proc,
        workspace=workspace,
        limits=limit_plans,
        wire=wire,
        publish=publish,
        policy=policy,
        guarantees=guarantees.assess(
            policy,
            workspace,
            limit_plans,
            wire,
            landlock=survey.landlock,
            programs=programs,
            tier=choice.tier,
        ),
        notes=(*policy.notes, *_notes(policy, survey, host, wire, place)),
        canaries=canaries,
        programs=() if programs else denied(policy),
        image=image.id if image else "",
    )


def usable_credentials(policy: Policy, host: Host, workspace: str) -> tuple[Credential, ...]:
    """Return the credentials whose source has something; a required one that has not is an error."""
    out, missing = [], []
    for credential in policy.credentials:
        if sources.available(credential, host.set_variables, host.path, host.home, workspace=workspace):
            out.append(credential)
        elif not credential.optional:
            missing.append(credential)
    if missing:
        what = ", ".join(f"`{one.name}` ({one.source})" for one in missing)
        raise PolicyError(
            f"no secret for the credential {what}",
            hint="set the variable or write the file that the source names, or say `optional = true`",
        )
    return tuple(out)


def inside_identity(host: Host, survey: Survey, tier: str) -> tuple[int, int]:
    """Return uid and gid inside. Never 0: root's agent is the workspace's owner, or an ordinary user.

    Where no user namespace lies between, root's files are id-mapped to the agent's very own identity.
    """
    if host.uid:
        return host.uid, host.gid
    if tier in {"gvisor", "container"}:
        return (survey.owner or NOBODY,) * 2
    return (survey.owner, survey.owner) if survey.owner else (_AGENT, _AGENT)


def check_workspace(workspace: str, host: Host) -> None:
    """Refuse a workspace that is everything. Asked again before it is walked, which could take minutes."""
    forbidden = {"/": "the whole file system", host.home: "the home folder"}
    above_home = host.home.startswith(workspace.rstrip("/") + "/")
    if workspace in forbidden or above_home or workspace in toolchains.SYSTEM or workspace == "/etc":
        what = forbidden.get(workspace, "a folder above the home folder" if above_home else "a system folder")
        raise BoundaryError(
            f"{workspace} is {what}: as a workspace it would show the agent everything in it",
            hint="change into a project folder, or name one with --workspace DIR",
        )


def _programs_refused(policy: Policy, survey: Survey, choice: Choice) -> str:
    """Return why deny rules cannot be held when programs start; nothing where they can, or there are none."""
    if imaged.of(choice) and denied(policy):
        return "which programs of an image the rules mean cannot be told from the host's"
    if choice.tier not in {SANDBOX, CONTAINER} and denied(policy):
        return f"in the {choice.tier} tier the launcher is not asked when a program starts"
    return survey.programs


def _check_accepted(policy: Policy, survey: Survey, wire: Wire, programs: str) -> None:
    unknown = [name for name in policy.accept if name not in guarantees.ACCEPTABLE]
    if unknown:
        raise PolicyError(
            f"`accept` names no protection: {', '.join(f'`{name}`' for name in unknown)}",
            hint=f"these can be given up: {', '.join(guarantees.ACCEPTABLE)}",
        )
    if not survey.landlock and "no-landlock" not in policy.accept:
        raise HostError(
            "this kernel has no Landlock (guarantee P9)",
            hint="boot with `lsm=landlock,…` in the kernel's command line, "
            'or accept the loss: `accept = ["no-landlock"]`',
        )
    if programs and "no-program-rules" not in policy.accept:
        raise HostError(
            f"deny rules cannot be held when programs start (guarantee P11): {programs}",
            hint='take them out of the policy, or accept the loss: `accept = ["no-program-rules"]`',
        )
    if wire.kind == "none":
        raise HostError(
            f"there is no way to build the boundary's network: {wire.why}", hint="run `ringfence doctor`"
        )


def _check_output(policy: Policy, survey: Survey) -> None:
    wanted, real = policy.workspace.output, survey.output
    if not wanted:
        return
    if not real or real in survey.plain_files:
        raise BoundaryError(f"the output folder {wanted} does not exist", hint=f"make it: mkdir -p {wanted}")
    if f"{real}/".startswith(survey.workspace + "/") or f"{survey.workspace}/".startswith(real + "/"):
        raise BoundaryError(
            f"the output folder {wanted} and the workspace {survey.workspace} overlap",
            hint="name a folder apart from the project",
        )


def _check_noexec(policy: Policy, wire: Wire) -> None:
    if policy.workspace.noexec and wire.kind != "private":
        raise HostError(
            f"`noexec` cannot be held here, where bubblewrap alone makes the mounts: {wire.why}",
            hint=wire.hint,
        )


def _check_publish(publish: tuple[Publication, ...], wire: Wire, choice: Choice) -> None:
    if publish and choice.tier not in {SANDBOX, CONTAINER}:
        raise HostError(
            f"the {choice.tier} tier publishes no ports yet",
            hint='take `--publish` away, or use `tier = ["container", "sandbox"]`',
        )
    if publish and wire.kind != "private":
        raise HostError(f"a port can only be published over the private wire: {wire.why}", hint=wire.hint)


def _check_own_folders(policy: Policy, survey: Survey, host: Host) -> None:
    """Refuse a session that could forge the next one's policy, trust or record."""
    shown = (*survey.writable_paths, *survey.readable)
    if policy.workspace.mode != "scratch":
        shown = (survey.workspace, *shown, *([survey.repository.path] if survey.repository else ()))
    for folder in (host.config_dir, host.state_dir, host.cache_dir):
        for path in shown:
            if f"{folder}/".startswith(path.rstrip("/") + "/") or path.startswith(folder + "/"):
                raise BoundaryError(
                    f"{path} would show the agent ringfence's own folder {folder}",
                    hint="name narrower paths, or move ringfence's folder with RINGFENCE_STATE_DIR, "
                    "RINGFENCE_CACHE_DIR or RINGFENCE_CONFIG_DIR",
                )


def _system(survey: Survey) -> tuple[Mount, ...]:
    return tuple(_bind_or_link(entry, "system") for entry in survey.system)


def _bind_or_link(entry: Entry, why: str) -> Mount:
    if entry.link:
        return Mount(kind="symlink", source=entry.link, target=entry.path, why=why)
    return Mount(kind="ro", source=entry.path, target=entry.path, why=why)


def _etc(
    survey: Survey, host: Host, wire: Wire, *, uid: int, gid: int, user: str, shell: str, ours: bool
) -> tuple[Mount, ...]:
    """Return what is in /etc; `ours`: nothing of the host's."""
    texts = {
        "passwd": "root:x:0:0:root:/root:/usr/sbin/nologin\n"
        f"{user}:x:{uid}:{gid}:{user}:{host.home}:{shell}\n"
        f"nobody:x:{NOBODY}:{NOBODY}:nobody:/nonexistent:/usr/sbin/nologin\n",
        "group": f"root:x:0:\n{user}:x:{gid}:\nnogroup:x:{NOBODY}:\n",
        "hosts": "127.0.0.1 localhost\n::1 localhost ip6-localhost\n",
        "hostname": "ringfence\n",
        "nsswitch.conf": _NSSWITCH,
        "resolv.conf": _resolver(wire),
        "gitconfig": _gitconfig(survey),
    }
    own = tuple(
        Mount(kind="text", target=f"/etc/{name}", text=text, why="ours") for name, text in texts.items()
    )
    entries = () if ours else survey.etc
    return (*(_bind_or_link(entry, "system configuration") for entry in entries), *own)


def _resolver(wire: Wire) -> str:
    if wire.kind != "private":
        return "# no resolver: names are resolved by the gate, see HTTPS_PROXY\n"
    return f"nameserver {wire.gate_address}\noptions timeout:2 attempts:2\n"


def _gitconfig(survey: Survey) -> str:
    name, email = survey.git_user
    lines = ["[safe]", f"\tdirectory = {survey.workspace}", "[init]", "\tdefaultBranch = main"]
    if name or email:
        lines += [
            "[user]",
            *([f"\tname = {name}"] if name else []),
            *([f"\temail = {email}"] if email else []),
        ]
    return "\n".join(line.replace("\n", " ") for line in lines) + "\n"


def _private(policy: Policy, host: Host) -> tuple[Mount, ...]:
    size = policy.limits.scratch
    return (
        Mount(kind="tmpfs", target="/tmp", size=size, mode=0o1777, why="private"),  # noqa: S108
        Mount(kind="tmpfs", target="/var/tmp", size=size, mode=0o1777, why="private"),  # noqa: S108
        Mount(
            kind="tmpfs",
            target=host.home,
            size=size,
            mode=0o700,
            why="a home of its own; yours is not visible",
        ),
        Mount(kind="directory", target="/run", why="no sockets of the host"),
        Mount(kind="text", target=MASKED_FILE, text="# hidden by ringfence: a credential file\n", why="mask"),
        Mount(kind="directory", target=MASKED_FOLDER, mode=0o555, why="mask"),
    )


def _trust(survey: Survey, authority: str) -> tuple[Mount, ...]:
    if not authority:
        return ()
    own = imaged.own_trust(authority)
    files = {"bundle": f"{authority}/bundle.pem", "keystore": f"{authority}/truststore.jks"}
    over = tuple(
        Mount(kind="ro", source=files[kind], target=path, why="programs that read the system's trust store")
        for path, kind in survey.trust
        if _is_visible(path, survey)
    )
    return (*own, *over)


def _is_visible(path: str, survey: Survey) -> bool:
    roots = [entry.path for entry in (*survey.system, *survey.etc) if not entry.link]
    roots += [one.path for one in survey.toolchains]
    return any(path == root or path.startswith(root + "/") for root in roots)


def _tools(survey: Survey, host: Host) -> tuple[Mount, ...]:
    return tuple(
        Mount(
            kind="ro",
            source=one.path,
            target=one.path,
            directory=one.path not in survey.plain_files,
            why=one.why,
        )
        for one in survey.toolchains
        if not CREDENTIAL_FOLDERS.intersection(one.path.split("/"))
        and one.path != host.home
        and not survey.workspace.startswith(one.path.rstrip("/") + "/")
    )


def _files(policy: Policy, survey: Survey, host: Host, homes: str) -> tuple[Mount, ...]:
    mounts = [
        Mount(kind=kind, source=path, target=path, directory=path not in survey.plain_files, why=why)
        for kind, why, paths in (
            ("ro", "files.read", survey.readable),
            ("rw", "files.write", survey.writable_paths),
        )
        for path in paths
    ]
    for folder in policy.files.state:
        inner = folder.removeprefix("~/")
        mounts.append(
            Mount(
                kind="rw",
                source=f"{homes}/{inner}",
                target=f"{host.home}/{inner}",
                why="kept for this workspace between sessions",
            )
        )
    mounts += [
        Mount(kind="ro", source=path, target=path, why="the host runs or obeys it")
        for path in survey.protected_elsewhere
    ]
    mounts += [mask(path, directory=folder) for path, _rule, folder in survey.hidden_elsewhere]
    return tuple(mounts)


def _output(survey: Survey, *, bind: bool) -> tuple[Mount, ...]:
    """Show the output folder by its short name: by a link, where the top of the root is ours."""
    if not survey.output:
        return ()
    return (
        Mount(kind="rw" if bind else "symlink", source=survey.output, target=OUTPUT, why="the output folder"),
    )


def _shell(survey: Survey) -> str:
    return "/bin/bash" if any(entry.path == "/bin" for entry in survey.system) else "/bin/sh"


def _notes(policy: Policy, survey: Survey, host: Host, wire: Wire, place: Place) -> tuple[str, ...]:
    notes = []
    if wire.kind == "loopback":
        notes.append("bubblewrap alone builds this boundary: it has no time namespace of its own")
    notes += [f"{path} does not exist and is not mounted" for path in survey.missing]
    if policy.workspace.mode == "overlay":
        notes += project.notes(policy, survey, place)
    if policy.workspace.mode == "direct" and not survey.writable:
        notes.append(f"{survey.workspace} is not writable for {host.user}, so it is not for the agent")
    own = [one.path for one in survey.findings.protected if one.rule == "ringfence itself"]
    notes += [
        f"{path} is where ringfence is installed, so it is read-only; pipx or uv install it elsewhere"
        for path in own
    ]
    return tuple(notes)
