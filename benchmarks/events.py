"""An upstream that streams events over TLS: `events.py PORT PEM`. Each says when it was sent."""

import socket
import socketserver
import ssl
import sys
import time

EVENTS, APART = 40, 0.025
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


class Handler(socketserver.BaseRequestHandler):
    """Answers every request of a connection with a stream of events."""

    def handle(self) -> None:
        """Serve one connection."""
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock = CONTEXT.wrap_socket(self.request, server_side=True)
        held = b""
        while data := sock.recv(65536):
            held += data
            while b"\r\n\r\n" in held:
                held = held.partition(b"\r\n\r\n")[2]
                sock.sendall(HEAD)
                for _ in range(EVENTS):
                    event = b"data: %d\n\n" % time.monotonic_ns()
                    sock.sendall(b"%x\r\n%b\r\n" % (len(event), event))
                    time.sleep(APART)
                sock.sendall(b"0\r\n\r\n")


class Server(socketserver.ThreadingTCPServer):
    """One thread a connection."""

    daemon_threads = True
    allow_reuse_address = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: probes and closed connections are no news."""


CONTEXT = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
CONTEXT.load_cert_chain(sys.argv[2])
Server(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
