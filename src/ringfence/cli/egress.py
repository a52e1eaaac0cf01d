"""`ringfence egress`: the gate alone, for agents that run in containers, in CI or on other machines."""

import os
import sys

from ringfence.cli import options
from ringfence.errors import UsageError

USAGE = "ringfence egress --listen ADDRESS (--policy FILE | --identities FILE) [OPTION …]"
ABOUT = (
    "Serve the gate without a boundary: an HTTP and SOCKS 5 proxy that decides on every request by policy,\n"
    "puts credentials in and writes the log. SIGHUP reads everything again, SIGTERM lets what is under way\n"
    "end. `ringfence egress ca [--identity NAME]` prints the certificate authority that clients must trust."
)
OPTIONS = (
    options.Option(
        name="--listen", value="ADDRESS", help="127.0.0.1:3128, tls:…, unix:/path or vsock:port", many=True
    ),
    options.Option(
        name="--gateway",
        value="NAME=ADDRESS",
        help="a gateway of the policy at an address of its own",
        many=True,
    ),
    options.Option(
        name="--transparent", value="ADDRESS", help="takes connections that the network redirects", many=True
    ),
    options.Option(name="--policy", value="FILE", help="one policy, for everybody who can connect"),
    options.Option(name="--identities", value="FILE", help="many: who may connect, and each one's policy"),
    options.Option(name="--tls-cert", value="FILE", help="for addresses written tls:address:port"),
    options.Option(name="--tls-key", value="FILE", help="its key"),
    options.Option(
        name="--client-ca", value="FILE", help="clients there need a certificate by these authorities"
    ),
    options.Option(
        name="--access-log", value="FILE", help="a line of JSON for every request; - is standard output"
    ),
    options.Option(name="--admin", value="ADDRESS", help="/healthz and /metrics, on a loopback address"),
    options.Option(name="--drain", value="DURATION", help="for what is under way at the end; default 30s"),
    options.Option(name="--help", help="this text"),
)
_CA = (
    options.Option(name="--identity", value="NAME", help="whose; default: that of a service with one policy"),
)


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
    from ringfence.cli.egress_source import Source
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
    source = Source(probe.host(), given, USAGE)
    chosen = Options(
        entrances=source.entrances,
        tls=source.tls,
        access_log=given.one("--access-log"),
        admin=source.admin,
        drain=drain,
        notify=probe.settings(("NOTIFY_SOCKET",)).get("NOTIFY_SOCKET", ""),
    )
    try:
        return serve(source, chosen)
    finally:
        source.close()


def _print_authority(arguments: list[str]) -> int:
    from ringfence.cli.egress_source import authority
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
