"""Every risk is one file, with an example that has it and a near twin that has not."""

import os

import pytest

from ringfence.shell import risks
from ringfence.shell.analyse import analyse

NAMES = risks.names()
PROGRAMS = os.path.join(os.path.dirname(os.path.dirname(risks.__file__)), "programs")


def found(text, shell):
    analysis = analyse(text, shell=shell, folder="/w", home="/home/user")
    return {one.risk for one in analysis.findings} | {one.risk for one in analysis.reading.problems}


@pytest.mark.parametrize("name", NAMES)
def test_the_example_has_the_risk_and_its_twin_has_not(name):
    risk = risks.risk(name)
    shell = getattr(risk, "SHELL", "bash")
    assert name == risk.NAME
    assert name in found(risk.EXAMPLE, shell)
    assert name not in found(risk.HARMLESS, shell)


@pytest.mark.parametrize("name", NAMES)
def test_a_risk_says_what_it_is_and_what_to_do(name):
    risk = risks.risk(name)
    assert risk.TITLE
    assert not risk.TITLE.endswith(".")
    assert risk.ADVICE.endswith(".")
    assert len(risk.__doc__) > 60


def test_every_risk_that_programs_name_has_a_file():
    import re

    named = set()
    for file in os.listdir(PROGRAMS):
        if file.endswith(".py"):
            with open(os.path.join(PROGRAMS, file), encoding="utf-8") as source:
                text = source.read()
            named |= set(re.findall(r'"risk:([a-z-]+)', text)) | set(
                re.findall(r'finding\(\s*"([a-z-]+)"', text)
            )
            named |= set(
                re.findall(
                    r'^\s*\("([a-z]+-[a-z]+|opener|pager|scheduler|publishes|runner)", "[a-z]+ ', text, re.MULTILINE
                )
            )
    assert named - set(NAMES) == set()
