"""Sources on the operator's own machine: `.env` files, systemd's credentials, keyrings."""

import os
import subprocess
import sys

import pytest

from canary import Canary, assert_absent
from ringfence.credential.secret import Document, Secret, SourceError
from ringfence.credential.sources import Access, available, fetch, gather, keyring, path_of
from ringfence.policy import kinds
from ringfence.policy.model import Credential

CANARY = Canary("secret")


def credential(source, **more):
    return Credential(name="key", source=source, host="api.example", **more)


def fetched(source, environment=None, workspace=""):
    return fetch(credential(source), environment or {}, workspace=workspace).reveal_for_injection()


def refused(source, environment=None, workspace=""):
    with pytest.raises(SourceError) as error:
        fetched(source, environment, workspace)
    assert error.value.hint
    assert_absent(CANARY, error.value.render())
    return error.value.message


@pytest.fixture
def dotenv(tmp_path):
    path = tmp_path / ".env"

    def write(text):
        path.write_text(text)
        path.chmod(0o600)
        return f"dotenv:{path}#KEY"

    return write


class TestDotenv:
    @pytest.mark.parametrize(
        "line",
        [
            "KEY={}",
            "KEY={}  # a comment",
            "export KEY={}",
            "  KEY = {}  ",
            "KEY='{}'",
            'KEY="{}"',
            'KEY="{}" # a comment',
            "# KEY=other\nOTHER=1\nKEYS=2\nKEY={}\nMORE=KEY=3\r",
        ],
    )
    def test_one_variable_is_read(self, dotenv, line):
        assert fetched(dotenv(line.format(CANARY.value))) == CANARY.value

    def test_quotes_keep_what_they_should(self, dotenv):
        assert fetched(dotenv("KEY='a$(b) # \"c\\n'")) == 'a$(b) # "c\\n'
        assert fetched(dotenv('KEY="a\\"b # \\\\c"')) == 'a"b # \\c'
        assert fetched(dotenv("KEY=a#b=c==")) == "a#b=c=="

    @pytest.mark.parametrize(
        ("text", "told"),
        [
            ("OTHER=1", "KEY is not in the file"),
            ("#KEY=1234", "KEY is not in the file"),
            ("KEY=1234\nKEY=5678", "KEY stands there more than once"),
            ("KEY='1234\n5678'", "a quote that does not close on its line"),
            ('KEY="1234', "a quote that does not close on its line"),
            ("KEY='1234'5", "a quote that does not close on its line"),
            ("KEY=$(cat key)", "holds an expression"),
            ('KEY="a${B}"', "holds an expression"),
            ("KEY=`key`", "holds an expression"),
            ("KEY=", "is empty"),
            ('KEY="a\\nbcd"', "control character"),
        ],
    )
    def test_what_could_be_read_in_two_ways_is_an_error(self, dotenv, text, told):
        assert told in refused(dotenv(text + f"\nZ={CANARY.value}"))

    def test_a_file_in_the_workspace_or_that_others_can_write_is_refused(self, dotenv, tmp_path):
        source = dotenv(f"KEY={CANARY.value}")
        assert "inside the workspace" in refused(source, workspace=str(tmp_path))
        (tmp_path / ".env").chmod(0o666)
        assert "others can write" in refused(source)

    def test_it_is_there_where_its_file_is(self, dotenv, tmp_path):
        one = credential(dotenv("KEY=1234"))
        assert available(one, frozenset())
        assert not available(one, frozenset(), workspace=str(tmp_path))
        assert path_of(one, Access({})) == f"{tmp_path}/.env"
        assert not available(credential("dotenv:~/gone#KEY"), frozenset(), home=str(tmp_path))


class TestSystemd:
    def test_a_units_credential_is_read(self, tmp_path):
        (tmp_path / "api-key").write_text(CANARY.value + "\n")
        (tmp_path / "api-key").chmod(0o400)
        environment = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
        assert fetched("systemd:api-key", environment) == CANARY.value
        assert path_of(credential("systemd:api-key"), Access(environment)) == f"{tmp_path}/api-key"

    def test_without_a_unit_it_is_told_how(self):
        assert "$CREDENTIALS_DIRECTORY is not set" in refused("systemd:api-key")
        assert not available(credential("systemd:api-key"), frozenset())
        assert available(credential("systemd:api-key"), frozenset({"CREDENTIALS_DIRECTORY"}))

    def test_a_missing_credential_is_told(self, tmp_path):
        assert "No such file" in refused("systemd:none", {"CREDENTIALS_DIRECTORY": str(tmp_path)})


class TestKeyring:
    def test_the_library_asks_its_backend(self, tmp_path):
        pytest.importorskip("keyring", reason="the library under test: the extra `keyring`")
        pytest.importorskip("keyrings.alt", reason="a keyring in a file, for tests")
        environment = {
            "HOME": str(tmp_path),
            "XDG_DATA_HOME": str(tmp_path),
            "PYTHON_KEYRING_BACKEND": "keyrings.alt.file.PlaintextKeyring",
        }
        argv = [sys.executable, "-I", "-m", "keyring", "set", "svc/part", "--me"]
        argv.insert(5, "--")
        subprocess.run(argv, env=environment, input=CANARY.value.encode(), check=True, timeout=60)
        assert fetched("keyring:svc/part/--me", environment) == CANARY.value
        assert "exit status 1" in refused("keyring:svc/nobody", environment)

    def test_without_the_library_a_program_is_asked(self, tmp_path, monkeypatch):
        monkeypatch.setattr(keyring.importlib.util, "find_spec", lambda _: None)
        path = tmp_path / "secret-tool"
        path.write_text(f'#!/bin/sh\n[ "$*" = "lookup service svc username me" ] && echo {CANARY.value}\n')
        path.chmod(0o755)
        environment = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
        assert fetched("keyring:svc/me", environment) == CANARY.value
        assert "nothing here can ask a keyring" in refused("keyring:svc/me", {"PATH": "/nowhere"})

    def test_a_program_in_the_workspace_is_not_asked(self, tmp_path, monkeypatch):
        monkeypatch.setattr(keyring.importlib.util, "find_spec", lambda _: None)
        path = tmp_path / "secret-tool"
        path.write_text("#!/bin/sh\necho stolen\n")
        path.chmod(0o755)
        environment = {"PATH": str(tmp_path)}
        assert "nothing here can ask" in refused("keyring:svc/me", environment, str(tmp_path))


def test_only_what_a_source_needs_is_handed_over(monkeypatch):
    for name in list(os.environ):
        monkeypatch.delenv(name)
    everything = {
        **dict.fromkeys(("HOME", "VAULT_TOKEN", "BAO_TOKEN", "AWS_SECRET_ACCESS_KEY", "LD_PRELOAD"), "x"),
        "CREDENTIALS_DIRECTORY": "/run/c",
    }
    for name, value in everything.items():
        monkeypatch.setenv(name, value)
    assert set(gather([credential("vault:a/b#c")])) == {"HOME", "VAULT_TOKEN", "BAO_TOKEN"}
    assert set(gather([credential("aws-sm:a")])) == {"HOME", "AWS_SECRET_ACCESS_KEY"}
    assert set(gather([credential("systemd:a")])) == {"CREDENTIALS_DIRECTORY"}
    assert set(gather([credential("dotenv:~/a#B")])) == {"HOME"}
    for source in ("vault:a/b#c", "aws-sm:a"):
        assert set(kinds.variables(source)) & everything.keys() <= set(gather([credential(source)]))


def test_a_vault_is_there_where_its_address_is():
    one = credential("vault:a/b#c")
    assert not available(one, frozenset())
    assert available(one, frozenset({"BAO_ADDR"}))
    assert available(credential("vault:a/b#c", source_url="https://v.example"), frozenset())


# --- secrets of several lines, and short ones


def test_a_document_may_have_lines_and_hides_itself_all_the_same():
    text = "-----BEGIN KEY-----\nabc\tdef\r\n-----END KEY-----\n"
    made = Document(text, "file:/k")
    assert made.reveal_for_injection() == text
    assert repr(made) == str(made) == f"{made}" == "Secret(…)"
    with pytest.raises(TypeError):
        made.__reduce_ex__(4)


@pytest.mark.parametrize("text", ["", " \n", "a\0b", "a\x1bb", "x" * 40_000])
def test_a_document_that_is_none_is_refused(text):
    with pytest.raises(SourceError):
        Document(text, "file:/k")


def test_a_secret_too_short_to_be_scrubbed_is_refused():
    with pytest.raises(SourceError, match="shorter than 4 characters"):
        Secret("abc", "env:KEY")
