"""Programs that take what they read for code, where their arguments name no code of their own."""

from ringfence.shell.facts import KNOWN, Value
from ringfence.shell.words import PIPE

SHELLS = frozenset(
    {"sh", "bash", "dash", "zsh", "ksh", "mksh", "ash", "fish", "rbash", "csh", "tcsh", "yash", "busybox"}
)
# Without an operand, or with one that means standard input, they run what they read.
INTERPRETERS = SHELLS | frozenset({
    "python", "python2", "python3", "pypy", "pypy3", "perl", "ruby", "irb", "node", "nodejs", "deno",
    "bun", "php", "lua", "luajit", "tclsh", "wish", "expect", "Rscript", "R", "julia", "ghci", "runghc",
    "scala", "jshell", "groovy", "osascript", "pwsh", "powershell", "guile", "racket", "sbcl", "clisp",
    "erl", "iex", "elixir", "octave", "swift", "ts-node", "tsx", "psql", "mysql", "mariadb", "sqlite3",
    "ftp", "sftp", "telnet", "ed", "ex", "vi", "vim", "nvim", "emacs", "gdb", "lldb", "dc", "at", "batch",
    "crontab", "parallel", "script", "m4", "gnuplot", "bpftrace", "screen",
})  # fmt: skip
STANDARD = frozenset({"-", "/dev/stdin", "/dev/fd/0", "/proc/self/fd/0", "-s"})
REMOTE = frozenset({"ssh", "rsh", "docker", "podman", "kubectl", "nsenter", "chroot", "su"})
# Options behind which the code stands, so that what is read is data.
CODED = ("-c", "-e", "-m", "-E", "-f", "-p", "-r")


def shell_of(program: str) -> str:
    """Return the shell in whose language a program's scripts are written."""
    name = program.removeprefix("-").removeprefix("r")
    if name in {"zsh", "sh", "bash"}:
        return name
    return "sh" if name in {"dash", "ash"} else "bash"


def interprets(program: str, arguments: tuple[Value, ...]) -> bool:
    """Say whether a program started so takes its input for code."""
    base = program.rstrip("0123456789.") if program not in INTERPRETERS else program
    if base in REMOTE:
        return bool(arguments) and arguments[-1].text.rsplit("/", 1)[-1] in {*SHELLS, "-"}
    if base not in INTERPRETERS:
        return False
    for value in arguments:
        text = value.text
        if value.certainty != KNOWN or text in STANDARD or text == PIPE:
            return True
        if text.startswith(CODED) and not text.startswith("--"):
            return base in {"gdb", "ed", "script"} or (base in SHELLS and "c" not in text)
        if not text.startswith("-"):
            return base in {"psql", "mysql", "mariadb", "sqlite3", "ed", "gdb", "busybox", "telnet", "ftp"}
    return True
