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
        rb"#\s{0,9}(?:noqa|type:\s{0,9}ignore|pyright:\s{0,9}(?:ignore|basic|false)|mypy:\s{0,9}ignore"
        rb"|nosec|nosemgrep"
        rb"|pragma:\s{0,9}no\s{0,9}(?:cover|branch)"
        rb"|pylint:\s{0,9}disable|flake8[:=]\s{0,9}noqa|ruff:\s{0,9}noqa|fmt:\s{0,9}off"
        rb"|isort:\s{0,9}skip|bandit:\s{0,9}skip"
        rb"|codespell:ignore|pragma:\s{0,9}allowlist"
        rb"|rubocop:\s{0,9}(?:disable|todo)|shellcheck\s{1,9}disable|checkov:skip|tfsec:ignore"
        rb"|yamllint\s{1,9}disable"
        rb"|noinspection|ty:\s{0,9}ignore"
        rb"|pyre-(?:ignore|fixme)|detect-secrets:ignore|gitleaks:allow|trufflehog:ignore"
        rb"|kics-scan\s{1,9}ignore|hadolint\s{1,9}ignore)"
        rb"|(?://|/\*|<!--|\{/\*|--)\s{0,9}(?:eslint-disable|eslint\s{1,9}[\w@/-]+\s{0,9}:"
        rb"|@ts-(?:ignore|nocheck"
        rb"|expect-error)|tslint:disable|biome-ignore"
        rb"|oxlint-disable|deno-lint-ignore|prettier-ignore|stylelint-disable|jshint\s{1,9}ignore"
        rb"|jscs:disable"
        rb"|istanbul\s{1,9}ignore|c8\s{1,9}ignore"
        rb"|v8\s{1,9}ignore|nolint|NOLINT|lint:ignore|#nosec|nosec|gosec|NOSONAR|noinspection"
        rb"|swiftlint:disable|ktlint-disable|phpcs:(?:ignore|disable)"
        rb"|phpstan-ignore|psalm-suppress|nosemgrep|codeql\[|lgtm\b|coverage:ignore|gitleaks:allow"
        rb"|CHECKSTYLE.OFF|spotless:off)"
        rb"|@(?:codeCoverageIgnore|psalm-suppress|phpstan-ignore)|@SuppressWarnings\b"
        rb"|@SuppressFBWarnings\b|@Suppress\s{0,9}\(|SuppressMessage\s{0,9}\("
        rb"|#!?\[(?:allow|expect)\s{0,9}\(|#pragma\s{1,9}(?:warning\s{0,9}\(?\s{0,9}disable"
        rb"|GCC\s{1,9}diagnostic\s{1,9}ignored"
        rb"|clang\s{1,9}diagnostic\s{1,9}ignored)"
        rb"|\bNOSONAR\b|\bcredo:disable|\{-#\s{0,9}OPTIONS_GHC\s{1,9}-(?:w|Wno)|\bwarnings\.(?:simplefilter"
        rb"|filterwarnings)\s{0,9}\(\s{0,9}[\"']ignore"
    ),
)


def look(change: Change, content: Content) -> "Iterator[Finding]":
    """Yield what this risk finds in one change."""
    return new_lines(change, content, _OFF, NAME, "switches a check off for this place")
