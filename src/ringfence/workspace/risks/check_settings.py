"""Settings of linters, type checkers and scanners, and who has to review."""

import re

from ringfence.workspace.content import Content
from ringfence.workspace.layers import Change
from ringfence.workspace.risks.finding import WEAKENS, Finding, Table, by_path, excerpt_of, place_of
from ringfence.workspace.risks.python_package import headings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = "check settings"
GROUP = WEAKENS
DOC = "Settings of linters, type checkers and scanners, and who has to review."

_TABLE = Table(
    names=frozenset({
        ".eslintrc", ".eslintrc.json", ".eslintrc.yml", ".eslintrc.yaml", ".eslintignore", "eslint.json",
        ".jshintrc", ".oxlintrc.json", "biome.json", "biome.jsonc", "tslint.json", ".prettierignore",
        ".stylelintrc", ".stylelintignore", "ruff.toml", ".ruff.toml", ".flake8", ".pylintrc", "pylintrc",
        "mypy.ini", ".mypy.ini", "pyrightconfig.json", ".bandit", "bandit.yaml", ".isort.cfg",
        ".pydocstyle", ".coveragerc", "codecov.yml", ".codecov.yml", "codecov.yaml", ".codecov.yaml",
        ".coveralls.yml", ".nycrc", ".nycrc.json", ".c8rc.json", "tsconfig.json", "jsconfig.json",
        ".golangci.yml", ".golangci.yaml", ".golangci.toml", "staticcheck.conf", "clippy.toml",
        ".clippy.toml", "rustfmt.toml", "deny.toml", "audit.toml", ".rubocop.yml", ".rubocop_todo.yml",
        ".reek.yml", "brakeman.ignore", ".scalafmt.conf", "detekt.yml", "checkstyle.xml", "pmd.xml",
        "spotbugs-exclude.xml", "sonar-project.properties", "phpstan.neon", "phpstan.neon.dist",
        "phpstan-baseline.neon", "psalm.xml", "phpcs.xml", ".phpcs.xml", "phpmd.xml", ".swiftlint.yml",
        ".clang-tidy", ".hadolint.yaml", ".hadolint.yml", ".shellcheckrc", ".yamllint", ".yamllint.yml",
        ".tflint.hcl", ".checkov.yml", ".checkov.yaml", ".tfsec.yml", ".semgrepignore", ".semgrep.yml",
        "semgrep.yml", ".gitleaks.toml", ".gitleaksignore", ".gitleaks-baseline.json", ".trivyignore",
        "trivy.yaml", ".snyk", ".secrets.baseline", ".grype.yaml", "osv-scanner.toml", ".nsprc",
        "audit-ci.json", ".pip-audit", "codeowners", "security.md", ".dependency-check-suppression.xml",
        "whitesource.config", ".whitesource", ".codeclimate.yml", ".credo.exs", "lychee.toml", ".vale.ini",
        ".markdownlint.json", ".editorconfig-checker.json", "commitlint.config.json",
    }),
    folders=frozenset({".semgrep", ".codeql"}),
    paths=((".github", "codeql"),),
)  # fmt: skip
_HEADING = re.compile(
    rb"^\s*\[\[?tool\.(ruff|mypy|pyright|pylint|flake8|coverage|bandit|isort|black|pytest|basedpyright"
    rb"|ty|vulture|interrogate)"
    rb"|^\s*\[(flake8|mypy|coverage|pylint|pydocstyle|tool:pytest|isort|bandit)", re.IGNORECASE,
)  # fmt: skip
_MIXED = frozenset({"pyproject.toml", "setup.cfg", "tox.ini"})


def look(change: Change, content: Content) -> "Iterator[Finding]":
    """Yield what this risk finds in one change."""
    yield from by_path(change, _TABLE, NAME, "what linters, type checkers or scanners are told to report")
    if place_of(change).name not in _MIXED:
        return
    for data, lines in ((content.after, content.added()), (content.before, content.removed())):
        under = headings(data or b"")
        for number, line in lines:
            if line.strip() and _HEADING.search(under.get(number, b"")):
                why = "changes what a linter or type checker reports"
                yield Finding(path=change.path, risk=NAME, why=why, line=number, excerpt=excerpt_of(line))
                break
