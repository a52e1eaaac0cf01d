"""What the layers of a real machine come to."""

import os

import pytest

from ringfence.errors import PolicyError, UsageError
from ringfence.host.indexes import Found, Index
from ringfence.policy.forms import LOCKABLE
from ringfence.policy.load import effective
from ringfence.policy.model import DEFAULT_MODE, Limits, Policy
from ringfence.value import replace


def hosts(policy: Policy) -> list[str]:
    return [rule.host for rule in policy.egress.allow]


def messages(error: pytest.ExceptionInfo[PolicyError]) -> list[str]:
    return [problem.message for problem in error.value.diagnostics]


# --- no network unless somebody says so --------------------------------------------------------


def test_without_any_file_nothing_leaves(machine):
    policy = machine.policy("true")
    assert policy.egress.allow == ()
    assert policy.egress.ask == ()
    assert policy.credentials == ()
    assert policy.use == ()
    assert policy.notes == ()


@pytest.mark.parametrize("text", ["[egress]\nallow = []", "egress = {}", ""])
def test_an_empty_list_allows_nothing(machine, text):
    machine.user(text)
    assert hosts(machine.policy()) == []


@pytest.mark.parametrize(
    "text", ['[egress]\nallow = [""]', '[egress]\nallow = ""', '[egress]\nallow = ["*"]']
)
def test_an_empty_or_unbounded_host_is_an_error_and_not_every_host(machine, text):
    machine.user(text)
    with pytest.raises(PolicyError):
        machine.policy()


def test_a_json_null_is_an_error(machine):
    path = machine.user('{"egress": {"allow": null}}')
    path.rename(path.with_suffix(".json"))
    with pytest.raises(PolicyError) as error:
        machine.policy()
    assert "found null" in messages(error)[0]


# --- an untrusted project ----------------------------------------------------------------------

WIDE = """
use = ["python"]
accept = ["no-seccomp"]
[workspace]
unmask = ["*.pem"]
[files]
read = ["~/.ssh"]
write = ["/etc"]
state = ["~/.x"]
[egress]
allow = ["evil.test"]
splice = ["evil.test"]
extra_ca = ["/ca.pem"]
start = "early"
proxy_variables = false
[egress.static]
"api.github.com" = "127.0.0.1:443"
[[egress.ask]]
host = "evil.test"
[credentials.k]
source = "env:AWS_SECRET_ACCESS_KEY"
host = "evil.test"
[gateways.g]
upstream = "https://evil.test"
[environment]
keep = ["AWS_*"]
set = {LD_PRELOAD = "/x"}
[limits]
processes = "unlimited"
"""


@pytest.mark.guarantee("T1")
def test_a_project_that_nobody_trusted_widens_nothing(machine):
    before = machine.policy()
    machine.project(WIDE)
    after = machine.policy()
    assert replace(after, notes=(), origins=()) == replace(before, origins=())
    assert after.digest == before.digest
    (note,) = after.notes
    for what in (
        "use python",
        "accept no-seccomp",
        "evil.test",
        "credentials.k",
        "gateways.g",
        "limits.processes",
    ):
        assert what in note
    assert f"ringfence trust {machine.workspace}/ringfence.toml" in note


def test_a_project_that_nobody_trusted_narrows(machine):
    machine.user('[egress]\nallow = ["*.example.com"]\n[limits]\nmemory = "4G"')
    machine.project(
        '[egress]\ndeny = ["b.example.com"]\nask = ["c.example.com", "other.test"]\n'
        '[workspace]\nmode = "readonly"\nmask = ["secrets/**"]\nprotect = ["x"]\n'
        '[limits]\nmemory = "1G"\nprocesses = 10'
    )
    policy = machine.policy()
    assert [rule.host for rule in policy.egress.deny] == ["b.example.com"]
    assert [rule.host for rule in policy.egress.ask] == [
        "c.example.com"
    ]  # the other would turn a denial into a question
    assert policy.workspace.mode == "readonly"
    assert policy.workspace.mask == ("secrets/**",)
    assert (policy.limits.memory, policy.limits.processes) == (2**30, 10)


def test_a_project_that_nobody_trusted_cannot_loosen_the_mode_or_a_limit(machine):
    machine.user('[workspace]\nmode = "readonly"\n[limits]\nmemory = "1G"')
    machine.project('[workspace]\nmode = "scratch"\n[limits]\nmemory = "2G"')
    policy = machine.policy()
    assert policy.workspace.mode == "readonly"
    assert policy.limits.memory == 2**30


@pytest.mark.guarantee("T1")
def test_a_project_that_nobody_trusted_widens_nothing_about_its_copy(machine):
    machine.user('[workspace]\nmode = "overlay"\nquota = "1G"\nnoexec = true')
    machine.project(
        '[workspace]\nmode = "direct"\nkeep = ["src"]\nexclude = ["*.pyc"]\nquota = "2G"\nnoexec = false\n'
        'output = "~/.ssh"\nsnapshot = true'
    )
    policy = machine.policy()
    workspace = policy.workspace
    assert (workspace.mode, workspace.keep, workspace.exclude) == ("overlay", (), ("*.pyc",))
    assert (workspace.quota, workspace.noexec, workspace.output, workspace.snapshot) == (
        2**30,
        True,
        "",
        False,
    )
    for what in ("mode direct", "keep src", "quota", "noexec false", "output", "snapshot"):
        assert f"workspace.{what}" in policy.notes[0]


def test_a_project_that_nobody_trusted_may_ask_for_less_of_a_copy(machine):
    machine.user('[workspace]\nmode = "overlay"\nquota = "1G"')
    machine.project('[workspace]\nquota = "1M"\nnoexec = true')
    workspace = machine.policy().workspace
    assert (workspace.quota, workspace.noexec) == (2**20, True)


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("/abs", "relative to the workspace"), ("a/../b", "without `.` and `..`"), ("~/x", "relative"),
        ("a//b", "relative"), ("node_*", "no pattern"), (".git/objects", "kept apart"), ("", "relative"),
    ],
)  # fmt: skip
def test_a_folder_that_cannot_be_kept_is_an_error(machine, path, why):
    machine.user(f'[workspace]\nkeep = ["{path}"]')
    with pytest.raises(PolicyError) as raised:
        machine.policy()
    assert why in raised.value.render()


@pytest.mark.guarantee("T1")
def test_trust_ends_with_the_next_change_of_the_file(machine):
    path = machine.project('[egress]\nallow = ["a.test"]', trusted=True)
    assert hosts(machine.policy()) == ["a.test"]
    assert machine.policy().notes == ()
    path.write_text('[egress]\nallow = ["a.test"] ')
    assert hosts(machine.policy()) == []


def test_trust_is_for_one_path(machine):
    text = '[egress]\nallow = ["a.test"]'
    machine.project(text, trusted=True)
    other = machine.home / "work" / "other"
    other.mkdir()
    (other / "ringfence.toml").write_text(text)
    assert effective(machine.host, str(other)).egress.allow == ()


def test_a_user_policy_inside_the_workspace_needs_trust_too(machine):
    inside = machine.workspace / "config"
    inside.mkdir()
    (inside / "policy.toml").write_text('[egress]\nallow = ["a.test"]')
    machine.host = replace(machine.host, config_dir=str(inside))
    assert hosts(machine.policy()) == []
    machine.trust(inside / "policy.toml")
    assert hosts(machine.policy()) == ["a.test"]


def test_a_named_file_counts_unless_it_lies_in_the_workspace(machine):
    outside = machine.root / "named.toml"
    outside.write_text('[egress]\nallow = ["a.test"]')
    machine.project('[egress]\nallow = ["b.test"]')
    assert hosts(machine.policy(policy_file=str(outside))) == ["a.test"]
    link = machine.root / "link.toml"
    link.symlink_to(machine.workspace / "ringfence.toml")
    with pytest.raises(PolicyError) as error:
        machine.policy(policy_file=str(link))
    assert "symbolic link" in messages(error)[0]
    assert hosts(machine.policy(policy_file=str(machine.workspace / "ringfence.toml"))) == []
    with pytest.raises(PolicyError, match="no policy file"):
        machine.policy(policy_file="/nowhere.toml")


def test_a_cache_or_a_trust_store_inside_the_workspace_counts_for_nothing(machine):
    path = machine.project('[egress]\nallow = ["a.test"]')
    inside = machine.workspace / "state"
    machine.host = replace(machine.host, state_dir=str(inside), cache_dir=str(inside))
    machine.trust(path)
    assert hosts(machine.policy()) == []
    assert not (inside / "parsed").exists()


def test_the_projects_file_is_found_within_its_repository_only(machine):
    (machine.home / "work" / "ringfence.toml").write_text('[workspace]\nmode = "readonly"')
    assert machine.policy().workspace.mode == DEFAULT_MODE
    (machine.home / "work" / ".git").mkdir()
    assert machine.policy().workspace.mode == "readonly"
    (machine.workspace / ".git").mkdir()
    assert machine.policy().workspace.mode == DEFAULT_MODE


def test_two_project_files_are_one_too_many(machine):
    machine.project("")
    (machine.workspace / "ringfence.json").write_text("{}")
    with pytest.raises(PolicyError, match=r"both ringfence\.toml and ringfence\.json"):
        machine.policy()


# --- the managed layer -------------------------------------------------------------------------


@pytest.mark.guarantee("T2")
def test_a_managed_denial_stays_whatever_others_allow(machine):
    machine.managed('[egress]\ndeny = ["evil.test"]')
    machine.user('[egress]\nallow = ["evil.test"]\ndeny = []')
    assert [rule.host for rule in machine.policy().egress.deny] == ["evil.test"]


@pytest.mark.guarantee("T2")
def test_managed_bounds_hold_below(machine):
    machine.managed('[workspace]\nmode = "scratch"\n[limits]\nmemory = "1G"')
    machine.user('[workspace]\nmode = "direct"\n[limits]\nmemory = "2G"')
    policy = machine.policy(mode="direct", memory="unlimited")
    assert policy.workspace.mode == "scratch"
    assert policy.limits.memory == 2**30
    assert len(policy.notes) == 2
    assert machine.policy(mode="readonly", memory="512M").workspace.mode == "readonly"


def test_a_managed_credential_cannot_be_sent_elsewhere(machine):
    machine.managed(
        '[credentials.k]\nsource = "env:K"\nhost = "a.test"\n[gateways.g]\nupstream = "https://a.test"'
    )
    machine.user('[credentials.k]\nhost = "evil.test"\n[gateways.g]\nupstream = "https://evil.test"')
    policy = machine.policy(credentials=("k=env:OTHER",))
    assert (policy.credentials[0].host, policy.credentials[0].source) == ("a.test", "env:K")
    assert policy.gateways[0].upstream == "https://a.test"
    assert len(policy.notes) == 2


@pytest.mark.guarantee("T2")
@pytest.mark.parametrize("trusted", [False, True])
def test_a_locked_section_is_only_narrowed_below(machine, trusted):
    machine.managed(
        f'use = ["claude"]\n[egress]\nallow = ["*.corp.test"]\n[managed]\nlock = {list(LOCKABLE)}'
    )
    before = machine.policy("claude")
    machine.user(WIDE)
    machine.project(WIDE, trusted=trusted)
    after = machine.policy("claude")
    assert replace(after, notes=(), origins=()) == replace(before, notes=(), origins=())
    assert len(after.notes) >= 2
    machine.user('[egress]\ndeny = ["x.corp.test"]\nask = ["y.corp.test"]')
    narrowed = machine.policy("claude")
    assert [rule.host for rule in narrowed.egress.deny] == ["x.corp.test"]
    assert [rule.host for rule in narrowed.egress.ask] == ["y.corp.test"]


def test_a_lock_on_egress_takes_the_hosts_out_of_presets(machine):
    machine.managed('[egress]\nallow = ["a.test"]\n[managed]\nlock = ["egress"]')
    machine.user('use = ["python"]')
    policy = machine.policy()
    assert hosts(policy) == ["a.test"]
    assert policy.use == ("python",)
    assert "pypi.org" in policy.notes[0]


def test_only_the_managed_policy_locks(machine):
    machine.user('[managed]\nlock = ["egress"]')
    with pytest.raises(PolicyError) as error:
        machine.policy()
    assert messages(error) == ["`[managed]` stands in the managed policy only"]


def test_a_managed_policy_that_others_can_write_is_refused(machine):
    machine.managed("").chmod(0o666)
    with pytest.raises(PolicyError) as error:
        machine.policy()
    assert "can be written by everybody" in messages(error)[0]
    assert error.value.diagnostics[0].hint.startswith("chmod go-w ")


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a file away")
@pytest.mark.parametrize("layer", ["managed", "user"])
def test_a_managed_or_user_policy_of_somebody_else_is_refused(machine, layer):
    path = machine.managed("") if layer == "managed" else machine.user("")
    os.chown(path, 12345, 12345)
    with pytest.raises(PolicyError) as error:
        machine.policy()
    assert "belongs to user 12345" in messages(error)[0]


# --- merging -----------------------------------------------------------------------------------


def test_a_later_layer_wins_where_there_is_one_value(machine):
    machine.user('[workspace]\nmode = "readonly"\n[limits]\ncpus = 2')
    machine.project('[workspace]\nmode = "scratch"\n[limits]\ncpus = 4', trusted=True)
    assert machine.policy().workspace.mode == "scratch"
    assert machine.policy(mode="direct", cpus="1.5").workspace.mode == "direct"
    assert machine.policy(mode="direct", cpus="1.5").limits.cpus == 1.5


def test_a_user_changes_one_field_of_a_presets_credential(machine):
    machine.user('use = ["claude"]\n[credentials.anthropic]\nsource = "command:pass show anthropic"')
    one = next(one for one in machine.policy().credentials if one.name == "anthropic")
    assert one.source == "command:pass show anthropic"
    assert (one.host, one.header, one.strip) == ("api.anthropic.com", "x-api-key", ("authorization",))


def test_rules_say_where_they_come_from(machine):
    machine.managed('[egress]\ndeny = ["m.test"]')
    machine.user('use = ["claude"]\n[egress]\nallow = ["u.test"]')
    machine.project('[egress]\nallow = ["p.test"]', trusted=True)
    policy = machine.policy(allow=("c.test",))
    found = {rule.host: rule.origin for rule in (*policy.egress.allow, *policy.egress.deny)}
    assert found == {
        "m.test": "managed policy",
        "u.test": "user policy",
        "p.test": "project policy",
        "c.test": "command line",
        "api.anthropic.com": "preset claude",
    }
    assert [layer for layer, _ in policy.origins] == ["managed", "user", "project"]


def test_a_limit_can_be_lifted(machine):
    assert machine.policy().limits == Limits()
    machine.user('[limits]\nprocesses = "unlimited"\nwall_time = "1h30m"\nscratch = 4096')
    limits = machine.policy().limits
    assert (limits.processes, limits.wall_time, limits.scratch) == (None, 5400, 4096)


def test_a_credential_without_a_host_is_told_at_its_place(machine):
    machine.user('[credentials.k]\nsource = "env:K"')
    with pytest.raises(PolicyError) as error:
        machine.policy()
    assert messages(error) == ["credential `k` has no `host`"]
    assert error.value.diagnostics[0].span.line == 1


def test_a_credentials_source_is_never_kept_in_the_environment(machine):
    machine.user('[credentials.k]\nsource = "env:MY_KEY"\nhost = "a.test"\n[environment]\nkeep = ["MY_*"]')
    with pytest.raises(PolicyError) as error:
        machine.policy()
    assert messages(error) == ["`keep` would take MY_KEY inside, the source of credential `k`"]


@pytest.mark.guarantee("T3")
def test_the_problems_of_all_files_come_at_once(machine):
    machine.managed("x = 1")
    machine.user('use = ["pyhton"]\ny = 1')
    machine.project("z = 1")
    with pytest.raises(PolicyError) as error:
        machine.policy()
    told = ["unknown key `x`", "there is no preset `pyhton`", "unknown key `y`", "unknown key `z`"]
    assert messages(error) == told
    assert error.value.status == 125


# --- presets -----------------------------------------------------------------------------------


def test_an_unknown_preset_is_told_at_its_place_with_a_guess(machine):
    machine.user('use = ["claude", "pyhton"]')
    with pytest.raises(PolicyError) as error:
        machine.policy()
    (problem,) = error.value.diagnostics
    assert problem.message == "there is no preset `pyhton`"
    assert problem.hint == "did you mean `python`?"
    assert (problem.span.line, problem.span.column) == (1, 18)
    machine.user("")
    with pytest.raises(UsageError, match="no preset `x-x`"):
        machine.policy(use=("x-x",))


def test_an_agent_brings_its_preset_and_those_of_the_operators_toolchains(machine, tool):
    machine.host = replace(machine.host, path=(tool("bin", "git"), tool("bin", "cargo")))
    assert machine.policy("/usr/local/bin/claude").use == ("claude", "git", "rust")
    assert machine.policy("claude-evil").use == ()
    assert machine.policy("true").use == ()


def test_the_workspace_never_chooses_presets(machine, tool):
    (machine.workspace / "package.json").write_text("{}")
    inside = tool(os.path.relpath(machine.workspace / "bin", machine.root), "node")
    machine.host = replace(machine.host, path=(inside, "bin", "."))
    assert machine.policy("claude").use == ("claude",)


def test_use_anywhere_ends_the_choosing(machine):
    machine.user('use = ["git"]')
    assert machine.policy("claude").use == ("git",)
    assert machine.policy("claude", use=("claude",)).use == ("claude", "git")
    machine.user("use = []")
    assert machine.policy("claude").use == ()
    machine.user("")
    assert machine.policy("claude", use=("none",)).use == ()


def test_use_of_an_untrusted_project_does_not_end_it(machine):
    machine.project('use = ["github-read"]')
    assert machine.policy("claude").use == ("claude",)


def test_the_public_index_is_read_only(machine):
    policy = machine.policy(use=("python",))
    assert hosts(policy) == ["pypi.org", "files.pythonhosted.org"]
    assert {rule.methods for rule in policy.egress.allow} == {("GET", "HEAD")}


def test_the_operators_own_index_takes_the_public_ones_place(machine):
    def indexes(tools: tuple[str, ...], workspace: str) -> Found:
        assert (tools, workspace) == (("pip",), str(machine.workspace))
        mirror = Index(tool="pip", scheme="http", host="mirror.test", port=8080)
        return Found(
            indexes=(mirror,),
            replaced=("pip",),
            folders=("/opt/wheels",),
            notes=("a note",),
            environment=(("PIP_INDEX_URL", "http://mirror.test:8080/simple"),),
        )

    policy = effective(machine.host, str(machine.workspace), command="claude", indexes=indexes)
    assert "pypi.org" not in hosts(policy)
    machine.user('use = ["python"]')
    policy = effective(machine.host, str(machine.workspace), indexes=indexes)
    (rule,) = policy.egress.allow
    assert (rule.host, rule.ports, rule.schemes, rule.methods) == (
        "mirror.test",
        (8080,),
        ("http",),
        ("GET", "HEAD"),
    )
    assert rule.origin == "preset python (your pip index)"
    assert rule.private
    assert policy.files.read == ("/opt/wheels",)
    assert dict(policy.environment.set)["PIP_INDEX_URL"] == "http://mirror.test:8080/simple"
    assert policy.notes == ("a note",)


# --- the command line --------------------------------------------------------------------------


def test_the_command_line_is_checked_like_a_file(machine):
    with pytest.raises(UsageError) as error:
        machine.policy(
            allow=("a.test:99999", "*.ok.test"), memory="2X", cpus="many", credentials=("k=nowhere",)
        )
    text = error.value.render()
    for expected in (
        "--allow: `99999`: a port",
        "--memory: `2X`: a size",
        "--cpus: expected",
        "--credential: `nowhere`",
    ):
        assert expected in text
    with pytest.raises(UsageError, match="NAME=SOURCE"):
        machine.policy(credentials=("k",))


def test_the_command_line_adds_rules_paths_and_limits(machine):
    policy = machine.policy(
        allow=("GET,HEAD https://api.test:8443/v1/**",),
        deny=("*.evil.test",),
        read=("~/x", "/y"),
        write=("/z",),
        accept=("no-seccomp",),
        memory="1G",
        processes="5",
        wall_time="10m",
    )
    (rule,) = policy.egress.allow
    assert (rule.host, rule.ports, rule.methods, rule.paths) == (
        "api.test",
        (8443,),
        ("GET", "HEAD"),
        ("/v1/**",),
    )
    assert policy.egress.deny[0].host == "*.evil.test"
    assert (policy.files.read, policy.files.write, policy.accept) == (("~/x", "/y"), ("/z",), ("no-seccomp",))
    assert (policy.limits.memory, policy.limits.processes, policy.limits.wall_time) == (2**30, 5, 600)


# --- the digest --------------------------------------------------------------------------------


def test_the_digest_is_of_the_meaning_and_not_of_the_files(machine):
    machine.user('[egress]\nallow = ["A.test."]')
    one = machine.policy()
    machine.user('# a comment\n[[egress.allow]]\nhost = "a.test"')
    two = machine.policy()
    assert one.digest == two.digest
    machine.user('[egress]\nallow = ["b.test"]')
    assert machine.policy().digest != one.digest
    assert len(one.digest) == 64


@pytest.mark.guarantee("T1")
def test_a_project_that_nobody_trusted_has_no_say_in_containers(machine):
    machine.user('[container]\nengine = "podman"\nimage = "mine:1"')
    machine.project('[container]\nengine = "docker"\nimage = "theirs:1"\nruntime = "crun"')
    policy = machine.policy()
    assert (policy.container.engine, policy.container.image, policy.container.runtime) == (
        "podman",
        "mine:1",
        "",
    )
    for what in ("engine", "image", "runtime"):
        assert f"container.{what}" in policy.notes[0]


def test_what_the_managed_policy_says_of_containers_holds(machine):
    machine.managed('[container]\nimage = "ours@sha256:' + "a" * 64 + '"')
    machine.user('[container]\nimage = "mine"\nengine = "podman"')
    policy = machine.policy()
    assert policy.container.image == "ours@sha256:" + "a" * 64
    assert policy.container.engine == "podman"


@pytest.mark.parametrize(
    "value", ["-x", "a b", "a@sha256:12", "a@md5:" + "a" * 64, "a//b", "a?b=c", "a\\u0000"]
)
def test_what_is_no_image_is_refused(machine, value):
    machine.user(f'[container]\nimage = "{value}"')
    with pytest.raises(PolicyError):
        machine.policy()


@pytest.mark.parametrize("value", ["-x", "../x", "/usr/bin/runc", "a b"])
def test_what_is_no_runtime_is_refused(machine, value):
    machine.user(f'[container]\nruntime = "{value}"')
    with pytest.raises(PolicyError):
        machine.policy()
