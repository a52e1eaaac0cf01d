"""`ringfence check`: the verdict on a command or tool call, and how it was understood, without running it."""

import os
import sys

from ringfence.cli import options
from ringfence.errors import RingfenceError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ringfence.integrations.permissions import Permissions
    from ringfence.policy.toolrules import Rules
    from ringfence.verdict.ruling import Ruling
    from ringfence.verdict.tool import Rulebook

USAGE = "ringfence check [OPTION …] 'COMMAND' | --tool NAME [OPTION …] INPUT | --stdin [OPTION …]"
ABOUT = (
    "Say what the rules make of a shell command or another tool call: the verdict, the rule that decides,\n"
    "the parts as they were understood, what is risky, and the smallest rule that would allow it.\n"
    "Nothing is run. Status: 0 allow, 1 deny, 3 ask, 2 wrong usage. Without rules here, the policy's hold.\n"
    "INPUT is a JSON object, or the one thing that the tool is about: a path, a URL, a name.\n"
    '--stdin reads lines {"id", "command" | "tool" + "input", "cwd", "rules": {"allow", "ask", "deny"},\n'
    '"shell"} and answers each: {"id", "verdict", "rule", "reason"}. A line that cannot be read is denied.'
)
OPTIONS = (
    options.Option(name="--tool", value="NAME", help="a tool other than Bash: Read, Edit, WebFetch, mcp__…"),
    options.Option(name="--json", help="print one JSON object"),
    options.Option(name="--stdin", help="decide on lines of JSON"),
    options.Option(name="--rules", value="FILE", help="rules in JSON", many=True),
    options.Option(name="--allow", value="RULE", help='such as "Bash(npm run *)"', many=True),
    options.Option(name="--ask", value="RULE", help="a rule that asks", many=True),
    options.Option(name="--deny", value="RULE", help="a rule that denies", many=True),
    options.Option(name="--shell", value="SHELL", help="bash (default), sh or zsh"),
    options.Option(name="--cwd", value="FOLDER", help="where it would run; default: here"),
    options.Option(name="--help", help="this text"),
)
STATUS = {"allow": 0, "deny": 1, "ask": 3}
PRIMARY = {
    "Read": "file_path", "Edit": "file_path", "Write": "file_path", "MultiEdit": "file_path",
    "NotebookEdit": "notebook_path", "NotebookRead": "notebook_path", "Glob": "path", "Grep": "path",
    "LS": "path", "Cd": "path", "WebFetch": "url", "WebSearch": "query", "Agent": "subagent_type",
    "Task": "subagent_type", "Skill": "skill",
}  # fmt: skip
EFFECTS = ("allow", "ask", "deny")


def main(arguments: list[str]) -> int:
    """Decide on one call, or on lines of them."""
    given = _read(arguments)
    if "--help" in given.switches:
        sys.stdout.write(options.help_text(USAGE, ABOUT, OPTIONS))
        return 0
    cwd = os.path.abspath(given.one("--cwd") or os.getcwd())
    shell = given.one("--shell", "bash")
    if "--stdin" in given.switches:
        from ringfence.cli import check_lines

        if given.rest or given.one("--tool"):
            raise UsageError("with `--stdin` the lines say what is decided", hint=f"usage: {USAGE}")
        return check_lines.run(lambda: rulebook(given, cwd), cwd, shell)
    if len(given.rest) != 1:
        raise UsageError("say one command, in quotes", hint=f"usage: {USAGE}")
    tool = given.one("--tool", "Bash")
    return _one(tool, _input(tool, given.rest[0]), given, cwd, shell)


def _read(arguments: list[str]) -> options.Given:
    """Read the options; here they may follow the command too."""
    given = options.read(arguments, OPTIONS, USAGE)
    if len(given.rest) < 2 or not given.rest[1].startswith("-"):
        return given
    front = arguments[: len(arguments) - len(given.rest)]
    front = front[:-1] if front[-1:] == ["--"] else front
    return options.read([*front, *given.rest[1:], "--", given.rest[0]], OPTIONS, USAGE)


def _one(tool: str, call_input: dict[str, object], given: options.Given, cwd: str, shell: str) -> int:
    from ringfence.host.files import Files
    from ringfence.verdict.ruling import ToolCall
    from ringfence.verdict.tool import decide

    call = ToolCall(tool=tool, input=call_input, cwd=cwd, shell=shell)
    if _names_rules(given):
        book, notes = rulebook(given, cwd)
        ruling = decide(call, book, Files())
    else:
        from ringfence.integrations.permissions import Asked

        policy = _permissions(cwd)
        notes = policy.notes
        ruling = policy.ruling(Asked(calls=(call,), root=policy.root, client="check"))
    if "--json" in given.switches:
        import json

        sys.stdout.write(json.dumps({**answer(ruling), "notes": list(notes)}, indent=2) + "\n")
    else:
        from ringfence.cli import check_shown

        sys.stdout.write(check_shown.text(call, ruling))
        sys.stderr.write("".join(f"note: {note}\n" for note in notes))
    return STATUS[ruling.effect]


def _input(tool: str, text: str) -> dict[str, object]:
    """Read what a tool is given: an object, or the one thing it is about."""
    if text.lstrip().startswith("{") and tool not in {"Bash", "PowerShell", "Monitor"}:
        import json

        try:
            value = json.loads(text)
        except ValueError as error:
            raise UsageError(f"the input of {tool} is not JSON: {error}") from None
        return dict(value)
    if tool in {"Bash", "PowerShell", "Monitor"}:
        return {"command": text}
    return {PRIMARY.get(tool, "input"): text}


def rulebook(given: options.Given, cwd: str) -> "tuple[Rulebook, tuple[str, ...]]":
    """Return the rules that the command line names, or else those of the policy in force, and notes."""
    from ringfence.host import probe
    from ringfence.verdict.tool import Rulebook

    host = probe.host()
    if not _names_rules(given):
        return in_force(cwd)
    named = [given.all(f"--{effect}") for effect in EFFECTS]
    files = given.all("--rules")
    from ringfence.policy import toolrules

    sets = [_of_file(file) for file in files]
    sets.append(toolrules.read(*named, scope="command line", origin="command line"))
    rules = [rule for one in sets for rule in one.rules]
    notes = tuple(note for one in sets for note in one.notes)
    return Rulebook(rules, home=host.home), notes


def _names_rules(given: options.Given) -> bool:
    return bool(given.all("--rules")) or any(given.all(f"--{effect}") for effect in EFFECTS)


def in_force(cwd: str) -> "tuple[Rulebook, tuple[str, ...]]":
    """Return the rules of the policy that holds in a folder."""
    policy = _permissions(cwd)
    return policy.book(cwd), policy.notes


def _permissions(cwd: str) -> "Permissions":
    from ringfence.host import probe
    from ringfence.integrations.permissions import Permissions
    from ringfence.preparation import workspace_of

    host = probe.host()
    return Permissions(host, workspace_of(os.path.realpath(cwd), host.home))


def _of_file(path: str) -> "Rules":
    import json

    from ringfence.policy import toolrules

    try:
        with open(path, encoding="utf-8") as file:
            value = json.load(file)
    except (OSError, ValueError) as error:
        raise RingfenceError(f"{path}: {error}") from None
    table = value.get("permissions", value) if isinstance(value, dict) else None
    if not isinstance(table, dict):
        raise RingfenceError(f"{path}: rules are an object with the lists allow, ask and deny")
    return toolrules.read(
        *(table.get(effect, ()) for effect in EFFECTS),
        scope="command line",
        origin=path,
        base=os.path.dirname(os.path.abspath(path)),
    )


def answer(ruling: "Ruling") -> dict[str, object]:
    """Return a ruling as JSON's own kinds."""
    return {
        "verdict": ruling.effect,
        "rule": ruling.rule.text if ruling.rule else None,
        "origin": ruling.rule.origin or ruling.rule.scope if ruling.rule else None,
        "reason": ruling.reason,
        "risks": [
            {"risk": one.risk, "reason": one.reason, "span": list(one.span)} for one in ruling.findings
        ],
        "unmatched": list(ruling.unmatched),
        "suggestion": list(ruling.suggestion),
    }
