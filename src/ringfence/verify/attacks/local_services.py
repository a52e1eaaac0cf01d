"""S02: services of the host behind Unix sockets: container daemons, D-Bus, agents, displays, editors.

A read-only bind of the socket's folder does not stop connect(2); only its absence does. Abstract
names belong to a network namespace, so one of the battery's own tells whether that is shared.
"""

import glob
import os
import socket

from ringfence.verify.prelude import NO_PEER, Tally

_PATHS = (
    "/run/docker.sock", "/var/run/docker.sock", "/run/containerd/containerd.sock", "/run/crio/crio.sock",
    "/run/podman/podman.sock", "/run/user/*/podman/podman.sock", "/run/user/*/docker.sock",
    "/run/libvirt/*sock*", "/run/dbus/system_bus_socket", "/run/user/*/bus", "/run/systemd/private",
    "/run/systemd/notify", "/run/systemd/journal/socket", "/run/systemd/resolve/*",
    "/run/user/*/systemd/private", "/run/user/*/gnupg/S.*", "/run/user/*/keyring/*", "/run/user/*/wayland-*",
    "/run/user/*/pipewire-*", "/run/user/*/pulse/native", "/run/user/*/vscode-*", "/run/snapd.socket",
    "/run/lxd.socket", "/run/nscd/socket", "/run/avahi-daemon/socket", "/run/cups/cups.sock",
    "/run/postgresql/.s.*", "/run/mysqld/*.sock", "/run/redis/*.sock", "/run/acpid.socket",
    "/tmp/.X11-unix/*", "/tmp/ssh-*/agent.*", "/tmp/tmux-*/*", "/tmp/.ICE-unix/*", "/run/screen/*/*",
    "/dev/log",
)  # fmt: skip
_ABSTRACT = (
    "/tmp/.X11-unix/X0",
    "/tmp/.X11-unix/X1",
    "/tmp/dbus-test",
    "/org/kernel/linux/storage/multipathd",
)
_VARIABLES = (
    "SSH_AUTH_SOCK",
    "DOCKER_HOST",
    "DBUS_SESSION_BUS_ADDRESS",
    "VSCODE_IPC_HOOK_CLI",
    "WAYLAND_DISPLAY",
    "TMUX",
)


def attack(facts):
    """Connect to every well-known socket, and to every one that listens on the host."""
    tally = Tally()
    paths = {path for pattern in _PATHS for path in glob.glob(pattern) or [pattern]}
    for path in sorted(paths | set(facts.get("sockets", []))):
        tally.refuse(path, lambda path=path: _connect(path), NO_PEER)
    for name in sorted({*_ABSTRACT, *facts.get("abstract", [])}):
        tally.refuse(f"@{name}", lambda name=name: _connect(f"\0{name}"), NO_PEER)
    named = [name for name in _VARIABLES if name in os.environ]
    tally.expect("variables that name a socket", not named, ", ".join(named) or "none")
    for folder in ("/run", "/var/run"):
        found = _sockets_below(folder)
        tally.expect(f"sockets below {folder}", not found, ", ".join(found[:3]) or "none")
    return tally.finding()


def _connect(address):
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_SEQPACKET):
        end = socket.socket(socket.AF_UNIX, kind)
        end.settimeout(2)
        try:
            end.connect(address)
        except OSError as error:
            if error.errno == 91:
                continue
            raise
        finally:
            end.close()
        return


def _sockets_below(folder):
    found = []
    for place, _, files in os.walk(folder):
        for name in files:
            path = os.path.join(place, name)
            try:
                if os.lstat(path).st_mode & 0o170000 == 0o140000:
                    found.append(path)
            except OSError:
                continue
    return found
