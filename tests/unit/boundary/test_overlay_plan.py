"""What is decided about a session's copy of the project."""

import pytest
from facts import HOME, LOOPBACK, PRIVATE, ROOT, host, survey

from ringfence.boundary.plan import plan
from ringfence.boundary.project import Place
from ringfence.boundary.survey import Repository
from ringfence.boundary.tiers import sandbox
from ringfence.errors import BoundaryError, HostError
from ringfence.policy.model import Limits, Policy, Workspace

PLACE = Place(session="S", folder="/state/sessions/S", keep="/state/keep/K")
REFUSED = Place(session="S", folder="/state/sessions/S", keep="/state/keep/K", refused="no such thing")


def make(place=PLACE, asked=None, wire=PRIVATE, limits=None, **workspace):
    policy = Policy(workspace=Workspace(mode="overlay", **workspace), limits=limits or Limits())
    return plan(policy, host(), asked or survey(), ("tool",), cwd=ROOT, wire=wire, place=place)


def steps(made, below=ROOT):
    return [(one.kind, one.target[len(below) :]) for one in made.mounts if one.target.startswith(below)]


class TestAnOverlay:
    @pytest.mark.guarantee("W1")
    def test_is_all_there_is_of_the_project(self):
        made = make()
        assert steps(made) == [("overlay", "")]
        assert next(one.upper for one in made.mounts if one.kind == "overlay") == "/state/sessions/S"
        assert not made.workspace.protected
        assert (made.workspace.copy, made.workspace.session) == ("overlay", "S")

    @pytest.mark.guarantee("F3")
    def test_hides_what_the_other_modes_hide(self):
        made = make()
        hidden = sandbox.render(made, arch="x86_64", bwrap="/usr/bin/bwrap", abi=7).hidden
        assert set(hidden) == {f"{ROOT}/.env", f"{ROOT}/deploy/.aws", f"{ROOT}/x/.envrc"}

    def test_shows_a_git_configuration_without_credentials_in_its_lower_layer(self):
        made = make(asked=survey(clean_configs=((".git/config", "[core]\n"),)))
        assert steps(made) == [("stand-in", "/.git/config"), ("overlay", "")]

    def test_has_places_for_kept_folders_below_and_mounts_them_above(self):
        made = make(asked=survey(kept=("a/node_modules",)), keep=("a/node_modules",))
        assert steps(made) == [("stand-in", "/a/node_modules"), ("overlay", ""), ("rw", "/a/node_modules")]
        assert [one.source for one in made.mounts if one.kind == "rw"][-1] == "/state/keep/K/a%2Fnode_modules"

    def test_of_a_linked_worktree_has_its_repository_under_a_layer_too(self):
        path = f"{HOME}/work/main/.git"
        found = Repository(path=path, hidden=(), clean_configs=(("config", "[core]\n"),))
        made = make(asked=survey(repository=found))
        assert steps(made, path) == [("stand-in", "/config"), ("overlay", "")]
        assert [one.upper for one in made.mounts if one.kind == "overlay"][
            -1
        ] == "/state/sessions/S/repository"
        assert any("commits made inside stay" in note for note in made.notes)

    def test_is_writable_for_landlock_as_well(self):
        program = sandbox.render(make(), arch="x86_64", bwrap="/usr/bin/bwrap", abi=7).entry
        assert ROOT.encode() + b"\0" in program

    def test_says_which_file_systems_it_does_not_show(self):
        made = make(asked=survey(submounts=(f"{ROOT}/data",)))
        assert any(f"{ROOT}/data" in note for note in made.notes)

    def test_may_not_lie_around_our_own_folders(self):
        made = host(state_dir=f"{ROOT}/state")
        policy = Policy(workspace=Workspace(mode="overlay"))
        with pytest.raises(BoundaryError, match="ringfence's own folder"):
            plan(policy, made, survey(), ("tool",), cwd=ROOT, wire=PRIVATE, place=PLACE)


@pytest.mark.guarantee("W3")
class TestAWholeCopy:
    def test_takes_the_projects_place_and_the_plan_says_why(self):
        made = make(REFUSED)
        assert steps(made) == [("rw", "")]
        assert [one.source for one in made.mounts if one.target == ROOT] == ["/state/sessions/S/copy"]
        assert made.workspace.copy == "copy"
        assert any("no such thing" in note and "whole copy" in note for note in made.notes)

    def test_needs_no_masks_since_hidden_files_are_left_out(self):
        assert not [one for one in make(REFUSED).mounts if one.kind == "mask" and one.target.startswith(ROOT)]

    def test_can_be_mounted_by_bubblewrap_alone(self):
        rendered = sandbox.render(make(REFUSED, wire=LOOPBACK), arch="x86_64", bwrap="/usr/bin/bwrap", abi=7)
        at = rendered.options.index("/state/sessions/S/copy")
        assert rendered.options[at - 1 : at + 2] == ("--bind", "/state/sessions/S/copy", ROOT)


@pytest.mark.guarantee("L4")
class TestAQuota:
    def test_is_watched_and_the_plan_says_so(self):
        row = next(one for one in make(quota=1 << 20).limits if one.name == "quota")
        assert (row.value, row.held) == (str(1 << 20), "watched")

    @pytest.mark.parametrize(("limit", "least"), [(None, 1 << 20), (1 << 30, 1 << 20), (100, 100)])
    def test_bounds_each_file(self, limit, least):
        made = make(quota=1 << 20, limits=Limits(file_size=limit))
        assert sandbox.limits_of(made).file_size == least

    def test_is_about_copies_only(self):
        policy = Policy(workspace=Workspace(mode="direct", quota=1 << 20))
        made = plan(policy, host(), survey(), ("tool",), cwd=ROOT, wire=PRIVATE)
        assert [one.name for one in made.limits if one.name == "quota"] == []
        assert sandbox.limits_of(made).file_size is None


class TestNoExecution:
    @pytest.mark.parametrize("mode", ["overlay", "direct", "readonly", "scratch"])
    def test_is_a_matter_of_every_mount_of_the_project(self, mode):
        policy = Policy(workspace=Workspace(mode=mode, noexec=True))
        made = plan(policy, host(), survey(), ("tool",), cwd=ROOT, wire=PRIVATE, place=PLACE)
        project = [one for one in made.mounts if one.target.startswith(ROOT) and one.kind != "mask"]
        assert project
        assert all(one.noexec for one in project)

    def test_is_refused_where_we_make_no_mounts(self):
        with pytest.raises(HostError, match="`noexec` cannot be held"):
            make(REFUSED, wire=LOOPBACK, noexec=True)


class TestTheOutputFolder:
    def test_has_a_name_and_a_variable_inside(self):
        made = make(asked=survey(writable_paths=("/srv/out",), output="/srv/out"), output="/srv/out")
        link = next(one for one in made.mounts if one.target == "/output")
        assert (link.kind, link.source) == ("symlink", "/srv/out")
        assert dict(made.environment)["RINGFENCE_OUTPUT"] == "/srv/out"
        assert ("rw", "") in steps(made, "/srv/out")

    def test_must_exist(self):
        with pytest.raises(BoundaryError, match="the output folder ~/x does not exist"):
            make(output="~/x")

    @pytest.mark.parametrize("path", [ROOT, f"{ROOT}/out", f"{HOME}/work"])
    def test_is_apart_from_the_project(self, path):
        with pytest.raises(BoundaryError, match="overlap"):
            make(asked=survey(output=path), output=path)


def test_what_cannot_be_kept_is_told():
    assert any("`keep` cannot hold link" in note for note in make(keep=("link",)).notes)
