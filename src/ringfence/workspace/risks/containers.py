"""Container images and how they are started: built and run on the host."""

from ringfence.workspace.content import Content
from ringfence.workspace.layers import Change
from ringfence.workspace.risks.finding import RUNS, Finding, Table, by_path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = "container build"
GROUP = RUNS
DOC = "Container images and how they are started: built and run on the host."

TABLE = Table(
    names=frozenset({
        "dockerfile", "containerfile", ".devcontainer.json", "compose.yml", "compose.yaml",
        "compose.override.yml", "compose.override.yaml", "docker-bake.hcl", "docker-bake.json",
        ".dockerignore", ".containerignore", "apptainer.def", "singularity", "singularityfile",
        ".lando.yml", ".ddev", "okteto.yml", ".gitpod.yml", ".gitpod.dockerfile", ".replit", "replit.nix",
        ".idx.nix", "dev.nix", "buildah.sh", "devfile.yaml", ".devfile.yaml",
    }),
    folders=frozenset({
        ".devcontainer", ".docker", ".ddev", ".gitpod", ".idx",
    }),
    suffixes=(
        ".dockerfile", ".containerfile", ".container", ".pod", ".kube",
    ),
    prefixes=(
        "dockerfile.", "containerfile.", "docker-compose", "podman-compose",
    ),
)  # fmt: skip


def look(change: Change, _content: Content) -> "Iterator[Finding]":
    """Yield what this risk finds in one change."""
    return by_path(change, TABLE, NAME, "what a container build or start runs, and what of the host it sees")
