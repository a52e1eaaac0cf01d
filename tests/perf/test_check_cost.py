"""What a decision on a command costs: a guard against regressions, scaled by how fast this machine runs Python."""

import os
import sys
import time

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "benchmarks"))

import check  # noqa: E402 - from benchmarks/

SPIN = 0.0168  # seconds of `spin` on the machine that budgets were set on; it took 6,500 decisions a second
LEAST = 2000  # decisions a second
LONGEST = 0.1  # seconds for 10 kB or a hostile text: 0.05 where nothing else runs


def slower():
    """Return by which factor this machine is slower now."""
    best = 9.9
    for _ in range(3):
        began, found = time.process_time(), {}
        for number in range(200_000):
            found[number & 1023] = str(number)
        best = min(best, time.process_time() - began)
    return max(1.0, best / SPIN)


@pytest.fixture
def empty(tmp_path):
    (tmp_path / "README.md").write_text("x")
    return str(tmp_path)


def test_typical_commands_are_decided_two_thousand_a_second(empty):
    assert check.rate(check.book(), 5, empty) * slower() > LEAST


def test_a_thousand_rules_more_cost_next_to_nothing(empty):
    few, many = check.rate(check.book(), 5, empty), check.rate(check.book(1000), 5, empty)
    assert many > few * 0.7


@pytest.mark.parametrize("name", check.HEAVY)
def test_large_and_hostile_texts_are_decided_soon(name, empty):
    assert check.seconds(check.HEAVY[name], check.book(), empty) < LONGEST * slower()
