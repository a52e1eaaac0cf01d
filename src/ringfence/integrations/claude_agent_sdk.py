"""The Agent SDK for Python: a policy as its `hooks` and its `can_use_tool`.

    from ringfence.integrations.claude_agent_sdk import permissions

    guard = permissions(cwd="/work/project")
    options = ClaudeAgentOptions(cwd="/work/project", **guard.options)

The hook sees every call in every mode and denies, allows or asks; a question then comes to `can_use_tool`,
where `on_ask` answers for the program's user. Without it, and whenever anything goes wrong, the answer is no:
the client takes a callback that raises for one that had nothing to say.

The policy is read anew for each call, so that a rule taken back counts at once. `updatedInput` is never set:
what runs is what was judged.
"""

import asyncio
import os

from ringfence.approval import CallQuestion
from ringfence.errors import HostError, RingfenceError
from ringfence.integrations.permissions import LEAVE, LONGEST_WAIT, Answer, Asked, Permissions
from ringfence.policy.model import ALLOW, ASK, DENY
from ringfence.value import replace
from ringfence.verdict.ruling import Ruling

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import Any

    from ringfence.host.model import Host

    OnAsk = Callable[[CallQuestion], "bool | Awaitable[bool]"]

MOST_REMEMBERED = 1000  # calls whose question may still come


def permissions(
    policy: str = "", *, cwd: str = "", on_ask: "OnAsk | None" = None, host: "Host | None" = None
) -> "Guard":
    """Return a guard for agents that work in `cwd`; `policy` names a file in place of the project's own."""
    return Guard(policy, os.path.realpath(cwd or os.getcwd()), on_ask, host)


class Guard:
    """One project's policy, in the form that the SDK takes."""

    def __init__(self, policy: str, root: str, on_ask: "OnAsk | None", host: "Host | None") -> None:
        from ringfence.host import probe

        self._policy, self._root, self._on_ask = policy, root, on_ask
        self._host = host or probe.host()
        self._asked: dict[str, Asked] = {}
        self._permissions()  # a policy that cannot be used is told now

    @property
    def options(self) -> "dict[str, Any]":
        """Keyword arguments for `ClaudeAgentOptions`."""
        return {"hooks": self.hooks, "can_use_tool": self.can_use_tool}

    @property
    def hooks(self) -> "dict[str, Any]":
        """Return the value of its `hooks`."""
        matcher = _sdk().HookMatcher
        callbacks: list[Any] = [self.before_tool]
        return {"PreToolUse": [matcher(hooks=callbacks, timeout=LONGEST_WAIT + 20)]}

    def _permissions(self) -> Permissions:
        return Permissions(self._host, self._root, policy_file=self._policy)

    # --- the hook

    async def before_tool(self, data: "Any", tool_use_id: str | None, _context: "Any") -> "dict[str, Any]":
        """Answer the SDK's PreToolUse."""
        from ringfence.integrations.clients import signed

        try:
            answer = await asyncio.to_thread(self._before, dict(data), tool_use_id or "")
        except Exception as error:  # noqa: BLE001 - an exception would let the tool run
            answer = _fault(error)
        said = {"permissionDecision": answer.effect, "permissionDecisionReason": signed(answer)}
        if answer.effect == LEAVE:
            return {}
        return {"hookSpecificOutput": {"hookEventName": "PreToolUse", **said}}

    def _before(self, data: "dict[str, Any]", tool_use_id: str) -> Answer:
        from ringfence.integrations.clients import Around, claude, shells

        asked = claude.asked(data, Around(project=self._root, shells=shells()))
        asked = replace(asked, client="claude-agent-sdk", name=asked.name or tool_use_id)
        answer = self._permissions().answer(asked)
        if answer.effect == ASK:
            while len(self._asked) >= MOST_REMEMBERED:
                del self._asked[next(iter(self._asked))]
            self._asked[asked.name] = asked
        return answer

    # --- the question

    async def can_use_tool(self, tool: str, given: "dict[str, Any]", context: "Any") -> "Any":
        """Answer the SDK's question about a call that nothing has decided yet."""
        try:
            answer = await self._question(tool, given, str(getattr(context, "tool_use_id", "") or ""))
        except Exception as error:  # noqa: BLE001 - as above
            answer = _fault(error)
        if answer.effect == ALLOW:
            return _sdk().PermissionResultAllow()
        return _sdk().PermissionResultDeny(message=f"ringfence: {answer.reason}")

    async def _question(self, tool: str, given: "dict[str, Any]", name: str) -> Answer:
        asked = self._asked.pop(name, None)
        judged = asked.calls[0] if asked else None
        if asked is None or judged is None or (judged.tool, judged.input) != (tool, given):
            # No hook has seen it, or the input is another one by now: it is judged as it is.
            asked = await asyncio.to_thread(self._unseen, tool, given, name, asked)
        allowed = self._permissions()
        ruling = await asyncio.to_thread(allowed.ruling, asked)
        if ruling.effect != ASK:
            answer = Answer(effect=ruling.effect, reason=ruling.reason, ruling=ruling)
        else:
            answer = await self._person(asked, ruling, allowed)
        allowed.record(asked, answer, person=answer.reason if ruling.effect == ASK else "")
        return answer

    def _unseen(self, tool: str, given: "dict[str, Any]", name: str, asked: Asked | None) -> Asked:
        from ringfence.integrations.clients import Around, claude, shells

        data = {
            "hook_event_name": "PreToolUse",
            "cwd": asked.calls[0].cwd if asked else self._root,
            "tool_name": tool,
            "tool_input": given,
            "tool_use_id": name,
            "session_id": asked.session if asked else "",
        }
        made = claude.asked(data, Around(project=self._root, shells=shells()))
        return replace(made, client="claude-agent-sdk")

    async def _person(self, asked: Asked, ruling: Ruling, held: Permissions) -> Answer:
        """Ask whoever the program has for it: true is yes, everything else is no."""
        from ringfence.integrations import asking

        if self._on_ask is None:
            reason = f"{ruling.reason}: nobody is there to allow it"
            return Answer(effect=DENY, reason=reason, ruling=ruling)
        said = self._on_ask(asking.question(asked, ruling, held.policy))
        if hasattr(said, "__await__"):
            said = await asyncio.wait_for(said, held.policy.commands.prompt_timeout)
        if said is True:
            return Answer(effect=ALLOW, reason="the program's user allowed this call, once", ruling=ruling)
        return Answer(effect=DENY, reason="the program's user said no", ruling=ruling)


def _sdk() -> "Any":
    try:
        import claude_agent_sdk
    except ImportError:
        raise HostError(
            "the Agent SDK is not installed here", hint="pip install 'ringfence[claude-agent-sdk]'"
        ) from None
    return claude_agent_sdk


def _fault(error: BaseException) -> Answer:
    told = error.message if isinstance(error, RingfenceError) else f"{type(error).__name__}: {error}"
    ruling = Ruling(effect=DENY, reason=f"no verdict could be reached: {told}")
    return Answer(effect=DENY, reason=ruling.reason, ruling=ruling)
