"""Programs that run code: from their arguments, from a file, from their input, or a module by name.

Code in the arguments is for a person to read. A file is run because a rule spells it: `Bash(python x.py *)`
is about that file, `Bash(python *)` is about anything that anybody wrote.
"""

from ringfence.shell.facts import KNOWN, Value
from ringfence.shell.options import Parsed, Table
from ringfence.shell.programs.draft import IN_PLACE, OPTION, Draft

_PYTHON = Table(
    {
        "": "b bb B d E h i I O OO P q s S u v V x version help 3 2",
        "data=": "W check-hash-based-pycs X",
        "code=": "c",
        "module=": "m",
    },
    permute=False,
    risky=True,
)
_PERL = Table(
    {
        "": "a c f g l n p s S t T u U v V w W X h 0",
        "data=": "C F x",
        "in-place?=": "i",
        "code=": "e E",
        "code?=": "m M",
        "code": "d",
        "folder=": "I",
    },
    permute=False,
    numbers=True,
    risky=True,
)
_RUBY = Table(
    {
        "": "a c l n p s S v w h version verbose yjit jit copyright help 0 U y disable-all",
        "data=": "C F E x K W enable disable encoding external-encoding internal-encoding backtrace-limit",
        "in-place?=": "i",
        "code=": "e r I",
    },
    permute=False,
    risky=True,
)
_NODE = Table(
    {
        "": """v version h help i interactive c check abort-on-uncaught-exception no-warnings watch
        trace-warnings
        enable-source-maps experimental-strip-types experimental-transform-types preserve-symlinks test
        throw-deprecation no-deprecation trace-deprecation expose-gc experimental-vm-modules
        experimental-modules experimental-specifier-resolution test-only trace-uncaught use-system-ca
        frozen-intrinsics permission inspect-x test-x harmony""",
        "data=": """max-old-space-size stack-size test-reporter test-name-pattern conditions C input-type
        unhandled-rejections title dns-result-order max-http-header-size experimental-default-type
        test-concurrency test-timeout watch-path stack-trace-limit""",
        "data?=": "test-isolation test-shard inspect inspect-brk inspect-wait inspect-port test-coverage",
        "code=": "e eval p print pe r require import loader experimental-loader",
        "read=": "env-file env-file-if-exists",
        "write=": """test-reporter-destination heapsnapshot-signal cpu-prof-dir diagnostic-dir
        redirect-warnings
        report-dir report-directory trace-event-file-pattern heap-prof-dir build-snapshot-config""",
        "run=": "run",
        "risk:option-writes": "cpu-prof heap-prof prof build-snapshot",
    },
    permute=False,
    risky=True,
)
_PHP = Table(
    {
        "": "a C h help i ini l m n q v version s w z",
        "data=": "t",
        "code=": "r B R E d z define run",
        "code": "S-x",
        "code-file=": "f F c process-file file php-ini",
        "risk:interpreter-code=": "S",
    },
    permute=False,
    risky=True,
)
_LUA = Table({"": "i v E W", "code=": "e l"}, permute=False, risky=True)
_R = Table(
    {
        "": """vanilla verbose version help no-save no-environ no-site-file no-init-file no-restore slave
        quiet""",
        "data=": "encoding default-packages arch",
        "code=": "e",
    },
    permute=False,
    risky=True,
)
_JAVA = Table(
    {
        "": """server client version fullversion showversion help X ea enableassertions da
        disableassertions esa
        enablesystemassertions dsa verbose""",
        "data=": """add-modules add-opens add-exports add-reads limit-modules D cp classpath class-path p
        module-path upgrade-module-path source""",
        "code-file=": "jar",
        "module=": "m module",
        "risk:interpreter-code=": "javaagent agentpath agentlib Xbootclasspath",
    },
    permute=False,
    single=True,
    risky=True,
)
_GENERIC = Table({"code=": "e eval c expr command execute"}, permute=False, risky=True)


def _interpreter(language: str, table: Table) -> "object":
    def look(draft: Draft) -> None:
        parsed = draft.apply(table)
        _run(draft, parsed, language)

    return look


def _run(draft: Draft, parsed: Parsed, language: str) -> None:
    """Note code in arguments, or what is run instead of it."""
    in_arguments = False
    for one in parsed.given:
        if one.role == "code":
            draft.code(one.value, one.word, language)
            in_arguments = True
        elif one.role == "module":
            draft.runner = True
            draft.literal = _position(draft, one.value or one.word) + 1
            if one.value is not None and one.value.certainty != KNOWN:
                draft.uncertain(one.value)
            _module(draft, one.value, parsed.operands)
            return
        elif one.role == "code-file" and one.value is not None:
            draft.read(one.value, OPTION)
            _spelled(draft, one.value)
            in_arguments = True
        elif one.role == "in-place":
            for value in parsed.operands:
                draft.write(value, IN_PLACE)
        elif one.role == "folder" and one.value is not None:
            draft.finding("interpreter-code", "loads code from another folder", one.word)
    if in_arguments:
        return
    operands = parsed.operands
    if operands:
        _file(draft, operands[0])
    elif not _only_informs(parsed):
        _input(draft, language)


def _module(draft: Draft, module: Value | None, operands: list[Value]) -> None:
    """Note what well-known modules do that needs no code of the project."""
    if module is None:
        return
    if module.text in {"http.server", "SimpleHTTPServer", "pyftpdlib"}:
        draft.finding("interpreter-code", "serves files to the network", module)
    elif module.text in {"pip", "pip3"}:
        draft.run([module, *operands])
    elif module.text in {"json.tool", "zipfile", "tarfile", "compileall", "base64", "gzip"}:
        draft.each([one for one in operands if not one.text.startswith("-")], "read")


def _file(draft: Draft, value: Value) -> None:
    if value.text == "-":
        _input(draft, "a program")
        return
    draft.read(value)
    _spelled(draft, value)


def _spelled(draft: Draft, value: Value) -> None:
    draft.runner = True
    draft.literal = _position(draft, value) + 1


def _position(draft: Draft, value: Value) -> int:
    """Return the place of a word among all words, the program being the first, for `literal`."""
    for at, word in enumerate(draft.arguments):
        if word is value or word.span == value.span != (0, 0) or word.text.endswith(value.text):
            return at + 1
    return len(draft.arguments)


def _input(draft: Draft, language: str) -> None:
    given = draft.invocation.input
    draft.finding("interpreter-code", f"runs {language} that it reads from its input", given)


def _only_informs(parsed: Parsed) -> bool:
    asks = ("version", "help", "V", "h", "v", "fullversion", "showversion", "test", "copyright", "i")
    return parsed.has(*asks) or bool(parsed.strange)


def _deno(draft: Draft) -> None:
    """Read `deno` and `bun`: their first word says what they do."""
    words = draft.arguments
    verb = next((word for word in words if not word.text.startswith("-")), None)
    for word in words:
        if word.certainty != KNOWN:
            draft.uncertain(word)
    if any(
        word.text in {"-e", "--eval", "-p", "--print"} or word.text.startswith("--eval=") for word in words
    ):
        draft.finding("interpreter-code", "runs JavaScript that stands in its arguments")
        return
    if verb is None:
        return
    at = words.index(verb)
    if verb.text == "eval":
        draft.finding("interpreter-code", "runs JavaScript that stands in its arguments", verb)
    elif verb.text in {"x", "run", "serve", "task", "create"}:
        target = next((word for word in words[at + 1 :] if not word.text.startswith("-")), None)
        if target is not None:
            draft.runner = verb.text in {"x", "create"} or "/" in target.text or "." in target.text
            draft.literal = words.index(target) + 2 if draft.runner else 0
            if "://" in target.text:
                draft.endpoint(target)
            elif draft.runner and verb.text != "x":
                draft.read(target)
            if verb.text == "x":
                draft.run(words[words.index(target) :])
    elif "." in verb.text or "/" in verb.text:
        _file(draft, verb)


def _swift(draft: Draft) -> None:
    """Read an interpreter without a table: `-e` is code, its first operand a file."""
    parsed = draft.apply(_GENERIC)
    draft.complete = False
    _run(draft, parsed, "code")


def _gdb(draft: Draft) -> None:
    """Read a debugger: its commands start programs, and it reads a file of commands where it stands."""
    table = Table(
        {
            "": "batch quiet q nx nh n nw w silent return-child-result tui version help batch-silent readnow",
            "data=": "pid p b baud l annotate tty symbols exec se d directory cd D data-directory c core s e",
            "commands=": "ex eval-command iex init-eval-command o one-line O one-line-before-file",
            "files=": "x command ix init-command source S",
            "rest": "args",
        },
        permute=True,
        single=True,
        risky=True,
    )
    parsed = draft.apply(table)
    for value in parsed.values("commands"):
        draft.finding("interpreter-code", "runs debugger commands, which can start programs", value)
    for value in parsed.values("files"):
        draft.read(value, OPTION)
        draft.finding("unseen-instructions", "", value)
    draft.runner = True
    draft.each(parsed.operands[:1], "read")
    if parsed.operands and ("rest" in parsed.roles() or draft.program == "lldb"):
        draft.run(parsed.operands)


def _database(draft: Draft) -> None:
    """Read a database client: its language has an escape to the shell, such as `.shell`."""
    table = Table(
        {
            "data=": "h host p port U username d dbname u user D database P L v separator newline nullvalue",
            "code=": "c command e execute cmd",
            "files=": "f file init init-command o output",
            "": """t A q b s w x X 1 l json csv header noheader batch bail version help readonly
            tuples-only no-align quiet W N B raw html line list echo""",
        },
        single=draft.program.startswith("sqlite"),
        risky=True,
    )
    parsed = draft.apply(table)
    for value in (*parsed.values("code"), *(parsed.operands[1:] if table.single else [])):
        if value.certainty != KNOWN:
            draft.uncertain(value)
        if _escapes(value.text):
            draft.finding("interpreter-code", "runs programs or reaches files from its language", value)
    for value in parsed.values("files"):
        draft.read(value, OPTION)
        draft.finding("unseen-instructions", "", value)
    if table.single:
        for value in parsed.operands[:1]:
            draft.write(value)
    elif not parsed.values("code", "files") and draft.invocation.input is not None:
        draft.finding("interpreter-code", "runs statements that it reads from its input")


def _escapes(text: str) -> bool:
    lower = text.lower()
    signs = (
        ".shell",
        ".system",
        "\\!",
        "\\copy",
        "copy ",
        ".output",
        ".once",
        ".import",
        ".load",
        "load_extension",
        "readfile(",
        "writefile(",
        "edit(",
        "attach",
        "\\o",
        "\\g",
        "outfile",
        "dumpfile",
        "load data",
        "system ",
        "pg_read",
        "lo_import",
        "lo_export",
        ".read",
        ".open",
        ".backup",
        ".save",
        ".clone",
        ".excel",
        ".log",
        ".dump x",
        "into ",
        "program",
    )
    return any(sign in lower for sign in signs)


PROGRAMS = {
    **dict.fromkeys(
        ("python", "pypy", "ipython", "jython", "micropython", "python3", "python2", "pypy3"),
        _interpreter("Python", _PYTHON),
    ),
    **dict.fromkeys(("perl",), _interpreter("Perl", _PERL)),
    **dict.fromkeys(("ruby", "jruby", "irb"), _interpreter("Ruby", _RUBY)),
    **dict.fromkeys(("node", "nodejs"), _interpreter("JavaScript", _NODE)),
    **dict.fromkeys(
        ("tsx", "ts-node", "ts-node-esm", "esno", "babel-node", "coffee"), _interpreter("code", _NODE)
    ),
    **dict.fromkeys(("deno", "bun"), _deno),
    "php": _interpreter("PHP", _PHP),
    **dict.fromkeys(("lua", "luajit", "texlua"), _interpreter("Lua", _LUA)),
    **dict.fromkeys(("Rscript", "R"), _interpreter("R", _R)),
    **dict.fromkeys(("java", "javaw"), _interpreter("Java", _JAVA)),
    **dict.fromkeys(
        """m4 dc swift groovy scala kotlin clojure clj julia elixir iex erl escript ghc runghc runhaskell
        ocaml
        racket guile sbcl clisp tclsh wish expect osascript pwsh powershell jshell gnuplot octave maxima
        bc-x dc-x qjs d8 rhino mongo mongosh redis-cli-x raku nim crystal gst pike janet nu elvish xonsh
        cmd cscript wscript""".split(),
        _swift,
    ),
    **dict.fromkeys(("gdb", "lldb", "cgdb"), _gdb),
    **dict.fromkeys(("psql", "mysql", "mariadb", "sqlite3", "sqlite", "duckdb"), _database),
}
