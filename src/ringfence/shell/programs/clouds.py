"""Command lines of clouds, code forges, key rings and what sets machines up.

What they do there is for rules to say; what is found here is keys, other endpoints, files that are sent.
"""

from ringfence.shell.facts import KNOWN
from ringfence.shell.options import part
from ringfence.shell.programs.draft import OPTION, Draft

_CLOUD_ELSEWHERE = (
    "--endpoint-url",
    "--profile-file",
    "--ca-bundle",
    "--cli-input-json",
    "--cli-input-yaml",
    "--config",
    "--configuration",
    "--flags-file",
    "--impersonate-service-account",
    "--access-token-file",
    "--hostname",
    "--no-verify-ssl",
)
_KEYRINGS = frozenset(
    """vault op bw pass gopass gpg gpg2 age sops ssh-keygen ssh-add ssh-agent ssh-copy-id keyring
    secret-tool""".split()
)
_KEYS = frozenset(
    """login logout token auth get-login-password get-session-token print-access-token print-identity-token
    configure configure-docker secrets get-secret-value get-credentials credential access-token
    assume-role export-credentials setup-git""".split()
)


def _cloud(draft: Draft) -> None:
    """Read command lines of clouds and forges: files named with `file://` or `@`, keys, other endpoints."""
    for at, word in enumerate(draft.arguments):
        text = word.text
        if word.certainty != KNOWN:
            draft.uncertain(word)
        elif text.startswith(_CLOUD_ELSEWHERE):
            draft.finding("container-engine", "commands another service, or by other settings", word)
        elif text.startswith(("file://", "fileb://")):
            draft.read(part(word, text.index("//") + 2))
        elif text.startswith("@") and len(text) > 1 and "/" not in text[:2]:
            draft.read(part(word, 1))
        elif "=@" in text:
            draft.read(part(word, text.index("=@") + 2))
        elif "://" in text:
            draft.endpoint(word)
        elif (text.startswith(("./", "../", "/", "~")) and at > 0) or (
            draft.program in _KEYRINGS and not text.startswith("-")
        ):
            draft.read(word)
    _keys(draft)
    _forge(draft)


def _keys(draft: Draft) -> None:
    operands = [word for word in draft.arguments if not word.text.startswith("-")]
    if draft.program in _KEYRINGS and not any(
        word.text in {"--version", "--help"} for word in draft.arguments
    ):
        draft.finding("publishes", "deals with keys")
        return
    for word in operands[:3]:
        if word.text in _KEYS:
            draft.finding("publishes", "deals with the keys of an account", word)
            return


def _forge(draft: Draft) -> None:
    """Note what `gh` and `glab` run or open: aliases, extensions, a browser, an editor, any API call."""
    verbs = [word for word in draft.arguments if not word.text.startswith("-")]
    if draft.program not in {"gh", "glab", "hub", "tea"} or not verbs:
        return
    head = verbs[0].text
    if head in {"alias", "extension", "ext", "extensions", "config"}:
        quiet = len(verbs) > 1 and verbs[1].text in {"list", "get", "ls", "search"}
        if not quiet:
            draft.finding("package-settings", "changes what its own commands run", verbs[0])
    elif head == "browse" or any(word.text in {"-w", "--web"} for word in draft.arguments):
        draft.finding("opener", "opens a browser")
    elif head in {"codespace", "cs"}:
        draft.finding("remote-shell", "", verbs[0])
    elif head == "api":
        for at, word in enumerate(draft.arguments):
            if word.text == "--input" and at + 1 < len(draft.arguments):
                draft.read(draft.arguments[at + 1], OPTION)


def _terraform(draft: Draft) -> None:
    """Read `terraform` and its kin: plugins and provisioners run with what they are given."""
    draft.complete = False
    verbs = [word for word in draft.arguments if not word.text.startswith("-")]
    for word in draft.arguments:
        if word.certainty != KNOWN:
            draft.uncertain(word)
        elif word.text.startswith(
            (
                "-chdir",
                "--chdir",
                "-plugin-dir",
                "-backend-config",
                "--vault",
                "-e=@",
                "--become-method",
                "--connection",
                "-M",
                "--module-path",
            )
        ):
            draft.finding("option-runs-program", "takes plugins, settings or its folder from elsewhere", word)
        elif "/" in word.text and not word.text.startswith("-"):
            draft.read(word)
    if verbs and verbs[0].text in {"console", "login", "logout"}:
        draft.finding("publishes", "deals with the keys of an account", verbs[0])


PROGRAMS = {
    **dict.fromkeys(
        """aws gcloud gsutil bq az gh glab hub tea doctl heroku fly flyctl vercel netlify wrangler firebase
        ibmcloud oci linode-cli hcloud rclone s3cmd mc vault op bw pass gopass gpg gpg2 age sops
        ssh-keygen ssh-add ssh-agent ssh-copy-id keyring secret-tool""".split(),
        _cloud,
    ),
    **dict.fromkeys(
        """terraform tofu terragrunt pulumi ansible ansible-playbook packer vagrant chef puppet
        salt""".split(),
        _terraform,
    ),
}
