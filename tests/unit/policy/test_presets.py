"""The shipped presets: each is read, none contradicts another, and they are what they claim."""

import itertools

import pytest

from ringfence.policy import parameters, preset, read

NAMES = preset.names()
ARGUMENTS = {
    "repository": "acme/app@agent/*",
    "npm": "react,@babel/core",
    "pypi": "requests,Typing_extensions",
    "region": "us-east-1",
    "project": "acme-prod/us-east5",
}


def use(name: str) -> str:
    """Return what a policy writes for a preset, with an argument where it takes one."""
    return f"{name}:{ARGUMENTS[parameters.KINDS[name]]}" if name in parameters.KINDS else name


def layer(name: str) -> dict:
    found, problems = read.layer(preset.source(use(name)), "/proc/nowhere")
    assert [str(problem) for problem in problems] == []
    return found


@pytest.mark.parametrize("name", NAMES)
def test_a_preset_is_a_valid_file_that_says_what_it_is_for(name):
    layer(name)
    with open(f"{preset.FOLDER}/{name}.toml", encoding="utf-8") as file:
        assert file.read(2) == "# "


@pytest.mark.parametrize(("one", "other"), list(itertools.combinations(NAMES, 2)))
def test_two_presets_never_contradict_each_other(one, other):
    first, second = layer(one), layer(other)
    for section in ("credentials", "gateways"):
        for name in first.get(section, {}).keys() & second.get(section, {}).keys():
            assert first[section][name] == second[section][name]
    sets = [one.get("environment", {}).get("set", {}) for one in (first, second)]
    for name in sets[0].keys() & sets[1].keys():
        assert sets[0][name] == sets[1][name]


@pytest.mark.parametrize("name", NAMES)
def test_no_preset_gives_up_a_protection_or_opens_the_machine(name):
    found = layer(name)
    assert not found.keys() & {"accept", "tier", "limits"}
    assert found.get("workspace", {}).keys() <= {"exclude"}  # what never lands
    assert not found.get("files", {}).keys() & {"read", "write"}
    assert not found.get("environment", {}).keys() & {"keep"}
    assert not found.get("egress", {}).keys() & {"splice", "extra_ca", "static", "proxy_variables"}
    assert not any("private" in rule for rule in found.get("egress", {}).get("allow", ()))
    assert not any(rule["host"].startswith("*") for rule in found.get("egress", {}).get("allow", ()))


def test_no_toolchain_may_write_anywhere():
    for name in preset.TOOLCHAINS:
        for rule in layer(name).get("egress", {}).get("allow", ()):
            assert set(rule["methods"]) <= {"GET", "HEAD"}


def test_every_credential_goes_to_a_host_that_is_allowed_and_is_stripped():
    for name in NAMES:
        found = layer(name)
        allowed = {rule["host"] for rule in found.get("egress", {}).get("allow", ())}
        for credential in found.get("credentials", {}).values():
            assert credential["host"] in allowed
            assert credential["optional"]
            assert "placeholder" in credential["placeholder"]


def test_claude_strips_both_headers_whichever_it_sends():
    found = layer("claude")["credentials"]
    for credential in found.values():
        assert {credential["header"], *credential["strip"]} == {"x-api-key", "authorization"}


def test_a_preset_takes_an_argument_exactly_where_its_file_has_a_place_for_one():
    for name in NAMES:
        with open(f"{preset.FOLDER}/{name}.toml", encoding="utf-8") as file:
            rules = "".join(line for line in file if line[0] != "#")
        assert ("{" in rules) == (name in parameters.KINDS), name
        for rule in layer(name).get("egress", {}).get("allow", ()):
            assert not any("{" in item for item in (*rule.get("paths", ()), *rule.get("git", ())))
    assert set(parameters.KINDS.values()) == set(parameters.SHAPES) == set(ARGUMENTS)


@pytest.mark.parametrize(
    "given",
    [
        *("github-push", "github-push:", "github-push:app", "github-push:acme/", "github-push:acme/app/x"),
        *("github-push:*/app", "github-push:acme/*", "github-push:acme/..", "github-push:acme/app@"),
        *("github-push:acme/app@a//b", "github-push:acme/app@a**b", "npm-only:react,,x", "npm-only:@babel"),
        *("npm-only:a/b", "npm-only:*", "npm-only:../x", "pypi-only:*", "pypi-only:a/b", "python:3"),
        *(
            "claude-bedrock",
            "claude-bedrock:evil.test/x",
            "claude-bedrock:US",
            "claude-bedrock:-a",
            "claude-vertex:p",
        ),
        *("claude-vertex:p/", "claude-vertex:p/r/x", "claude-vertex:../r", "claude-vertex:p/evil.test"),
    ],
)
def test_an_argument_that_is_not_what_the_preset_takes_is_refused(given):
    assert parameters.wrong(given)


def test_the_argument_is_filled_in_and_nothing_else():
    allow = layer("github-push")["egress"]["allow"]
    assert allow == ({"host": "github.com", "git": ("fetch acme/app", "push acme/app refs/heads/agent/*")},)
    found, _ = read.layer(preset.source("github-push:Acme/App.git"), "/proc/nowhere")
    assert found["egress"]["allow"][0]["git"] == ("fetch acme/app", "push acme/app refs/heads/**")
    found, _ = read.layer(preset.source("pypi-only:zope._interface"), "/proc/nowhere")
    assert found["egress"]["allow"][0]["paths"][0] == "/simple/zope-interface/"
    only = layer("npm-only")["egress"]["allow"][0]["paths"]
    assert only == ("/react", "/@babel/core", "/@babel%2Fcore", "/react/-/*", "/@babel/core/-/*")


def test_a_cloud_region_is_the_only_place_that_the_agent_reaches():
    found = layer("claude-bedrock")
    place = "bedrock-runtime.us-east-1.amazonaws.com"
    assert [rule["host"] for rule in found["egress"]["allow"]] == [place]
    assert found["gateways"]["claude-bedrock"]["upstream"] == f"https://{place}"
    assert found["credentials"]["bedrock-keys"]["regions"] == ("us-east-1",)
    assert found["environment"]["set"]["AWS_REGION"] == "us-east-1"
    for region, host in (
        ("us-east5", "us-east5-aiplatform.googleapis.com"),
        ("global", "aiplatform.googleapis.com"),
    ):
        found, _ = read.layer(preset.source(f"claude-vertex:acme/{region}"), "/proc/nowhere")
        assert found["egress"]["allow"][0]["host"] == host
        assert found["egress"]["allow"][0]["paths"][0].startswith(
            f"/v1/projects/acme/locations/{region}/publishers/"
        )
        assert found["gateways"]["claude-vertex"]["upstream"] == f"https://{host}/v1"


def test_the_shipped_registries_are_only_read():
    writing = {"npm-audit", *preset.AGENTS, "anthropic", "openai", "claude-bedrock", "claude-vertex"}
    for name in set(NAMES) - writing:
        for rule in layer(name).get("egress", {}).get("allow", ()):
            reads = set(rule.get("methods", ())) and set(rule["methods"]) <= {"GET", "HEAD"}
            assert reads or rule.get("git") or rule.get("graphql") == ("query", "introspection"), rule


def test_every_agent_and_toolchain_has_a_preset():
    assert {*preset.AGENTS, *preset.TOOLCHAINS} <= set(NAMES)
