"""Path rules: denials fire on every end of every way to a file, permissions need both."""

import pytest

from paper import Files
from ringfence.policy import toolrules
from ringfence.shell.facts import LIST, READ, WRITE, Access, Value
from ringfence.verdict import access as accesses
from ringfence.verdict.access import PathBook
from ringfence.verdict.paths import Sight

WORLD = {
    "/w/.env": None,
    "/w/sub/.env": None,
    "/w/README.md": None,
    "/w/secrets/token": None,
    "/w/src/a.py": None,
    "/w/src/b.py": None,
    "/w/link_env": ".env",
    "/w/far": "/etc",
    "/w/docs": "src",
    "/w/loop": "loop",
    "/w/up": "..",
    "/h/.ssh/id_rsa": None,
    "/etc/passwd": None,
}


def looked(
    text, *, deny=(), ask=(), allow=(), kind=READ, folder="/w", certainty="known", tree=False, **world
):
    rules = toolrules.read(allow, ask, deny, base="/w/.claude").rules
    files = Files(WORLD, **world)
    sight = Sight(files, "/w", "/h")
    access = Access(
        kind=kind, path=Value(text=text, certainty=certainty), folder=folder, origin="operand", tree=tree
    )
    return accesses.look(access, sight, PathBook(rules, "/w", "/h"))


SPELLINGS = [
    ".env", "./.env", "/w/.env", "//w//.env", "src/../.env", "/w/./src/.././.env", "link_env", "docs/../.env",
    "sub/.env", "/proc/self/root/w/.env", "/proc/self/cwd/.env", "/proc/1/root/w/.env", "/proc/thread-self/cwd/.env",
    "/proc/self/task/7/root/w/.env", "far/../w/.env", "up/w/.env", "../w/.env", ".env/",
]  # fmt: skip


@pytest.mark.parametrize("rule", ["Read(./.env)", "Read(.env)", "Read(**/.env)", "Read(//w/**/.env)", "Read"])
@pytest.mark.parametrize("text", SPELLINGS)
def test_a_denied_file_is_denied_however_it_is_spelled(rule, text):
    assert looked(text, deny=[rule]).deny is not None


@pytest.mark.parametrize("text", ["README.md", ".env2", "x.env", "src/a.py", ".envrc", "env"])
def test_its_neighbours_are_not(text):
    look = looked(text, deny=["Read(.env)"])
    assert look.deny is None
    assert not look.risk


@pytest.mark.parametrize(
    ("rule", "text", "denied"),
    [
        ("Read(secrets/**)", "secrets/token", True),
        ("Read(secrets/**)", "src/secrets/x", True),
        ("Read(./secrets/**)", "secrets", True),
        ("Read(secrets)", "secrets/token", True),
        ("Read(secrets/)", "secrets/token", True),
        ("Read(src/secrets/**)", "secrets/token", False),
        ("Read(*.py)", "src/a.py", True),
        ("Read(src/*.py)", "src/sub/a.py", False),
        ("Read(src/**/*.py)", "src/sub/deep/a.py", True),
        ("Read(src/[ab].py)", "src/b.py", True),
        ("Read(src/[!a].py)", "src/a.py", False),
        ("Read(src/?.py)", "src/aa.py", False),
        ("Read(~/.ssh/**)", "/h/.ssh/id_rsa", True),
        ("Read(~/.ssh/**)", "/h/.ssh", True),
        ("Read(//h/.ssh/**)", "/h/.ssh/id_rsa", True),
        ("Read(/h/.ssh/**)", "/h/.ssh/id_rsa", False),  # one slash: the folder of the settings
        ("Read(/x)", "/w/.claude/x", True),
        ("Read(\\*)", "src", False),
        ("Read(\\*)", "*", True),
    ],
)
def test_where_a_rule_starts_and_how_far_it_reaches(rule, text, denied):
    assert (looked(text, deny=[rule]).deny is not None) == denied


def test_a_rule_against_reading_is_one_against_writing_too():
    assert looked(".env", deny=["Read(.env)"], kind=WRITE).deny
    assert looked("src/a.py", deny=["Edit(src/**)"], kind=WRITE).deny
    assert not looked("src/a.py", deny=["Edit(src/**)"]).deny


def test_listing_a_folder_is_denied_where_all_in_it_is():
    assert looked("secrets", deny=["Read(secrets/**)"], kind=LIST).deny
    assert not looked(".", deny=["Read(secrets/**)", "Read(.env)"], kind=LIST).deny


@pytest.mark.parametrize("text", [".e?v", ".[e]nv", ".*", "*/token", "s*/t*", "./.en*", "/w/.e?v", "link_*"])
def test_a_pattern_that_comes_to_a_denied_file_is_denied(text):
    assert looked(text, deny=["Read(.env)", "Read(secrets/**)"], certainty="pattern").deny


@pytest.mark.parametrize("text", ["*.md", "src/*.py", "R*", "s*/*.py", "README.*"])
def test_a_pattern_that_cannot_is_not(text):
    look = looked(text, deny=["Read(.env)"], certainty="pattern")
    assert look.deny is None
    assert not look.risk


def test_a_pattern_that_could_once_the_file_is_there_is_asked_about():
    assert looked("src/*.pem", deny=["Read(*.pem)"], certainty="pattern").risk == "near-denied"
    assert looked("nowhere/.e?v", deny=["Read(.env)"], certainty="pattern").risk == "near-denied"


def test_a_folder_that_holds_a_denied_file_is_asked_about_and_one_that_does_not_is_not():
    assert looked(".", deny=["Read(.env)"], tree=True).risk == "near-denied"
    assert looked("sub", deny=["Read(.env)"]).risk == "near-denied"  # a folder: what takes it may read it all
    assert not looked("src", deny=["Read(.env)", "Read(secrets/**)"], tree=True).risk


def test_names_without_case_are_asked_about_or_denied_where_the_file_system_has_none():
    assert looked(".ENV", deny=["Read(.env)"]).risk == "near-denied"
    assert looked(".ENV", deny=["Read(.env)"], case_blind=True).deny


@pytest.mark.parametrize(
    ("allow", "text", "granted"),
    [
        ("Edit(src/**)", "src/new", True),
        ("Edit(src/**)", "docs/new", False),  # a link into it: its own name has no rule
        ("Edit(docs/**)", "docs/new", False),  # and where it leads has none
        ("Edit(**)", "docs/new", True),
        ("Edit(**)", "far/passwd", False),
        ("Edit(**)", "../x", False),
        ("Edit(src/**)", "src/../x", False),
        ("Edit(src/**)", "sub/src/x", False),  # to allow, a folder is this one
        ("Edit(README.md)", "sub/README.md", True),
        ("Edit(./README.md)", "sub/README.md", False),
        ("Edit(//tmp/**)", "/tmp/x", True),
        ("Edit", "/anywhere", True),
        ("Read(src/**)", "src/new", False),
    ],
)
def test_a_permission_covers_the_spelling_and_the_end(allow, text, granted):
    assert (looked(text, allow=[allow], kind=WRITE).allow is not None) == granted


@pytest.mark.parametrize("text", ["/w-evil/x", "../x", "far/passwd", "/", "/etc/passwd", "up", "/w/../w2"])
def test_outside_is_outside(text):
    assert not looked(text).inside


def test_a_way_without_end_is_not_certain():
    assert not looked("loop").certain
    assert not looked("loop/x").certain
    assert not looked("a/" * 3000).certain
    assert not looked("x", folder=None).certain
    assert looked(".env", folder=None, deny=["Read(.env)"]).deny  # wherever it is, it could be here


PROTECTED = [
    ".git/hooks/x", "sub/.git/config", ".GIT/config", ".vscode/tasks.json", ".idea/x", ".husky/pre-commit", ".bashrc",
    ".yarn/releases/y.cjs", ".gitconfig", ".envrc", ".pnp.cjs", ".bazelrc.user", "lefthook.yml", ".mcp.json",
    ".claude/settings.json", "gradle/wrapper/gradle-wrapper.properties", ".config/git/config", ".npmrc", "/h/.zshrc",
    ".devcontainer/devcontainer.json", ".yarnrc.yml", ".pre-commit-config.yaml", "pyrightconfig.json", ".ripgreprc",
]  # fmt: skip


@pytest.mark.parametrize("text", PROTECTED)
def test_what_programs_obey_is_protected_from_writing_only(text):
    assert looked(text, kind=WRITE, allow=["Edit(**)", "Edit"]).risk == "protected-path"
    assert looked(text).risk != "protected-path"


def test_work_trees_of_the_agent_are_ordinary():
    assert not looked(".claude/worktrees/a/b.py", kind=WRITE).risk
    assert looked(".claude/worktrees/a/.git/config", kind=WRITE).risk


@pytest.mark.parametrize(
    "text", ["/h/.ssh/id_rsa", "/h/.aws", "/proc/self/environ", "/proc/7/environ", "/etc/shadow", "/h/.netrc", "/proc/9/fd/3"]
)  # fmt: skip
def test_places_of_secrets_are_asked_about(text):
    assert looked(text, allow=["Read"]).risk == "sensitive-path"


@pytest.mark.parametrize("text", ["/etc/hosts", "/usr/bin/ls", "/boot/x", "/dev/sda"])
def test_the_machine_is_not_written_unasked(text):
    assert looked(text, kind=WRITE, allow=["Edit"]).risk == "system-path"
    assert not looked(text, allow=["Read"]).risk


@pytest.mark.parametrize("text", ["/dev/null", "/dev/stdout", "/dev/stderr", "/dev/fd/1", "/proc/self/fd/1"])
def test_streams_are_no_files(text):
    assert looked(text, kind=WRITE, deny=["Edit"]).free
