"""Policies of an organisation: drop-ins, locks, signatures; and that nobody below opens what they close."""

import base64
import hashlib
import os
import shutil
import subprocess

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from ringfence.cli import policy_install
from ringfence.errors import PolicyError, RingfenceError, UsageError
from ringfence.policy import signature

NOW = "20261123100000"
TEXT = b'[commands]\ndeny = ["Bash(curl *)"]\n[managed]\nserial = 3\n'


def texts(rules):
    return [rule.text for rule in rules]


# --- drop-ins and locks


def drop_in(machine, name: str, text: str):
    path = machine.root / "policy.d" / name
    path.parent.mkdir(exist_ok=True)
    path.parent.chmod(0o755)
    path.write_text(text)
    path.chmod(0o644)
    return path


def test_drop_ins_add_up_in_their_order(machine):
    machine.managed('[commands]\ndeny = ["Bash(a *)"]\ndefault = "deny"\n[limits]\nmemory = "1G"\n')
    drop_in(machine, "20-b.toml", '[commands]\ndeny = ["Bash(c *)"]\n[limits]\nmemory = "3G"\n')
    drop_in(machine, "10-a.toml", '[commands]\ndeny = ["Bash(b *)"]\n[limits]\nmemory = "2G"\n')
    drop_in(machine, ".hidden.toml", "broken")
    drop_in(machine, "README", "broken")
    policy = machine.policy()
    assert texts(policy.commands.deny) == ["Bash(a *)", "Bash(b *)", "Bash(c *)"]
    assert policy.limits.memory == 3 << 30
    assert [layer for layer, _ in policy.origins] == ["managed"] * 3


@pytest.mark.guarantee("T2")
@pytest.mark.parametrize("where", ["policy", "drop-in"])
def test_what_any_of_them_says_holds_below(machine, where):
    text = '[commands]\ndefault = "deny"\nreadonly = false\n[limits]\nmemory = "1G"\n[managed]\nonly_managed_rules = true\n'
    if where == "policy":
        machine.managed(text)
        drop_in(machine, "a.toml", '[commands]\nallow = ["Bash(make *)"]\n')
    else:
        drop_in(machine, "a.toml", text)
    below = (
        '[commands]\nallow = ["Bash"]\ndeny = ["Bash(rm *)"]\ndefault = "ask"\nreadonly = true\nsettings = "claude"\n'
        '[tools]\nallow = ["WebFetch"]\n[limits]\nmemory = "2G"\n'
    )
    machine.user(below)
    machine.project(below, trusted=True)
    policy = machine.policy()
    assert texts(policy.commands.allow) == (["Bash(make *)"] if where == "policy" else [])
    assert texts(policy.commands.deny) == ["Bash(rm *)"] * 2
    assert (policy.commands.default, policy.commands.readonly, policy.commands.settings) == (
        "deny",
        False,
        "",
    )
    assert policy.tools.allow == ()
    assert policy.limits.memory == 1 << 30


def test_a_drop_in_that_cannot_be_used_stops_everything(machine):
    drop_in(machine, "a.toml", "[commands\n")
    with pytest.raises(PolicyError):
        machine.policy()


def test_a_folder_in_which_others_could_add_one_is_refused(machine):
    drop_in(machine, "a.toml", "").parent.chmod(0o777)
    with pytest.raises(PolicyError, match="written by others"):
        machine.policy()


def test_a_managed_table_stands_in_managed_files_only(machine):
    machine.user("[managed]\nonly_managed_rules = false\n")
    with pytest.raises(PolicyError):
        machine.policy()


# --- signatures


class Minisign:
    """A key, and signatures as minisign makes them."""

    def __init__(self, number: bytes = b"12345678") -> None:
        self.private = Ed25519PrivateKey.generate()
        self.number = number

    @property
    def public(self) -> str:
        raw = self.private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        return base64.b64encode(b"Ed" + self.number + raw).decode()

    def sign(self, data: bytes, kind: bytes = b"ED", comment: str = "timestamp:1") -> bytes:
        made = self.private.sign(hashlib.blake2b(data).digest() if kind == b"ED" else data)
        whole = self.private.sign(made + comment.encode())
        return (
            "untrusted comment: x\n"
            + base64.b64encode(kind + self.number + made).decode()
            + f"\ntrusted comment: {comment}\n"
            + base64.b64encode(whole).decode()
            + "\n"
        ).encode()


class Ssh:
    """A key, and signatures as ssh-keygen makes them."""

    def __init__(self) -> None:
        self.private = Ed25519PrivateKey.generate()
        self.raw = self.private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)

    @property
    def blob(self) -> bytes:
        return signature._packed(b"ssh-ed25519", self.raw)

    @property
    def public(self) -> str:
        return f"ssh-ed25519 {base64.b64encode(self.blob).decode()} me@here"

    def sign(self, data: bytes, namespace: bytes = b"ringfence-policy", name: bytes = b"sha512") -> bytes:
        digest = hashlib.new(name.decode(), data).digest()
        made = self.private.sign(b"SSHSIG" + signature._packed(namespace, b"", name, digest))
        inner = signature._packed(self.blob, namespace, b"", name, signature._packed(b"ssh-ed25519", made))
        body = base64.b64encode(b"SSHSIG\x00\x00\x00\x01" + inner).decode()
        rows = [body[at : at + 70] for at in range(0, len(body), 70)]
        return "\n".join([signature._SSH_BEGIN, *rows, signature._SSH_END, ""]).encode()


def proves(data: bytes, made: bytes, *named: str) -> bool:
    try:
        signature.verify(data, made, signature.keys("\n".join(named)), now=NOW)
    except signature.BadSignatureError:
        return False
    return True


@pytest.mark.guarantee("T9")
@pytest.mark.parametrize("signer", [Minisign, Ssh])
def test_a_signature_proves_its_own_bytes_by_its_own_key(signer):
    key, other = signer(), signer()
    made = key.sign(TEXT)
    assert proves(TEXT, made, key.public)
    assert proves(TEXT, made, other.public if signer is Ssh else Minisign(b"abcdefgh").public, key.public)
    assert not proves(TEXT + b"\n", made, key.public)
    assert not proves(b"", made, key.public)
    assert not proves(TEXT, made, other.public)
    assert not proves(TEXT, other.sign(TEXT), key.public)


@pytest.mark.guarantee("T9")
@pytest.mark.parametrize("signer", [Minisign, Ssh])
def test_a_signature_with_any_byte_changed_proves_nothing(signer):
    key = signer()
    made = key.sign(TEXT)
    untrusted = made.index(b"\n") if signer is Minisign else 0  # what says of itself that it proves nothing
    for at in range(untrusted, len(made)):
        changed = made[:at] + bytes([made[at] ^ 1]) + made[at + 1 :]
        if changed.split() != made.split():
            assert not proves(TEXT, changed, key.public), at


@pytest.mark.guarantee("T9")
def test_a_signature_for_another_purpose_or_of_another_kind_proves_nothing():
    key, mini = Ssh(), Minisign()
    assert not proves(TEXT, key.sign(TEXT, b"git"), key.public)
    assert not proves(TEXT, key.sign(TEXT, b""), key.public)
    assert not proves(TEXT, key.sign(TEXT, name=b"sha1"), key.public)
    assert proves(TEXT, key.sign(TEXT, name=b"sha256"), key.public)
    assert proves(TEXT, mini.sign(TEXT, b"Ed"), mini.public)
    assert not proves(TEXT, mini.sign(TEXT, b"ed"), mini.public)
    for junk in (b"", b"\xff", b"x" * 100_000, b"untrusted comment: x\n", signature._SSH_BEGIN.encode()):
        assert not proves(TEXT, junk, key.public, mini.public)


def test_the_trusted_comment_is_signed_too():
    key = Minisign()
    made = key.sign(TEXT, comment="timestamp:1")
    assert not proves(TEXT, made.replace(b"timestamp:1", b"timestamp:2"), key.public)


@pytest.mark.parametrize(
    ("options", "valid"),
    [
        ("", True),
        ('namespaces="ringfence-policy" ', True),
        ('namespaces="git,ringfence-policy",valid-before="20270101" ', True),
        ('valid-after="20270101" ', False),
        ('valid-before="20260101" ', False),
    ],
)
def test_allowed_signers_are_honoured(options, valid):
    key = Ssh()
    kind, blob, _ = key.public.split()
    assert proves(TEXT, key.sign(TEXT), f"# us\nme@here {options}{kind} {blob}") == valid


@pytest.mark.parametrize("options", ['namespaces="git" ', "cert-authority ", 'valid-before="soon" ', "x "])
def test_an_option_that_is_not_understood_makes_no_key(options):
    kind, blob, _ = Ssh().public.split()
    with pytest.raises(UsageError):
        signature.keys(f"me@here {options}{kind} {blob}")


def test_what_minisign_itself_makes_is_read(tmp_path):
    if not shutil.which("minisign"):
        pytest.skip("missing: minisign; scripts/install-test-parts installs it")
    (tmp_path / "p.toml").write_bytes(TEXT)

    def minisign(*words: str) -> None:
        subprocess.run(["minisign", *words], cwd=tmp_path, check=True, capture_output=True, timeout=30)

    minisign("-G", "-W", "-p", "k.pub", "-s", "k.sec")
    for kind in ([], ["-l"]):
        minisign("-S", *kind, "-s", "k.sec", "-m", "p.toml")
        made = (tmp_path / "p.toml.minisig").read_bytes()
        assert proves(TEXT, made, (tmp_path / "k.pub").read_text())
        assert not proves(TEXT + b" ", made, (tmp_path / "k.pub").read_text())


def test_what_ssh_keygen_itself_makes_is_read(tmp_path):
    if not shutil.which("ssh-keygen"):
        pytest.skip("missing: ssh-keygen; scripts/install-test-parts installs it")
    key = Ssh()
    private = key.private.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    (tmp_path / "k").write_bytes(private)
    (tmp_path / "k").chmod(0o600)
    (tmp_path / "k.pub").write_text(key.public + "\n")
    (tmp_path / "p.toml").write_bytes(TEXT)
    words = ["ssh-keygen", "-Y", "sign", "-f", "k", "-n", "ringfence-policy", "p.toml"]
    subprocess.run(words, cwd=tmp_path, check=True, capture_output=True, timeout=30)
    assert proves(TEXT, (tmp_path / "p.toml.sig").read_bytes(), key.public)


# --- installing


@pytest.fixture
def install(machine, monkeypatch, tmp_path):
    """Sign a policy and install it."""
    monkeypatch.setenv("RINGFENCE_MANAGED_POLICY", str(machine.root / "managed.toml"))
    monkeypatch.setattr("ringfence.host.probe.MANAGED", "/nonexistent/policy.toml")
    key = Minisign()

    def run(text: str, *more: str, signer: Minisign = key, made: bytes | None = None) -> int:
        path = tmp_path / "acme.toml"
        path.write_text(text)
        (tmp_path / "acme.toml.minisig").write_bytes(made or signer.sign(text.encode()))
        return policy_install.main([str(path), "--key", signer.public, *more])

    return run


def serial(number: int, more: str = "") -> str:
    return f'[commands]\ndeny = ["Bash(curl *)"]{more}\n[managed]\nserial = {number}\n'


def test_a_signed_policy_is_in_force_at_once(machine, install, capsys):
    assert install(serial(1)) == 0
    assert "serial 1, signed by minisign" in capsys.readouterr().out
    assert texts(machine.policy().commands.deny) == ["Bash(curl *)"]
    assert install(serial(1)) == 0  # the same once more
    assert install(serial(2, "\nask = ['Bash(x)']")) == 0
    assert texts(machine.policy().commands.ask) == ["Bash(x)"]


@pytest.mark.guarantee("T9")
@pytest.mark.parametrize("text", [serial(2), serial(3, "\nask = ['Bash(x)']")])
def test_an_older_policy_does_not_come_back(machine, install, text):
    install(serial(3))
    before = (machine.root / "policy.d/acme.toml").read_bytes()
    with pytest.raises(PolicyError, match="is not above 3"):
        install(text)
    assert (machine.root / "policy.d/acme.toml").read_bytes() == before
    os.unlink(machine.root / "policy.d/acme.toml")
    with pytest.raises(PolicyError, match="is not above 3"):
        install(text)


@pytest.mark.guarantee("T9")
def test_another_signer_takes_a_word_of_its_own(install):
    install(serial(1))
    other = Minisign(b"abcdefgh")
    with pytest.raises(PolicyError, match="was signed by"):
        install(serial(2), signer=other)
    assert install(serial(2), "--new-key", signer=other) == 0


@pytest.mark.guarantee("T9")
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[commands]\n", "has no serial"),
        ("[commands]\nalow = []\n[managed]\nserial = 1\n", "cannot be used"),
        ("[managed]\nserial = 0\n", "cannot be used"),
        ("[commands\n", "cannot be used"),
    ],
)
def test_what_cannot_be_used_is_not_installed(machine, install, text, message):
    with pytest.raises(PolicyError, match=message):
        install(text)
    assert not (machine.root / "policy.d").exists()


@pytest.mark.guarantee("T9")
def test_what_is_not_signed_is_not_installed(machine, install):
    with pytest.raises(PolicyError, match="proves nothing"):
        install(serial(1), made=Minisign().sign(serial(1).encode()))
    with pytest.raises(PolicyError, match="proves nothing"):
        install(serial(1), made=b"x")
    assert not (machine.root / "policy.d").exists()


@pytest.mark.parametrize(
    "words", [["a"], ["a", "b", "--key", "x"], ["https://x.test/p.toml", "--key", "x"], []]
)
def test_a_wrong_command_line_is_told(words):
    with pytest.raises(UsageError):
        policy_install.main(words)


@pytest.mark.parametrize("name", ["../x", "", ".x", "X Y"])
def test_a_name_leads_nowhere_else(install, name):
    with pytest.raises(RingfenceError):
        install(serial(1), f"--name={name or '/'}")


def test_a_record_that_is_damaged_is_no_first_time(machine, install):
    install(serial(5))
    (machine.root / "policy.d/.acme.installed").write_text("{}")
    with pytest.raises(RingfenceError, match="damaged"):
        install(serial(1))
