"""The minted authority: what it may sign, who trusts it, and what real clients make of it."""

import contextlib
import datetime as dt
import http.server
import os
import shutil
import ssl
import stat
import subprocess
import sys
import threading
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from ringfence.credential.authority import FILES, TrustPaths, inside_environment, mount_points
from ringfence.egress import mint
from ringfence.errors import HostError


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return mint.mint(str(tmp_path_factory.mktemp("state") / "ready"))


@pytest.fixture(scope="module")
def certificate(folder):
    with open(f"{folder}/ca.pem", "rb") as file:
        return x509.load_pem_x509_certificate(file.read())


def test_everything_is_there_and_the_key_is_for_nobody_else(folder):
    assert sorted(os.listdir(folder)) == sorted(FILES)
    assert stat.S_IMODE(os.stat(folder).st_mode) == 0o700
    assert stat.S_IMODE(os.stat(f"{folder}/ca.key").st_mode) == 0o600
    assert stat.S_IMODE(os.stat(os.path.dirname(folder)).st_mode) == 0o700


def test_the_authority_may_sign_leaves_and_nothing_else(certificate):
    constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    usage = certificate.extensions.get_extension_for_class(x509.KeyUsage)
    assert constraints.critical
    assert (constraints.value.ca, constraints.value.path_length) == (True, 0)
    assert usage.critical
    assert usage.value.key_cert_sign
    assert not any((usage.value.crl_sign, usage.value.digital_signature, usage.value.key_agreement))
    assert certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
    assert isinstance(certificate.public_key().curve, ec.SECP256R1)
    assert certificate.subject == certificate.issuer
    assert "ringfence session" in certificate.subject.rfc4514_string()


def test_it_is_valid_since_an_hour_and_for_a_month_at_most(certificate):
    now = dt.datetime.now(dt.UTC)
    assert dt.timedelta(minutes=59) < now - certificate.not_valid_before_utc < dt.timedelta(minutes=70)
    assert certificate.not_valid_after_utc - certificate.not_valid_before_utc == mint.LIFETIME
    assert dt.timedelta(days=30) >= mint.LIFETIME


def test_no_two_are_alike(folder, tmp_path):
    other = mint.mint(str(tmp_path / "ready"))
    for name in ("ca.key", "ca.pem"):
        assert open_bytes(f"{folder}/{name}") != open_bytes(f"{other}/{name}")
    assert os.path.basename(folder) != os.path.basename(other)


def open_bytes(path):
    with open(path, "rb") as file:
        return file.read()


def test_the_bundle_is_the_systems_and_ours(folder):
    bundle, (system, _) = open_bytes(f"{folder}/bundle.pem"), mint.system_bundle()
    assert bundle.startswith(system.rstrip())
    assert bundle.endswith(open_bytes(f"{folder}/ca.pem"))
    context = ssl.create_default_context(cafile=f"{folder}/bundle.pem")
    assert len(context.get_ca_certs()) >= system.count(b"BEGIN CERTIFICATE")


def test_the_key_is_in_no_public_file(folder):
    key = open_bytes(f"{folder}/ca.key")
    secret = serialization.load_pem_private_key(key, None).private_numbers().private_value.to_bytes(32, "big")
    for name in set(FILES) - {"ca.key"}:
        data = open_bytes(f"{folder}/{name}")
        assert secret not in data
        assert key.splitlines()[1] not in data
        assert b"PRIVATE" not in data


def test_a_machine_without_a_bundle_is_told_what_to_install(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(mint, "SYSTEM_BUNDLES", ("/no/such/bundle",))
    with pytest.raises(HostError, match="no bundle of certificate authorities") as error:
        mint.mint(str(tmp_path / "ready"))
    assert "apt-get install ca-certificates" in error.value.hint
    assert os.listdir(tmp_path) == []
    assert mint.main([str(tmp_path / "ready")]) == 125
    assert "apt-get install" in capsys.readouterr().err


def test_a_bundle_named_by_a_variable_is_not_the_systems(monkeypatch, tmp_path):
    (tmp_path / "mine.pem").write_text("x")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "mine.pem"))
    assert mint.system_bundle()[1].splitlines()[0] in mint.SYSTEM_BUNDLES


def test_a_failure_leaves_nothing_half_made(monkeypatch, tmp_path):
    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(mint, "keystore", fail)
    with pytest.raises(HostError, match="No space left"):
        mint.mint(str(tmp_path / "ready"))
    assert os.listdir(tmp_path / "ready") == []


def test_what_is_no_certificate_in_a_bundle_is_left_out_of_the_keystore(folder):
    system, _ = mint.system_bundle()
    broken = b"-----BEGIN CERTIFICATE-----\n!\nx=\n-----END CERTIFICATE-----\n" + system
    assert mint._ders(broken) == mint._ders(system)
    assert len(mint._ders(open_bytes(f"{folder}/bundle.pem"))) == len(mint._ders(system)) + 1


def test_the_pool_is_topped_up_and_not_above(tmp_path):
    ready = str(tmp_path / "ready")
    assert len(mint.top_up(ready)) == mint.POOL
    assert mint.top_up(ready) == []
    shutil.rmtree(f"{ready}/{os.listdir(ready)[0]}")
    assert len(mint.top_up(ready)) == 1


def test_what_a_killed_process_left_half_made_is_cleared_away(tmp_path):
    ready = tmp_path / "ready"
    for name, age in ((".making-old", mint.ABANDONED + 5), (".making-new", 0)):
        (ready / name).mkdir(parents=True)
        (ready / name / "ca.key").touch()
        os.utime(ready / name, (time.time() - age,) * 2)
    mint.top_up(str(ready), 0)
    assert os.listdir(ready) == [".making-new"]


def test_it_runs_as_a_program_within_a_second_and_little_memory(tmp_path):
    code = "import resource; print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    source = f"import subprocess, sys\nsubprocess.run(sys.argv[1:], check=True)\n{code}"
    started = time.monotonic()
    answer = subprocess.run(
        [sys.executable, "-c", source, sys.executable, "-m", "ringfence.egress.mint", f"{tmp_path}/r", "2"],
        env={"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True, text=True, check=True, timeout=30,
    ).stdout.splitlines()  # fmt: skip
    assert time.monotonic() - started < 1.5
    assert len(os.listdir(tmp_path / "r")) == 2
    assert [int(line) < 45 * 1024 for line in answer] == [True], "prints nothing: its caller is a launcher"


def test_wrong_arguments_are_told(capsys):
    assert mint.main([]) == 2
    assert mint.main(["x", "many"]) == 2
    assert "usage:" in capsys.readouterr().err


# Real clients, against a TLS server on loopback whose leaf the authority signed.


def leaf(folder, name="localhost"):
    """A certificate and key for a loopback server, PEM."""
    authority = x509.load_pem_x509_certificate(open_bytes(f"{folder}/ca.pem"))
    signer = serialization.load_pem_private_key(open_bytes(f"{folder}/ca.key"), None)
    key = ec.generate_private_key(ec.SECP256R1())
    now = dt.datetime.now(dt.UTC)
    identifier = authority.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    made = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([]))
        .issuer_name(authority.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(minutes=30))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False
        )
        .sign(signer, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return made.public_bytes(serialization.Encoding.PEM) + private


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        """A client that does not trust us ends the handshake: what the tests want to see."""

    def get_request(self):
        connection, address = super().get_request()
        connection.settimeout(5)
        return connection, address


@contextlib.contextmanager
def serving(folder, root):
    """A TLS server that serves the files below `root`; yields its URL."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    chain = root / "leaf.pem"
    chain.write_bytes(leaf(folder))
    context.load_cert_chain(chain)
    server = Server(("127.0.0.1", 0), lambda *args: Quiet(*args, directory=str(root / "files")))
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"https://localhost:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


@pytest.fixture(scope="module")
def url(folder, tmp_path_factory):
    root = tmp_path_factory.mktemp("site")
    (root / "files" / "simple" / "thing").mkdir(parents=True)
    (root / "files" / "hello").write_text("hello\n")
    (root / "files" / "simple" / "thing" / "index.html").write_text("<html><body></body></html>")
    git = ["git", "-C", str(root / "files")]
    subprocess.run(["git", "init", "-q", "--bare", str(root / "files" / "repo")], check=True, timeout=20)
    subprocess.run([*git[:2], str(root / "files" / "repo"), "update-server-info"], check=True, timeout=20)
    with serving(folder, root) as address:
        yield address


JAVA = """
import java.net.*; import java.util.*;
public class Get { public static void main(String[] args) throws Exception {
  try (Scanner in = new Scanner(new URL(args[0]).openStream())) { System.out.println(in.nextLine()); } } }
"""
NODE = """
fetch(process.argv[1]).then(r => r.text()).then(t => console.log(t.trim()),
                                                e => { console.error(e.cause ?? e); process.exit(9) })
"""
NODE_HTTPS = """
require('https').get(process.argv[1], r => r.pipe(process.stdout))
                .on('error', e => { console.error(e); process.exit(9) })
"""
PYTHON = "import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1], timeout=10).read().decode())"
HTTPX = "import sys, httpx; print(httpx.get(sys.argv[1]).text)"
PERL = """
use HTTP::Tiny; my $r = HTTP::Tiny->new(verify_SSL => 1)->get($ARGV[0]);
print $r->{content}; exit($r->{success} ? 0 : 9)
"""
PIP = [sys.executable, "-m", "pip", "download", "--no-deps", "--disable-pip-version-check", "--retries", "0"]

CLIENTS = {
    "curl": ["curl", "-sS", "--max-time", "10", "URL/hello"],
    "git": ["git", "ls-remote", "URL/repo"],
    "python": [sys.executable, "-c", PYTHON, "URL/hello"],
    "httpx": [sys.executable, "-c", HTTPX, "URL/hello"],
    "pip": [*PIP, "-d", "FOLDER", "-i", "URL/simple", "thing"],
    "node fetch": ["node", "-e", NODE, "URL/hello"],
    "node https": ["node", "-e", NODE_HTTPS, "URL/hello"],
    "java": ["java", "-XX:TieredStopAtLevel=1", "FOLDER/Get.java", "URL/hello"],
    "openssl": ["openssl", "s_client", "-verify_return_error", "-connect", "ADDRESS"],
    "cargo": ["cargo", "search", "--index", "sparse+URL/index/", "thing"],
    "perl": ["perl", "-e", PERL, "URL/hello"],
}
# How a client that does trust the server ends; the site has no packages and no registry.
TRUSTED = {
    "git": (0, ""),
    "openssl": (0, ""),
    "pip": (1, "No matching distribution found"),
    "cargo": (101, "config.json not found"),
}
# How one that does not says so: a client that fails for another reason would prove nothing.
DISTRUST = ("certificate", "CERT", "PKIX", "SSL", "issuer")


EXTRA = ("cargo", "perl", "wget")  # tried where they are; CI does not install them for this


def ready(program):
    """Skip a client that is not installed."""
    probe = ["perl", "-MIO::Socket::SSL", "-e1"]
    found = shutil.which(program) is not None
    if found and program == "perl":
        found = not subprocess.run(probe, stderr=subprocess.DEVNULL, check=False).returncode
    if not found:
        pytest.skip(f"{program} is not on this machine" if program in EXTRA else f"missing: {program}")


def client(argv, url, folder, variables, before=()):
    """Run a client with these variables; return its status and all it said."""
    (folder / "Get.java").write_text(JAVA)
    for word, value in (("URL", url), ("FOLDER", str(folder)), ("ADDRESS", url.removeprefix("https://"))):
        argv = [part if "\n" in part else part.replace(word, value) for part in argv]
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": os.environ["HOME"],
        "PIP_CONFIG_FILE": "/dev/null",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "no_proxy": "localhost",
        **variables,
    }
    answer = subprocess.run(
        [*before, *argv], env=environment, cwd=folder, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=90, check=False,
    )  # fmt: skip
    return answer.returncode, answer.stdout.decode("utf-8", "replace")


def variables_for(folder):
    paths = TrustPaths(
        certificate=f"{folder}/ca.pem", bundle=f"{folder}/bundle.pem", keystore=f"{folder}/truststore.jks"
    )
    return dict(inside_environment(paths, java_option=True))


@pytest.mark.guarantee("N12")
@pytest.mark.parametrize("name", sorted(CLIENTS))
def test_a_client_trusts_its_sessions_authority_by_the_variables_alone(name, url, folder, tmp_path):
    ready(CLIENTS[name][0])
    other = mint.mint(str(tmp_path / "other"))
    for variables in ({}, variables_for(other)):
        status, said = client(CLIENTS[name], url, tmp_path, variables)
        assert status != 0, said
        assert any(word in said for word in DISTRUST), said
    status, said = client(CLIENTS[name], url, tmp_path, variables_for(folder))
    expected, words = TRUSTED.get(name, (0, "hello"))
    assert (status, words in said) == (expected, True), said


MOUNTED = {
    "java": CLIENTS["java"],
    "curl": CLIENTS["curl"],
    "python": CLIENTS["python"],
    "wget": ["wget", "-q", "-O", "-", "--timeout=10", "--tries=1", "URL/hello"],  # GnuTLS: reads no variable
}
MOUNT = """
while [ "$1" != -- ]; do mount --bind "$1" "$2" || exit 77; shift 2; done
shift; exec "$@"
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting over the system's own files takes root here")
@pytest.mark.parametrize("name", sorted(MOUNTED))
def test_a_client_trusts_it_without_variables_where_its_files_are_mounted_over(name, url, folder, tmp_path):
    ready(MOUNTED[name][0])
    files = {"bundle": f"{folder}/bundle.pem", "keystore": f"{folder}/truststore.jks"}
    mounts = [
        word for path, kind in mount_points((shutil.which("java") or "",)) for word in (files[kind], path)
    ]
    before = ["unshare", "-m", "sh", "-c", MOUNT, "sh"]
    status, said = client(MOUNTED[name], url, tmp_path, {}, [*before, "--"])
    assert status != 0, said
    assert client(MOUNTED[name], url, tmp_path, {}, [*before, *mounts, "--"]) == (
        0,
        "hello\n\n" if name == "python" else "hello\n",
    )


def test_keytool_reads_the_store_with_the_usual_password(folder):
    ready("keytool")
    answer = subprocess.run(
        ["keytool", "-list", "-keystore", f"{folder}/truststore.jks", "-storepass", "changeit"],
        capture_output=True, text=True, timeout=60, check=True,
    ).stdout  # fmt: skip
    count = open_bytes(f"{folder}/bundle.pem").count(b"BEGIN CERTIFICATE")
    assert answer.count("trustedCertEntry") == count


def test_strict_verification_accepts_it(url, folder):
    import urllib.request

    context = ssl.create_default_context(cafile=f"{folder}/ca.pem")
    context.verify_flags |= ssl.VERIFY_X509_STRICT  # the default since Python 3.13
    with urllib.request.urlopen(f"{url}/hello", context=context, timeout=10) as answer:
        assert answer.read() == b"hello\n"
