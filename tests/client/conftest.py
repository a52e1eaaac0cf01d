"""What the tests of real clients share: who runs them, the client, the world outside."""

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

import newcomer

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))
sys.path.insert(0, HERE)

from reach import TOP  # noqa: E402
from upstream import Recorder  # noqa: E402
from world import Identity, World, myself  # noqa: E402

from fake_api.authority import Authority  # noqa: E402 - the path comes first

IDENTITIES = ["root", "ordinary"] if os.getuid() == 0 else ["ordinary"]


@pytest.fixture(scope="session")
def claude() -> str:
    """The real Claude Code CLI."""
    given = os.environ.get("RINGFENCE_TEST_CLAUDE", "")
    path = given or os.path.join(TOP, ".cache/node/node_modules/.bin/claude")
    if os.path.exists(path):
        return path
    message = f"missing: Claude Code is not installed at {path}: run scripts/install-claude, or set RINGFENCE_TEST_CLAUDE"
    pytest.skip(message)


def agent(name: str) -> str:
    """Return another real client, as scripts/install-agents put it there."""
    path = os.path.join(TOP, ".cache/agents/node_modules/.bin", name)
    if not os.path.exists(path):
        pytest.skip(f"missing: {name} is not installed at {path}: run scripts/install-agents")
    return path


@pytest.fixture(scope="session")
def ordinary_user() -> Iterator[Identity]:
    """A user with no rights at all, made for these tests unless an ordinary user runs them."""
    if os.getuid() != 0:
        yield myself()
        return
    with newcomer.ordinary_user() as name:
        uid, gid = (int(_id(flag, name)) for flag in ("-u", "-g"))
        yield Identity(uid, gid, name)


def _id(flag: str, name: str) -> str:
    return subprocess.run(["id", flag, name], check=True, capture_output=True, text=True, timeout=10).stdout


@pytest.fixture(params=IDENTITIES)
def identity(request: pytest.FixtureRequest, ordinary_user: Identity) -> Identity:
    """Each identity in turn."""
    return ordinary_user if request.param == "ordinary" else myself()


@pytest.fixture
def world(identity: Identity, claude: str) -> Iterator[World]:
    """A fresh home and project of that identity's, with `claude` on its PATH."""
    with World(identity, claude) as one:
        yield one


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """The authority behind every upstream of these tests."""
    folder = str(tmp_path_factory.mktemp("authority"))
    made = Authority(folder)
    os.chmod(made.ca_file, 0o644)
    return made


@pytest.fixture
def recorder(authority: Authority) -> Iterator[Recorder]:
    """A listener that keeps whatever reaches it."""
    with Recorder(authority) as one:
        yield one
