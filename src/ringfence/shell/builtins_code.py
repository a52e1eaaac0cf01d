"""Builtins that run something: a command, a text, a file; and those that change what a name stands for."""

from ringfence.shell.facts import KNOWN, READ, UNKNOWN, Value
from ringfence.shell.state import Variable
from ringfence.shell.words import known

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ringfence.shell.call import Call

# Options that change neither how a text is read nor what it runs.
HARMLESS_LETTERS = frozenset("eufxvnhbmCET")
HARMLESS_OPTIONS = frozenset({
    "errexit", "nounset", "noglob", "xtrace", "verbose", "pipefail", "noclobber", "noexec", "errtrace",
    "functrace", "monitor", "notify", "hashall",
})  # fmt: skip
HARMLESS_SHOPT = frozenset(
    {"nullglob", "failglob", "checkwinsize", "inherit_errexit", "checkjobs", "huponexit"}
)


def command(call: "Call") -> None:
    """`command [-p] program …` runs it; with -v or -V it only says what it is."""
    arguments = call.arguments()
    skipped = 0
    for value in arguments:
        text = value.text
        if value.certainty != KNOWN or not text.startswith("-") or text == "-":
            break
        skipped += 1
        if text == "--":
            break
        if set(text[1:]) - set("pvV"):
            call.find("uncertain-argument", f"{text!r} is no option of command.", value)
        elif not {"v", "V"}.isdisjoint(text):
            return
    call.transparent = skipped == 0 or all(value.text in {"-p", "--"} for value in arguments[:skipped])
    call.start(arguments[skipped:], "wrapper")


def builtin(call: "Call") -> None:
    """`builtin name …` runs the builtin."""
    arguments = call.arguments()
    if arguments and arguments[0].text == "--":
        arguments = arguments[1:]
    call.transparent = True
    call.start(arguments, "wrapper")


def precommand(call: "Call") -> None:
    """`noglob`, `nocorrect` and `-` of zsh; programs that nobody has elsewhere."""
    call.transparent = call.name == "noglob"
    if call.name == "-":
        call.find("uncertain-command", "`-` runs what follows it in zsh, under another name.")
    call.start(call.arguments(), "wrapper")


def execute(call: "Call") -> None:
    """`exec [-cl] [-a name] program …`: the shell becomes the program."""
    arguments = call.arguments()
    skipped = 0
    while skipped < len(arguments) and arguments[skipped].text.startswith("-"):
        text = arguments[skipped].text
        skipped += 1
        if text == "--":
            break
        if text.endswith("a"):
            skipped += 1
        if set(text[1:]) - set("cl"):
            call.find(
                "evaluation", "exec gives the program another name than its own.", arguments[skipped - 1]
            )
    call.start(arguments[skipped:], "exec")


def evaluate(call: "Call") -> None:
    """`eval word…`: joined by blanks and read as code."""
    arguments = call.arguments()
    if arguments and arguments[0].text == "--":
        arguments = arguments[1:]
    call.find("evaluation", "eval runs its arguments as code.")
    call.runner = True
    if not arguments:
        return
    span = (arguments[0].span[0], arguments[-1].span[1])
    if any(value.certainty == UNKNOWN and not value.candidates for value in arguments):
        texts = [value.text for value in arguments]
    else:
        texts = [value.candidates[0] if value.certainty == UNKNOWN else value.text for value in arguments]
    before = dict(call.state.variables)
    for name, value in call.assignments:
        if value.certainty == KNOWN:
            call.state.set(name, Variable((value.text,), certain=False))
    call.code(known(" ".join(texts), span))
    call.state.variables.update({name: before[name] for name, _ in call.assignments if name in before})


def source(call: "Call") -> None:
    """`. file` and `source file`: the file is run as code."""
    call.find("evaluation", "What is in the file is run as code.")
    call.runner = True
    arguments = call.arguments()
    for value in arguments[1:2] if arguments and arguments[0].text == "--" else arguments[:1]:
        call.access(READ, value)
    if call.input.text is not None:
        call.code(call.input.text)


def trap(call: "Call") -> None:
    """`trap code signal…`: code that runs later; listing and resetting are harmless."""
    arguments = call.arguments()
    if arguments and arguments[0].text == "--":
        arguments = arguments[1:]
    if not arguments or arguments[0].text in {"-", "", "-l", "-p"} or len(arguments) == 1:
        return
    call.find("evaluation", "trap runs its argument as code, later.")
    call.code(arguments[0], state=call.state.copy())


def alias(call: "Call") -> None:
    """`alias name=value`: from the next line on the name stands for something else."""
    for value in call.arguments():
        text = value.text if value.certainty == KNOWN else value.start
        name, equals, code = text.partition("=")
        if value.certainty == KNOWN and (name == "-p" or not equals):
            continue
        call.find("alias", f"{name} stands for something else from here on.", value)
        call.code(known(code, value.span), state=call.state.copy())


def hashed(call: "Call") -> None:
    """`hash -p path name`: the name is another program from here on."""
    arguments = call.arguments()
    if any(value.certainty != KNOWN for value in arguments):
        call.find(
            "uncertain-argument",
            "What is not known may be the option -p, which makes a name another program.",
        )
    for number, value in enumerate(arguments):
        if value.text.startswith("-") and "p" in value.text:
            call.find("function-shadow", "hash -p makes a name another program.", value)
            call.start(arguments[number + 1 : number + 2], "hash", call.state.copy())
        if call.walk.shell == "zsh" and "=" in value.text:
            call.find("function-shadow", "hash makes a name another program.", value)


def enable(call: "Call") -> None:
    """`enable -f file name` loads code into the shell, `-n` makes a builtin's name a program's."""
    if any(value.text[:1] == "-" and value.text not in {"-a", "-p", "-s"} for value in call.arguments()):
        call.find(
            "function-shadow", "enable changes what a builtin's name stands for, or loads one from a file."
        )


def jobs(call: "Call") -> None:
    """`jobs -x program …` runs it."""
    arguments = call.arguments()
    if arguments and arguments[0].text.startswith("-") and "x" in arguments[0].text:
        call.start(arguments[1:], "wrapper")
        call.runner = True


def shopt(call: "Call") -> None:
    """`shopt -s option`: some options change how text is read, or which files a pattern means."""
    arguments = call.arguments()
    flags = "".join(value.text[1:] for value in arguments if value.text.startswith("-"))
    names = [value for value in arguments if not value.text.startswith("-")]
    if not {"s", "u"} & set(flags):
        return
    allowed = HARMLESS_OPTIONS if "o" in flags else HARMLESS_SHOPT
    for value in names:
        if value.certainty != KNOWN or value.text not in allowed:
            call.find(
                "shell-option", f"The option {value.text} changes how the shell reads what follows.", value
            )


def options(call: "Call") -> None:
    """`set -e`, `set -o name`, `set -- words`."""
    arguments = call.arguments()
    number = 0
    while number < len(arguments):
        value = arguments[number]
        text = value.text
        if value.certainty != KNOWN and not value.start:
            call.find("uncertain-argument", "What is not known may be an option of the shell.", value)
            return
        if text in {"--", "-"} or text[:1] not in {"-", "+"}:
            _positional(call, arguments[number + (text in {"--", "-"}) :])
            return
        number += 1
        letters = text[1:]
        if "o" in letters:
            for name in arguments[number : number + 1]:
                if name.certainty != KNOWN or name.text not in HARMLESS_OPTIONS:
                    call.find("shell-option", f"The option {name.text} changes how the shell reads.", name)
            number += 1
        if set(letters) - HARMLESS_LETTERS - {"o"}:
            call.find("shell-option", f"{text} changes how the shell reads or runs what follows.", value)


def _positional(call: "Call", words: tuple[Value, ...]) -> None:
    """Note what `set --` makes of the positional parameters."""
    texts = tuple(value.candidates[0] if value.candidates else value.text for value in words)
    certain = all(value.certainty == KNOWN for value in words)
    call.state.set("@", Variable(texts[:1], certain=certain, items=texts))
