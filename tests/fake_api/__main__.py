"""`python -m fake_api`: run one script until the program is ended."""

import argparse
import os
import signal
import sys
import tempfile
import threading

from .authority import Authority
from .record import Record
from .scripts import SCRIPTS
from .server import FakeAPI


def main() -> int:
    """Serve, and write the port once connections are accepted."""
    options = _options()
    with tempfile.TemporaryDirectory(prefix="fake-api-") as folder:
        authority = None if options.plain else Authority(folder)
        if authority and options.ca_file:
            _publish(options.ca_file, _read(authority.ca_file))
        api = FakeAPI(
            SCRIPTS[options.script](),
            authority=authority,
            key=os.environ.get(options.key_variable, "") if options.key_variable else "",
            pace=options.pace,
            record=Record(options.record),
            port=options.port,
        )
        with api:
            _tell(options.port_file, api.port)
            _wait()
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="fake_api", description="A scripted Messages API on loopback.")
    parser.add_argument("--script", choices=sorted(SCRIPTS), default="fix-bug", help="what the model does")
    parser.add_argument("--port", type=int, default=0, help="port to listen on (default: any free one)")
    parser.add_argument("--port-file", default="", help="file that gets the port once it listens")
    parser.add_argument("--record", default="", help="JSON Lines file that gets every request")
    parser.add_argument("--plain", action="store_true", help="speak HTTP, not HTTPS")
    parser.add_argument("--ca-file", default="", help="file that gets the authority's certificate")
    parser.add_argument("--pace", type=float, default=0.0, help="seconds between streamed events")
    # A variable's name, not the key: a command line is no place for one.
    parser.add_argument("--key-variable", default="", help="environment variable with the key to insist on")
    return parser.parse_args()


def _tell(path: str, port: int) -> None:
    if path:
        _publish(path, f"{port}\n".encode())
    else:
        print(port, flush=True)


def _publish(path: str, data: bytes) -> None:
    """Write by rename, so that whoever waits for the file never reads half of it."""
    with open(f"{path}.new", "wb") as file:
        file.write(data)
    os.rename(f"{path}.new", path)


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def _wait() -> None:
    done = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: done.set())
    done.wait()


if __name__ == "__main__":
    sys.exit(main())
