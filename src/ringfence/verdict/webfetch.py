"""The verdict on fetching a URL: rules name hosts, as `WebFetch(domain:example.com)`.

The host is the one that the client would dial: a URL whose host has no single spelling matches no rule that
allows. `*.example.com` is every name below example.com, at any depth, and not example.com itself; `*`
elsewhere stays within one label. Rules that deny or ask see the host as it was written as well.
"""

from ringfence.policy.toolrules import ToolRule, parameter
from ringfence.subject import canonical_host
from ringfence.verdict.ruling import Ruling, ToolCall

ALLOW, ASK, DENY = "allow", "ask", "deny"


def decide(call: ToolCall, rules: dict[str, list[ToolRule]]) -> Ruling:
    """Decide on a call of WebFetch by its `url`."""
    url = call.input.get("url")
    if not isinstance(url, str):
        return Ruling(effect=DENY, reason="a call of WebFetch holds a text `url`; this one does not")
    host, rough = _host(url)
    for effect in (DENY, ASK, ALLOW):
        for rule in rules[effect]:
            if parameter(rule) is not None:
                continue
            if _means(rule, host) or (effect != ALLOW and any(_means(rule, one) for one in rough)):
                if effect == ALLOW and not host:
                    break
                return Ruling(effect=effect, rule=rule, reason=f"`{rule.text}` is about {host or 'this URL'}")
    if not host:
        return Ruling(effect=ASK, reason="the URL has no host with a single spelling")
    rule_text = f"WebFetch(domain:{host})"
    return Ruling(effect=ASK, reason=f"no rule allows {host}", unmatched=(host,), suggestion=(rule_text,))


def _means(rule: ToolRule, host: str) -> bool:
    if rule.specifier is None:
        return True
    name, _, pattern = rule.specifier.partition(":")
    if name.strip() != "domain" or not host:
        return False
    pattern = pattern.strip().lower().rstrip(".")
    if pattern == "*":
        return True
    if pattern.startswith("*.") and "*" not in pattern[2:]:
        return host.endswith(pattern[1:]) and len(host) > len(pattern) - 1
    wanted, labels = pattern.split("."), host.split(".")
    return len(wanted) == len(labels) and all(map(_label, wanted, labels))


def _label(pattern: str, label: str) -> bool:
    from ringfence.verdict.command import glob

    return glob(pattern.split("*"), label)


def _host(url: str) -> tuple[str, tuple[str, ...]]:
    """Return the host in its one spelling, or "", and every text that could be taken for it."""
    scheme, separator, rest = url.partition("://")
    if not separator:
        scheme, rest = "", url
    authority = rest
    for end in "/?#\\":
        authority = authority.partition(end)[0]
    parts = authority.replace("\t", "").replace("\n", "").split("@")
    rough = tuple(_bare(part) for part in parts)
    plain = url.isascii() and url.isprintable() and " " not in authority and "\\" not in url.partition("?")[0]
    if scheme.lower() not in {"http", "https"} or len(parts) != 1 or not plain:
        return "", rough
    try:
        return canonical_host(_without_port(authority)), rough
    except ValueError:
        return "", rough


def _bare(part: str) -> str:
    return _without_port(part).lower().rstrip(".")


def _without_port(authority: str) -> str:
    if authority.startswith("["):
        return authority.partition("]")[0] + "]"
    return authority.partition(":")[0]
