"""Claiming an authority: one winner, nothing stale, nothing that somebody else could have planted."""

import os
import shutil
import subprocess
import sys
import time

import pytest

from ringfence.credential import authority
from ringfence.credential.authority import (
    Authority,
    TrustPaths,
    claim,
    discard,
    give_back,
    inside_environment,
    mount_points,
)
from ringfence.egress import mint
from ringfence.errors import HostError


@pytest.fixture(scope="module")
def minted(tmp_path_factory):
    """One authority, made once and copied by each test."""
    return mint.mint(str(tmp_path_factory.mktemp("minted") / "ready"))


@pytest.fixture
def ready(tmp_path, minted):
    """A pool with one authority."""
    (tmp_path / "ready").mkdir(mode=0o700)
    copied(minted, tmp_path / "ready" / "a")
    return tmp_path / "ready"


@pytest.fixture
def session(tmp_path):
    (tmp_path / "session").mkdir(mode=0o700)
    return tmp_path / "session"


def copied(minted, place):
    shutil.copytree(minted, place)
    place.chmod(0o700)


def test_a_ready_authority_is_moved_into_the_session(ready, session):
    claimed = claim(str(ready), str(session))
    assert claimed == Authority(folder=str(session / "authority"))
    assert os.listdir(ready) == []
    assert sorted(os.listdir(session / "authority")) == sorted(authority.FILES)
    for path in (claimed.certificate, claimed.bundle, claimed.keystore):
        assert os.path.isfile(path)


def test_an_empty_or_missing_pool_gives_none(tmp_path, session):
    assert claim(str(tmp_path / "none"), str(session)) is None
    (tmp_path / "empty").mkdir(mode=0o700)
    assert claim(str(tmp_path / "empty"), str(session)) is None
    assert os.listdir(session) == []


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o722, 0o702])
def test_a_pool_that_others_can_write_is_refused(ready, session, mode):
    ready.chmod(mode)
    with pytest.raises(HostError, match="not a folder that only you can write"):
        claim(str(ready), str(session))


def test_a_pool_that_is_a_link_is_refused(ready, session, tmp_path):
    (tmp_path / "link").symlink_to(ready)
    with pytest.raises(HostError):
        claim(str(tmp_path / "link"), str(session))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_pool_of_somebody_else_is_refused(ready, session):
    os.chown(ready, 65534, 65534)
    with pytest.raises(HostError):
        claim(str(ready), str(session))


def spoil_folder(folder):
    folder.chmod(0o755)


def spoil_key_mode(folder):
    (folder / "ca.key").chmod(0o640)


def spoil_key_missing(folder):
    (folder / "ca.key").unlink()


def spoil_key_empty(folder):
    (folder / "ca.key").write_text("")


def spoil_certificate_writable(folder):
    (folder / "ca.pem").chmod(0o666)


def spoil_bundle_link(folder):
    (folder / "bundle.pem").unlink()
    (folder / "bundle.pem").symlink_to("/etc/passwd")


def spoil_keystore_folder(folder):
    (folder / "truststore.jks").unlink()
    (folder / "truststore.jks").mkdir()
    (folder / "truststore.jks" / "x").touch()


def spoil_age(folder):
    old = time.time() - authority.MAX_AGE - 60
    os.utime(folder / "ca.key", (old, old))


def spoil_future(folder):
    os.utime(folder / "ca.key", (time.time() + authority.MAX_AGE + 60,) * 2)


def spoil_system(folder):
    (folder / "system.txt").write_text("/etc/passwd\n1\n1\n")


def spoil_system_gone(folder):
    (folder / "system.txt").write_text("/no/such/bundle\n1\n1\n")


def spoil_system_nonsense(folder):
    (folder / "system.txt").write_text("nonsense")


SPOILED = [spoil for name, spoil in sorted(globals().items()) if name.startswith("spoil_")]


@pytest.mark.parametrize("spoil", SPOILED, ids=lambda spoil: spoil.__name__.removeprefix("spoil_"))
def test_a_spoiled_authority_is_removed_and_the_next_one_taken(ready, session, minted, spoil):
    spoil(ready / "a")
    assert claim(str(ready), str(session)) is None
    assert (os.listdir(ready), os.listdir(session)) == ([], [])
    copied(minted, ready / "a")
    copied(minted, ready / "b")
    spoil(ready / "a")
    assert claim(str(ready), str(session)) is not None
    assert os.listdir(ready) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_an_authority_with_a_file_of_somebody_else_is_removed(ready, session):
    os.chown(ready / "a" / "ca.pem", 65534, 65534)
    assert claim(str(ready), str(session)) is None


def test_a_stray_file_and_a_half_made_authority_are_never_claimed(ready, session, minted):
    shutil.rmtree(ready / "a")
    (ready / "file").write_text("x")
    copied(minted, ready / ".making-x")
    assert claim(str(ready), str(session)) is None
    assert os.listdir(ready) == [".making-x"]


@pytest.mark.guarantee("N12")
def test_of_many_that_claim_at_once_each_gets_another_one(ready, tmp_path, minted):
    for name in "bcdef":
        copied(minted, ready / name)
    children = []
    for number in range(10):
        folder = tmp_path / f"session{number}"
        folder.mkdir(mode=0o700)
        child = os.fork()
        if child == 0:
            status = 1
            try:
                status = 0 if claim(str(ready), str(folder)) else 3
            finally:
                os._exit(status)
        children.append(child)
    statuses = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    assert sorted(statuses) == [0] * 6 + [3] * 4
    assert os.listdir(ready) == []


def test_an_unused_authority_can_be_claimed_again(ready, session):
    claimed = claim(str(ready), str(session))
    give_back(claimed, str(ready))
    assert os.listdir(session) == []
    assert claim(str(ready), str(session)) is not None


def test_an_authority_whose_key_was_taken_cannot_be_given_back(ready, session):
    claimed = claim(str(ready), str(session))
    os.unlink(f"{claimed.folder}/ca.key")
    give_back(claimed, str(ready))
    assert (os.listdir(ready), os.listdir(session)) == ([], [])


def test_a_discarded_authority_leaves_nothing_and_may_be_half_gone(ready, session):
    claimed = claim(str(ready), str(session))
    os.unlink(f"{claimed.folder}/ca.key")
    discard(claimed)
    discard(claimed)
    assert os.listdir(session) == []


def test_claiming_costs_less_than_a_millisecond_and_imports_nothing_heavy(ready, tmp_path):
    code = (
        "import sys, time, os\n"
        "from ringfence.credential.authority import claim, give_back, inside_environment, mount_points\n"
        "best = 1\n"
        "for _ in range(20):\n"
        "    start = time.perf_counter()\n"
        "    claimed = claim(sys.argv[1], sys.argv[2])\n"
        "    best = min(best, time.perf_counter() - start)\n"
        "    give_back(claimed, sys.argv[1])\n"
        "print(best * 1000, *sys.modules)"
    )
    (tmp_path / "s").mkdir()
    best, *loaded = subprocess.run(
        [sys.executable, "-S", "-c", code, str(ready), str(tmp_path / "s")],
        env={"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True, text=True, check=True, timeout=20,
    ).stdout.split()  # fmt: skip
    assert float(best) < 1
    assert not {"cryptography", "ssl", "re", "json", "hashlib", "subprocess", "typing", "enum"} & set(loaded)


PATHS = TrustPaths(certificate="/run/x/ca.pem", bundle="/run/x/bundle.pem", keystore="/run/x/trust.jks")


def test_variables_that_replace_get_the_bundle_and_those_that_add_the_certificate():
    variables = dict(inside_environment(PATHS))
    assert len(variables) == len(inside_environment(PATHS))
    for name in ("SSL_CERT_FILE", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO", "REQUESTS_CA_BUNDLE", "AWS_CA_BUNDLE"):
        assert variables[name] == PATHS.bundle
    for name in ("NODE_EXTRA_CA_CERTS", "DENO_CERT"):
        assert variables[name] == PATHS.certificate


def test_java_is_told_by_a_variable_only_where_asked():
    assert "JAVA_TOOL_OPTIONS" not in dict(inside_environment(PATHS))
    told = dict(inside_environment(PATHS, java_option=True))["JAVA_TOOL_OPTIONS"]
    assert told == "-Djavax.net.ssl.trustStore=/run/x/trust.jks"


def test_no_variable_that_widens_trust_to_a_folder_or_turns_checks_off():
    names = set(dict(inside_environment(PATHS, java_option=True)))
    assert (
        not {"SSL_CERT_DIR", "NODE_TLS_REJECT_UNAUTHORIZED", "GIT_SSL_NO_VERIFY", "UV_INSECURE_HOST"} & names
    )


def test_mount_points_are_real_files_each_once(tmp_path):
    home = tmp_path / "jdk"
    (home / "bin").mkdir(parents=True)
    (home / "lib" / "security").mkdir(parents=True)
    (home / "bin" / "java").touch()
    (tmp_path / "store").touch()
    (home / "lib" / "security" / "cacerts").symlink_to(tmp_path / "store")
    (tmp_path / "java").symlink_to(home / "bin" / "java")
    found = mount_points((str(tmp_path / "java"), str(home / "bin" / "java"), "/no/java"))
    assert (str(tmp_path / "store"), "keystore") in found
    assert len({path for path, _ in found}) == len(found)
    for path, kind in found:
        assert os.path.realpath(path) == path
        assert os.path.isfile(path)
        assert kind in ("bundle", "keystore")


def test_the_systems_own_bundle_is_among_the_mount_points():
    path, *_ = mint.system_bundle()[1].splitlines()
    assert (os.path.realpath(path), "bundle") in mount_points()
