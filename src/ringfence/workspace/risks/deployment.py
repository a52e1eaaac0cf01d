"""What deploys the project or changes machines: run with the operator's rights."""

from ringfence.workspace.content import Content
from ringfence.workspace.layers import Change
from ringfence.workspace.risks.finding import RUNS, Finding, Table, by_path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = "deployment"
GROUP = RUNS
DOC = "What deploys the project or changes machines: run with the operator's rights."

TABLE = Table(
    names=frozenset({
        "serverless.yml", "serverless.yaml", "serverless.ts", "pulumi.yaml", "cdk.json",
        "cdktf.json", "samconfig.toml", "fly.toml", "render.yaml", "railway.json", "railway.toml",
        "vercel.json", "now.json", "app.yaml", "wrangler.jsonc", "firebase.json", ".firebaserc",
        "terragrunt.hcl", ".terraform.lock.hcl", "chart.yaml", "helmfile.yaml",
        "kustomization.yaml", "kustomization.yml", "skaffold.yaml", "playbook.yml", "copilot.yml",
        "amplify.yml", "captain-definition", "nixpacks.toml", "app.toml", "deploy.sh", "release.sh",
        "publish.sh", "crontab", "cloud-init.yaml", "user-data", "packer.json", "kubeconfig",
    }),
    folders=frozenset({
        ".terraform", ".ebextensions", ".platform", ".pulumi", "ansible", ".kamal", ".aws",
        ".azure", ".kube", ".gcloud", ".chef", ".salt", "cron.d", "systemd",
    }),
    suffixes=(
        ".tf", ".tf.json", ".tfvars", ".hcl", ".nomad", ".pkr.hcl", ".bicep",
    ),
)  # fmt: skip


def look(change: Change, _content: Content) -> "Iterator[Finding]":
    """Yield what this risk finds in one change."""
    return by_path(change, TABLE, NAME, "what a deployment runs with the operator's rights")
