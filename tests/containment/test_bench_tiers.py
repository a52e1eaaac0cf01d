"""`ringfence bench tiers`: real sessions are measured beside the host, printed and drawn, and nothing is left."""

import glob
import json
import os
import pwd
import sys
from xml.etree import ElementTree as ET

import pytest
from docking import Engine
from field import Field
from person import Person

pytestmark = pytest.mark.timeout(240)
TIERS = ("sandbox", "container", "gvisor") if os.geteuid() == 0 else ("sandbox",)
WORK = {"computing", "calls", "opening", "status", "unpacking"}


@pytest.fixture(scope="module")
def operator():
    """Whoever runs the tests: their Python has what draws."""
    one = Person(os.getuid(), os.getgid(), pwd.getpwuid(os.getuid()).pw_name)
    yield one
    one.close()


@pytest.fixture
def field(operator):
    one = Field(operator)
    yield one
    one.close()


@pytest.fixture(scope="module")
def measured(operator):
    """One run of everything, and what it left."""
    one = Field(operator)
    engine = Engine() if "container" in TIERS else None
    before = set(glob.glob("/var/tmp/ringfence-bench-*"))
    try:
        one.variables = engine.variables if engine else {}
        drawings = [f"{one.folder}/costs.{form}" for form in ("svg", "png")]
        done = one.run(
            "bench", "tiers", "--rounds", "1", "--quick", "--json", "--tier", ",".join(TIERS),
            *(word for path in drawings for word in ("--draw", path)), limit=200,
        )  # fmt: skip
        assert done.code == 0, done
        files = [_content(path) for path in drawings]
        left = [*(engine.containers() if engine else ()), *one.left_over()]
        left += set(glob.glob("/var/tmp/ringfence-bench-*")) - before
        yield json.loads(done.out), files, left
    finally:
        if engine:
            engine.close()
        one.close()


def _content(path):
    with open(path, "rb") as file:
        return file.read()


def test_every_tier_is_measured_beside_the_host(measured):
    report, _files, _left = measured
    assert not report["missing"]
    assert set(report["costs"]) == {"host", *TIERS}
    for tier, costs in report["costs"].items():
        assert set(costs) == {*WORK, "start", "memory"}
        assert all(cost["value"] > 0 for cost in costs.values()), (tier, costs)
        assert all(costs[kind]["ratio"] for kind in WORK), (tier, costs)


def test_the_figures_are_sane(measured):
    costs = measured[0]["costs"]
    assert all(costs["host"][kind]["ratio"] == 1 for kind in WORK)
    assert 1e-9 < costs["host"]["computing"]["value"] < 1e-5
    for tier in TIERS:
        assert 0.1 < costs[tier]["computing"]["ratio"] < 10, costs[tier]
        assert costs[tier]["start"]["value"] > costs["host"]["start"]["value"]
        assert 1 << 20 < costs[tier]["memory"]["value"] < 4 << 30
    if "gvisor" in TIERS:  # whose kernel is a program: a call costs it many times what it costs Linux
        assert costs["gvisor"]["calls"]["ratio"] > 3
        assert costs["gvisor"]["memory"]["value"] > costs["sandbox"]["memory"]["value"]


def test_the_table_is_drawn(measured):
    svg, png = measured[1]
    words = {one.text for one in ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")}
    assert {*TIERS, "git status", "start, ms"} <= words
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = (int.from_bytes(png[at : at + 4], "big") for at in (16, 20))
    assert width > height > 300


def test_nothing_is_left(measured):
    assert not measured[2]


def test_a_tier_that_cannot_be_had_is_named_and_the_others_are_measured(field):
    field.variables = {"DOCKER_HOST": f"unix://{field.folder}/none"}
    done = field.run("bench", "tiers", "--rounds", "1", "--quick", "--tier", "container", "--tier", "sandbox")
    assert done.code == 0, done
    assert "container cannot be had here: " in done.out
    assert "git status" in done.out
    assert field.run("bench", "tiers", "--tier", "container", "--rounds", "1", "--quick").code == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--draw", "x.pdf"), "neither SVG nor PNG"),
        (("--draw", "nowhere/x.svg"), "no such folder"),
        (("--tier", "submarine"), "is no tier"),
        (("--rounds", "0"), "is no number of rounds"),
    ],
)
def test_what_cannot_be_done_is_refused_before_anything_is_measured(field, words, said):
    done = field.run("bench", "tiers", *words)
    assert done.code == 2
    assert said in done.err
    assert not field.sessions()


def test_drawing_without_the_library_says_what_to_install(field):
    field.put(f"{field.folder}/without/matplotlib.py", "raise ImportError\n")
    path = f"{field.folder}/without:{field.environment['PYTHONPATH']}"
    done = field.run("bench", "tiers", "--draw", "x.svg", variables={"PYTHONPATH": path})
    assert done.code == 125, done
    assert "pip install 'ringfence[charts]'" in done.err
    assert sys.modules.get("matplotlib") is None  # nor does anything else here import it
