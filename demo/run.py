"""The demo: a scripted agent on a sample project inside the boundary, and an account of what came of it.

Everything is made in a temporary folder, the operator's home included, and removed at the end. Each
line printed is checked; the exit status is 1 when anything came out differently, so the tests run
this file as it is.
"""

import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import textwrap
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
RINGFENCE = [sys.executable, os.path.join(ROOT, "bin", "ringfence")]
WIDTH = min(max(shutil.get_terminal_size().columns, 80), 100)

POLICY = """\
# What the operator allows this agent, beside ringfence's defaults
[[egress.allow]]
host    = "api.example.test"
methods = ["GET", "POST"]
paths   = ["/v1/**"]

[[egress.ask]]
host    = "api.example.test"
methods = ["PUT"]
reason  = "a release goes out to customers"

[credentials.demo]
source      = "env:DEMO_API_KEY"
host        = "api.example.test"
prefix      = "Bearer "
environment = ["DEMO_API_KEY"]
placeholder = "held-by-the-gate"

# For the demo only: where that host is, who vouches for it, and where the agent's script lies
[egress]
extra_ca = [{ca}]
[egress.static]
"api.example.test" = "127.0.0.1:{port}"
[files]
read = [{agent}]
"""

LEFT = 123  # `ringfence apply`: something is left for review

# step → what the reader is told it does
WORK = {
    "run_tests": "runs the project's tests",
    "fix_bug": "edits invoice.py",
    "run_tests again": "runs the tests again",
    "ask_for_review": "calls an HTTPS API with a key",
    "release": "waits until you approve its PUT",
}
# step → what it does, what stood in the way
ATTACK = {
    "read_cloud_keys": ("reads ~/.aws/credentials", "the home folder is not there"),
    "read_dotenv": ("reads .env", "mask on credential files"),
    "read_environments": ("reads process environments", "own process space"),
    "use_key_in_variable": ("takes the key from its variable", "the gate keeps it"),
    "connect_to_address": ("connects straight to an address", "the wire ends at the gate"),
    "connect_to_loopback": ("calls a service on your loopback", "own loopback"),
    "resolve_stranger": ("resolves a host not allowed", "the gate's name service"),
    "call_stranger": ("calls a host not allowed", "egress rules"),
    "delete_everything": ("sends DELETE to the allowed host", "egress rules: methods"),
    "smuggle_own_key": ("uploads under its own account", "the gate replaces keys"),
    "write_bashrc": ("writes ~/.bashrc", "private home"),
    "write_hook": ("writes .git/hooks/pre-commit", "the agent works on a copy"),
    "skip_test": ("switches a test off", "the agent works on a copy"),
    "make_namespace": ("makes itself root in a namespace", "system call filter"),
    "stay_behind": ("leaves a process behind", "ended with the session"),
}


class Account:
    """What is told, and what was not as it should be."""

    def __init__(self) -> None:
        self.wrong: list[str] = []
        self.checks = 0

    def head(self, text: str) -> None:
        """Begin a block."""
        print(f"\n{text}\n{'─' * len(text)}")

    def line(self, what: str, seen: str, *, good: bool, by: str = "") -> None:
        """Tell of one thing and whether it is as it should be."""
        self.checks += 1
        if not good:
            self.wrong.append(f"{what}: {seen}")
        lead = f"  {'ok ' if good else 'BAD'} {what:<34} "
        text = f"{by} ({seen})" if by else seen
        rest = textwrap.wrap(
            text, WIDTH - len(lead), max_lines=3, placeholder=" …", break_on_hyphens=False
        ) or [""]
        print(lead + f"\n{' ' * len(lead)}".join(rest))


def main() -> int:
    """Prepare, run, tell, and clean up."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="ringfence-demo-") as folder:
        stage = Stage(folder)
        try:
            account = show(stage)
            if account.wrong:
                for path in files(stage.state):
                    if path.endswith("egress.log"):
                        print(open_bytes(path).decode("utf-8", "replace"), file=sys.stderr)
        finally:
            stage.close()
    seconds = time.monotonic() - began
    if account.wrong:
        print(f"\n{len(account.wrong)} of {account.checks} came out differently:", file=sys.stderr)
        print("\n".join(f"  {one}" for one in account.wrong), file=sys.stderr)
        return 1
    print(f"\nAll {account.checks} as they should be, in {seconds:.1f} s. Nothing of the demo is left.")
    return 0


class Stage:
    """A home with secrets in it, a project, an API that wants a key, and a policy."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.home = os.path.join(folder, "home")
        self.project = os.path.join(self.home, "invoice")
        self.state = os.path.join(self.home, ".local", "state", "ringfence")
        self.outside = os.path.join(folder, "api")
        self.agent = os.path.join(folder, "agent")
        self.key = f"sk-{canary()}"
        self.marker = f"demo-{secrets.token_hex(8)}"
        self._lay_out()
        self.api = subprocess.Popen(
            [sys.executable, os.path.join(HERE, "upstream.py"), self.outside],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.port = int(self.api.stdout.readline())
        self._write_policy()
        self._write_agent()

    def _lay_out(self) -> None:
        os.makedirs(self.outside)
        shutil.copytree(
            os.path.join(HERE, "sample"), self.project, ignore=shutil.ignore_patterns("__pycache__")
        )
        os.makedirs(os.path.join(self.project, ".git", "hooks"))
        for path, text in {
            f"{self.outside}/key": self.key,
            f"{self.home}/.aws/credentials": f"[default]\naws_secret_access_key = {canary()}\n",
            f"{self.home}/.bashrc": "# the operator's own\n",
            f"{self.project}/.env": f"DATABASE_PASSWORD={canary()}\n",
            f"{self.project}/.git/HEAD": "ref: refs/heads/main\n",
            f"{self.project}/.git/config": "[core]\n\trepositoryformatversion = 0\n",
        }.items():
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
        for name in ("objects", "refs"):
            os.makedirs(os.path.join(self.project, ".git", name))

    def _write_policy(self) -> None:
        path = os.path.join(self.home, ".config", "ringfence", "policy.toml")
        os.makedirs(os.path.dirname(path))
        ca, agent = json.dumps(os.path.join(self.outside, "ca.pem")), json.dumps(self.agent)
        with open(path, "w", encoding="utf-8") as file:
            file.write(POLICY.format(ca=ca, port=self.port, agent=agent))

    def _write_agent(self) -> None:
        """Put the agent's script beside what an attacker who knows this machine would know."""
        os.makedirs(self.agent)
        shutil.copy(os.path.join(HERE, "agent.py"), self.agent)
        facts = {"home": self.home, "workspace": self.project, "port": self.port, "marker": self.marker}
        with open(os.path.join(self.agent, "facts.json"), "w", encoding="utf-8") as file:
            json.dump(facts, file)

    def environment(self) -> dict[str, str]:
        """Return the operator's environment: the real one, with the home and the secrets of the stage."""
        ours = {
            name: value for name, value in os.environ.items() if not name.startswith(("RINGFENCE_", "XDG_"))
        }
        secret = {"DEMO_API_KEY": self.key, "AWS_SECRET_ACCESS_KEY": canary()}
        return {**ours, **secret, "HOME": self.home}

    def ringfence(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run one ringfence command as the operator would, in the project."""
        return subprocess.run(
            [*RINGFENCE, *arguments], cwd=self.project, env=self.environment(), stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip

    def session(self, *command: str) -> tuple[subprocess.CompletedProcess[str], str]:
        """Run the agent, and answer its one question meanwhile; return also what was asked."""
        words = [*RINGFENCE, "run", "--", *command]
        with subprocess.Popen(
            words, cwd=self.project, env=self.environment(), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        ) as agent:  # fmt: skip
            asked = self._answer(agent)
            out, err = agent.communicate(timeout=120)
        return subprocess.CompletedProcess(words, agent.returncode, out, err), asked

    def _answer(self, agent: subprocess.Popen[str]) -> str:
        """Say yes, once, to what waits in another terminal."""
        while agent.poll() is None:
            for line in self.ringfence("approve", "--json").stdout.splitlines():
                question = json.loads(line)
                done = self.ringfence("approve", question["name"], "--once")
                return f"{question['method']} {question['url']}: {done.stdout.strip()}"
            time.sleep(0.1)
        return ""

    def close(self) -> None:
        """End the API."""
        self.api.stdin.close()
        self.api.wait(timeout=10)
        self.api.stdout.close()


def show(stage: Stage) -> Account:
    """Run the agent and tell the whole story."""
    account = Account()
    print("A scripted agent gets a task and an API key, in a boundary. Its policy:\n")
    print(textwrap.indent(POLICY.partition("\n\n# For the demo")[0], "    "))
    command = ["python3", f"{stage.agent}/agent.py", f"{stage.agent}/facts.json"]
    print(f"\n$ ringfence run -- {' '.join([os.path.basename(word) for word in command])}")
    done, asked = stage.session(*command)
    taken = steps(done.stdout)
    if not taken:
        print(done.stderr.strip())
        account.line("the session", f"did not reach the agent: status {done.returncode}", good=False)
        return account
    tell_work(account, taken, asked)
    tell_attacks(account, taken)
    tell_review(account, stage)
    tell_log(account, stage)
    tell_remains(account, stage, done)
    return account


def steps(output: str) -> dict[str, dict]:
    """Return what the agent told, by step; a step taken twice is told as `again`."""
    taken: dict[str, dict] = {}
    for line in output.splitlines():
        if line.startswith("{"):
            told = json.loads(line)
            name = told["step"]
            taken[f"{name} again" if name in taken else name] = told
    return taken


def tell_work(account: Account, taken: dict[str, dict], asked: str) -> None:
    """Tell what an agent is there for."""
    account.head("1. What worked")
    for step, what in WORK.items():
        told = taken.get(step, {"succeeded": None, "seen": "not reached"})
        wanted = step != "run_tests"  # the first time the bug is still there
        account.line(what, told["seen"], good=told["succeeded"] is wanted)
    account.line("(ringfence approve, meanwhile)", asked or "nothing was asked", good="PUT " in asked)


def tell_attacks(account: Account, taken: dict[str, dict]) -> None:
    """Tell what a hijacked agent tried."""
    account.head("2. What was refused, and by what")
    for step, (what, by) in ATTACK.items():
        told = taken.get(step, {"succeeded": None, "seen": "not reached"})
        account.line(what, told["seen"], good=told["succeeded"] is False, by=by)


def tell_review(account: Account, stage: Stage) -> None:
    """Show what changed, what is dangerous first; apply it; see what landed."""
    account.head("3. What you review and apply (ringfence diff --stat; ringfence apply --yes)")
    before = read(stage.project, "invoice.py")
    shown = stage.ringfence("diff", "--stat").stdout
    applied = stage.ringfence("apply", "--yes")
    for line in f"{shown}\n{applied.stdout}".splitlines():
        print(f"  {line[: WIDTH - 3]}{'…' if len(line) > WIDTH - 3 else ''}")
    print()
    danger = shown.partition("# 3 changes")[0]
    account.line(
        "the hook and the skipped test", "first in the review, as dangerous",
        good="pre-commit: git" in danger and "test_invoice.py:" in danger and "invoice.py |" not in danger,
    )  # fmt: skip
    account.line("the project, before", "untouched", good="return amount - discount" in before)
    good = "100 - discount" in read(stage.project, "invoice.py")
    account.line("the agent's fix", "is in invoice.py", good=good and applied.returncode == LEFT)
    same = read(stage.project, "tests", "test_invoice.py") == read(HERE, "sample", "tests", "test_invoice.py")
    account.line("the test", "as before", good=same)
    hooks = os.listdir(os.path.join(stage.project, ".git", "hooks"))
    account.line(".git/hooks", "as before" if not hooks else str(hooks), good=not hooks)
    undone = stage.ringfence("undo")
    account.line(
        "ringfence undo",
        undone.stdout.partition(";")[0].strip(),
        good=read(stage.project, "invoice.py") == before,
    )
    thrown = stage.ringfence("discard", "--yes")
    account.line("ringfence discard", "the copy is gone", good=thrown.returncode == 0)


def tell_log(account: Account, stage: Stage) -> None:
    """Show the session's log, and check that it holds what it must."""
    account.head("4. What is on record (ringfence log; time and session left out)")
    for line in stage.ringfence("log").stdout.splitlines():
        text = line.split(maxsplit=2)[-1]
        print(f"  {text[: WIDTH - 3]}{'…' if len(text) > WIDTH - 3 else ''}")
    records = [json.loads(line) for line in stage.ringfence("log", "--json").stdout.splitlines()]
    kinds = [record["kind"] for record in records]
    used = {record["credential"] for record in records if record.get("credential")}
    denied = [record for record in records if record.get("effect") == "deny"]
    print()
    account.line(
        "begins and ends", f"{len(kinds)} records", good=kinds[:1] == ["start"] and kinds[-1:] == ["end"]
    )
    account.line("has the key's use", "by its name only", good=bool(used))
    hosts = sorted({str(record.get("host") or record.get("name")) for record in denied})
    account.line(
        "has each refusal", ", ".join(hosts), good="api.example.test" in hosts and "exfil" in str(hosts)
    )
    verified = stage.ringfence("log", "--verify")
    seen = (verified.stdout + verified.stderr).strip().splitlines()
    account.line("is unchanged (log --verify)", seen[-1] if seen else "", good=verified.returncode == 0)


def tell_remains(account: Account, stage: Stage, done: subprocess.CompletedProcess[str]) -> None:
    """Look at this machine after the session."""
    account.head("5. What this machine looks like afterwards")
    said = (done.stderr.strip().splitlines() or ["nothing on standard error"])[-1]
    account.line("the agent's own exit status", f"{done.returncode}; {said}", good=done.returncode == 0)
    account.line("~/.bashrc", "as before", good=read(stage.home, ".bashrc") == "# the operator's own\n")
    alive = gone(stage.marker)
    account.line("processes of the session", "none" if not alive else f"alive: {alive}", good=not alive)
    keys = {json.loads(line)["key"] for line in read(stage.outside, "requests").splitlines()}
    account.line(
        "keys that the API was shown", f"{', '.join(sorted(keys))}, and no other", good=keys == {"ours"}
    )
    leaks = [path for path in files(stage.state) if b"CANARY" in open_bytes(path)]
    seen = "CANARY" in done.stdout + done.stderr
    account.line(
        "secrets in output, log or state",
        "none" if not leaks and not seen else f"found: {leaks or 'in the output'}",
        good=not leaks and not seen,
    )


def canary() -> str:
    """Return a secret that is easy to find wherever it may turn up."""
    return f"CANARY-{secrets.token_hex(12)}"


def gone(marker: str) -> list[str]:
    """Return what still runs of the session, two seconds after its end at most."""
    for _ in range(20):
        if not (alive := running(marker)):
            return []
        time.sleep(0.1)
    return alive


def running(marker: str) -> list[str]:
    """Return the processes whose command line holds the marker."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            line = open_bytes(f"/proc/{name}/cmdline")
        except OSError:
            continue
        if marker.encode() in line:
            found.append(name)
    return found


def files(folder: str) -> list[str]:
    """Return every file below a folder."""
    return [os.path.join(place, name) for place, _, names in os.walk(folder) for name in names]


def open_bytes(path: str) -> bytes:
    """Return a file's bytes."""
    with open(path, "rb") as file:
        return file.read()


def read(*parts: str) -> str:
    """Return a file's text, or nothing where there is none."""
    try:
        return open_bytes(os.path.join(*parts)).decode()
    except FileNotFoundError:
        return ""


if __name__ == "__main__":
    sys.exit(main())
