"""One policy's answers to tool calls: rules gathered, calls decided, people asked, everything recorded.

The order is that of the rules (deny, ask, allow), and what comes after only makes an answer stricter:
a working directory outside of the project, a policy whose `default` is to deny, a client that may not ask.
An answer that could not be recorded is no answer.
"""

import os

from ringfence.errors import PolicyError
from ringfence.policy import load, ruletext, toolrules
from ringfence.policy.model import ALLOW, APPROVE, ASK, DENY, Policy
from ringfence.policy.overrides import Overrides
from ringfence.value import Struct, replace
from ringfence.verdict.ruling import Ruling, ToolCall

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from ringfence.host.model import Host
    from ringfence.policy.importers.claude_code import InForce
    from ringfence.policy.toolrules import ToolRule
    from ringfence.verdict.tool import Rulebook

LEAVE = "leave"  # no answer: the client's own rules decide
LONGEST_WAIT = 580.0  # seconds for a person: a client gives its hooks ten minutes, and then goes on
STRICTNESS = (LEAVE, ALLOW, ASK, DENY)
# Commands by which an agent would answer for a person. What they say in Python is the same.
OWN_COMMANDS = ("approve", "trust", "hook", "policy install", "import", "apply", "discard", "undo")


class Asked(Struct):
    """One call, as a client put it. Where that stands for several, all have to be allowed."""

    calls: tuple[ToolCall, ...]
    root: str  # the project: the folder in which the client was started
    client: str
    session: str = ""  # the client's name for its session
    mode: str = "default"  # its permission mode
    name: str = ""  # its name for the call
    shown: str = ""  # the tool, as the client calls it
    inner: bool = False  # it touches nothing but by further calls: without a rule the client decides

    @property
    def input(self) -> object:
        """What is asked for: one input, however many shells it is read as, or a list of several."""
        inputs = [one.input for one in self.calls]
        distinct = [one for index, one in enumerate(inputs) if one not in inputs[:index]]
        return distinct[0] if len(distinct) == 1 else distinct


class Answer(Struct):
    """What a client is told."""

    effect: str  # allow | ask | deny | leave
    reason: str
    ruling: Ruling


class Permissions:
    """The rules that hold for one project on this machine, as they stand now."""

    def __init__(self, host: "Host", root: str, *, claude: str = "", policy_file: str = "") -> None:
        """Read policy and settings; `claude` is the user's folder for Claude Code."""
        self._host = host
        self.root = os.path.realpath(root)  # links to a project are the project
        self._claude = claude or f"{host.home}/.claude"
        self.policy: Policy = load.effective(host, self.root, overrides=Overrides(policy_file=policy_file))
        self.settings: InForce | None = self._settings()
        self._books: dict[tuple[str, str, bool], Rulebook] = {}
        self._narrow = ruletext.narrow(self.policy) | set(self.settings.narrow if self.settings else ())
        self.rules = (
            *_own(host),
            *ruletext.rules(self.policy),
            *(self.settings.rules if self.settings else ()),
        )

    def _settings(self) -> "InForce | None":
        if self.policy.commands.settings != "claude":
            return None
        from ringfence.policy import trust
        from ringfence.policy.importers import claude_code

        state, where = self._host.state_dir, claude_code.places(project=self.root, config=self._claude)
        return claude_code.in_force(
            where,
            lambda path, digest: trust.trusted(state, path, digest),
            closed=self.policy.commands.closed,
        )

    @property
    def notes(self) -> tuple[str, ...]:
        """What the operator should know of the rules."""
        return (*self.policy.notes, *(self.settings.notes if self.settings else ()))

    # --- deciding

    def ruling(self, asked: Asked) -> Ruling:
        """Decide on all that a call stands for: the strictest ruling is the answer."""
        if not asked.calls:
            return Ruling(effect=DENY, reason="this call says nothing that rules could be about")
        rulings = [self._ruling(call, asked.mode) for call in asked.calls]
        return max(rulings, key=lambda one: STRICTNESS.index(one.effect))

    def _ruling(self, call: ToolCall, mode: str) -> Ruling:
        from ringfence.host.files import Files
        from ringfence.verdict.tool import decide

        found = decide(call, self.book(call.cwd, mode), Files())
        if found.effect == ASK and self.policy.commands.default == DENY:
            found = self._by_default(call, mode, found)
        if found.effect == ALLOW and not within(call.cwd, self.root):
            reason = f"the working directory {call.cwd} lies outside of the project {self.root}"
            found = replace(found, effect=ASK, rule=None, reason=reason)
        return found

    def book(self, cwd: str, mode: str = "default", *, narrow: bool = True) -> "Rulebook":
        """Return the rules as they hold in a working directory; `narrow`: also those that only narrow."""
        from ringfence.verdict.tool import Rulebook

        key = (cwd, mode, narrow)
        if key not in self._books:
            rules = (*self.rules, *self._by_mode(mode))
            directories = self.settings.directories if self.settings else ()
            self._books[key] = Rulebook(
                anchored([one for one in rules if narrow or one not in self._narrow], cwd, self.root),
                readonly=self.policy.commands.readonly,
                home=self._host.home,
                folders=(self.root, *(_absolute(one, self.root, self._host.home) for one in directories)),
            )
        return self._books[key]

    def _by_default(self, call: ToolCall, mode: str, found: Ruling) -> Ruling:
        """Deny what no rule names; a file that may only narrow makes no question of it."""
        from ringfence.host.files import Files
        from ringfence.verdict.tool import decide

        if found.rule is not None and self._narrow:
            rest = decide(call, self.book(call.cwd, mode, narrow=False), Files())
            if rest.effect != ASK or rest.rule is not None:
                return found
            found = rest
        if found.rule is None and (found.unmatched or not found.findings):
            return replace(found, effect=DENY, reason=f"no rule allows this: {found.reason}")
        return found

    def _by_mode(self, mode: str) -> "tuple[ToolRule, ...]":
        """Return what a mode allows where the client's own settings count as well."""
        commands = self.policy.commands
        if mode != "acceptEdits" or self.settings is None or commands.closed or commands.default == DENY:
            return ()
        return (
            toolrules.one(ALLOW, "Edit(/**)", scope="session", origin="mode acceptEdits", base=self.root),
        )

    # --- answering

    def answer(self, asked: Asked) -> Answer:
        """Decide, ask a person where the policy has one asked here, and record it."""
        found = self.ruling(asked)
        effect, reason, person = found.effect, found.reason, ""
        if asked.inner and found.rule is None and found.unmatched and not found.findings:
            effect, reason = LEAVE, "the tool touches nothing by itself"
        elif effect == ASK and asked.mode == "dontAsk":
            effect, reason = DENY, f"{reason} (nobody may be asked in this mode)"
        elif effect == ASK and self.policy.commands.prompt == APPROVE:
            effect, reason, person = self._ask(asked, found)
        elif effect == ALLOW and asked.mode == "plan":
            effect = LEAVE
        answer = Answer(effect=effect, reason=reason, ruling=found)
        self.record(asked, answer, person=person)
        return answer

    def _ask(self, asked: Asked, found: Ruling) -> tuple[str, str, str]:
        from ringfence.integrations import asking

        question = asking.question(asked, found, self.policy)
        patience = min(self.policy.commands.prompt_timeout, LONGEST_WAIT)
        allowed, why = asking.ask(self._host.state_dir, question, patience)
        return (ALLOW if allowed else DENY), why, why

    def record(self, asked: Asked, answer: Answer, *, person: str = "") -> None:
        """Write an answer down; `person`: what came of asking. Raises AuditError where that is impossible."""
        from ringfence.integrations import record

        record.decision(self._host.state_dir, asked, answer, person=person, policy=self.policy.digest)


def within(path: str, folder: str) -> bool:
    """Say whether a path is a folder or lies in it, by what both lead to."""
    real, top = os.path.realpath(path), os.path.realpath(folder)
    return real == top or real.startswith(top.rstrip("/") + "/")


def anchored(rules: "Iterable[ToolRule]", cwd: str, root: str) -> "list[ToolRule]":
    """Return path rules so that a session that has moved to another folder meets the same ones.

    What a path without an anchor allows, it allows from the project; what it denies, from both.
    """
    found: list[ToolRule] = []
    for rule in rules:
        path = rule.specifier
        if rule.tool not in {"Read", "Edit"} or path is None or path[:1] == "~" or path[:2] == "//":
            found.append(rule)
        elif path[:1] == "/":
            found.append(rule if rule.base else replace(rule, base=root))
        elif os.path.realpath(cwd) == root:
            found.append(rule)
        else:
            found += [rule] if rule.effect != ALLOW else []
            found.append(replace(rule, specifier=_from_root(path, rule.effect), base=root))
    return found


def _from_root(path: str, effect: str) -> str:
    inner = path.removeprefix("./")
    bare = "/" not in inner.rstrip("/") and not (effect == ALLOW and path[:2] == "./")
    below = effect != ALLOW and inner.endswith("/**") and inner.count("/") == 1
    return f"/**/{inner}" if bare or below else f"/{inner}"


def _absolute(path: str, root: str, home: str) -> str:
    if path == "~" or path.startswith("~/"):
        return home + path[1:]
    return os.path.normpath(os.path.join(root, path))


def _own(host: "Host") -> "tuple[ToolRule, ...]":
    """Return what no agent may do, whatever the policy says: answer for a person, change the rules."""
    texts = [f"Bash({way} {name} *)" for name in OWN_COMMANDS for way in ("ringfence", "* ringfence.cli")]
    folders = dict.fromkeys((host.config_dir, host.state_dir, host.cache_dir, "/etc/ringfence"))
    texts += [f"Edit(/{_escaped(folder)}/**)" for folder in folders if folder.startswith("/")]
    found: list[ToolRule] = []
    for text in texts:
        try:
            found.append(toolrules.one(DENY, text, origin="built in"))
        except ValueError as error:
            raise PolicyError(f"{text} cannot be kept from agents: {error}") from None
    return tuple(found)


def _escaped(folder: str) -> str:
    """Return a path so that a rule means just it."""
    return "".join(f"\\{char}" if char in "*?[]\\!" else char for char in folder)


def strictest(effects: "Iterable[str]") -> str:
    """Return the strictest of some effects."""
    return max(effects, key=STRICTNESS.index)
