"""`ringfence plan`: what `run` would do with the same words, and why. Starts nothing that stays."""

import sys

from ringfence import preparation
from ringfence.boundary.model import Mount, Plan
from ringfence.boundary.plan import usable_credentials
from ringfence.canonical import encode
from ringfence.cli import options
from ringfence.cli.request import OPTIONS, request
from ringfence.host import probe
from ringfence.host.model import Host
from ringfence.policy import explain, kinds

USAGE = "ringfence plan [OPTION …] [--] [COMMAND [ARGUMENT …]]"
ABOUT = "Print what `ringfence run` would do, and why: files, network, credentials, limits, guarantees."
_JSON = options.Option(name="--json", help="the plan as JSON")
_SHOWN_WITHOUT_ALL = 12  # rows of a list
_ALL = options.Option(name="--all", help="every mount and every hidden file, none left out")


def main(arguments: list[str]) -> int:
    """Print the plan."""
    known = (*OPTIONS, _JSON, _ALL)
    given = options.read(arguments, (*known, options.Option(name="--help", help="this text")), USAGE)
    if "--help" in given.switches:
        sys.stdout.write(options.help_text(USAGE, ABOUT, known))
        return 0
    host = probe.host()
    asked = request(given, host, default=("sh",))
    prepared = preparation.prepare(asked, host)
    prepared.child.abandon()
    authority = f"{host.state_dir}/authority" if preparation.speaks(prepared.policy) else ""
    made = preparation.decide(asked, host, prepared, authority=authority)
    if "--json" in given.switches:
        print(encode(made))
        return 0
    limit = sys.maxsize if "--all" in given.switches else _SHOWN_WITHOUT_ALL
    sys.stdout.write("\n".join(_lines(made, host, limit)) + "\n")
    return 0


_MADE_OF = {
    "sandbox": "bubblewrap, system-call filter, Landlock",
    "container": "a container of the machine's engine, system-call filter, Landlock",
    "gvisor": "runsc, which answers system calls itself; the same filter inside",
    "microvm": "QEMU, a Linux of its own; the same filter inside",
}


def _lines(made: Plan, host: Host, limit: int) -> list[str]:
    return [
        f"command    {' '.join(map(_shown, made.argv))}",
        f"tier       {made.tier}: {_MADE_OF[made.tier]}",
        *([f"image      {_shown(made.policy.container.image)} is {made.image}"] if made.image else []),
        f"identity   uid {made.uid} inside, no capabilities"
        + ("; root here becomes an unprivileged user" if not host.uid else ""),
        f"policy     {_layers(made)}",
        *_section("files", _files(made, limit)),
        *_section("network", _network(made)),
        *_section("credentials", _credentials(made, host)),
        *_section("environment", _environment(made)),
        *_section("tool calls", list(map(_shown, explain.call_rules(made.policy)))),
        *_section("limits", [f"{one.name} = {one.value}: {one.held}, by {one.by}" for one in made.limits]),
        *_section("guarantees", _guarantees(made)),
        *_section("notes", list(map(_shown, made.notes))),
    ]


def _layers(made: Plan) -> str:
    presets = f"presets {', '.join(made.policy.use)}" if made.policy.use else "no presets"
    files = ", ".join(f"{layer} {_shown(file)}" for layer, file in made.policy.origins) or "no policy file"
    return f"{presets}; {files}; digest {made.policy.digest[:12]}"


def _section(title: str, rows: list[str]) -> list[str]:
    return ["", f"{title}:", *(f"  {row}" for row in rows)] if rows else []


def _files(made: Plan, limit: int) -> list[str]:
    workspace = made.workspace
    rows = [f"{_MODES[workspace.mode]:<10} {_shown(workspace.root)} (the project, mode {workspace.mode})"]
    rows += [
        f"{_KINDS[mount.kind]:<10} {_shown(mount.target)} ({_shown(mount.why)})"
        for mount in made.mounts
        if mount.kind in _KINDS and _is_told(mount, workspace.root)
    ]
    system = "the image's files" if made.image else "system folders and configuration"
    rows.append(f"read-only  {system}; everything else does not exist")
    rows += _few("hidden", [f"{_shown(one.path)} ({_shown(one.rule)})" for one in workspace.hidden], limit)
    rows += _few("protected", [_shown(path) for path in workspace.protected], limit)
    return rows


_MODES = {"direct": "writable", "overlay": "a copy", "readonly": "read-only", "scratch": "empty"}
_KINDS = {"ro": "read-only", "rw": "writable", "tmpfs": "private"}


def _is_told(mount: Mount, root: str) -> bool:
    usual = mount.why.startswith(("system", "the session's", "the same", "programs that", "the host runs"))
    return not usual and mount.target != root


def _few(word: str, rows: list[str], limit: int) -> list[str]:
    out = [f"{word:<10} {row}" for row in rows[:limit]]
    if len(rows) > limit:
        out.append(f"{word:<10} … and {len(rows) - limit} more (`--all` lists them)")
    return out


def _network(made: Plan) -> list[str]:
    wire = made.wire
    how = {
        "private": f"private wire: every connection ends at the gate ({wire.gate_address})",
        "loopback": f"loopback only: programs must use the proxy {wire.gate_address}:{wire.proxy_port}",
        "none": "none",
    }
    rows = [how[wire.kind]]
    egress = made.policy.egress
    rules = [(effect, rule) for effect in ("deny", "ask", "allow") for rule in getattr(egress, effect)]
    rows += [f"{effect:<6} {explain.rule(rule)}  [{rule.origin}]" for effect, rule in rules]
    rows += [f"splice {host}: passed through unseen" for host in egress.splice]
    rows += [f"gateway http://{one.name}.gateway.internal → {one.upstream}" for one in made.policy.gateways]
    rows += [
        f"publish {one.host_address}:{one.host_port} here → port {one.inside_port} inside"
        for one in made.publish
    ]
    if not (egress.allow or egress.ask or made.policy.gateways):
        rows.append("no host is allowed: nothing leaves")
    return rows


def _credentials(made: Plan, host: Host) -> list[str]:
    usable = {one.name for one in usable_credentials(made.policy, host, made.workspace.root)}
    return [
        f"{one.name}: {one.source} → {one.host}:{one.port} {kinds.carried(one)}; a placeholder inside"
        if one.name in usable
        else f"{one.name}: {one.source} has nothing, so it is left out"
        for one in made.policy.credentials
    ]


def _environment(made: Plan) -> list[str]:
    names = [name for name, _value in made.environment]
    return [f"{len(names)} variables, none inherited unnamed: {', '.join(names)}"]


def _guarantees(made: Plan) -> list[str]:
    rows = []
    for one in made.guarantees:
        word = "held" if one.held else "NOT HELD"
        rows.append(f"{word:<8} {one.id:<3} {one.text}" + (f" ({one.why})" if one.why else ""))
    rows.append("held     all others of GUARANTEES.md")
    return rows


def _shown(text: str) -> str:
    return text.encode("unicode_escape", "backslashreplace").decode() if not text.isprintable() else text
