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
        rb"\bverify\s{0,9}=\s{0,9}False\b|\bverify_ssl\s{0,9}[=:]\s{0,9}(?:False|false|no|0)\b"
        rb"|\bcheck_hostname\s{0,9}=\s{0,9}False\b|\bCERT_NONE\b"
        rb"|\b_create_unverified_context\b|\b_create_default_https_context\b|\bdisable_warnings\s{0,9}\("
        rb"|\bssl\s{0,9}=\s{0,9}False\b"
        rb"|\bInsecureSkipVerify\s{0,9}:\s{0,9}true\b|\brejectUnauthorized['\"]?\s{0,9}:\s{0,9}false\b"
        rb"|NODE_TLS_REJECT_UNAUTHORIZED|PYTHONHTTPSVERIFY"
        rb"|GIT_SSL_NO_VERIFY|\bsslVerify['\"]?\s{0,9}[=:]?\s{0,9}[\"']?false"
        rb"|strict[-_]ssl['\"]?\s{0,9}[=:\s]\s{0,9}[\"']?false|\bvalidate_certs\s{0,9}[=:]\s{0,9}(?:no"
        rb"|false|False)\b"
        rb"|danger_accept_invalid_(?:certs|hostnames)|CURLOPT_SSL_VERIFY(?:PEER"
        rb"|HOST)[\"']?\s{0,9},\s{0,9}(?:0"
        rb"|false|FALSE)|VERIFY_NONE\b"
        rb"|\binsecure_skip_(?:tls_)?verify\s{0,9}[=:]\s{0,9}true|ServerCertificateValidationCallback"
        rb"|TrustAll\w*"
        rb"|ALLOW_ALL_HOSTNAME_VERIFIER"
        rb"|\bcurl\b[^\n|;&]{0,300}\s(?:-\w{0,20}k\w{0,20}|--insecure)\b|\bwget\b[^\n"
        rb"|;&]{0,300}--no-check-certificate"
        rb"|--trusted-host\b|--no-check-certificate\b"
        rb"|StrictHostKeyChecking\s{0,9}[= ]\s{0,9}(?:no|accept-new|off)"
        rb"|UserKnownHostsFile\s{0,9}[= ]\s{0,9}/dev/null"
        rb"|\bAutoAddPolicy\b"
        rb"|--no-verify\b|--no-gpg-sign\b|\bgpgsign\s{0,9}=?\s{0,9}false|--no-gpg-check"
        rb"|\bgpgcheck\s{0,9}=\s{0,9}0"
        rb"|\[trusted=yes\]|--allow-unauthenticated\b"
        rb"|--force-yes\b|--nogpgcheck\b|GONOSUMCHECK|GONOSUMDB|GOFLAGS=.{0,200}-insecure|GOINSECURE"
        rb"|GONOSUMDB"
        rb"|\bGOSUMDB\s{0,9}=\s{0,9}off"
        rb"|--dangerously-skip-permissions|--dangerously-bypass|--yolo\b|bypassPermissions|--no-sandbox\b"
        rb"|--disable-web-security"
        rb"|--privileged\b|seccomp[=:]\s{0,9}unconfined|apparmor[=:]\s{0,9}unconfined"
        rb"|\bprivileged\s{0,9}:\s{0,9}true\b"
        rb"|allowPrivilegeEscalation\s{0,9}:\s{0,9}true"
        rb"|\bsetenforce\s{1,9}0\b|SELINUX\s{0,9}=\s{0,9}(?:disabled|permissive)|\bcsrf_exempt\b"
        rb"|\bWTF_CSRF_ENABLED\s{0,9}=\s{0,9}False|skip_before_action\s{1,9}:verify"
        rb"|\bDEBUG\s{0,9}=\s{0,9}True\b|\bALLOWED_HOSTS\s{0,9}=\s{0,9}\[\s{0,9}[\"']\*"
        rb"|Access-Control-Allow-Origin[\"']?\s{0,9}[,:]\s{0,9}[\"']?\*|\bchmod\s{1,9}(?:-R\s{1,9})?0?777\b"
        rb"|\bverify_signature['\"]?\s{0,9}:\s{0,9}False"
        rb"|\balgorithms?['\"]?\s{0,9}[:=]\s{0,9}\[?\s{0,9}[\"']none[\"']"
        rb"|\bautoescape\s{0,9}=\s{0,9}False|dangerouslySetInnerHTML"
        rb"|--ignore-scripts\s{0,9}=?\s{0,9}false|ignore-scripts\s{0,9}=\s{0,9}false|--no-audit\b"
        rb"|audit-level\s{0,9}=\s{0,9}(?:none|critical)|\bcontinue-on-error\s{0,9}:\s{0,9}true"
        rb"|\bpull_request_target\b|\bpermissions\s{0,9}:\s{0,9}write-all\b"
        rb"|\ballow_failure\s{0,9}:\s{0,9}true"
        rb"|safe\.directory['\"]?\s{0,9}[=,]?\s{0,9}[\"']?\*"
    ),
)


def look(change: Change, content: Content) -> "Iterator[Finding]":
    """Yield what this risk finds in one change."""
    return new_lines(change, content, _OFF, NAME, "switches a security check off")
