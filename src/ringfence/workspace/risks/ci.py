"""What continuous integration runs, often with the project's secrets."""

from ringfence.workspace.content import Content
from ringfence.workspace.layers import Change
from ringfence.workspace.risks.finding import RUNS, Finding, Table, by_path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = "CI workflow"
GROUP = RUNS
DOC = "What continuous integration runs, often with the project's secrets."

TABLE = Table(
    names=frozenset({
        "jenkinsfile", ".gitlab-ci.yml", ".gitlab-ci.yaml", ".travis.yml", "azure-pipelines.yml",
        "azure-pipelines.yaml", "bitbucket-pipelines.yml", ".drone.yml", ".drone.yaml",
        ".drone.star", ".drone.jsonnet", ".woodpecker.yml", ".woodpecker.yaml", "appveyor.yml",
        ".appveyor.yml", "cloudbuild.yaml", "cloudbuild.yml", "cloudbuild.json", "buildspec.yml",
        "buildspec.yaml", ".cirrus.yml", ".cirrus.star", ".build.yml", "wercker.yml",
        "codefresh.yml", "screwdriver.yaml", "bitrise.yml", "codemagic.yaml", ".semaphore.yml",
        "netlify.toml", "renovate.json", "renovate.json5", ".renovaterc", ".renovaterc.json",
        "dependabot.yml", "dependabot.yaml", ".mergify.yml", ".gocd.yaml", ".readthedocs.yml",
        ".readthedocs.yaml", "readthedocs.yml", ".zuul.yaml", ".scrutinizer.yml", ".shippable.yml",
        ".buildkite.yml", ".releaserc", ".releaserc.json", ".goreleaser.yml", ".goreleaser.yaml",
        "action.yml", "action.yaml", ".xcode-ci.yml", "eas.json", ".harness.yaml",
        ".onedev-buildspec.yml", ".kokoro.cfg",
    }),
    folders=frozenset({
        ".circleci", ".buildkite", ".woodpecker", ".semaphore", ".builds", ".teamcity",
        ".azure-pipelines", ".gitlab", ".tekton", ".codefresh", ".zuul.d", ".harness", ".bitrise",
        ".jenkins", ".ado", ".pipelines", "ci_scripts",
    }),
    suffixes=(
        ".jenkinsfile", ".gitlab-ci.yml",
    ),
    prefixes=(
        "jenkinsfile.", ".gitlab-ci-", "azure-pipelines-",
    ),
    paths=(
        (".github", "workflows"), (".github", "actions"), (".gitea", "workflows"), (".gitea",
        "actions"), (".forgejo", "workflows"), (".forgejo", "actions"),
    ),
)  # fmt: skip


def look(change: Change, _content: Content) -> "Iterator[Finding]":
    """Yield what this risk finds in one change."""
    return by_path(change, TABLE, NAME, "what CI runs, often with secrets at hand")
