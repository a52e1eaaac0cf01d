"""`ringfence init`: write a commented ringfence.toml for the project at hand.

Here, and only here, the workspace's own files suggest presets: what is written is for the operator to
read, and counts only once `ringfence trust` has been said.
"""

import os
import sys

from ringfence.errors import RingfenceError, UsageError

HELP = """\
usage: ringfence init [--stdout] [--agent NAME]   write ./ringfence.toml, or print it
"""

# Files at the top of a project that tell a toolchain.
SIGNS = {
    "python": (
        "pyproject.toml",
        "setup.py",
        "setup.cfg",
        "requirements.txt",
        "uv.lock",
        "Pipfile",
        "tox.ini",
    ),
    "node": ("package.json", "package-lock.json", "yarn.lock", "pnpm-lock.yaml", "bun.lock", "deno.json"),
    "rust": ("Cargo.toml",),
    "go": ("go.mod", "go.work"),
    "java": ("pom.xml", "build.gradle", "build.gradle.kts", "settings.gradle", "settings.gradle.kts"),
    "git": (".git",),
}
# Signs of an agent that already works here; without any, Claude Code is meant.
AGENTS = {
    "claude": (".claude", "CLAUDE.md", ".mcp.json"),
    "codex": (".codex",),
    "gemini": (".gemini", "GEMINI.md"),
    "opencode": ("opencode.json", ".opencode"),
    "aider": (".aider.conf.yml",),
}

# Well-known names in a project's .env: the host that the key is for, and how it gets into a request.
KEYS = {
    "OPENAI_API_KEY": ("api.openai.com", "bearer", ""),
    "ANTHROPIC_API_KEY": ("api.anthropic.com", "header", "x-api-key"),
    "GEMINI_API_KEY": ("generativelanguage.googleapis.com", "header", "x-goog-api-key"),
    "GOOGLE_API_KEY": ("generativelanguage.googleapis.com", "header", "x-goog-api-key"),
    "MISTRAL_API_KEY": ("api.mistral.ai", "bearer", ""),
    "GROQ_API_KEY": ("api.groq.com", "bearer", ""),
    "XAI_API_KEY": ("api.x.ai", "bearer", ""),
    "DEEPSEEK_API_KEY": ("api.deepseek.com", "bearer", ""),
    "OPENROUTER_API_KEY": ("openrouter.ai", "bearer", ""),
    "COHERE_API_KEY": ("api.cohere.com", "bearer", ""),
    "HF_TOKEN": ("huggingface.co", "bearer", ""),
    "GITHUB_TOKEN": ("api.github.com", "bearer", ""),
    "GH_TOKEN": ("api.github.com", "bearer", ""),
    "GITLAB_TOKEN": ("gitlab.com", "header", "private-token"),
    "STRIPE_SECRET_KEY": ("api.stripe.com", "bearer", ""),
    "SLACK_BOT_TOKEN": ("slack.com", "bearer", ""),
    "SENDGRID_API_KEY": ("api.sendgrid.com", "bearer", ""),
    "SENTRY_AUTH_TOKEN": ("sentry.io", "bearer", ""),
    "TAVILY_API_KEY": ("api.tavily.com", "bearer", ""),
    "NPM_TOKEN": ("registry.npmjs.org", "bearer", ""),
}

TEMPLATE = """\
# What an agent may use in this project. What is not named here does not exist for it.
#
#   ringfence policy check     says everything that is wrong with this file
#   ringfence plan -- {agent}{pad}prints what would happen, and why
#   ringfence trust            lets this file widen the policy, as it stands now: until then it only narrows

# Presets: what the agent and the toolchains need. The hosts of package indexes are those that your own
# pip, npm, cargo … are set to use. There are:{known}
use = [{use}]

# The tiers that will do, the best first; never weaker than the last.
# tier = ["sandbox"]

# Protections given up, by name. `ringfence plan` names those that this machine cannot hold.
# accept = []

[workspace]
# overlay: the agent works on a copy, which you review and apply. direct: on your files.
# readonly: it changes none. scratch: an empty folder in memory.
mode = "{mode}"
# Hidden beside the credential files that always are (.env, *.pem, .npmrc, …); patterns as in .gitignore.
mask = [{mask}]
# In the copy: folders kept between sessions, never reviewed or applied; files that are no change.
# keep    = ["node_modules"] # empty at first
# exclude = [".pytest_cache", "dist"]
# In direct mode not writable, beside what your machine would run or obey (.git/hooks, .claude, .vscode, …).
# protect = ["deploy/**"]

[review]
# `ringfence run --review auto` applies these with nobody looking, where nothing in them is dangerous.
# auto = ["docs/**", "*.md"]

[commands]
# What the tools of an agent may do that asks before it uses one (`ringfence hook install`): docs/hooks.md.
# allow = ["Bash(npm run *)", "Edit(src/**)"]
# ask   = ["Bash(git push *)"]
# deny  = ["Bash(curl *)", "Read(./.env)"]

[files]
# Outside the workspace only system folders and the toolchains on your PATH are visible.
# read  = ["~/.cache/pip"]
# write = []

[egress]
# In short: [GET,HEAD ][https://]host[:port][/path]. `*.example.com` is what lies below example.com.
# allow = ["GET,HEAD api.github.com/repos/acme/**"]
# deny  = ["gist.github.com"]

# The same at length:
# [[egress.allow]]
# host    = "api.github.com"
# methods = ["GET"]
# paths   = ["/repos/acme/**"]
# private = false # true: the host is on your own network

# These wait until you say yes or no: `ringfence approve` in another terminal. Silence is no.
# [[egress.ask]]
# host = "*" # every host that no other rule knows

# A key stays outside; the gate puts it into requests to this host, and removes what the agent sends there.
# [credentials.github]
# source      = "command:gh auth token" # or env:NAME, or file:PATH
# host        = "api.github.com"
# header      = "authorization"
# prefix      = "Bearer "
# environment = ["GH_TOKEN"] # variables inside that hold a placeholder
{found}
# What one session may use up: requests and bytes, and what its model may cost.
# [budgets.uploads]
# up = "10M"
# [model]
# session_cost = 20.0 # US dollars

[limits]
# memory    = "4G"
# processes = 1000
# wall_time = "2h"
"""


def main(arguments: list[str]) -> int:
    """Write the file, or print it."""
    if arguments and arguments[0] in {"-h", "--help"}:
        sys.stdout.write(HELP)
        return 0
    to_stdout, agent = _options(arguments)
    text = policy(os.getcwd(), agent)
    if to_stdout:
        sys.stdout.write(text)
        return 0
    path = os.path.join(os.getcwd(), "ringfence.toml")
    _write(path, text)
    print(f"wrote {path}\nread it, then: ringfence trust")
    return 0


def policy(folder: str, agent: str = "") -> str:
    """Return the text of a policy for the project in a folder."""
    from ringfence.policy import preset
    from ringfence.policy.model import DEFAULT_MODE

    agent = agent or _first(AGENTS, folder) or "claude"
    use = [agent, *(name for name, files in SIGNS.items() if _any(folder, files))]
    mask = [
        f"{name}/**"
        for name in ("secrets", ".secrets", "private")
        if os.path.isdir(os.path.join(folder, name))
    ]
    return TEMPLATE.format(
        agent=agent,
        pad=" " * (9 - len(agent)),
        known=_wrapped(preset.names()),
        use=_list(use),
        mask=_list(mask),
        mode=DEFAULT_MODE,
        found=_from_settings(folder),
    )


def _from_settings(folder: str) -> str:
    """Return commented credentials for well-known names in the project's .env; only names are looked at."""
    from ringfence.credential import keyed

    text, problem = keyed.content(folder, ".env")
    names = [] if problem else [pair.name for pair in keyed.pairs(text, json=False) if pair.start < pair.end]
    known = [name for name in dict.fromkeys(names) if name in KEYS and names.count(name) == 1]
    if not known:
        return ""
    begin = (
        "\n# Keys in this project's .env: inside it is a copy with placeholders, which the gate replaces.\n"
    )
    return begin + "#\n".join([_credential(name) for name in known])


def _credential(name: str) -> str:
    host, kind, header = KEYS[name]
    lines = [
        f"[credentials.{name.lower().replace('_', '-')}]",
        f'source = "workspace:.env#{name}"',
        f'host   = "{host}"',
        f'kind   = "{kind}"',
        *([f'header = "{header}"'] if header else []),
    ]
    return "".join([f"# {line}\n" for line in lines])


def _options(arguments: list[str]) -> tuple[bool, str]:
    from ringfence.policy import preset

    rest = [word for word in arguments if word != "--stdout"]
    agent = ""
    if rest:
        if len(rest) != 2 or rest[0] != "--agent":
            raise UsageError(f"`ringfence init` does not know `{rest[0]}`", hint=HELP.strip())
        agent = rest[1]
        if agent not in preset.AGENTS:
            raise UsageError(f"there is no agent `{agent}`", hint="there are " + ", ".join(preset.AGENTS))
    return "--stdout" in arguments, agent


def _write(path: str, text: str) -> None:
    """Write a new file; one that is there stays as it is."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    except FileExistsError:
        raise RingfenceError(
            f"{path} is there already", hint="ringfence init --stdout prints what it would write"
        ) from None
    except OSError as error:
        raise RingfenceError(f"cannot write {path}: {(error.strerror or '').lower()}") from None
    with open(descriptor, "w", encoding="utf-8") as file:
        file.write(text)


def _first(signs: dict[str, tuple[str, ...]], folder: str) -> str:
    return next((name for name, files in signs.items() if _any(folder, files)), "")


def _any(folder: str, files: tuple[str, ...]) -> bool:
    return any(os.path.lexists(os.path.join(folder, file)) for file in files)


def _list(items: list[str]) -> str:
    return ", ".join(f'"{item}"' for item in items)


def _wrapped(names: tuple[str, ...]) -> str:
    """Return the names over as many comment lines as they need."""
    lines = [""]
    for name in names:
        if len(lines[-1]) + len(name) > 100:
            lines.append("")
        lines[-1] += f" {name}"
    return "".join(f"\n#{line}" for line in lines)
