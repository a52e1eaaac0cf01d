"""Policy, host and survey in, plan out: every decision, with no machine involved."""

import json
import os

import pytest
from facts import HOME, LOOPBACK, PRIVATE, ROOT, host, survey

from ringfence.boundary.model import Wire
from ringfence.boundary.plan import plan
from ringfence.canonical import encode
from ringfence.errors import BoundaryError, HostError, PolicyError
from ringfence.handover import Publication
from ringfence.host.toolchains import Toolchain
from ringfence.policy.model import (
    Credential,
    Egress,
    EgressRule,
    Environment,
    Files,
    Gateway,
    Limits,
    Policy,
    Workspace,
)
from ringfence.workspace.scan import Findings

GOLDEN = os.path.join(os.path.dirname(__file__), "../../golden/plan.json")
KEY = Credential(name="api", source="env:API_KEY", host="api.example.com", environment=("API_KEY",))


NO_POLICY = Policy(workspace=Workspace(mode="direct"))


def make(policy=NO_POLICY, *, where=None, asked=None, wire=PRIVATE, **more):
    return plan(policy, where or host(), asked or survey(), ("tool", "arg"), cwd=ROOT, wire=wire, **more)


def kinds(made, *wanted):
    return [mount.target for mount in made.mounts if mount.kind in wanted]


def direct(made):
    """Return the steps in the project, in order."""
    return [(mount.kind, mount.target[len(ROOT) :]) for mount in made.mounts if mount.target.startswith(ROOT)]


def test_the_whole_plan_is_as_reviewed(request):
    policy = Policy(
        use=("python",),
        workspace=Workspace(mode="direct"),
        files=Files(read=("/srv/docs", "/srv/one.txt", "/srv/gone"), write=("/srv/out",), state=("~/.tool",)),
        egress=Egress(allow=(EgressRule(host="api.example.com", methods=("GET",), origin="user policy"),)),
        credentials=(KEY,),
        gateways=(Gateway(name="llm", upstream="https://llm.example.com", environment=("LLM_URL",)),),
        environment=Environment(set=(("CONFIG", "~/x"),)),
        limits=Limits(
            memory=1 << 30,
            cpus=1.5,
            processes=100,
            file_size=1 << 20,
            open_files=64,
            wall_time=60.0,
            scratch=1 << 20,
        ),
        digest="0" * 64,
    )
    publish = (Publication(host_address="127.0.0.1", host_port=8080, inside_port=80),)
    asked = survey(clean_configs=((".git/config", "[core]\n"),))
    made = make(
        policy,
        asked=asked,
        authority="/state/authority",
        homes="/state/homes/K",
        publish=publish,
        kept=(("KEPT", "1"),),
    )
    text = json.dumps(json.loads(encode(made)), indent=1, sort_keys=True) + "\n"
    if request.config.getoption("--refresh-golden"):
        with open(GOLDEN, "w", encoding="utf-8") as file:
            file.write(text)
    with open(GOLDEN, encoding="utf-8") as file:
        assert text == file.read()


class TestTheProject:
    def test_pins_come_before_protections_and_these_before_masks(self):
        made = make()
        assert direct(made) == [
            ("rw", ""),
            ("pin", "/.git"), ("pin", "/a"), ("pin", "/x"), ("pin", "/a/b"),
            ("ro", "/a/b/.vscode"), ("ro", "/.git/config"), ("ro", "/.git/hooks"),
            ("mask", "/.env"), ("mask", "/deploy/.aws"), ("mask", "/x/.envrc"),
        ]  # fmt: skip

    @pytest.mark.guarantee("F5")
    def test_the_folders_above_a_file_that_is_hidden_and_obeyed_are_pinned(self):
        assert f"{ROOT}/x" in make().workspace.pinned

    def test_one_that_the_operator_cannot_write_is_not_for_the_agent_either(self):
        made = make(asked=survey(writable=False))
        assert direct(made)[0] == ("ro", "")
        assert any("not writable for ada" in note for note in made.notes)

    @pytest.mark.guarantee("F7")
    def test_read_only_is_one_layer_without_the_hidden(self):
        made = make(Policy(workspace=Workspace(mode="readonly")))
        assert direct(made) == [("masked", "")]
        assert [one.path for one in made.workspace.hidden] == [
            f"{ROOT}/.env",
            f"{ROOT}/deploy/.aws",
            f"{ROOT}/x/.envrc",
        ]

    @pytest.mark.guarantee("F7")
    def test_scratch_shows_nothing_of_the_project(self):
        made = make(Policy(workspace=Workspace(mode="scratch")))
        assert direct(made) == [("tmpfs", "")]
        assert not made.workspace.hidden

    @pytest.mark.parametrize("mode", ["direct", "readonly", "scratch"])
    def test_nothing_of_the_host_is_writable_but_project_and_what_is_named(self, mode):
        made = make(Policy(workspace=Workspace(mode=mode), files=Files(write=("/srv/out",))))
        assert set(kinds(made, "rw")) <= {ROOT, "/srv/out"}

    @pytest.mark.parametrize(
        ("workspace", "what"),
        [
            ("/", "the whole file system"), (HOME, "the home folder"), ("/home", "a folder above the home folder"),
            ("/usr", "a system folder"), ("/etc", "a system folder"), ("/opt", "a system folder"), ("/bin", "a system folder"),
        ],
    )  # fmt: skip
    def test_everything_is_no_project(self, workspace, what):
        with pytest.raises(BoundaryError, match=f"^{workspace} is {what}: as a workspace") as error:
            make(asked=survey(workspace=workspace))
        assert "--workspace" in error.value.hint


class TestOutsideTheProject:
    def test_what_lies_in_named_paths_is_masked_after_they_are_bound(self):
        order = [
            (mount.kind, mount.target) for mount in make(Policy(files=Files(read=("/srv/docs",)))).mounts
        ]
        assert order.index(("mask", "/srv/docs/key.pem")) > order.index(("ro", "/srv/docs"))

    def test_a_path_that_does_not_exist_is_noted(self):
        assert "/srv/gone does not exist and is not mounted" in make().notes

    @pytest.mark.parametrize(
        "path", [f"{HOME}/.ssh", f"{HOME}/.aws/bin", HOME, "/", "/home/ada/work", "/home"]
    )
    def test_a_toolchain_that_would_show_keys_or_everything_is_left_out(self, path):
        made = make(asked=survey(toolchains=(Toolchain(path=path, why="x"),)))
        if path != "/home":  # above the home folder; `toolchains` never names it
            assert path not in kinds(made, "ro")

    @pytest.mark.guarantee("F1")
    def test_the_home_is_a_folder_of_its_own(self):
        (home,) = [mount for mount in make().mounts if mount.target == HOME]
        assert (home.kind, home.mode) == ("tmpfs", 0o700)

    @pytest.mark.guarantee("F9")
    def test_temporary_folders_are_its_own_and_limited(self):
        made = make(Policy(limits=Limits(scratch=4096)))
        sizes = {mount.target: mount.size for mount in made.mounts if mount.kind == "tmpfs"}
        assert sizes == {"/tmp": 4096, "/var/tmp": 4096, HOME: 4096}

    @pytest.mark.guarantee("P8")
    def test_there_is_nothing_in_run_but_ours(self):
        inside = [
            target for target in kinds(make(), "ro", "rw", "text", "directory") if target.startswith("/run")
        ]
        assert all(target == "/run" or target.startswith("/run/ringfence") for target in inside)


class TestTheEnvironment:
    @pytest.mark.guarantee("P7")
    def test_holds_no_inherited_variable_and_no_value_of_one(self):
        made = make(where=host(set_variables=frozenset({"LD_PRELOAD", "AWS_SECRET_ACCESS_KEY", "MY_TOKEN"})))
        names = {name for name, _ in made.environment}
        assert names == {
            "HOME", "HTTPS_PROXY", "HTTP_PROXY", "LANG", "LC_ALL", "LOGNAME", "NODE_USE_ENV_PROXY", "NO_PROXY", "PATH",
            "RINGFENCE", "SHELL", "TERM", "TMPDIR", "USER", "http_proxy", "https_proxy", "no_proxy",
        }  # fmt: skip

    def test_what_is_kept_and_set_is_there_and_ours_cannot_be_overridden_by_what_is_kept(self):
        policy = Policy(environment=Environment(set=(("A", "~"), ("B", "~/b"), ("C", "x~/"))))
        made = dict(make(policy, kept=(("HOME", "/evil"), ("KEPT", "yes"), ("PATH", "/evil"))).environment)
        assert (made["A"], made["B"], made["C"], made["KEPT"]) == (HOME, f"{HOME}/b", "x~/", "yes")
        assert (made["HOME"], made["PATH"].split(":")[0]) == (HOME, "/home/ada/tools/bin")

    @pytest.mark.guarantee("C1")
    def test_holds_a_placeholder_where_a_credential_is(self):
        made = dict(make(Policy(credentials=(KEY,)), kept=(("API_KEY", "the secret itself"),)).environment)
        assert "the secret itself" not in made.values()
        assert made["API_KEY"]

    def test_path_names_only_what_exists_inside(self):
        path = dict(make(where=host(path=("/home/ada/elsewhere/bin", "relative", "/usr/bin"))).environment)[
            "PATH"
        ]
        assert path.split(":") == [
            "/usr/bin",
            "/usr/local/bin",
            "/bin",
            "/usr/local/sbin",
            "/usr/sbin",
            "/sbin",
        ]

    def test_proxy_variables_can_be_left_out_on_the_private_wire_only(self):
        policy = Policy(egress=Egress(proxy_variables=False))
        assert "HTTPS_PROXY" not in dict(make(policy).environment)
        assert dict(make(policy, wire=LOOPBACK).environment)["HTTPS_PROXY"] == "http://127.0.0.1:3128"


class TestRefusals:
    def test_a_required_credential_that_is_missing_is_an_error_naming_all(self):
        missing = [
            Credential(name=name, source=f"env:NOT_{name}", host="h.example") for name in ("one", "two")
        ]
        with pytest.raises(PolicyError, match=r"`one` \(env:NOT_one\), `two` \(env:NOT_two\)") as error:
            make(Policy(credentials=(*missing, KEY)))
        assert "optional = true" in error.value.hint

    def test_an_optional_one_is_left_out(self):
        optional = Credential(
            name="one", source="env:NOT_SET", host="h.example", environment=("ONE",), optional=True
        )
        assert "ONE" not in dict(make(Policy(credentials=(optional,))).environment)

    @pytest.mark.guarantee("P10")
    def test_no_landlock_is_refused_unless_accepted_and_then_told(self):
        with pytest.raises(HostError, match="no Landlock") as error:
            make(asked=survey(landlock=0))
        assert '`accept = ["no-landlock"]`' in error.value.hint
        made = make(Policy(accept=("no-landlock",)), asked=survey(landlock=0))
        assert [one.id for one in made.guarantees if not one.held] == ["P9"]

    @pytest.mark.guarantee("P10")
    def test_no_way_to_the_gate_at_all_is_refused(self):
        none = Wire(kind="none", gate_address="", proxy_port=0, why="no netns")
        with pytest.raises(HostError, match="no netns"):
            make(wire=none)

    def test_no_port_is_published_without_the_private_wire(self):
        fallback = Wire(
            kind="loopback", gate_address="127.0.0.1", proxy_port=3128, why="no userns", hint="mend it"
        )
        port = Publication(host_address="127.0.0.1", host_port=1, inside_port=1)
        with pytest.raises(HostError, match="no userns") as error:
            make(wire=fallback, publish=(port,))
        assert error.value.hint == "mend it"
        assert make(publish=(port,)).publish == (port,)

    def test_accepting_what_is_no_protection_is_an_error(self):
        with pytest.raises(PolicyError, match="`everything`") as error:
            make(Policy(accept=("everything",)))
        assert "no-landlock" in error.value.hint


class TestIdentity:
    @pytest.mark.guarantee("P2")
    @pytest.mark.parametrize(("owner", "uid"), [(0, 1000), (1005, 1005)])
    def test_root_is_never_root_inside(self, owner, uid):
        made = make(where=host(uid=0, gid=0, user="root", home="/root"), asked=survey(owner=owner))
        assert (made.uid, made.gid) == (uid, uid)
        assert dict(made.environment)["USER"] == "agent"

    def test_others_are_themselves(self):
        assert (make().uid, make().gid) == (1000, 1001)


class TestWhatIsTold:
    @pytest.mark.guarantee("N2")
    def test_the_loopback_wire_does_not_hold_what_the_private_one_does(self):
        (lost,) = [one for one in make(wire=LOOPBACK).guarantees if not one.held]
        assert (lost.id, "the kernel said no" in lost.why) == ("N2", True)

    def test_a_spliced_host_is_not_judged_by_path(self):
        made = make(Policy(egress=Egress(splice=("pinned.example",))))
        assert any(one.id == "N8" and not one.held and "pinned.example" in one.why for one in made.guarantees)

    @pytest.mark.guarantee("L3")
    @pytest.mark.parametrize(("cgroup", "held"), [("v2", "enforced"), ("v1", "enforced"), ("", "watched")])
    def test_each_limit_says_how_firmly_it_holds(self, cgroup, held):
        made = make(
            Policy(limits=Limits(memory=1, file_size=2, open_files=3, wall_time=4.0, cpus=1.0)),
            asked=survey(cgroup=cgroup),
        )
        how = {one.name: one.held for one in made.limits}
        assert how == {
            "memory": held, "cpus": "enforced", "processes": "enforced", "file_size": "per-process",
            "open_files": "per-process", "wall_time": "enforced",
        }  # fmt: skip

    def test_a_name_with_a_newline_adds_no_line_to_git(self):
        made = make(
            asked=survey(
                workspace="/w/a\n[core]\n\tfsmonitor = evil",
                git_user=("A\n[core]", "x"),
                findings=Findings(hidden=(), protected=(), entries=0),
            )
        )
        (text,) = [mount.text for mount in made.mounts if mount.target == "/etc/gitconfig"]
        assert not any(
            line.startswith("[core]") or "fsmonitor" in line.split("=")[0] for line in text.splitlines()
        )
