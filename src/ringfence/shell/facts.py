"""What a text would do, in the terms that rules speak of: commands, files, hosts, and what is uncertain.

Facts know no rules. `commands` holds every command that may run, however deep: in substitutions,
functions, here-documents, wrappers, code strings. A rule that allows has to cover each; a rule that
denies needs one.
"""

from ringfence.shell.syntax import Reading, Span
from ringfence.value import Struct

KNOWN, PATTERN, UNKNOWN = "known", "pattern", "unknown"

READ, WRITE, DELETE, LIST = "read", "write", "delete", "list"


class Value(Struct):
    """What a word comes to, as far as that is known before it runs."""

    text: str  # known: exactly this; pattern: with its globs, literal characters escaped; unknown: as written
    certainty: str = KNOWN  # known | pattern | unknown
    span: Span = (0, 0)
    start: str = ""  # of an unknown one: what it surely begins with ("" where that is not known either)
    single: bool = True  # it is one word, whatever comes of it; else it may be none or several
    candidates: tuple[str, ...] = ()  # of an unknown one: what it may well be; only for rules that deny


class Access(Struct):
    """A file or folder that a command touches by its own words or redirections."""

    kind: str  # read | write | delete | list; a link or a rename is a write of both ends
    path: Value  # as it was spelled, `~` and known variables put in
    folder: str | None  # the working directory there, absolute; None: not known
    origin: str  # redirection | operand | option | in-place (`sed -i`: an edit, as a redirection is)
    tree: bool = False  # with everything below it (`grep -r`, `rm -r`, `cp -r`)


class Endpoint(Struct):
    """A host or URL that a command names."""

    value: Value


class Command(Struct):
    """One command that may run."""

    words: tuple[Value, ...]  # the program and its arguments; () for assignments or redirections alone
    source: str  # its words and redirections as written
    span: Span
    assignments: tuple[tuple[str, Value], ...] = ()  # before it, for it
    accesses: tuple[Access, ...] = ()
    endpoints: tuple[Endpoint, ...] = ()
    folder: str | None = None  # where it runs; None: not known
    reached: str = ""  # "" | substitution | function | pipe … | wrapper | code | exec: how it comes to run
    runs: tuple["Command", ...] = ()  # commands that it starts by its own arguments (wrappers, code strings)
    transparent: bool = False  # a wrapper of the fixed list, all its options understood: only `runs` counts
    runner: bool = False  # runs what its arguments say: a rule with a wildcard never allows it
    variables: tuple[tuple[str, Value], ...] = ()  # set by what came before it in this text
    canonical: tuple[Value, ...] = ()  # `Effects.canonical`: other words that rules match as well
    literal: int = 0  # `Effects.literal`: how many words a wildcard rule has to spell to allow a runner


class Finding(Struct):
    """A risk: why this is for a person to answer, whatever allow rules say."""

    risk: str  # the risk file's NAME, and its anchor in docs/commands.md
    span: Span
    reason: str
    exact: bool = False  # a rule that spells this very command without a wildcard may still allow it


class Analysis(Struct):
    """Everything known of one text."""

    reading: Reading
    commands: tuple[Command, ...]  # in the order of the text; what is in `runs` is not repeated here
    findings: tuple[Finding, ...]
