"""The docs say what the code says: its tables, its commands, and links that lead somewhere."""

import os
import re

import pytest

from ringfence.cli import COMMANDS
from ringfence.workspace import risks, tables

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PAGES = ["README.md", "GUARANTEES.md", "CONTRIBUTING.md", "CHANGELOG.md"] + [
    os.path.join("docs", name)
    for name in sorted(os.listdir(os.path.join(ROOT, "docs")))
    if name.endswith(".md")
]


def text(page: str) -> str:
    """Return a page."""
    with open(os.path.join(ROOT, page), encoding="utf-8") as file:
        return file.read()


def named(start: str) -> set[str]:
    """Return what stands in code type in the table after a comment."""
    table = text("docs/deployment.md").partition(start)[2].partition("\n\n")[2].partition("\n\n")[0]
    return set(re.findall(r"`([^`]+)`", table))


def test_the_page_lists_every_credential_file():
    pairs = {f"{parent}/{name}" for parent, name in tables.CREDENTIAL_PAIRS}
    prefixes = {f"{start}*" for start in tables.CREDENTIAL_PREFIXES}
    suffixes = {f"*{end}" for end in tables.CREDENTIAL_SUFFIXES}
    folders = {f"{name}/" for name in tables.CREDENTIAL_FOLDERS}
    assert named("<!-- credential table") == tables.CREDENTIAL_FILES | folders | pairs | prefixes | suffixes


def test_the_page_lists_every_protected_file():
    folders = {f"{name}/" for name in tables.PROTECTED_FOLDERS}
    git = {f".git/{name}" for name in tables.PROTECTED_IN_GIT}
    assert named("<!-- protected table") == tables.PROTECTED_FILES | folders | git


def test_the_page_lists_what_is_public():
    line = next(line for line in text("docs/deployment.md").split("\n\n") if line.startswith("Not hidden"))
    assert set(re.findall(r"`([^`]+)`", line)) == tables.PUBLIC_FILES


def test_the_page_on_reviews_lists_every_risk():
    page = text("docs/review.md")
    for group, start in ((risks.RUNS, "<!-- risks: what runs"), (risks.WEAKENS, "<!-- risks: what weakens")):
        table = page.partition(start)[2].partition("\n\n")[2].partition("\n\n")[0].splitlines()[2:]
        assert table == [f"| {risk.NAME} | {risk.DOC} |" for risk in risks.RISKS if group == risk.GROUP]


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_to_a_page_and_a_heading(page):
    for target in re.findall(r"\]\(([^)]+)\)", text(page)):
        if "://" in target:
            continue
        path, _, heading = target.partition("#")
        path = os.path.normpath(os.path.join(os.path.dirname(page), path)) if path else page
        assert os.path.exists(os.path.join(ROOT, path)), target
        if heading:
            assert heading in headings(path), target


def headings(page: str) -> set[str]:
    """Return the anchors of a page's headings."""
    found = re.findall(r"^#+ (.+)$", text(page), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", one.lower()).replace(" ", "-") for one in found}


@pytest.mark.parametrize("page", PAGES)
def test_every_command_named_exists(page):
    used = set(re.findall(r"(?:^\$ |`)ringfence ([a-z]+)", text(page), re.MULTILINE))
    assert used - set(COMMANDS) == set()
