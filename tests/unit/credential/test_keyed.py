"""Settings files: what stands in them under which name, and what a copy of them still shows."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringfence.credential import keyed, sources
from ringfence.credential.secret import SourceError
from ringfence.credential.sources import Access
from ringfence.policy.model import Credential

KEY = "sk-live-0123456789abcdef"


def shown(text, *, json=False, **placeholders):
    return keyed.copy(text, placeholders or {"API_KEY": "PLACEHOLDER"}, json=json)


@pytest.mark.guarantee("C11")
class TestACopyHides:
    @pytest.mark.parametrize(
        "line",
        [
            f"API_KEY={KEY}", f'export API_KEY="{KEY}"', f"API_KEY = '{KEY}'", f'  "API_KEY": "{KEY}",',
            f"API_KEY: {KEY}", f"- API_KEY: {KEY}", f"API_KEY={KEY} # {KEY}", f'API_KEY="{KEY}"{KEY}',
            f"OTHER={KEY}", f"# API_KEY={KEY}", f"#{KEY}", f"; {KEY}", KEY, f"- {KEY}", f"a b c {KEY}",
            f"API_KEY={KEY}\\\n  {KEY}", f'API_KEY="{KEY}\n{KEY}\n"', f'X="""{KEY}\n{KEY}\n"""',
            f"map: {{a: 1, token: {KEY}}}", f"URL=https://user:{KEY}@example.com/", f"URL=https://x/{KEY}",
            f"X={KEY[:8]}\nAPI_KEY={KEY}", f"{KEY}={KEY}", f"[{KEY}]", f"API_KEY={KEY};B={KEY}",
        ],
    )  # fmt: skip
    def test_a_key_wherever_it_stands(self, line):
        assert KEY not in shown(line + "\n")

    @pytest.mark.parametrize("name", ["DB_PASSWORD", "password", "ClientSecret", "MY_TOKEN", "pwd"])
    def test_what_its_name_tells_however_short(self, name):
        assert shown(f"{name}=hunter2\n") == f"{name}=hidden-by-ringfence\n"

    @pytest.mark.parametrize(
        "text",
        [
            f'{{"API_KEY": "{KEY}"}}', f'{{"a": {{"b": ["x", "{KEY}"]}}}}', f'{{"password": "hunter2{KEY}"}}',
            f'{{"x": "unclosed {KEY}', f'["{KEY}"]', f'{{"API_KEY": "{KEY}", "copy": "Bearer {KEY}"}}',
        ],
    )  # fmt: skip
    def test_a_key_in_json(self, text):
        assert KEY not in shown(text, json=True)

    def test_a_number_whose_name_tells(self):
        assert shown('{"secret": 123456}', json=True) == '{"secret": "hidden-by-ringfence"}'

    @given(
        st.text(alphabet="ab=:\"'#\\ \n{}[],;", max_size=40),
        st.text(alphabet="ab=:\"'#\\ \n{}[],;", max_size=40),
    )
    def test_the_credentials_value_never_shows(self, before, after):
        text = f"{before}\nAPI_KEY={KEY}\n{after}"
        assert KEY not in shown(text)
        assert KEY not in shown(text, json=True)


class TestACopyShows:
    @pytest.mark.parametrize(
        "line",
        [
            "# how to run this: make dev", "DEBUG=true", "PORT=8080", "HOST=db.internal.example.com", "NAME=John Smith",
            "URL=https://example.com/path", "", "[section]", "LOG_LEVEL = info ; all of it", "key_file:", "AUTHOR=Ada",
            "FEATURES=one,two,three", 'TITLE="a fine title"', "PATH_TO_DATA=/var/lib/data-files/x",
        ],
    )  # fmt: skip
    def test_comments_and_plain_settings(self, line):
        assert shown(line + "\n") == line + "\n"

    def test_the_placeholder_in_the_same_quotes(self):
        assert (
            shown(f'A=1\nexport API_KEY="{KEY}" # mine\r\n') == 'A=1\nexport API_KEY="PLACEHOLDER" # mine\r\n'
        )
        assert shown(f'{{"n": 1, "API_KEY": "{KEY}"}}', json=True) == '{"n": 1, "API_KEY": "PLACEHOLDER"}'


def read(folder, text, name="API_KEY", file=".env"):
    (folder / file).write_text(text)
    (folder / file).chmod(0o600)
    credential = Credential(name="a", source=f"workspace:{file}#{name}", host="api.example.com")
    return sources.read(credential, Access({}, str(folder))).text


class TestTheSource:
    @pytest.mark.parametrize(
        "text",
        ["API_KEY=one\nAPI_KEY=two\n", "OTHER=1\n", 'API_KEY="open\n', "API_KEY=$(cat x)\n", 'API_KEY="${X}"\n', "#API_KEY=x\n"],
    )  # fmt: skip
    def test_refuses_what_could_be_read_in_two_ways(self, tmp_path, text):
        with pytest.raises(SourceError):
            read(tmp_path, text)

    def test_without_a_workspace_there_is_none(self):
        credential = Credential(name="a", source="workspace:.env#A", host="api.example.com")
        with pytest.raises(SourceError, match="no workspace"):
            sources.read(credential, Access({}))

    @pytest.mark.parametrize(
        ("file", "text"),
        [
            (".env", "API_KEY=the value # note\n"), (".env", "export API_KEY='the value'\n"),
            ("a.yml", "x: 1\nservice:\n  API_KEY: the value\n"), ("a.ini", "[s]\nAPI_KEY = the value\n"),
            ("a.json", '{"s": {"API_KEY": "the\\u0020value"}}'), ("a.toml", 'API_KEY = "the value"\n'),
        ],
    )  # fmt: skip
    def test_reads_each_format(self, tmp_path, file, text):
        assert read(tmp_path, text, file=file) == "the value"

    def test_follows_no_link_on_the_way(self, tmp_path):
        (tmp_path / "real").mkdir()
        (tmp_path / "real" / ".env").write_text("API_KEY=value\n")
        (tmp_path / "link").symlink_to("real")
        credential = Credential(name="a", source="workspace:link/.env#API_KEY", host="api.example.com")
        with pytest.raises(SourceError, match="without following links"):
            sources.read(credential, Access({}, str(tmp_path)))
