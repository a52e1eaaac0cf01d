"""`sed`: its options, and what its script reads, writes and runs."""

from ringfence.shell.facts import KNOWN, Value
from ringfence.shell.options import Table, known
from ringfence.shell.programs.draft import IN_PLACE, NOWHERE, OPTION, Draft
from ringfence.shell.programs.sedscript import Script, read

_SED = Table(
    {
        "": """n quiet silent debug follow-symlinks posix E r regexp-extended s separate sandbox u
        unbuffered z null-data a b binary help version""",
        "script=": "e expression",
        "script-file=": "f file",
        "data=": "l line-length",
        "in-place?=": "i in-place I",
    },
    closed=True,
    numbers=False,
)


def _sed(draft: Draft) -> None:
    parsed = draft.apply(_SED)
    operands = parsed.operands
    scripts = parsed.values("script")
    for value in parsed.values("script-file"):
        draft.read(value, OPTION)
        draft.finding(
            "sed-script", "takes its script from a file, which may write files and run programs", value
        )
    if not scripts and not parsed.values("script-file"):
        scripts, operands = operands[:1], operands[1:]
    _scripts(draft, scripts)
    in_place = "in-place" in parsed.roles()
    for value in operands:
        draft.read(value)
        if in_place:
            draft.write(value, IN_PLACE)
    for value in parsed.values("in-place"):
        if "/" in value.text or value.certainty != KNOWN:
            draft.finding("option-writes", "keeps a copy of what it edits at another place", value)


def _scripts(draft: Draft, scripts: list[Value]) -> None:
    for value in scripts:
        if value.certainty != KNOWN:
            draft.uncertain(value)
    certain = [value for value in scripts if value.certainty == KNOWN]
    if not certain:
        return
    text = "\n".join(value.text for value in certain)
    script = read(text, brackets=True)
    _note(draft, script, certain[0])
    if script.unread:
        draft.finding("sed-script", f"has a script that is not understood ({script.unread})", certain[0])
    if "[" in text:  # some versions end an expression at a delimiter in brackets: `s/[/w x]/…/`
        _note(draft, read(text), certain[0])


def _note(draft: Draft, script: Script, at: Value) -> None:
    for name in script.reads:
        draft.read(known(name, at))
    for name in script.writes:
        if name not in NOWHERE:
            draft.write(known(name, at))
            draft.finding("sed-script", f"writes the file {name!r} from its script", at)
    for text in script.runs:
        if text:
            draft.scripts.append(known(text, at))
    if script.runs:
        draft.finding("sed-script", "runs programs from its script", at)


PROGRAMS = {**dict.fromkeys(("sed", "gsed", "ssed"), _sed)}
