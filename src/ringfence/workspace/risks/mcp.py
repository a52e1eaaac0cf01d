"""Files that name MCP servers: programs that agents and editors start."""

from ringfence.workspace.content import Content
from ringfence.workspace.layers import Change
from ringfence.workspace.risks.finding import RUNS, Finding, Table, by_path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = "MCP server"
GROUP = RUNS
DOC = "Files that name MCP servers: programs that agents and editors start."

TABLE = Table(
    names=frozenset({
        ".mcp.json", "mcp.json", ".mcp.toml", "mcp.toml", "mcp.yaml", "mcp_config.json",
        "mcp-config.json", "mcp_settings.json", "cline_mcp_settings.json",
        "claude_desktop_config.json", "smithery.yaml", "mcp-servers.json", "mcp_servers.json",
        ".mcp-servers.json",
    }),
    suffixes=(
        ".mcp.json", ".mcpb", ".dxt",
    ),
)  # fmt: skip


def look(change: Change, _content: Content) -> "Iterator[Finding]":
    """Yield what this risk finds in one change."""
    return by_path(change, TABLE, NAME, "a list of programs that agents and editors start (MCP)")
