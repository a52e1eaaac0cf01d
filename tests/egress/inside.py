"""A process that builds a real private wire and runs programs inside it: `inside.py SRC FD RESOLV`.

Sends the gate's sockets over FD (a Unix socket), then serves there: a JSON argument list runs a program,
and the answer is its status and output. On a second socket it vends sockets made inside.
"""

import ctypes
import json
import os
import socket
import subprocess
import sys
import threading

sys.path.insert(0, sys.argv[1])
from ringfence.boundary import wire


def main():
    talk = socket.socket(fileno=int(sys.argv[2]))
    gate = wire.build()
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    socket.send_fds(talk, [gate.kind.encode()], [gate.dns, theirs.fileno(), *gate.listeners])
    theirs.close()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(sys.argv[3].encode(), b"/etc/resolv.conf", None, 4096, None):  # MS_BIND
        raise OSError(ctypes.get_errno(), "cannot mount over resolv.conf")
    threading.Thread(target=vend, args=(ours,), daemon=True).start()
    while asked := talk.recv(65536):
        argv = json.loads(asked)
        done = subprocess.run(argv, check=False, capture_output=True, timeout=30, stdin=subprocess.DEVNULL)
        answer = [done.returncode, done.stdout.decode("latin-1"), done.stderr.decode("latin-1")]
        talk.sendall(json.dumps(answer).encode() + b"\n")


def vend(ours):
    while family := ours.recv(1):
        made = socket.socket(socket.AF_INET if family == b"4" else socket.AF_INET6)
        socket.send_fds(ours, [b"."], [made.fileno()])
        made.close()


if __name__ == "__main__":
    os.environ.pop("http_proxy", None)
    main()
