"""What `ringfence plan` prints, of a made-up machine: compared as a whole."""

import os
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "boundary"))

from facts import HOME, LOOPBACK, PRIVATE, ROOT, found, host, survey  # noqa: E402 - the path comes first

from ringfence.boundary.plan import plan  # noqa: E402
from ringfence.cli.plan import _lines  # noqa: E402
from ringfence.handover import Publication  # noqa: E402
from ringfence.policy.model import Credential, Egress, EgressRule, Files, Limits, Policy, Workspace  # noqa: E402
from ringfence.workspace.scan import Findings  # noqa: E402

GOLDEN = os.path.join(HERE, "../../golden")
POLICY = Policy(
    use=("python",),
    workspace=Workspace(mode="direct"),
    files=Files(read=("/srv/docs", "/srv/one.txt"), write=("/srv/out",), state=("~/.tool",)),
    egress=Egress(
        allow=(EgressRule(host="api.example.com", methods=("GET",), origin="user policy"),),
        deny=(EgressRule(host="*.bad.example", origin="managed policy"),),
        splice=("pinned.example",),
    ),
    credentials=(
        Credential(name="api", source="env:API_KEY", host="api.example.com"),
        Credential(name="other", source="env:UNSET", host="o.example", optional=True),
    ),
    limits=Limits(memory=1 << 30, wall_time=60.0),
    origins=(("user", "/home/ada/.config/ringfence/policy.toml"),),
    digest="0123456789abcdef" * 4,
)


def printed(policy, wire, asked, limit=12, publish=()):
    made = plan(policy, host(), asked, ("tool", "a\nb"), cwd=ROOT, wire=wire, publish=publish)
    return "\n".join(_lines(made, host(), limit)) + "\n"


@pytest.mark.parametrize(("name", "wire"), [("plan-private", PRIVATE), ("plan-loopback", LOOPBACK)])
def test_the_whole_text(name, wire, request):
    publish = (Publication(host_address="127.0.0.1", host_port=8080, inside_port=80),)
    text = printed(POLICY, wire, survey(), publish=publish if wire is PRIVATE else ())
    path = os.path.join(GOLDEN, f"{name}.txt")
    if request.config.getoption("--refresh-golden"):
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
    with open(path, encoding="utf-8") as file:
        assert text == file.read()


def test_without_rules_it_says_that_nothing_leaves():
    assert "no host is allowed: nothing leaves" in printed(Policy(), PRIVATE, survey())


def test_long_lists_are_cut_and_all_lists_them():
    many = tuple(found(f"d/{number:02}.pem") for number in range(20))
    asked = survey(findings=Findings(hidden=many, protected=(), entries=20))
    assert "hidden     … and 8 more (`--all` lists them)" in printed(Policy(), PRIVATE, asked)
    assert printed(Policy(), PRIVATE, asked, limit=sys.maxsize).count("hidden     ") == 20


def test_a_name_cannot_colour_the_terminal_or_start_a_line():
    asked = survey(findings=Findings(hidden=(found("a\n\x1b[31m.pem"),), protected=(), entries=1))
    text = printed(Policy(), PRIVATE, asked)
    assert "\x1b" not in text
    assert f"{ROOT}/a\\n\\x1b[31m.pem" in text
    assert HOME in text
