"""Each attack succeeds where the boundary deliberately lacks what holds it: a pass of `verify` means something.

One run of `ringfence verify --weaken` for each weakening, with all the attacks that it is there for.
"""

import json
import os
import subprocess

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


@pytest.mark.guarantee("T10")
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
    done, people = {}, {}
    own = (os.getuid(), os.getgid(), "tester")

    def somebody(ids):
        if ids not in people:
            people[ids] = Person(*ids)
            _leave_a_key(people[ids])
            _leave_a_kernel(people[ids])
        return people[ids]

    def found(tier, name, **variables):
        if (tier, name) not in done:
            person = somebody(own if tier != "sandbox" or name in FOR_ROOT else ordinary_ids)
            done[tier, name] = _verified(person, tier, name, variables)
        return done[tier, name]

    yield found
    for person in people.values():
        person.close()


def _leave_a_key(person):
    person.write("key.pem", "-----BEGIN PRIVATE KEY-----\n")
    os.chown(f"{person.home}/key.pem", person.uid, person.gid)


def _leave_a_kernel(person):
    from ringfence.host import kernel

    library = kernel.bundled()
    if library and os.geteuid() == person.uid:
        kernel.put(kernel.of_library(library), f"{person.environment['RINGFENCE_STATE_DIR']}/images/kernel")


def _verified(person, tier, name, variables):
    attacks = [one for one, tiers in WEAKENED.items() if tiers.get(tier) in name.split(",")]
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


@pytest.fixture(scope="module")
def engine():
    """A container engine, for as long as one of the tests needs it."""
    from docking import Engine

    one = Engine()
    yield one
    one.close()


IN_CONTAINERS = sorted((one, names["container"]) for one, names in WEAKENED.items() if "container" in names)
IN_GVISOR = sorted((one, names["gvisor"]) for one, names in WEAKENED.items() if "gvisor" in names)
IN_MACHINES = sorted(one for one, names in WEAKENED.items() if "microvm" in names)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may enter what Docker's daemon makes")
@pytest.mark.parametrize(("attack", "name"), IN_CONTAINERS)
def test_and_on_a_container(weakly, engine, attack, name):
    one = weakly("container", name, **engine.variables)[attack]
    assert one["held"] is False, one["evidence"]


@pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user may have no subordinate ids")
@pytest.mark.parametrize(("attack", "name"), IN_GVISOR)
def test_and_under_gvisor(weakly, attack, name):
    one = weakly("gvisor", name)[attack]
    assert one["held"] is False, one["evidence"]


@pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user may have no subordinate ids")
def test_and_on_a_virtual_machine(weakly):
    """All that a machine can lack at once, since each start of one costs seconds."""
    results = weakly("microvm", ",".join(sorted({WEAKENED[one]["microvm"] for one in IN_MACHINES})))
    assert {one: results[one]["evidence"] for one in IN_MACHINES if results[one]["held"] is not False} == {}


class TestTheGuard:
    def test_keeps_the_option_unknown(self, ordinary):
        done = ordinary.ringfence("verify", "--weaken", "no-filter", "--only", "S04")
        assert done.returncode == 2
        assert "unknown option `--weaken`" in done.stderr

    def test_keeps_the_program_from_running(self, ordinary):
        argv = [*ordinary.prefix, ordinary.python, "-m", "ringfence.cli.weakened", "no-filter", "--", "true"]
        done = subprocess.run(
            argv, cwd=ordinary.project, env=ordinary.environment, capture_output=True, text=True,
            timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 2
        assert "for ringfence's own tests" in done.stderr

    def test_opens_nothing_in_run_or_in_a_policy(self, ordinary):
        done = ordinary.ringfence("run", "--weaken", "no-filter", "--", "true", **ALLOWED)
        assert done.returncode == 2
        with open(f"{ordinary.project}/ringfence.toml", "w", encoding="utf-8") as file:
            file.write('weaken = "no-filter"\n')
        assert "unknown key `weaken`" in ordinary.ringfence("plan", **ALLOWED).stderr
