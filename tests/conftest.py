"""What holds for every test: markers' rules, and that CI never passes what it did not run."""

import os

import hypothesis
import pytest

# How long one example takes says more about the machine than about the code.
hypothesis.settings.register_profile("here", deadline=None)
hypothesis.settings.load_profile("here")

# How the reason of a skip begins when a part of the machine is not there
MISSING = ("missing:", "no ", "this kernel or container gives no private wire")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the switch of `make golden`."""
    parser.addoption(
        "--refresh-golden", action="store_true", help="write golden outputs anew instead of comparing"
    )


@pytest.fixture(autouse=True)
def _umask():
    """Keep a test that calls what sets the umask of a process from setting that of all later tests."""
    before = os.umask(0o022)
    os.umask(before)
    yield
    os.umask(before)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item):
    """Turn a skip for a missing part into a failure where everything is expected to be installed."""
    report = yield
    reason = skip_reason(report)
    if os.environ.get("CI") and reason.startswith(MISSING):
        report.outcome = "failed"
        report.longrepr = (
            f"{item.nodeid} was not run: {reason}\nhint: scripts/install-test-parts installs what tests need"
        )
    return report


def skip_reason(report: pytest.TestReport) -> str:
    """Return why a test was skipped, or nothing."""
    if report.outcome != "skipped" or not isinstance(report.longrepr, tuple):
        return ""
    return report.longrepr[2].removeprefix("Skipped: ")
