"""The gate's peers, each set up for the same work; those that are installed are measured.

Envoy has a file of its own. Names resolve to loopback by a hosts file that only the engine sees.
"""

import json
import os
import re
import shutil
import subprocess
import sys

from engine import CACHE, SECRET, Direct, Engine, Ringfence
from peer_envoy import Envoy
from world import EVENTS, HOST, OPAQUE, VISITED, World


class Squid(Engine):
    """Squid with ssl-bump; its gateway is an accelerator port."""

    name = "Squid"
    skips = ("visit",)
    program = shutil.which("squid") or "/usr/sbin/squid"

    @classmethod
    def found(cls) -> bool:
        """Look for squid with TLS."""
        return os.path.exists(cls.program) and os.path.exists("/usr/lib/squid/security_file_certgen")

    def version(self) -> str:
        """Ask it."""
        done = subprocess.run([self.program, "-v"], capture_output=True, text=True, check=False)
        return re.search(r"Version ([0-9.]+)", done.stdout).group(1)

    def start(self) -> None:
        """Write the configuration, make the folder for leaves, start in the foreground."""
        if not os.path.exists(self.ca):
            self.authority()
            with open(self.ca, encoding="ascii") as ca, open(self.path("ca.key"), encoding="ascii") as key:
                self.write("both.pem", ca.read() + key.read())
        certgen = "/usr/lib/squid/security_file_certgen"
        shutil.rmtree(self.path("leaves"), ignore_errors=True)
        subprocess.run(
            [certgen, "-c", "-s", self.path("leaves"), "-M", "4MB"], check=True, capture_output=True
        )
        for one in [
            self.path("leaves"),
            *(
                os.path.join(top, name)
                for top, folders, files in os.walk(self.path("leaves"))
                for name in folders + files
            ),
        ]:
            shutil.chown(one, "proxy", "proxy")
        hosts = self.write("hosts", f"127.0.0.1 {HOST} {OPAQUE} {EVENTS}\n")
        bump = (
            f"generate-host-certificates=on tls-cert={self.path('both.pem')} dynamic_cert_mem_cache_size=4MB"
        )
        names = f"ssldomain={HOST} forceddomain={HOST}"
        peer = f"no-query originserver no-digest name=up tls tls-cafile={self.world.ca} {names}"
        path = self.write(
            "squid.conf",
            f"""
http_port 127.0.0.1:{self.port} ssl-bump {bump} dynamic_cert_mem_cache_size=4MB
http_port 127.0.0.1:{self.gateway_port} accel defaultsite={HOST} no-vhost name=gateway
sslcrtd_program {certgen} -s {self.path("leaves")} -M 4MB
sslcrtd_children 1 startup=1
acl step1 at_step SslBump1
acl opaque ssl::server_name {OPAQUE}
acl opaque_connect dstdomain {OPAQUE}
ssl_bump splice opaque_connect
ssl_bump bump all
acl allowed dstdomain {HOST} {EVENTS} {OPAQUE}
acl denied urlpath_regex ^/admin/
acl up dstdomain {HOST}
http_access deny denied
http_access allow allowed
http_access deny all
cache_peer 127.0.0.1 parent {self.world.port} 0 {peer}
acl gateway myportname gateway
cache_peer_access up allow gateway
cache_peer_access up deny all
never_direct allow gateway
always_direct deny gateway
always_direct allow all
request_header_access x-api-key deny all
request_header_add x-api-key "{SECRET}" up
tls_outgoing_options cafile={self.world.ca}
hosts_file {hosts}
cache deny all
logformat line {{"time":"%ts.%03tu","method":"%rm","url":"%ru","status":%>Hs,"down":%<st,"ms":%tr}}
access_log stdio:{self.path("access.log")} line
cache_log {self.path("cache.log")}
pid_filename {self.path("squid.pid")}
coredump_dir {self.folder}
shutdown_lifetime 0 seconds
visible_hostname bench
workers 1
max_filedescriptors 4096
""",
        )
        self.launch([self.program, "-N", "-f", path, "-n", f"b{os.getpid()}"], self.port, self.gateway_port)

    def gateway(self) -> dict[str, object]:
        """Its accelerator answers for the host itself."""
        return {"to": f"127.0.0.1:{self.gateway_port}", "name": HOST}

    def intercept(self, host: str = HOST) -> dict[str, object]:
        """Squid dials what the inner Host says."""
        options = _by_port(self.world, super().intercept(host), host)
        return {**options, "host": options["connect"]}

    def opaque(self) -> dict[str, object]:
        """Squid dials the port of the CONNECT."""
        return _by_port(self.world, super().opaque(), OPAQUE)


def _by_port(world: World, options: dict[str, object], host: str) -> dict[str, object]:
    """Name the upstream's real port in CONNECT, for engines that cannot be told another."""
    port = world.events_port if host == EVENTS else world.port
    return {**options, "connect": f"{host}:{port}"}


MITM = """
import json, time
from mitmproxy import http

LOG = open({log!r}, "a", buffering=1)

class Bench:
    def requestheaders(self, flow):
        host, path = flow.request.host, flow.request.path
        if not host.endswith(".example.com") or path.startswith("/admin/"):
            flow.response = http.Response.make(403)
            return
        if host == {host!r}:
            flow.request.headers["x-api-key"] = {secret!r}

    def responseheaders(self, flow):
        flow.response.stream = True
        LOG.write(json.dumps(dict(time=time.time(), method=flow.request.method, host=flow.request.host,
            path=flow.request.path, status=flow.response.status_code)) + "\\n")

addons = [Bench()]
"""


class Mitmproxy(Engine):
    """mitmdump with an addon that decides, puts the secret in, streams and logs."""

    name = "mitmproxy"
    scale = 0.1
    program = os.path.join(CACHE, "mitm", "bin", "mitmdump")

    @classmethod
    def found(cls) -> bool:
        """Look in .cache/mitm."""
        return os.path.exists(cls.program)

    def version(self) -> str:
        """Ask it."""
        done = subprocess.run([self.program, "--version"], capture_output=True, text=True, check=False)
        return re.search(r"Mitmproxy: ([0-9.]+)", done.stdout).group(1)

    def start(self) -> None:
        """Start with one proxy port and one reverse port."""
        addon = self.write(
            "addon.py",
            MITM.format(
                log=self.path("access.log"), host=HOST, secret=SECRET
            ),
        )  # fmt: skip
        command = [
            *_with_names(self),
            self.program, "-q", "--set", f"confdir={self.path('conf')}", "-s", addon,
            "--set", f"ssl_verify_upstream_trusted_ca={self.world.ca}", "--set", "connection_strategy=lazy",
            "--ignore-hosts", f"^{OPAQUE}:",
            "--mode", f"regular@127.0.0.1:{self.port}",
            "--mode", f"reverse:https://{HOST}:{self.world.port}@127.0.0.1:{self.gateway_port}",
        ]  # fmt: skip
        self.launch(command, self.port, self.gateway_port)
        self.ca = self.path("conf/mitmproxy-ca-cert.pem")

    def intercept(self, host: str = HOST) -> dict[str, object]:
        """Options by the upstream's real port: it dials that of the CONNECT."""
        return _by_port(self.world, super().intercept(host), host)

    def opaque(self) -> dict[str, object]:
        """Options by the upstream's real port: it dials that of the CONNECT."""
        return _by_port(self.world, super().opaque(), OPAQUE)


SRT = """
import fs from 'node:fs'
import { createHttpProxyServer } from '%(package)s/dist/sandbox/http-proxy.js'
import { createMitmCA } from '%(package)s/dist/sandbox/mitm-ca.js'
const log = fs.createWriteStream('%(log)s')
const mitmCA = createMitmCA({ caCertPath: '%(ca)s', caKeyPath: '%(key)s' })
const allowed = host => host.endsWith('.example.com')
createHttpProxyServer({
  filter: (port, host) => allowed(host),
  mitmCA,
  shouldTerminateTLS: host => host !== '%(opaque)s',
  tlsTerminateUpstreamCA: fs.readFileSync('%(upstream)s'),
  filterRequest: async request => {
    const url = new URL(request.url)
    const deny = url.pathname.startsWith('/admin/')
    log.write(JSON.stringify({ time: Date.now(), method: request.method, url: request.url, deny }) + '\\n')
    return deny ? { action: 'deny', reason: 'rule' } : { action: 'allow' }
  },
  mutateHeaders: (headers, host) => { if (host === '%(host)s') headers['x-api-key'] = '%(secret)s' },
}).listen(%(port)d, '127.0.0.1')
"""


class SandboxRuntime(Engine):
    """The proxy of Anthropic's sandbox-runtime, terminating TLS."""

    name = "srt"
    scale = 0.3
    skips = ("gateway", "messages")
    package = os.path.join(CACHE, "srt", "node_modules", "@anthropic-ai", "sandbox-runtime")

    @classmethod
    def found(cls) -> bool:
        """Look in .cache/srt."""
        return os.path.exists(cls.package) and shutil.which("node") is not None

    def version(self) -> str:
        """Read its package."""
        with open(os.path.join(self.package, "package.json"), encoding="utf-8") as file:
            return json.load(file)["version"]

    def start(self) -> None:
        """Start a script around its proxy."""
        if not os.path.exists(self.ca):
            self._rsa()
        names = {
            "ca": self.ca,
            "key": self.path("ca.key"),
            "upstream": self.world.ca,
            "log": self.path("log"),
        }
        facts = {"package": self.package, "opaque": OPAQUE, "host": HOST, "secret": SECRET, "port": self.port}
        path = self.write("proxy.mjs", SRT % {**names, **facts})
        self.launch([*_with_names(self), "node", path], self.port)

    def _rsa(self) -> None:
        """Make its authority: it signs with RSA."""
        made = ("-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=bench", "-sha256")
        out = ("-keyout", self.path("ca.key"), "-out", self.ca)
        use = ("-addext", "keyUsage=critical,keyCertSign,cRLSign")
        subprocess.run(["openssl", "req", "-x509", *made, *use, *out], check=True, capture_output=True)

    def intercept(self, host: str = HOST) -> dict[str, object]:
        """Options by the upstream's real port: it dials that of the CONNECT."""
        return _by_port(self.world, super().intercept(host), host)

    def opaque(self) -> dict[str, object]:
        """Options by the upstream's real port."""
        return _by_port(self.world, super().opaque(), OPAQUE)


def _with_names(engine: Engine) -> list[str]:
    """Return the front of a command that runs with a name service of its own."""
    known = f"127.0.0.1 localhost {HOST} {OPAQUE} {EVENTS} {' '.join(VISITED)}\n"
    hosts = engine.write("hosts", known)
    inside = f'mount --bind {hosts} /etc/hosts && exec "$@"'
    return ["unshare", "--mount", "sh", "-c", inside, "sh"]


class LiteLLM(Engine):
    """LiteLLM's proxy: a model's API only."""

    name = "LiteLLM"
    scale = 0.02
    skips = ("intercept", "gateway", "keep", "late", "events", "opaque", "connections", "visit", "anew")
    program = os.path.join(CACHE, "litellm", "bin", "litellm")

    @classmethod
    def found(cls) -> bool:
        """Look in .cache/litellm."""
        return os.path.exists(cls.program)

    def version(self) -> str:
        """Ask its interpreter."""
        ask = "import importlib.metadata as m; print(m.version('litellm'))"
        python = os.path.join(os.path.dirname(self.program), "python")
        return subprocess.run([python, "-c", ask], capture_output=True, text=True, check=False).stdout.strip()

    def start(self) -> None:
        """Start with one model, whose API is the upstream."""
        model = {
            "model": "anthropic/m",
            "api_key": SECRET,
            "api_base": f"https://127.0.0.1:{self.world.port}",
        }
        alone = {"dangerously_permit_weak_or_unset_master_key": True}  # the measured request brings no key
        settings = {"model_list": [{"model_name": "m", "litellm_params": model}], "general_settings": alone}
        path = self.write("config.yaml", json.dumps(settings))
        command = [self.program, "--config", path, "--host", "127.0.0.1", "--port", str(self.gateway_port)]
        environment = {
            **os.environ,
            "SSL_CERT_FILE": self.world.ca,
            "LITELLM_LOG": "ERROR",
            "DO_NOT_TRACK": "1",
        }
        self.launch(command, self.gateway_port, env=environment)
        self.world.load(mode="new", requests=1, body=2000, path="/v1/messages", **self.gateway())


ENGINES: list[type[Engine]] = [Direct, Ringfence, Envoy, Squid, SandboxRuntime, Mitmproxy, LiteLLM]


def main() -> int:
    """Start each engine once and make one request of each kind, to see that the set-up is right."""
    import tempfile

    with tempfile.TemporaryDirectory(prefix="ringfence-bench-") as folder:
        world = World(folder)
        for kind in ENGINES:
            if not kind.found() or (len(sys.argv) > 1 and kind.name not in sys.argv[1:]):
                continue
            engine = kind(world, os.path.join(folder, kind.name))
            try:
                engine.start()
                if "messages" not in engine.skips:
                    asked = {"body": 2000, "path": "/v1/messages", **engine.gateway()}
                    print(kind.name, engine.version(), world.load(mode="new", requests=2, **asked))
                if "intercept" in engine.skips:
                    continue
                for what in (engine.intercept(), engine.opaque()):
                    print(kind.name, world.load(mode="keep", requests=9, connections=2, **what))
                print(kind.name, world.load(mode="events", **engine.intercept(EVENTS)))
            except Exception as error:  # noqa: BLE001 - shown, and the next one is tried
                print(kind.name, error)
                if os.path.exists(engine.path("out")):
                    with open(engine.path("out"), encoding="utf-8", errors="replace") as file:
                        print(file.read()[-3000:])
            finally:
                engine.stop()
        world.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
