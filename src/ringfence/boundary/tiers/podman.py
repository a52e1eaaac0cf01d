"""A container in Podman's words: what is asked of Docker's interface, as options of its command. Pure.

Podman describes what it made in words of its own, so they are compared one by one. What it does not tell,
the launcher asks the kernel about the first process inside (`standing`), for both engines.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_SIZES = {"Memory": "--memory", "MemorySwap": "--memory-swap", "PidsLimit": "--pids-limit"}


def words(asked: "dict[str, Any]", own: "dict[str, Any]", image: str, profile: str) -> list[str]:
    """Return the options of `podman create`; `own` is what only Podman is told, `profile` a file."""
    host = asked["HostConfig"]
    out = [
        "--hostname", asked["Hostname"], "--user", asked["User"], "--workdir", asked["WorkingDir"],
        "--entrypoint", asked["Entrypoint"][0], "--interactive", f"--tty={str(asked['Tty']).lower()}",
        "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--security-opt", "label=disable",
        "--security-opt", f"seccomp={profile}", "--read-only", "--read-only-tmpfs=false",
        "--network", "none", "--ipc", "private", "--pid", "private", "--uts", "private",
        "--cgroupns", "private", "--log-driver", "none", "--restart", "no", "--no-healthcheck",
        "--no-hosts", "--http-proxy=false",
        "--image-volume", "ignore", "--systemd", "false", "--sdnotify", "ignore", "--pull", "never",
        "--init", "--init-path", own["Init"], "--shm-size", str(host["ShmSize"]),
    ]  # fmt: skip
    for name, value in asked["Labels"].items():
        out += ["--label", f"{name}={value}"]
    for one in host["Mounts"]:
        out += ["--volume", f"{one['Source']}:{one['Target']}:ro"]
    for place, options in host["Tmpfs"].items():
        out += ["--tmpfs", f"{place}:{options},notmpcopyup"]
    for one in own["Ulimits"]:
        out += ["--ulimit", f"{one['Name']}={one['Soft']}:{one['Hard']}"]
    if own["KeepId"]:
        out += ["--userns", "keep-id"]
    for key, option in _SIZES.items():
        if host[key]:
            out += [option, str(host[key])]
    if host["NanoCpus"]:
        out += ["--cpus", f"{host['NanoCpus'] / 1_000_000_000:.3f}"]
    return [*out, "--", image]


def differences(
    asked: "dict[str, Any]", own: "dict[str, Any]", image: str, made: "dict[str, Any]"
) -> tuple[str, ...]:
    """Say in what a container, as Podman describes it, is not the one asked for; nothing where it is."""
    host, settings = made.get("HostConfig", {}), made.get("Config", {})
    wanted = asked["HostConfig"]
    binds = wanted["Mounts"]
    entry = settings.get("Entrypoint")
    told: dict[str, tuple[object, object]] = {
        "Image": (f"sha256:{str(made.get('Image', '')).removeprefix('sha256:')}", image),
        "EffectiveCaps": (made.get("EffectiveCaps") or [], []),
        "BoundingCaps": (made.get("BoundingCaps") or [], []),
        "Config.User": (settings.get("User"), asked["User"]),
        "Config.Entrypoint": (entry if isinstance(entry, list) else [entry], asked["Entrypoint"]),
        "Config.Cmd": (settings.get("Cmd") or [], asked["Cmd"]),
        "Config.Tty": (settings.get("Tty"), asked["Tty"]),
        "Config.Volumes": (settings.get("Volumes") or {}, {}),
        "Config.Labels": (settings.get("Labels") or {}, asked["Labels"]),
        "HostConfig.NetworkMode": (host.get("NetworkMode"), "none"),
        "HostConfig.PidMode": (host.get("PidMode"), "private"),
        "HostConfig.UTSMode": (host.get("UTSMode"), "private"),
        "HostConfig.CgroupMode": (host.get("CgroupMode"), "private"),
        "HostConfig.Init": (host.get("Init"), True),
        "HostConfig.LogConfig": ((host.get("LogConfig") or {}).get("Type"), "none"),
        "HostConfig.Tmpfs": (sorted(host.get("Tmpfs") or {}), sorted(wanted["Tmpfs"])),
        "HostConfig.UsernsMode": (host.get("UsernsMode") or "", "private" if own["KeepId"] else ""),
        "Mounts": (_mounts(made), [(one["Type"], one["Source"], one["Target"], False) for one in binds]),
    }  # fmt: skip
    for key in ("ReadonlyRootfs", "Privileged", "Memory", "NanoCpus", "ShmSize"):
        told[f"HostConfig.{key}"] = host.get(key), wanted[key]
    for key in ("CapAdd", "Devices", "GroupAdd", "ExtraHosts", "PortBindings", "VolumesFrom", "Links", "Dns"):
        told[f"HostConfig.{key}"] = host.get(key) or [], []
    out = [f"{key} is {str(found)[:200]}" for key, (found, right) in told.items() if found != right]
    if host.get("IpcMode") not in {"private", "shareable"}:  # Podman 4 tells the one for the other
        out.append(f"HostConfig.IpcMode is {host.get('IpcMode')}")
    if wanted["PidsLimit"] and host.get("PidsLimit") != wanted["PidsLimit"]:
        out.append(f"HostConfig.PidsLimit is {host.get('PidsLimit')}")
    security = host.get("SecurityOpt") or []
    if "no-new-privileges" not in security or any("unconfined" in one for one in security):
        out.append(f"HostConfig.SecurityOpt is {security}")
    return tuple(out)


def _mounts(made: "dict[str, Any]") -> "list[tuple[object, ...]]":
    return [
        (one.get("Type"), one.get("Source"), one.get("Destination"), one.get("RW"))
        for one in made.get("Mounts") or ()
    ]
