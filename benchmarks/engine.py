"""What is measured: engines, each set up for the same work, and the gate as one of them.

The work: a policy with a rule about host and path, a secret put into one header in place of the client's
own, TLS on both sides with the upstream verified, one line of log a request. Each peer is configured as its
own documentation has it; what one cannot do is left out of its row.
"""

import os
import shutil
import subprocess
import time

from world import (
    EVENTS,
    HOST,
    OPAQUE,
    ROOT,
    VISITED,
    Running,
    World,
    credential,
    end,
    free_port,
    rule,
    wait_port,
)

from ringfence.policy.model import Gateway

SECRET = "sk-real-0123456789abcdefghijklmnop"
CACHE = os.path.join(ROOT, ".cache")


class Engine:
    """One engine under one configuration. `skips` names work that it cannot do."""

    name = ""
    skips: tuple[str, ...] = ()  # what it cannot do, or not in this way
    scale = 1.0  # how many requests of the usual number are enough

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
                    serialization.Encoding.PEM,
                    serialization.PrivateFormat.PKCS8,
                    serialization.NoEncryption(),
                )
            )

    # --- what the load generator is told

    def intercept(self, host: str = HOST) -> dict[str, object]:
        """Options for requests through CONNECT and TLS that the engine terminates."""
        return {
            "to": f"127.0.0.1:{self.port}",
            "connect": f"{host}:443",
            "name": host,
            "tls": 1,
            "ca": self.ca,
        }

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
    skips = ("start", "memory", "visit")

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
    """The gate."""

    name = "ringfence"

    def version(self) -> str:
        """Return the commit."""
        return subprocess.run(
            ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
        ).stdout.strip()

    def start(self) -> None:
        """Start as the launcher does: sockets listen before the process is there."""
        upstream = f"127.0.0.1:{self.world.port}"
        visited = tuple((host, upstream) for host in VISITED)
        folder = self.path(str(time.monotonic_ns()))
        os.makedirs(folder)
        many = tuple(rule(f"host{number}.example.com") for number in range(50))
        self.running = Running(
            folder,
            allow=(*many, rule(HOST, paths=("/**",)), rule(EVENTS), rule(OPAQUE), *map(rule, VISITED)),
            deny=(rule(HOST, paths=("/admin/**",)),),
            static=(
                *((HOST, upstream), (OPAQUE, upstream), (EVENTS, f"127.0.0.1:{self.world.events_port}")),
                *visited,
            ),
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
