"""What a person runs by habit: make, just, task and their kin."""

from ringfence.workspace.content import Content
from ringfence.workspace.layers import Change
from ringfence.workspace.risks.finding import RUNS, Finding, Table, by_path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = "make target"
GROUP = RUNS
DOC = "What a person runs by habit: make, just, task and their kin."

TABLE = Table(
    names=frozenset({
        "makefile", "gnumakefile", "bsdmakefile", "makefile.am", "makefile.in", "justfile",
        ".justfile", "taskfile.yml", "taskfile.yaml", "taskfile.dist.yml", "taskfile.dist.yaml",
        "rakefile", "rakefile.rb", "tasks.py", "fabfile.py", "dodo.py", "duties.py", "magefile.go",
        "snakefile", "earthfile", "tiltfile", "maskfile.md", "robo.yml", "procfile", "procfile.dev",
        "brewfile", ".brewfile", "dangerfile", "fastfile", "appfile", "guardfile", "capfile",
        "thorfile", "vagrantfile", "noxfile", "xtask", "cargo-make.toml", "makefile.toml",
        "sconstruct", "sconscript", "wscript", "configure", "configure.ac", "bootstrap",
        "bootstrap.sh", "autogen.sh", "build.sh", "install.sh", "setup.sh", "run.sh",
    }),
    folders=frozenset({
        "fastlane", ".mage", "magefiles",
    }),
    suffixes=(
        ".mk", ".mak", ".just",
    ),
)  # fmt: skip


def look(change: Change, _content: Content) -> "Iterator[Finding]":
    """Yield what this risk finds in one change."""
    return by_path(change, TABLE, NAME, "targets that people run by habit")
