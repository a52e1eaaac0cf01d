"""Fixtures: upstreams and gates that end with the test (or the module) that asked for them."""

import contextlib

import pytest
import servers
from gates import Running, Upstream, Upstreams
from services import BLUE, HOST, OTHER, RED, allow, policy, serving
from wires import Wire


@pytest.fixture(scope="session")
def certificates(tmp_path_factory):
    """Return the authority behind all upstream certificates."""
    return Upstreams(tmp_path_factory.mktemp("upstreams"))


@pytest.fixture(scope="module")
def start(certificates, tmp_path_factory):
    """Return a function that starts a gate; they end with the module."""
    with contextlib.ExitStack() as stack:

        def begin(**policy):
            policy.setdefault("extra_ca", (certificates.ca,))
            running = Running(tmp_path_factory.mktemp("gate"), **policy)
            stack.callback(running.stop)
            return running

        yield begin


@pytest.fixture(scope="module")
def serve(certificates):
    """Return a function that starts an upstream over TLS for some names; they end with the module."""
    with contextlib.ExitStack() as stack:

        def begin(*names, tls=True, answer=None, **kind):
            context = certificates.context(*names, **kind) if tls else None
            made = Upstream(context, *([answer] if answer is not None else []))
            stack.callback(made.close)
            return made

        yield begin


@pytest.fixture(scope="module")
def serve2(certificates):
    """Return a function that starts an upstream that speaks HTTP/2; they end with the module."""
    with contextlib.ExitStack() as stack:

        def begin(*names, tls=True, **more):
            from http2_peers import Upstream2

            made = Upstream2(certificates.context(*names) if tls else None, **more)
            stack.callback(made.close)
            return made

        yield begin


@pytest.fixture(scope="module")
def wire(tmp_path_factory):
    """Return a boundary's network."""
    try:
        made = Wire(str(tmp_path_factory.mktemp("wire")))
    except OSError as error:
        pytest.skip(f"this kernel or container gives no private wire: {error}")
    yield made
    made.close()


@pytest.fixture(scope="module")
def services_upstream(serve):
    """Return the upstream that a service's policies lead to."""
    return serve(HOST, OTHER)


@pytest.fixture
def one(tmp_path, services_upstream, certificates):
    """Return a function that serves one policy, for everybody."""
    made = []

    def begin(*rules, words=(), more="", static=()):
        write(*rules, more=more, static=static)
        port = servers.free_port()
        context = serving(tmp_path, "--listen", f"127.0.0.1:{port}", "--policy", "p.toml", *words)
        made.append(context)
        service = context.__enter__()
        service.write = write
        return service

    def write(*rules, more="", static=()):
        trusted = f'egress.extra_ca = ["{certificates.ca}"]\n'
        pairs = ((HOST, services_upstream.address), (OTHER, services_upstream.address), *static)
        policy(tmp_path, "p.toml", pairs, *(rules or (allow(HOST),)), more=trusted + more)

    yield begin
    for context in made:
        context.__exit__(None, None, None)


@pytest.fixture
def many(tmp_path, services_upstream, certificates):
    """Return a function that serves identities."""
    made = []

    def write(identities):
        (tmp_path / "who.toml").write_text(identities)

    def begin(identities, *, words=(), listen=True, environment=None):
        trusted = f'egress.extra_ca = ["{certificates.ca}"]\n'
        pairs = ((HOST, services_upstream.address), (OTHER, services_upstream.address))
        policy(tmp_path, "red.toml", pairs, allow(HOST), allow(OTHER), more=trusted)
        policy(tmp_path, "blue.toml", pairs, allow(HOST), more=trusted)
        write(identities)
        shared = ("--listen", f"127.0.0.1:{servers.free_port()}") if listen else ()
        environment = {"RED": RED, "BLUE": BLUE, "KEY_OF_RED": "sk-red-secret", **(environment or {})}
        context = serving(tmp_path, *shared, "--identities", "who.toml", *words, environment=environment)
        made.append(context)
        service = context.__enter__()
        service.write = write
        return service

    yield begin
    for context in made:
        context.__exit__(None, None, None)
