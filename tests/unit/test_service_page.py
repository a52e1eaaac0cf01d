"""docs/egress-service.md: the files it shows are what systemd, Compose and ringfence itself take."""

import configparser
import json
import os
import re
import shutil
import subprocess
import tomllib

import pytest

from ringfence.cli import egress, options
from ringfence.egress.identity import read_identities
from ringfence.egress.limits import DRAIN_TIME

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def blocks(kind):
    """Return the page's fenced blocks of a kind."""
    with open(os.path.join(ROOT, "docs", "egress-service.md"), encoding="utf-8") as file:
        return re.findall(rf"^```{kind}\n(.*?)^```$", file.read(), re.MULTILINE | re.DOTALL)


def given(words):
    """Read a command line as `ringfence egress` does; an option that does not exist is an error."""
    assert words[:2] == ["ringfence", "egress"]
    return options.read(words[2:], egress.OPTIONS, egress.USAGE)


def unit():
    parser = configparser.ConfigParser(strict=True, interpolation=None, delimiters=("=",))
    parser.optionxform = str
    parser.read_string(blocks("ini")[0])
    return parser


def test_the_unit_starts_the_service_and_waits_long_enough_for_its_end():
    service = unit()["Service"]
    assert service["Type"] == "notify-reload"
    words = service["ExecStart"].removeprefix("/usr/bin/").split()
    assert given(words).one("--identities") == "/etc/ringfence/identities.toml"
    assert int(service["TimeoutStopSec"]) > DRAIN_TIME


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze on this machine")
def test_systemd_knows_every_line_of_the_unit(tmp_path):
    text = blocks("ini")[0].replace("/usr/bin/ringfence", shutil.which("true"))
    (tmp_path / "gate.service").write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(tmp_path / "gate.service")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    told = [line for line in done.stderr.splitlines() if "gate.service:" in line]
    assert not [line for line in told if "notify-reload" not in line]  # systemd before 253 does not know it


def test_the_compose_file_leaves_the_agent_no_other_way_out():
    yaml = pytest.importorskip("yaml", reason="reads the Compose file")
    found = yaml.safe_load(blocks("yaml")[0])
    agent, gate = found["services"]["agent"], found["services"]["gate"]
    assert [found["networks"][name].get("internal") for name in agent["networks"]] == [True]
    assert set(agent["networks"]) < set(gate["networks"])
    words = given(gate["command"])
    assert words.one("--identities")
    assert words.all("--gateway") == ("anthropic=0.0.0.0:8081",)


def test_the_identities_can_be_read():
    found = [tomllib.loads(text) for text in blocks("toml") if "[identity." in text]
    assert {one.name for one in read_identities(found[0], "/etc")} == {"ci", "builder", "deploy", "agent-1"}


def test_the_line_of_the_access_log_is_one():
    assert json.loads(blocks("json")[0])["status"] == 200
