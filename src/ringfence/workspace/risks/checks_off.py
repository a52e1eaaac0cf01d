"""New lines that switch a check off for themselves: noqa, type: ignore, eslint-disable."""

import re

from ringfence.workspace.content import Content
from ringfence.workspace.layers import Change
from ringfence.workspace.risks.finding import WEAKENS, Finding, Patterns, new_lines

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = "checks off"
GROUP = WEAKENS
DOC = "New lines that switch a check off for themselves: noqa, type: ignore, eslint-disable."

_WORDS = (
    b"noqa", b"ignore", b"pyright", b"nosec", b"nosemgrep", b"pragma", b"disable", b"fmt:",
    b"isort:", b"skip", b"rubocop", b"noinspection", b"fixme", b"allow", b"eslint", b"@ts-",
    b"nolint", b"gosec", b"nosonar", b"suppress", b"codeql[", b"lgtm", b"checkstyle", b"spotless",
    b"expect", b"options_ghc", b"warnings.",
)  # fmt: skip
_OFF = Patterns(
    _WORDS,
    re.compile(
        rb"#\s*(?:noqa|type:\s*ignore|pyright:\s*(?:ignore|basic|false)|mypy:\s*ignore|nosec|nosemgrep"
        rb"|pragma:\s*no\s*(?:cover|branch)"
        rb"|pylint:\s*disable|flake8[:=]\s*noqa|ruff:\s*noqa|fmt:\s*off|isort:\s*skip|bandit:\s*skip"
        rb"|codespell:ignore|pragma:\s*allowlist"
        rb"|rubocop:\s*(?:disable|todo)|shellcheck\s+disable|checkov:skip|tfsec:ignore|yamllint\s+disable"
        rb"|noinspection|ty:\s*ignore"
        rb"|pyre-(?:ignore|fixme)|detect-secrets:ignore|gitleaks:allow|trufflehog:ignore"
        rb"|kics-scan\s+ignore|hadolint\s+ignore)"
        rb"|(?://|/\*|<!--|\{/\*|--)\s*(?:eslint-disable|eslint\s+[\w@/-]+\s*:|@ts-(?:ignore|nocheck"
        rb"|expect-error)|tslint:disable|biome-ignore"
        rb"|oxlint-disable|deno-lint-ignore|prettier-ignore|stylelint-disable|jshint\s+ignore|jscs:disable"
        rb"|istanbul\s+ignore|c8\s+ignore"
        rb"|v8\s+ignore|nolint|NOLINT|lint:ignore|#nosec|nosec|gosec|NOSONAR|noinspection"
        rb"|swiftlint:disable|ktlint-disable|phpcs:(?:ignore|disable)"
        rb"|phpstan-ignore|psalm-suppress|nosemgrep|codeql\[|lgtm\b|coverage:ignore|gitleaks:allow"
        rb"|CHECKSTYLE.OFF|spotless:off)"
        rb"|@(?:codeCoverageIgnore|psalm-suppress|phpstan-ignore)|@SuppressWarnings\b"
        rb"|@SuppressFBWarnings\b|@Suppress\s*\(|SuppressMessage\s*\("
        rb"|#!?\[(?:allow|expect)\s*\(|#pragma\s+(?:warning\s*\(?\s*disable|GCC\s+diagnostic\s+ignored"
        rb"|clang\s+diagnostic\s+ignored)"
        rb"|\bNOSONAR\b|\bcredo:disable|\{-#\s*OPTIONS_GHC\s+-(?:w|Wno)|\bwarnings\.(?:simplefilter"
        rb"|filterwarnings)\s*\(\s*[\"']ignore"
    ),
)


def look(change: Change, content: Content) -> "Iterator[Finding]":
    """Yield what this risk finds in one change."""
    return new_lines(change, content, _OFF, NAME, "switches a check off for this place")
