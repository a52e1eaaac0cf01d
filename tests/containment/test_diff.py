"""What sessions really leave, reviewed: as root and as an ordinary user, as an overlay and as a copy."""

import json
import os

import pytest

pytestmark = pytest.mark.timeout(100)
POLICY = '[workspace]\nmode = "overlay"\n'

WORK = r"""
set -e
echo more >> README.md
mkdir -p new/deep && echo x > new/deep/file.txt
rm -r docs
mv tests/test_app.py tests/test_moved.py
chmod 755 tool.sh
ln -s /etc/passwd link
mkfifo pipe
printf 'x = 1 # \342\200\256\n' >> app.py
echo evil > Makefile
: >> untouched.txt
touch "$(printf 'a\033b')"
git init -q sub 2>/dev/null || true
"""


@pytest.fixture
def field(field):
    """A project with a little of everything."""
    for path, text in {
        "README.md": "read me\n",
        "docs/a.md": "a\n",
        "docs/b/c.md": "c\n",
        "tests/test_app.py": "def test_app():\n    assert 1\n",
        "tool.sh": "#!/bin/sh\n",
        "app.py": "print(1)\n",
        "untouched.txt": "same\n",
        ".env": "KEY=1\n",
    }.items():
        field.put(path, text)
    return field


def reviewed(field, *arguments):
    done = field.run("diff", "--json", *arguments)
    assert done.code == 1, done
    return {one["path"]: one for one in json.loads(done.out)["changes"]}


def test_the_review_of_a_real_session(field):
    done = field.sh(WORK)
    assert done.code == 0, done
    found = reviewed(field)
    kinds = {
        path: one["kind"] for path, one in found.items() if not path.startswith("sub/") and path != "sub"
    }
    assert kinds == {
        "README.md": "changed",
        "new": "added",
        "new/deep": "added",
        "new/deep/file.txt": "added",
        "docs": "deleted",
        "docs/a.md": "deleted",
        "docs/b": "deleted",
        "docs/b/c.md": "deleted",
        "tests/test_moved.py": "renamed",
        "tool.sh": "mode",
        "link": "added",
        "pipe": "added",
        "app.py": "changed",
        "Makefile": "added",
        "a\x1bb": "added",
    }
    assert {path for path, one in found.items() if one["conflict"]} == set()
    assert {"link", "pipe", "app.py", "Makefile", "a\x1bb", "tool.sh"} <= {
        path for path, one in found.items() if one["risky"]
    }
    text = field.run("diff").out
    assert text.startswith("# DANGER: ")
    assert "\x1b" not in text


def test_what_the_user_did_meanwhile_is_a_conflict(field):
    done = field.sh("echo agent >> README.md; echo agent > app.py; rm docs/a.md")
    assert done.code == 0, done
    with open(f"{field.project}/README.md", "w", encoding="utf-8") as file:
        file.write("the user's\n")
    os.unlink(f"{field.project}/app.py")
    found = reviewed(field)
    told = {path: one["conflict"].partition(",")[0] for path, one in found.items()}
    assert told == {
        "README.md": "changed in the workspace since the session began",
        "app.py": "deleted from the workspace since the session began",
        "docs/a.md": "",
    }


def test_files_moved_inside_are_no_conflict(field):
    done = field.sh(
        "mv app.py main.py; echo more >> main.py; mv README.md docs/READ.md; mv tool.sh docs; : > tool.sh"
    )
    assert done.code == 0, done
    found = reviewed(field)
    assert {path for path, one in found.items() if one["conflict"]} == set()
    assert found["docs/READ.md"]["source"] == "README.md"


def test_hidden_files_are_not_the_agents_to_delete(field):
    field.put("conf/.env", "KEY=2\n")
    field.put("conf/x", "x\n")
    done = field.sh("rm -r conf; echo KEY=3 > .env")
    assert done.code == 0, done
    found = reviewed(field)
    assert "conf/.env" not in found
    assert "conf" not in found
    assert found["conf/x"]["kind"] == "deleted"
    if ".env" in found:
        assert found[".env"]["conflict"].startswith("hidden from the agent")


def test_installed_dependencies_are_one_line_among_what_is_dangerous(field):
    script = (
        "mkdir -p web/node_modules/a; cd web/node_modules/a; for n in 1 2 3 4 5 6 7; do echo x > $n.js; done"
    )
    field.sh(f"{script}; cd ../../..; echo evil > Makefile")
    danger = field.run("diff", "--stat").out.partition("changes: ")[0]
    assert "#   web/node_modules/: 9 paths: installed code\n" in danger
    assert "node_modules/a" not in danger
    assert "#   Makefile: " in danger
    applied = field.run("apply", "--yes")
    assert "# left out: web/node_modules/: 9 paths, installed code\n" in applied.out
    assert field.run("diff", "--names").out.count(" !\n") == 10
