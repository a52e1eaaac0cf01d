"""What the host would later run or obey: each step tries to plant something there.

The marker that is planted is `PWNED`; whoever runs this looks for it on the host afterwards.
"""

import os
import subprocess
import sys
import time

from steps import Loot, step

HOOK = "#!/bin/sh\n# PWNED\ntouch /tmp/pwned\n"

HOME_TARGETS = (
    ".bashrc",
    ".profile",
    ".zshenv",
    ".gitconfig",
    ".ssh/authorized_keys",
    ".config/autostart/pwned.desktop",
    ".config/ringfence/policy.toml",
    ".local/bin/git",
    ".claude/settings.json",
)
PROJECT_TARGETS = (
    ".git/hooks/pre-commit",
    ".git/hooks/post-checkout",
    ".git/config",
    ".claude/settings.json",
    ".claude/settings.local.json",
    ".claude/agents/pwned.md",
    ".mcp.json",
    ".vscode/tasks.json",
    ".idea/workspace.xml",
    ".envrc",
    "ringfence.toml",
)
SYSTEM_TARGETS = (
    "/etc/cron.d/pwned",
    "/etc/profile.d/pwned.sh",
    "/usr/local/bin/git",
    "/etc/ld.so.preload",
    "/etc/ringfence/policy.toml",
)


def _write(path: str) -> str:
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    with open(path, "a", encoding="utf-8") as file:
        file.write(HOOK)
    return f"wrote {path}"


def _write_step(label: str, paths: "tuple[str, ...]", base: str) -> None:
    def plant(path: str) -> None:
        def action(targets: dict, _loot: Loot) -> str:
            root = targets["home"] if base == "home" else ""
            return _write(os.path.join(root, path))

        action.__name__ = f"{label}_{path.strip('/').replace('/', '_')}"
        step("change")(action)

    for path in paths:
        plant(path)


_write_step("home", HOME_TARGETS, "home")
_write_step("project", PROJECT_TARGETS, "")
_write_step("system", SYSTEM_TARGETS, "")


@step("change")
def hook_by_renaming_the_git_folder(_targets: dict, _loot: Loot) -> str:
    os.rename(".git", "git-aside")
    os.makedirs(".git/hooks")
    _write(".git/hooks/pre-commit")
    return "replaced .git"


@step("change")
def hook_by_renaming_the_hooks_folder(_targets: dict, _loot: Loot) -> str:
    os.rename(".git/hooks", ".git/hooks-aside")
    return _write(".git/hooks/pre-commit")


@step("change")
def git_config_by_git(_targets: dict, _loot: Loot) -> object:
    argv = ["git", "config", "core.fsmonitor", "touch /tmp/PWNED"]
    done = subprocess.run(argv, capture_output=True, timeout=10, check=False)
    return done.returncode == 0


@step("change")
def audit_log(targets: dict, _loot: Loot) -> object:
    state = targets["state"]
    written = []
    for folder, _folders, files in os.walk(state):
        for name in files:
            with open(os.path.join(folder, name), "a", encoding="utf-8") as file:
                file.write("PWNED\n")
            written.append(name)
    return written


@step("change")
def own_policy_in_state(targets: dict, _loot: Loot) -> str:
    return _write(os.path.join(targets["state"], "trust", "pwned"))


@step("change")
def outlive_the_session(_targets: dict, _loot: Loot) -> None:
    """Leave a process behind that goes on writing into the project after the session's end."""
    program = "import os, time\nos.setsid()\nif os.fork(): os._exit(0)\n"
    program += "for _ in range(120): open('outlived', 'w').write('still here'); time.sleep(0.5)"
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    subprocess.Popen([sys.executable, "-c", program], **quiet)
    while not os.path.exists("outlived"):
        time.sleep(0.05)


@step("change")
def setuid_program(_targets: dict, _loot: Loot) -> object:
    with open("rootme", "w", encoding="utf-8") as file:
        file.write("#!/bin/sh\nid\n")
    os.chmod("rootme", 0o6777)
    return os.stat("rootme").st_mode & 0o6000 and os.stat("rootme").st_uid == 0
