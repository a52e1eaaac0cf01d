"""Each attack succeeds where the boundary deliberately lacks what holds it: a pass of `verify` means something.

One run of `ringfence verify --weaken` for each weakening, with all the attacks that it is there for.
"""

import json
import os

import pytest
from person import Person

from ringfence.verify import weakenings
from ringfence.verify.applicable import NOWHERE
from ringfence.verify.attacks import ATTACKS
from ringfence.verify.weakenings import WEAKENED

pytestmark = pytest.mark.timeout(240)
DIRECT = {"no-protection", "nothing-set-aside", "follows-links"}  # what they take away is direct mode's
FOR_ROOT = {"root-inside"}
LIMITS = ("--processes", "64")
ALLOWED = {"RINGFENCE_TEST_WEAKEN": "1"}
SANDBOX = sorted((one, names["sandbox"]) for one, names in WEAKENED.items() if "sandbox" in names)


def test_every_attack_has_its_weakening_and_every_weakening_its_attack():
    assert set(WEAKENED) == {one.id for one in ATTACKS}
    assert {name for tiers in WEAKENED.values() for name in tiers.values()} == set(weakenings.names())


def test_an_attack_without_an_object_in_a_tier_has_no_weakening_there():
    for attack, tiers in WEAKENED.items():
        assert not [tier for tier in tiers if (attack, tier) in NOWHERE], attack
        assert "sandbox" in tiers or (attack, "sandbox") in NOWHERE, attack


@pytest.fixture(scope="module")
def weakly(ordinary_ids):
    """Return id → result of the attacks that a weakening of a tier is for; each is weakened once."""
    done, people = {}, []

    def found(tier, name, **variables):
        if (tier, name) not in done:
            own = (os.getuid(), os.getgid(), "tester")
            person = Person(*(own if tier != "sandbox" or name in FOR_ROOT else ordinary_ids))
            people.append(person)
            _leave_a_key(person)
            done[tier, name] = _verified(person, tier, name, variables)
        return done[tier, name]

    yield found
    for person in people:
        person.close()


def _leave_a_key(person):
    person.write("key.pem", "-----BEGIN PRIVATE KEY-----\n")
    os.chown(f"{person.home}/key.pem", person.uid, person.gid)


def _verified(person, tier, name, variables):
    attacks = [one for one, tiers in WEAKENED.items() if tiers.get(tier) == name]
    words = ["--tier", tier, "--only", ",".join(attacks), "--weaken", name, "--json", *LIMITS]
    if name in DIRECT:
        words.append("--direct")
    done = person.ringfence("verify", *words, limit=200, **ALLOWED, **variables)
    assert done.stdout, done.stderr
    assert done.returncode == 1, done.stdout
    return {one["id"]: one for one in json.loads(done.stdout)["results"]}


@pytest.mark.parametrize(("attack", "name"), SANDBOX)
def test_an_attack_succeeds_on_a_sandbox_that_lacks_what_holds_it(weakly, attack, name):
    if name in FOR_ROOT and os.getuid() != 0:
        pytest.skip("what only root's session could do, only root can weaken")
    one = weakly("sandbox", name)[attack]
    assert one["held"] is False, one["evidence"]
