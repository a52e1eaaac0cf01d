"""What stands inside the boundary where a key is expected.

Programs check that a key looks right before they use it, so a placeholder has the prefix and the
length of the real kind. It says what it is to a person who reads it, is the same in every session
(caches and login states stay valid), and differs between credentials, so the gate can tell them apart.
"""

from ringfence.canonical import sha256
from ringfence.policy import kinds
from ringfence.policy.model import Credential

WORD = "ringfence"

# (part of the variable's or the host's name, prefix, whole length). The first that fits is taken.
_KINDS = (
    ("anthropic", "sk-ant-api03-", 108),
    ("claude", "sk-ant-api03-", 108),
    ("openrouter", "sk-or-v1-", 73),
    ("openai", "sk-proj-", 164),
    ("github", "ghp_", 40),
    ("gh_token", "ghp_", 40),
    ("gitlab", "glpat-", 26),
    ("npm", "npm_", 40),
    ("pypi", "pypi-", 179),
    ("huggingface", "hf_", 37),
    ("hf_", "hf_", 37),
    ("slack", "xoxb-", 56),
    ("stripe", "sk_test_", 107),
    ("generativelanguage", "AIza", 39),
    ("gemini", "AIza", 39),
    ("google", "AIza", 39),
    ("groq", "gsk_", 56),
    ("xai", "xai-", 84),
    ("x.ai", "xai-", 84),
    ("mistral", "", 32),
    ("deepseek", "sk-", 35),
)
# Tokens that are minted look like their issuer's, whatever their variable is called.
_ISSUED = {kinds.GITHUB_APP: ("ghs_", 40), kinds.GOOGLE: ("ya29.", 220)}
_LENGTH = 48
_SHORTEST_MARK = 8  # hexadecimal digits that tell two credentials apart


_BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"


def variables(credential: Credential) -> dict[str, str]:
    """Return the variables inside that stand for a credential."""
    if credential.kind == kinds.AWS:
        identity, secret = access_key(credential)
        return {name: secret if "SECRET" in name.upper() else identity for name in credential.environment}
    return dict.fromkeys(credential.environment, credential.placeholder or default(credential))


def access_key(credential: Credential) -> tuple[str, str]:
    """Return an access key's id and secret as AWS clients expect them; neither opens anything."""
    mark = sha256(f"{credential.name}\n{credential.host}".encode())
    letters = "".join(_BASE32[int(mark[at : at + 2], 16) % 32] for at in range(0, 32, 2))
    return credential.placeholder or f"AKIA{letters}", (WORD + "0" + mark)[:40]


def default(credential: Credential) -> str:
    """Return the placeholder for a credential that names none."""
    if credential.kind == kinds.AWS:
        return access_key(credential)[0]
    if credential.kind in _ISSUED:
        prefix, length = _ISSUED[credential.kind]
    else:
        names = " ".join((*credential.environment, credential.name, credential.host)).lower()
        prefix, length = next(((start, size) for part, start, size in _KINDS if part in names), ("", _LENGTH))
    mark = sha256(f"{credential.name}\n{credential.host}".encode())
    room = max(length - len(prefix), len(WORD) + _SHORTEST_MARK)
    return prefix + (WORD + "0" + mark * 4)[:room]
