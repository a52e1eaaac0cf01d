"""A program that reads its key from `.env` works inside, and the key stays outside."""

import os
import shutil

import pytest
from canaries import mint
from world import World

APP = """
import re, sys, urllib.request
found = dict(re.findall(r'^(?:export )?(\\w+)="?([^"\\n#]*)"?', open(".env").read(), re.M))
for host in sys.argv[1:]:
    call = urllib.request.Request(f"https://{host}/v1/x", headers={"authorization": "Bearer " + found["SERVICE_KEY"]})
    try:
        print(host, urllib.request.urlopen(call, timeout=20).status)
    except urllib.error.HTTPError as error:
        print(host, error.code)
"""
NODE = """
const text = require("fs").readFileSync(".env", "utf8");
const key = /^SERVICE_KEY="(.*)"/m.exec(text)[1];
fetch("https://api.example.com/v1/n", {headers: {authorization: "Bearer " + key}})
  .then((answer) => console.log("node", answer.status));
"""
POLICY = """
use = ["python", "node"]
[egress]
allow = ["api.example.com", "other.example.com"]
extra_ca = ["{ca}"]
static = {{ "api.example.com" = "{address}", "other.example.com" = "{address}" }}
[credentials.service]
source = "workspace:.env#SERVICE_KEY"
host = "api.example.com"
kind = "bearer"
"""
MODES = ["direct", "overlay", "readonly"]


@pytest.fixture
def world(identity):
    with World(identity) as one:
        yield one


@pytest.fixture
def settings(world, recorder, authority):
    """A project with a `.env`, and a policy that takes the key from there."""
    key, other = mint(".env key", "sk-"), mint(".env other", "pw-")
    world.canaries += [key, other]
    text = (
        f'# settings\nDEBUG=true\nSERVICE_KEY="{key.value}"  # ours\nDB_PASSWORD={other.value}\nPORT=8080\n'
    )
    world.write(".env", text, 0o600)
    world.write("app.py", APP)
    world.write("app.cjs", NODE)
    world.policy(POLICY.format(ca=world.trust(authority), address=recorder.address))
    return key.value, text


@pytest.mark.guarantee("C11")
@pytest.mark.parametrize("mode", MODES)
class TestTheFile:
    def test_shows_placeholders_only_and_the_gate_sends_the_key_to_its_host_alone(
        self, world, settings, recorder, mode
    ):
        key, _text = settings
        done = world.run(
            "sh", "-c", "cat .env; python3 app.py other.example.com api.example.com",
            options=("--mode", mode),
        )  # fmt: skip
        assert done.code == 0, done.told()
        assert world.leaks(done.out + done.err) == [], done.told()
        lines = done.text.splitlines()
        assert lines[0] == "# settings"
        assert lines[1] == "DEBUG=true"
        assert lines[2].startswith('SERVICE_KEY="ringfence')
        assert lines[2].endswith('"  # ours')
        assert lines[3:5] == ["DB_PASSWORD=hidden-by-ringfence", "PORT=8080"]
        assert lines[5:] == ["other.example.com 403", "api.example.com 200"]
        assert [one.server_name for one in recorder.arrivals] == ["api.example.com"]
        assert f"Bearer {key}".encode() in recorder.data

    def test_cannot_be_replaced_or_changed_for_the_gate(self, world, settings, recorder, mode):
        key, text = settings
        script = (
            "cp .env copy; echo SERVICE_KEY=forged-by-the-agent > .env; mv .env old; rm -f .env;"
            "ln -sf /etc/passwd .env; echo SERVICE_KEY=forged-by-the-agent > .env; mv copy .env;"
            "python3 app.py api.example.com; true"
        )
        done = world.run("sh", "-c", script, options=("--mode", mode))
        assert world.leaks(done.out + done.err) == [], done.told()
        with open(os.path.join(world.project, ".env"), encoding="utf-8") as file:
            assert file.read() == text
        assert b"forged" not in recorder.data
        assert f"Bearer {key}".encode() in recorder.data, done.told()


@pytest.mark.guarantee("C11")
def test_the_folder_above_it_cannot_be_moved_away(world, settings, recorder):
    key, text = settings
    world.write("conf/app.env", text, 0o600)
    world.write("conf/.env", text, 0o600)
    with open(f"{world.config}/policy.toml", encoding="utf-8") as file:
        world.policy(file.read().replace("workspace:.env", "workspace:conf/.env"))
    script = (
        "mv conf gone; mkdir -p conf; echo SERVICE_KEY=forged-by-the-agent > conf/.env;"
        "rm -f .env; cp conf/.env .env; cd conf && python3 ../app.py api.example.com; true"
    )
    done = world.run("sh", "-c", script)
    assert b"forged" not in recorder.data, done.told()
    assert key.encode() in recorder.data, done.told()


def test_what_an_agent_writes_into_its_copy_is_flagged(world, settings):
    done = world.run("sh", "-c", "echo MORE=1 >> .env; tail -n1 .env", options=("--mode", "overlay"))
    assert done.text == "MORE=1\n", done.told()
    diff = world.outside(*world.ringfence("diff"))
    assert ".env" in diff.text
    assert "CONFLICT" in diff.text, diff.told()
    assert world.leaks(diff.out + diff.err) == []


def test_a_key_that_the_operator_changes_is_used_at_the_next_request(world, settings, recorder):
    script = "python3 app.py api.example.com; touch ready; while ! [ -e go ]; do sleep 0.1; done; python3 app.py api.example.com"
    import subprocess
    import time

    child = subprocess.Popen(
        world.ringfence("run", "--", "sh", "-c", script), cwd=world.project, env=world.environment,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    try:
        until = time.monotonic() + 30
        while not os.path.exists(f"{world.project}/ready") and time.monotonic() < until:
            time.sleep(0.05)
        world.write(".env", 'SERVICE_KEY="sk-rotated-5566778899"\n', 0o600)
        world.write("go", "")
        out, _ = child.communicate(timeout=30)
    finally:
        child.kill()
        child.wait()
    assert out.count(b"200") == 2, out
    assert b"Bearer sk-rotated-5566778899" in recorder.data


def test_node_reads_it_too(world, settings, recorder):
    if not shutil.which("node"):
        pytest.skip("missing: node")
    done = world.run("node", "app.cjs", options=("--mode", "overlay"))
    assert done.text == "node 200\n", done.told()
    assert settings[0].encode() in recorder.data


@pytest.mark.guarantee("C11")
class TestIsRefused:
    def refused(self, world, *options):
        done = world.run("true", options=options)
        assert done.code == 125, done.told()
        assert world.leaks(done.out + done.err) == []
        return done.err.decode()

    def test_a_file_that_is_not_hidden(self, world, settings):
        world.write("open.conf", settings[1], 0o600)
        with open(f"{world.config}/policy.toml", encoding="utf-8") as file:
            world.policy(file.read().replace("workspace:.env", "workspace:open.conf"))
        assert "open.conf is not hidden from the agent" in self.refused(world)

    def test_a_file_with_a_second_name(self, world, settings):
        os.link(f"{world.project}/.env", f"{world.project}/second")
        assert "has other names" in self.refused(world)

    def test_a_link(self, world, settings):
        os.rename(f"{world.project}/.env", f"{world.project}/.env.real")
        os.symlink(".env.real", f"{world.project}/.env")
        assert "without following links" in self.refused(world)

    def test_a_file_that_others_can_write(self, world, settings):
        os.chmod(f"{world.project}/.env", 0o666)
        assert "others can write this file" in self.refused(world)

    def test_the_mode_that_shows_no_project(self, world, settings):
        assert "`scratch` shows nothing" in self.refused(world, "--mode", "scratch")
