"""What one program does with its arguments: the question that `shell.programs` answers."""

from ringfence.shell.facts import Access, Endpoint, Finding, Value
from ringfence.value import Struct


class Invocation(Struct):
    """A program about to be started with these arguments."""

    program: str  # the base name, as it was spelled: "git", "g++"
    arguments: tuple[Value, ...]
    folder: str | None = None  # the working directory; None: not known
    input: Value | None = None  # its standard input, where the text itself holds it
    span: tuple[int, int] = (0, 0)
    assignments: tuple[tuple[str, Value], ...] = ()  # of its environment, where the text itself says so
    home: str | None = None  # the home folder; None: not known


class Effects(Struct):
    """What it would do, as far as its arguments say."""

    accesses: tuple[Access, ...] = ()
    endpoints: tuple[Endpoint, ...] = ()
    findings: tuple[Finding, ...] = ()
    runs: tuple[
        tuple[Value, ...], ...
    ] = ()  # argument lists that it starts, each a program and its arguments
    scripts: tuple[Value, ...] = ()  # texts that it gives to a shell
    assignments: tuple[tuple[str, Value], ...] = ()  # variables that it sets for what it runs (`env A=b`)
    folder: str | None = None  # where it starts them, if it changes that (`env -C`); None: as it is
    transparent: bool = False  # it only runs `runs`, and every option was understood (timeout, nice, …)
    runner: bool = False  # it runs what its arguments say: no rule with a wildcard allows it
    complete: bool = False  # every argument was understood; what is not known of them is a finding then
    # the same without its global options: `git push` for `git --no-pager push`; () where it is the same
    canonical: tuple[Value, ...] = ()
    # of a runner: a wildcard rule may allow it all the same, `runs` included, where it spells so many words
    # out before its first wildcard (`npx tsc *`: 2); 0: none may
    literal: int = 0
