"""gRPC through the gate, with grpcio's own client and server: calls of every shape, ends of every kind."""

import concurrent.futures
import os
import threading
import time

import pytest
from gates import rule

grpc = pytest.importorskip("grpc", reason="grpcio is not installed (it comes with `make dev`)")

HOST = "grpc.example.com"
SERVICE = "test.Echo"


class Echo(grpc.GenericRpcHandler):
    """A service without schemas: bytes in, bytes out."""

    def __init__(self):
        self.seen = []
        self.cancelled = threading.Event()

    def service(self, call):
        name = call.method.rpartition("/")[2]
        self.seen.append((call.method, dict(call.invocation_metadata)))
        make = {
            "Unary": grpc.unary_unary_rpc_method_handler,
            "Fail": grpc.unary_unary_rpc_method_handler,
            "Slow": grpc.unary_unary_rpc_method_handler,
            "Down": grpc.unary_stream_rpc_method_handler,
            "Endless": grpc.unary_stream_rpc_method_handler,
            "Up": grpc.stream_unary_rpc_method_handler,
            "Both": grpc.stream_stream_rpc_method_handler,
        }.get(name)
        return make and make(getattr(self, name))

    def Unary(self, request, context):  # noqa: N802 - the method's name on the wire
        context.set_trailing_metadata((("x-trailing", "yes"),))
        return request

    def Fail(self, _, context):  # noqa: N802
        context.abort(grpc.StatusCode.NOT_FOUND, "no such thing: 100%")

    def Slow(self, _, context):  # noqa: N802
        context.add_callback(self.cancelled.set)
        self.cancelled.wait(20)
        return b""

    def Down(self, request, _):  # noqa: N802
        for number in range(int(request)):
            yield b"%d" % number

    def Endless(self, _, context):  # noqa: N802
        context.add_callback(self.cancelled.set)
        while not self.cancelled.is_set():
            yield b"tick"
            time.sleep(0.01)

    def Up(self, requests, _):  # noqa: N802
        return b"%d" % sum(len(one) for one in requests)

    def Both(self, requests, _):  # noqa: N802
        for one in requests:
            yield b"<" + one + b">"


def pair(certificates):
    """Return a certificate and its key, as PEM."""
    path = certificates.pem(HOST)
    with open(path, "rb") as file:
        pem = file.read()
    os.unlink(path)
    return pem


@pytest.fixture(scope="module")
def echo():
    return Echo()


@pytest.fixture(scope="module")
def server(echo, certificates):
    pem = pair(certificates)
    made = grpc.server(concurrent.futures.ThreadPoolExecutor(8), handlers=[echo])
    made.port = made.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([(pem, pem)]))
    made.plain = made.add_insecure_port("127.0.0.1:0")
    made.start()
    yield made
    made.stop(0).wait(10)


@pytest.fixture(scope="module")
def gate(start, server):
    return start(
        allow=(
            rule(HOST, paths=(f"/{SERVICE}/**",), methods=("POST",)),
            rule("plain.example.com", schemes=("http",), ports=(50051,)),
        ),
        static=((HOST, f"127.0.0.1:{server.port}"), ("plain.example.com", f"127.0.0.1:{server.plain}")),
    )


@pytest.fixture
def channel(gate):
    with open(gate.ca, "rb") as file:
        credentials = grpc.ssl_channel_credentials(file.read())
    with grpc.secure_channel(f"{HOST}:443", credentials, through(gate)) as made:
        yield made


def through(gate):
    return (("grpc.http_proxy", f"http://127.0.0.1:{gate.address[1]}"), ("grpc.enable_retries", 0))


def test_a_unary_call(gate, channel, echo):
    call = channel.unary_unary(f"/{SERVICE}/Unary")
    reply, info = call.with_call(b"hello", metadata=(("x-mine", "1"),), timeout=10)
    assert reply == b"hello"
    assert dict(info.trailing_metadata())["x-trailing"] == "yes"
    assert echo.seen[-1][1]["x-mine"] == "1"
    (verdict,) = gate.wait_for("verdict", path=f"/{SERVICE}/Unary", effect="allow")
    assert verdict["method"] == "POST"


def test_a_call_that_no_rule_allows_says_why(gate, channel, echo):
    count = len(echo.seen)
    with pytest.raises(grpc.RpcError) as failed:
        channel.unary_unary("/test.Secret/Unary")(b"x", timeout=10)
    assert failed.value.code() == grpc.StatusCode.PERMISSION_DENIED
    assert f"POST https://{HOST}/test.Secret/Unary was refused" in failed.value.details()
    assert "egress.allow" in failed.value.details()
    assert len(echo.seen) == count
    gate.wait_for("verdict", path="/test.Secret/Unary", effect="deny")


def test_a_server_that_streams(channel):
    assert list(channel.unary_stream(f"/{SERVICE}/Down")(b"50", timeout=10)) == [b"%d" % n for n in range(50)]


def test_a_client_that_streams(channel):
    pieces = (b"x" * 10_000 for _ in range(100))
    assert channel.stream_unary(f"/{SERVICE}/Up")(pieces, timeout=20) == b"1000000"


def test_both_stream_and_each_waits_for_the_other(channel):
    """A reply has to come before the next request is sent: nothing is held back on the way."""
    turn = threading.Semaphore(1)

    def asked():
        for number in range(20):
            assert turn.acquire(timeout=10)
            yield b"%d" % number

    replies = []
    for reply in channel.stream_stream(f"/{SERVICE}/Both")(asked(), timeout=20):
        replies.append(reply)
        turn.release()
    assert replies == [b"<%d>" % number for number in range(20)]


def test_an_error_travels_as_it_is(channel):
    with pytest.raises(grpc.RpcError) as failed:
        channel.unary_unary(f"/{SERVICE}/Fail")(b"", timeout=10)
    assert failed.value.code() == grpc.StatusCode.NOT_FOUND
    assert failed.value.details() == "no such thing: 100%"


def test_a_method_that_is_not_there_is_told_by_the_server(channel):
    with pytest.raises(grpc.RpcError) as failed:
        channel.unary_unary(f"/{SERVICE}/Missing")(b"", timeout=10)
    assert failed.value.code() == grpc.StatusCode.UNIMPLEMENTED


def test_a_deadline_reaches_the_server(channel, echo):
    echo.cancelled.clear()
    with pytest.raises(grpc.RpcError) as failed:
        channel.unary_unary(f"/{SERVICE}/Slow")(b"", timeout=0.5)
    assert failed.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    assert echo.cancelled.wait(5)


def test_a_call_that_is_cancelled_ends_at_the_server(channel, echo):
    echo.cancelled.clear()
    call = channel.unary_stream(f"/{SERVICE}/Endless")(b"", timeout=20)
    assert next(call) == b"tick"
    call.cancel()
    assert echo.cancelled.wait(5)
    with pytest.raises(grpc.RpcError):
        list(call)


def test_large_messages_go_both_ways(channel):
    big = os.urandom(3_000_000)
    assert channel.unary_unary(f"/{SERVICE}/Unary")(big, timeout=30) == big


def test_many_calls_at_once_share_one_upstream_connection(gate, channel):
    channel.unary_unary(f"/{SERVICE}/Unary")(b"first", timeout=10)
    dials = len(gate.records("dial"))
    call = channel.unary_unary(f"/{SERVICE}/Unary")
    waiting = [call.future(b"%d" % number, timeout=20) for number in range(40)]
    assert [one.result() for one in waiting] == [b"%d" % number for number in range(40)]
    assert len(gate.records("dial")) == dials


def test_without_tls_only_where_a_rule_allows_plain_http(gate, echo):
    with grpc.insecure_channel("plain.example.com:50051", through(gate)) as channel:
        assert channel.unary_unary(f"/{SERVICE}/Unary")(b"plain", timeout=10) == b"plain"
    gate.wait_for("verdict", scheme="http", host="plain.example.com", effect="allow")
    count = len(echo.seen)
    with (
        grpc.insecure_channel(f"{HOST}:443", through(gate)) as channel,
        pytest.raises(grpc.RpcError) as failed,
    ):
        channel.unary_unary(f"/{SERVICE}/Unary")(b"plain", timeout=3)
    assert failed.value.code() in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED}
    assert len(echo.seen) == count


def test_a_server_that_restarts_is_found_again(start, certificates):
    pem = pair(certificates)

    def served(port):
        made = grpc.server(
            concurrent.futures.ThreadPoolExecutor(2), handlers=[Echo()], options=(("grpc.so_reuseport", 0),)
        )
        made.port = made.add_secure_port(f"127.0.0.1:{port}", grpc.ssl_server_credentials([(pem, pem)]))
        made.start()
        return made

    first = served(0)
    gate = start(allow=(rule(HOST),), static=((HOST, f"127.0.0.1:{first.port}"),))
    with open(gate.ca, "rb") as file:
        credentials = grpc.ssl_channel_credentials(file.read())
    with grpc.secure_channel(f"{HOST}:443", credentials, through(gate)) as channel:
        call = channel.unary_unary(f"/{SERVICE}/Unary")
        assert call(b"one", timeout=10) == b"one"
        first.stop(0).wait(10)
        second = served(first.port)
        try:
            assert call(b"two", timeout=10) == b"two"
        finally:
            second.stop(0).wait(10)
