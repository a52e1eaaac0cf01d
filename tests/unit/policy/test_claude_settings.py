"""Claude Code's settings files: what they come to, and what they never do."""

import json
from pathlib import Path

import pytest

from ringfence.errors import PolicyError
from ringfence.policy.importers import claude_code, losses


class Files:
    """All places where settings may lie."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.project = root / "project"
        self.config = root / "home/.claude"
        self.managed = root / "etc"
        self.trusted: set[str] = set()

    def write(self, path: Path, content: object) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        path.chmod(0o644)
        return path

    def put(self, scope: str, **permissions: object) -> Path:
        """Write the permissions of one scope; what starts with `_` stands beside them."""
        places = {
            "managed": self.managed / "managed-settings.json",
            "drop-in": self.managed / "managed-settings.d/10-x.json",
            "local": self.project / ".claude/settings.local.json",
            "project": self.project / ".claude/settings.json",
            "user": self.config / "settings.json",
        }
        beside = {name[1:]: permissions.pop(name) for name in [*permissions] if name[0] == "_"}
        return self.write(places[scope], {"permissions": permissions, **beside})

    def read(self, *named: Path) -> claude_code.InForce:
        where = claude_code.places(
            project=str(self.project),
            config=str(self.config),
            managed=str(self.managed),
            named=map(str, named),
        )
        return claude_code.in_force(where, lambda path, _digest: path in self.trusted)

    def rules(self) -> list[tuple[str, str, str]]:
        return [(one.scope, one.effect, one.text) for one in self.read().rules]


@pytest.fixture
def files(tmp_path):
    return Files(tmp_path)


def test_rules_of_all_scopes_add_up(files):
    for scope in ("managed", "local", "project", "user"):
        files.put(scope, allow=[f"Bash({scope} *)"], deny=[f"Bash(no-{scope} *)"])
    files.trusted = {
        str(files.project / ".claude/settings.json"),
        str(files.project / ".claude/settings.local.json"),
    }
    assert files.rules() == [
        ("managed", "deny", "Bash(no-managed *)"),
        ("managed", "allow", "Bash(managed *)"),
        ("local", "deny", "Bash(no-local *)"),
        ("local", "allow", "Bash(local *)"),
        ("project", "deny", "Bash(no-project *)"),
        ("project", "allow", "Bash(project *)"),
        ("user", "deny", "Bash(no-user *)"),
        ("user", "allow", "Bash(user *)"),
    ]


@pytest.mark.guarantee("T1")
@pytest.mark.parametrize("scope", ["project", "local"])
def test_a_repository_that_nobody_trusts_denies_and_asks_and_allows_nothing(files, scope):
    files.put(
        scope, allow=["Bash"], ask=["Bash(a)"], deny=["Bash(b)"], defaultMode="bypassPermissions",
        additionalDirectories=["/"],
    )  # fmt: skip
    found = files.read()
    assert [(one.effect, one.text) for one in found.rules] == [("deny", "Bash(b)"), ("ask", "Bash(a)")]
    assert (found.mode, found.directories) == ("default", ())
    assert "what it allows does not count: to trust it: ringfence trust" in found.notes[0]


@pytest.mark.guarantee("T2")
def test_only_managed_rules_allow_where_the_lock_says_so(files):
    files.put("managed", allow=["Bash(make *)"], _allowManagedPermissionRulesOnly=True)
    files.put("user", allow=["Bash"], deny=["Bash(rm *)"], additionalDirectories=["/x"])
    found = files.read()
    assert [one.text for one in found.rules] == ["Bash(make *)", "Bash(rm *)"]
    assert found.directories == ()
    assert found.locks == ("allowManagedPermissionRulesOnly",)


@pytest.mark.guarantee("T2")
@pytest.mark.parametrize("scope", ["project", "local", "user"])
def test_a_lock_counts_in_managed_files_only_and_nobody_below_opens_it(files, scope):
    files.put(scope, allow=["Bash"], _allowManagedPermissionRulesOnly=False)
    files.put("managed", _allowManagedPermissionRulesOnly="yes")  # anything but false is meant to lock
    assert files.rules() == []
    files.put("managed")
    files.put(scope, _allowManagedPermissionRulesOnly=True)
    assert files.read().locks == ()


def test_the_last_drop_in_has_the_say(files):
    files.put("managed", defaultMode="plan", _allowManagedPermissionRulesOnly=False)
    files.put("drop-in", defaultMode="dontAsk", _allowManagedPermissionRulesOnly=True)
    found = files.read()
    assert (found.mode, found.locks) == ("dontAsk", ("allowManagedPermissionRulesOnly",))


@pytest.mark.parametrize("scope", ["managed", "user", "project"])
def test_bypassing_is_switched_off_by_any_scope(files, scope):
    files.put("user", defaultMode="bypassPermissions")
    assert files.read().mode == "bypassPermissions"
    mode = {"defaultMode": "bypassPermissions"} if scope == "user" else {}
    files.put(scope, disableBypassPermissionsMode="disable", **mode)
    found = files.read()
    assert (found.mode, found.bypass) == ("default", False)


def test_the_highest_scope_sets_the_mode(files):
    files.put("user", defaultMode="acceptEdits")
    files.put("project", defaultMode="plan")
    assert files.read().mode == "plan"


@pytest.mark.guarantee("H3")
@pytest.mark.parametrize("scope", ["managed", "drop-in", "user", "project", "local"])
@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"permissions": []}',
        '{"permissions": {"deny": "Bash(curl *)"}}',
        '{"permissions": {"denny": ["Bash(curl *)"]}}',
        '{"permissions": {"deny": ["Bash(curl"]}}',
        '{"permissions": {"deny": [7]}}',
        '{"permissions": {"deny": ["A"], "deny": []}}',
        '{"permissions": {"defaultMode": "yolo"}}',
    ],
)
def test_a_file_that_may_hold_a_denial_nobody_reads_stops_everything(files, scope, text):
    path = files.put(scope)
    path.write_text(text)
    with pytest.raises(PolicyError) as error:
        files.read()
    assert str(path) in str(error.value.render())


def test_what_allows_and_cannot_be_read_grants_nothing(files):
    files.put("user", allow=["Bash(x", "mcp__*", 7, "Bash(y)"])
    found = files.read()
    assert [one.text for one in found.rules] == ["Bash(y)"]
    assert len(found.notes) == 3


def test_a_repositorys_settings_are_not_followed_elsewhere(files):
    other = files.write(files.root / "other.json", {"permissions": {"allow": ["Bash"]}})
    files.project.joinpath(".claude").mkdir(parents=True)
    files.project.joinpath(".claude/settings.json").symlink_to(other)
    with pytest.raises(PolicyError):
        files.read()


def test_a_file_that_is_named_has_to_be_there(files):
    named = files.write(files.root / "x/s.json", {"permissions": {"allow": ["Read(/a)"]}})
    assert [(one.scope, one.base) for one in files.read(named).rules] == [
        ("command line", str(files.root / "x"))
    ]
    with pytest.raises(PolicyError):
        files.read(files.root / "missing.json")


@pytest.mark.parametrize(
    ("scope", "base"), [("managed", "project"), ("project", "project"), ("user", "home/.claude")]
)
def test_a_path_starts_from_the_place_of_its_settings(files, scope, base):
    files.put(scope, deny=["Read(/a)"])
    assert [one.base for one in files.read().rules] == [str(files.root / base)]


# --- taken over into a policy


def test_the_tables_mean_the_same_elsewhere(files):
    files.put(
        "user", allow=["Bash(npm run *)", 'Bash(echo "a\\b")'], deny=["Read(/secrets/**)", "Read(~/.ssh/**)"],
        ask=["WebFetch"], defaultMode="dontAsk",
        _sandbox={"network": {"allowedDomains": ["a.test", "*.B.test"], "deniedDomains": ["c.test"]}},
    )  # fmt: skip
    text = losses.tables(files.read())
    import tomllib

    found = tomllib.loads(text)
    assert found["commands"] == {
        "deny": [f"Read(/{files.config}/secrets/**)", "Read(~/.ssh/**)"],
        "ask": ["WebFetch"],
        "allow": ["Bash(npm run *)", 'Bash(echo "a\\b")'],
        "default": "deny",
    }
    assert found["egress"] == {"deny": ["c.test"], "allow": ["a.test", "*.b.test"]}


def test_what_is_lost_is_told(files):
    files.put(
        "user", deny=["Write(src/**)"], additionalDirectories=["/x"], defaultMode="acceptEdits",
        _hooks={}, _env={}, _strange=1,
    )  # fmt: skip
    found = files.read()
    told = "\n".join((*found.notes, *losses.lost(found)))
    for word in ("Edit(src/**)", "mode acceptEdits", "directory /x", "hooks", "[environment.set]", "strange"):
        assert word in told, word
