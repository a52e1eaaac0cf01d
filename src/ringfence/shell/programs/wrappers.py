"""Programs that start another one with what stands behind their own options.

Few of them are transparent: `timeout`, `time`, `nice`, `nohup`, `stdbuf`, `command`, `builtin`, `noglob`
and `xargs` without options only run what follows, so that rules look straight at that. All others change
something about it (its user, its root, its environment) and no rule with a wildcard allows them.
"""

from ringfence.shell.facts import KNOWN, UNKNOWN, WRITE, Value
from ringfence.shell.options import Parsed, Table, known
from ringfence.shell.programs.draft import NOWHERE, OPTION, Draft

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

INPUT = "⟨standard input⟩"  # what `xargs` adds, where that is not known


def _table(roles: dict[str, str], *, numbers: bool = False) -> Table:
    return Table(roles, permute=False, numbers=numbers, risky=True)


_TIMEOUT = _table(
    {"": "preserve-status foreground v verbose help version f p", "data=": "k kill-after s signal"}
)
_NICE = _table({"": "help version", "data=": "n adjustment"}, numbers=True)
_NOHUP = _table({"": "help version p"})
_STDBUF = _table({"": "help version", "data=": "i input o output e error"})
_TIME = _table(
    {
        "": "a append p portability v verbose q quiet V version help h l",
        "data=": "f format",
        "write=": "o output",
    }
)
_COMMAND = _table({"": "p", "show": "v V"})
_PLAIN = _table({})

_ENV = _table(
    {
        "": "i ignore-environment 0 null list-signal-handling v debug help version",
        "data=": "u unset",
        "data?=": "block-signal default-signal ignore-signal",
        "folder=": "C chdir",
        "split=": "S split-string",
        "argv0=": "a argv0",
        "path=": "P",
    }
)

_XARGS = _table(
    {
        "": """0 null o open-tty r no-run-if-empty show-limits t verbose x exit help version p interactive""",
        "data=": "d delimiter E L max-lines n max-args P max-procs process-slot-var s max-chars J R S",
        "replace=": "I",
        "replace?=": "i replace",
        "data?=": "e eof l",
        "read=": "a arg-file",
    }
)

# Runners: the options of each, `first` operands of its own before the command
_RUNNERS: dict[str, tuple[Table, int]] = {
    "watch": (
        _table(
            {
                "": """b beep c color C no-color e errexit g chgexit p precise t no-title w x exec h help v
                version r no-rerun q f""",
                "data=": "n interval equexit s shotsdir",
                "data?=": "d differences",
            }
        ),
        0,
    ),
    "setsid": (_table({"": "c ctty f fork w wait h help V version"}), 0),
    "ionice": (
        _table({"": "t ignore h help V version", "data=": "c class n classdata p pid P pgid u uid"}),
        0,
    ),
    "flock": (
        _table(
            {
                "": """s shared x exclusive e u unlock n nonblock nb o close F no-fork verbose h help V
                version fcntl""",
                "data=": "w wait timeout E conflict-exit-code",
                "script=": "c command",
            }
        ),
        1,
    ),
    "chrt": (
        _table(
            {
                "": """o other f fifo r rr b batch i idle d deadline R reset-on-fork a all-tasks m max p
                pid v verbose h help V version e ext""",
                "data=": "T sched-runtime P sched-period D sched-deadline",
            }
        ),
        1,
    ),
    "taskset": (_table({"": "a all-tasks p pid h help V version c cpu-list"}), 1),
    "numactl": (
        _table(
            {
                "": "s show H hardware l localalloc a all b huge touch dump verify",
                "data=": """i interleave m membind p preferred N cpunodebind C physcpubind S shm f file L
                length o offset""",
            }
        ),
        0,
    ),
    "prlimit": (
        _table({"": "raw noheadings verbose h help V version", "data=": "p pid output o"}),
        0,
    ),
    "setarch": (_table({"": "v verbose R addr-no-randomize B 32bit F I L S T X Z 3 4gb uname-2.6 list"}), 1),
    "linux32": (_table({"": "v verbose R B 3"}), 0),
    "linux64": (_table({"": "v verbose R B 3"}), 0),
    "unshare": (
        _table(
            {
                "": """r map-root-user c map-current-user map-auto kill-child f fork h help V version
                keep-caps m u i n p U C T""",
                "data?=": "mount uts ipc net pid user cgroup time mount-proc mount-binfmt",
                "data=": """map-user map-group map-users map-groups propagation setgroups S setuid G setgid
                monotonic boottime l load-interp owner""",
                "folder=": "R root w wd",
            }
        ),
        0,
    ),
    "nsenter": (
        _table(
            {
                "": """a all U m u i n p C T preserve-credentials F no-fork Z follow-context h help V
                version keep-caps e env c join-cgroup user-parent""",
                "data=": "t target S setuid G setgid N net-socket",
                "data?=": "mount uts ipc net pid user cgroup time root wd r w W wdns",
            }
        ),
        0,
    ),
    "chroot": (
        _table({"": "skip-chdir help version n", "data=": "groups userspec u g G"}),
        1,
    ),
    "strace": (
        _table(
            {
                "": """c C d f ff F h i k n q qq qqq r t tt ttt T v V w x xx y yy Y z Z follow-forks
                summary help
                version stack-traces verbose seccomp-bpf successful-only failed-only no-abbrev debug
                output-separately summary-only summary-wall-clock decode-pids instruction-pointer
                syscall-number""",
                "data=": """a columns b detach-on e trace abbrev raw signal status inject fault
                interruptible I
                O P trace-path p attach s string-limit S summary-sort-by u user X const-print-style U E env
                argv0 kvm""",
                "data?=": """relative-timestamps absolute-timestamps syscall-times quiet decode-fds
                strings-in-hex D daemonize daemonized""",
                "program=": "o output",
            }
        ),
        0,
    ),
    "ltrace": (
        _table(
            {
                "": "b c C f h i L r S t tt ttt T V w no-signals demangle help version",
                "data=": "a align A D debug e F config g indent l library n output p s u user x library-path",
                "program=": "o",
            }
        ),
        0,
    ),
    "perf": (_table({"": "v version"}), 1),
    "valgrind": (_table({}), 0),
    "catchsegv": (_PLAIN, 0),
    "fakeroot": (
        _table({"": "u unknown-is-real h help v version", "data=": "l lib f faked i s b fd-base"}),
        0,
    ),
    "fakechroot": (_table({"": "s h v", "data=": "l e c d b"}), 0),
    "proot": (_table({"": "0 v", "data=": "r b q w k"}), 0),
    "bwrap": (_table({}), 0),
    "firejail": (_table({}), 0),
    "dbus-run-session": (
        _table({"": "help version", "data=": "config-file dbus-daemon"}),
        0,
    ),
    "xvfb-run": (
        _table(
            {
                "": "a auto-servernum h help l listen-tcp",
                "data=": "e error-file f auth-file n server-num p xauth-protocol s server-args w wait",
            }
        ),
        0,
    ),
    "systemd-run": (_table({}), 0),
    "systemd-inhibit": (_table({"": "list", "data=": "what who why mode"}), 0),
    "caffeinate": (_table({"": "d i m s u", "data=": "t w"}), 0),
    "unbuffer": (_table({"": "p"}), 0),
    "rlwrap": (_table({"": "a A c i n N r R v w", "data=": "f H s C l D"}), 0),
    "chpst": (_table({"": "v V P 0 1 2", "data=": "u U b e / C n l L m d o p f c r t"}), 0),
    "softlimit": (_table({"data=": "a c d f l m o p r s t"}), 0),
    "setpriv": (_table({}), 0),
    "capsh": (_table({}), 0),
    "aa-exec": (_table({"": "i immediate v verbose d debug h help", "data=": "p profile n namespace"}), 0),
    "nocorrect": (_PLAIN, 0),
    "exec-line": (_PLAIN, 0),
    "torsocks": (
        _table({"": "i isolate d debug q quiet h help version", "data=": "u user p pass a address P port"}),
        0,
    ),
    "proxychains": (_table({"": "q", "data=": "f"}), 0),
    "proxychains4": (_table({"": "q", "data=": "f"}), 0),
    "tsocks": (_PLAIN, 0),
    "retry": (_table({}), 0),
    "hyperfine": (_table({}), 0),
    "entr": (_table({"": "a c d n p r s x z"}), 0),
    "dotenv": (_table({"": "o c", "data=": "e f v"}), 0),
    "envdir": (_PLAIN, 1),
    "with-contenv": (_PLAIN, 0),
    "tini": (_table({"": "s v w g", "data=": "p e"}), 0),
    "dumb-init": (_table({"": "c v"}), 0),
    "gosu": (_PLAIN, 1),
    "su-exec": (_PLAIN, 1),
    **dict.fromkeys(
        ("ld.so", "ld-linux.so.2", "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1", "ld-musl-x86_64.so.1"),
        (_table({"": "list verify help version", "data=": "library-path preload argv0 audit"}), 0),
    ),
}
_PRIVILEGED = frozenset({"unshare", "nsenter", "chroot", "gosu", "su-exec", "setpriv", "capsh", "chpst"})


def _pass_on(table: Table) -> "Callable[[Draft], None]":
    """Return what reads a transparent wrapper."""

    def look(draft: Draft) -> None:
        parsed = draft.apply(table)
        _transparent(draft, parsed, parsed.operands)

    return look


def _transparent(draft: Draft, parsed: Parsed, words: list[Value]) -> None:
    draft.run(words)
    understood = not (parsed.strange or parsed.unsure or parsed.globbed or draft.findings)
    draft.transparent = understood
    draft.runner = not understood


def _timeout(draft: Draft) -> None:
    parsed = draft.apply(_TIMEOUT)
    words = parsed.operands
    if words[:1] and words[0].certainty != KNOWN:
        draft.uncertain(words[0])
    _transparent(draft, parsed, words[1:])


def _command(draft: Draft) -> None:
    """Read `command`: with `-v` it only looks a name up."""
    parsed = draft.apply(_COMMAND)
    if "show" in parsed.roles():
        return
    _transparent(draft, parsed, parsed.operands)


def _env(draft: Draft) -> None:
    """Read `env`: options, assignments, a command; `-S` splits a string into all of these."""
    parsed = draft.apply(_ENV)
    words = parsed.operands
    for value in parsed.values("split"):
        words = [*_split(draft, value), *words]
    for value in parsed.values("folder"):
        draft.start = value.text if value.certainty == KNOWN else None
        draft.list(value, OPTION)
    for value in parsed.values("path"):
        draft.finding("option-runs-program", "looks for the program in another place", value)
    words = words[1:] if words[:1] and words[0].text == "-" else words
    while words:
        name, equals, _ = words[0].text.partition("=")
        if not equals or not name:
            break
        text = words[0].text[len(name) + 1 :]
        draft.assignments.append((name, Value(text=text, certainty=words[0].certainty, span=words[0].span)))
        words = words[1:]
    draft.runner = bool(words) or bool(parsed.unsure)
    draft.run(words)


def _split(draft: Draft, value: Value) -> list[Value]:
    """Split a string as `env -S` does, and say that it is not certain where it holds more than words."""
    if value.certainty != KNOWN or any(char in value.text for char in "\\$#'\""):
        draft.finding("runner", "splits a string into words by rules of its own", value)
    words = [known(word, value) for word in value.text.replace('"', "").replace("'", "").split()]
    if any(word.text.startswith("-") for word in words[:1]):
        draft.finding("runner", "takes options from a string that it splits", value)
        words = [word for word in words if not word.text.startswith("-")]
    return words


def _xargs(draft: Draft) -> None:
    """Read `xargs`: bare, it only adds words; those of a text that is known are known."""
    parsed = draft.apply(_XARGS)
    command = list(parsed.operands) or [Value(text="echo", span=draft.invocation.span)]
    replace = parsed.values("replace") or [known("{}", command[0])] * ("replace" in parsed.roles())
    if replace:
        mark = replace[0].text
        draft.run([_replaced(word, mark) for word in command])
    else:
        draft.run([*command, *_added(draft, parsed, command[0])])
    if parsed.given or parsed.strange or parsed.unsure or parsed.globbed:
        draft.runner = True
    else:
        draft.transparent = True


def _added(draft: Draft, parsed: Parsed, like: Value) -> list[Value]:
    text = draft.invocation.input
    plain = text is not None and text.certainty == KNOWN and not parsed.given
    if plain and text is not None and not any(char in text.text for char in "'\"\\"):
        return [known(word, like) for word in text.text.split()]
    return [Value(text=INPUT, certainty=UNKNOWN, span=draft.invocation.span)]


def _replaced(word: Value, mark: str) -> Value:
    if mark and mark in word.text:
        return Value(text=word.text, certainty=UNKNOWN, span=word.span)
    return word


def _runner(draft: Draft) -> None:
    """Read a program that starts another one in its own way."""
    table, first = _RUNNERS[draft.program]
    parsed = draft.apply(table)
    words = parsed.operands
    for one in parsed.given:
        if one.value is None:
            continue
        if one.role == "script":
            draft.script(one.value)
        elif one.role == "program":
            _output(draft, one.value)
        elif one.role == "folder":
            draft.start = one.value.text if one.value.certainty == KNOWN else None
    if first and draft.program in {"flock", "envdir"}:
        draft.each(words[:1], "out" if draft.program == "flock" else "read")
    if first and draft.program == "chroot":
        draft.start = None
    words = words[first:]
    _shell_word(draft, words)
    draft.runner = True
    draft.complete = draft.complete and not parsed.strange
    if parsed.strange:
        _guess(draft, parsed, words)
    if draft.program in _PRIVILEGED:
        draft.finding("privilege", "runs something with another root or as another user")
    draft.run(words)


def _shell_word(draft: Draft, words: list[Value]) -> None:
    """Note a script: `watch 'a; b'` gives its words to a shell, as `flock FILE -c` does."""
    if draft.program == "flock" and words[:1] and words[0].text in {"-c", "--command"}:
        for value in words[1:2]:
            draft.script(value)
        del words[:2]
    elif draft.program in {"watch", "entr", "hyperfine", "retry"} and words:
        if all(word.certainty == KNOWN for word in words):
            draft.scripts.append(known(" ".join(word.text for word in words), words[0]))
        if draft.program == "hyperfine":
            draft.scripts.extend(words)


def _guess(draft: Draft, parsed: Parsed, words: list[Value]) -> None:
    """Take every later word for a program as well, where an option may have swallowed the one before it."""
    del parsed
    for at in range(1, min(len(words), 8)):
        if not words[at].text.startswith("-"):
            draft.run(words[at:])


def _output(draft: Draft, value: Value) -> None:
    """Note where a tracer writes: a file, or a program behind `|` or `!`."""
    if value.text[:1] in {"|", "!"}:
        draft.finding("option-runs-program", "", value)
        draft.script(Value(text=value.text[1:], certainty=value.certainty, span=value.span))
    elif value.text not in NOWHERE:
        draft.touch(WRITE, value, OPTION)


PROGRAMS = {
    "timeout": _timeout,
    "gtimeout": _timeout,
    "nice": _pass_on(_NICE),
    "nohup": _pass_on(_NOHUP),
    "stdbuf": _pass_on(_STDBUF),
    "time": _pass_on(_TIME),
    "gtime": _pass_on(_TIME),
    "command": _command,
    "builtin": _pass_on(_PLAIN),
    "noglob": _pass_on(_PLAIN),
    "env": _env,
    "genv": _env,
    "xargs": _xargs,
    "gxargs": _xargs,
    **dict.fromkeys(_RUNNERS, _runner),
}
