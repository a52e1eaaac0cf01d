"""Real clients through the gate: what people's tools do, unchanged."""

import json
import os
import shutil
import ssl
import subprocess
import sys

import pytest
from forge import Forge, repositories
from gates import credential, rule

from ringfence.policy.model import Gateway

KEY = "canary-key-0123456789abcdef"
HOST = "api.example.com"
EVENTS = [
    ("message_start", {"type": "message_start", "message": {"id": "m", "type": "message", "role": "assistant",
     "content": [], "model": "x", "stop_reason": None, "stop_sequence": None,
     "usage": {"input_tokens": 1, "output_tokens": 1}}}),
    ("content_block_start", {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
    ("content_block_delta", {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hello, "}}),
    ("content_block_delta", {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "world"}}),
    ("content_block_stop", {"type": "content_block_stop", "index": 0}),
    ("message_delta", {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None},
     "usage": {"output_tokens": 2}}),
    ("message_stop", {"type": "message_stop"}),
]  # fmt: skip


def model(sock, head, _body):
    """Answer as a Messages API that streams."""
    if not head.startswith(b"POST /v1/messages"):
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        return
    sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
    for name, data in EVENTS:
        event = f"event: {name}\ndata: {json.dumps(data)}\n\n".encode()
        sock.sendall(b"%x\r\n%b\r\n" % (len(event), event))
    sock.sendall(b"0\r\n\r\n")


@pytest.fixture(scope="module")
def upstream(serve):
    return serve(HOST, answer=model)


@pytest.fixture(scope="module")
def gate(start, upstream):
    return start(
        allow=(rule(HOST),),
        static=((HOST, upstream.address),),
        credentials=(credential(HOST, header="x-api-key", strip=("authorization",)),),
        gateways=(Gateway(name="model", upstream=f"https://{HOST}"),),
        environment={"TEST_KEY": KEY},
    )


def run(gate, *argv, **more):
    """Run a program with nothing but the proxy and our authority in its environment."""
    proxy = f"http://127.0.0.1:{gate.address[1]}"
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": gate.folder,
        **dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), proxy),
        **dict.fromkeys(
            ("SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO"), gate.ca
        ),
        **more.pop("environment", {}),
    }
    return subprocess.run(
        argv,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        stdin=subprocess.DEVNULL,
        check=False,
        **more,
    )


def test_curl(gate, upstream):
    done = run(gate, "curl", "-sS", f"https://{HOST}/a", "-d", "x=y")
    assert (done.returncode, done.stdout) == (0, "ok")
    assert f"x-api-key: {KEY}".encode() in upstream.heads[-1]


def test_curl_with_a_large_upload_waits_for_100(gate, upstream, tmp_path):
    file = tmp_path / "big"
    file.write_bytes(bytes(2_000_000))
    done = run(gate, "curl", "-sS", f"https://{HOST}/up", "-T", str(file), "-H", "Expect: 100-continue")
    assert (done.returncode, done.stdout) == (0, "ok")
    assert len(upstream.requests[-1][1]) == 2_000_000


def test_curl_shows_why_a_host_was_refused(gate):
    done = run(gate, "curl", "-sS", "-v", "https://evil.test/")
    assert done.returncode == 56
    assert "Denied by ringfence" in done.stderr


NODE = """
const first = await fetch('https://api.example.com/v1/messages', {method: 'POST', body: '{}', headers: {'x-api-key': 'mine'}});
let text = '';
for await (const piece of first.body) text += Buffer.from(piece).toString();
console.log(first.status, text.includes('world'));
const second = await fetch('https://api.example.com/again');
console.log(second.status, await second.text());
try { await fetch('https://evil.test/'); } catch (error) { console.log('refused'); }
"""


@pytest.mark.skipif(shutil.which("node") is None, reason="no node on this machine")
def test_node_fetch_with_its_own_proxy_support(gate, upstream):
    """Node ≥ 22.21 and 24 honour NODE_USE_ENV_PROXY; an older one goes through a CONNECT of its https module."""
    version = int(run(gate, "node", "--version").stdout.strip("v\n").split(".")[0])
    code = NODE if version >= 24 else OLD_NODE.replace("PORT", str(gate.address[1]))
    done = run(gate, "node", "--input-type=module", "-e", code, environment={"NODE_USE_ENV_PROXY": "1"})
    assert done.stdout.splitlines() == ["200 true", "200 ok", "refused"], done.stderr
    assert KEY.encode() in upstream.heads[-1]


OLD_NODE = """
import http from 'node:http'; import https from 'node:https';
const ask = (host, path, method, body) => new Promise((done, failed) => {
  http.request({host: '127.0.0.1', port: PORT, method: 'CONNECT', path: host + ':443'}).on('connect', (answer, socket) => {
    if (answer.statusCode !== 200) return failed(new Error(answer.statusMessage));
    https.request({host, path, method, socket, agent: false, servername: host, headers: {'x-api-key': 'mine'}}, (response) => {
      let text = ''; response.on('data', (piece) => text += piece); response.on('end', () => done([response.statusCode, text]));
    }).on('error', failed).end(body);
  }).on('error', failed).end();
});
const first = await ask('api.example.com', '/v1/messages', 'POST', '{}');
console.log(first[0], first[1].includes('world'));
console.log((await ask('api.example.com', '/again', 'GET')).join(' '));
try { await ask('evil.test', '/', 'GET'); } catch (error) { console.log('refused'); }
"""


@pytest.mark.usefixtures("upstream")
def test_httpx(gate):
    import httpx

    context = ssl.create_default_context(cafile=gate.ca)
    with httpx.Client(proxy=f"http://127.0.0.1:{gate.address[1]}", verify=context, trust_env=False) as client:
        for _ in range(3):
            assert client.get(f"https://{HOST}/x").text == "ok"
        with pytest.raises(httpx.ProxyError, match="403 Denied by ringfence"):
            client.get("https://evil.test/")


SDK = """
import anthropic
client = anthropic.Anthropic(max_retries=0)
with client.messages.stream(model="x", max_tokens=5, messages=[{"role": "user", "content": "hi"}]) as stream:
    print(list(stream.text_stream))
"""


@pytest.mark.parametrize("base", ["http://model.gateway.internal", f"https://{HOST}"])
def test_the_anthropic_sdk_streams_keyless(gate, upstream, base):
    keyless = {"ANTHROPIC_API_KEY": "sk-placeholder", "ANTHROPIC_BASE_URL": base}
    done = run(gate, sys.executable, "-c", SDK, environment=keyless)
    assert done.stdout == "['Hello, ', 'world']\n", done.stderr
    head = upstream.heads[-1]
    assert f"x-api-key: {KEY}".encode() in head
    assert b"sk-placeholder" not in head
    assert b"anthropic-version: " in head


# --- git over HTTPS


@pytest.fixture(scope="module")
def forge(tmp_path_factory, certificates):
    """Serve a repository over TLS with git's own http-backend; returns its address."""
    folder = str(tmp_path_factory.mktemp("git"))
    repositories(folder, "project.git")
    made = Forge(folder, certificates.context("git.example.com"))
    yield made.address
    made.close()


def test_git_clones_pushes_where_it_may_and_is_told_where_it_may_not(start, forge, tmp_path):
    gate = start(
        allow=(rule("git.example.com", paths=("/project.git/**",)),),
        static=(("git.example.com", forge),),
    )
    clone = str(tmp_path / "clone")
    safe = {"GIT_CONFIG_NOSYSTEM": "1", "GIT_TERMINAL_PROMPT": "0"}
    done = run(gate, "git", "clone", "-q", "https://git.example.com/project.git", clone, environment=safe)
    assert done.returncode == 0, done.stderr
    argv = [
        "git",
        "-C",
        clone,
        "-c",
        "user.name=t",
        "-c",
        "user.email=t@t",
        "commit",
        "-q",
        "--allow-empty",
        "-m",
        "two",
    ]
    assert run(gate, *argv, environment=safe).returncode == 0
    done = run(gate, "git", "-C", clone, "push", "-q", "origin", "main", environment=safe)
    assert done.returncode == 0, done.stderr
    done = run(gate, "git", "clone", "-q", "https://git.example.com/other.git", clone + "2", environment=safe)
    assert done.returncode == 128
    assert "403" in done.stderr
    methods = [
        (one["method"], one["path"].partition("?")[0], one["effect"]) for one in gate.records("verdict")
    ]
    assert ("POST", "/project.git/git-receive-pack", "allow") in methods
    assert ("GET", "/other.git/info/refs", "deny") in methods
