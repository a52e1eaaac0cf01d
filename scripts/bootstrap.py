#!/usr/bin/env python3
"""Make the checkout's own Python environment, on a machine that may have no pip and no venv package.

Debian splits the standard library: `python3 -m venv` is there, the `ensurepip` that fills it is not.
So pip's own wheel, pinned below by its hash, is fetched from the package index that this machine's
pip is set to use (its variables and configuration files say which), and installs itself; where the
index cannot be reached that way, a `uv` that is already installed does the work. All else comes
from requirements files that pin every file's hash, wheels only, so nothing is built and nothing
unpinned is run.

Runs on any Python 3.8: it looks for a newer one before it does anything.
"""

from __future__ import annotations

import argparse
import base64
import configparser
import hashlib
import html.parser
import json
import os
import shutil
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PIP_WHEEL = "pip-26.3-py3-none-any.whl"
PIP_SHA256 = "f3b60b20ffaadd4415ed7957212a38ac63fa4c5fa375bd0f4a797777940fad13"
OLDEST = (3, 11)
# Those that start fastest first; the versions that CI has seen.
INTERPRETERS = ("python3.13", "python3.12", "python3.11", "python3.14", "python3", "python")
# A shim (pyenv, asdf) is a script that costs 30 ms and needs its own settings: ask for the real one.
ASK = (
    "import ctypes, ssl, sys; print(*sys.version_info[:2]); "
    "print(getattr(sys, '_base_executable', None) or sys.executable)"
)


class Problem(Exception):  # noqa: N818 - it is told, not raised at a caller
    """Something the reader must mend."""


def main(arguments: list[str]) -> int:
    """Bring the environment up to date; print nothing when it is."""
    options = parse(arguments)
    try:
        python = find_python(options.python)
        make(python, os.path.abspath(options.venv), requirements(dev=options.dev), uv=options.uv)
    except Problem as problem:
        sys.stderr.write(f"error: {problem}\n")
        return 1
    return 0


def parse(arguments: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Make ringfence's own Python environment in this checkout.")
    parser.add_argument("--venv", default=os.path.join(ROOT, ".venv"), help="where (default: .venv)")
    parser.add_argument("--dev", action="store_true", help="with what tests and checks need")
    parser.add_argument("--python", default="", help="this interpreter instead of the best one on PATH")
    parser.add_argument("--uv", action="store_true", help="let an installed uv do it")
    return parser.parse_args(arguments)


def requirements(*, dev: bool) -> str:
    """Return the requirements file to install."""
    return os.path.join(ROOT, "requirements-dev.txt" if dev else "requirements.txt")


# The interpreter


def find_python(wanted: str) -> str:
    """Return the path of a Python that is new enough, never a shim."""
    for name in (wanted,) if wanted else INTERPRETERS:
        for path in everywhere(name):
            version, real = ask(path)
            if version >= OLDEST:
                return real
    oldest = ".".join(map(str, OLDEST))
    raise Problem(
        f"no Python {oldest} or newer with ssl and ctypes {'at ' + wanted if wanted else 'on PATH'}\n"
        "hint: install one (Debian, Ubuntu: apt-get install python3), or name it: make PYTHON=/path/to/it"
    )


def everywhere(name: str) -> list[str]:
    """Return every place on PATH that has the program, or the path itself."""
    if os.sep in name:
        return [name]
    folders = os.environ.get("PATH", os.defpath).split(os.pathsep)
    return [path for folder in folders if (path := shutil.which(name, path=folder or os.curdir))]


def ask(path: str) -> tuple[tuple[int, ...], str]:
    """Return an interpreter's version and its real path; version () for one that does not run."""
    try:
        done = subprocess.run([path, "-I", "-c", ASK], capture_output=True, text=True, timeout=60, check=True)
        numbers, real = done.stdout.splitlines()
    except (OSError, ValueError, subprocess.SubprocessError):
        return (), ""
    return tuple(int(number) for number in numbers.split()), real


# The environment


def make(python: str, venv: str, wanted: str, *, uv: bool) -> None:
    """Make or renew the environment; the stamp is written last, so a half-made one is made again."""
    stamp = os.path.join(venv, "." + os.path.basename(wanted) + ".stamp")
    mark = stamp_of(python, wanted)
    if read(stamp) == mark:
        return
    say(f"setting up {os.path.relpath(venv)} with {python}")
    began = time.monotonic()
    try:
        install = prepare(python, venv, uv=uv)
        run([*install, "--require-hashes", "--only-binary", ":all:", "-r", wanted])
        link(venv)
        with open(stamp, "w", encoding="utf-8") as file:
            file.write(mark)
    except OSError as error:
        raise Problem(f"cannot set up {venv}: {error}") from error
    say(f"done in {time.monotonic() - began:.0f} s")


def stamp_of(python: str, wanted: str) -> str:
    """Return what the environment is made of."""
    with open(wanted, "rb") as file:
        return f"{python}\n{ROOT}\n{hashlib.sha256(file.read()).hexdigest()}\n"


def read(path: str) -> str:
    """Return a file's text, or nothing where there is none."""
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except OSError:
        return ""


def prepare(python: str, venv: str, *, uv: bool) -> list[str]:
    """Make the environment with an installer in it, and return the command that installs into it."""
    inside = os.path.join(venv, "bin", "python")
    if uv:
        return with_uv(python, venv)
    pip = [inside, "-I", "-m", "pip", "--disable-pip-version-check", "--no-input", "install", "-qq"]
    if same_python(inside, python) and works([*pip[:4], "--version"]):
        return pip
    if works([python, "-I", "-c", "from ensurepip import version; version()"]):
        run([python, "-I", "-m", "venv", "--clear", venv])
        return pip
    try:
        wheel = fetch_pip()
    except Problem:
        if not shutil.which("uv"):
            raise
        return with_uv(python, venv)
    return with_wheel(python, venv, wheel, pip)


def same_python(inside: str, python: str) -> bool:
    """Say whether the environment's interpreter is this one."""
    return os.path.exists(inside) and os.path.realpath(inside) == os.path.realpath(python)


def with_uv(python: str, venv: str) -> list[str]:
    """Make the environment with an installed uv."""
    program = shutil.which("uv")
    if not program:
        raise Problem("no uv on PATH")
    run([program, "venv", "--quiet", "--clear", "--python", python, venv])
    return [program, "pip", "install", "--quiet", "--python", os.path.join(venv, "bin", "python")]


def with_wheel(python: str, venv: str, wheel: bytes, pip: list[str]) -> list[str]:
    """Make the environment without ensurepip: pip runs from its wheel and installs itself."""
    run([python, "-I", "-m", "venv", "--clear", "--without-pip", venv])
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, PIP_WHEEL)
        with open(path, "wb") as file:
            file.write(wheel)
        run([pip[0], os.path.join(path, "pip"), "install", "--quiet", "--no-index", "--no-deps", path])
    return pip


def link(venv: str) -> None:
    """Put the checkout itself in: what an editable install does, without a build."""
    inside = os.path.join(venv, "bin", "python")
    place = subprocess.run(
        [inside, "-I", "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        capture_output=True, text=True, check=True,
    ).stdout.strip()  # fmt: skip
    with open(os.path.join(place, "ringfence-checkout.pth"), "w", encoding="utf-8") as file:
        file.write(os.path.join(ROOT, "src") + "\n")
    with open(os.path.join(ROOT, "bin", "ringfence"), encoding="utf-8") as file:
        body = file.read().split("\n", 1)[1]
    script = os.path.join(venv, "bin", "ringfence")
    with open(script, "w", encoding="utf-8") as file:
        file.write(f"#!{inside}\n{body}")
    os.chmod(script, 0o755)
    # As an installation does; where PYTHONDONTWRITEBYTECODE is set nobody else would.
    run([inside, "-I", "-m", "compileall", "-q", os.path.join(ROOT, "src")])


def works(command: list[str]) -> bool:
    """Say whether a command ends well; what it prints does not matter."""
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def run(command: list[str]) -> None:
    """Run one step; what it prints is the reader's."""
    done = subprocess.run(command, check=False)
    if done.returncode:
        raise Problem(f"status {done.returncode} from: {' '.join(command)}")


def say(text: str) -> None:
    """Tell what takes the time."""
    sys.stderr.write(f"bootstrap: {text}\n")


# The package index, as pip is set to use it


def fetch_pip() -> bytes:
    """Return the bytes of the pinned pip wheel."""
    settings = pip_settings()
    index = settings.get("index-url", "https://pypi.org/simple")
    context = ssl.create_default_context(cafile=settings.get("cert") or os.environ.get("REQUESTS_CA_BUNDLE"))
    try:
        page = index.rstrip("/") + "/pip/"
        wheel = get(file_address(page, context), context)
    except (OSError, ValueError) as error:
        raise Problem(
            f"this Python has no ensurepip, and the package index did not give {PIP_WHEEL}: {error}\n"
            "hint: install the package python3-venv (Debian, Ubuntu), or check PIP_INDEX_URL"
        ) from error
    if hashlib.sha256(wheel).hexdigest() != PIP_SHA256:
        raise Problem(f"the package index gave another {PIP_WHEEL} than the one pinned here; nothing was run")
    return wheel


def pip_settings() -> dict[str, str]:
    """Return pip's index-url and cert: configuration files, the later over the earlier, then variables."""
    found: dict[str, str] = {}
    for path in pip_files():
        parser = configparser.RawConfigParser()
        try:
            parser.read(path, encoding="utf-8")
        except (configparser.Error, UnicodeDecodeError) as error:
            raise Problem(f"cannot read pip's configuration {path}: {error}") from error
        for section in ("global", "install"):
            for name in ("index-url", "cert"):
                if parser.has_option(section, name):
                    found[name] = parser.get(section, name).strip()
    for name, variable in (("index-url", "PIP_INDEX_URL"), ("cert", "PIP_CERT")):
        if os.environ.get(variable):
            found[name] = os.environ[variable]
    return found


def pip_files() -> list[str]:
    """Return where pip looks for its settings, lowest first."""
    chosen = os.environ.get("PIP_CONFIG_FILE", "")
    if chosen == os.devnull:
        return []
    home = os.path.expanduser("~")
    config = os.environ.get("XDG_CONFIG_HOME") or os.path.join(home, ".config")
    shared = os.environ.get("XDG_CONFIG_DIRS", "/etc/xdg").split(":")
    folders = [*(f"{one}/pip" for one in shared), "/etc", f"{home}/.pip", f"{config}/pip"]
    return [*(f"{one}/pip.conf" for one in folders), *([chosen] if chosen else [])]


def file_address(page: str, context: ssl.SSLContext) -> str:
    """Return where the index keeps the wheel; it speaks JSON or HTML (PEP 691, PEP 503)."""
    body = get(page, context).decode("utf-8", "replace")
    if body.lstrip().startswith("{"):
        links = [(file["filename"], file["url"]) for file in json.loads(body)["files"]]
    else:
        reader = Links()
        reader.feed(body)
        links = reader.found
    for name, address in links:
        if name == PIP_WHEEL:
            return str(urllib.parse.urljoin(page, address))
    raise ValueError(f"it lists {len(links)} files of pip, not this one")


class Links(html.parser.HTMLParser):
    """The links of a simple-index page, by the file name their address ends in."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep the address of each anchor."""
        address = dict(attrs).get("href")
        if tag == "a" and address:
            path = urllib.parse.urlsplit(address).path
            self.found.append((urllib.parse.unquote(path.rsplit("/", 1)[-1]), address))


def get(address: str, context: ssl.SSLContext) -> bytes:
    """Fetch one address over https or from a file, with the user and password that it may carry."""
    parts = urllib.parse.urlsplit(address)
    if parts.scheme not in {"https", "http", "file"}:
        raise ValueError(f"unexpected scheme {parts.scheme!r}")
    bare = parts._replace(netloc=parts.netloc.rsplit("@", 1)[-1], fragment="")
    request = urllib.request.Request(urllib.parse.urlunsplit(bare))
    request.add_header("Accept", "application/vnd.pypi.simple.v1+json, text/html;q=0.5, */*;q=0.1")
    if parts.username:
        pair = f"{urllib.parse.unquote(parts.username)}:{urllib.parse.unquote(parts.password or '')}"
        request.add_header("Authorization", "Basic " + base64.b64encode(pair.encode()).decode())
    with urllib.request.urlopen(request, timeout=60, context=context) as reply:
        return bytes(reply.read())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
