"""What AI agents obey: settings, hooks, skills, commands and instruction files."""

from ringfence.workspace.content import Content
from ringfence.workspace.layers import Change
from ringfence.workspace.risks.finding import RUNS, Finding, Table, by_path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = "agent settings"
GROUP = RUNS
DOC = "What AI agents obey: settings, hooks, skills, commands and instruction files."

TABLE = Table(
    names=frozenset({
        "agents.md", "agent.md", "agents.override.md", "claude.md", "claude.local.md", "gemini.md",
        "qwen.md", "codex.md", "warp.md", "cody.md", "conventions.md", "copilot-instructions.md",
        ".cursorrules", ".windsurfrules", ".clinerules", ".roorules", ".roomodes", ".goosehints",
        ".aider.conf.yml", ".aiderignore", ".aider.model.settings.yml", ".cursorignore", ".rules",
        ".claude.json", "opencode.json", "opencode.jsonc", ".crush.json", "crush.json",
        ".mentatconfig.json", "skill.md", ".replit.md", "replit.md", ".hermes.md",
        "llms-install.md", ".kilocodemodes", ".ampcoderc", ".claudeignore", ".geminiignore",
    }),
    folders=frozenset({
        ".claude", ".claude-plugin", ".cursor", ".codex", ".gemini", ".qwen", ".opencode",
        ".windsurf", ".roo", ".cline", ".clinerules", ".continue", ".kiro", ".amazonq", ".junie",
        ".trae", ".augment", ".openhands", ".goose", ".agents", ".agent", ".aider", ".copilot",
        ".crush", ".factory", ".kilocode", ".zencoder", ".devin", ".amp", ".plandex", ".codeium",
        ".hermes", ".antigravity",
    }),
    suffixes=(
        ".instructions.md", ".prompt.md", ".chatmode.md", ".agent.md", ".mdc",
    ),
    paths=(
        (".github", "instructions"), (".github", "prompts"), (".github", "chatmodes"), (".github",
        "agents"), (".github", "hooks"), (".github", "skills"),
    ),
)  # fmt: skip


def look(change: Change, _content: Content) -> "Iterator[Finding]":
    """Yield what this risk finds in one change."""
    return by_path(change, TABLE, NAME, "what AI agents obey when they work here next")
