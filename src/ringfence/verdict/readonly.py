"""The built-in set of commands that only read: allowed unasked where the policy says so.

It is a floor under rules, never above them: a rule that denies or asks, a finding, a path outside the
workspace or one that is not certain still decides. What such a program does with its options is known to
`shell.programs`; here stand the names alone, and for git and docker the verbs.
"""

from ringfence.shell.facts import LIST, READ

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ringfence.shell.facts import Command

PROGRAMS = frozenset({
    "ls", "cat", "echo", "printf", "pwd", "head", "tail", "grep", "egrep", "fgrep", "rg", "find", "wc",
    "which", "type", "diff", "cmp", "comm", "stat", "du", "df", "cd", "sort", "uniq", "cut", "tr", "nl",
    "tac", "rev", "paste", "column", "fold", "expand", "basename", "dirname", "realpath", "readlink", "file",
    "tree", "sed", "ps", "date", "whoami", "id", "uname", "hostname", "uptime", "base64", "od", "hexdump",
    "strings", "md5sum", "sha1sum", "sha256sum", "sha512sum", "cksum", "seq", "test", "[", "sleep", "jq",
    "true", "false",
})  # fmt: skip
GIT = frozenset({
    "status", "log", "diff", "show", "blame", "annotate", "shortlog", "describe", "rev-parse", "rev-list",
    "ls-files", "ls-tree", "cat-file", "merge-base", "name-rev", "grep", "whatchanged", "count-objects",
    "for-each-ref", "show-ref", "show-branch", "cherry", "diff-tree", "diff-index", "diff-files", "var",
    "version", "help", "check-ignore", "check-attr",
})  # fmt: skip
# Verbs that only list where these are all their arguments
GIT_LISTS = {
    "branch": frozenset(
        {"-a", "-r", "-v", "-vv", "--all", "--remotes", "--list", "--show-current", "--verbose"}
    ),
    "tag": frozenset({"-l", "--list"}),
    "remote": frozenset({"-v", "--verbose", "show"}),
    "stash": frozenset({"list"}),
    "worktree": frozenset({"list"}),
    "config": frozenset({"--list", "-l", "--get"}),
}
DOCKER = frozenset({"ps", "images", "version", "info", "inspect", "logs", "top", "port", "stats"})
# Variables that change nothing but how a program speaks or how much it says
SAFE_VARIABLES = frozenset({
    "NODE_ENV", "CI", "TZ", "LANG", "LANGUAGE", "TERM", "COLORTERM", "NO_COLOR", "FORCE_COLOR", "CLICOLOR",
    "CLICOLOR_FORCE", "COLUMNS", "LINES", "RUST_BACKTRACE", "RUST_LOG", "GOOS", "GOARCH", "CGO_ENABLED",
    "GO111MODULE", "PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE", "PYTEST_DISABLE_PLUGIN_AUTOLOAD",
    "DEBIAN_FRONTEND", "NPM_CONFIG_LOGLEVEL", "RAILS_ENV", "RACK_ENV", "LC_ALL", "LC_CTYPE",
    "LC_TIME", "LC_COLLATE", "LC_NUMERIC", "LC_MESSAGES", "LC_MONETARY", "GREP_COLORS", "LS_COLORS",
    "CARGO_TERM_COLOR", "PY_COLORS", "ASTRO_TELEMETRY_DISABLED", "NEXT_TELEMETRY_DISABLED",
})  # fmt: skip


def safe_variable(name: str) -> bool:
    """Say whether assigning a variable cannot change which program runs or what it obeys."""
    return name in SAFE_VARIABLES


def is_readonly(command: "Command") -> bool:
    """Say whether a command, its words all known, does no more than read."""
    if command.runner or command.runs or command.endpoints:
        return False
    if any(one.kind not in {READ, LIST} for one in command.accesses if one.origin != "redirection"):
        return False
    words = [word.text for word in command.canonical or command.words]
    if words[0] == "git":
        return _git(words[1:])
    if words[0] == "docker":
        return bool(words[1:]) and words[1] in DOCKER
    return words[0] in PROGRAMS


def _git(words: list[str]) -> bool:
    if not words:
        return True
    if words[0] in GIT:
        return True
    only = GIT_LISTS.get(words[0])
    return (
        only is not None
        and all(word in only for word in words[1:])
        and (words[0] != "stash" or len(words) > 1)
    )
