"""From the one layer that all layers have become to the policy, checked as a whole."""

from ringfence.diagnostic import Diagnostic
from ringfence.errors import PolicyError
from ringfence.policy import kinds, model, read
from ringfence.subject import host_matches

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from ringfence.policy.layers import Layer


def build(layer: "Layer", files: "Iterable[tuple[read.Source, Layer]]") -> model.Policy:
    """Return the policy that a merged layer is; `files` are where its parts came from, for messages."""
    _check(layer, tuple(files))
    egress = dict(layer.get("egress", {}))
    for effect in ("allow", "ask", "deny"):
        egress[effect] = tuple([model.EgressRule(**rule) for rule in egress.get(effect, ())])
    for table in ("static", "resolvers"):
        egress[table] = tuple(sorted(egress.get(table, {}).items()))
    environment = dict(layer.get("environment", {}))
    environment["set"] = tuple(sorted(environment.get("set", {}).items()))
    credentials, gateways = layer.get("credentials", {}), layer.get("gateways", {})
    budgets = layer.get("budgets", {})
    return model.Policy(
        use=layer.get("use", ()),
        tier=layer.get("tier", model.TIERS[:1]),
        accept=layer.get("accept", ()),
        workspace=model.Workspace(**layer.get("workspace", {})),
        files=model.Files(**layer.get("files", {})),
        egress=model.Egress(**egress),
        credentials=tuple([_credential(name, credentials[name]) for name in sorted(credentials)]),
        gateways=tuple([model.Gateway(name=name, **gateways[name]) for name in sorted(gateways)]),
        environment=model.Environment(**environment),
        limits=model.Limits(**layer.get("limits", {})),
        budgets=tuple([model.Budget(name=name, **budgets[name]) for name in sorted(budgets)]),
        model=model.ModelBudget(**layer.get("model", {})),
        watch=model.Watch(**layer.get("watch", {})),
        review=model.Review(**layer.get("review", {})),
        commands=model.Commands(**_rule_texts(layer.get("commands", {}))),
        tools=model.Tools(**_rule_texts(layer.get("tools", {}))),
        container=model.Container(**layer.get("container", {})),
    )


def _rule_texts(section: "Layer") -> "Layer":
    """Return a table in which the rules about tool calls are values."""
    texts = {
        effect: tuple([model.RuleText(**one) for one in section[effect]])
        for effect in (model.ALLOW, model.ASK, model.DENY)
        if effect in section
    }
    return {**section, **texts}


def _credential(name: str, layer: "Layer") -> model.Credential:
    pairs = {"permissions": tuple(sorted(layer["permissions"].items()))} if "permissions" in layer else {}
    return model.Credential(name=name, **{**layer, **pairs})


def _check(layer: "Layer", files: "tuple[tuple[read.Source, Layer], ...]") -> None:
    """Refuse what is wrong only once all layers are one."""
    problems = [
        (
            ("credentials", name),
            f"credential `{name}` {problem}",
            hint.replace("[…]", f"[credentials.{name}]"),
        )
        for name, credential in layer.get("credentials", {}).items()
        for problem, hint in kinds.check(credential)
    ]
    keep = layer.get("environment", {}).get("keep", ())
    problems += [
        (
            ("environment", "keep"),
            f"`keep` would take {variable} inside, the source of credential `{name}`",
            "the gate puts it into requests: leave it out of `keep`",
        )
        for name, source in _sources(layer)
        for variable in kinds.variables(source)
        if any(_kept(pattern, variable) for pattern in keep)
    ]
    problems += _proxy_problems(layer.get("egress", {}))
    problems += _unseen_credentials(layer)
    if problems:
        raise PolicyError(
            "the policy cannot be used", diagnostics=tuple(_placed(files, *one) for one in problems)
        )


def _unseen_credentials(layer: "Layer") -> list[tuple[tuple[str, str], str, str]]:
    """Refuse a credential for a host and port that raw TCP is allowed to: nothing could be put in there."""
    egress = layer.get("egress", {})
    raw = [
        rule for name in ("allow", "ask") for rule in egress.get(name, ()) if "tcp" in rule.get("schemes", ())
    ]
    return [
        (
            ("credentials", name),
            f"credential `{name}` is for {one['host']}:{port}, where a rule for `tcp` lets raw bytes pass",
            "nobody looks into those: take the rule or the credential away",
        )
        for name, one in layer.get("credentials", {}).items()
        for port in (one.get("port", 443),)
        if any(port in rule["ports"] and host_matches(rule["host"], one.get("host", "")) for rule in raw)
    ]


def _proxy_problems(egress: "Layer") -> list[tuple[tuple[str, str], str, str]]:
    user = "@" in egress.get("proxy", "")
    if bool(egress.get("proxy_password")) == user:
        return []
    if user:
        problem = ("proxy", "the proxy's user has no password", "name its source in `egress.proxy_password`")
    else:
        hint = 'write the user into `egress.proxy`: "http://user@host:port"'
        problem = ("proxy_password", "there is a password and no user that it belongs to", hint)
    return [(("egress", problem[0]), *problem[1:])]


def _sources(layer: "Layer") -> "Iterable[tuple[str, str]]":
    """Return the source of every secret, with what it is for."""
    yield from ((name, one.get("source", "")) for name, one in layer.get("credentials", {}).items())
    yield "egress.proxy", layer.get("egress", {}).get("proxy_password", "")


def _kept(pattern: str, name: str) -> bool:
    return name.startswith(pattern[:-1]) if pattern[-1] == "*" else name == pattern


def _placed(
    files: "tuple[tuple[read.Source, Layer], ...]", path: tuple[str, str], message: str, hint: str
) -> Diagnostic:
    """Point at the last file that speaks of the thing."""
    from ringfence.policy.decode import Problem

    for source, layer in reversed(files):
        if path[1] in layer.get(path[0], {}):
            return read.point(source, Problem(path=path, message=message, hint=hint, at_name=True))
    return Diagnostic(message=message, hint=hint)
