"""Real servers for tests: each on loopback, as an unprivileged user, gone with the block that started it."""

import contextlib
import glob
import os
import shutil
import socket
import subprocess
import tempfile
import time

import pytest
from gates import WAIT


def program(name, *places):
    """Return a program's path, or skip saying which is missing."""
    found = shutil.which(name, path=os.pathsep.join((os.environ["PATH"], "/usr/sbin", "/sbin", *places)))
    if found is None:
        pytest.skip(f"no {name} on this machine")
    return found


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return sock.getsockname()[1]


def other_user():
    """Return how to start a program that will not run as root."""
    return {"user": "nobody", "group": "nogroup", "extra_groups": []} if os.geteuid() == 0 else {}


@contextlib.contextmanager
def folder():
    """Return a folder outside pytest's, which only root may enter."""
    made = tempfile.mkdtemp(prefix="rf-")
    if os.geteuid() == 0:
        shutil.chown(made, "nobody", "nogroup")
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


@contextlib.contextmanager
def running(argv, port, *, where, **more):
    """Run a server until the block ends; it is ready when its port answers."""
    with open(os.path.join(where, "log"), "wb") as log:
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=where, **more)
    try:
        until = time.monotonic() + WAIT * 2
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            with open(os.path.join(where, "log"), encoding="utf-8", errors="replace") as log:
                assert process.poll() is None, log.read()
                assert time.monotonic() < until, log.read()
            time.sleep(0.05)
        yield process
    finally:
        process.terminate()
        try:
            process.wait(WAIT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(WAIT)


@contextlib.contextmanager
def postgres(pem):
    """Run PostgreSQL with TLS offered; everybody is let in. Returns its port."""
    initdb = program("initdb", *sorted(glob.glob("/usr/lib/postgresql/*/bin")))
    server = program("postgres", os.path.dirname(initdb))
    with folder() as where:
        data = os.path.join(where, "data")
        subprocess.run(
            [initdb, "-D", data, "-U", "agent", "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C"],
            check=True,
            capture_output=True,
            timeout=60,
            cwd=where,
            **other_user(),
        )
        key = os.path.join(data, "server.pem")
        shutil.copyfile(pem, key)
        os.chmod(key, 0o600)
        if os.geteuid() == 0:
            shutil.chown(key, "nobody", "nogroup")
        port = free_port()
        argv = [server, "-D", data, "-p", str(port), "-k", where, "-h", "127.0.0.1", "-F"]
        argv += ["-c", "ssl=on", "-c", f"ssl_cert_file={key}", "-c", f"ssl_key_file={key}"]
        with running(argv, port, where=where, **other_user()):
            yield port


@contextlib.contextmanager
def redis():
    """Run Redis; returns its port."""
    with folder() as where:
        port = free_port()
        argv = [program("redis-server"), "--port", str(port), "--bind", "127.0.0.1", "--save", ""]
        with running(argv, port, where=where, **other_user()):
            yield port


@contextlib.contextmanager
def squid(user, password, hosts):
    """Run Squid, which lets one user through, and knows these names; returns its port."""
    helper = program("basic_ncsa_auth", "/usr/lib/squid", "/usr/lib/squid3", "/usr/libexec/squid")
    crypted = subprocess.run(
        [program("openssl"), "passwd", "-apr1", password],
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    ).stdout
    with folder() as where:
        port = free_port()
        files = {
            "users": f"{user}:{crypted}",
            "hosts": "".join(f"{address} {name}\n" for name, address in hosts),
            "conf": f"""
                http_port 127.0.0.1:{port}
                auth_param basic program {helper} {where}/users
                acl known proxy_auth REQUIRED
                http_access deny !known
                http_access allow known
                hosts_file {where}/hosts
                pid_filename none
                cache deny all
                access_log stdio:{where}/access.log
                cache_log stdio:/dev/stderr
                coredump_dir {where}
                shutdown_lifetime 0 seconds
            """,
        }
        for name, content in files.items():
            with open(os.path.join(where, name), "w", encoding="utf-8") as file:
                file.write("\n".join(line.strip() for line in content.split("\n")))
            os.chmod(os.path.join(where, name), 0o644)
        argv = [program("squid"), "-N", "-n", f"rf{port}", "-f", f"{where}/conf"]
        with running(argv, port, where=where, **other_user()):
            yield port, f"{where}/access.log"


@contextlib.contextmanager
def microsocks(user="", password=""):
    """Run a SOCKS 5 proxy, with a user or for everybody; returns its port."""
    with folder() as where:
        port = free_port()
        words = ["-u", user, "-P", password] if user else []
        argv = [program("microsocks"), "-i", "127.0.0.1", "-p", str(port), *words]
        with running(argv, port, where=where, **other_user()):
            yield port
