"""The gate and its peers, each set up for the same work: `gate.py` measures them.

The work: a policy with a rule about host and path, a secret put into one header in place of the client's
own, TLS on both sides with the upstream verified, one line of log a request. Each peer is configured as its
own documentation has it; what one cannot do is left out of its row.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import time

from world import EVENTS, HOST, OPAQUE, ROOT, World, end, free_port, wait_port

from gates import Running, credential, rule  # tests/egress, on the path through world
from ringfence.policy.model import Gateway

SECRET = "sk-real-0123456789abcdefghijklmnop"
CACHE = os.path.join(ROOT, ".cache")


class Engine:
    """One engine under one configuration. `skips` names work that it cannot do."""

    name = ""
    skips: tuple[str, ...] = ()

    def __init__(self, world: World, folder: str) -> None:
        self.world = world
        self.folder = folder
        os.makedirs(folder, exist_ok=True)
        os.chmod(folder, 0o777)
        self.port, self.gateway_port = free_port(), free_port()
        self.gateway_host = "gateway.example.com"
        self.ca = os.path.join(folder, "ca.pem")
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process whose family is the engine."""
        return self.process.pid if self.process else 0

    @classmethod
    def found(cls) -> bool:
        """Say whether it is installed."""
        return True

    def version(self) -> str:
        """Say which version is measured."""
        return ""

    def start(self) -> None:
        """Start, and wait until it listens."""

    def stop(self) -> None:
        """End it."""
        if self.process:
            end(self.process)
            self.process = None

    def path(self, name: str) -> str:
        """Return a file of this engine's own."""
        return os.path.join(self.folder, name)

    def write(self, name: str, text: str) -> str:
        """Write one such file."""
        with open(self.path(name), "w", encoding="utf-8") as file:
            file.write(text)
        return self.path(name)

    def launch(self, command: list[str], *ports: int, **more: object) -> None:
        """Start the engine and wait for its ports."""
        with open(self.path("out"), "ab") as out:
            self.process = subprocess.Popen(  # type: ignore[call-overload]
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, **more
            )
        for port in ports:
            wait_port(port)

    def authority(self) -> None:
        """Make an authority of its own for leaves, as PEM: certificate in ca.pem, key in ca.key."""
        from cryptography.hazmat.primitives import serialization

        from ringfence.egress.mint import mint

        made = mint(self.path("made"))
        for one in ("ca.pem", "ca.key"):
            shutil.copy(os.path.join(made, one), self.path(one))
            os.chmod(self.path(one), 0o644)
        with open(self.path("ca.key"), "rb") as file:
            key = serialization.load_pem_private_key(file.read(), None)
        with open(self.path("ca.key"), "wb") as file:
            file.write(
                key.private_bytes(
                    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
                )
            )

    # --- what the load generator is told

    def intercept(self, host: str = HOST) -> dict[str, object]:
        """Options for requests through CONNECT and TLS that the engine terminates."""
        return {"to": f"127.0.0.1:{self.port}", "connect": f"{host}:443", "name": host, "tls": 1, "ca": self.ca}

    def gateway(self) -> dict[str, object]:
        """Options for plain requests that the engine sends on over TLS."""
        return {"to": f"127.0.0.1:{self.gateway_port}", "name": self.gateway_host}

    def opaque(self) -> dict[str, object]:
        """Options for TLS that the engine passes on unseen."""
        return {
            "to": f"127.0.0.1:{self.port}", "connect": f"{OPAQUE}:443", "name": OPAQUE, "tls": 1,
            "ca": self.world.ca,
        }  # fmt: skip


class Direct(Engine):
    """No engine: the upstream itself."""

    name = "direct"
    skips = ("start", "idle", "first")

    @property
    def pid(self) -> int:
        """The upstream's process."""
        return self.world.nginx.pid

    def intercept(self, host: str = HOST) -> dict[str, object]:
        """Straight to the upstream."""
        port = self.world.events_port if host == EVENTS else self.world.port
        return {"to": f"127.0.0.1:{port}", "name": host, "tls": 1, "ca": self.world.ca}

    gateway = intercept
    opaque = intercept


class Ringfence(Engine):
    """This project's gate."""

    name = "ringfence"

    def version(self) -> str:
        """Return the commit."""
        return subprocess.run(
            ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
        ).stdout.strip()

    def start(self) -> None:
        """Start as the launcher does: sockets listen before the process is there."""
        upstream = f"127.0.0.1:{self.world.port}"
        folder = self.path(str(time.monotonic_ns()))
        os.makedirs(folder)
        many = tuple(rule(f"host{number}.example.com") for number in range(50))
        self.running = Running(
            folder,
            allow=(*many, rule(HOST, paths=("/**",)), rule(EVENTS), rule(OPAQUE)),
            deny=(rule(HOST, paths=("/admin/**",)),),
            static=((HOST, upstream), (OPAQUE, upstream), (EVENTS, f"127.0.0.1:{self.world.events_port}")),
            extra_ca=(self.world.ca,),
            splice=(OPAQUE,),
            environment={"TEST_KEY": SECRET},
            credentials=(credential(HOST, header="x-api-key", strip=("authorization",)),),
            gateways=(Gateway(name="model", upstream=f"https://{HOST}"),),
        )
        self.process = self.running.process
        self.ca = self.running.ca
        self.port = self.gateway_port = self.running.address[1]
        self.gateway_host = "model.gateway.internal"

    def stop(self) -> None:
        """End it as the launcher does."""
        if self.process:
            self.running.stop()
            self.process = None


class Envoy(Engine):
    """Envoy from its wheel: CONNECT to an internal listener that terminates TLS with a static leaf."""

    name = "Envoy"
    program = os.path.join(CACHE, "envoy", "bin", "envoy")

    @classmethod
    def found(cls) -> bool:
        """Look in .cache/envoy."""
        return os.path.exists(cls.program)

    def version(self) -> str:
        """Ask it."""
        done = subprocess.run([self.program, "--version"], capture_output=True, text=True, check=False)
        return re.search(r"/([0-9.]+)/", done.stdout).group(1)

    def start(self) -> None:
        """Write the configuration as JSON and start with one worker, as the gate has."""
        self._leaf()
        path = self.write("envoy.json", json.dumps(self._configuration()))
        command = [self.program, "-c", path, "--concurrency", "1", "--log-level", "error", "--disable-hot-restart"]
        self.launch(command, self.port, self.gateway_port)

    def _leaf(self) -> None:
        if os.path.exists(self.path("leaf.pem")):
            return
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ec

        from ringfence.egress import leaf

        self.authority()
        key = ec.generate_private_key(ec.SECP256R1())
        shutil.copytree(self.path("made"), self.path("taken"), dirs_exist_ok=True)
        (name,) = os.listdir(self.path("taken"))
        authority = leaf.load(os.path.join(self.path("taken"), name))
        pem = serialization.Encoding.PEM
        text = b"".join(
            leaf.mint(authority, key.public_key(), host).public_bytes(pem) for host in (HOST,)
        ) + authority.certificate.public_bytes(pem)
        events = leaf.mint(authority, key.public_key(), EVENTS).public_bytes(pem)
        private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        self.write("leaf.pem", text.decode())
        self.write("events.pem", (events + authority.certificate.public_bytes(pem)).decode())
        self.write("leaf.key", private.decode())

    def _configuration(self) -> dict[str, object]:
        static: dict[str, object] = {
            "listeners": [
                self._listener("gateway", self._address(self.gateway_port), self._http("gateway", "*")),
                self._listener("proxy", self._address(self.port), self._connect()),
                {
                    "name": "inside",
                    "internal_listener": {},
                    "listener_filters": [_typed("envoy.filters.listener.tls_inspector", "envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector")],
                    "filter_chains": [self._inside(HOST, "leaf.pem"), self._inside(EVENTS, "events.pem")],
                },
            ],
            "clusters": [
                self._upstream("up", HOST, self.world.port),
                self._upstream("events", EVENTS, self.world.events_port),
                self._cluster("opaque", self._address(self.world.port)),
                self._cluster("inside", {"envoy_internal_address": {"server_listener_name": "inside"}}),
            ],
        }
        bootstrap = _typed("envoy.bootstrap.internal_listener", "envoy.extensions.bootstrap.internal_listener.v3.InternalListener")
        static["secrets"] = [{"name": "key", "generic_secret": {"secret": {"inline_string": SECRET}}}]
        return {"static_resources": static, "bootstrap_extensions": [bootstrap]}

    def _address(self, port: int) -> dict[str, object]:
        return {"socket_address": {"address": "127.0.0.1", "port_value": port}}

    def _listener(self, name: str, address: dict[str, object], manager: dict[str, object]) -> dict[str, object]:
        return {"name": name, "address": address, "filter_chains": [{"filters": [manager]}]}

    def _inside(self, host: str, leaf: str) -> dict[str, object]:
        certificate = {
            "certificate_chain": {"filename": self.path(leaf)},
            "private_key": {"filename": self.path("leaf.key")},
        }
        tls = _typed("envoy.transport_sockets.tls", "envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext", common_tls_context={"tls_certificates": [certificate], "alpn_protocols": ["http/1.1"]})
        return {
            "filter_chain_match": {"server_names": [host]},
            "transport_socket": tls,
            "filters": [self._http("inside", host)],
        }

    def _http(self, name: str, domain: str) -> dict[str, object]:
        cluster = "events" if domain == EVENTS else "up"
        route = {"match": {"prefix": "/"}, "route": {"cluster": cluster, "host_rewrite_literal": EVENTS if domain == EVENTS else HOST, "timeout": "0s"}}
        allowed = {"safe_regex": {"regex": "^/([^a].*|a[^d].*)?$"}}
        policies = {"paths": {"permissions": [{"url_path": {"path": allowed}}], "principals": [{"any": True}]}}
        rbac = _typed("envoy.filters.http.rbac", "envoy.extensions.filters.http.rbac.v3.RBAC", rules={"action": "ALLOW", "policies": policies})
        secret = _typed("envoy.http.injected_credentials.generic", "envoy.extensions.http.injected_credentials.generic.v3.Generic", credential={"name": "key"}, header="x-api-key")
        inject = _typed("envoy.filters.http.credential_injector", "envoy.extensions.filters.http.credential_injector.v3.CredentialInjector", overwrite=True, credential=secret)
        return self._manager(name, [rbac, inject], [{"name": "all", "domains": ["*"], "routes": [route]}])

    def _connect(self) -> dict[str, object]:
        tunnel = {"upgrade_configs": [{"upgrade_type": "CONNECT", "connect_config": {}}], "timeout": "0s"}
        hosts = [
            {"name": "opaque", "domains": [f"{OPAQUE}:443"], "routes": [{"match": {"connect_matcher": {}}, "route": {"cluster": "opaque", **tunnel}}]},
            {"name": "allowed", "domains": [f"{HOST}:443", f"{EVENTS}:443"], "routes": [{"match": {"connect_matcher": {}}, "route": {"cluster": "inside", **tunnel}}]},
        ]
        return self._manager("proxy", [], hosts, upgrade_configs=[{"upgrade_type": "CONNECT"}])

    def _manager(self, name: str, filters: list[object], hosts: list[object], **more: object) -> dict[str, object]:
        log = _typed("envoy.access_loggers.file", "envoy.extensions.access_loggers.file.v3.FileAccessLog", path=self.path("access.log"), log_format={"json_format": {"time": "%START_TIME%", "method": "%REQ(:METHOD)%", "host": "%REQ(:AUTHORITY)%", "path": "%REQ(:PATH)%", "status": "%RESPONSE_CODE%", "up": "%BYTES_RECEIVED%", "down": "%BYTES_SENT%", "ms": "%DURATION%"}})
        router = _typed("envoy.filters.http.router", "envoy.extensions.filters.http.router.v3.Router")
        return _typed(
            "envoy.filters.network.http_connection_manager",
            "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
            stat_prefix=name,
            route_config={"name": name, "virtual_hosts": hosts},
            http_filters=[*filters, router],
            access_log=[log],
            normalize_path=True,
            merge_slashes=True,
            path_with_escaped_slashes_action="REJECT_REQUEST",
            generate_request_id=False,
            stream_idle_timeout="0s",
            **more,
        )

    def _cluster(self, name: str, address: dict[str, object], **more: object) -> dict[str, object]:
        endpoints = [{"lb_endpoints": [{"endpoint": {"address": address}}]}]
        return {
            "name": name, "type": "STATIC", "connect_timeout": "5s",
            "load_assignment": {"cluster_name": name, "endpoints": endpoints}, **more,
        }  # fmt: skip

    def _upstream(self, name: str, host: str, port: int) -> dict[str, object]:
        match = {"san_type": "DNS", "matcher": {"exact": host}}
        verified = {"trusted_ca": {"filename": self.world.ca}, "match_typed_subject_alt_names": [match]}
        tls = _typed("envoy.transport_sockets.tls", "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext", sni=host, common_tls_context={"validation_context": verified, "tls_params": {"tls_maximum_protocol_version": "TLSv1_3"}})
        return self._cluster(name, self._address(port), transport_socket=tls)


def _typed(name: str, kind: str, **more: object) -> dict[str, object]:
    return {"name": name, "typed_config": {"@type": f"type.googleapis.com/{kind}", **more}}


class Squid(Engine):
    """Squid with ssl-bump; its gateway is an accelerator port."""

    name = "Squid"
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
        subprocess.run([certgen, "-c", "-s", self.path("leaves"), "-M", "4MB"], check=True, capture_output=True)
        for one in [self.path("leaves"), *(os.path.join(top, name) for top, folders, files in os.walk(self.path("leaves")) for name in folders + files)]:
            shutil.chown(one, "proxy", "proxy")
        hosts = self.write("hosts", f"127.0.0.1 {HOST} {OPAQUE} {EVENTS}\n")
        up, events = self.world.port, self.world.events_port
        path = self.write(
            "squid.conf",
            f"""
http_port 127.0.0.1:{self.port} ssl-bump generate-host-certificates=on tls-cert={self.path("both.pem")} dynamic_cert_mem_cache_size=4MB
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
cache_peer 127.0.0.1 parent {up} 0 no-query originserver no-digest name=up tls tls-cafile={self.world.ca} ssldomain={HOST} forceddomain={HOST}
cache_peer 127.0.0.1 parent {events} 0 no-query originserver no-digest name=events tls tls-cafile={self.world.ca} ssldomain={EVENTS}
acl events dstdomain {EVENTS}
cache_peer_access up allow up
cache_peer_access up deny all
cache_peer_access events allow events
cache_peer_access events deny all
never_direct allow up
never_direct allow events
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

    def opaque(self) -> dict[str, object]:
        """Squid dials the port of the CONNECT."""
        return {**super().opaque(), "connect": f"{OPAQUE}:{self.world.port}"}


MITM = '''
import json, time
from mitmproxy import http

LOG = open({log!r}, "a", buffering=1)

class Bench:
    def server_connect(self, data):
        host = data.server.address[0]
        data.server.address = ("127.0.0.1", {events} if host == {events_host!r} else {up})
        if host in ({host!r}, {events_host!r}):
            data.server.sni = host

    def requestheaders(self, flow):
        host, path = flow.request.host, flow.request.path
        if host not in ({host!r}, {events_host!r}) or path.startswith("/admin/"):
            flow.response = http.Response.make(403)
            return
        if host == {host!r}:
            flow.request.headers["x-api-key"] = {secret!r}

    def responseheaders(self, flow):
        flow.response.stream = True
        LOG.write(json.dumps(dict(time=time.time(), method=flow.request.method, host=flow.request.host,
            path=flow.request.path, status=flow.response.status_code)) + "\\n")

addons = [Bench()]
'''


class Mitmproxy(Engine):
    """mitmdump with an addon that decides, puts the secret in, streams and logs."""

    name = "mitmproxy"
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
                log=self.path("access.log"), up=self.world.port, events=self.world.events_port, host=HOST,
                events_host=EVENTS, secret=SECRET,
            ),
        )  # fmt: skip
        command = [
            self.program, "-q", "--set", f"confdir={self.path('conf')}", "-s", addon,
            "--set", f"ssl_verify_upstream_trusted_ca={self.world.ca}", "--set", "connection_strategy=lazy",
            "--ignore-hosts", f"^{OPAQUE}:443$",
            "--mode", f"regular@127.0.0.1:{self.port}",
            "--mode", f"reverse:https://{HOST}:{self.world.port}@127.0.0.1:{self.gateway_port}",
        ]  # fmt: skip
        self.launch(command, self.port, self.gateway_port)
        self.ca = self.path("conf/mitmproxy-ca-cert.pem")


ENGINES: list[type[Engine]] = [Direct, Ringfence, Envoy, Squid, Mitmproxy]


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
                for what in (engine.gateway(), engine.intercept(), engine.opaque()):
                    print(kind.name, engine.version(), world.load(mode="new", requests=2, **what))
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
