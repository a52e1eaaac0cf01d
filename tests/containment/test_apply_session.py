"""What an agent leaves in its copy, taken over by a person: real sessions, real commands, root and ordinary."""

import json
import os
import pty
import select
import subprocess
import time

import pytest
from person import TOP

from landing import tree
from ringfence.cli.git_outside import is_state

LEFT, CONFLICT = 123, 122


@pytest.fixture
def project(person):
    """Return somebody's project, without what other tests look for in one."""
    person.write("project/text", "one\ntwo\nthree\nfour\nfive\nsix\nseven\neight\nnine\nten\n")
    person.write("project/src/code.py", "print(1)\n")
    person.write("project/gone", "gone\n")
    person._own()
    return person


def work(person, script, *options, status=0):
    """Let an agent run a script on a copy; return the session's id."""
    done = person.ringfence("run", "--mode", "overlay", *options, "--", "sh", "-ec", script)
    assert done.returncode == status, done.stderr
    return done


def owners(person, *paths):
    return {os.lstat(f"{person.project}/{path}").st_uid for path in paths}


def content(person, path):
    with open(f"{person.project}/{path}") as file:
        return file.read()


@pytest.mark.guarantee("Y5")
def test_a_change_is_reviewed_applied_and_undone(project):
    before = tree(project.project)
    work(project, "echo 2 > src/code.py; rm gone; mkdir new; echo x > new/file; ln -s file new/link")
    assert tree(project.project) == before
    assert project.ringfence("diff", "--no-pager").returncode == 1
    done = project.ringfence("apply", "--yes")
    assert (done.returncode, done.stderr) == (0, "")
    assert content(project, "src/code.py") == "2\n"
    assert not os.path.exists(f"{project.project}/gone")
    assert os.readlink(f"{project.project}/new/link") == "file"
    assert owners(project, "src/code.py", "new", "new/file", "new/link") == {project.uid}  # O18
    done = project.ringfence("undo")
    assert (done.returncode, done.stderr) == (0, "")
    assert tree(project.project) == before
    done = project.ringfence("undo")
    assert (done.returncode, done.stdout) == (2, "")


def test_undo_finds_the_last_apply_of_the_project(project):
    work(project, "echo 2 > src/code.py")
    assert project.ringfence("apply", "--yes").returncode == 0
    work(project, "echo left for later > src/other.py")  # the last session, of which nothing was applied
    done = project.ringfence("undo")
    assert (done.returncode, done.stderr) == (0, "")
    assert content(project, "src/code.py") == "print(1)\n"
    assert project.ringfence("undo").returncode == 2


@pytest.mark.guarantee("Y6")
def test_what_is_dangerous_waits_for_a_yes_of_its_own(project):
    work(project, "echo 2 > src/code.py; mkdir -p .github/workflows; echo x > .github/workflows/ci.yml")
    done = project.ringfence("apply", "--yes")
    assert done.returncode == LEFT
    assert "left out: .github/workflows/ci.yml" in done.stdout
    assert content(project, "src/code.py") == "2\n"
    assert not os.path.exists(f"{project.project}/.github")
    done = project.ringfence("apply", "--yes", "--include-risky")
    assert done.returncode == 0
    assert content(project, ".github/workflows/ci.yml") == "x\n"


def test_nobody_to_ask_means_nothing_applied(project):
    before = tree(project.project)
    work(project, "echo 2 > src/code.py")
    done = project.ringfence("apply")
    assert done.returncode == 2
    assert "nobody to ask here" in done.stderr
    assert tree(project.project) == before


def test_a_conflict_stops_all_until_it_is_left_out(project):
    work(project, "echo agent > text; echo 2 > src/code.py")
    project.write("project/text", "mine\n")
    done = project.ringfence("apply", "--yes")
    assert done.returncode == CONFLICT
    assert "CONFLICT text: changed in the workspace since the session began" in done.stdout
    assert content(project, "src/code.py") == "print(1)\n"
    assert project.ringfence("apply", "--yes", "--except", "text").returncode == 0
    assert (content(project, "src/code.py"), content(project, "text")) == ("2\n", "mine\n")


def test_paths_are_applied_alone(project):
    work(project, "echo 2 > src/code.py; rm gone; echo x > other")
    assert project.ringfence("apply", "--yes", "src", "other").returncode == 0
    assert os.path.exists(f"{project.project}/gone")
    assert content(project, "other") == "x\n"


def test_a_session_that_goes_on_after_the_review_has_to_be_reviewed_again(project):
    work(project, "echo 2 > src/code.py")
    project.ringfence("diff", "--no-pager")
    work(project, "echo 3 > src/code.py; echo x > other", "--session", "last")
    done = project.ringfence("apply", "--yes")
    assert done.returncode == 125
    assert "not what was reviewed, so nothing was applied" in done.stderr
    assert content(project, "src/code.py") == "print(1)\n"
    project.ringfence("diff", "--no-pager")
    assert project.ringfence("apply", "--yes").returncode == 0
    assert content(project, "src/code.py") == "3\n"


def test_a_session_goes_on_after_an_apply(project):
    work(project, "echo 2 > src/code.py")
    assert project.ringfence("apply", "--yes").returncode == 0
    work(project, "cat src/code.py; echo 3 >> src/code.py; echo x > other", "--session", "last")
    assert project.ringfence("apply", "--yes").returncode == 0
    assert content(project, "src/code.py") == "2\n3\n"


def test_a_secret_that_was_hidden_from_the_agent_is_never_replaced_or_deleted(project):
    secret = content(project, ".env")
    work(project, "rm -rf deploy sub; echo mine > .env; mkdir -p deploy; echo x > deploy/prod.pem")
    done = project.ringfence("apply", "--yes", "--include-risky")
    assert done.returncode == CONFLICT
    left = project.ringfence(
        "apply", "--yes", "--include-risky", "--except", ".env", "--except", "deploy/prod.pem"
    )
    assert left.returncode in {0, 1, LEFT}, left.stderr
    assert content(project, ".env") == secret
    assert os.path.exists(f"{project.project}/deploy/prod.pem")
    assert os.path.exists(f"{project.project}/sub/deep/er/.env.local")


def test_discard_throws_paths_or_all_away(project):
    before = tree(project.project)
    work(project, "echo 2 > src/code.py; echo x > other")
    assert project.ringfence("discard", "--yes", "other").returncode == 0
    assert project.ringfence("diff", "--no-pager", "--names").stdout.count("code.py") == 1
    assert project.ringfence("diff", "--no-pager", "other").stdout.count("other") == 0
    assert project.ringfence("discard", "--yes").returncode == 0
    assert project.ringfence("diff").returncode == 2
    assert tree(project.project) == before


def test_changes_become_a_commit_on_a_new_branch(project):
    before = tree(project.project)
    work(project, "echo 2 > src/code.py; rm gone")
    done = project.ringfence(
        "apply", "--yes", "--commit", "agent/work", "--author", "A <a@example.test>", "-m", "Work"
    )
    assert done.returncode == 0, done.stderr
    after = tree(project.project)
    new = [path for path in after if path not in before]
    assert all(path.startswith((b".git/objects/", b".git/refs/heads/agent")) for path in new)
    assert {uid for path in new for _, _, uid, _, _ in [after[path]]} == {project.uid}
    assert {path: after[path] for path in before} == before
    shown = git(project, "show", "--format=%s", "--name-status", "agent/work")
    assert shown.split() == ["Work", "D", "gone", "A", "src/code.py"] or "src/code.py" in shown


def git(person, *words):
    done = subprocess.run(
        [*person.prefix, "git", *words], cwd=person.project, env={**person.environment, "PYTHONPATH": ""},
        capture_output=True, text=True, timeout=30, check=True,
    )  # fmt: skip
    return done.stdout


# --- without a person ----------------------------------------------------------------------------


@pytest.fixture
def lenient(project):
    """Return somebody whose policy lets documentation through."""
    project.write(".config/ringfence/policy.toml", '[review]\nauto = ["docs/**", "*.md"]\n')
    project._own()
    return project


def test_what_the_policy_names_is_applied_at_the_end(lenient):
    done = work(lenient, "mkdir docs; echo x > docs/page; echo y > README.md", "--review", "auto")
    assert "applied 3 changes" in done.stderr
    assert content(lenient, "docs/page") == "x\n"
    assert lenient.ringfence("undo").returncode == 0
    assert not os.path.exists(f"{lenient.project}/docs")


@pytest.mark.guarantee("Y8")
@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("echo x > README.md; echo 2 > src/code.py", "src/code.py is not named"),
        ("echo x > README.md; mv gone docs.md", "gone is not named"),
        ("mkdir docs; echo x > docs/page; ln -s /etc docs/link", "docs/link"),
        ("mkdir docs; echo x > docs/run; chmod +x docs/run", "docs/run"),
        ("mkdir -p docs; echo x > docs/CLAUDE.md", "docs/CLAUDE.md"),
    ],
)
def test_anything_else_leaves_all_of_it_for_a_person(lenient, script, why):
    before = tree(lenient.project)
    done = work(lenient, script, "--review", "auto", status=LEFT)
    assert why in done.stderr
    assert tree(lenient.project) == before
    assert lenient.ringfence("diff").returncode == 1


def test_a_command_that_failed_applies_nothing(lenient):
    before = tree(lenient.project)
    work(lenient, "echo y > README.md; exit 7", "--review", "auto", status=7)
    assert tree(lenient.project) == before


def test_nothing_changed_is_no_reason_to_complain(lenient):
    work(lenient, "true", "--review", "auto")


@pytest.mark.guarantee("Y8")
def test_a_project_cannot_let_itself_through(project):
    project.write("project/ringfence.toml", '[review]\nauto = ["**"]\n')
    project._own()
    done = project.ringfence("run", "--mode", "overlay", "--review", "auto", "--", "true")
    assert done.returncode == 2
    assert "needs a policy that says what may be applied" in done.stderr


# --- asked one by one ----------------------------------------------------------------------------


def answered(person, answers, *words):
    """Run a command on a terminal, type an answer at each question; return all that it wrote."""
    master, slave = pty.openpty()
    argv = [*person.prefix, person.python, "-m", "ringfence.cli", *words]
    with subprocess.Popen(
        argv,
        cwd=person.project,
        env=person.environment,
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
    ) as process:
        os.close(slave)
        text, waiting = "", list(answers)
        end = time.monotonic() + 60
        while time.monotonic() < end and process.poll() is None:
            if not select.select([master], [], [], 0.2)[0]:
                continue
            try:
                text += os.read(master, 65536).decode()
            except OSError:
                break
            if (text.endswith("? ") and waiting) or (text.endswith("] ") and waiting):
                os.write(master, waiting.pop(0).encode() + b"\n")
        status = process.wait(timeout=30)
    os.close(master)
    assert not waiting, text
    return status, text.replace("\r\n", "\n")


HUNKS = "sed -i -e s/one/ONE/ -e s/three/THREE/ -e s/ten/TEN/ text; rm gone; echo x > added"


def test_hunks_are_taken_one_by_one(project):
    work(project, HUNKS)
    # added, gone, then the two hunks of text, the first one taken apart
    status, text = answered(project, ["n", "y", "s", "y", "n", "y"], "apply", "--interactive", "--yes")
    assert status == LEFT, text
    assert content(project, "text") == "ONE\ntwo\nthree\nfour\nfive\nsix\nseven\neight\nnine\nTEN\n"
    assert not os.path.exists(f"{project.project}/gone")
    left = project.ringfence("diff", "--no-pager", "text").stdout
    assert "-three" in left
    assert "+ONE" not in left
    assert "CONFLICT" not in left


def test_a_yes_to_what_is_dangerous_is_its_approval(project):
    work(project, "echo x > src/.envrc; echo 2 > src/code.py")
    status, text = answered(project, ["y", "n"], "apply", "-i", "--yes")
    assert status == 0, text
    assert content(project, "src/.envrc") == "x\n"
    assert content(project, "src/code.py") == "print(1)\n"


def test_a_yes_to_a_file_brings_the_new_folders_that_are_dangerous_with_it(project):
    work(project, "mkdir -p .github/workflows; echo 'on: push' > .github/workflows/ci.yml")
    status, text = answered(project, ["y"], "apply", "-i", "--yes")
    assert status == 0, text
    assert content(project, ".github/workflows/ci.yml") == "on: push\n"


def test_quitting_leaves_the_rest(project):
    work(project, HUNKS)
    status, text = answered(project, ["n", "y", "q"], "apply", "-i", "--yes")
    assert status == 0, text
    assert not os.path.exists(f"{project.project}/gone")
    assert content(project, "text").startswith("one\n")


def test_no_is_no(project):
    before = tree(project.project)
    work(project, "echo 2 > src/code.py")
    status, text = answered(project, ["n"], "apply")
    assert (status, tree(project.project)) == (1, before), text


# --- after a crash -------------------------------------------------------------------------------


def test_an_interrupted_apply_has_to_be_finished_first(project):
    before = tree(project.project)
    work(project, "echo 2 > src/code.py; rm gone; echo x > other")
    path = os.pathsep.join([f"{TOP}/src", f"{TOP}/tests"])
    killer = (
        "import os, signal, sys\nfrom ringfence.workspace import record\n"
        "def moment(what):\n    if what.startswith(('put', 'take')): os.kill(os.getpid(), signal.SIGKILL)\n"
        "record.moment = moment\nfrom ringfence import cli\nsys.exit(cli.run(['apply', '--yes']))\n"
    )
    subprocess.run(
        [*project.prefix, project.python, "-c", killer], cwd=project.project, timeout=60, check=False,
        env={**project.environment, "PYTHONPATH": path}, capture_output=True,
    )  # fmt: skip
    done = project.ringfence("apply", "--yes")
    assert done.returncode == 125
    assert "has to be finished first" in done.stderr
    told = project.ringfence("run", "--mode", "overlay", "--", "true")
    assert "was interrupted" in told.stderr
    assert project.ringfence("discard", "--yes").returncode == 125
    assert project.ringfence("apply", "--rollback").returncode == 0
    assert project.ringfence("run", "--mode", "overlay", "--", "true").stderr == ""
    assert tree(project.project) == before
    assert project.ringfence("apply", "--yes").returncode == 0
    assert content(project, "src/code.py") == "2\n"


# --- a linked worktree ---------------------------------------------------------------------------


def test_commits_made_in_a_linked_worktree_are_applied_apart(project):
    tree_of = f"{project.project}/tree"
    script = "git -c user.name=a -c user.email=a@example.test commit -q --allow-empty -m inside"
    done = inside(project, tree_of, "run", "--mode", "overlay", "--", "sh", "-ec", script)
    assert done.returncode == 0, done.stderr
    subject = ["log", "-1", "--format=%s", "refs/heads/tree"]
    assert git(project, *subject) == "first\n"
    assert "ringfence apply --git" in inside(project, tree_of, "diff").stdout
    assert "ringfence apply --git" in inside(project, tree_of, "apply", "--yes").stdout
    done = inside(project, tree_of, "apply", "--git", "--yes")
    assert done.returncode == LEFT
    assert git(project, *subject) == "first\n"
    done = inside(project, tree_of, "apply", "--git", "--yes", "--include-risky")
    assert done.returncode == 0, done.stderr
    assert git(project, *subject) == "inside\n"
    git(project, "fsck", "--strict")
    assert inside(project, tree_of, "undo", "--git").returncode == 0
    assert git(project, *subject) == "first\n"


def inside(person, folder, *words):
    argv = [*person.prefix, person.python, "-m", "ringfence.cli", *words]
    return subprocess.run(
        argv, cwd=folder, env=person.environment, capture_output=True, text=True, timeout=90, check=False
    )


def test_what_git_obeys_is_never_applied_with_the_rest():
    assert is_state(b"objects/ab/cdef")
    assert is_state(b"refs/heads/main")
    assert is_state(b"worktrees/tree/HEAD")
    for path in (b"config", b"hooks/pre-commit", b"info/attributes", b"objects/info/alternates", b"worktrees/tree/gitdir",
                 b"worktrees/tree/config.worktree", b"modules/x/config", b"HEAD", b"description"):  # fmt: skip
        assert not is_state(path)


@pytest.mark.guarantee("A1")
def test_what_is_done_with_a_copy_is_on_record(project):
    work(project, "echo 2 > src/code.py; echo x > new")
    assert project.ringfence("apply", "--yes", "src/code.py").returncode == 0
    assert project.ringfence("undo").returncode == 0
    assert project.ringfence("undo").returncode == 2  # nothing to take back, which is on record as well
    assert project.ringfence("discard", "--yes").returncode == 0
    records = [json.loads(line) for line in project.ringfence("log", "--json").stdout.splitlines()]
    deeds = [one for one in records if one["kind"] in {"apply", "undo", "discard"}]
    session = deeds[0]["copy"]
    assert [(one["kind"], one["copy"]) for one in deeds] == [
        (kind, session) for kind in ("apply", "undo", "undo", "discard")
    ]
    assert (deeds[0]["paths"], deeds[0]["first"], len(deeds[0]["manifest"])) == (1, ["src/code.py"], 64)
    assert deeds[2]["failed"] == "UsageError"
    assert project.ringfence("log", "--verify").returncode == 0
    last = [json.loads(line) for line in project.ringfence("log", "last", "--json").stdout.splitlines()]
    assert last[0]["command"][0] == "sh"  # of the agent's session


def test_the_last_session_is_the_one_that_began_last_also_within_a_second(project):
    for at in range(4):
        work(project, f"echo x > new{at}")
        assert f"new{at}" in project.ringfence("diff", "--names").stdout
