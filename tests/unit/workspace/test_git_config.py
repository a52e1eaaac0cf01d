"""A repository's configuration is shown without the credentials in it, and otherwise unchanged."""

import pytest

from ringfence.workspace.git_config import clean_copy


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("\turl = https://user:token@host.example/o/r.git\n", "\turl = https://host.example/o/r.git\n"),
        ("\turl = https://ghp_token@github.com/o/r\n", "\turl = https://github.com/o/r\n"),
        ('\turl = "https://a:b@c@host/x"\n', '\turl = "https://host/x"\n'),
        ("\tproxy = HTTP://u:p@proxy:3128\n", "\tproxy = HTTP://proxy:3128\n"),
        ("\turl = ssh://git:secret@host/x\n", "\turl = ssh://host/x\n"),
        ("\textraheader = AUTHORIZATION: basic c2VjcmV0\n", "# hidden by ringfence: extraHeader\n"),
        ("\tExtraHeader=X: y\n", "# hidden by ringfence: extraHeader\n"),
        ("\tinsteadOf = https://u:p@a/b https://v:q@c/d\n", "\tinsteadOf = https://a/b https://c/d\n"),
    ],
)
def test_credentials_are_taken_out(tmp_path, line, shown):
    config = tmp_path / "config"
    config.write_text("[core]\n\tbare = false\n" + line)
    assert clean_copy(str(config)) == "[core]\n\tbare = false\n" + shown


@pytest.mark.parametrize(
    "line",
    [
        "\turl = ssh://git@github.com/o/r.git\n",
        "\turl = git@github.com:o/r.git\n",
        "\turl = https://github.com/o/r@v1\n",
        "\temail = someone@example.com\n",
    ],
)
def test_what_holds_none_is_left_as_it_is(tmp_path, line):
    config = tmp_path / "config"
    config.write_text("[remote]\n" + line)
    assert clean_copy(str(config)) is None


def test_a_link_is_not_followed_and_a_huge_file_is_hidden(tmp_path):
    (tmp_path / "link").symlink_to("/etc/passwd")
    assert clean_copy(str(tmp_path / "link")) is None
    (tmp_path / "huge").write_bytes(b"#" * (1 << 20) + b"https://a:b@c")
    assert "hidden by ringfence" in (clean_copy(str(tmp_path / "huge")) or "")
