"""The Seatbelt profile means what the plan means: judged by a reader of its own."""

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sbpl import Profile, read

from ringfence.boundary.model import Hidden, Mount, Plan, Wire, WorkspacePlan
from ringfence.boundary.tiers import seatbelt
from ringfence.errors import BoundaryError
from ringfence.handover import Publication
from ringfence.policy.model import Policy

WORK = "/Users/ada/work"
GOLDEN = os.path.join(os.path.dirname(__file__), "..", "..", "golden", "seatbelt.sb")


def a_mount(kind, path):
    return Mount(kind=kind, source=path, target=path)


def a_plan(mounts=(), workspace=None, port=3128, publish=()):
    return Plan(
        tier="sandbox", argv=("true",), cwd=WORK, home="/Users/ada", uid=501, gid=20, environment=(),
        mounts=tuple(mounts),
        workspace=workspace or WorkspacePlan(root=WORK, mode="direct"), limits=(),
        wire=Wire(kind="loopback" if port else "none", gate_address="127.0.0.1", proxy_port=port),
        publish=publish,
        policy=Policy(), guarantees=(),
    )  # fmt: skip


def the_usual_plan():
    mounts = [
        a_mount("ro", "/usr"), a_mount("ro", "/opt/homebrew"), a_mount("tmpfs", "/Users/ada"),
        a_mount("rw", WORK),
        a_mount("ro", f"{WORK}/.git/hooks"), a_mount("rw", "/private/tmp/ringfence-1"),
        Mount(kind="text", target="/etc/hosts", text="x"),
        Mount(kind="symlink", source="usr/bin", target="/bin"),
    ]  # fmt: skip
    workspace = WorkspacePlan(
        root=WORK, mode="direct",
        hidden=(Hidden(path=f"{WORK}/.env", rule="**/.env*"),
                Hidden(path=f"{WORK}/deploy/keys", rule="x", directory=True)),
        protected=(f"{WORK}/.git/hooks", f"{WORK}/.git/config", f"{WORK}/a/b/.envrc"),
        pinned=(f"{WORK}/.git", f"{WORK}/a", f"{WORK}/a/b"), watched=("**/.secret-hooks", "tools/run.sh"),
    )  # fmt: skip
    return a_plan(
        mounts, workspace, publish=(Publication(host_address="127.0.0.1", host_port=5173, inside_port=5173),)
    )


class TestTheUsualPlan:
    profile = Profile(seatbelt.render(the_usual_plan()))

    @pytest.mark.parametrize(
        ("operation", "path"),
        [
            ("file-read-data", "/Users/ada/.ssh/id_ed25519"),
            ("file-read-data", "/Users/ada/.zshrc"),
            ("file-read-data", "/etc/master.passwd"),
            ("file-read-data", f"{WORK}/.env"),
            ("file-write-create", f"{WORK}/.env"),
            ("file-read-data", f"{WORK}/deploy/keys/prod"),
            ("file-write-data", "/Users/ada/.zshrc"),
            ("file-write-data", "/usr/local/bin/git"),
            ("file-write-data", f"{WORK}/.git/config"),
            ("file-write-create", f"{WORK}/.git/hooks/pre-commit"),
            ("file-write-create", f"{WORK}/.vscode/tasks.json"),
            ("file-write-create", f"{WORK}/deep/er/.VSCode/tasks.json"),
            ("file-write-create", f"{WORK}/.ENVRC"),
            ("file-write-create", f"{WORK}/.mcp.json"),
            ("file-write-create", f"{WORK}/sub/.git/config.worktree"),
            ("file-write-create", f"{WORK}/sub/.HUSKY/pre-commit"),
            ("file-write-create", f"{WORK}/x/.secret-hooks/y"),
            ("file-write-data", f"{WORK}/tools/run.sh"),
            ("file-write-unlink", f"{WORK}/.git"),
            ("file-write-unlink", f"{WORK}/a"),
            ("file-write-unlink", f"{WORK}/deploy"),
            ("file-write-unlink", WORK),
            ("file-write-setugid", f"{WORK}/x"),
            ("file-link", f"{WORK}/.env"),
            ("file-clone", f"{WORK}/.env"),
            ("process-exec", f"{WORK}/.env"),
            ("process-exec", "/Users/ada/bin/evil"),
            ("network-outbound", "localhost:22"),
            ("network-outbound", "*:443"),
            ("network-outbound", "/var/run/docker.sock"),
            ("network-bind", "localhost:8080"),
            ("mach-lookup", "com.apple.SecurityServer"),
            ("mach-lookup", "com.apple.securityd.xpc"),
            ("mach-lookup", "com.apple.coreservices.launchservicesd"),
            ("mach-lookup", "com.apple.pasteboard.1"),
            ("sysctl-write", "kern.hostname"),
            ("signal", "others"),
            ("appleevent-send", "com.apple.finder"),
            ("iokit-open", "AppleHIDClient"),
        ],
    )
    def test_refuses(self, operation, path):
        assert not self.profile.allows(operation, path)

    @pytest.mark.parametrize(
        ("operation", "path"),
        [
            ("file-read-data", f"{WORK}/src/main.py"),
            ("file-write-create", f"{WORK}/src/new.py"),
            ("file-write-unlink", f"{WORK}/src"),
            ("file-read-data", f"{WORK}/.git/config"),
            ("file-write-create", f"{WORK}/.git/index.lock"),
            ("process-exec", "/usr/bin/git"),
            ("file-read-data", "/private/var/db/dyld/cache"),
            ("file-read-metadata", "/Users/ada"),
            ("file-write-data", "/dev/null"),
            ("file-write-create", "/private/tmp/ringfence-1/x"),
            ("network-outbound", "localhost:3128"),
            ("network-inbound", "localhost:5173"),
            ("mach-lookup", "com.apple.logd"),
            ("sysctl-read", "hw.ncpu"),
            ("sysctl-read", "hw.optional.arm64"),
            ("signal", "same-sandbox"),
        ],
    )
    def test_allows(self, operation, path):
        assert self.profile.allows(operation, path)

    def test_is_as_the_golden_file(self, request):
        text = seatbelt.render(the_usual_plan())
        if request.config.getoption("--refresh-golden"):
            with open(GOLDEN, "w", encoding="utf-8") as file:
                file.write(text)
        with open(GOLDEN, encoding="utf-8") as file:
            assert text == file.read()


def test_without_a_wire_nothing_can_be_reached():
    profile = Profile(seatbelt.render(a_plan(port=0)))
    assert not profile.allows("network-outbound", "localhost:3128")
    assert not profile.allows("network-outbound", "localhost:0")


def test_a_mount_that_would_move_a_path_is_refused():
    moved = Mount(kind="ro", source="/var/lib/ringfence/ca.pem", target="/etc/ssl/cert.pem")
    with pytest.raises(
        BoundaryError, match=r"cannot show '/var/lib/ringfence/ca.pem' at '/etc/ssl/cert.pem'"
    ):
        seatbelt.render(a_plan([moved]))


def test_an_overlay_is_refused_and_never_becomes_something_else():
    with pytest.raises(BoundaryError, match="macOS mounts no overlay"):
        seatbelt.render(a_plan([a_mount("overlay", WORK)]))


def test_a_trailing_name_is_no_prefix():
    profile = Profile(seatbelt.render(a_plan([a_mount("rw", WORK)])))
    assert not profile.allows("file-read-data", f"{WORK}-evil/x")


# Names built from what could end a string, start a rule, or mean something in a pattern
NAMES = st.text(alphabet='ab"\\()\n;[]*?.|^$ \x01\x7f\udc80é', min_size=1, max_size=6).filter(
    lambda name: name not in {".", ".."}
)
PATHS = st.lists(NAMES, min_size=1, max_size=4).map(lambda parts: "/" + "/".join(parts))
KINDS = st.sampled_from(["ro", "rw", "tmpfs", "masked", "mask"])


@given(PATHS)
def test_no_path_can_end_its_string(path):
    forms = read(seatbelt.quote(path))
    assert forms == [("s", path)]


@st.composite
def plans_and_paths(draw):
    """Draw a plan, and a path that has something to do with it."""
    mounts = [a_mount(draw(KINDS), path) for path in draw(st.lists(PATHS, max_size=5))]
    hidden = draw(st.lists(PATHS, max_size=2))
    protected = draw(st.lists(PATHS, max_size=2))
    known = [mount.target for mount in mounts] + hidden + protected
    nested = st.sampled_from(known) if known else PATHS
    if known and draw(st.booleans()):
        protected.append(draw(nested) + draw(PATHS))
    base = draw(
        st.one_of(
            PATHS,
            nested,
            st.sampled_from([one.rpartition("/")[0] or "/" for one in known]) if known else PATHS,
        )
    )
    path = draw(st.sampled_from([base, base.rstrip("/") + draw(PATHS)]))
    workspace = WorkspacePlan(
        root="/w",
        mode="direct",
        hidden=tuple(Hidden(path=one, rule="x") for one in hidden),
        protected=tuple(protected),
    )
    return a_plan(mounts, workspace), path


def below(path, top):
    return path == top or path.startswith(top + "/")


def meaning(plan, operation, path):
    """Say what the plan means, from the plan alone: the last mount that covers a path decides."""
    if any(below(path, one.path) for one in plan.workspace.hidden):
        return False
    if operation != "file-read-data" and any(below(path, one) for one in plan.workspace.protected):
        return False
    covering = [mount.kind for mount in plan.mounts if below(path, mount.target)]
    last = covering[-1] if covering else "none"
    if operation == "file-read-data":
        return last in {"ro", "rw", "masked"}
    if operation == "file-write-unlink" and last == "rw":
        bound = (
            [one.path for one in plan.workspace.hidden]
            + list(plan.workspace.protected)
            + [mount.target for mount in plan.mounts]
        )
        above = any(one.startswith(path + "/") for one in bound)
        return not above and path not in {mount.target for mount in plan.mounts if mount.kind == "rw"}
    return last == "rw"


def needed_by_everybody(path):
    return path == "/" or any(below(path, one) for one in (*seatbelt.BASE_READS, *seatbelt.DEVICES))


@settings(max_examples=400, deadline=None)
@given(plans_and_paths())
def test_the_profile_decides_as_the_plan_means(drawn):
    plan, path = drawn
    profile = Profile(seatbelt.render(plan))
    if needed_by_everybody(path):
        return
    for operation in ("file-read-data", "file-write-data", "file-write-create", "file-write-unlink"):
        assert profile.allows(operation, path) == meaning(plan, operation, path), (operation, path)


@settings(max_examples=200, deadline=None)
@given(root=PATHS, name=NAMES, depth=st.lists(NAMES, max_size=2))
def test_a_pattern_matches_its_name_at_any_depth_and_what_is_below_it(root, name, depth):
    import re

    if set(name) & set("*?") or name in depth or f"/{name}" in root:
        return
    shown = re.compile(seatbelt.pattern(root, f"**/{name}"), re.DOTALL)
    place = "/".join([root, *depth])
    assert shown.search(f"{place}/{name}")
    assert shown.search(f"{place}/{name}/x")
    assert shown.search(f"{place}/{''.join(c.upper() if c.isascii() else c for c in name)}")
    assert not shown.search(f"{place}/{name}z")
    assert not shown.search(f"/elsewhere/{name}")
