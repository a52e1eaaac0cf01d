"""Placeholders look like the real kind to programs, and like what they are to people."""

import re

import pytest

from ringfence.credential.placeholder import default
from ringfence.policy.model import Credential


def credential(name="key", host="api.example", environment=()):
    return Credential(name=name, source="env:KEY", host=host, environment=environment)


@pytest.mark.parametrize(
    ("host", "variable", "pattern"),
    [
        ("api.anthropic.com", "ANTHROPIC_API_KEY", r"sk-ant-api03-\w{95}"),
        ("api.openai.com", "OPENAI_API_KEY", r"sk-proj-\w{156}"),
        ("api.github.com", "GITHUB_TOKEN", r"ghp_\w{36}"),
        ("api.github.com", "GH_TOKEN", r"ghp_\w{36}"),
        ("gitlab.com", "GITLAB_TOKEN", r"glpat-\w{20}"),
        ("registry.npmjs.org", "NPM_TOKEN", r"npm_\w{36}"),
        ("generativelanguage.googleapis.com", "GEMINI_API_KEY", r"AIza\w{35}"),
        ("huggingface.co", "HF_TOKEN", r"hf_\w{34}"),
        ("internal.example", "TOKEN", r"\w{48}"),
    ],
)
def test_it_has_the_prefix_and_the_length_of_the_real_kind(host, variable, pattern):
    value = default(credential(host=host, environment=(variable,)))
    assert re.fullmatch(pattern, value, re.ASCII)
    assert "ringfence" in value


def test_it_is_the_same_each_time_and_another_for_each_credential():
    assert default(credential()) == default(credential())
    different = [credential(), credential(name="other"), credential(host="other.example")]
    assert len({default(one) for one in different}) == 3
