"""Risks that only rules and files show, and the page that explains all of them."""

import os

import pytest

from ringfence.host.files import Files
from ringfence.policy import toolrules
from ringfence.shell import risks as of_texts
from ringfence.verdict import risks
from ringfence.verdict.ruling import ToolCall
from ringfence.verdict.tool import Rulebook, decide

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))


def decided(command, one, folder):
    book = Rulebook(toolrules.read(**one.RULES).rules, home="/home/user")
    return decide(ToolCall(tool="Bash", input={"command": command}, cwd=str(folder)), book, Files())


@pytest.mark.parametrize("name", risks.names())
def test_the_example_has_the_risk_and_its_twin_is_allowed(name, tmp_path):
    one = risks.risk(name)
    (tmp_path / "README.md").write_text("x")
    asked = decided(one.EXAMPLE, one, tmp_path)
    assert (one.NAME, asked.effect) == (name, "ask")
    assert name in {found.risk for found in asked.findings} or name == "uncertain-path"
    assert asked.suggestion == ()
    assert decided(one.HARMLESS, one, tmp_path).effect == "allow"


def test_the_page_explains_every_risk_that_a_verdict_may_name():
    with open(os.path.join(ROOT, "docs", "commands.md"), encoding="utf-8") as file:
        section = file.read().partition("<!-- risks: written by scripts/command-risks -->\n\n")[2]
    assert section == risks.page(), "run scripts/command-risks"


def test_no_risk_has_two_files():
    assert not set(risks.names()) & set(of_texts.names())
