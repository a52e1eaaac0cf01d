"""`ringfence policy`: check a policy, print it, say what it makes of a request, or print its JSON Schema."""

import os
import sys

from ringfence.errors import PolicyError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ringfence.policy.model import Policy

HELP = """\
usage: ringfence policy check [FILE]       say all that is wrong with a file, or with those that apply here
       ringfence policy show [--json] [--command NAME]   print the policy that holds here, and why
       ringfence policy explain [METHOD] URL            say what the gate would do with a request, and why
       ringfence policy install FILE --key KEY          put a signed policy in force on this machine
       ringfence policy schema             print the JSON Schema of a policy file
"""


def main(arguments: list[str]) -> int:
    """Run one of the five."""
    if not arguments or arguments[0] in {"-h", "--help"}:
        (sys.stdout if arguments else sys.stderr).write(HELP)
        return 0 if arguments else 2
    name, rest = arguments[0], arguments[1:]
    if name == "schema" and not rest:
        from ringfence.policy.schema import text

        sys.stdout.write(text())
        return 0
    if name == "check" and len(rest) <= 1 and not any(word.startswith("-") for word in rest):
        return _check(rest)
    if name == "show":
        return _show(rest)
    if name == "install":
        from ringfence.cli import policy_install

        return policy_install.main(rest)
    if name == "explain":
        from ringfence.cli import policy_explain

        return policy_explain.main(rest)
    raise UsageError(
        f"`ringfence policy {' '.join(arguments)}` is not a command", hint="ringfence policy --help"
    )


def _check(files: list[str]) -> int:
    """Say yes (0) or no (1); the problems go to standard error."""
    try:
        checked = _check_file(files[0]) if files else _check_here()
    except PolicyError as error:
        sys.stderr.write(error.render())
        return 1
    for file in checked:
        print(f"ok: {file}")
    return 0


def _check_file(path: str) -> list[str]:
    from ringfence.host import probe
    from ringfence.policy import load, read

    host = probe.host()
    path = os.path.abspath(path)
    kind = "managed" if path in load.managed_files(host.managed_policy) else "named"
    try:
        source = read.source(path, kind)
    except read.Failure as failure:
        raise PolicyError(failure.diagnostic.message, diagnostics=(failure.diagnostic,)) from None
    if not source:
        raise PolicyError(f"there is no file {path}")
    layer, problems = read.layer(source, host.cache_dir)
    problems = tuple(sorted((*problems, *load.unknown_presets(source, layer)), key=read.place))
    if problems:
        raise PolicyError("the policy cannot be used", diagnostics=problems)
    return [path]


def _check_here() -> list[str]:
    policy = effective("")
    for note in policy.notes:
        sys.stderr.write(f"note: {note}\n")
    return [file for _, file in policy.origins] or ["no policy file: the defaults hold"]


def _show(words: list[str]) -> int:
    from ringfence.policy import explain

    rest = [word for word in words if word != "--json"]
    command = ""
    if rest:
        if len(rest) != 2 or rest[0] != "--command":
            raise UsageError(f"`ringfence policy show` does not know {' '.join(rest)}", hint=HELP.strip())
        command = rest[1]
    policy = effective(command)
    if "--json" in words:
        from ringfence.value import plain

        sys.stdout.write(_pretty(plain(policy)))
    else:
        print("\n".join(explain.lines(policy)))
    return 0


def _pretty(value: object) -> str:
    import json

    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def effective(command: str) -> "Policy":
    """Return the policy that holds in this folder."""
    from ringfence.host import indexes, probe
    from ringfence.policy import load

    host, workspace = probe.host(), os.getcwd()
    return load.effective(host, workspace, command=command, indexes=indexes.reader(host, workspace))
