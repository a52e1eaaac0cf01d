"""New lines that switch off a security check: certificates, signatures, sandboxes, hooks."""

import re

from ringfence.workspace.content import Content
from ringfence.workspace.layers import Change
from ringfence.workspace.risks.finding import WEAKENS, Finding, Patterns, new_lines

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = "security off"
GROUP = WEAKENS
DOC = "New lines that switch off a security check: certificates, signatures, sandboxes, hooks."

_WORDS = (
    b"verif", b"check", b"cert_none", b"https_context", b"disable_warnings", b"ssl",
    b"unauthorized", b"certs", b"danger", b"certificate", b"trust", b"curl", b"userknownhostsfile",
    b"autoaddpolicy", b"gpg", b"unauthenticated", b"force-yes", b"nosum", b"insecure", b"sumdb",
    b"--yolo", b"bypass", b"sandbox", b"disable-web-security", b"privilege", b"unconfined",
    b"setenforce", b"selinux", b"csrf", b"debug", b"allowed_hosts", b"access-control", b"chmod",
    b"algorithm", b"autoescape", b"ignore-scripts", b"audit", b"continue-on-error",
    b"pull_request_target", b"write-all", b"allow_failure", b"safe.directory",
)  # fmt: skip
_OFF = Patterns(
    _WORDS,
    re.compile(
        rb"\bverify\s*=\s*False\b|\bverify_ssl\s*[=:]\s*(?:False|false|no|0)\b"
        rb"|\bcheck_hostname\s*=\s*False\b|\bCERT_NONE\b"
        rb"|\b_create_unverified_context\b|\b_create_default_https_context\b|\bdisable_warnings\s*\("
        rb"|\bssl\s*=\s*False\b"
        rb"|\bInsecureSkipVerify\s*:\s*true\b|\brejectUnauthorized['\"]?\s*:\s*false\b"
        rb"|NODE_TLS_REJECT_UNAUTHORIZED|PYTHONHTTPSVERIFY"
        rb"|GIT_SSL_NO_VERIFY|\bsslVerify['\"]?\s*[=:]?\s*[\"']?false"
        rb"|strict[-_]ssl['\"]?\s*[=:\s]\s*[\"']?false|\bvalidate_certs\s*[=:]\s*(?:no|false|False)\b"
        rb"|danger_accept_invalid_(?:certs|hostnames)|CURLOPT_SSL_VERIFY(?:PEER|HOST)[\"']?\s*,\s*(?:0"
        rb"|false|FALSE)|VERIFY_NONE\b"
        rb"|\binsecure_skip_(?:tls_)?verify\s*[=:]\s*true|ServerCertificateValidationCallback|TrustAll\w*"
        rb"|ALLOW_ALL_HOSTNAME_VERIFIER"
        rb"|\bcurl\b[^\n|;&]*\s(?:-\w*k\w*|--insecure)\b|\bwget\b[^\n|;&]*--no-check-certificate"
        rb"|--trusted-host\b|--no-check-certificate\b"
        rb"|StrictHostKeyChecking\s*[= ]\s*(?:no|accept-new|off)|UserKnownHostsFile\s*[= ]\s*/dev/null"
        rb"|\bAutoAddPolicy\b"
        rb"|--no-verify\b|--no-gpg-sign\b|\bgpgsign\s*=?\s*false|--no-gpg-check|\bgpgcheck\s*=\s*0"
        rb"|\[trusted=yes\]|--allow-unauthenticated\b"
        rb"|--force-yes\b|--nogpgcheck\b|GONOSUMCHECK|GONOSUMDB|GOFLAGS=.*-insecure|GOINSECURE|GONOSUMDB"
        rb"|\bGOSUMDB\s*=\s*off"
        rb"|--dangerously-skip-permissions|--dangerously-bypass|--yolo\b|bypassPermissions|--no-sandbox\b"
        rb"|--disable-web-security"
        rb"|--privileged\b|seccomp[=:]\s*unconfined|apparmor[=:]\s*unconfined|\bprivileged\s*:\s*true\b"
        rb"|allowPrivilegeEscalation\s*:\s*true"
        rb"|\bsetenforce\s+0\b|SELINUX\s*=\s*(?:disabled|permissive)|\bcsrf_exempt\b"
        rb"|\bWTF_CSRF_ENABLED\s*=\s*False|skip_before_action\s+:verify"
        rb"|\bDEBUG\s*=\s*True\b|\bALLOWED_HOSTS\s*=\s*\[\s*[\"']\*"
        rb"|Access-Control-Allow-Origin[\"']?\s*[,:]\s*[\"']?\*|\bchmod\s+(?:-R\s+)?0?777\b"
        rb"|\bverify_signature['\"]?\s*:\s*False|\balgorithms?['\"]?\s*[:=]\s*\[?\s*[\"']none[\"']"
        rb"|\bautoescape\s*=\s*False|dangerouslySetInnerHTML"
        rb"|--ignore-scripts\s*=?\s*false|ignore-scripts\s*=\s*false|--no-audit\b"
        rb"|audit-level\s*=\s*(?:none|critical)|\bcontinue-on-error\s*:\s*true"
        rb"|\bpull_request_target\b|\bpermissions\s*:\s*write-all\b|\ballow_failure\s*:\s*true"
        rb"|safe\.directory['\"]?\s*[=,]?\s*[\"']?\*"
    ),
)


def look(change: Change, content: Content) -> "Iterator[Finding]":
    """Yield what this risk finds in one change."""
    return new_lines(change, content, _OFF, NAME, "switches a security check off")
