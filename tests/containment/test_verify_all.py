"""`ringfence verify --tier all`: one table of every tier that this machine has."""

import json
import os
from xml.etree import ElementTree as ET

import pytest
from person import Person

from ringfence.host import kernel
from ringfence.verify.applicable import NOWHERE
from ringfence.verify.attacks import ATTACKS, INSIDE

pytestmark = pytest.mark.timeout(300)
TIERS = ("sandbox", "container", "gvisor", "microvm")
# One session a tier: what needs sessions of its own, or half a minute in a virtual machine, is left out here
SLOW = {"S19", "S22", "C01"}
CHOSEN = tuple(one.id for one in ATTACKS if one.kind == INSIDE and one.id not in SLOW)


@pytest.fixture(scope="module")
def person():
    """Whoever runs this, with a kernel for virtual machines."""
    one = Person(os.getuid(), os.getgid(), "tester")
    library = kernel.bundled()
    assert library, "missing: microsandbox, whose wheel carries a kernel"
    kernel.put(kernel.of_library(library), f"{one.environment['RINGFENCE_STATE_DIR']}/images/kernel")
    yield one
    one.close()


@pytest.fixture(scope="module")
def everywhere(person):
    """Return the rows and the report of attacks on every tier, and how the command ended."""
    from docking import Engine

    if os.geteuid() != 0:
        pytest.skip("an ordinary user has no container tier, and may have no subordinate ids")
    engine = Engine()
    try:
        report = f"{person.folder}/report.xml"
        words = ["--tier", "all", "--only", ",".join(CHOSEN), "--json", "--junit", report]
        done = person.ringfence("verify", *words, limit=280, **engine.variables)
    finally:
        engine.close()
    assert done.stdout, done.stderr
    return json.loads(done.stdout), ET.parse(report).getroot(), done


def test_every_attack_holds_in_every_tier_or_has_no_object_there(everywhere):
    rows, _report, done = everywhere
    assert [(one["attack"], one["tier"]) for one in rows] == [(one, tier) for tier in TIERS for one in CHOSEN]
    for one in rows:
        assert set(one) == {"attack", "tier", "held", "evidence"}
        if (one["attack"], one["tier"]) in NOWHERE:
            assert one["held"] is None
            assert one["evidence"].startswith("not applicable: ")
        else:
            assert one["held"] is True, one
    assert done.returncode == 0


def test_the_report_for_ci_says_the_same(everywhere):
    rows, report, _done = everywhere
    assert [suite.get("name") for suite in report] == list(TIERS)
    for suite in report:
        assert suite.get("tests") == str(len(CHOSEN))
        nowhere = sum((one, suite.get("name")) in NOWHERE for one in CHOSEN)
        assert (suite.get("failures"), suite.get("errors"), suite.get("skipped")) == ("0", "0", str(nowhere))
    evidence = [case.findtext("system-out") for case in report.iter("testcase")]
    assert [text[:20] for text in evidence] == [one["evidence"][:20] for one in rows]


def test_a_tier_that_is_not_here_is_named_and_does_not_count(person):
    nowhere = {"DOCKER_HOST": "unix:///nowhere/docker.sock", "RINGFENCE_STATE_DIR": f"{person.home}/.other"}
    words = ("--tier", "all", "--only", "S04,S24")
    if os.geteuid() != 0:
        pytest.skip("an ordinary user may have no subordinate ids")
    done = person.ringfence("verify", *words, **nowhere)
    assert done.returncode == 0, done.stdout
    assert "container cannot be had here: the engine at /nowhere/docker.sock does not answer" in done.stdout
    assert "microvm cannot be had here: kernel not found" in done.stdout
    assert [line.split()[-2:] for line in done.stdout.splitlines() if line.startswith("S")] == [
        ["held", "held"],
        ["-", "-"],
    ]
    alone = person.ringfence("verify", "--tier", "container", "--only", "S04", **nowhere)
    assert alone.returncode == 125
    assert "the engine at /nowhere/docker.sock does not answer" in alone.stderr
