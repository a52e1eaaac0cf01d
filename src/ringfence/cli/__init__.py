"""The command line: one file a command, imported when it is called."""

import sys

GROUPS = {
    "Work": {
        "run": "run a command inside the boundary, on a copy of the project",
        "approve": "see which requests wait for a person, and answer them",
        "log": "read or check the audit log",
        "hook": "answer an agent that asks before it uses a tool, or have it ask",
    },
    "Review": {
        "diff": "show what a session changed in its copy, what is dangerous first",
        "apply": "take changes of a session over into the project",
        "undo": "take the last apply of a session back",
        "discard": "throw changes of a session away",
        "sessions": "list the copies that sessions left for review, or remove them",
    },
    "Policy": {
        "plan": "print what `run` would do, and why",
        "init": "write a commented ringfence.toml for this project",
        "trust": "let this project's ringfence.toml widen the policy, as it stands now",
        "import": "take over rules from another program's settings",
        "policy": "check a policy, print it, explain a request, or print the JSON Schema",
        "check": "say what the rules make of a command or tool call, and how it was understood",
    },
    "Machine": {
        "scan": "look into the project's files for keys",
        "doctor": "say what this machine offers, and how to mend what is missing",
        "image": "make what virtual machines boot from",
        "verify": "attack the boundary and print what held",
        "pool": "keep boundaries ready, and run commands in them at once",
        "bench": "measure what each tier costs on this machine",
        "egress": "serve the gate alone, for containers, CI and many agents at once",
    },
}
_MODULES = {"import": "importing"}  # a word of Python's own
COMMANDS = {name: what for rows in GROUPS.values() for name, what in rows.items()}


def main() -> None:
    """Run the command that the arguments name and exit with its status."""
    _open_streams()
    sys.exit(run(sys.argv[1:]))


def _open_streams() -> None:
    """Put /dev/null in the place of a standard stream that came in closed."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            import os

            stream = open(os.devnull, mode, encoding="utf-8")  # noqa: SIM115 - open for as long as we run
            os.set_inheritable(stream.fileno(), True)
            setattr(sys, name, stream)


def run(arguments: list[str]) -> int:
    """Dispatch to the command's module; errors of ours become text and a status."""
    from ringfence.errors import RingfenceError

    name = arguments[0] if arguments else "--help"
    if name in {"-h", "--help", "help"}:
        sys.stdout.write(_help())
        return 0
    if name in {"-V", "--version"}:
        from ringfence import __version__

        print(f"ringfence {__version__}")
        return 0
    if name not in COMMANDS:
        sys.stderr.write(f"error: unknown command `{name}`\n\nhint: {_nearest(name)}\n")
        return 2
    try:
        module = __import__(f"ringfence.cli.{_MODULES.get(name, name)}", fromlist=["main"])
        status = module.main(arguments[1:])
    except RingfenceError as error:
        _flush()
        sys.stderr.write(error.render())
        return error.status
    except BrokenPipeError:
        return 141
    except KeyboardInterrupt:
        return 130
    except OSError as error:  # one that no door translated: still told without a traceback
        what = f"{error.filename}: " if error.filename else ""
        sys.stderr.write(
            f"error: {what}{error.strerror or error}\n\n"
            "hint: `ringfence doctor` says what this machine offers\n"
        )
        return 125
    return int(status)


def _nearest(name: str) -> str:
    from difflib import get_close_matches

    close = get_close_matches(name, COMMANDS, 1)
    return f"did you mean `ringfence {close[0]}`?" if close else "`ringfence --help` lists the commands"


def _flush() -> None:
    """Let what was printed come before the error that ends it."""
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        return


def _help() -> str:
    width = max(map(len, COMMANDS))
    parts = (
        f"{title}:\n" + "".join(f"  {name:<{width}}  {what}\n" for name, what in rows.items())
        for title, rows in GROUPS.items()
    )
    return (
        "usage: ringfence COMMAND …\n\n" + "\n".join(parts) + "\n`ringfence COMMAND --help` says more; "
        "`ringfence run -- COMMAND` needs no configuration.\n"
    )
