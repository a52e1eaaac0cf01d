"""Fixtures: upstreams and gates that end with the test (or the module) that asked for them."""

import contextlib

import pytest
from gates import Running, Upstream, Upstreams
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
