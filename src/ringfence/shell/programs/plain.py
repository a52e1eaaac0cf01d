"""Programs whose arguments are data: they print, compare, compute or wait, and name no files."""

from ringfence.shell.facts import KNOWN, READ
from ringfence.shell.options import Table
from ringfence.shell.programs.draft import Draft

_DATA = Table({}, operands="data")

_DATE = Table(
    {
        "": "debug resolution R rfc-email u utc universal help version j n",
        "data=": "d date rfc-3339 v",
        "data?=": "I iso-8601",
        "read=": "f file r reference",
        "risk:system-change=": "s set",
    },
    operands="data",
    risky=True,
)

_TR = Table(
    {"": "c C complement d delete s squeeze-repeats t truncate-set1 u help version"},
    operands="data",
    risky=False,
)

_SEQ = Table(
    {"": "w equal-width help version", "data=": "f format s separator t terminator"},
    operands="data",
    numbers=True,
)

_NAMES = Table({"": "a multiple z zero help version L P", "data=": "s suffix"}, operands="data")

_WHO = Table(
    {
        "": """a b d l p q r s t T u w H m all boot dead heading login lookup mesg count process users
        writable message runlevel short time help version"""
    },
    operands="read",
)

_PS = Table({}, operands="data")
_NUMFMT = Table({}, operands="data")

_LOOKUP = Table({"": "i no-idn", "data=": "s service"}, risky=True)

_HOSTNAME = Table(
    {"": "a A d f i I s y alias fqdn help version all-fqdns ip-address short domain long", "read=": "F file"}
)

# Programs with no option that reads, writes or runs anything
_PLAIN = """echo true false : sleep usleep yes nproc arch uname uptime pwd whoami id groups logname users tty
who w expr factor which whereis type tput cal ncal free vmstat lscpu lsblk lsusb lspci getconf locale
kill pkill killall pgrep pidof ps sync clear reset test [ printf basename dirname numfmt pathchk mesg
printenv nl-langinfo ulimit umask wait jobs exit return break continue shift times logout
fg bg disown suspend dirs lsb_release sw_vers getent hostid runlevel last lastlog
stty ipcs lsns figlet cowsay banner fortune toe units uuidgen pwgen"""


def _date(draft: Draft) -> None:
    parsed = draft.apply(_DATE)
    for value in parsed.operands:
        if not value.text.startswith("+") and value.certainty == KNOWN and value.text.isdigit():
            draft.finding("system-change", "sets the clock", value)


def _hostname(draft: Draft) -> None:
    for value in draft.apply(_HOSTNAME).operands:
        draft.finding("system-change", "renames the machine", value)


def _bracket(draft: Draft) -> None:
    """Read `test`: it looks at files, and reads none."""
    draft.complete = True


def _printenv(draft: Draft) -> None:
    """Read `printenv`: what it prints is the environment, keys included."""
    draft.apply(_DATA)


def _getent(draft: Draft) -> None:
    """Read `getent`: a lookup of a host leaves the machine."""
    parsed = draft.apply(_LOOKUP)
    operands = parsed.operands
    if operands and operands[0].text in {"hosts", "ahosts", "ahostsv4", "ahostsv6"}:
        for value in operands[1:]:
            draft.endpoint(value)
    elif operands and operands[0].text in {"passwd", "shadow", "group"}:
        draft.read(type(operands[0])(text=f"/etc/{operands[0].text}", span=operands[0].span))


def _stty(draft: Draft) -> None:
    for at, word in enumerate(draft.arguments):
        if word.certainty != KNOWN:
            draft.uncertain(word)
        if word.text in {"-F", "--file"} and at + 1 < len(draft.arguments):
            draft.touch(READ, draft.arguments[at + 1], "option")


PROGRAMS = {
    **dict.fromkeys(_PLAIN.split(), _DATA),
    **dict.fromkeys(("test", "["), _bracket),
    "printenv": _printenv,
    "date": _date,
    "gdate": _date,
    "tr": _TR,
    "seq": _SEQ,
    **dict.fromkeys(("basename", "dirname"), _NAMES),
    **dict.fromkeys(("who", "last"), _WHO),
    "ps": _PS,
    "numfmt": _NUMFMT,
    "hostname": _hostname,
    "getent": _getent,
    "stty": _stty,
}
