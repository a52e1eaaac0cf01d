"""What test runners import before any test: run on the host by whoever tests."""

from ringfence.workspace.content import Content
from ringfence.workspace.layers import Change
from ringfence.workspace.risks.finding import RUNS, Finding, Table, by_path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = "test start-up"
GROUP = RUNS
DOC = "What test runners import before any test: run on the host by whoever tests."

TABLE = Table(
    names=frozenset({
        "conftest.py", "pytest.ini", ".pytest.ini", "pytest.toml", ".pytest.toml", "noxfile.py",
        "tox.ini", "tox.toml", ".noxfile.py", "jest.setup.js", "jest.setup.ts", "jest.config.js",
        "jest.config.ts", "jest.config.cjs", "jest.config.mjs", "vitest.config.ts",
        "vitest.config.js", "vitest.setup.ts", "setuptests.js", "setuptests.ts", ".mocharc.js",
        ".mocharc.cjs", ".mocharc.json", ".mocharc.yml", "karma.conf.js", "cypress.config.js",
        "cypress.config.ts", "playwright.config.ts", "playwright.config.js", ".rspec",
        "spec_helper.rb", "rails_helper.rb", "test_helper.rb", "phpunit.xml", "phpunit.xml.dist",
        "behave.ini", "environment.py", ".testr.conf", ".stestr.conf", "ava.config.js",
        "wdio.conf.js",
    }),
)  # fmt: skip


def look(change: Change, _content: Content) -> "Iterator[Finding]":
    """Yield what this risk finds in one change."""
    return by_path(change, TABLE, NAME, "code that test runners run before any test")
