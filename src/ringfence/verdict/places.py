"""Places of a machine that no rule hands over unasked: what other programs obey, and what holds secrets.

protected  files that programs on the host run or obey later: no allow rule covers writing them
sensitive  folders and files that hold keys, and what the kernel tells of processes
system     what belongs to the machine: writing there is for a person to answer

Names are compared without case: `.GIT/config` is `.git/config` on a Mac. Sources: Claude Code's protected
paths (facts/permissions.md §15) and the credential table of the secure deployment guide.
"""

PROTECTED_FOLDERS = frozenset({
    ".git", ".vscode", ".idea", ".husky", ".cargo", ".devcontainer", ".yarn", ".mvn", ".claude",
    ".cursor", ".gemini", ".codex", ".zed", ".fleet",
})  # fmt: skip
PROTECTED_PAIRS = frozenset({
    (".config", "git"), ("wrapper", "gradle-wrapper.properties"), ("wrapper", "maven-wrapper.properties"),
    (".config", "fish"), (".config", "ringfence"), (".config", "systemd"), (".config", "autostart"),
})  # fmt: skip
PROTECTED_FILES = frozenset({
    ".bashrc", ".bash_profile", ".bash_login", ".bash_logout", ".bash_aliases", ".profile", ".zshrc",
    ".zshenv", ".zprofile", ".zlogin", ".zlogout", ".kshrc", ".mkshrc", ".cshrc", ".tcshrc", ".login",
    ".inputrc", ".envrc", ".gitconfig", ".gitmodules", ".npmrc", ".pnpmfile.cjs", "bunfig.toml",
    ".pre-commit-config.yaml", "gradle-wrapper.properties", "maven-wrapper.properties",
    ".devcontainer.json", ".ripgreprc", "pyrightconfig.json", ".mcp.json", ".claude.json",
    "ringfence.toml", "ringfence.json", ".vimrc", ".exrc", ".pythonrc", ".gdbinit", ".lldbinit",
})  # fmt: skip
PROTECTED_STARTS = (".yarnrc", ".pnp.", ".bazelrc", "lefthook.", ".lefthook.", "lefthook-local.")

SENSITIVE_HOME = frozenset({
    ".ssh", ".aws", ".azure", ".gnupg", ".kube", ".docker", ".terraform.d", ".password-store", ".mozilla",
    ".thunderbird", ".gcloud", ".oci", ".vault", ".netrc", ".git-credentials", ".pgpass", ".my.cnf",
    ".pypirc", ".vault-token", ".bash_history", ".zsh_history", ".python_history",
})  # fmt: skip
SENSITIVE_PAIRS = frozenset({
    (".config", "gcloud"), (".config", "gh"), (".config", "op"), (".config", "google-chrome"),
    (".config", "chromium"), (".config", "rclone"), (".config", "sops"), ("share", "keyrings"),
    (".claude", ".credentials.json"), (".codex", "auth.json"), (".gemini", "oauth_creds.json"),
})  # fmt: skip
SENSITIVE_SYSTEM = (
    "/etc/shadow", "/etc/gshadow", "/etc/sudoers", "/etc/sudoers.d", "/etc/ssh", "/etc/ssl/private",
    "/root/.ssh", "/run/secrets", "/var/run/secrets", "/run/credentials", "/proc/kcore", "/proc/keys",
    "/dev/mem", "/dev/kmem", "/var/run/docker.sock", "/run/docker.sock",
)  # fmt: skip
SENSITIVE_OF_PROCESS = frozenset(
    {"environ", "mem", "maps", "smaps", "auxv", "fd", "map_files", "root", "cwd"}
)
SYSTEM = (
    "/bin", "/boot", "/dev", "/etc", "/lib", "/lib32", "/lib64", "/proc", "/root", "/run", "/sbin", "/sys",
    "/usr", "/var/lib", "/var/spool", "/opt", "/System", "/Library", "/private/etc",
)  # fmt: skip
# Reading or writing them touches no file.
DEVICES = frozenset({
    "/dev/null", "/dev/stdin", "/dev/stdout", "/dev/stderr", "/dev/zero", "/dev/full", "/dev/random",
    "/dev/urandom",
    *(f"/dev/fd/{number}" for number in range(3)), *(f"/proc/self/fd/{number}" for number in range(3)),
})  # fmt: skip


def device(path: str) -> bool:
    """Say whether a path is a device or stream that holds nothing of its own."""
    return path in DEVICES


def protected(parts: "list[str] | tuple[str, ...]") -> str:
    """Return the name that makes a path protected, or "". Parts are folded."""
    for at, part in enumerate(parts):
        if part in PROTECTED_FOLDERS and parts[at : at + 2] != [".claude", "worktrees"]:
            return part
        if at and (parts[at - 1], part) in PROTECTED_PAIRS:
            return part
    name = parts[-1] if parts else ""
    return name if name in PROTECTED_FILES or name.startswith(PROTECTED_STARTS) else ""


def sensitive(path: str, parts: "list[str] | tuple[str, ...]", home: str | None) -> str:
    """Return what makes a path sensitive even to read, or ""."""
    if parts[:1] == ["proc"]:
        return _of_process(parts)
    found = next((one for one in SENSITIVE_SYSTEM if path == one or path.startswith(one + "/")), "")
    if found:
        return found
    if any(tuple(parts[at : at + 2]) in SENSITIVE_PAIRS for at in range(len(parts))):
        return path
    if home is not None and path.startswith(home + "/"):
        name = path[len(home) + 1 :].partition("/")[0].lower()
        return f"~/{name}" if name in SENSITIVE_HOME else ""
    if parts[:1] in (["home"], ["root"], ["users"]):  # somebody's, or ours where home is not known
        return next((f"~/{part}" for part in parts[1:3] if part in SENSITIVE_HOME), "")
    return ""


def _of_process(parts: "list[str] | tuple[str, ...]") -> str:
    if len(parts) > 2 and (parts[1].isdigit() or parts[1] in {"self", "thread-self"}):
        found = next((part for part in parts[2:] if part in SENSITIVE_OF_PROCESS), "")
        return f"/proc/…/{found}" if found else ""
    return ""


def system(path: str) -> str:
    """Return the folder of the machine that a path lies in, or ""."""
    return next(
        (one for one in SYSTEM if path == one or path.startswith(one + "/")), "/" if path == "/" else ""
    )
