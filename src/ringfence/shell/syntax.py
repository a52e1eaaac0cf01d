"""The tree of a shell script, as far as it can be read with certainty.

Offsets are code points of the text as it was written, so that what was understood can be shown in place.
The tree says what the shell will do with the text, not what comes of it: a word is a row of parts, and
`words` says what it comes to.
"""

from ringfence.value import Struct

Span = tuple[int, int]  # from, to (exclusive): code points of the text as written


class Text(Struct):
    """Characters that stand for themselves, quotes and escapes removed, `$'…'` decoded."""

    span: Span
    value: str
    quoted: bool = False


class Glob(Struct):
    """An unquoted pattern character or group: `*`, `?`, `[…]`, `@(…)`."""

    span: Span
    text: str


class Tilde(Struct):
    """`~`, `~user`, `~+`, `~-` at a word's front, or after `=` and `:` in an assignment."""

    span: Span
    user: str = ""


class Parameter(Struct):
    """`$name`, `${name…}` and their kin; `operation` is all that follows the name within the braces."""

    span: Span
    name: str  # a name, a digit or a special character; "" where it is not a plain one
    operation: str = ""  # as written: ":-x", "@P", "[1]", "" for a plain reference
    inner: tuple["Word", ...] = ()  # words of the operation that the shell expands
    quoted: bool = False
    indirect: bool = False  # `${!name}`
    length: bool = False  # `${#name}`


class Substitution(Struct):
    """A script whose output, or whose file, stands here."""

    span: Span
    kind: str  # command | backquote | input (`<(…)`) | output (`>(…)`) | file (zsh `=(…)`)
    script: "Script"
    quoted: bool = False


class Arithmetic(Struct):
    """`$((…))` or `$[…]`: an expression, and what is expanded in it."""

    span: Span
    text: str
    inner: tuple["Word", ...] = ()
    quoted: bool = False


class Brace(Struct):
    """`{a,b}` or `{1..9}`, unquoted: several words in the place of one."""

    span: Span
    text: str
    inner: tuple["Word", ...] = ()  # the alternatives; () for a range


Part = Text | Glob | Tilde | Parameter | Substitution | Arithmetic | Brace


class Word(Struct):
    """One word as written. No parts at all is the empty string in quotes."""

    span: Span
    parts: tuple[Part, ...]


class Assignment(Struct):
    """`name=value`, `name+=value`, `name[index]=value`, `name=(…)`."""

    span: Span
    name: str
    value: Word | None  # None: an array
    items: tuple[Word, ...] = ()  # of an array
    index: Word | None = None
    append: bool = False


class Redirect(Struct):
    """A redirection. `descriptor` is "" for the usual one, digits, or `{name}`."""

    span: Span
    operator: str  # > >> >| <> < << <<- <<< &> &>> >& <& and zsh's >! >>! &>! &>>! >>|
    target: Word  # for a here-document its delimiter
    descriptor: str = ""
    body: Word | None = None  # of a here-document; one quoted Text where its delimiter is quoted


class Simple(Struct):
    """A simple command: what is assigned, what is run, where its files go. `words` may be empty."""

    span: Span
    assignments: tuple[Assignment, ...] = ()
    words: tuple[Word, ...] = ()
    redirects: tuple[Redirect, ...] = ()


class Compound(Struct):
    """Every other command.

    kind: subshell | group | if | while | until | for | arithmetic-for | select | case | function |
    coproc | test (`[[ … ]]`) | arithmetic (`(( … ))`) | anonymous (zsh) | repeat (zsh)
    """

    span: Span
    kind: str
    bodies: tuple["Script", ...] = ()  # conditions and bodies in the order in which they stand
    words: tuple[Word, ...] = ()  # that are expanded: of `for … in`, of `case`, operands of a test
    name: str = ""  # the loop's variable, the function's name, the coprocess's
    text: str = ""  # the expression of a test or of arithmetic, as written
    redirects: tuple[Redirect, ...] = ()


Command = Simple | Compound


class Pipeline(Struct):
    """Commands joined by `|`, with what stands before them."""

    span: Span
    commands: tuple[Command, ...]
    negated: bool = False
    timed: bool = False  # the keyword `time`


class Step(Struct):
    """A pipeline of a list, and the operator behind it."""

    pipeline: Pipeline
    operator: str = ""  # "&&" "||" ";" "&" "newline", or "" at the end


class Script(Struct):
    """A list of pipelines; empty where nothing stands."""

    span: Span
    steps: tuple[Step, ...] = ()


class Problem(Struct):
    """Why a text, or a piece of it, is not certain. Never allowed, whatever the rules say."""

    span: Span
    reason: str
    risk: str  # the name of the risk file that explains it


class Reading(Struct):
    """What was read: a tree as far as there is one, and everything that is not certain about it."""

    text: str
    shell: str  # bash | sh | zsh
    script: Script | None
    problems: tuple[Problem, ...] = ()
    seen: tuple[str, ...] = ()  # what a second reading takes for words of commands, and this one does not
