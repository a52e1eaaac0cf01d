"""Where `ringfence egress` has its configuration from: the command line, identities, policies, tokens."""

import os

from ringfence.cli import options
from ringfence.errors import PolicyError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from ringfence.boundary.folder import Folder
    from ringfence.egress.entrance import Entrance, TlsFiles
    from ringfence.egress.identity import Identity
    from ringfence.egress.tenant import Setup
    from ringfence.handover import Handover, Publication
    from ringfence.host.model import Host
    from ringfence.policy.model import Credential, Policy

SHORTEST_TOKEN = 16  # characters
CA_DAYS, CA_LEFT = 365, 60  # an authority's life, and what is left of it at the least when a service starts


class Source:
    """Reads identities and policies, and gives each identity its folder, log and authority."""

    def __init__(self, host: "Host", given: options.Given, usage: str) -> None:
        from ringfence.egress.identity import read_address

        self._host = host
        self._usage = usage
        self._policy = os.path.abspath(given.one("--policy")) if given.one("--policy") else ""
        self._identities = os.path.abspath(given.one("--identities")) if given.one("--identities") else ""
        self._folders: dict[str, Folder] = {}
        self._authorities: dict[str, str] = {}  # made anew at a start only: an old one is in use until then
        try:
            self.entrances = tuple(_entrances(given))
            self.admin = read_address(given.one("--admin")) if given.one("--admin") else None
        except ValueError as error:
            raise UsageError(f"an address cannot be used: {error}", hint=f"usage: {usage}") from None
        self.tls = _tls(given)
        self._check()

    def _check(self) -> None:
        if self.admin is not None and (not self.admin.local or self.admin.tls):
            raise UsageError(
                f"--admin {self.admin.text}: others could read it there",
                hint="name a loopback address or unix:/path",
            )
        texts = [one.text for one in self.entrances]
        if len(set(texts)) < len(texts):
            raise UsageError("two things cannot be served at one address", hint=f"usage: {self._usage}")
        if self.tls is None and any(one.address.tls for one in self.entrances):
            raise UsageError("TLS to the gate takes a certificate", hint="name --tls-cert and --tls-key")
        if not self._policy:
            return
        if not self.entrances:
            raise UsageError("nobody could connect: say where to `--listen`", hint=f"usage: {self._usage}")
        far = [one.text for one in self.entrances if not one.address.local and not self._vouched(one)]
        if far:
            raise UsageError(
                f"anybody who can reach {far[0]} could use this gate",
                hint="say who may with `--identities FILE`, ask for certificates with tls: and --client-ca, "
                "or listen on 127.0.0.1 or unix:/path",
            )

    def _vouched(self, entrance: "Entrance") -> bool:
        """Say whether nobody gets in there but with a certificate of the operator's authority."""
        return entrance.address.tls and self.tls is not None and bool(self.tls.client_ca)

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
        if self.tls is None or not self.tls.client_ca:
            named = next((one.name for one in found if one.certificate), "")
            if named:
                raise PolicyError(
                    f"identity `{named}` has a certificate, and no authority to check it by",
                    hint="name --tls-cert, --tls-key and --client-ca, and listen on tls:address:port",
                )
        if not self.entrances and any(not one.listen for one in found):
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
            ledger_dir=f"{self._host.state_dir}/egress/{name}/model",
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
            proxy_port=next((one.address.port for one in self.entrances if one.address.kind == "tcp"), 3128),
            **gatehouse.told(policy, credentials, self._host, ""),
        )

    def _authority(self, name: str) -> str:
        if name not in self._authorities:
            self._authorities[name] = authority(self._host, name)
        return self._authorities[name]

    def _own(self) -> "tuple[Publication, ...]":
        """Return our own listeners: no name that a client gives leads back to one of them."""
        from ringfence.handover import Publication

        addresses = (*(one.address for one in self.entrances), self.admin)
        own = [one for one in addresses if one is not None and one.kind == "tcp"]
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


def _entrances(given: options.Given) -> "Iterator[Entrance]":
    """Read where to listen, and for what. Raises ValueError."""
    from ringfence.egress.entrance import GATEWAY, TRANSPARENT, Entrance
    from ringfence.egress.identity import read_address

    for text in given.all("--listen"):
        yield Entrance(address=read_address(text))
    for text in given.all("--gateway"):
        name, mark, address = text.partition("=")
        if not mark or not name:
            raise ValueError(f"`{text}` is no NAME=ADDRESS, such as model=127.0.0.1:8081")
        yield Entrance(address=read_address(address), role=GATEWAY, gateway=name.lower())
    for text in given.all("--transparent"):
        found = read_address(text)
        if found.kind != "tcp" or found.tls:
            raise ValueError("the network redirects TCP: --transparent takes address:port")
        yield Entrance(address=found, role=TRANSPARENT)


def _tls(given: options.Given) -> "TlsFiles | None":
    from ringfence.egress.entrance import TlsFiles

    certificate, key, client_ca = (given.one(name) for name in ("--tls-cert", "--tls-key", "--client-ca"))
    if bool(certificate) != bool(key) or (client_ca and not certificate):
        raise UsageError("--tls-cert and --tls-key belong together, and --client-ca needs them")
    paths = [os.path.abspath(one) if one else "" for one in (certificate, key, client_ca)]
    return TlsFiles(certificate=paths[0], key=paths[1], client_ca=paths[2]) if certificate else None


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
