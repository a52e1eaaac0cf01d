"""From Claude Code's settings to tables of a policy, and a line for everything that has no place there."""

from ringfence.policy import ruletext
from ringfence.policy.importers.claude_code import InForce
from ringfence.policy.toolrules import ALLOW, ASK, DENY, ToolRule
from ringfence.subject import canonical_pattern

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

# Settings that a policy says in another way, or not at all.
_ELSEWHERE = {
    "env": "variables for the agent stand under [environment.set]",
    "hooks": "hooks stay with the client; ringfence's own: `ringfence hook install`",
    "apiKeyHelper": "a credential's source can be a command: docs/credentials.md",
    "awsAuthRefresh": "credentials stand under [credentials.NAME]",
    "awsCredentialExport": "credentials stand under [credentials.NAME]",
    "sandbox": "files, network and credentials of the boundary have tables of their own",
    "enableAllProjectMcpServers": "which servers start is the client's business",
    "enabledMcpjsonServers": "which servers start is the client's business",
    "disabledMcpjsonServers": "which servers start is the client's business",
    "allowedMcpServers": "which servers start is the client's business",
    "deniedMcpServers": "which servers start is the client's business",
}
_QUIET = frozenset(
    ("$schema", "permissions", "model", "theme", "outputStyle", "statusLine", "cleanupPeriodDays")
)


def tables(found: InForce) -> str:
    """Return `[commands]` and what else of a policy the settings come to."""
    lines = ["[commands]"]
    for effect in (DENY, ASK, ALLOW):
        texts = dict.fromkeys(_anchored(rule) for rule in found.rules if rule.effect == effect)
        texts = dict.fromkeys(text for text in texts if _is_written(text, effect))
        if texts:
            lines += [f"{effect} = [", *(f"  {_toml(text)}," for text in texts), "]"]
    if found.mode == "dontAsk":
        lines.append('default = "deny"')
    if "allowManagedPermissionRulesOnly" in found.locks:
        lines += ["", "[managed]  # of the managed policy", 'lock = ["commands", "tools"]']
    network = _network(found)
    if network:
        lines += ["", "[egress]", *network]
    return "\n".join(lines) + "\n"


def lost(found: InForce) -> "Iterator[str]":
    """Yield a line for each setting that the tables do not hold."""
    for rule in found.rules:
        if not _is_written(_anchored(rule), rule.effect):
            yield f"lost: {rule.origin}: {rule.effect} rule {rule.text}"
    if found.mode not in {"default", "manual", "dontAsk"}:
        yield f"lost: the mode {found.mode}: a policy has none"
    for directory in found.directories:
        yield f"lost: additional directory {directory}: rules such as Read(/{directory}/**) name it"
    for lock in found.locks:
        if lock != "allowManagedPermissionRulesOnly":
            yield f"lost: {lock}: stays with the client"
    for file in found.files:
        for name in file.content:
            if name not in _QUIET and name not in found.locks:
                why = _ELSEWHERE.get(name, "a policy has no such setting")
                yield f"lost: {file.place.path}: {name}: {why}"


def _anchored(rule: ToolRule) -> str:
    """Return a rule's text so that it means the same in a file at another place."""
    path = rule.specifier
    if rule.tool not in {"Read", "Edit", "Cd"} or path is None or path[:1] != "/" or path[:2] == "//":
        return rule.text
    base = "".join(f"\\{char}" if char in "*?[]\\!" else char for char in rule.base)
    return f"{rule.tool}(/{base.rstrip('/')}{path})"


def _is_written(text: str, effect: str) -> bool:
    try:
        ruletext.checker(effect)(text)
    except ValueError:
        return False
    return True


def _network(found: InForce) -> list[str]:
    """Return hosts that the client's own sandbox lets out, where a policy can name them."""
    told = []
    for effect, name in ((DENY, "deniedDomains"), (ALLOW, "allowedDomains")):
        hosts = dict.fromkeys(
            host for file in found.files for host in _hosts(file.content, name, file.trusted)
        )
        if hosts:
            told.append(f"{effect} = [{', '.join(map(_toml, hosts))}]")
    return told


def _hosts(content: dict[str, object], name: str, trusted: bool) -> "Iterator[str]":  # noqa: FBT001 - one caller
    sandbox = content.get("sandbox")
    network = sandbox.get("network") if isinstance(sandbox, dict) else None
    listed = network.get(name) if isinstance(network, dict) else None
    if not isinstance(listed, list) or (name == "allowedDomains" and not trusted):
        return
    for host in listed:
        try:
            yield canonical_pattern(host)
        except (ValueError, TypeError, AttributeError):
            continue


def _toml(text: str) -> str:
    """Return a basic string of TOML; rules hold no control characters."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
