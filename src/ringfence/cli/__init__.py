"""The command line: one file a command, imported when it is called."""

import sys

COMMANDS = {
    "run": "run a command inside the boundary",
    "plan": "print what `run` would do, and why",
    "init": "write a commented ringfence.toml for this project",
    "trust": "let this project's ringfence.toml widen the policy, as it stands now",
    "doctor": "say what this machine offers, and how to mend what is missing",
    "verify": "attack the boundary and print what held",
    "approve": "see which requests wait for a person, and answer them",
    "diff": "show what a session changed in its copy of the project",
    "apply": "take changes of a session over into the project",
    "discard": "throw changes of a session away",
    "undo": "take the last apply of a session back",
    "sessions": "list the copies that sessions left for review, or remove them",
    "log": "read or check the audit log",
    "egress": "serve the gate alone, for containers, CI and many agents at once",
    "policy": "check a policy, or print it or its JSON Schema",
}


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
        sys.stderr.write(f"error: unknown command `{name}`\n\n{_help()}")
        return 2
    try:
        module = __import__(f"ringfence.cli.{name}", fromlist=["main"])
        status = module.main(arguments[1:])
    except RingfenceError as error:
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


def _help() -> str:
    width = max(map(len, COMMANDS))
    rows = "".join(f"  {name:<{width}}  {what}\n" for name, what in COMMANDS.items())
    return f"usage: ringfence COMMAND …\n\n{rows}\n`ringfence COMMAND --help` says more.\n"
