"""S15: the operator's environment: tokens, sockets, and variables that make programs run code.

The battery starts its session with such variables set; none may arrive. What the plan sets is no
finding: `ringfence plan` shows it, and a credential's variable holds a placeholder.
"""

import os
import re

from ringfence.verify.prelude import Tally, read_text

_SECRET = re.compile(
    r"TOKEN|SECRET|PASSW|APIKEY|API_KEY|ACCESS_KEY|PRIVATE_KEY|CREDENTIAL|_KEY$|_PAT$", re.IGNORECASE
)
_DANGEROUS = re.compile(
    r"^(LD_|DYLD_|BASH_ENV$|ENV$|BASH_FUNC_|PROMPT_COMMAND$|PS4$|SSH_AUTH_SOCK$|SSH_AGENT|GPG_AGENT|DBUS_|KUBECONFIG$|AWS_SECRET"
    r"|AWS_SESSION|AWS_PROFILE|GOOGLE_APPLICATION|PYTHONSTARTUP$|PYTHONPATH$|PERL5OPT$|RUBYOPT$|JAVA_TOOL_OPTIONS$|GIT_ASKPASS$|SUDO_)"
)
_OF_SHELLS = {"PWD", "OLDPWD", "SHLVL", "_", "LC_CTYPE"}  # LC_CTYPE: Python sets it itself (PEP 538)


def attack(facts):
    """Compare the environment with the plan's, here and in the first process."""
    tally = Tally()
    planned = set(facts.get("environment", []))
    placeholders = set(facts.get("placeholders", []))
    canaries = facts.get("variables", [])
    for where, names in (
        ("here", set(os.environ)),
        ("pid 1", _names("/proc/1/environ")),
        ("self", _names("/proc/self/environ")),
    ):
        secret = sorted(name for name in names if _SECRET.search(name) and name not in planned | placeholders)
        tally.expect(f"secret names {where}", not secret, ", ".join(secret) or "none")
        runs = sorted(name for name in names if _DANGEROUS.search(name) and name not in planned)
        tally.expect(f"names that run code {where}", not runs, ", ".join(runs) or "none")
        planted = sorted(names.intersection(canaries))
        tally.expect(f"planted names {where}", not planted, ", ".join(planted) or "none")
        if planned:
            unplanned = sorted(names - planned - _OF_SHELLS)
            tally.expect(f"names beyond the plan {where}", not unplanned, ", ".join(unplanned) or "none")
    token = facts.get("token")
    if token:
        seen = [
            place
            for place in ("/proc/self/environ", "/proc/1/environ", "/proc/1/cmdline")
            if token in read_text(place)
        ]
        tally.expect("the planted value", not seen, ", ".join(seen) or "nowhere")
    return tally.finding()


def _names(path):
    return {pair.partition("=")[0] for pair in read_text(path).split("\0") if "=" in pair}
