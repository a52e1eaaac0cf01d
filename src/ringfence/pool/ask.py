"""What a claim asks for: checked when it comes in, since anything may be sent to a socket."""

from ringfence.errors import UsageError
from ringfence.policy.overrides import Overrides
from ringfence.value import Struct, plain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Claim(Struct):
    """One command for one boundary."""

    argv: tuple[str, ...]
    workspace: str
    cwd: str
    variables: tuple[tuple[str, str], ...] = ()  # of the environment, where the policy lets them in
    overrides: Overrides | None = None  # the claim is for this policy only; None: for the pool's
    discard: bool = False
    review: bool = False


def spelled(claim: Claim) -> "dict[str, Any]":
    """Return a claim as it is sent."""
    return {"claim": plain(claim)}


def understood(said: object) -> Claim:
    """Read a claim that was sent. Raises UsageError for what is none."""
    if not isinstance(said, dict) or not set(said) <= set(Claim.__fields__):
        raise UsageError("that is no claim", hint="both sides must be of one version of ringfence")
    argv, variables, overrides = said.get("argv"), said.get("variables", []), said.get("overrides")
    texts = (said.get("workspace"), said.get("cwd"))
    if not _is_texts(argv) or not argv or not all(map(_is_text, texts)) or not isinstance(variables, list):
        raise UsageError("a claim names a command, a project and a folder")
    if not all(_is_texts(pair) and len(pair) == 2 and "=" not in pair[0] for pair in variables):
        raise UsageError("a claim's variables are pairs of texts")
    return Claim(
        argv=tuple(argv),
        workspace=str(texts[0]),
        cwd=str(texts[1]),
        variables=tuple((name, value) for name, value in variables),
        overrides=None if overrides is None else _overrides(overrides),
        discard=said.get("discard") is True,
        review=said.get("review") is True,
    )


def _overrides(said: object) -> Overrides:
    known = Overrides.__fields__
    if not isinstance(said, dict) or not set(said) <= set(known):
        raise UsageError("the claim's options are not known", hint="both sides must be of one version")
    for name, value in said.items():
        if not (_is_texts(value) if isinstance(known[name], tuple) else _is_text(value)):
            raise UsageError(f"the claim's option {name} is not what it should be")
    values: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in said.items()}
    return Overrides(**values)


def _is_text(one: object) -> bool:
    return isinstance(one, str) and "\0" not in one


def _is_texts(one: object) -> bool:
    return isinstance(one, (list, tuple)) and all(map(_is_text, one))
