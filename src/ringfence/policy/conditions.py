"""The conditions of an egress rule as a policy writes them: one grammar, for `forms` and for `verdict`.

- query keys: `page`, `filter*`; `!*` alone says that there is no query.
- headers: `accept` (it is there), `accept: text/*` (and every value of it matches), `!range` (it is not).
- content types: `application/json`, `image/*`.
- GraphQL: `query`, `mutation addComment`, `query search*`, `subscription`, `introspection`. The name is that
  of a field at the top of the operation: what an operation calls itself is its author's choice.
- git: `fetch REPOSITORY`, `push REPOSITORY [REF…]`, `delete REPOSITORY REF…`. A repository is its path on the
  host without `.git`, in lower case; `*` alone is every one. A ref is written whole: `refs/heads/agent/*`.
"""

from ringfence.subject import check_glob

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

GRAPHQL_KINDS = ("query", "mutation", "subscription", "introspection")
GIT_ACTIONS = ("fetch", "push", "delete")
NO_QUERY = "!*"
# What a rule can say beside host, ports, schemes, methods and paths.
NAMES = ("query", "headers", "content_types", "max_body", "graphql", "git")
_NAME = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")
_SUBTYPE = frozenset("abcdefghijklmnopqrstuvwxyz0123456789!#$&-^_.+")  # RFC 6838 §4.2


def query_key(text: str) -> str:
    """Return a query key or a glob of keys."""
    if text == NO_QUERY:
        return text
    if not text or not text.isprintable() or any(char in "&;=#% " for char in text):
        raise ValueError("a query key is written plainly: decoded, without `=` and its value")
    if text[0] == "!":
        raise ValueError("`!*` alone says that there is no query; other keys are simply left out of the list")
    return text


def split_header(text: str) -> tuple[str, str | None, bool]:
    """Split a condition on a header into name, glob of its values or None, and whether it must be there."""
    if text[:1] == "!":
        return text[1:].strip().lower(), None, False
    name, colon, glob = text.partition(":")
    return name.strip().lower(), glob.strip() if colon else None, True


def media_type(text: str) -> str:
    """Return a content type without parameters; its subtype may be `*`."""
    kind, slash, subtype = text.lower().partition("/")
    plain = bool(slash) and kind and set(kind) <= _SUBTYPE
    if not plain or not (subtype == "*" or (subtype and set(subtype) <= _SUBTYPE)):
        raise ValueError("a content type is written as application/json or image/*, without parameters")
    return f"{kind}/{subtype}"


def split_graphql(text: str) -> tuple[str, str]:
    """Split a condition on GraphQL into the kind of operation and the glob of its top-level fields."""
    words = text.split()
    kinds = ", ".join(f"`{kind}`" for kind in GRAPHQL_KINDS)
    if len(words) not in {1, 2} or words[0] not in GRAPHQL_KINDS:
        raise ValueError(
            f"a GraphQL operation is one of {kinds}, and may name a field: `mutation addComment`"
        )
    name = words[1] if len(words) == 2 else "*"
    if not set(name) <= _NAME | {"*", "?"}:
        raise ValueError("a GraphQL field is made of letters, digits and `_`")
    if words[0] == "introspection" and len(words) == 2:
        raise ValueError("`introspection` stands alone")
    return words[0], name


def graphql(text: str) -> str:
    """Return a condition on GraphQL in its one spelling."""
    kind, name = split_graphql(text)
    return kind if name == "*" else f"{kind} {name}"


def split_git(text: str) -> tuple[str, str, tuple[str, ...]]:
    """Split a condition on git into action, repository and refs; no refs is all of them."""
    action, *words = text.split() or [""]
    if action not in GIT_ACTIONS or not words:
        raise ValueError("git is `fetch REPOSITORY`, `push REPOSITORY [REF…]` or `delete REPOSITORY REF…`")
    if action == "fetch" and len(words) > 1:
        raise ValueError("a fetch reads all branches of a repository: it takes no refs")
    if action == "delete" and len(words) == 1:
        raise ValueError("`delete` names the refs that may be deleted, such as refs/heads/agent/*")
    return action, _repository(words[0]), tuple(_ref(word) for word in words[1:])


def git(text: str) -> str:
    """Return a condition on git in its one spelling."""
    action, repository, refs = split_git(text)
    return " ".join((action, repository, *refs))


def _repository(text: str) -> str:
    name = text.lower().strip("/").removesuffix(".git")
    if ":" in name or "%" in name or not name.isascii() or ".git" in name.split("/"):
        raise ValueError("a repository is its path on the host, such as acme/app")
    check_glob(name)
    if "" in name.split("/"):
        raise ValueError("a repository is its path on the host, such as acme/app")
    return name


def _ref(text: str) -> str:
    check_glob(text)
    if text[:5] != "refs/":
        raise ValueError(
            f"a ref is written whole: refs/heads/{text} for a branch, refs/tags/{text} for a tag"
        )
    return text


def contradiction(rule: "dict[str, Any]") -> str:
    """Say what in a rule cannot go together, or return ""."""
    schemes = rule.get("schemes", ())
    if "tcp" in schemes:
        return _tcp(rule)
    if rule.get("git") and rule.get("graphql"):
        return "no request is git and GraphQL at once: write two rules"
    if NO_QUERY in rule.get("query", ()) and len(rule["query"]) > 1:
        return "`!*` says that there is no query: it stands alone"
    return ""


def _tcp(rule: "dict[str, Any]") -> str:
    if len(rule["schemes"]) > 1:
        return "`tcp` stands alone in `schemes`: nobody looks into such a connection"
    if not rule.get("ports"):
        return "a rule for `tcp` names its ports, as in tcp://db.example.com:5432"
    given = [name for name in ("methods", "paths", *NAMES) if rule.get(name)]
    if given:
        return f"a rule for `tcp` has no `{given[0]}`: nobody looks into such a connection"
    return ""
