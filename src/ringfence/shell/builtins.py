"""What the builtins of bash, sh and zsh do: the commands that no file stands for.

Most of them only talk to the shell. The others change it (variables, folders, options, what a name stands
for) or take an argument for code, openly (`eval`, `trap`) or by the way: wherever a *name* is expected,
the shell takes `a[$(command)]` for an array's item and runs the command. So names have to be plain
identifiers.
"""

from ringfence.shell import builtins_code, builtins_names, builtins_places
from ringfence.shell.facts import KNOWN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ringfence.shell.call import Call

HARMLESS = frozenset({
    ":", "true", "false", "echo", "pwd", "break", "continue", "return", "exit", "logout", "times",
    "disown", "fg", "bg", "suspend", "caller", "umask", "ulimit", "limit", "unlimit", "kill", "type",
    "dirs", "unalias", "whence", "where", "which", "rehash", "unhash", "getopts_", "compopt", "log",
    "echotc", "echoti", "ttyctl", "bye", "killpg", "help",
})  # fmt: skip
# zsh, and what loads code into a shell: what these do cannot be told from their arguments
OPAQUE = frozenset({
    "zmodload", "autoload", "sysopen", "sysread", "syswrite", "sysseek", "syserror", "zsystem", "ztcp",
    "zsocket", "zpty", "zftp", "zcompile", "zle", "bindkey", "zstyle", "vared", "sched", "zregexparse",
    "zformat", "zparseopts", "zselect", "zcurses", "zprof", "zstat", "zsh_stat", "comparguments",
    "compadd", "compcall", "compctl", "compdescribe", "compfiles", "compgroups", "compquote", "comptags",
    "comptry", "compvalues", "compset", "add-zsh-hook", "print", "pushln", "getln", "chroot_", "zf_chmod",
    "zf_chown", "zf_ln", "zf_mkdir", "zf_mv", "zf_rm", "zf_rmdir", "zf_sync", "strftime", "zdelattr",
    "zgetattr", "zlistattr", "zsetattr", "ztie", "zuntie", "private", "r", "zed", "zmv", "zargs", "zcalc",
    "run-help", "clone", "cap", "getcap", "setcap", "pcre_compile", "pcre_match", "example", "bind",
    "compgen", "complete", "fc", "emulate", "setopt", "unsetopt", "options", "functions", "disable",
})  # fmt: skip
DECLARING = frozenset({"export", "declare", "typeset", "local", "readonly", "integer", "float"})

HANDLERS: "dict[str, Callable[[Call], None]]" = {
    "cd": builtins_places.cd,
    "chdir": builtins_places.cd,
    "pushd": builtins_places.pushd,
    "popd": builtins_places.popd,
    "history": builtins_places.history,
    "exec": builtins_code.execute,
    "command": builtins_code.command,
    "builtin": builtins_code.builtin,
    "noglob": builtins_code.precommand,
    "nocorrect": builtins_code.precommand,
    "-": builtins_code.precommand,
    "eval": builtins_code.evaluate,
    "source": builtins_code.source,
    ".": builtins_code.source,
    "trap": builtins_code.trap,
    "alias": builtins_code.alias,
    "hash": builtins_code.hashed,
    "enable": builtins_code.enable,
    "jobs": builtins_code.jobs,
    "shopt": builtins_code.shopt,
    "set": builtins_code.options,
    "shift": builtins_names.shift,
    "printf": builtins_names.printf,
    "read": builtins_names.read,
    "mapfile": builtins_names.mapfile,
    "readarray": builtins_names.mapfile,
    "getopts": builtins_names.getopts,
    "unset": builtins_names.unset,
    "wait": builtins_names.wait,
    "test": builtins_names.test,
    "[": builtins_names.test,
    "let": builtins_names.let,
}
HANDLERS.update(dict.fromkeys(DECLARING, builtins_names.declare))


def builtin(call: "Call") -> bool:
    """Work out what a builtin does; False where the command is none."""
    name = call.name
    if name in HARMLESS:
        return True
    handler = HANDLERS.get(name)
    if handler is not None:
        handler(call)
        return True
    if name in OPAQUE and _here(name, call):
        call.find("evaluation", f"What {name} does to the shell cannot be told from its arguments.")
        for value in call.arguments():
            if value.certainty == KNOWN and " " in value.text:
                call.code(value)
        return True
    return False


def _here(name: str, call: "Call") -> bool:
    """Say whether a name is a builtin of this shell rather than some program's."""
    return call.walk.shell == "zsh" or name in {"bind", "compgen", "complete", "fc"}
