"""`ringfence hook install` and `remove`: have a client ask ringfence before it uses a tool."""

import os
import sys

from ringfence.cli import options
from ringfence.errors import HostError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ringfence.host.model import Host
    from ringfence.integrations.clients import Client
    from ringfence.integrations.installation import Settings

USAGE = "ringfence hook install|remove [--user|--project|--managed] [--client NAME]"
ABOUT = "Write ringfence's hook into a client's settings, or take it out. Nothing else there changes."
OPTIONS = (
    options.Option(name="--client", value="NAME", help="claude (default), codex, gemini or cursor"),
    options.Option(name="--user", help="in your own settings: for all projects (default)"),
    options.Option(name="--project", help="in this project's settings that are yours alone"),
    options.Option(name="--managed", help="for everybody on this machine; takes root"),
    options.Option(name="--policy", value="FILE", help="a policy in place of the project's ringfence.toml"),
    options.Option(name="--print", help="print what would stand there, and change nothing"),
    options.Option(name="--remove", help="the same as `ringfence hook remove`"),
)


def main(arguments: list[str]) -> int:
    """Edit a settings file."""
    from ringfence.host import probe
    from ringfence.integrations import clients, installation

    given = options.read(arguments[1:], (*OPTIONS, options.Option(name="--help", help="this text")), USAGE)
    if "--help" in given.switches:
        sys.stdout.write(options.help_text(USAGE, ABOUT, OPTIONS))
        return 0
    if given.rest:
        raise UsageError(f"`ringfence hook` takes no word {given.rest[0]!r}", hint=USAGE)
    name = given.one("--client", "claude")
    if name not in clients.NAMES:
        raise UsageError(f"there is no client {name!r}", hint="one of " + ", ".join(clients.NAMES))
    client, scope, host = clients.client(name), _scope(given.switches), probe.host()
    project = os.path.realpath(os.getcwd())
    told = probe.settings(("CLAUDE_CONFIG_DIR", "CODEX_HOME"))
    claude, codex = told.get("CLAUDE_CONFIG_DIR", ""), told.get("CODEX_HOME", "")
    path = installation.place(client, scope, home=host.home, project=project, claude=claude, codex=codex)
    settings, before = installation.read(path, scope)
    line = ""
    if arguments[0] == "remove" or "--remove" in given.switches:
        after = installation.removed(settings, client)
    else:
        _check_program(project, scope)
        folders = _folders(host, scope, claude=claude, policy=given.one("--policy"))
        line = installation.command(client, folders)
        after = installation.added(settings, client, line, scope)
    show = "--print" in given.switches
    status = _done(path, scope, before=before, settings=settings, after=after, show=show)
    if line and not show:
        _trust(client, path, line, project)
    return status


def _done(
    path: str, scope: str, *, before: bytes, settings: "Settings", after: "Settings", show: bool
) -> int:
    from ringfence.integrations import installation

    if show:
        import json

        print(json.dumps(after, indent=2, ensure_ascii=False))
        return 0
    if after == settings:
        print(f"nothing to change in {path}")
        return 0
    installation.write(path, after, before, scope)
    print(f"changed {path}")
    return 0


def _trust(client: "Client", path: str, line: str, project: str) -> None:
    """Have the client run what now stands there. One that silently does not would be worse than none."""
    if client.trust is None:
        return
    if why := client.trust(path, line, project):
        raise HostError(
            f"the hook stands in {path}, and {client.title} does not run it yet: {why}",
            hint=f"trust it in {client.title} (`/hooks`), then run this command again to be sure",
        )
    print(f"{client.title} has been told to trust it")


def _scope(switches: frozenset[str]) -> str:
    from ringfence.integrations.clients import SCOPES

    named = [scope for scope in SCOPES if f"--{scope}" in switches]
    if len(named) > 1:
        raise UsageError(f"`--{named[0]}` and `--{named[1]}` contradict each other", hint=USAGE)
    return named[0] if named else SCOPES[0]


def _check_program(project: str, scope: str) -> None:
    """Refuse to name a program that the agent could change."""
    here = os.path.realpath(__file__)
    for path in (os.path.abspath(sys.executable), here):
        if scope == "project" and path.startswith(project.rstrip("/") + "/"):
            raise UsageError(
                f"{path} lies in the project, where the agent writes: it could change its own guard",
                hint="install ringfence outside of it: pipx install ringfence",
            )


def _folders(host: "Host", scope: str, *, claude: str, policy: str) -> dict[str, str]:
    """Return the folders that the command has to name because the account's home does not lead to them."""
    from ringfence.host import probe
    from ringfence.integrations.clients import MANAGED

    named = {"policy": os.path.abspath(policy)} if policy else {}
    if scope == MANAGED:
        return named
    home = host.home
    usual = {
        "home": (home, probe.account_home()),
        "config": (host.config_dir, f"{home}/.config/ringfence"),
        "state": (host.state_dir, f"{home}/.local/state/ringfence"),
        "cache": (host.cache_dir, f"{home}/.cache/ringfence"),
        "claude": (claude or f"{home}/.claude", f"{home}/.claude"),
        "managed": (host.managed_policy, "/etc/ringfence/policy.toml"),
    }
    return {**{name: found for name, (found, common) in usual.items() if found != common}, **named}
