"""`ringfence egress`: the gate alone, for agents that run in containers, in CI or on other machines."""

import os
import sys

from ringfence.cli import options
from ringfence.errors import PolicyError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ringfence.boundary.folder import Folder
    from ringfence.egress.identity import Identity
    from ringfence.egress.tenant import Setup
    from ringfence.handover import Handover, Publication
    from ringfence.host.model import Host
    from ringfence.policy.model import Credential, Policy

USAGE = "ringfence egress --listen ADDRESS (--policy FILE | --identities FILE) [OPTION …]"
ABOUT = (
    "Serve the gate without a boundary: an HTTP and SOCKS 5 proxy that decides on every request by policy,\n"
    "puts credentials in and writes the log. SIGHUP reads everything again, SIGTERM lets what is under way\n"
    "end. `ringfence egress ca [--identity NAME]` prints the certificate authority that clients must trust."
)
OPTIONS = (
    options.Option(
        name="--listen", value="ADDRESS", help="127.0.0.1:3128, unix:/path or vsock:port", many=True
    ),
    options.Option(name="--policy", value="FILE", help="one policy, for everybody who can connect"),
    options.Option(name="--identities", value="FILE", help="many: who may connect, and each one's policy"),
    options.Option(name="--admin", value="ADDRESS", help="/healthz and /metrics, on a loopback address"),
    options.Option(name="--drain", value="DURATION", help="for what is under way at the end; default 30s"),
    options.Option(name="--help", help="this text"),
)
_CA = (
    options.Option(name="--identity", value="NAME", help="whose; default: that of a service with one policy"),
)
SHORTEST_TOKEN = 16  # characters
CA_DAYS, CA_LEFT = 365, 60  # an authority's life, and what is left of it at the least when a service starts


def main(arguments: list[str]) -> int:
    """Serve, or print an authority."""
    if arguments[:1] == ["ca"]:
        return _print_authority(arguments[1:])
    given = options.read(arguments, OPTIONS, USAGE)
    if "--help" in given.switches:
        sys.stdout.write(options.help_text(USAGE, ABOUT, OPTIONS))
        return 0
    return _serve(given)


def _serve(given: options.Given) -> int:
    from ringfence.egress.__main__ import seal
    from ringfence.egress.service import Options, serve
    from ringfence.host import probe
    from ringfence.subject import duration

    seal(1 << 20)
    if given.rest or bool(given.one("--policy")) == bool(given.one("--identities")):
        raise UsageError("say `--policy FILE` or `--identities FILE`", hint=f"usage: {USAGE}")
    try:
        drain = duration(given.one("--drain", "30s"))
    except ValueError as error:
        raise UsageError(f"--drain {given.one('--drain')}: {error}") from None
    source = Source(probe.host(), given)
    chosen = Options(
        listen=source.listen,
        admin=source.admin,
        drain=drain,
        notify=probe.settings(("NOTIFY_SOCKET",)).get("NOTIFY_SOCKET", ""),
    )
    try:
        return serve(source, chosen)
    finally:
        source.close()


class Source:
    """Reads identities and policies, and gives each identity its folder, log and authority."""

    def __init__(self, host: "Host", given: options.Given) -> None:
        from ringfence.egress.identity import read_address

        self._host = host
        self._policy = os.path.abspath(given.one("--policy")) if given.one("--policy") else ""
        self._identities = os.path.abspath(given.one("--identities")) if given.one("--identities") else ""
        self._folders: dict[str, Folder] = {}
        self._authorities: dict[str, str] = {}  # made anew at a start only: an old one is in use until then
        try:
            self.listen = tuple(read_address(one) for one in given.all("--listen"))
            self.admin = read_address(given.one("--admin")) if given.one("--admin") else None
        except ValueError as error:
            raise UsageError(f"an address cannot be used: {error}", hint=f"usage: {USAGE}") from None
        self._check()

    def _check(self) -> None:
        if self.admin is not None and not self.admin.local:
            raise UsageError(
                f"--admin {self.admin.text}: others could read it there",
                hint="name a loopback address or unix:/path",
            )
        if not self._policy:
            return
        if not self.listen:
            raise UsageError("nobody could connect: say where to `--listen`", hint=f"usage: {USAGE}")
        far = [one.text for one in self.listen if not one.local]
        if far:
            raise UsageError(
                f"anybody who can reach {far[0]} could use this gate",
                hint="say who may with `--identities FILE`, or listen on 127.0.0.1 or unix:/path",
            )

    def read(self) -> "tuple[Setup, ...]":
        """Read everything anew. Raises RingfenceError with what is wrong."""
        found = self._named() if self._identities else (self._default(),)
        tokens = {one.name: self._token(one) for one in found if one.token}
        if len(set(tokens.values())) < len(tokens):
            raise PolicyError("two identities have the same token", hint="give each its own")
        return tuple(self._setup(one, tokens.get(one.name, "")) for one in found)

    def drop(self, name: str) -> None:
        """Take note that an identity has ended."""
        from ringfence.boundary import folder

        ended = self._folders.pop(name, None)
        if ended is not None:
            folder.finish(ended)

    def close(self) -> None:
        """Take away the folders of identities that were never served."""
        from ringfence.boundary import folder

        for one in self._folders.values():
            folder.forget(one)
            folder.finish(one)

    def _default(self) -> "Identity":
        from ringfence.egress.identity import DEFAULT, Identity

        return Identity(name=DEFAULT, policy=self._policy)

    def _named(self) -> "tuple[Identity, ...]":
        import tomllib

        from ringfence.egress.identity import read_identities

        try:
            with open(self._identities, "rb") as file:
                data: dict[str, Any] = tomllib.load(file)
        except OSError as error:
            raise PolicyError(f"cannot read {self._identities}: {error.strerror}") from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise PolicyError(f"{self._identities} is no TOML: {error}") from None
        found = read_identities(data, os.path.dirname(self._identities))
        if not self.listen and any(not one.listen for one in found):
            name = next(one.name for one in found if not one.listen)
            raise PolicyError(
                f"identity `{name}` has nowhere to connect to",
                hint="say where to `--listen`, or give it an address of its own with `listen`",
            )
        return found

    def _token(self, identity: "Identity") -> str:
        from ringfence.credential import sources
        from ringfence.credential.secret import SourceError
        from ringfence.policy.model import Credential

        wanted = Credential(name=f"token of {identity.name}", source=identity.token, host="")
        try:
            secret = sources.fetch(wanted, sources.gather((wanted,)))
        except SourceError as error:
            raise PolicyError(f"identity `{identity.name}`: {error.message}", hint=error.hint) from None
        value = secret.reveal_for_injection()
        if len(value) < SHORTEST_TOKEN:
            raise PolicyError(
                f"identity `{identity.name}`: its token is shorter than {SHORTEST_TOKEN} characters",
                hint="openssl rand -hex 24",
            )
        return value

    def _setup(self, identity: "Identity", token: str) -> "Setup":
        from ringfence.boundary.plan import usable_credentials
        from ringfence.credential import sources
        from ringfence.egress.tenant import Setup
        from ringfence.handover import proxy_credential
        from ringfence.policy.load import effective
        from ringfence.policy.overrides import Overrides
        from ringfence.value import replace

        if not os.path.isfile(identity.policy):
            raise PolicyError(f"identity `{identity.name}`: there is no policy file {identity.policy}")
        # A service has no project, and takes nothing from the policy of whoever happened to start it.
        nobody = replace(self._host, config_dir=f"{self._host.state_dir}/egress")
        policy = effective(nobody, nobody.config_dir, overrides=Overrides(policy_file=identity.policy))
        credentials = usable_credentials(policy, self._host, "")
        egress = policy.egress
        needed = (*credentials, *proxy_credential(egress.proxy, egress.proxy_password))
        return Setup(
            identity=identity,
            handover=self._handover(identity.name, policy, credentials),
            environment=sources.gather(needed) if needed else {},
            token=token,
        )

    def _handover(self, name: str, policy: "Policy", credentials: "tuple[Credential, ...]") -> "Handover":
        from ringfence.boundary import gatehouse
        from ringfence.handover import Handover

        folder = self._folder(name, policy, credentials)
        return Handover(
            session=folder.id,
            session_dir=folder.path,
            listeners=(),
            dns_fd=None,
            control_fd=-1,
            secrets_fd=None,
            vend_fd=None,
            audit_path=folder.log,
            authority_dir=self._authority(name),
            ready_dir="",
            publish=self._own(),
            gate_address="127.0.0.1",
            proxy_port=next((one.port for one in self.listen if one.kind == "tcp"), 3128),
            **gatehouse.told(policy, credentials, self._host, ""),
        )

    def _authority(self, name: str) -> str:
        if name not in self._authorities:
            self._authorities[name] = authority(self._host, name)
        return self._authorities[name]

    def _own(self) -> "tuple[Publication, ...]":
        """Return our own listeners: no name that a client gives leads back to one of them."""
        from ringfence.handover import Publication

        own = [one for one in (*self.listen, self.admin) if one is not None and one.kind == "tcp"]
        return tuple(
            Publication(host_address=host, host_port=one.port, inside_port=one.port)
            for one in own
            for host in dict.fromkeys((one.host, "127.0.0.1", "::1"))
        )

    def _folder(self, name: str, policy: "Policy", credentials: "tuple[Credential, ...]") -> "Folder":
        """Return an identity's folder, with a log that has begun."""
        from ringfence.audit.log import Writer
        from ringfence.boundary import folder

        present = self._folders.get(name)
        if present is not None:
            return present
        made = folder.create(self._host)
        with Writer.create(made.log, made.id) as log:
            log.append(
                "start",
                command=["ringfence", "egress", name],
                tier="egress",
                policy_digest=policy.digest,
                layers=[f"{layer} {file}" for layer, file in policy.origins],
                credentials=[one.name for one in credentials],
            )
        self._folders[name] = made
        return made


def authority(host: "Host", name: str) -> str:
    """Return the folder of an identity's certificate authority; one that is old or missing is made anew."""
    import datetime as dt
    import shutil

    from ringfence.egress.leaf import load
    from ringfence.egress.mint import mint
    from ringfence.errors import HostError

    place = f"{host.state_dir}/egress/{name}"
    kept = f"{place}/authority"
    try:
        ends = dt.datetime.strptime(load(kept, keep=True).ends, "%Y%m%d%H%M%SZ").replace(tzinfo=dt.UTC)
        left = ends - dt.datetime.now(dt.UTC)
        if left > dt.timedelta(days=CA_LEFT):
            return kept
    except HostError:
        pass  # there is none, or half of one
    os.makedirs(place, mode=0o700, exist_ok=True)
    made = mint(place, dt.timedelta(days=CA_DAYS))
    shutil.rmtree(kept, ignore_errors=True)
    os.rename(made, kept)
    return kept


def _print_authority(arguments: list[str]) -> int:
    from ringfence.egress.identity import DEFAULT
    from ringfence.host import probe

    given = options.read(arguments, _CA, "ringfence egress ca [--identity NAME]")
    name = given.one("--identity", DEFAULT)
    if given.rest or not name.replace("-", "a").replace("_", "a").isalnum() or name != name.lower():
        raise UsageError("`ringfence egress ca` takes the name of an identity", hint=f"usage: {USAGE}")
    os.umask(0o077)
    with open(f"{authority(probe.host(), name)}/ca.pem", encoding="ascii") as file:
        sys.stdout.write(file.read())
    return 0
