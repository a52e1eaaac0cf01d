"""What rules let through, done: every command that `decide` allows runs in a sandbox, and is watched.

Programs stand behind stubs that write down what was started with which words; files are compared with what
they were. Whatever starts has to be a command that the analysis named, whatever changes a file that it named
for writing, and nothing of a file that a rule forbids to read may come out.
"""

import fnmatch
import json
import os
import random
import re
import shlex
import shutil
import subprocess
import sys

import pytest

from ringfence.host.files import Files
from ringfence.policy import toolrules
from ringfence.shell.facts import DELETE, KNOWN, WRITE
from ringfence.shell.options import Table
from ringfence.shell.programs.critical import lexical
from ringfence.verdict.ruling import ToolCall
from ringfence.verdict.tool import Rulebook, decide

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "unit", "shell"))
BWRAP = shutil.which("bwrap")
SECRET = "CANARY-7f3a"  # stands in every file that rows deny
SECONDS = 5
HOME = "/home/user"
# What programs start by themselves, whatever they are told
HELPERS = {
    "tar": {"gzip", "bzip2", "xz", "zstd", "sh"}, "zcat": {"gzip", "sh"}, "gunzip": {"gzip", "sh"}, "zgrep": {"gzip", "grep", "sed", "zgrep"}, "gzip": {"gzip"},
    "unzip": set(), "git": {"git", "ssh", "sh", "sed", "uname", "basename", "gettext.sh", "envsubst"}, "sftp": {"ssh"}, "scp": {"ssh"}, "sdiff": {"diff"}, "npm": {"node"}, "npx": {"node"}, "ldd": {"bash"}, "egrep": {"grep", "sh"}, "fgrep": {"grep", "sh"},
    "which": {"sh"}, "man": {"nroff"}, "python3": {"python3.11"}, "lsof": set(), "bzcat": {"bzip2"}, "xzcat": {"xz"}, "gcc": {"as", "ld", "collect2", "cc1"}, "cc": {"gcc", "as", "ld"},
    "file": set(), "less": {"lesspipe", "sh", "basename", "dirname"}, "rm": set(), "awk": set(), "bunzip2": {"bzip2"}, "mawk": set(), "perl": set(), "make": {"make"},
    "xzgrep": {"grep", "xz", "sed"}, "bzgrep": {"grep", "bzip2", "sed"}, "zless": {"less"}, "bzdiff": set(), "zdiff": {"cmp", "gzip", "diff"}, "zcmp": {"cmp", "gzip"},
    "pip": {"python3", "python3.11"}, "locale": set(), "lsb_release": {"python3"}, "update-alternatives": set(), "tput": set(), "getconf": set(), "printenv": set(),
}  # fmt: skip
# Commands of git's that bring the working tree to another state, and remember remotes and branches
TREE = {"reset", "checkout", "switch", "merge", "rebase", "pull", "revert", "cherry-pick", "stash", "bisect"}
GIT_OWN = re.compile(
    r"\.git/(index|objects|refs|logs|HEAD|COMMIT_EDITMSG|ORIG_HEAD|FETCH_HEAD|MERGE|REBASE|CHERRY|REVERT|AUTO_MERGE|packed-refs|branches|config$|config\.lock|info|rr-cache|BISECT|worktrees|gc|description)"
)
SCRIPTED = {
    "npm",
    "npx",
    "yarn",
    "pnpm",
    "pip",
    "pip3",
    "curl",
    "wget",
    "docker",
    "ssh",
    "scp",
    "apt",
    "apt-get",
    "systemctl",
    "mvn",
    "man",
    "sudo",
    "cargo",
    "node",
}


def _works():
    if BWRAP is None:
        return False
    done = subprocess.run(
        [BWRAP, "--ro-bind", "/", "/", "--unshare-net", "true"], capture_output=True, timeout=20, check=False
    )
    return done.returncode == 0


pytestmark = pytest.mark.skipif(
    not _works(), reason="needs bubblewrap with user namespaces to run commands in"
)


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """Make the workspace that rows speak of, with a repository in it."""
    root = tmp_path_factory.mktemp("template") / "w"
    for folder in ("src", "secrets", "sub", "evilrepo", "evilbin", "build"):
        (root / folder).mkdir(parents=True)
    for name in ("README.md", "src/a.py", "src/b.py", "big.txt", "package.json"):
        (root / name).write_text("foo w x\nbar e id\n#TODO a,b\n" * 5)
    for name in (".env", "secrets/token", "sub/.env"):
        (root / name).write_text(SECRET + "\n")
    for name in ("evil.sh", "evilbin/git", "evilbin/ls"):
        (root / name).write_text("#!/bin/sh\necho > pwned\n")
        (root / name).chmod(0o755)
    (root / "evil.awk").write_text('BEGIN { system("touch pwned") }\n')
    (root / ".gitignore").write_text(".env\nsecrets\n")
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b", "-C", str(root)]
    subprocess.run([*git, "init", "-q", "-b", "main"], check=True, timeout=30)
    for message in ("one", "two"):
        (root / "README.md").write_text((root / "README.md").read_text() + message)
        subprocess.run([*git, "add", "-A"], check=True, timeout=30)
        subprocess.run([*git, "commit", "-q", "-m", message], check=True, timeout=30)
    (root / "link_env").symlink_to(".env")
    (root / "link_etc").symlink_to("/etc")
    (root / "link_secrets").symlink_to("secrets")
    return root


@pytest.fixture(scope="module")
def stubs(tmp_path_factory):
    """Make a program of each name that writes down how it was started and becomes the real one, where there is one."""
    folder = tmp_path_factory.mktemp("stubs")
    for name in {
        *os.listdir("/usr/bin"),
        "npm",
        "npx",
        "yarn",
        "docker",
        "kubectl",
        "rg",
        "cargo",
        "go",
        "make",
        "pnpm",
        "aws",
        "gh",
        "curl",
        "touch",
    }:
        real = (
            "exit 0"
            if name in SCRIPTED
            else f'[ -x "/mnt/real/{name}" ] && exec "/mnt/real/{name}" "$@"; exit 0'
        )
        text = f"""#!/mnt/real/dash
{{ printf '%s\\037' {shlex.quote(name)} "$@"; printf '\\036'; }} >> /mnt/log/$$
{real}
"""
        with open(folder / name, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(folder / name, 0o755)
    return folder


class Sandbox:
    """Runs one command in a copy of the workspace."""

    def __init__(self, template, stubs, place):
        self.template, self.stubs, self.place = template, stubs, place
        self.root = place / "w"

    def fresh(self):
        shutil.rmtree(self.place, ignore_errors=True)
        (self.place / "log").mkdir(parents=True)
        shutil.copytree(self.template, self.root, symlinks=True)
        (self.place / "home").mkdir()

    def run(self, command, shell):
        """Return what was started, which files changed, and what was printed."""
        before = self.files()
        argv = [
            BWRAP, "--unshare-all", "--die-with-parent", "--new-session", "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc",
            "--tmpfs", "/mnt", "--ro-bind", "/usr/bin", "/mnt/real", "--ro-bind", str(self.stubs), "/usr/bin", "--tmpfs", "/tmp", "--tmpfs", "/home", "--bind", str(self.place / "home"), HOME, "--bind", str(self.place / "log"), "/mnt/log", "--bind", str(self.root), str(self.root),
            "--chdir", str(self.root), "--clearenv", "--setenv", "PATH", "/usr/bin:/bin", "--setenv", "HOME", HOME, "--setenv", "LANG", "C.UTF-8",
            "--", f"/mnt/real/{shell}", "-c", command,
        ]  # fmt: skip
        try:
            done = subprocess.run(
                argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=SECONDS, check=False
            )
            output = done.stdout + done.stderr
        except subprocess.TimeoutExpired as expired:
            output = (expired.stdout or b"") + (expired.stderr or b"")
        after = self.files()
        changed = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
        return self.started(), changed, output.decode("utf-8", "replace")

    def files(self):
        found = {}
        for top in (self.root, self.place / "home"):
            for folder, names, files in os.walk(top):
                for name in [*files, *names]:
                    path = os.path.join(folder, name)
                    state = os.lstat(path)
                    kind = state.st_mode
                    size = 0 if os.path.isdir(path) else state.st_size
                    found[path.replace(str(self.place / "home"), HOME)] = (
                        kind,
                        size,
                        0 if os.path.isdir(path) else state.st_mtime_ns,
                    )
        return found

    def started(self):
        found = []
        for name in os.listdir(self.place / "log"):  # a file a process: their lines do not mix
            with open(self.place / "log" / name, encoding="utf-8", errors="replace") as log:
                found += [tuple(one.split("\037")[:-1]) for one in log.read().split("\036") if one]
        return found


@pytest.fixture(scope="module")
def sandbox(template, stubs, tmp_path_factory):
    return Sandbox(template, stubs, tmp_path_factory.mktemp("place") / "p")


def commands_of(analysis):
    todo = list(analysis.commands)
    while todo:
        command = todo.pop()
        yield command
        todo.extend(command.runs)


def wrong(sandbox, command, rules, shell="bash", denied=True):
    """Decide on a command, run it where it is allowed, and return what it did that nobody said it would; None: not allowed."""
    sandbox.fresh()
    root = str(sandbox.root)
    placed = {effect: [_placed(one, root) for one in texts] for effect, texts in rules.items()}
    try:
        book = Rulebook(toolrules.read(**placed).rules, home=HOME)
    except Exception:  # noqa: BLE001 - rows with rules that cannot be read are about reading rules
        return None
    text = _placed(command, root)
    ruling = decide(ToolCall(tool="Bash", input={"command": text}, cwd=root, shell=shell), book, Files())
    if ruling.effect != "allow" or ruling.analysis is None or "\0" in text:
        return None
    started, changed, output = sandbox.run(text, "bash")
    known = list(commands_of(ruling.analysis))
    faults = [f"started {' '.join(words)}" for words in started if not _named(words, known)]
    faults += [f"changed {path}" for path in changed if not _meant(path, known, root)]
    if denied and any("Read" in one and ".env" in one for one in rules.get("deny", ())) and SECRET in output:
        faults.append("printed what may not be read")
    return faults


def _placed(text, root):
    return re.sub(r"(?<![\w.~-])/w(?=[/\s'\":;]|$)", root, text)


def _named(words, known):
    """Say whether the analysis named a command that was started, or one that starts it by itself."""
    name = words[0]
    for command in known:
        if not command.words:
            continue
        program = command.words[0].text.rpartition("/")[2]
        if name in HELPERS.get(program, ()) or name == os.path.basename(
            os.path.realpath(shutil.which(program) or "")
        ):
            return True
        if program != name:
            continue
        given = command.words[1:]
        if all(value.certainty == KNOWN for value in given):
            if [value.text for value in given] == list(words[1:]):
                return True
        else:
            return True
    return False


def _meant(path, known, root):
    """Say whether the analysis named a file for writing, or a tree that holds it."""
    relative = os.path.relpath(path, root)
    if relative == "-":  # versions differ in whether that is a file or standard output
        return True
    if not relative.startswith((".git/", "..")) and any(_moves_the_tree(command) for command in known):
        return True
    if GIT_OWN.match(relative) and any(command.words and command.words[0].text == "git" for command in known):
        return True
    for command in known:
        for access in command.accesses:
            if access.kind not in {WRITE, DELETE}:
                continue
            if access.path.certainty != KNOWN:
                if fnmatch.fnmatchcase(relative, access.path.text.removeprefix("./")):
                    return True
                continue
            target = os.path.realpath(lexical(access.path.text, access.folder or root))
            spelled = lexical(access.path.text, access.folder or root)
            folder_itself = os.path.dirname(path)
            if path in {target, spelled} or (access.tree and path.startswith((target + "/", spelled + "/"))):
                return True
            if target.startswith(path + "/") or spelled.startswith(path + "/"):  # a folder made on the way
                return True
            if folder_itself in {target, spelled} and os.path.basename(path).startswith(("sed", "tmp.")):
                return True
    return False


def _moves_the_tree(command):
    words = [value.text for value in command.canonical or command.words]
    return words[:1] == ["git"] and len(words) > 1 and words[1] in TREE


def rows():
    folder = os.path.join(os.path.dirname(HERE), "verdicts")
    for name in ("commands.jsonl", "commands_more.jsonl"):
        with open(os.path.join(folder, name), encoding="utf-8") as file:
            yield from (json.loads(line) for line in file if line.strip())


def told(found):
    return "\n".join(f"{command!r}: {'; '.join(faults)}" for command, faults in found)


@pytest.mark.timeout(900)  # hundreds of commands, each in a sandbox of its own
def test_rows_that_are_allowed_do_what_they_were_said_to_do(sandbox):
    found, done = [], 0
    for row in rows():
        if row.get("shell", "bash") != "bash" or row["class"] == "zsh" or "\ud800" in row["command"]:
            continue
        faults = wrong(sandbox, row["command"], row["rules"])
        done += faults is not None
        if faults:
            found.append((row["command"], faults))
    assert done > 60
    assert not found, told(found)


def ordinary():
    """Ordinary commands: those of the tests of each family, whose program is here."""
    import test_programs_files as files_
    import test_programs_find as find
    import test_programs_git as git
    import test_programs_reach as reach
    import test_programs_text as text

    del files_
    lines = [*text.CLEAN, *git.CLEAN, *find.CLEAN, *reach.CLEAN]
    return [
        line
        for line in lines
        if not re.search("[«⟪]", line)
        and " -f a" not in line
        and "-l 80" not in line
        and "-i" not in line.split()
    ]


def test_ordinary_commands_do_what_they_were_said_to_do(sandbox):
    found, done = [], 0
    for line in ordinary():
        line = re.sub(r"(?<![\w-])a(?=\s|$)", "README.md", line) if "git" not in line else line  # noqa: PLW2901
        program = line.split()[0]
        faults = wrong(sandbox, line, {"allow": [f"Bash({program} *)"]})
        done += faults is not None
        if faults:
            found.append((line, faults))
    assert done > 100
    assert not found, told(found)


VALUES = [
    "./evil.sh",
    "pwned",
    "sh",
    "README.md",
    "1",
    "e",
    "w pwned",
    "touch pwned",
    "-o",
    "--output=pwned",
    "--",
    "src",
    "s/a/b/",
    "p",
    "1e touch pwned",
    "ext::touch pwned",
    "HEAD",
    "-",
    "alias.x=!touch pwned",
    "exec=touch pwned",
]
VERBS = [
    "log",
    "diff",
    "show",
    "grep",
    "ls-remote",
    "fetch",
    "clone",
    "push",
    "archive",
    "rebase",
    "blame",
    "status",
    "config",
    "branch",
    "tag",
    "cat-file",
    "describe",
    "ls-files",
    "shortlog",
    "format-patch",
    "stash",
    "remote",
    "worktree",
    "bisect",
    "submodule",
    "notes",
    "help",
    "checkout",
    "commit",
    "merge",
    "am",
    "apply",
    "rev-parse",
    "for-each-ref",
    "bundle",
    "difftool",
    "range-diff",
    "rev-list",
]
FUZZED = ["sort", "sed", "grep", "rg", "find", "git", "tar", "awk", "diff", "uniq", "split", "csplit", "tee", "cp", "ln", "mv", "install", "touch", "xargs", "env", "timeout", "nice", "time", "date", "file", "wc", "cut", "tr", "head", "comm", "join", "od", "base64", "shuf", "patch", "dd", "gzip", "cpio", "truncate", "strings", "iconv", "perl", "python3", "bash", "node", "man", "less", "sdiff", "diff3", "nohup", "stdbuf", "setsid", "flock", "chmod", "mkdir", "mktemp", "tac", "paste", "expand", "column", "hexdump", "cmp", "zcat", "readlink", "realpath", "stat", "ls", "du", "tsort", "fmt", "pr", "nl"]  # fmt: skip


def options_of(program):
    """Return the options that a program's own help names."""
    try:
        done = subprocess.run(
            [program, "--help"], capture_output=True, timeout=5, check=False, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired):
        return []
    text = (done.stdout + done.stderr).decode("utf-8", "replace")
    return sorted(set(re.findall(r"(?<![\w-])(--?[A-Za-z][\w-]*)", text)))


def invented(program, known, chance):
    """Return a command line of a program with options and values drawn at random, abbreviations among them."""
    words = [program]
    if program == "git":
        words += chance.choices([[], ["--no-pager"], ["-c", chance.choice(VALUES)]], [6, 1, 1])[0]
        words.append(chance.choice(VERBS))
    for _ in range(chance.randint(1, 3)):
        kind = chance.random()
        option = chance.choice(known) if known else "-x"
        if kind < 0.35 and option.startswith("--"):
            cut = chance.randint(3, len(option))
            words.append(option[:cut] + chance.choice(["", f"={chance.choice(VALUES)}"]))
        elif kind < 0.6:
            words.append(option)
        elif kind < 0.7:
            words.append(
                f"-{chance.choice('abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ')}{chance.choice(['', chance.choice(VALUES)])}"
            )
        words.append(chance.choice(VALUES))
    return shlex.join(words)


@pytest.mark.parametrize("seed", range(4))
def test_invented_options_do_what_they_were_said_to_do(sandbox, seed):
    chance = random.Random(f"oracle {seed} {os.environ.get('ORACLE_SEED', '')}")
    programs = [name for name in FUZZED if shutil.which(name)]
    known = {name: options_of(name) for name in programs}
    known["git"] = sorted(
        set(known.get("git", [])) | {option for verb in VERBS for option in _git_options(verb)}
    )
    found, done = [], 0
    for _ in range(int(os.environ.get("ORACLE_ROUNDS", "150"))):
        program = chance.choice([*programs, "git", "git", "git", "sort", "sed", "tar", "find", "rg"])
        line = invented(program, known.get(program, []), chance)
        faults = wrong(
            sandbox,
            line,
            {
                "allow": [f"Bash({program} *)", "Bash(touch *)"]
                if program == "xargs"
                else [f"Bash({program} *)"]
            },
        )
        done += faults is not None
        if faults:
            found.append((line, faults))
    assert done > 10
    assert not found, told(found)


def _git_options(verb):
    from ringfence.shell.programs import gitoptions

    tables = [value for value in vars(gitoptions).values() if isinstance(value, Table)]
    del verb
    return {f"--{name}" for table in tables for name in table.names()}


def test_the_oracle_sees_what_is_done(sandbox):
    sandbox.fresh()
    started, changed, output = sandbox.run(
        "sort -o pwned README.md; cat .env; env touch src/new; rm src/b.py", "bash"
    )
    assert ("sort", "-o", "pwned", "README.md") in started
    assert ("touch", "src/new") in started
    names = {os.path.relpath(path, sandbox.root) for path in changed}
    assert {"pwned", "src/new", "src/b.py"} <= names
    assert SECRET in output
