"""Looking into files for keys: rules with few false alarms, and those of detect-secrets where it is there.

Runs in a process of its own, in the background of a session or for `ringfence scan`; the launcher reads
what is left in the cache (`detect.py`). The files are hostile: no link is followed, size and time are
bounded, lines that are too long for a careful expression are left to the plain ones.

Two sorts of rules. A *telling* one knows the shape of a key (a prefix and enough random characters) and
counts everywhere. A *weak* one goes by a word beside the value, or by a form that examples have too; it
counts only outside of tests, fixtures and documentation.
"""

import importlib.util
import math
import os
import re
import signal
import stat
import time
from collections import Counter

from ringfence.workspace import beneath, detect
from ringfence.workspace.detect import LARGEST, MOST_HITS, Hit
from ringfence.workspace.tables import DEPENDENCY_FOLDERS, credential_rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from ringfence.workspace.detect import Places, Stamp

RULES = 1  # counted up when rules change: what was looked into before is looked into again
MOST_FILES = 200_000
SECONDS_EACH = 3.0
SECONDS = 600.0
STORED_EVERY = 5.0
MOST_PLACES = 20  # keys told of one file
_SETTLED = 2.0
_LONGEST_LINE = 2000  # characters of a line that the rules of detect-secrets see

_SKIPPED = DEPENDENCY_FOLDERS | {
    ".git", ".hg", ".svn", "vendor", "third_party", "bower_components", ".venv", "venv", ".mypy_cache",
    ".ruff_cache", ".pytest_cache", "target", ".gradle", ".terraform", ".cache", ".yarn", "Pods",
}  # fmt: skip
_BINARY = frozenset({
    "png", "jpg", "jpeg", "gif", "webp", "ico", "pdf", "zip", "gz", "bz2", "xz", "zst", "tar", "jar", "whl",
    "so", "o", "a", "pyc", "class", "exe", "dll", "dylib", "wasm", "woff", "woff2", "ttf", "otf", "mp3",
    "mp4", "mov", "sqlite", "db", "bin", "lock", "map", "svg",
})  # fmt: skip

_PEM = (
    rb"-----BEGIN (?:[A-Z0-9]{1,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----"
    rb"[\sA-Za-z0-9=\\:,\-\"'+]{0,400}?([A-Za-z0-9+/]{40,}={0,2})"
)
_OPENAI = rb"(?<!\w)(sk-(?:proj|svcacct|admin|None)-[\w\-]{40,200}|sk-[A-Za-z0-9]{20}T3BlbkFJ[A-Za-z0-9]{20})"
_TELLING = (
    ("Private Key", _PEM),
    ("AWS Access Key", rb"(?<![A-Za-z0-9])((?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16})(?![A-Za-z0-9])"),
    ("GitHub Token", rb"(?<!\w)(gh[pousr]_[A-Za-z0-9]{36,251}|github_pat_[A-Za-z0-9_]{60,90})(?!\w)"),
    ("GitLab Token", rb"(?<!\w)(gl(?:pat|dt|rt|cbt|ptt|ft|soat|agent)-[\w\-]{20,64})"),
    ("Slack Token", rb"(?<!\w)(xox[abeprs]-[0-9A-Za-z-]{20,200}|xapp-[0-9A-Za-z-]{30,200})"),
    ("Slack Webhook", rb"(hooks\.slack\.com/services/T\w{6,14}/B\w{6,14}/\w{18,30})"),
    ("Stripe Access Key", rb"(?<!\w)([rs]k_live_[0-9a-zA-Z]{24,247})"),
    ("NPM Token", rb"(?<!\w)(npm_[A-Za-z0-9]{36})(?!\w)"),
    ("PyPI Token", rb"(pypi-AgEIcHlwaS5vcmc[\w\-]{50,})"),
    ("Anthropic Key", rb"(?<!\w)(sk-ant-[a-z0-9]{3,8}-[\w\-]{40,200})"),
    ("OpenRouter Key", rb"(?<!\w)(sk-or-v1-[0-9a-f]{64})"),
    ("OpenAI Key", _OPENAI),
    ("Google API Key", rb"(?<!\w)(AIza[\w\-]{35})(?![\w\-])"),
    ("Hugging Face Token", rb"(?<!\w)(hf_[A-Za-z0-9]{34})(?!\w)"),
    ("Groq Key", rb"(?<!\w)(gsk_[A-Za-z0-9]{52})(?!\w)"),
    ("xAI Key", rb"(?<!\w)(xai-[A-Za-z0-9]{80})(?!\w)"),
)  # fmt: skip
_WEAK = (
    ("JSON Web Token", rb"(?<![\w\-])(eyJ[\w\-]{10,2000}\.eyJ[\w\-]{10,2000}\.[\w\-]{20,2000})"),
    ("Basic Auth Credentials", rb"://[^\s:/?#@\"'<>]{1,100}:([^\s:/?#@\"'<>{}$]{6,200})@[\w\-]"),
)
_ANY = [(rule, re.compile(expression), telling) for telling, table in ((True, _TELLING), (False, _WEAK))
        for rule, expression in table]  # fmt: skip
# What a text holds that any of the rules above could fit: one pass that most files end with.
_HINT = re.compile(
    rb"PRIVATE KEY|A[KSBC][IC]A[A-Z0-9]{12}|gh[pousr]_|github_pat_|gl[a-z]{2,5}-|xox|xapp-|hooks\.slack|"
    rb"k_live_|npm_|pypi-|sk-|AIza|hf_|gsk_|xai-|eyJ|://[^\s/]*@"
)
# Lines that rules about words beside values could fit.
_WORDS = re.compile(
    rb"(?i)^.*(?:pass|pwd|secret|token|key|auth|cred|sig=|AccountKey|SG\.|\.discord|bot).{0,80}[=:\"'].*$",
    re.MULTILINE,
)
_NO_SECRET = re.compile(
    rb"(?i)example|ringfence|placeholder|changeme|your[_-]?|dummy|xxxx|\*\*\*|0123456789|1234567890|fake|sample"
)
_EXAMPLES = re.compile(
    r"(?i)(?:^|/)(?:tests?|testing|testdata|__tests__|spec|specs|fixtures?|mocks?|examples?|samples?|docs?|"
    r"documentation|demo|golden|snapshots?|__snapshots__)/|(?:^|/)(?:test_|conftest|readme|changelog)|"
    r"(?:_test|\.test|\.spec|_spec)\.|\.(?:md|rst|adoc|example|sample|dist|template|tmpl|snap)$"
)
# Of detect-secrets: plugins that know a shape or a word; entropy alone hides too much that is none.
_PLUGINS = (
    ("aws", "AWSKeyDetector"), ("azure_storage_key", "AzureStorageKeyDetector"),
    ("sendgrid", "SendGridDetector"), ("discord", "DiscordBotTokenDetector"),
    ("twilio", "TwilioKeyDetector"), ("mailchimp", "MailchimpDetector"),
    ("square_oauth", "SquareOAuthDetector"), ("telegram_token", "TelegramBotTokenDetector"),
    ("keyword", "KeywordDetector"),
)  # fmt: skip
_TELLING_PLUGINS = frozenset({"SendGridDetector", "AzureStorageKeyDetector", "MailchimpDetector"})
_ENTROPY = 3.6  # bits for each character of a value that only a word tells


def has_detect_secrets() -> bool:
    """Tell whether the extra `detect` is installed."""
    return importlib.util.find_spec("detect_secrets") is not None


class Detector:
    """The rules, made once."""

    def __init__(self) -> None:
        self.whole = has_detect_secrets()
        self.version = f"{RULES}{'+' if self.whole else ''}"
        self._plugins = _plugins() if self.whole else []

    def look(self, content: bytes, path: str) -> "Places":
        """Return where keys stand in a text: (rule, line, start, length)."""
        example = bool(_EXAMPLES.search(path))
        found: dict[int, tuple[str, int, int]] = {}
        if _HINT.search(content):
            for rule, start, length in _by_shape(content, example=example):
                found.setdefault(start, (rule, start, length))
        for rule, start, length in self._by_word(content, path, example=example):
            if not any(
                at <= start < at + size or start <= at < start + length for _, at, size in found.values()
            ):
                found.setdefault(start, (rule, start, length))
        ordered = sorted(found.values(), key=lambda one: one[1])[:MOST_PLACES]
        return [(rule, content.count(b"\n", 0, start) + 1, start, length) for rule, start, length in ordered]

    def _by_word(self, content: bytes, path: str, *, example: bool) -> "Iterator[tuple[str, int, int]]":
        if not self._plugins:
            return
        from detect_secrets.filters import heuristic

        if heuristic.is_lock_file(path) or heuristic.is_swagger_file(path):
            return
        for match in _WORDS.finditer(content):
            raw = match.group()
            if len(raw) > _LONGEST_LINE:
                continue
            line = raw.decode("utf-8", "replace")
            for rule, value in _told(self._plugins, path, line, example=example):
                at = raw.find(value.encode())
                if at >= 0:
                    yield rule, match.start() + at, len(value.encode())


def _by_shape(content: bytes, *, example: bool) -> "Iterator[tuple[str, int, int]]":
    for rule, expression, telling in _ANY:
        if example and not telling:
            continue
        for match in expression.finditer(content):
            value = match.group(1)
            if not _NO_SECRET.search(value) and len(set(value)) >= min(10, len(value) * 2 // 3):
                yield rule, match.start(1), len(value)


def _plugins() -> "list[tuple[Any, bool]]":
    made = []
    for module, name in _PLUGINS:
        loaded = __import__(f"detect_secrets.plugins.{module}", fromlist=[name])
        made.append((getattr(loaded, name)(), name in _TELLING_PLUGINS))
    return made


def _told(
    plugins: "list[tuple[Any, bool]]", path: str, line: str, *, example: bool
) -> "Iterator[tuple[str, str]]":
    for plugin, telling in plugins:
        if example and not telling:
            continue
        for one in plugin.analyze_line(filename=path, line=line):
            value = one.secret_value or ""
            if not _is_innocent(value, line, plugin, telling=telling):
                yield plugin.secret_type, value


def _is_innocent(value: str, line: str, plugin: "Any", *, telling: bool) -> bool:
    """Apply the default filters of detect-secrets, and ask of what only a word tells that it looks random."""
    from detect_secrets.filters import heuristic

    if _NO_SECRET.search(value.encode()) or heuristic.is_templated_secret(value):
        return True
    if telling:
        return False
    return (
        heuristic.is_sequential_string(value)
        or heuristic.is_potential_uuid(value)
        or heuristic.is_likely_id_string(value, line, plugin)
        or heuristic.is_prefixed_with_dollar_sign(value)
        or heuristic.is_indirect_reference(line)
        or heuristic.is_not_alphanumeric_string(value)
        or not _is_random(value)
    )


def _is_random(value: str) -> bool:
    if (
        len(value) < 16
        or " " in value
        or not any(map(str.isdigit, value))
        or not any(map(str.isalpha, value))
    ):
        return False
    counts = Counter(value).values()
    return -sum(one / len(value) * math.log2(one / len(value)) for one in counts) >= _ENTROPY


# --- a whole workspace -----------------------------------------------------------------------------


class _Late(Exception):  # noqa: N818 - not an error: the time for one file is over
    """A file took longer than it may."""


def scan(
    root: str, file: str, *, seconds: float = SECONDS, told: "Callable[[Hit], None] | None" = None
) -> None:
    """Look into every file that is new or changed; keep what is found in `file`, what was clean beside it."""
    detector = Detector()
    work = _Work(root, file, detector, time.monotonic() + seconds, told)
    former = signal.signal(signal.SIGALRM, _alarm)
    try:
        work.all()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, former)
        work.store()


def _alarm(_number: int, _frame: object) -> None:
    raise _Late


class _Work:
    def __init__(
        self, root: str, file: str, detector: Detector, until: float, told: "Callable[[Hit], None] | None"
    ) -> None:
        self._root, self._file, self._detector, self._until, self._told = root, file, detector, until, told
        self._clean_file = f"{file}.{detector.version}"
        self._hits: dict[str, tuple[Stamp, Places]] = {}
        self._clean: dict[str, tuple[Stamp, Places]] = {}
        self._old_hits = detect.read(file, root)
        self._old_clean = detect.read(self._clean_file, root)
        self._whole = False  # every file was visited: what is not there any more can be forgotten
        self._changed = False
        self._stored = time.monotonic()

    def all(self) -> None:
        top = beneath.open_real_root(self._root)
        try:
            for path in self._old_hits:  # these first: what held a key and changed probably still does
                self._file_at(top, path)
            for number, path in enumerate(_files(top, self._until)):
                if number >= MOST_FILES or time.monotonic() > self._until:
                    return
                self._file_at(top, path)
            self._whole = True
        finally:
            os.close(top)

    def _file_at(self, top: int, path: str) -> None:
        if path in self._hits or path in self._clean:
            return
        try:
            fd = beneath.open_at(top, os.fsencode(path), os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
        except OSError:
            return
        try:
            self._one(fd, path)
        finally:
            os.close(fd)
        if self._changed and time.monotonic() > self._stored + STORED_EVERY:
            self.store()

    def _one(self, fd: int, path: str) -> None:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode) or not 0 < status.st_size <= LARGEST:
            return
        mark = detect.stamp(status)
        for old, new in ((self._old_hits, self._hits), (self._old_clean, self._clean)):
            if path in old and tuple(old[path][0]) == mark:
                new[path] = old[path]
                self._tell(path, new is self._hits)
                return
        places = self._places(fd, path)
        if places is None:
            return
        self._changed = True
        if places and len(self._hits) < MOST_HITS:
            self._hits[path] = (mark, places)
            self._tell(path, hit=True)
            self.store()
        elif not places and status.st_ctime < time.time() - _SETTLED:
            self._clean[path] = (mark, [])

    def _tell(self, path: str, hit: bool) -> None:  # noqa: FBT001 - private
        if hit and self._told is not None:
            self._told(next(one for one in detect.as_hits({path: self._hits[path]})))

    def _places(self, fd: int, path: str) -> "Places | None":
        try:
            signal.setitimer(signal.ITIMER_REAL, SECONDS_EACH)
            content = os.read(fd, LARGEST)
            return [] if b"\0" in content[:8192] else self._detector.look(content, path)
        except (_Late, OSError):
            return None  # looked into again the next time
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)

    def store(self) -> None:
        """Keep what is known so far; what was not visited yet stays as it was."""
        if not self._changed and not (self._whole and len(self._hits) != len(self._old_hits)):
            return
        rest = (
            {}
            if self._whole
            else {one: kept for one, kept in self._old_hits.items() if one not in self._clean}
        )
        clean = self._clean if self._whole else {**self._old_clean, **self._clean}
        detect.write(self._file, self._root, {**rest, **self._hits})
        detect.write(self._clean_file, self._root, clean)
        self._stored = time.monotonic()


def _files(top: int, until: float) -> "Iterator[str]":
    """Yield the paths of files to look into; a folder is opened with no link on its way."""
    todo = [b""]
    while todo and time.monotonic() < until:
        folder = todo.pop()
        try:
            fd = beneath.open_folder(top, folder)
        except OSError:
            continue
        try:
            with os.scandir(fd) as entries:
                found = [
                    (one.name, one.is_dir(follow_symlinks=False), one.is_file(follow_symlinks=False))
                    for one in entries
                ]
        except OSError:
            continue
        finally:
            os.close(fd)
        if any(name == "pyvenv.cfg" for name, _, _ in found):
            continue
        parent = os.path.basename(os.fsdecode(folder))
        for name, is_folder, is_file in sorted(found):
            path = os.path.join(folder, os.fsencode(name))
            if is_folder and name not in _SKIPPED and not credential_rule(name, parent):
                todo.append(path)
            elif (
                is_file
                and name.rpartition(".")[2].lower() not in _BINARY
                and not credential_rule(name, parent)
            ):
                yield os.fsdecode(path)
