"""The tools a developer uses work inside, with proxy variables and without any."""

import http.client
import os
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator

import pytest
from reach import TOP
from shelf import GIT, GREETING, HOSTS, NPM, PAGE, PYPI, Shelf
from world import World

from fake_api.authority import Authority

pytestmark = pytest.mark.timeout(120)

JAVA = """
import java.net.URI;
import javax.net.ssl.HttpsURLConnection;
public class Fetch {
    public static void main(String[] a) throws Exception {
        var peer = (HttpsURLConnection) URI.create(a[0]).toURL().openConnection();
        System.out.print(new String(peer.getInputStream().readAllBytes()));
    }
}
"""
GO = """package main

import ("fmt"; "io"; "net/http"; "os")

func main() {
	answer, err := http.Get(os.Args[1])
	if err != nil { fmt.Fprintln(os.Stderr, err); os.Exit(1) }
	io.Copy(os.Stdout, answer.Body)
}
"""
NODE = "fetch(process.argv[1]).then(a => a.text()).then(t => process.stdout.write(t))"
PYTHON = (
    "import sys, urllib.request as r; sys.stdout.write(r.urlopen(sys.argv[1], timeout=10).read().decode())"
)
URL = f"https://{PAGE}/"


@pytest.fixture(params=["with proxy variables", "without"])
def tools(request: pytest.FixtureRequest, world: World, shelf: Shelf, authority: Authority) -> World:
    """A world whose policy allows the shelf's hosts."""
    rules = "\n".join(f'[[egress.allow]]\nhost = "{host}"\n' for host in HOSTS)
    static = "\n".join(f'"{host}" = "{shelf.address}"' for host in HOSTS)
    world.policy(f"""
use = ["python", "node", "git", "java", "go"]

[egress]
proxy_variables = {str(request.param == "with proxy variables").lower()}
extra_ca = ["{world.trust(authority)}"]

{rules}
[egress.static]
{static}
""")
    return world


@pytest.fixture(scope="module")
def shelf(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shelf]:
    with Shelf(authority, str(tmp_path_factory.mktemp("shelf"))) as one:
        yield one


@pytest.mark.parametrize(
    "argv",
    [
        pytest.param(["curl", "-sS", URL], id="curl"),
        pytest.param(["node", "-e", NODE, URL], id="node fetch"),
        pytest.param(["python3", "-c", PYTHON, URL], id="python urllib"),
        pytest.param(
            ["wget", "-qO-", URL],
            id="wget",
            marks=pytest.mark.skipif(not shutil.which("wget"), reason="no wget"),
        ),
    ],
)
def test_a_page_is_fetched(tools: World, argv: list[str]) -> None:
    done = tools.run(*argv)
    assert (done.code, done.out) == (0, GREETING), done.told()


def test_node_with_its_own_proxy_switch(tools: World) -> None:
    done = tools.run("env", "NODE_USE_ENV_PROXY=1", "node", "-e", NODE, URL)
    assert (done.code, done.out) == (0, GREETING), done.told()


def test_java(tools: World) -> None:
    _needs("java")
    tools.write("Fetch.java", JAVA)
    done = tools.run("java", "Fetch.java", URL)
    assert (done.code, done.out) == (0, GREETING), done.told()


def test_go(tools: World) -> None:
    shutil.copy(_go_program(), os.path.join(tools.project, "fetch"))
    tools.own()
    done = tools.run("./fetch", URL)
    assert (done.code, done.out) == (0, GREETING), done.told()


def test_a_host_that_is_not_allowed_is_refused_in_words(tools: World) -> None:
    done = tools.run("curl", "-sS", "-m", "10", "https://other.example.com/")
    assert done.code != 0
    assert GREETING not in done.out


def test_git_clones_and_pushes_over_https(tools: World) -> None:
    words = (
        f"git clone -q https://{GIT}/acme/tools.git copy && cd copy && cat tool.txt && "
        "git -c user.name=A -c user.email=a@example.com commit -q --allow-empty -m more && "
        f"git push -q origin HEAD:refs/heads/work-{secrets.token_hex(4)} && echo pushed"
    )
    done = tools.run("sh", "-c", words)
    assert done.code == 0, done.told()
    assert done.text.splitlines() == ["a tool", "pushed"]


def test_pip_installs_from_an_index(tools: World) -> None:
    install = f"python3 -m pip install -q --no-input --disable-pip-version-check --target vendor -i https://{PYPI}/simple tinypkg"
    use = "PYTHONPATH=vendor python3 -c 'import tinypkg; print(tinypkg.NAME)'"
    done = tools.run("sh", "-c", f"{install} && {use}")
    assert done.code == 0, done.told()
    assert done.text.splitlines()[-1] == "tinypkg from the index"


def test_npm_installs_from_a_registry(tools: World) -> None:
    install = f"npm install --silent --no-audit --no-fund --registry https://{NPM} tinypkg"
    done = tools.run("sh", "-c", f"{install} && node -p 'require(\"tinypkg\")'")
    assert done.code == 0, done.told()
    assert done.text.splitlines()[-1] == "tinypkg from the registry"


@pytest.mark.guarantee("N14")
@pytest.mark.parametrize("bound_to", ["127.0.0.1", "0.0.0.0", "::"])
def test_a_dev_server_is_published_to_the_host(world: World, bound_to: str) -> None:
    world.policy('use = ["python"]\n')
    port = _free_port()
    argv = world.ringfence(
        "run", "--publish", str(port), "--", "python3", "-m", "http.server", "-b", bound_to, str(port)
    )
    child = subprocess.Popen(
        argv,
        cwd=world.project,
        env=world.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        assert b"Adds numbers" in _get(port, "/README.md")
        assert b"return a - b" in _get(port, "/sums.py")
    finally:
        child.terminate()
        told = child.communicate(timeout=20)[0]
    assert b"Traceback" not in told, told
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", port), 1)


def _get(port: int, path: str) -> bytes:
    end = time.monotonic() + 15
    while True:
        try:
            peer = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            peer.request("GET", path)
            return peer.getresponse().read()
        except (OSError, http.client.HTTPException):
            if time.monotonic() > end:
                raise
            time.sleep(0.1)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def _needs(program: str) -> None:
    if not shutil.which(program):
        pytest.skip(f"missing: {program}; scripts/install-test-parts installs it")


def _go_program() -> str:
    """Build the fetcher once; inside the boundary only the result runs."""
    path = os.path.join(TOP, ".cache/go/fetch")
    if os.path.exists(path):
        return path
    _needs("go")
    folder = os.path.dirname(path)
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "fetch.go"), "w", encoding="utf-8") as file:
        file.write(GO)
    variables = {
        "PATH": os.environ["PATH"],
        "HOME": folder,
        "GOCACHE": os.path.join(folder, "build"),
        "GOFLAGS": "-mod=mod",
    }
    argv = ["go", "build", "-o", path, os.path.join(folder, "fetch.go")]
    done = subprocess.run(
        argv, env={**variables, "GOTELEMETRY": "off"}, capture_output=True, timeout=110, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    return path
