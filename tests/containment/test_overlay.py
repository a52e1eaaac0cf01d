"""Sessions on a copy of the project: nothing lands, nothing is reached behind it, and it is found again."""

import contextlib
import glob
import json
import os
import signal
import stat
import subprocess
import time

import pytest
from field import SECRET, Field, eventually
from person import snapshot

pytestmark = pytest.mark.timeout(100)
POLICY = '[workspace]\nmode = "overlay"\n'
GIT = "git -c user.name=a -c user.email=a@example.test"


def layers(field):
    """Return what layers.json says of every session that has one, oldest first."""
    found = []
    for path in sorted(glob.glob(f"{field.state}/sessions/*/layers.json")):
        with open(path, encoding="ascii") as file:
            found.append(json.load(file))
    return found


def listed(field):
    """Return what `ringfence sessions --json` prints."""
    return json.loads(field.run("sessions", "--json").out)


def same(field, before):
    """Tell whether the project is exactly what it was."""
    return snapshot(field.project) == before


# --- nothing lands -------------------------------------------------------------------------------


@pytest.mark.guarantee("W1")
class TestNothingLands:
    def test_everything_can_be_changed_and_the_project_is_what_it_was(self, field):
        field.put("a.txt", "one\n")
        field.put("sub/b.txt", "two\n")
        field.put(".git/hooks/pre-commit", "#!/bin/sh\n", 0o755)
        field.put("ringfence.toml", "")
        before = snapshot(field.project)
        script = (
            "echo more >> a.txt; chmod 600 sub/b.txt; mv sub sub2; rm -rf .git/hooks; ln -s /etc/passwd link;"
            "echo x > ringfence.toml; mkdir -p .vscode; echo y > .vscode/tasks.json; cat a.txt; ls"
        )
        done = field.sh(script)
        assert done.code == 0, done
        assert "more" in done.out
        assert "sub2" in done.out
        assert same(field, before)

    def test_the_changes_lie_in_the_sessions_layer(self, field):
        field.put("old", "one\n")
        field.sh("echo new > new; rm old; mkdir empty")
        (made,) = layers(field)
        assert sorted(os.listdir(made["upper"])) == ["empty", "new", "old"]
        status = os.lstat(f"{made['upper']}/old")
        assert stat.S_ISCHR(status.st_mode)
        assert status.st_rdev == 0
        assert (made["ended"], made["kind"], made["xattr"]) == (True, "overlay", "user.overlay")

    @pytest.mark.parametrize("script", ["touch old", "cp old x; cp x old; rm x", "mkdir d; rmdir d"])
    def test_what_is_no_change_leaves_no_copy(self, users, script):
        users.put("old", "one\n")
        done = users.sh(script)
        assert (done.code, done.err) == (0, "")
        assert listed(users) == []

    def test_one_line_says_how_much_changed_and_what_to_do(self, users):
        users.put("old")
        done = users.sh("echo 1 > a; echo 2 > b; rm old")
        session = layers(users)[0]["session"]
        assert done.err == (
            f"ringfence: 3 files changed in a copy; review: ringfence diff {session}, "
            f"take over: ringfence apply {session}\n"
        )

    def test_a_session_that_changed_nothing_says_nothing_and_leaves_nothing(self, field):
        done = field.sh("cat *; ls -la; true")
        assert (done.code, done.err) == (0, "cat: '*': No such file or directory\n")
        assert layers(field) == []
        assert sorted(os.listdir(field.sessions()[0])) == ["audit.jsonl", "plan.json"]
        assert field.left_over() == []

    def test_the_log_says_how_much_changed(self, users):
        users.sh("echo 1 > a")
        events = users.events()
        assert events[0]["mode"] == "overlay"
        assert events[0]["copy"] == events[0]["session"]
        assert events[-1]["changed"] == 1

    def test_nothing_is_left_running_or_mounted(self, field):
        field.sh("echo 1 > a; sleep 50 & true")
        assert eventually(lambda: not field.left_over())

    def test_changes_can_be_thrown_away_at_the_end(self, users):
        done = users.sh("echo 1 > a", "--discard")
        assert (done.code, done.err) == (0, "")
        assert layers(users) == []

    def test_but_not_those_of_the_session_before_along_with_them(self, users):
        users.sh("echo 1 > a")
        done = users.sh("echo 2 > b", "--session", "last", "--discard")
        assert done.code == 2
        assert "would throw away what the session before had changed" in done.err
        assert len(layers(users)) == 1

    def test_the_old_way_is_one_word_away(self, users):
        users.sh("echo 1 > a", "--direct")
        assert users.read("a") == "1\n"
        assert layers(users) == []


class TestOwners:
    def test_files_of_the_projects_owner_are_the_agents(self, field):
        field.put("mine", "x\n", 0o600)
        done = field.sh("id -u; stat -c %u . mine; echo y >> mine && cat mine; touch new; stat -c %u new")
        who, *owners, first, second, new = done.out.split()
        assert {*owners, new} == {who}
        assert (first, second) == ("x", "y")
        assert who != "0"

    def test_a_folder_that_only_its_owner_may_write_can_be_written(self, field):
        field.put("sub/x")
        os.chmod(f"{field.project}/sub", 0o700)
        assert field.sh("touch sub/y && rm sub/x && ls sub").out == "y\n"

    @pytest.mark.skipif(os.geteuid() != 0, reason="no root here")
    def test_root_in_somebodys_project_leaves_files_that_are_not_roots(self, people):
        one = Field(people["root"])
        try:
            one.policy('[workspace]\nmode = "overlay"\n')
            one.put("a")
            uid = people["user"].uid
            for path in (one.project, f"{one.project}/a"):
                os.chown(path, uid, uid)
            done = one.sh("id -u; echo b > b; echo c >> a")
            (made,) = layers(one)
            assert done.out == f"{uid}\n"
            assert {os.lstat(f"{made['upper']}/{name}").st_uid for name in ("a", "b", ".")} == {uid}
        finally:
            one.close()


class TestHidden:
    def test_credential_files_do_not_exist_and_the_folder_holds_no_trace(self, field):
        field.put(".env", SECRET)
        field.put("deep/er/prod.pem", SECRET)
        done = field.sh(
            "ls -A . deep/er; cat .env deep/er/prod.pem; mv deep deep2; ls deep2/er; grep -r value-that ."
        )
        assert SECRET not in done.out + done.err
        assert "prod.pem" not in done.out
        assert layers(field)[0]["masked"] == [".env", "deep/er/prod.pem"]
        assert field.read("deep/er/prod.pem") == SECRET

    def test_the_agent_may_have_files_of_such_names_in_its_copy(self, field):
        field.put(".env", SECRET)
        assert field.sh("echo own > .env; cat .env").out == "own\n"
        assert field.read(".env") == SECRET

    def test_a_git_configuration_is_there_without_its_credentials_and_can_be_changed(self, field):
        field.bare("git", "init", "-q", ".")
        field.bare("git", "remote", "add", "origin", f"https://me:{SECRET}@git.example.test/x")
        before = snapshot(field.project)
        done = field.sh("git remote -v; git config own.key value && cat .git/config")
        assert SECRET not in done.out + done.err
        assert "git.example.test/x" in done.out
        assert "key = value" in done.out
        assert same(field, before)
        assert ".git/config" in layers(field)[0]["masked"]


# --- git -----------------------------------------------------------------------------------------


@pytest.fixture
def repository(field):
    """A project with a first commit."""
    field.put("file", "one\n")
    field.bare("sh", "-c", f"git init -q . && git add . && {GIT} commit -qm first")
    return field


class TestFolders:
    """A folder of the project's cannot be renamed in an overlay; who copies instead gets along."""

    def test_the_kernel_still_refuses_what_would_let_folders_be_renamed(self, users):
        """With `userxattr`, without which nobody but root mounts an overlay, `redirect_dir=on` is an error."""
        places = [f"{users.folder}/{name}" for name in ("below", "upper", "work", "merged")]
        for place in places:
            os.makedirs(place)
        below, upper, work, merged = places
        users.own()
        options = f"userxattr,redirect_dir=on,lowerdir={below},upperdir={upper},workdir={work}"
        script = f"mount -t overlay overlay -o {options} {merged} || echo refused"
        assert users.bare("unshare", "-Urm", "sh", "-c", script) == "refused\n"

    def test_mv_copies_and_git_mv_says_why_it_cannot(self, repository):
        repository.put("dir/sub/one", "1\n")
        repository.bare("sh", "-c", f"git add -A && {GIT} commit -qm folder")
        done = repository.sh(
            "git mv dir other; echo $?; mv dir other && git add -A && git status --short; "
            "mkdir -p new/deep; echo x > new/deep/file; mv new newer && ls newer/deep"
        )
        assert "Invalid cross-device link" in done.err
        assert done.out == "128\nR  dir/sub/one -> other/sub/one\nfile\n"

    def test_programs_that_rename_and_then_copy_get_along(self, field):
        field.put("package/inner/file", "text\n")
        done = field.python(
            "import errno, os, shutil\n"
            "try: os.rename('package', 'moved')\n"
            "except OSError as error: print(errno.errorcode[error.errno])\n"
            "shutil.move('package', 'moved'); print(os.listdir('moved'), os.path.exists('package'))"
        )
        assert done.out == "EXDEV\n['inner'] False\n"


class TestGit:
    def test_commits_made_inside_stay_in_the_copy(self, repository):
        before = snapshot(repository.project)
        done = repository.sh(f"echo two >> file; {GIT} commit -qam second && git log --format=%s")
        assert done.out == "second\nfirst\n"
        assert same(repository, before)
        assert repository.bare("git", "log", "--format=%s") == "first\n"

    def test_in_a_linked_worktree_git_works_and_its_repository_is_not_touched(self, repository):
        repository.bare("git", "worktree", "add", "-q", "../tree", "-b", "tree")
        before = snapshot(repository.home)
        done = repository.run(
            "run", "--", "sh", "-c", f"echo two > new; git add new; {GIT} commit -qm inside; git log --format=%s; git status --short",
            cwd=f"{repository.home}/tree",
        )  # fmt: skip
        assert done.out == "inside\nfirst\n", done
        assert snapshot(repository.home) == before
        (made,) = layers(repository)
        with open(f"{os.path.dirname(made['lock'])}/repository/layers.json", encoding="ascii") as file:
            assert json.load(file)["workspace"] == f"{repository.project}/.git"

    def test_a_planted_git_file_opens_no_other_repository(self, repository):
        other = f"{repository.home}/other"
        os.mkdir(other)
        with open(f"{other}/.git", "w", encoding="ascii") as file:
            file.write(f"gitdir: {repository.project}/.git\n")
        repository.own()
        done = repository.run("run", "--", "sh", "-c", f"ls {repository.project}/.git", cwd=other)
        assert done.code != 0
        assert "HEAD" not in done.out

    def test_submodules_work(self, repository):
        repository.bare(
            "git",
            "-c",
            "protocol.file.allow=always",
            "submodule",
            "--quiet",
            "add",
            f"{repository.project}/.git",
            "lib",
        )
        before = snapshot(repository.project)
        done = repository.sh(
            f"cd lib && echo x > y && git add y && {GIT} commit -qm sub && git log --format=%s"
        )
        assert done.out == "sub\nfirst\n", done
        assert same(repository, before)


# --- sessions ------------------------------------------------------------------------------------


class TestSessions:
    def test_a_session_is_continued_by_the_beginning_of_its_name(self, field):
        field.sh("echo 1 > a")
        session = layers(field)[0]["session"]
        done = field.sh("cat a; echo 2 > b", "--session", session[:-1])
        assert done.out == "1\n"
        assert f"2 files changed in a copy; review: ringfence diff {session}" in done.err
        assert len(layers(field)) == 1

    def test_and_by_being_the_last(self, users):
        users.sh("echo 1 > a")
        assert users.sh("cat a", "--session", "last").out == "1\n"

    def test_two_sessions_at_once_do_not_see_each_other(self, field):
        field.put("shared", "old\n")
        first = field.start("run", "--", "sh", "-c", "echo first > shared; echo ready; read x; cat shared")
        assert first.stdout.readline() == b"ready\n"
        second = field.sh("cat shared; echo second > shared; cat shared")
        out, _err = first.communicate(b"\n", timeout=20)
        assert second.out == "old\nsecond\n"
        assert out == b"first\n"
        assert field.read("shared") == "old\n"
        assert len(layers(field)) == 2

    @pytest.mark.guarantee("W4")
    def test_one_that_runs_can_be_neither_continued_nor_removed(self, field):
        running = field.start("run", "--", "sh", "-c", "echo 1 > a; echo ready; read x")
        assert running.stdout.readline() == b"ready\n"
        again = field.sh("true", "--session", "last")
        removed = field.run("sessions", "remove", "last")
        (row,) = listed(field)
        running.communicate(b"\n", timeout=20)
        for done in (again, removed):
            assert done.code == 2
            assert "is still running" in done.err
        assert row["state"] == "running"
        assert listed(field)[0]["state"] == "ended"

    @pytest.mark.guarantee("W4")
    def test_one_whose_launcher_was_killed_is_taken_up_when_nothing_of_it_runs(self, field):
        child = field.start("run", "--", "sh", "-c", "echo 1 > a; echo ready; sleep 60")
        assert child.stdout.readline() == b"ready\n"
        launcher = next(pid for pid in field.processes() if _is_launcher(pid))
        os.kill(launcher, signal.SIGKILL)
        rows = listed(field)
        assert field.processes() == []  # whoever finds the copy waits for what could still write to it
        child.communicate(timeout=20)
        assert [row["state"] for row in rows] == ["ended"]
        assert field.sh("cat a", "--session", "last").out == "1\n"

    def test_one_that_was_killed_before_it_wrote_is_forgotten(self, users):
        child = users.start("run", "--", "sh", "-c", "echo ready; sleep 60")
        assert child.stdout.readline() == b"ready\n"
        child.kill()
        child.communicate(timeout=20)
        assert listed(users) == []

    def test_the_list_says_what_there_is(self, users):
        users.sh("echo 1 > a; head -c 100000 /dev/zero > b")
        (row,) = listed(users)
        assert row["workspace"] == users.project
        assert (row["files"], row["state"], row["kind"]) == (2, "ended", "overlay")
        assert 100_000 <= row["size"] <= 200_000
        text = users.run("sessions").out
        assert row["id"] in text
        assert users.project in text

    def test_removing_leaves_the_record(self, field):
        field.sh("echo 1 > a; mkdir closed; touch closed/x; chmod 000 closed")
        session = layers(field)[0]["session"]
        done = field.run("sessions", "remove", session)
        assert (done.code, done.out) == (0, f"removed {session}\n")
        assert sorted(os.listdir(field.sessions()[0])) == ["audit.jsonl", "plan.json"]
        assert field.run("log", "--verify", session).code == 0

    def test_only_old_ones_are_removed_by_age(self, users):
        users.sh("echo 1 > a")
        assert users.run("sessions", "remove", "--older", "1h").out == ""
        time.sleep(1.1)
        assert users.run("sessions", "remove", "--older", "1s").out.startswith("removed ")
        assert listed(users) == []

    @pytest.mark.parametrize(
        ("words", "why"),
        [
            (("remove",), "name the sessions to remove"),
            (("remove", "20200101"), "no session `20200101` has a copy"),
            (("remove", "last"), "no session has changed anything"),
            (("remove", "--older", "soon"), "--older soon"),
            (("purge",), "knows no `purge`"),
        ],
    )
    def test_a_wrong_word_is_a_usage_error(self, users, words, why):
        done = users.run("sessions", *words)
        assert done.code == 2
        assert why in done.err

    def test_another_projects_session_is_not_continued_here(self, users):
        users.sh("echo 1 > a")
        session = layers(users)[0]["session"]
        other = f"{users.home}/other"
        os.mkdir(other)
        users.own()
        done = users.run("run", "--session", session, "--", "true", cwd=other)
        assert done.code == 2
        assert f"is about {users.project}" in done.err

    def test_without_a_copy_there_is_nothing_to_continue(self, users):
        done = users.run("run", "--session", "last", "--mode", "readonly", "--", "true")
        assert done.code == 2
        assert "the mode is readonly" in done.err


def _is_launcher(pid):
    with contextlib.suppress(OSError), open(f"/proc/{pid}/cmdline", "rb") as file:
        return b"ringfence.cli" in file.read()
    return False


# --- the layers ----------------------------------------------------------------------------------


@pytest.mark.guarantee("W2")
class TestLayersAreOutOfReach:
    def test_no_path_and_no_descriptor_leads_to_them(self, field):
        field.put("a")
        script = f"""
import os
folders = [{field.state!r}, '/run/ringfence/lower1', '/run/ringfence/root']
for top in ('', '/proc/self/root', '/proc/1/root', '/proc/1/cwd/../../../../../..'):
    for folder in folders:
        try:
            print('OPEN', top + folder, os.listdir(top + folder))
        except OSError:
            pass
open('a', 'a').write('x')
for fd in os.listdir('/proc/self/fd'):
    print(os.readlink('/proc/self/fd/' + fd) if os.path.lexists('/proc/self/fd/' + fd) else '')
print(open('/proc/self/mountinfo').read())
"""
        done = field.python(script)
        assert done.code == 0, done
        assert "OPEN" not in done.out
        assert field.state not in done.out

    @pytest.mark.parametrize("name", ["opaque", "whiteout", "redirect", "metacopy", "origin", "impure"])
    def test_marks_cannot_be_forged(self, field, name):
        field.put("sub/a")
        script = f"""
import os
for path in ('sub', 'sub/a'):
    for space in ('user', 'trusted'):
        try:
            os.setxattr(path, space + '.overlay.{name}', b'y')
        except OSError:
            pass
os.chmod('sub', 0o700); os.chmod('sub/a', 0o600)
print(sorted(os.listdir('sub')))
"""
        done = field.python(script)
        assert done.out == "['a']\n"
        (made,) = layers(field)
        for path in ("sub", "sub/a"):
            full = f"{made['upper']}/{path}"
            values = [
                os.getxattr(full, one) for one in os.listxattr(full) if one.endswith(f"r.overlay.{name}")
            ]
            assert b"y" not in [value for value in values if name != "impure"], os.listxattr(full)
            assert not any(one == f"trusted.overlay.{name}" for one in os.listxattr(full))
        assert field.sh("ls sub", "--session", "last").out == "a\n"

    def test_whiteouts_cannot_be_forged(self, field):
        field.put("victim")
        script = """
import ctypes, os, stat
libc = ctypes.CDLL(None, use_errno=True)
for kind in (stat.S_IFCHR, stat.S_IFBLK):
    try:
        os.mknod('made', kind | 0o600, 0)
        print('MADE')
    except OSError:
        pass
open('mine', 'w').close()
if libc.renameat2(-100, b'mine', -100, b'moved', 4) == 0:
    print('MOVED')
print(sorted(os.listdir('.')))
"""
        done = field.python(script)
        assert done.out == "['mine', 'victim']\n", done
        (made,) = layers(field)
        assert os.listdir(made["upper"]) == ["mine"]

    def test_nothing_of_the_layers_is_followed_when_they_are_removed(self, field):
        outside = field.put(f"{field.folder}/outside/keep", "kept\n")
        script = f"""
import os
os.symlink({field.folder!r} + '/outside', 'link')
os.mkdir('deep')
for _ in range(300):
    os.mkdir('deep/d' ); os.chdir('deep')
    os.rename('d', 'deep')
os.chmod('.', 0)
os.mkfifo('/proc/self/cwd/../fifo')
"""
        field.python(script)
        assert field.run("sessions", "remove", "last").code == 0
        assert os.path.exists(outside)
        assert layers(field) == []


@pytest.mark.guarantee("W1")
class TestOddWays:
    def test_mapped_direct_linked_and_deleted_files_stay_in_the_copy(self, field):
        for name in ("mapped", "direct", "linked", "open"):
            field.put(name, "o" * 8192)
        before = snapshot(field.project)
        script = """
import mmap, os
with open('mapped', 'r+b') as file:
    view = mmap.mmap(file.fileno(), 0)
    view[:4] = b'AAAA'
    view.flush()
try:
    fd = os.open('direct', os.O_RDWR | os.O_DIRECT)
    os.writev(fd, [mmap.mmap(-1, 4096)])
except OSError:
    pass
os.link('linked', 'second')
open('second', 'w').write('B')
fd = os.open('open', os.O_RDWR)
os.unlink('open')
os.write(fd, b'C' * 100)
os.mkdir('folder'); os.rename('folder', 'renamed'); os.rename('mapped', 'renamed/mapped')
"""
        assert field.python(script).code == 0
        assert same(field, before)

    def test_a_shared_mapping_does_not_reach_the_project(self, users):
        """A file that is mapped before it is written must not be the project's own page."""
        users.put("file", "o" * 4096)
        script = """
import mmap, os
read = os.open('file', os.O_RDONLY)
try:
    mmap.mmap(read, 4096, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)
    print('MAPPED')
except (OSError, PermissionError):
    pass
"""
        assert users.python(script).out == ""


# --- kept, excluded, bounded ---------------------------------------------------------------------


class TestKept:
    POLICY = '[workspace]\nmode = "overlay"\nkeep = ["node_modules", "a/.venv"]\n'

    def test_a_kept_folder_lasts_from_session_to_session_and_is_no_change(self, field):
        field.policy(self.POLICY)
        field.put("node_modules/theirs")
        before = snapshot(field.project)
        first = field.sh("ls node_modules a/.venv; echo 1 > node_modules/x; echo 2 > a/.venv/y")
        second = field.sh("cat node_modules/x a/.venv/y")
        assert first.out == "a/.venv:\n\nnode_modules:\n"
        assert second.out == "1\n2\n"
        assert layers(field) == []
        assert same(field, before)

    def test_another_project_has_its_own(self, users):
        users.policy(self.POLICY)
        users.sh("echo 1 > node_modules/x")
        other = f"{users.home}/other"
        os.mkdir(other)
        users.own()
        assert users.run("run", "--", "ls", "node_modules", cwd=other).out == ""

    def test_a_link_on_the_way_is_not_followed(self, users):
        users.policy(self.POLICY)
        users.put(f"{users.folder}/outside/x")
        os.symlink(f"{users.folder}/outside", f"{users.project}/node_modules")
        users.own()
        done = users.run("plan")
        assert "`keep` cannot hold node_modules" in done.out
        users.sh("echo 1 > node_modules/y")
        assert os.listdir(f"{users.folder}/outside") == ["x"]

    def test_what_is_excluded_is_written_down_for_the_review(self, users):
        users.policy('[workspace]\nmode = "overlay"\nexclude = ["**/*.pyc"]\n')
        users.sh("echo 1 > a")
        assert layers(users)[0]["exclude"] == ["**/*.pyc"]


@pytest.mark.guarantee("L4")
class TestQuota:
    def test_a_session_whose_copy_outgrows_it_is_ended(self, field):
        field.policy('[workspace]\nmode = "overlay"\nquota = "20M"\n')
        done = field.sh("i=0; while :; do head -c 1000000 /dev/zero > f$i; i=$((i+1)); sleep 0.01; done")
        assert done.code == 137
        assert "more than the quota of 20971520" in done.err
        assert done.seconds < 20

    @pytest.mark.guarantee("L4")
    @pytest.mark.parametrize("how", ["os.write(fd, bytes(16 << 20))", "os.posix_fallocate(fd, 0, 16 << 20)"])
    def test_who_takes_space_as_fast_as_can_be_is_ended_before_the_disk_is_full(self, users, how):
        users.policy('[workspace]\nmode = "overlay"\nquota = "20M"\n')
        script = f"import os\nfor number in range(10**6):\n fd = os.open(str(number), os.O_WRONLY | os.O_CREAT)\n {how}\n os.close(fd)"
        done = users.python(script)
        assert (done.code, "more than the quota" in done.err) == (137, True), done
        (copy,) = listed(users)
        assert copy["size"] < 1 << 30

    def test_what_takes_any_space_at_once_is_refused(self, users):
        users.policy('[workspace]\nmode = "overlay"\nquota = "20M"\n')
        done = users.sh("fallocate -l 1000000 one || echo refused")
        assert done.out == "refused\n"

    def test_many_small_files_count_too(self, users):
        users.policy('[workspace]\nmode = "overlay"\nquota = "4M"\n')
        done = users.sh("i=0; while :; do : > f$i; i=$((i+1)); done")
        assert done.code == 137
        assert "more than the quota" in done.err

    def test_no_single_file_outgrows_it(self, users):
        users.policy('[workspace]\nmode = "overlay"\nquota = "1M"\n')
        done = users.sh("head -c 3000000 /dev/zero > f; stat -c %s f")
        assert int(done.out.split()[-1]) <= 1 << 20

    def test_a_hole_is_no_content(self, users):
        users.policy('[workspace]\nmode = "overlay"\nquota = "3G"\n')
        done = users.sh("truncate -s 2G f; sleep 1.5; echo fine")
        assert done.out == "fine\n"

    def test_the_plan_says_how_it_is_held(self, users):
        users.policy('[workspace]\nmode = "overlay"\nquota = "1M"\n')
        assert "quota = 1048576: watched" in users.run("plan").out


class TestExecution:
    def test_nothing_in_the_workspace_can_be_executed(self, field):
        field.policy('[workspace]\nmode = "overlay"\nnoexec = true\n')
        field.put("run.sh", "#!/bin/sh\necho ran\n", 0o755)
        done = field.sh("./run.sh; cp /bin/true mine; ./mine; echo $?; sh run.sh")
        assert done.out == "126\nran\n"

    @pytest.mark.parametrize("mode", ["direct", "readonly", "scratch"])
    def test_nor_in_the_other_modes(self, users, mode):
        users.policy(f'[workspace]\nmode = "{mode}"\nnoexec = true\n')
        users.put("run.sh", "#!/bin/sh\necho ran\n", 0o755)
        assert "ran" not in users.sh("cp /bin/echo run.sh 2>/dev/null; ./run.sh ran").out

    def test_where_bubblewrap_alone_makes_the_mounts_it_is_refused(self, users):
        users.policy("[workspace]\nnoexec = true\n")
        done = users.sh("true", refusing="bare-userns=EPERM")
        assert done.code == 125
        assert "`noexec` cannot be held here" in done.err


class TestOutput:
    def test_what_is_put_there_is_on_the_host_at_once(self, field):
        folder = f"{field.folder}/results"
        os.mkdir(folder)
        field.policy(f'[workspace]\nmode = "overlay"\noutput = "{folder}"\n')
        done = field.sh('echo 1 > /output/a; echo 2 > "$RINGFENCE_OUTPUT/b"')
        assert (done.code, done.err) == (0, "")
        assert sorted(os.listdir(folder)) == ["a", "b"]

    def test_one_that_is_not_there_is_an_error(self, users):
        users.policy('[workspace]\noutput = "~/results"\n')
        done = users.sh("true")
        assert done.code == 125
        assert "the output folder ~/results does not exist" in done.err

    def test_one_in_the_project_is_an_error(self, users):
        users.put("results/x")
        users.policy(f'[workspace]\noutput = "{users.project}/results"\n')
        done = users.sh("true")
        assert done.code == 125
        assert "overlap" in done.err


# --- without an overlay --------------------------------------------------------------------------


@pytest.mark.guarantee("W3")
class TestCopy:
    REFUSALS = ("fsopen=EPERM", "bare-userns=EPERM")

    @pytest.mark.parametrize("refusing", REFUSALS)
    def test_the_project_is_copied_whole_and_the_plan_says_so(self, users, refusing):
        users.put("a/b", "one\n")
        users.put("run.sh", "#!/bin/sh\n", 0o755)
        users.put(".env", SECRET)
        os.symlink("a/b", f"{users.project}/link")
        users.own()
        before = snapshot(users.project)
        done = users.sh(
            "cat link; ls -A; stat -c %a run.sh; echo two > a/b; rm link; echo new > new", refusing=refusing
        )
        assert done.out == "one\na\nlink\nrun.sh\n755\n"
        assert "3 files changed in a copy" in done.err
        assert same(users, before)
        (made,) = layers(users)
        assert made["kind"] == "copy"
        assert made["masked"] == [".env"]
        assert "a whole copy of the project" in users.run("plan", refusing=refusing).out
        assert users.sh("cat a/b new", "--session", "last", refusing=refusing).out == "two\nnew\n"

    def test_as_root_too(self, field):
        field.put("a", "one\n", 0o600)
        done = field.sh("cat a; echo two > a", refusing="fsopen=EPERM")
        assert (done.code, done.out) == (0, "one\n"), done
        assert field.read("a") == "one\n"
        assert layers(field)[0]["kind"] == "copy"

    def test_one_that_changed_nothing_leaves_nothing(self, users):
        users.put("a")
        done = users.sh("cat a", refusing="fsopen=EPERM")
        assert (done.code, done.err) == (0, "")
        assert layers(users) == []

    def test_the_base_is_kept_for_finding_conflicts(self, users):
        path = users.put("a/b", "one\n")
        users.sh("echo two > a/b", refusing="fsopen=EPERM")
        with open(f"{os.path.dirname(layers(users)[0]['upper'])}/base", "rb") as file:
            fields = file.read().split(b"\0")
        status = os.lstat(path)
        row = fields[fields.index(b"a/b") :][:4]
        assert row == [b"a/b", b"%d" % status.st_ctime_ns, b"4", b"%d" % status.st_ino]

    def test_kept_folders_work_as_well(self, users):
        users.policy(TestKept.POLICY)
        users.put("node_modules/theirs")
        users.sh("ls node_modules; echo 1 > node_modules/x", refusing="fsopen=EPERM")
        assert users.sh("ls node_modules", refusing="fsopen=EPERM").out == "x\n"

    def test_a_large_project_is_not_copied_unasked(self, users):
        with open(f"{users.project}/large", "wb") as file:
            os.posix_fallocate(file.fileno(), 0, (2 << 30) + 4096)
        users.own()
        done = users.sh("true", refusing="fsopen=EPERM")
        assert done.code == 125
        assert "too much to be copied for a session" in done.err
        assert "snapshot = true" in done.err
        assert layers(users) == []

    def test_a_session_on_an_overlay_is_not_continued_without_one(self, users):
        users.sh("echo 1 > a")
        for path in glob.glob(f"{users.folder}/cache/overlay/*"):
            os.unlink(path)
        done = users.sh("true", "--session", "last", refusing="fsopen=EPERM")
        assert done.code == 125
        assert "none can be mounted now" in done.err
        assert layers(users)[0]["ended"]

    def test_what_was_noted_to_work_and_does_not_is_an_error_once(self, users):
        assert users.sh("true").code == 0
        first = users.sh("echo 1 > a", refusing="fsopen=EPERM")
        assert first.code == 125
        assert "start again" in first.err
        assert not os.path.exists(f"{users.project}/a")
        assert users.sh("echo 1 > a", refusing="fsopen=EPERM").code == 0
        assert layers(users)[0]["kind"] == "copy"


# --- places --------------------------------------------------------------------------------------


class TestPlaces:
    def test_a_state_folder_in_the_project_is_refused(self, users):
        done = users.sh("true", variables={"RINGFENCE_STATE_DIR": f"{users.project}/state"})
        assert done.code == 125
        assert "ringfence's own folder" in done.err

    @pytest.mark.skipif(os.geteuid() != 0, reason="no root here")
    def test_layers_that_would_lie_on_an_overlay_make_it_a_copy(self, people):
        """As in a container, whose whole file system is one."""
        one = Field(people["root"])
        mounted = f"{one.folder}/mounted"
        try:
            one.policy('[workspace]\nmode = "overlay"\n')
            for name in ("mounted", "lower", "upper", "work"):
                os.mkdir(f"{one.folder}/{name}")
            how = f"lowerdir={one.folder}/lower,upperdir={one.folder}/upper,workdir={one.folder}/work"
            subprocess.run(["mount", "-t", "overlay", "none", "-o", how, mounted], check=True)
            done = one.sh("echo 1 > a; cat a", variables={"RINGFENCE_STATE_DIR": f"{mounted}/state"})
            assert (done.code, done.out) == (0, "1\n"), done
            one.state = f"{mounted}/state"
            assert layers(one)[0]["kind"] == "copy"
            assert not os.path.exists(f"{one.project}/a")
        finally:
            subprocess.run(["umount", mounted], check=False)
            one.close()

    def test_a_project_whose_name_would_break_mount_options(self, people):
        one = Field(people["user"], name="a:b,c\\d e")
        try:
            one.policy('[workspace]\nmode = "overlay"\n')
            done = one.sh("echo 1 > a; cat a; pwd")
            assert done.out == f"1\n{one.project}\n", done
            assert os.listdir(layers(one)[0]["upper"]) == ["a"]
        finally:
            one.close()

    def test_a_project_that_the_operator_may_only_read(self, users):
        users.put("a", "one\n")
        os.chmod(users.project, 0o555)
        done = users.sh("touch here; cat a")
        os.chmod(users.project, 0o755)
        assert done.out == "one\n"

    def test_a_start_does_not_depend_on_what_the_folders_hold(self, users):
        for number in range(200):
            users.put(f"d{number}/x")
        assert users.sh("ls | wc -l").out.strip() == "200"


def test_records_that_are_old_go_when_a_session_ends_and_copies_stay(users):
    users.sh("echo changed > file")
    users.sh("true")
    kept = layers(users)[0]["session"]  # ids are by the second only
    (gone,) = {os.path.basename(one) for one in users.sessions()} - {kept}
    for path in glob.glob(f"{users.state}/sessions/*/*"):
        os.utime(path, (0, 0), follow_symlinks=False)
    os.unlink(f"{users.state}/pruned")
    assert users.sh("true").code == 0
    left = {os.path.basename(one) for one in users.sessions()}
    assert (len(left), kept in left, gone in left) == (2, True, False)
    done = users.run("log", "--verify")
    assert (done.code, gone in done.out, "1 pruned" in done.out) == (0, False, True), done
    assert users.run("sessions", "remove", kept).code == 0
