"""Built-in tables: which files hold credentials, and which the host would later run or obey.

Sources: the credential-file table of Anthropic's secure deployment guide, and what comparable tools
hide or protect (sandbox-runtime's mandatory denies, Claude Code's protected paths).
Matching is by name, without regular expressions: `re` alone costs the launcher 5 ms.
"""

CREDENTIAL_FILES = frozenset({
    ".git-credentials", ".netrc", "_netrc", ".npmrc", ".pypirc", ".pgpass", ".my.cnf", ".s3cfg", ".boto",
    ".vault-token", ".terraformrc", "terraform.rc", "credentials.tfrc.json", ".dockercfg", ".kubeconfig",
    "kubeconfig", "application_default_credentials.json", ".credentials.json", ".htpasswd", ".ngrok.yml",
    "id_rsa", "id_dsa", "id_ecdsa", "id_ecdsa_sk", "id_ed25519", "id_ed25519_sk",
    ".bash_history", ".zsh_history", ".sh_history", ".python_history", ".node_repl_history",
    ".psql_history", ".mysql_history", ".sqlite_history", ".rediscli_history", ".lesshst", ".viminfo",
})  # fmt: skip
CREDENTIAL_PREFIXES = (".env",)
CREDENTIAL_SUFFIXES = (
    ".pem", ".key", ".p12", ".pfx", ".jks", ".keystore", ".ppk", ".kdbx", ".tfstate", ".tfvars", ".ovpn",
    "-service-account.json", "_service_account.json", "service-account.json", "service_account.json",
    "-credentials.json",
)  # fmt: skip
CREDENTIAL_FOLDERS = frozenset({
    ".aws", ".azure", ".ssh", ".gnupg", ".kube", ".docker", ".terraform.d", ".password-store", ".mozilla",
    ".thunderbird", ".gcloud", ".oci", ".vault",
})  # fmt: skip
# (parent folder, name)
CREDENTIAL_PAIRS = frozenset({
    (".config", "gcloud"), (".config", "gh"), (".config", "hub"), (".config", "glab-cli"), (".config", "op"),
    (".config", "google-chrome"), (".config", "chromium"), (".config", "BraveSoftware"),
    (".config", "doctl"), (".config", "heroku"), (".config", "rclone"), (".config", "sops"),
    ("share", "keyrings"), ("share", "kwalletd"),
    (".cargo", "credentials"), (".cargo", "credentials.toml"), (".gem", "credentials"),
    (".m2", "settings.xml"), (".m2", "settings-security.xml"), (".gradle", "gradle.properties"),
    (".databricks", "config"), (".streamlit", "secrets.toml"), (".claude", ".credentials.json"),
    (".codex", "auth.json"), (".gemini", "oauth_creds.json"),
})  # fmt: skip
# Named like credentials, but public by nature: hiding them breaks tools and protects nothing
PUBLIC_FILES = frozenset({
    ".env.example", ".env.sample", ".env.template", ".env.dist", ".env.defaults", ".env.schema",
    "cacert.pem", "roots.pem", "ca-bundle.pem", "ca-certificates.pem",
})  # fmt: skip

# Files of the project that programs on the host run or obey later
PROTECTED_FILES = frozenset({
    ".bashrc", ".bash_profile", ".bash_login", ".bash_logout", ".bash_aliases", ".profile", ".zshrc",
    ".zshenv", ".zprofile", ".zlogin", ".zlogout", ".kshrc", ".inputrc", ".envrc", ".gitconfig",
    ".gitmodules",
    ".mcp.json", ".claude.json", ".ripgreprc", ".bazelrc", ".pre-commit-config.yaml", "lefthook.yml",
    ".lefthook.yml", ".devcontainer.json", ".pnpmfile.cjs", ".yarnrc", ".yarnrc.yml", "bunfig.toml",
    "ringfence.toml", "ringfence.json",
})  # fmt: skip
PROTECTED_FOLDERS = frozenset({
    ".claude", ".vscode", ".idea", ".husky", ".devcontainer", ".cursor", ".gemini", ".codex", ".zed",
    ".fleet", ".cargo", ".mvn",
})  # fmt: skip
PROTECTED_IN_GIT = ("hooks", "config", "config.worktree", "commondir")
# A folder that holds all of these is a bare repository: git in it obeys its `config`
BARE_REPOSITORY = frozenset({"HEAD", "objects", "refs"})

# Installed dependencies: the user's own secrets do not lie here, packages' test fixtures do, by the
# thousand. Masks that the policy itself names are looked for here too.
DEPENDENCY_FOLDERS = frozenset({"node_modules", "site-packages", "__pycache__", ".tox", ".nox"})


def credential_rule(name: str, parent: str) -> str:
    """Return the pattern that makes the entry `name` of folder `parent` a credential, or ""."""
    if name in PUBLIC_FILES:
        return ""
    if name in CREDENTIAL_FILES or name in CREDENTIAL_FOLDERS:
        return f"**/{name}"
    if (parent, name) in CREDENTIAL_PAIRS:
        return f"**/{parent}/{name}"
    if name.endswith(CREDENTIAL_SUFFIXES):
        return next(f"**/*{end}" for end in CREDENTIAL_SUFFIXES if name.endswith(end))
    if name.startswith(CREDENTIAL_PREFIXES):
        return "**/.env*"
    return ""


def git_rule(folder: str) -> str:
    """Return why a repository in `folder` is protected: git on the host goes into submodules by itself."""
    if "/.git/modules/" in f"/{folder}/" or "/.git/worktrees/" in f"/{folder}/":
        return "submodule"
    return "bare repository"


def is_protected(name: str, parent: str) -> bool:
    """Tell whether the host would later run or obey the entry `name` of folder `parent`."""
    if name in PROTECTED_FILES or name in PROTECTED_FOLDERS:
        return True
    return parent == ".git" and name in PROTECTED_IN_GIT


# All that an entry's own name can make it: one that is none of these, in a folder that is nothing
# special itself, needs no second look. Nearly all are such, so `scan` asks this in its inner loop.
TELLING_NAMES = (
    CREDENTIAL_FILES | CREDENTIAL_FOLDERS | PROTECTED_FILES | PROTECTED_FOLDERS | BARE_REPOSITORY
    | frozenset(PROTECTED_IN_GIT)
)  # fmt: skip
_TELLING_PARENTS = frozenset(parent for parent, _ in CREDENTIAL_PAIRS)


def is_telling_parent(name: str) -> bool:
    """Tell whether a table is about the entries of a folder with this name, whatever they are called."""
    return name in _TELLING_PARENTS or name.endswith(".git")
