"""Envoy, set up for the gate's work."""

import json
import os
import re
import shutil
import ssl
import subprocess

from engine import CACHE, SECRET, Engine
from world import EVENTS, HOST, OPAQUE


class Envoy(Engine):
    """Envoy from its wheel: CONNECT to an internal listener that terminates TLS with a static leaf."""

    name = "Envoy"
    skips = ("visit",)  # its leaves are made beforehand, one for each host
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
        command = [
            self.program,
            "-c",
            path,
            "--concurrency",
            "1",
            "--log-level",
            "error",
            "--disable-hot-restart",
        ]
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
        pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
        for name, host in (("leaf.pem", HOST), ("events.pem", EVENTS)):
            chain = (leaf.mint(authority, leaf.public_key(key), host), authority.certificate)
            self.write(name, "".join(map(ssl.DER_cert_to_PEM_cert, chain)))
        private = key.private_bytes(pem, pkcs8, serialization.NoEncryption())
        self.write("leaf.key", private.decode())

    def _configuration(self) -> dict[str, object]:
        static: dict[str, object] = {
            "listeners": [
                self._listener("gateway", self._address(self.gateway_port), self._http("gateway", "*")),
                self._listener("proxy", self._address(self.port), self._connect()),
                {
                    "name": "inside",
                    "internal_listener": {},
                    "listener_filters": [
                        _typed(
                            "envoy.filters.listener.tls_inspector",
                            "envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector",
                        )
                    ],
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
        bootstrap = _typed(
            "envoy.bootstrap.internal_listener",
            "envoy.extensions.bootstrap.internal_listener.v3.InternalListener",
        )
        static["secrets"] = [{"name": "key", "generic_secret": {"secret": {"inline_string": SECRET}}}]
        return {"static_resources": static, "bootstrap_extensions": [bootstrap]}

    def _address(self, port: int) -> dict[str, object]:
        return {"socket_address": {"address": "127.0.0.1", "port_value": port}}

    def _listener(
        self, name: str, address: dict[str, object], manager: dict[str, object]
    ) -> dict[str, object]:
        return {"name": name, "address": address, "filter_chains": [{"filters": [manager]}]}

    def _inside(self, host: str, leaf: str) -> dict[str, object]:
        certificate = {
            "certificate_chain": {"filename": self.path(leaf)},
            "private_key": {"filename": self.path("leaf.key")},
        }
        tls = _typed(
            "envoy.transport_sockets.tls",
            "envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
            common_tls_context={"tls_certificates": [certificate], "alpn_protocols": ["http/1.1"]},
        )
        return {
            "filter_chain_match": {"server_names": [host]},
            "transport_socket": tls,
            "filters": [self._http("inside", host)],
        }

    def _http(self, name: str, domain: str) -> dict[str, object]:
        cluster = "events" if domain == EVENTS else "up"
        route = {
            "match": {"prefix": "/"},
            "route": {
                "cluster": cluster,
                "host_rewrite_literal": EVENTS if domain == EVENTS else HOST,
                "timeout": "0s",
            },
        }
        allowed = {"safe_regex": {"regex": "^/([^a].*|a[^d].*)?$"}}
        policies = {
            "paths": {"permissions": [{"url_path": {"path": allowed}}], "principals": [{"any": True}]}
        }
        rbac = _typed(
            "envoy.filters.http.rbac",
            "envoy.extensions.filters.http.rbac.v3.RBAC",
            rules={"action": "ALLOW", "policies": policies},
        )
        secret = _typed(
            "envoy.http.injected_credentials.generic",
            "envoy.extensions.http.injected_credentials.generic.v3.Generic",
            credential={"name": "key"},
            header="x-api-key",
        )
        inject = _typed(
            "envoy.filters.http.credential_injector",
            "envoy.extensions.filters.http.credential_injector.v3.CredentialInjector",
            overwrite=True,
            credential=secret,
        )
        return self._manager(name, [rbac, inject], [{"name": "all", "domains": ["*"], "routes": [route]}])

    def _connect(self) -> dict[str, object]:
        tunnel = {"upgrade_configs": [{"upgrade_type": "CONNECT", "connect_config": {}}], "timeout": "0s"}
        hosts = [
            {
                "name": "opaque",
                "domains": [f"{OPAQUE}:443"],
                "routes": [{"match": {"connect_matcher": {}}, "route": {"cluster": "opaque", **tunnel}}],
            },
            {
                "name": "allowed",
                "domains": [f"{HOST}:443", f"{EVENTS}:443"],
                "routes": [{"match": {"connect_matcher": {}}, "route": {"cluster": "inside", **tunnel}}],
            },
        ]
        return self._manager("proxy", [], hosts, upgrade_configs=[{"upgrade_type": "CONNECT"}])

    def _manager(
        self, name: str, filters: list[object], hosts: list[object], **more: object
    ) -> dict[str, object]:
        log = _typed(
            "envoy.access_loggers.file",
            "envoy.extensions.access_loggers.file.v3.FileAccessLog",
            path=self.path("access.log"),
            log_format={
                "json_format": {
                    "time": "%START_TIME%",
                    "method": "%REQ(:METHOD)%",
                    "host": "%REQ(:AUTHORITY)%",
                    "path": "%REQ(:PATH)%",
                    "status": "%RESPONSE_CODE%",
                    "up": "%BYTES_RECEIVED%",
                    "down": "%BYTES_SENT%",
                    "ms": "%DURATION%",
                }
            },
        )
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
        tls = _typed(
            "envoy.transport_sockets.tls",
            "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
            sni=host,
            common_tls_context={
                "validation_context": verified,
                "tls_params": {"tls_maximum_protocol_version": "TLSv1_3"},
            },
        )
        return self._cluster(name, self._address(port), transport_socket=tls)


def _typed(name: str, kind: str, **more: object) -> dict[str, object]:
    return {"name": name, "typed_config": {"@type": f"type.googleapis.com/{kind}", **more}}
