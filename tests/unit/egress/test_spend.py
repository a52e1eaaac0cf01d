"""What the model may cost: prices, limits of a session and of a day, warnings and the hard stop."""

import re
import threading

import pytest

from ringfence.egress.spend import Ledger, Prices, Spend
from ringfence.egress.usage import Usage
from ringfence.policy.model import ModelBudget


def used(model="claude-sonnet-5", **tokens):
    made = Usage()
    made.model, made.stated = model, True
    made.tokens.update(tokens)
    return made


def test_each_kind_of_token_has_its_price():
    prices = Prices()
    million = 1_000_000
    assert prices.cost(used(input=million)) == 2.0
    assert prices.cost(used(output=million)) == 10.0
    assert prices.cost(used(read=million)) == 0.2
    assert prices.cost(used(write=million)) == 2.5
    assert prices.cost(used(write=million, write_1h=million)) == 4.0


@pytest.mark.parametrize(
    ("model", "price"),
    [
        ("claude-opus-4-1-20250805", 15.0),
        ("claude-opus-4-8", 5.0),
        ("claude-opus-5-5", 4.0),
        ("claude-opus-5", 5.0),
        ("us.anthropic.claude-haiku-4-5-20251001-v1:0", 1.0),
        ("publishers/anthropic/models/claude-sonnet-4-6", 3.0),
        ("claude-3-haiku-20240307", 0.25),
    ],
)
def test_a_model_is_known_wherever_it_runs(model, price):
    assert Prices().of(model)[0] == price


def test_an_unknown_model_costs_what_the_dearest_does():
    assert Prices().cost(used(model="some-model", input=1_000_000)) == 15.0
    assert Prices().cost(used(model="", output=1_000_000)) == 75.0


def test_the_table_has_a_date():
    assert re.fullmatch(r"20\d\d-\d\d-\d\d", Prices().date)


def spend(tmp_path, clock=lambda: 1_800_000_000.0, **limits):
    warnings = []
    made = Spend(ModelBudget(**limits), Ledger(str(tmp_path / "model"), clock), warnings.append)
    return made, warnings


def test_without_limits_nothing_is_counted(tmp_path):
    made, _ = spend(tmp_path)
    assert not made
    assert made.stop("api.test") is None


def test_a_session_stops_at_its_tokens_and_is_warned_before(tmp_path):
    made, warnings = spend(tmp_path, session_tokens=1000)
    assert made
    made.add(used(input=700))
    assert (made.stop("api.test"), warnings) == (None, [])
    made.add(used(input=50, output=50))
    assert warnings == ["the model has used 800 of 1,000 tokens of this session"]
    made.add(used(input=150))
    assert len(warnings) == 1
    assert made.stop("api.test") is None
    made.add(used(input=50))
    refused = made.stop("api.test")
    assert refused.status == 403
    assert "1,000 of 1,000 tokens of this session" in refused.message
    assert "`session_tokens`" in refused.how


def test_a_session_stops_at_its_cost(tmp_path):
    made, warnings = spend(tmp_path, session_cost=1.0, warn=0.5)
    record = made.add(used(output=60_000))
    assert record["cost"] == 0.6
    assert record["model"] == "claude-sonnet-5"
    assert record["tokens_output"] == 60_000
    assert warnings == ["the model has used $0.60 of $1.00 for this session"]
    made.add(used(output=60_000))
    assert "$1.20 of $1.00" in made.stop("api.test").message


def test_sessions_of_one_day_share_its_limit(tmp_path):
    one, _ = spend(tmp_path, day_tokens=1000)
    other, _ = spend(tmp_path, day_tokens=1000)
    one.add(used(input=600))
    assert other.stop("api.test") is None
    other.add(used(input=600))
    assert one.stop("api.test") is not None
    assert other.stop("api.test") is not None


def test_a_new_day_begins_at_nothing(tmp_path):
    now = [1_800_000_000.0]
    made, _ = spend(tmp_path, lambda: now[0], day_cost=1.0)
    made.add(used(output=200_000))
    assert made.stop("api.test") is not None
    now[0] += 86_400
    assert made.stop("api.test") is None


def test_the_day_is_right_when_many_write_at_once(tmp_path):
    folder = str(tmp_path / "model")
    Ledger(folder).add(1, 0.5)
    threads = [
        threading.Thread(target=lambda: [Ledger(folder).add(1, 0.5) for _ in range(100)]) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Ledger(folder).sums() == (801, 400.5)


def test_a_link_in_the_place_of_the_days_file_is_not_followed(tmp_path):
    made, _ = spend(tmp_path, day_tokens=10)
    made.add(used(input=1))
    (file,) = (tmp_path / "model").iterdir()
    file.unlink()
    file.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic links"):
        made.add(used(input=1))
    assert not (tmp_path / "elsewhere").exists()
