"""Wrappers that fetch and run a build tool: which one, and from where."""

from ringfence.workspace.content import Content
from ringfence.workspace.layers import Change
from ringfence.workspace.risks.finding import RUNS, Finding, Table, by_path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = "build wrapper"
GROUP = RUNS
DOC = "Wrappers that fetch and run a build tool: which one, and from where."

TABLE = Table(
    names=frozenset({
        "gradlew", "gradlew.bat", "mvnw", "mvnw.cmd", "gradle-wrapper.properties",
        "gradle-wrapper.jar", "maven-wrapper.properties", "maven-wrapper.jar",
        "mavenwrapperdownloader.java", "sbtx", "millw", "mill", ".bazelversion", "bazelw",
        "bazelisk", "yarn.lock.js", "pants", "dotnet-install.sh", "sbt", "godelw",
    }),
    paths=(
        ("gradle", "wrapper"), (".mvn", "wrapper"), (".yarn", "releases"), (".yarn", "plugins"),
        (".yarn", "sdks"), (".yarn", "patches"),
    ),
)  # fmt: skip


def look(change: Change, _content: Content) -> "Iterator[Finding]":
    """Yield what this risk finds in one change."""
    return by_path(change, TABLE, NAME, "which build tool is fetched, from where, and how it is started")
