"""The operator's package indexes: theirs alone, without passwords, and never the workspace's."""

import pytest

from ringfence.host import indexes
from ringfence.host.indexes import Index, Settings, find


@pytest.fixture
def at(tmp_path):
    """Settings over a home and a root of their own; `write` makes a file there."""

    class At:
        home = tmp_path / "home"
        root = tmp_path / "root"
        workspace = tmp_path / "home" / "project"

        def write(self, path, text):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

        def find(self, *tools, **variables):
            return find(
                tools,
                Settings(
                    home=str(self.home),
                    variables=variables,
                    workspace=str(self.workspace),
                    root=str(self.root),
                    cache_dir=str(tmp_path / "cache"),
                ),
            )

    made = At()
    made.workspace.mkdir(parents=True)
    return made


def index(tool, scheme, host, port, *paths):
    return Index(tool=tool, scheme=scheme, host=host, port=port, paths=paths)


# --- what must not happen ----------------------------------------------------------------------


def test_the_workspaces_files_are_never_read(at):
    hostile = "https://evil.test/"
    at.write(at.workspace / ".npmrc", f"registry={hostile}")
    at.write(at.workspace / "pip.conf", f"[global]\nindex-url={hostile}")
    at.write(at.workspace / "cargo" / "config.toml", f'[registries.e]\nindex="{hostile}"')
    at.write(at.workspace / "env", f"GOPROXY={hostile}")
    (at.home / ".npmrc").symlink_to(at.workspace / ".npmrc")
    found = at.find(
        "pip",
        "npm",
        "cargo",
        "go",
        PIP_CONFIG_FILE=str(at.workspace / "pip.conf"),
        npm_config_userconfig=str(at.workspace / ".npmrc"),
        CARGO_HOME=str(at.workspace / "cargo"),
        GOENV=str(at.workspace / "env"),
    )
    assert found.indexes == ()
    assert found.replaced == ()
    assert at.find("pip", PIP_CONFIG_FILE="pip.conf").indexes == ()


def test_a_password_never_comes_out(at):
    secret = "hunter2"
    url = f"https://ada:{secret}@mirror.test/simple?token={secret}#{secret}"
    at.write(at.home / ".npmrc", f"registry={url}\n//mirror.test/:_authToken={secret}\n@a:registry={url}")
    at.write(at.home / ".cargo" / "config.toml", f'[registries.m]\nindex="sparse+{url}"\ntoken="{secret}"')
    at.write(
        at.home / ".m2" / "settings.xml", f"<mirror><url>{url}</url></mirror><password>{secret}</password>"
    )
    at.write(at.home / ".config" / "uv" / "uv.toml", f'[[index]]\nurl="{url}"\ndefault=true')
    at.write(at.root / "etc" / "apt" / "sources.list", f"deb {url} stable main")
    found = at.find(
        "pip", "npm", "cargo", "go", "maven", "apt", PIP_INDEX_URL=url, GOPROXY=url, UV_INDEX=f"m={url}"
    )
    assert secret not in repr(found)
    assert {one.host for one in found.indexes} == {"mirror.test", "sum.golang.org"}
    assert found.folders == ()  # neither file may be shown inside
    assert any("pip setting for mirror.test holds a password" in note for note in found.notes)
    assert any("cargo settings" in note and "stay outside" in note for note in found.notes)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://a.test/",
        "https://",
        "https://a%20b/",
        "https://127.1/",
        "javascript:x",
        "a.test",
        "https://a.test:0/",
        "",
    ],
)
def test_what_is_no_index_is_dropped(at, url):
    found = at.find("pip", "npm", PIP_INDEX_URL=url, npm_config_registry=url)
    assert found.indexes == ()
    assert found.replaced == ()
    assert found.environment == ()


def test_a_registry_that_holds_a_variable_is_told_and_not_used(at):
    at.write(at.home / ".npmrc", "registry=https://${HOST}/\n")
    found = at.find("npm")
    assert found.indexes == ()
    assert found.notes == ("your npm setting `registry` holds a variable, and is not used inside",)


def test_a_settings_file_that_is_no_file_does_not_hang(at):
    import os

    (at.home / ".config" / "pip").mkdir(parents=True)
    os.mkfifo(at.home / ".config" / "pip" / "pip.conf")
    (at.home / ".npmrc").mkdir()
    at.write(at.home / ".cargo" / "config.toml", "not toml [")
    assert at.find("pip", "npm", "cargo").indexes == ()


# --- what must -----------------------------------------------------------------------------------


def test_nothing_set_is_nothing_found(at):
    assert at.find("pip", "npm", "cargo", "go", "maven", "apt") == indexes.Found()


def test_pip_files_and_variables_in_pips_own_order(at):
    at.write(at.root / "etc" / "pip.conf", "[global]\nindex-url = https://etc.test/simple\n")
    at.write(
        at.home / ".config" / "pip" / "pip.conf",
        "[global]\nextra_index_url =\n    https://one.test/simple\n    http://two.test:8080/simple\n[list]\nindex-url=https://no.test\n",
    )
    found = at.find("pip")
    assert found.indexes == (
        index("pip", "https", "etc.test", 443),
        index("pip", "https", "one.test", 443),
        index("pip", "http", "two.test", 8080),
    )
    assert found.replaced == ("pip",)
    assert dict(found.environment) == {
        "PIP_INDEX_URL": "https://etc.test/simple",
        "PIP_EXTRA_INDEX_URL": "https://one.test/simple http://two.test:8080/simple",
        "PIP_TRUSTED_HOST": "two.test",
        "UV_DEFAULT_INDEX": "https://etc.test/simple",
        "UV_INDEX": "https://one.test/simple http://two.test:8080/simple",
    }
    assert at.find("pip", PIP_INDEX_URL="https://env.test/").indexes[0].host == "env.test"
    assert at.find("pip", PIP_CONFIG_FILE="/dev/null").indexes == ()


def test_an_extra_index_leaves_the_public_one(at):
    assert at.find("pip", PIP_EXTRA_INDEX_URL="https://one.test/simple").replaced == ()


def test_local_folders_are_shown_with_what_lies_beside_a_simple_index(at):
    found = at.find(
        "pip",
        PIP_FIND_LINKS="/opt/wheels",
        PIP_EXTRA_INDEX_URL="file:///opt/pypi/simple file:///srv/../x",
        PIP_NO_INDEX="1",
    )
    assert found.folders == ("/opt/pypi", "/opt/wheels")
    assert found.indexes == ()
    assert found.replaced == ("pip",)
    assert dict(found.environment)["PIP_NO_INDEX"] == "1"


def test_uv_has_settings_of_its_own(at):
    at.write(
        at.home / ".config" / "uv" / "uv.toml",
        '[[index]]\nurl = "https://uv.test/simple"\ndefault = true\n[[index]]\nname = "x"\nurl = "https://x.test/"\n',
    )
    for _ in range(2):  # parsed, then kept
        found = at.find("pip")
        assert [one.host for one in found.indexes] == ["uv.test", "x.test"]
        assert dict(found.environment) == {
            "UV_DEFAULT_INDEX": "https://uv.test/simple",
            "UV_INDEX": "https://x.test/",
        }


def test_npm_registries_scoped_ones_and_yarn(at):
    at.write(at.root / "etc" / "npmrc", "registry=https://etc.test/npm/\n; comment\n")
    at.write(at.home / ".npmrc", "@acme:registry = https://acme.test/\nfund=false\n")
    found = at.find("npm")
    assert [one.host for one in found.indexes] == ["etc.test", "acme.test"]
    assert found.replaced == ("npm",)
    assert dict(found.environment) == {
        "npm_config_registry": "https://etc.test/npm/",
        "npm_config_@acme:registry": "https://acme.test/",
        "YARN_NPM_REGISTRY_SERVER": "https://etc.test/npm/",
    }
    at.write(at.home / ".yarnrc.yml", 'npmRegistryServer: "https://yarn.test"\n')
    assert dict(at.find("npm").environment)["YARN_NPM_REGISTRY_SERVER"] == "https://yarn.test"


def test_a_scoped_registry_alone_leaves_the_public_one(at):
    at.write(at.home / ".npmrc", "@acme:registry=https://acme.test/\n")
    assert at.find("npm").replaced == ()


def test_cargo_replacements_come_with_their_file(at):
    file = at.home / ".cargo" / "config.toml"
    at.write(
        file,
        '[source.crates-io]\nreplace-with = "mirror"\n[source.mirror]\nregistry = "sparse+https://mirror.test/index/"\n',
    )
    found = at.find("cargo")
    assert found.indexes == (index("cargo", "https", "mirror.test", 443),)
    assert found.replaced == ("cargo",)
    assert found.folders == (str(file),)


def test_go_proxies_lie_below_their_prefix(at):
    at.write(
        at.home / ".config" / "go" / "env",
        "GOPROXY=https://go.test/mod,direct\nGOFLAGS=-x\nGOPRIVATE=corp.test\n",
    )
    found = at.find("go")
    assert found.indexes == (
        index("go", "https", "go.test", 443, "/mod/**"),
        index("go", "https", "sum.golang.org", 443),
    )
    assert dict(found.environment) == {"GOPROXY": "https://go.test/mod,direct", "GOPRIVATE": "corp.test"}
    found = at.find("go", GOPROXY="file:///srv/go|off", GOSUMDB="off")
    assert (found.indexes, found.folders) == ((), ("/srv/go",))
    assert dict(found.environment)["GOPROXY"] == "file:///srv/go|off"


def test_maven_mirrors_of_central_take_its_place(at):
    file = at.home / ".m2" / "settings.xml"
    mirror = "<mirror><mirrorOf>{}</mirrorOf>\n<url> https://mvn.test/all </url></mirror>"
    at.write(file, mirror.format("*,!local"))
    found = at.find("maven")
    assert found.indexes == (index("maven", "https", "mvn.test", 443),)
    assert (found.replaced, found.folders) == (("maven",), (str(file),))
    at.write(file, mirror.format("other"))
    assert at.find("maven").replaced == ()


def test_apt_sources_of_both_kinds(at):
    folder = at.root / "etc" / "apt"
    at.write(
        folder / "sources.list",
        "# deb http://no.test x\ndeb [arch=amd64 signed-by=/k] http://one.test/debian sid main\n",
    )
    at.write(
        folder / "sources.list.d" / "a.sources",
        "Types: deb\n# URIs: http://no.test\nURIs: https://two.test:8443/debian/\n https://three.test/x\n\n"
        "Enabled: no\nURIs: http://no.test\n",
    )
    at.write(folder / "sources.list.d" / "b.list.disabled", "deb http://no.test x")
    found = at.find("apt")
    assert found.indexes == (
        index("apt", "http", "one.test", 80, "/debian/**"),
        index("apt", "https", "two.test", 8443, "/debian/**"),
        index("apt", "https", "three.test", 443, "/x/**"),
    )
    assert found.environment == ()


def test_the_reader_asks_the_environment_only_when_called(monkeypatch):
    from ringfence.host import probe

    monkeypatch.setenv("PIP_INDEX_URL", "https://one.test/")
    read = indexes.reader(probe.host())
    monkeypatch.setenv("PIP_INDEX_URL", "https://two.test/")
    assert any(one.host == "two.test" for one in read(("pip",)).indexes)
