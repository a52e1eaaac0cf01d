"""`ringfence egress --transparent`: connections that nftables redirects in a network of their own."""

import ctypes
import os
import shutil
import subprocess
import sys
import threading

import pytest
from gates import WAIT, Upstream
from services import HOST, OTHER, TCP, Service, allow, policy, said

CLONE_NEWNET = 0x40000000
ELSEWHERE = "203.0.113.9"
PORT = 3130

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("nft") is None, reason="takes root and nft for a network of its own"
)


class Network:
    """A network namespace in which everything to elsewhere is redirected to the gate."""

    def __init__(self):
        rules = (
            "add table ip t; add chain ip t c { type nat hook output priority -100; }; "
            f"add rule ip t c ip daddr 203.0.113.0/24 tcp dport 1-65535 redirect to :{PORT}"
        )
        up = f"ip link set lo up && ip route add 203.0.113.0/24 dev lo && nft '{rules}' && echo up && exec sleep 600"
        self.process = subprocess.Popen(
            ["unshare", "-n", "sh", "-c", up], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        if self.process.stdout.readline() != "up\n":
            raise OSError(self.process.communicate(timeout=WAIT)[1])
        self._fd = os.open(f"/proc/{self.process.pid}/ns/net", os.O_RDONLY)

    def call(self, work):
        """Do something in a thread that lives in this network; what it opens stays there."""
        found = []

        def inside():
            if ctypes.CDLL(None, use_errno=True).setns(self._fd, CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "setns")
            found.append(work())

        thread = threading.Thread(target=inside)
        thread.start()
        thread.join(WAIT * 3)
        return found[0]

    def run(self, *argv):
        done = self.call(
            lambda: subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)
        )
        return done.returncode, done.stdout

    def close(self):
        self.process.kill()
        self.process.communicate(timeout=WAIT)
        os.close(self._fd)


@pytest.fixture(scope="module")
def network():
    try:
        made = Network()
    except OSError as error:
        pytest.skip(f"this kernel or container redirects nothing: {error}")
    yield made
    made.close()


@pytest.fixture(scope="module")
def upstream(network, certificates):
    made = network.call(lambda: Upstream(certificates.context(HOST, OTHER)))
    yield made
    made.close()


@pytest.fixture(scope="module")
def service(network, upstream, certificates, tmp_path_factory):
    """Return a gate that knows two identities by their addresses, in that network."""
    folder = tmp_path_factory.mktemp("transparent")
    plain = network.call(Upstream)
    pairs = ((HOST, upstream.address), ("plain.example.com", plain.address))
    rules = (allow(HOST), allow("plain.example.com", schemes='["http"]'))
    policy(folder, "red.toml", pairs, *rules, more=f'egress.extra_ca = ["{certificates.ca}"]')
    policy(folder, "blue.toml", pairs, allow(TCP), more=f'egress.extra_ca = ["{certificates.ca}"]')
    (folder / "who.toml").write_text(
        '[identity.red]\npolicy = "red.toml"\nsource = ["127.0.0.2"]\n'
        '[identity.blue]\npolicy = "blue.toml"\nsource = ["127.0.0.3"]\n'
    )
    words = ("--transparent", f"0.0.0.0:{PORT}", "--identities", "who.toml")
    made = network.call(lambda: Service(folder, *words))
    yield made
    made.stop()
    plain.close()


def curl(network, service, url, source="127.0.0.2", host=HOST, *more):
    port = 443 if url.startswith("https") else 80
    resolve = ("--resolve", f"{host}:{port}:{ELSEWHERE}")
    trust = ("--cacert", service.ca("red"), "--noproxy", "*", "--interface", source)
    return network.run("curl", "-sS", "--max-time", "10", *resolve, *trust, *more, url)


def test_who_comes_from_nowhere_known_is_cut_off(network, service, upstream):
    upstream.clear()
    assert curl(network, service, f"https://{HOST}/", "127.0.0.4")[0] in {35, 56}
    assert upstream.handshakes == 0


@pytest.mark.guarantee("S5")
def test_a_redirected_connection_is_judged_by_the_name_in_it_and_by_whose_it_is(network, service, upstream):
    upstream.clear()
    assert curl(network, service, f"https://{HOST}/", "127.0.0.3")[0] == 35  # blue has no rule for it
    assert curl(network, service, f"https://{OTHER}/", host=OTHER)[0] == 35
    assert upstream.handshakes == 0
    assert curl(network, service, f"https://{HOST}/x") == (0, "ok")
    assert upstream.heads[-1].startswith(b"GET /x HTTP/1.1\r\nHost: api.example.com\r\n")


@pytest.mark.guarantee("S5")
def test_the_address_that_was_dialled_counts_for_nothing(network, service, upstream):
    """The name is dialled where we resolve it: the record of each dial names our address, not the client's."""
    upstream.clear()
    assert curl(network, service, f"https://{HOST}/") == (0, "ok")
    assert len(upstream.heads) == 1
    assert ELSEWHERE not in str(service.events("red", "dial"))
    assert curl(network, service, f"https://{ELSEWHERE}/", "127.0.0.2", HOST, "-k")[0] == 35  # no name at all


def test_plain_http_goes_by_its_host(network, service):
    name = "plain.example.com"
    assert curl(network, service, f"http://{name}/", host=name) == (0, "ok")
    status, output = curl(network, service, "http://evil.test/", host="evil.test")
    assert status == 0
    assert "was refused" in output


def test_a_port_that_no_rule_names_is_reset(network, service):
    assert service.process.poll() is None
    assert network.run(
        "curl", "-sS", "--max-time", "10", "--interface", "127.0.0.2", f"http://{ELSEWHERE}:8080/"
    )[0] in {52, 56}


def test_what_was_not_redirected_is_cut_off(network, service, upstream):
    """A client that dials the gate itself names no destination: it is no forward proxy by SNI."""
    upstream.clear()
    code = (
        f"import socket; s=socket.create_connection(('127.0.0.1',{PORT}),5,source_address=('127.0.0.2',0))\n"
        "s.sendall(b'GET http://plain.example.com/ HTTP/1.1\\r\\nHost: plain.example.com\\r\\n\\r\\n')\n"
        "try: print(s.recv(100))\nexcept ConnectionResetError: print(b'')"
    )
    assert network.run(sys.executable, "-I", "-c", code) == (0, "b''\n")
    assert curl(
        network, service, f"https://{HOST}:{PORT}/", "127.0.0.2", HOST, "--connect-to", f"::127.0.0.1:{PORT}"
    )[0] in {35, 56}
    assert upstream.handshakes == 0


def test_a_transparent_address_for_anybody_is_on_this_machine(tmp_path):
    (tmp_path / "p.toml").write_text("")
    for address, told in (
        ("0.0.0.0:1", "anybody who can reach"),
        ("unix:/x", "redirects TCP"),
        ("tls:127.0.0.1:1", "redirects TCP"),
    ):
        status, _, errors = said(tmp_path, "egress", "--transparent", address, "--policy", "p.toml")
        assert status == 2
        assert told in errors
