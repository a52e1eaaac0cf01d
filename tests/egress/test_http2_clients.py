"""Real clients that prefer HTTP/2, through the gate and unchanged: curl, Node.js, Go, httpx."""

import os
import shutil
import ssl
import subprocess

import pytest
from gates import credential, rule
from test_clients import run

KEY = "canary-key-0123456789abcdef"
HOST = "api.example.com"


def answer(peer, request):
    path = request.named[":path"]
    body = request.body if path == "/echo" else bytes(3_000_000) if path == "/big" else b"ok"
    peer.reply(request, 200, body, [("x-seen", request.named.get("authorization", ""))])


@pytest.fixture(scope="module")
def upstream(serve2):
    return serve2(HOST, answer=answer)


@pytest.fixture(scope="module")
def gate(start, upstream):
    return start(
        allow=(rule(HOST, paths=("/ok/**", "/echo", "/big", "/ok")),),
        static=((HOST, upstream.address),),
        credentials=(credential(HOST),),
        environment={"TEST_KEY": KEY},
    )


def test_curl(gate, upstream):
    done = run(
        gate, "curl", "-sS", f"https://{HOST}/ok", "-w", " %{http_version}", "-H", "Authorization: mine"
    )
    assert (done.returncode, done.stdout) == (0, "ok 2"), done.stderr
    assert upstream.requests[-1].named["authorization"] == KEY


def test_curl_uploads_downloads_and_is_refused(gate, tmp_path):
    file = tmp_path / "big"
    file.write_bytes(os.urandom(3_000_000))
    done = run(
        gate, "curl", "-sS", f"https://{HOST}/echo", "--data-binary", f"@{file}", "-o", str(tmp_path / "back")
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "back").read_bytes() == file.read_bytes()
    done = run(gate, "curl", "-sS", f"https://{HOST}/closed", "-w", "%{http_code} %{http_version}")
    assert done.stdout.endswith("403 2")
    assert "ringfence_denied" in done.stdout


def test_curl_asks_for_many_things_at_once_on_one_connection(gate, upstream):
    upstream.clear()
    many = [f"https://{HOST}/ok/{number}" for number in range(40)]
    done = run(gate, "curl", "-sS", "--parallel", "--parallel-max", "20", "-w", " %{http_version}\n", *many)
    assert (done.stdout.count("ok"), done.stdout.count(" 2\n")) == (40, 40), done.stderr
    assert upstream.connections <= 1


NODE = """
import http from 'node:http'; import http2 from 'node:http2'; import tls from 'node:tls';
http.request({host: '127.0.0.1', port: PORT, method: 'CONNECT', path: 'api.example.com:443'}).on('connect', (_, socket) => {
  const secure = tls.connect({socket, servername: 'api.example.com', ALPNProtocols: ['h2']});
  const session = http2.connect('https://api.example.com', {createConnection: () => secure});
  session.on('error', (error) => console.log('error', error.message));
  const ask = (path, body) => new Promise((done, failed) => {
    const stream = session.request({':path': path, ':method': body ? 'POST' : 'GET'});
    let status, length = 0;
    stream.on('response', (head) => { status = head[':status']; });
    stream.on('data', (piece) => { length += piece.length; });
    stream.on('end', () => done(`${status} ${length}`)).on('error', failed);
    stream.end(body);
  });
  const all = [ask('/ok'), ask('/echo', Buffer.alloc(700000)), ask('/big'), ask('/closed').then((text) => text.split(' ')[0])];
  Promise.all(all).then((found) => { console.log(found.join(',')); session.close(); });
}).end();
"""


@pytest.mark.skipif(shutil.which("node") is None, reason="no node on this machine")
def test_node_http2(gate):
    code = NODE.replace("PORT", str(gate.address[1]))
    done = run(gate, "node", "--input-type=module", "-e", code)
    assert done.stdout == "200 2,200 700000,200 3000000,403\n", done.stderr


GO = """
package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
)

func ask(method, path string, body []byte) string {
	request, _ := http.NewRequest(method, os.Args[1]+path, bytes.NewReader(body))
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err.Error()
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	return fmt.Sprint(response.Proto, " ", response.StatusCode, " ", len(content), " ", err)
}

func main() {
	fmt.Println(ask("GET", "/ok", nil))
	fmt.Println(ask("POST", "/echo", make([]byte, 1500000)))
	fmt.Println(ask("GET", "/big", nil))
	var group sync.WaitGroup
	good := make(chan bool, 50)
	for i := 0; i < 50; i++ {
		group.Add(1)
		go func() {
			defer group.Done()
			if ask("GET", "/ok", nil) == "HTTP/2.0 200 2 <nil>" {
				good <- true
			}
		}()
	}
	group.Wait()
	fmt.Println(len(good))
	fmt.Println(ask("GET", "/closed", nil)[:12])
}
"""


@pytest.mark.skipif(shutil.which("go") is None, reason="no Go on this machine")
def test_go(gate, upstream, tmp_path):
    (tmp_path / "main.go").write_text(GO)
    made = subprocess.run(
        ["go", "build", "-o", "client", "main.go"],
        cwd=tmp_path,
        env={**os.environ, "GO111MODULE": "off", "CGO_ENABLED": "0"},
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert made.returncode == 0, made.stderr
    upstream.clear()
    done = run(gate, str(tmp_path / "client"), f"https://{HOST}")
    assert done.stdout.splitlines() == [
        "HTTP/2.0 200 2 <nil>",
        "HTTP/2.0 200 1500000 <nil>",
        "HTTP/2.0 200 3000000 <nil>",
        "50",
        "HTTP/2.0 403",
    ], done.stderr
    assert upstream.faults == []


def test_httpx(gate):
    import httpx

    context = ssl.create_default_context(cafile=gate.ca)
    proxy = f"http://127.0.0.1:{gate.address[1]}"
    with httpx.Client(proxy=proxy, verify=context, trust_env=False, http2=True) as client:
        for _ in range(3):
            found = client.get(f"https://{HOST}/ok")
            assert (found.http_version, found.text) == ("HTTP/2", "ok")
            assert KEY not in found.headers["x-seen"]
        assert client.post(f"https://{HOST}/echo", content=b"x" * 400_000).content == b"x" * 400_000
        assert client.get(f"https://{HOST}/closed").status_code == 403
