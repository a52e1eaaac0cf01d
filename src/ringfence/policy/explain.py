"""A policy as text: what `ringfence plan` and `ringfence policy show` print, and why each line is there."""

from ringfence.policy import kinds
from ringfence.policy.conditions import NAMES as CONDITIONS
from ringfence.policy.model import APPROVE, Commands, Credential, EgressRule, Policy, Watch, Workspace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_UNITS = ((2**40, "T"), (2**30, "G"), (2**20, "M"), (2**10, "K"))


def lines(policy: Policy) -> list[str]:
    """Return the policy in a few dozen lines, the rule of each layer with its origin."""
    told = [
        *_head(policy),
        *_workspace(policy),
        *_egress(policy),
        *_credentials(policy),
        *_inside(policy),
        *_limits(policy),
        *_budgets(policy),
        *_calls(policy),
        *(f"note: {note}" for note in policy.notes),
    ]
    return [printable(line) for line in told]


def rule(one: EgressRule) -> str:
    """Return one egress rule in its short form: `GET,HEAD https://api.github.com/repos/acme/**`."""
    methods = ",".join(one.methods) + " " if one.methods else ""
    ports = ":" + ",".join(map(str, one.ports)) if one.ports else ""
    host = f"[{one.host}]" if ":" in one.host and "/" not in one.host else one.host
    schemes = "|".join(one.schemes)
    targets = [f"{schemes}://{host}{ports}{path}" for path in one.paths or ("",)]
    return methods + " ".join(targets) + _conditions(one) + (" (may be private)" if one.private else "")


def _conditions(one: EgressRule) -> str:
    told = [
        f"{name.replace('_', ' ')}: {size(value) if isinstance(value, int) else ', '.join(value)}"
        for name, value in ((name, getattr(one, name)) for name in CONDITIONS)
        if value
    ]
    return f" ({'; '.join(told)})" if told else ""


def _head(policy: Policy) -> "Iterator[str]":
    yield f"policy {policy.digest[:12]}"
    for layer, file in policy.origins:
        yield f"  from {layer}: {file}"
    yield f"presets: {', '.join(policy.use) or 'none'}"
    yield f"tier: {', then '.join(policy.tier)}"
    container = policy.container
    told = ((name, getattr(container, name)) for name in ("engine", "image", "runtime"))
    yield from _listed("containers", [f"{name} {value}" for name, value in told if value])
    if policy.accept:
        yield f"given up: {', '.join(policy.accept)}"


def _workspace(policy: Policy) -> "Iterator[str]":
    yield f"workspace: {policy.workspace.mode}"
    yield from _listed("hidden beside the credential files", policy.workspace.mask)
    yield from _listed("not hidden", policy.workspace.unmask)
    yield from _listed("not writable", policy.workspace.protect)
    yield from _copy(policy.workspace)
    yield from _listed("applied without a person by --review=auto", policy.review.auto)
    yield from _listed("read outside the workspace", policy.files.read)
    yield from _listed("written outside the workspace", policy.files.write)
    yield from _listed("kept between sessions", policy.files.state)


def _copy(workspace: Workspace) -> "Iterator[str]":
    yield from _listed("kept for this workspace, not reviewed", workspace.keep)
    yield from _listed("no part of the changes", workspace.exclude)
    yield from _listed("output goes to", [workspace.output] if workspace.output else ())
    told = {
        "a session's copy takes at most " + size(workspace.quota or 0): workspace.quota is not None,
        "copied whole where no overlay can be mounted": workspace.snapshot,
        "nothing in the workspace can be executed": workspace.noexec,
        "files that hold keys are not hidden; their values are kept from leaving": workspace.content
        == "watch",
        "no file is looked into for keys": workspace.content == "off",
    }
    yield from (f"  {text}" for text, holds in told.items() if holds)


def _egress(policy: Policy) -> "Iterator[str]":
    egress = policy.egress
    if not egress.allow and not egress.ask:
        yield "egress: nothing"
    else:
        yield "egress: (deny beats ask beats allow; what no rule names is denied)"
    for effect, rules in (("deny", egress.deny), ("ask", egress.ask), ("allow", egress.allow)):
        yield from (f"  {effect:<5} {rule(one)}{_origin(one.origin)}" for one in rules)
    yield from _listed("passed through unseen", egress.splice)
    yield from _listed("certificates also trusted", egress.extra_ca)
    yield from (f"  {name} is dialled at {address}" for name, address in egress.static)
    yield from (f"  {name} and below are looked up at {address}" for name, address in egress.resolvers)
    if egress.proxy:
        password = f" (password from {egress.proxy_password})" if egress.proxy_password else ""
        yield f"  all else is dialled through {egress.proxy}{password}"
    yield from _listed("dialled without the proxy", egress.no_proxy)


def _credentials(policy: Policy) -> "Iterator[str]":
    if policy.credentials:
        yield "credentials: (stay outside; the gate puts them in)"
    for one in policy.credentials:
        yield f"  {one.name}: {_credential(one)}{_origin(one.origin)}"
    for gateway in policy.gateways:
        yield f"  http://{gateway.name}.gateway.internal is {gateway.upstream}{_origin(gateway.origin)}"


def _credential(one: Credential) -> str:
    port = "" if one.port == 443 else f":{one.port}"
    optional = ", if there is one" if one.optional else ""
    return f"{one.source} to {one.host}{port} {kinds.carried(one)}{optional}"


def _inside(policy: Policy) -> "Iterator[str]":
    yield from _listed("variables taken over", policy.environment.keep)
    yield from _listed("variables set", [f"{name}={value}" for name, value in policy.environment.set])


def _limits(policy: Policy) -> "Iterator[str]":
    limits = policy.limits
    sizes = ("memory", "file_size", "scratch")
    told = []
    for name, value in limits.__dict__.items():
        if value is not None:
            shown = size(value) if name in sizes else _plain(value)
            told.append(f"{name.replace('_', ' ')} {shown}" + " s" * (name == "wall_time"))
    yield f"limits: {', '.join(told) or 'none'}"


def _calls(policy: Policy) -> "Iterator[str]":
    rules, commands = call_rules(policy), policy.commands
    if not rules and commands == Commands():
        return
    yield f"tool calls: (deny beats ask beats allow; what no rule names is {_LEFT[commands.default]})"
    yield from (f"  {rule}" for rule in rules)
    told = {
        "only the managed policy's rules allow": commands.closed,
        "commands that only look need a rule like any other": not commands.readonly,
        "rules in Claude Code's settings files count as well": commands.settings == "claude",
        f"questions wait {_plain(commands.prompt_timeout)} s for `ringfence approve`": commands.prompt
        == APPROVE,
    }
    yield from (f"  {text}" for text, holds in told.items() if holds)


_LEFT = {"ask": "asked about", "deny": "denied"}


def call_rules(policy: Policy) -> list[str]:
    """Return the rules about tool calls, each with its origin."""
    return [
        f"{effect:<5} {rule.text}{_origin(rule.origin)}"
        for effect in ("deny", "ask", "allow")
        for section in (policy.commands, policy.tools)
        for rule in getattr(section, effect)
    ]


def printable(text: str) -> str:
    """Return text from a file that nobody has trusted, harmless to a terminal."""
    return "".join(char if char.isprintable() else f"\\u{ord(char):04x}" for char in text)


def size(count: int) -> str:
    """Return a number of bytes the way a policy writes it."""
    for unit, letter in _UNITS:
        if count >= unit and count % unit == 0:
            return f"{count // unit}{letter}"
    return str(count)


def _plain(value: float) -> str:
    return str(int(value)) if value == int(value) else str(value)


def _listed(what: str, items: "Iterable[str]") -> "Iterator[str]":
    shown = ", ".join(items)
    if shown:
        yield f"  {what}: {shown}"


def _origin(origin: str) -> str:
    return f"  [{origin}]" if origin else ""


def _budgets(policy: Policy) -> "Iterator[str]":
    for one in policy.budgets:
        rows = ((one.requests, "requests"), (one.up, "bytes up"), (one.down, "bytes down"))
        told = ", ".join(f"{limit} {word}" for limit, word in rows if limit is not None)
        hosts = one.host or "all hosts together"
        yield f"budget {one.name}: at most {told or 'anything'} for {hosts}{_origin(one.origin)}"
    model = policy.model
    most = (
        (model.session_tokens, "tokens a session"),
        (model.session_cost, "dollars a session"),
        (model.day_tokens, "tokens a day"),
        (model.day_cost, "dollars a day"),
    )
    told = ", ".join(f"{limit} {word}" for limit, word in most if limit is not None)
    if told:
        yield f"model: at most {told}"
    watch = policy.watch
    if watch.masked != "refuse":
        yield f"values of masked files in requests: {watch.masked}"
    if watch.environment or watch.files:
        yield f"canaries in {', '.join((*watch.environment, *watch.files))}: {watch.alarm} when one shows up"
    yield from _listed("not watched toward", watch.exempt)
    if (watch.names, watch.name_bytes) != (Watch().names, Watch().name_bytes):
        below = ((watch.names, "names"), (watch.name_bytes, "bytes of names"))
        told = ", ".join(f"{limit} {word}" for limit, word in below if limit is not None)
        yield f"below one wildcard: {'at most ' + told if told else 'any number of names'}"
