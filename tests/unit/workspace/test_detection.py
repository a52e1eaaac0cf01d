"""Which texts hold a key, which only look so; and that what is kept fits the files."""

import json
import os
import secrets
import string
import time

import pytest

from ringfence.workspace import detect, detection

LETTERS = string.ascii_letters + string.digits


def some(length, alphabet=LETTERS):
    """Return characters that look random, as few that are random do not, and stand in no table of innocents."""
    while True:
        made = "".join(secrets.choice(alphabet) for _ in range(length))
        is_innocent = detection._NO_SECRET.search(made.encode()) or not detection._is_random(made)
        if len(set(made)) >= min(12, len(alphabet) - 2) and not is_innocent:
            return made


@pytest.fixture(scope="module")
def detector():
    return detection.Detector()


def rules(detector, text, path="src/settings.py"):
    return [one[0] for one in detector.look(text.encode(), path)]


SHAPES = {
    "AWS Access Key": lambda: "AKIA" + some(16, string.ascii_uppercase + string.digits),
    "GitHub Token": lambda: "ghp_" + some(36),
    "GitLab Token": lambda: "glpat-" + some(20),
    "Slack Token": lambda: "xoxb-" + some(40),
    "Stripe Access Key": lambda: "sk_live_" + some(24),
    "NPM Token": lambda: "npm_" + some(36),
    "PyPI Token": lambda: "pypi-AgEIcHlwaS5vcmc" + some(80),
    "Anthropic Key": lambda: "sk-ant-api03-" + some(95),
    "OpenAI Key": lambda: "sk-proj-" + some(100),
    "OpenRouter Key": lambda: "sk-or-v1-" + some(64, "0123456789abcdef"),
    "Google API Key": lambda: "AIza" + some(35),
    "Hugging Face Token": lambda: "hf_" + some(34),
    "Private Key": lambda: "-----BEGIN RSA PRIVATE KEY-----\n" + some(64) + "\n" + some(64) + "\n-----END",
}


@pytest.mark.parametrize("rule", SHAPES)
class TestAShape:
    def test_is_told_with_its_place_wherever_it_stands(self, detector, rule):
        value = SHAPES[rule]()
        text = f"# a\nKEY = '{value}'\n".encode()
        ((told, line, start, length),) = detector.look(text, "src/a.py")
        assert told == rule
        assert line in {2, 3}
        assert text[start : start + length].decode() in value
        assert rules(detector, f"see {value} there", "docs/readme.md")[0] == rule

    def test_is_no_key_when_it_says_so(self, detector, rule):
        value = SHAPES[rule]()
        for innocent in ("EXAMPLE", "xxxxxxxx", "ringfence0"):
            changed = value[: len(value) // 2] + innocent + value[len(value) // 2 + len(innocent) :]
            assert rules(detector, f"KEY = '{changed}'") == [] or rule == "Private Key"


class TestWeakSigns:
    @pytest.mark.parametrize(
        "line",
        [
            'DATABASE = "postgres://app:{}@db.internal/x"', 'password = "{}"', 'client_secret: "{}"',
        ],
    )  # fmt: skip
    def test_count_in_sources_and_not_in_examples(self, detector, line):
        text = line.replace("{}", some(24))
        assert len(rules(detector, text, "src/config.py")) == 1
        for path in (
            "tests/test_a.py",
            "docs/use.md",
            "examples/a.py",
            "src/app_test.go",
            "README.md",
            "x/fixtures/a.json",
        ):
            assert rules(detector, text, path) == []

    @pytest.mark.parametrize(
        "line",
        [
            'password = os.environ["DB_PASSWORD"]', 'password = "changeme-changeme1"', 'token = "${TOKEN_FROM_ENV_1}"',
            'secret = "{{ vault.secret_1234567 }}"', 'api_key = get_api_key(settings2)', 'url = "https://user:password@host/"',
            'sha256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"', 'key = "some-ordinary-name-of-thing"',
            'uuid_key = "6d9b1c1e-7c8e-4a52-9c47-1f3a55a2f7c1"',
        ],
    )  # fmt: skip
    def test_do_not_count_for_what_is_no_value(self, detector, line):
        assert rules(detector, line) == []

    def test_without_detect_secrets_shapes_still_count(self, monkeypatch):
        monkeypatch.setattr(detection, "has_detect_secrets", lambda: False)
        plain = detection.Detector()
        assert rules(plain, f"x = '{SHAPES['GitHub Token']()}'") == ["GitHub Token"]
        assert rules(plain, f"password = '{some(24)}'") == []


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "text",
    ["a" * detect.LARGEST, "password=" * 29_000, "://a:" * 50_000, "-----BEGIN PRIVATE KEY-----" * 9_000, "eyJ" * 80_000,
     "key = '" + "a'b" * 80_000, "token=\n" * 37_000, "A" * 19 + "\n" + "AKIA" * 60_000],
)  # fmt: skip
def test_hostile_texts_take_no_longer_than_a_file_may(tmp_path, text):
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "a.py").write_text(text[: detect.LARGEST])
    began = time.process_time()
    detection.scan(str(tmp_path / "src"), str(tmp_path / "kept"))
    assert time.process_time() - began < detection.SECONDS_EACH + 2


class TestWhatIsKept:
    @pytest.fixture
    def project(self, tmp_path):
        root = tmp_path / "project"
        for path in (
            "a.py",
            ".git/a.py",
            "node_modules/x/a.py",
            "vendor/a.py",
            "env/a.py",
            ".env",
            "b.bin",
            "c.py",
        ):
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(f"x = '{SHAPES['GitHub Token']()}'\n")
        (root / "env" / "pyvenv.cfg").write_text("")
        (root / "c.py").write_text("print(1)\n")
        (root / "zero.py").write_bytes(b"\0" + (root / "a.py").read_bytes())
        (root / "large.py").write_text(f"x = '{SHAPES['GitHub Token']()}'\n" + "y" * detect.LARGEST)
        return root

    def test_is_about_sources_alone(self, project, tmp_path):
        detection.scan(str(project), str(tmp_path / "kept"))
        assert [one.path for one in detect.load(str(tmp_path / "kept"), str(project))] == ["a.py"]

    def test_does_not_count_for_another_workspace_or_in_others_hands(self, project, tmp_path):
        kept = str(tmp_path / "kept")
        detection.scan(str(project), kept)
        assert detect.load(kept, "/other") == ()
        os.chmod(kept, 0o666)
        assert detect.load(kept, str(project)) == ()

    def test_is_nothing_when_it_is_garbage(self, project, tmp_path):
        (tmp_path / "kept").write_bytes(json.dumps({"a": 1}).encode())
        (tmp_path / "kept").chmod(0o600)
        assert detect.load(str(tmp_path / "kept"), str(project)) == ()

    def test_gives_the_values_only_while_the_file_is_the_same(self, project, tmp_path):
        kept = str(tmp_path / "kept")
        detection.scan(str(project), kept)
        value = (project / "a.py").read_text().split("'")[1].encode()
        assert [one for _, one in detect.values(kept, str(project), ())] == [value]
        assert list(detect.values(kept, str(project), ("a.py",))) == []
        os.utime(project / "a.py")
        assert list(detect.values(kept, str(project), ())) == []
        (hidden,) = detect.found(str(project), kept, ())
        assert hidden.rule == "held a key (GitHub Token) before it changed"

    def test_forgets_files_that_are_gone(self, project, tmp_path):
        kept = str(tmp_path / "kept")
        detection.scan(str(project), kept)
        (project / "a.py").unlink()
        detection.scan(str(project), kept)
        assert detect.load(kept, str(project)) == ()

    def test_is_kept_also_when_the_time_is_over(self, project, tmp_path):
        kept = str(tmp_path / "kept")
        detection.scan(str(project), kept)
        before = detect.load(kept, str(project))
        detection.scan(str(project), kept, seconds=0)
        assert detect.load(kept, str(project)) == before
