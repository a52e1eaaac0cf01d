"""What comes in over a pool's socket: a claim, or an error that says so."""

import pytest

from ringfence.errors import UsageError
from ringfence.policy.overrides import Overrides
from ringfence.pool import ask
from ringfence.pool.ask import Claim

GOOD = {"argv": ["sh"], "workspace": "/p", "cwd": "/p"}


@pytest.mark.parametrize(
    "said",
    [
        1, None, [], {}, {"argv": ["sh"]}, {**GOOD, "argv": []}, {**GOOD, "argv": "sh"}, {**GOOD, "argv": [1]},
        {**GOOD, "argv": ["a\0b"]}, {**GOOD, "cwd": 1}, {**GOOD, "cwd": "/p\0"}, {**GOOD, "more": 1},
        {**GOOD, "variables": {"A": "b"}}, {**GOOD, "variables": [["A"]]}, {**GOOD, "variables": [["A=B", "c"]]},
        {**GOOD, "variables": [["A", 1]]}, {**GOOD, "overrides": 1}, {**GOOD, "overrides": {"unknown": "x"}},
        {**GOOD, "overrides": {"mode": ["x"]}}, {**GOOD, "overrides": {"use": "x"}},
    ],
)  # fmt: skip
def test_what_is_no_claim_is_refused(said):
    with pytest.raises(UsageError):
        ask.understood(said)


def test_a_claim_is_understood_as_it_was_meant():
    meant = Claim(
        argv=("sh", "-c", "x \udcff"),
        workspace="/p",
        cwd="/p/a",
        variables=(("A", "b"),),
        overrides=Overrides(mode="direct", use=("git", "none")),
        discard=True,
    )
    assert ask.understood(ask.spelled(meant)["claim"]) == meant
    assert ask.understood(GOOD) == Claim(argv=("sh",), workspace="/p", cwd="/p")
