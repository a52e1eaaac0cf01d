"""Each risk fires on what it is about, and is silent about what only looks like it."""

import hashlib
import time

import pytest

from ringfence.workspace import risks
from ringfence.workspace.content import Content
from ringfence.workspace.layers import (
    ADDED,
    CHANGED,
    DELETED,
    DIRECTORY,
    FILE,
    LINK,
    OTHER,
    RENAMED,
    TYPE,
    Change,
    Entry,
)  # fmt: skip
from ringfence.workspace.pairing import TWIN
from ringfence.workspace.risks import finding

BY_NAME = {risk.NAME: risk for risk in risks.RISKS}


def entry(data, mode=0o644, **more):
    if data is None:
        return None
    return Entry(
        **{"kind": FILE, "mode": mode, "size": len(data), "digest": hashlib.sha256(data).hexdigest(), **more}
    )


def case(path, after=b"x\n", before=None, mode=0o644, old_mode=0o644, **more):
    """Return one change of a file and its content."""
    path, before, after = (one.encode() if isinstance(one, str) else one for one in (path, before, after))
    kind = ADDED if before is None else DELETED if after is None else CHANGED
    change = Change(
        **{"path": path, "kind": kind, "before": entry(before, old_mode), "after": entry(after, mode), **more}
    )
    return change, Content(before, after)


def link(path, target):
    after = Entry(kind=LINK, mode=0o777, target=target.encode())
    return Change(path=path.encode(), kind=ADDED, after=after), Content(None, target.encode())


def moved(old, new, data=b"x\n"):
    change = Change(
        path=new.encode(), source=old.encode(), kind=RENAMED, before=entry(data), after=entry(data)
    )
    return change, Content(data, data)


def other(path, target=b"fifo"):
    return Change(path=path, kind=ADDED, after=Entry(kind=OTHER, mode=0o644, target=target)), Content(
        None, None
    )


def folder(path):
    return Change(path=path.encode(), kind=ADDED, after=Entry(kind=DIRECTORY, mode=0o755)), Content(
        None, None
    )


PACKAGE = '{"name": "x", "version": "1", "scripts": {"test": "jest"}, "dependencies": {"a": "1"}}'
LOCK = '"resolved": "https://registry.npmjs.org/a/-/a-1.tgz",\n"integrity": "sha512-x"\n'
TESTS = "def test_a():\n    assert f() == 1\n    assert g() == 2\n\ndef test_b():\n    assert h()\n"

# risk -> (changes in which it is found, changes in which it is not)
CASES = {
    "git configuration": (
        [
            case(".git/hooks/pre-commit"), case(".git/config", "x", "y"), case(".gitmodules"), case("sub/.gitattributes"),
            case(".GIT/Hooks/post-checkout"), case(".git/modules/lib/config"), case(".git/worktrees/w/gitdir"),
            case(".git/info/attributes"), case(".g\u200cit/hooks/pre-push"), case("git~1/config"), case(".git./hooks/x"),
            moved("safe/pre-commit", ".git/hooks/pre-commit"), case(".git/hooks/old", None, "gone"),
            case(".git/objects/info/alternates"),
        ],
        [case(".github/ISSUE_TEMPLATE.md"), case("docs/git/hooks.md"), case(".git/objects/ab/cdef"), case(".gitignore")],
    ),
    "git state": (
        [case(".git/refs/heads/main"), case(".git/HEAD"), case(".git/index"), case(".git/packed-refs")],
        [case(".git/objects/ab/cdef"), case(".git/logs/HEAD"), case("src/index"), case("refs/heads")],
    ),
    "nested repository": (
        [
            case("vendor/lib/.git/HEAD"), case("vendor/lib/.git", "gitdir: ../../x"), case("data/HEAD", "ref: refs/heads/main\n"),
            case("data/config", "[core]\n\tfsmonitor = evil\n"), case(".git", "gitdir: /elsewhere"),
        ],
        [case("src/head", "<head>"), case("etc/config", "key = 1\n"), case(".git/config", "[core]\n", "[core]\n\n")],
    ),
    "hook manager": (
        [case(".pre-commit-config.yaml"), case(".husky/pre-commit"), case("lefthook.yml", "a", "b")],
        [case("docs/pre-commit.md"), case("husky.txt")],
    ),
    "CI workflow": (
        [
            case(".github/workflows/ci.yml"), case(".gitlab-ci.yml"), case("Jenkinsfile"), case(".circleci/config.yml"),
            case(".github/actions/x/action.yml"), case("azure-pipelines.yml"), case(".drone.yml"), case(".travis.yml"),
            case("bitbucket-pipelines.yml"), case(".buildkite/pipeline.yml"), case(".forgejo/workflows/a.yaml"),
            case(".github/dependabot.yml"),
        ],
        [case(".github/ISSUE_TEMPLATE/bug.md"), case("src/workflows/a.py"), case("ci.md")],
    ),
    "agent settings": (
        [
            case(".claude/settings.json"), case("CLAUDE.md"), case("sub/AGENTS.md"), case(".cursor/rules/a.mdc"), case(".codex/config.toml"),
            case(".gemini/settings.json"), case("skills/x/SKILL.md"), case(".github/copilot-instructions.md"), case(".cursorrules"),
            case("a/.windsurf/rules.md"), case("GEMINI.md"),
        ],
        [case("docs/claude-code.md"), case("src/agents.py"), case("README.md")],
    ),
    "MCP server": ([case(".mcp.json"), case("cfg/mcp.json")], [case("src/mcp.py"), case("mcp.md")]),
    "editor settings": (
        [
            case(".vscode/tasks.json"), case(".idea/workspace.xml"), case("x.code-workspace"), case(".zed/tasks.json"), case(".nvim.lua"),
            case(".exrc"), case(".dir-locals.el"), case(".VSCode/launch.json"),
        ],
        [case(".editorconfig"), case("src/vscode.ts")],
    ),
    "shell start-up": (
        [case(".envrc"), case(".bashrc"), case(".tool-versions"), case("mise.toml"), case(".env"), case(".zshenv"), case("flake.nix")],
        [case("src/env.py"), case("bashrc.md")],
    ),
    "ringfence policy": ([case("ringfence.toml"), case("ringfence.json")], [case("docs/ringfence.md")]),
    "link": (
        [
            link("a", "/etc/passwd"), link("src/a", "../../x"), link("a", ".git/hooks"), link("a", "x/../../y"), link("k", ".ssh"),
            (
                Change(
                    path=b"src", kind=TYPE, before=Entry(kind=DIRECTORY, mode=0o755),
                    after=Entry(kind=LINK, mode=0o777, target=b"lib"),
                ),
                Content(None, b"lib"),
            ),
        ],
        [link("a", "b"), link("src/a", "../lib/b"), case("a")],
    ),
    "special file": ([other(b"pipe"), other(b"disk", b"block device 8:0")], [case("pipe"), folder("dir")]),
    "permission": (
        [
            case("a", mode=0o4755), case("a", mode=0o2755), case("a", mode=0o666),
            (Change(path=b"a", kind=ADDED, after=entry(b"x", attributes=("security.capability",))), Content(None, b"x")),
        ],
        [case("a", mode=0o755), case("a", mode=0o666, before="y", old_mode=0o666), link("a", "b")],
    ),
    "new executable": (
        [
            case("run", mode=0o755), case("run", "x", "y", mode=0o755), case("lib.bin", b"\x7fELF\2\1"),
            case("tool", b"#!/bin/sh\necho\n"), case("prog", b"\x7fELF1", b"\x7fELF0", mode=0o755, old_mode=0o755),
        ],
        [case("a.txt"), case("run", "x", "y", mode=0o755, old_mode=0o755)],
    ),
    "misleading name": (
        [
            case(b"a\x1b[2Kb"), case("photo\u202egpj.exe"), case(b"\xff\xfe"), case("m\u0430in.py"), case("a\\b"), case("con.txt"),
            case("trailing."), case("-rf"), case("a\nb"), case("x.txt:stream"), case("git~2"),
            case("Readme", notes=(f"{TWIN}'README'",)),
        ],
        [case("caf\u00e9.txt"), case("a-b.txt"), case("console.txt"), case(b"\xff", None, "x")],
    ),
    "hidden text": (
        [
            case("a.py", "x = 1 # \u202e evil\n"), case("a.py", "a\u200bb = 1\n"), case("a.py", b"ok\x1b[2K\n"),
            case("a.py", "p\u0430ss = 1\n"), case("a.py", b"a\rb\n"), case("a.py", "x\U000e0041\n"),
        ],
        [
            case("a.py", "caf\u00e9\n"), case("a.py", b"a\r\nb\r\n"), case("a.py", "x # \u202e\ny\n", "x # \u202e\n"),
            case("img", bytes(range(256)) * 4),
        ],
    ),
    "not shown": (
        [
            (Change(path=b"big", kind=ADDED, after=entry(b"x")), Content(None, None, large=True)),
            case("a.py", bytes(range(256)) * 4, "print(1)\n"), case("s", b"#!" + bytes(range(256)) * 4),
        ],
        [case("img.png", bytes(range(256)) * 4), case("a.py")],
    ),
    "Python start-up": ([case("x.pth"), case("lib/sitecustomize.py"), case("pyvenv.cfg")], [case("path.py")]),
    "test start-up": ([case("conftest.py"), case("sub/conftest.py", "a", "b"), case("tox.ini"), case("noxfile.py")], [case("test_a.py")]),
    "Python package": (
        [
            case("setup.py"), case("pyproject.toml", '[build-system]\nrequires = ["evil"]\n'),
            case("pyproject.toml", '[project]\nname = "x"\ndependencies = ["evil"]\n', '[project]\nname = "x"\ndependencies = []\n'),
            case("pyproject.toml", '[project.scripts]\nx = "x:main"\n', "[project.scripts]\n"), case("pip.conf"),
            case("setup.cfg", "[options]\ninstall_requires =\n  evil\n"),
        ],
        [
            case("pyproject.toml", '[project]\nname = "x"\nversion = "2"\n', '[project]\nname = "x"\nversion = "1"\n'), case("src/a.py"),
        ],
    ),
    "package.json": (
        [
            case("package.json", PACKAGE.replace("jest", "jest; evil"), PACKAGE), case("package.json", PACKAGE),
            case("package.json", PACKAGE.replace('"1"}', '"evil@1"}'), PACKAGE), case("package.json", "{not json", PACKAGE),
            case(".npmrc"), case("sub/package.json", PACKAGE.replace('"scripts"', '"bin": "x", "scripts"'), PACKAGE),
        ],
        [case("package.json", PACKAGE.replace('"version": "1"', '"version": "2"'), PACKAGE), case("package.md")],
    ),
    "make target": ([case("Makefile"), case("justfile"), case("Taskfile.yml"), case("rules.mk")], [case("make.py"), folder("configure")]),
    "build script": (
        [case("build.rs"), case("build.gradle.kts"), case("pom.xml"), case("CMakeLists.txt"), case("x.gemspec"), case(".cargo/config.toml")],
        [case("src/build_it.py"), case("pom.md")],
    ),
    "settings that run code": (
        [case("vite.config.ts"), case("gulpfile.js"), case("docs/conf.py"), case("tailwind.config.js")],
        [case("config.json"), case("src/config.js")],
    ),
    "build wrapper": (
        [case("gradlew"), case("gradle/wrapper/gradle-wrapper.properties"), case(".mvn/wrapper/x"), case(".yarn/releases/yarn.cjs")],
        [case("wrapper.py")],
    ),
    "installed code": (
        [
            case(".venv/bin/python"), case("node_modules/.bin/eslint"), case("lib/site-packages/x.py"), case("a/__pycache__/b.cpython-311.pyc"),
            case("native.so"), case("x.jar"),
        ],
        [case("src/modules.py"), case("venv.md")],
    ),
    "lock file": (
        [
            case("package-lock.json", LOCK.replace("registry.npmjs.org", "evil.example"), LOCK), case("package-lock.json", LOCK),
            case("go.mod", "module x\nreplace a => ../b\n", "module x\n"), case("requirements.txt", "--index-url https://evil/\n"),
            case("poetry.lock", 'url = "https://evil.example/x"\n', "# none\n"), case("uv.lock", "x", 'hash = "sha256:1"\n'),
            case("Cargo.lock", 'source = "git+https://evil.example/x"\n', 'source = "registry+https://github.com/"\n'),
        ],
        [
            case("package-lock.json", LOCK.replace("a-1.tgz", "a-2.tgz"), LOCK), case("requirements.txt", "a==2\n", "a==1\n"), case("a.txt"),
        ],
    ),
    "container build": (
        [case("Dockerfile"), case("compose.yml"), case(".devcontainer/devcontainer.json"), case("docker-compose.prod.yaml"), case("api.dockerfile")],
        [case("docker.md"), case("src/compose.py")],
    ),
    "deployment": ([case("main.tf"), case("deploy.sh"), case("serverless.yml"), case("ansible/play.yml")], [case("deploy.md")]),
    "protected name": ([case(".claude.json"), case(".gitconfig"), case("x/.fleet/run.json")], [case("src/a.py")]),
    "tests deleted": (
        [
            case("tests/test_a.py", None, TESTS), case("src/a_test.go", None, "x"), case("a.spec.ts", None, "x"),
            case("tests/test_a.py", TESTS.replace("def test_b", "def b"), TESTS), moved("tests/test_a.py", "old/a.py"),
        ],
        [
            case("src/a.py", None, "x"), case("tests/test_a.py", TESTS + "\ndef test_c(): pass\n", TESTS),
            moved("tests/test_a.py", "tests/test_b.py"), case("tests/test_a.py", TESTS.replace("test_b", "test_c"), TESTS),
        ],
    ),
    "tests skipped": (
        [
            case("tests/test_a.py", "@pytest.mark.skip\n" + TESTS, TESTS), case("a.test.js", "it.only('x', f)\n"), case("a.spec.js", "xit('x', f)\n"),
            case("a_test.go", "\tt.Skip()\n"), case("tests/test_a.py", "    self.skipTest('x')\n"), case("x.rs", "#[ignore]\n"),
            case("Tests.java", "@Disabled\n"), case("pytest.ini", "addopts = --deselect tests/test_a.py\n"),
        ],
        [case("src/a.py", "skip = 1\n"), case("a.js", "exit(1)\n"), case("tests/test_a.py", None, "@pytest.mark.skip\n")],
    ),
    "assertions removed": (
        [
            case("tests/test_a.py", TESTS.replace("    assert g() == 2\n", ""), TESTS), case("tests/test_a.py", TESTS.replace("h()", "True"), TESTS),
            case("a.test.js", "x\n", "expect(a).toBe(1)\n"), case("a_test.go", "x\n", '\tt.Errorf("x")\n'),
        ],
        [
            case("tests/test_a.py", TESTS.replace("== 2", "== 3"), TESTS), case("src/a.py", "x\n", "assert x\n"),
            case("tests/test_a.py", TESTS + "    assert i()\n", TESTS),
        ],
    ),
    "checks off": (
        [
            case("a.py", "import x  # noqa\n"), case("a.py", "x = y  # type: ignore[attr]\n"), case("a.js", "// eslint-disable-next-line\n"),
            case("a.ts", "// @ts-nocheck\n"), case("a.py", "f()  # nosec\n"), case("a.go", "x() //nolint:errcheck\n"), case("a.rs", "#![allow(unused)]\n"),
            case("a.java", '@SuppressWarnings("all")\n'), case("a.py", "# pragma: no cover\n"), case("a.sh", "# shellcheck disable=SC2086\n"),
        ],
        [case("a.py", "noqa = 1\n"), case("a.py", "x\n", "x  # noqa\n"), case("a.py", "# ignore this\n")],
    ),
    "check settings": (
        [
            case(".eslintrc.json"), case("ruff.toml"), case("mypy.ini"), case(".coveragerc"), case("CODEOWNERS"),
            case("pyproject.toml", "[tool.ruff]\nignore = []\n", "[tool.ruff]\n"), case("pyproject.toml", "[tool.mypy]\n", "[tool.mypy]\nstrict = true\n"),
        ],
        [case("src/ruff.py"), case("pyproject.toml", '[project]\nversion = "2"\n', '[project]\nversion = "1"\n')],
    ),
    "threshold lowered": (
        [
            case("pyproject.toml", "fail_under = 50\n", "fail_under = 90\n"), case("tox.ini", "pytest --cov-fail-under=10\n", "pytest --cov-fail-under=80\n"),
            case("jest.json", '"branches": 10,\n', '"branches": 80,\n'), case("pyproject.toml", "x = 1\n", "fail_under = 90\n"),
        ],
        [
            case("pyproject.toml", "fail_under = 95\n", "fail_under = 90\n"), case("a.py", "lines = 2\n", "lines = 3\n"), case("a.toml", "fail_under = 1\n"),
        ],
    ),
    "security off": (
        [
            case("a.py", "requests.get(u, verify=False)\n"), case("a.sh", "git commit --no-verify\n"), case("a.go", "InsecureSkipVerify: true\n"),
            case("a.js", "rejectUnauthorized: false\n"), case("a.sh", "curl -sk https://x\n"), case("a.sh", "ssh -o StrictHostKeyChecking=no h\n"),
            case("a.yml", "privileged: true\n"), case("a.py", "ssl._create_unverified_context()\n"), case("a.sh", "chmod -R 777 .\n"),
            case("a.sh", "claude --dangerously-skip-permissions\n"), case("a.sh", "npm config set strict-ssl false\n"),
        ],
        [case("a.py", "requests.get(u, verify=True)\n"), case("a.sh", "curl -s https://x\n"), case("a.py", "x\n", "verify=False\n")],
    ),
}  # fmt: skip

FIRES = [(name, *one) for name, (fires, _) in CASES.items() for one in fires]
SILENT = [(name, *one) for name, (_, silent) in CASES.items() for one in silent]


def label(value):
    return repr(value.path) if isinstance(value, Change) else value if isinstance(value, str) else ""


def test_every_risk_has_its_cases():
    assert set(CASES) == set(BY_NAME)
    assert all(fires and silent for fires, silent in CASES.values())


@pytest.mark.guarantee("V4")
@pytest.mark.parametrize(("name", "change", "content"), FIRES, ids=label)
def test_a_risk_is_found(name, change, content):
    found = list(BY_NAME[name].look(change, content))
    assert found, f"{name} is silent about {change.path!r}"
    for one in found:
        assert one.risk == name
        assert one.path == change.path
        assert (one.why + one.excerpt).isprintable()


@pytest.mark.parametrize(("name", "change", "content"), SILENT, ids=label)
def test_a_risk_is_silent_about_what_only_looks_like_it(name, change, content):
    assert list(BY_NAME[name].look(change, content)) == []


def test_all_risks_together_leave_an_honest_change_alone():
    change, content = case(
        "src/app/views.py", "def f(x):\n    return x + 2\n", "def f(x):\n    return x + 1\n"
    )
    assert risks.look(change, content) == ()
    assert risks.look(*case("docs/guide.md", "# Guide\n")) == ()
    assert risks.look(*case("tests/test_new.py", TESTS)) == ()


def test_a_thousand_findings_in_one_file_are_counted_not_hidden():
    found = list(BY_NAME["checks off"].look(*case("a.py", "x()  # noqa\n" * 1000)))
    assert len(found) == finding.MOST_A_FILE + 1
    assert found[-1].why.endswith(f"{1000 - finding.MOST_A_FILE} more lines")


def test_every_risk_names_itself_and_its_group():
    for risk in risks.RISKS:
        assert risk.GROUP in risks.GROUPS
        assert risk.NAME
        assert risk.DOC.endswith(".")
        assert len({one.NAME for one in risks.RISKS}) == len(risks.RISKS)


def test_an_excerpt_is_escaped_and_short():
    found = next(BY_NAME["hidden text"].look(*case("a.py", "\u202e" + "x" * 5000 + "\n")))
    assert found.excerpt.startswith("<U+202E>")
    assert len(found.excerpt) <= finding.LONGEST_EXCERPT + 1


HOSTILE = [
    b"x" * 100_000,
    b" " * 100_000,
    b"a:" * 50_000,
    b"curl " * 20_000,
    b"://" * 30_000,
    b"self.assert" * 10_000,
    *(word.encode() + b" " * 50_000 + b"!" for word in ("lines", "verify", "gpgsign", "strict-ssl", "safe.directory", "#", "@")),
    *(f"{word} ".encode() * 10_000 for word in ("lines", "verify", "gpgsign", "strict-ssl", "# pragma:", "assert", "//eslint", "expect(")),
    b"[" * 80_000,
    b'{"a":' * 15_000,
    "\u0430".encode() * 100_000,
]  # fmt: skip


@pytest.mark.parametrize("path", ["tests/test_a.py", "package.json", "poetry.lock", "pyproject.toml"])
def test_no_line_makes_a_risk_slow(path):
    began = time.process_time()
    for line in HOSTILE:
        risks.look(*case(path, line + b"\n", b"lines = 1\n" + line[:-2] + b"\n"))
    assert time.process_time() - began < 20
