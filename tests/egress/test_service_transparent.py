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
ELSEWHERE6 = "2001:db8:9::9"
RED6, BLUE6, NOBODY6 = "fd00:9::2", "fd00:9::3", "fd00:9::4"  # who comes by IPv6
PORT = 3130

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("nft") is None, reason="takes root and nft for a network of its own"
)


class Network:
    """A network namespace in which everything to elsewhere is redirected to the gate."""

    def __init__(self):
        rules = (
            "add table ip t; add chain ip t c { type nat hook output priority -100; }; "
            f"add rule ip t c ip daddr 203.0.113.0/24 tcp dport 1-65535 redirect to :{PORT}; "
            "add table ip6 t; add chain ip6 t c { type nat hook output priority -100; }; "
            f"add rule ip6 t c ip6 daddr 2001:db8:9::/64 tcp dport 1-65535 redirect to :{PORT}"
        )
        own = " && ".join(f"ip -6 addr add {one}/128 dev lo nodad" for one in (RED6, BLUE6, NOBODY6))
        routes = "ip route add 203.0.113.0/24 dev lo && ip -6 route add 2001:db8:9::/64 dev lo"
        up = f"ip link set lo up && {own} && {routes} && nft '{rules}' && echo up && exec sleep 600"
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
        f'[identity.red]\npolicy = "red.toml"\nsource = ["127.0.0.2", "{RED6}"]\n'
        f'[identity.blue]\npolicy = "blue.toml"\nsource = ["127.0.0.3", "{BLUE6}"]\n'
    )
    words = ("--transparent", f"[::]:{PORT}", "--identities", "who.toml")
    made = network.call(lambda: Service(folder, *words))
    yield made
    made.stop()
    plain.close()


def curl(network, service, url, source="127.0.0.2", host=HOST, *more):
    port = 443 if url.startswith("https") else 80
    place = f"[{ELSEWHERE6}]" if ":" in source else ELSEWHERE
    resolve = ("--resolve", f"{host}:{port}:{place}")
    trust = ("--cacert", service.ca("red"), "--noproxy", "*", "--interface", source)
    return network.run("curl", "-sS", "--max-time", "10", *resolve, *trust, *more, url)


@pytest.mark.parametrize("source", ["127.0.0.4", NOBODY6])
def test_who_comes_from_nowhere_known_is_cut_off(network, service, upstream, source):
    upstream.clear()
    assert curl(network, service, f"https://{HOST}/", source)[0] in {35, 56}
    assert upstream.handshakes == 0


@pytest.mark.guarantee("S5")
@pytest.mark.parametrize(("red", "blue"), [("127.0.0.2", "127.0.0.3"), (RED6, BLUE6)], ids=["IPv4", "IPv6"])
def test_a_redirected_connection_is_judged_by_the_name_in_it_and_by_whose_it_is(
    network, service, upstream, red, blue
):
    upstream.clear()
    assert curl(network, service, f"https://{HOST}/", blue)[0] == 35  # blue has no rule for it
    assert curl(network, service, f"https://{OTHER}/", red, OTHER)[0] == 35
    assert upstream.handshakes == 0
    assert curl(network, service, f"https://{HOST}/x", red) == (0, "ok")
    assert upstream.heads[-1].startswith(b"GET /x HTTP/1.1\r\nHost: api.example.com\r\n")


@pytest.mark.guarantee("S5")
@pytest.mark.parametrize(("red", "place"), [("127.0.0.2", ELSEWHERE), (RED6, f"[{ELSEWHERE6}]")])
def test_the_address_that_was_dialled_counts_for_nothing(network, service, upstream, red, place):
    """The name is dialled where we resolve it: the record of each dial names our address, not the client's."""
    upstream.clear()
    assert curl(network, service, f"https://{HOST}/", red) == (0, "ok")
    assert len(upstream.heads) == 1
    assert place.strip("[]") not in str(service.events("red", "dial"))
    assert curl(network, service, f"https://{place}/", red, HOST, "-k")[0] == 35  # no name at all


@pytest.mark.parametrize("red", ["127.0.0.2", RED6])
def test_plain_http_goes_by_its_host(network, service, red):
    name = "plain.example.com"
    assert curl(network, service, f"http://{name}/", red, name) == (0, "ok")
    status, output = curl(network, service, "http://evil.test/", red, "evil.test")
    assert status == 0
    assert "was refused" in output


@pytest.mark.parametrize(("red", "place"), [("127.0.0.2", ELSEWHERE), (RED6, f"[{ELSEWHERE6}]")])
def test_a_port_that_no_rule_names_is_reset(network, service, red, place):
    assert service.process.poll() is None
    command = ("curl", "-sS", "-g", "--max-time", "10", "--noproxy", "*", "--interface", red)
    assert network.run(*command, f"http://{place}:8080/")[0] in {52, 56}
    assert place.strip("[]") in str(service.events("red", "verdict")[-1]), "where it was going is on record"


@pytest.mark.parametrize(("red", "own"), [("127.0.0.2", "127.0.0.1"), (RED6, "::1")])
def test_what_was_not_redirected_is_cut_off(network, service, upstream, red, own):
    """A client that dials the gate itself names no destination: it is no forward proxy by SNI."""
    upstream.clear()
    code = (
        f"import socket; s=socket.create_connection(('{own}',{PORT}),5,source_address=('{red}',0))\n"
        "s.sendall(b'GET http://plain.example.com/ HTTP/1.1\\r\\nHost: plain.example.com\\r\\n\\r\\n')\n"
        "try: print(s.recv(100))\nexcept ConnectionResetError: print(b'')"
    )
    assert network.run(sys.executable, "-I", "-c", code) == (0, "b''\n")
    straight = ("--connect-to", f"::{own if own[0] != ':' else f'[{own}]'}:{PORT}")
    assert curl(network, service, f"https://{HOST}:{PORT}/", red, HOST, *straight)[0] in {35, 56}
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
