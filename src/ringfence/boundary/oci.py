"""A plan as an OCI bundle's configuration (opencontainers/runtime-spec 1.0.2), for runtimes that take one.

The root file system is the one that our child has built, workspace and masks included, so no mount here
speaks of files: only of what a runtime provides itself.
"""

from ringfence.boundary import limits
from ringfence.boundary.model import Plan
from ringfence.boundary.plan import ENTRY
from ringfence.canonical import encode

_CAPABILITY_SETS = ("bounding", "effective", "inheritable", "permitted", "ambient")
_LIMIT_NAMES = {
    limits.RLIMIT_FSIZE: "RLIMIT_FSIZE",
    limits.RLIMIT_NPROC: "RLIMIT_NPROC",
    limits.RLIMIT_NOFILE: "RLIMIT_NOFILE",
}


def configuration(plan: Plan, *, root: str, network: str, terminal: bool) -> bytes:
    """Return `config.json`. `root` is where the runtime finds the root, `network` the namespace it joins."""
    return encode(
        {
            "ociVersion": "1.0.2",
            "process": _process(plan, terminal=terminal),
            "root": {"path": root, "readonly": False},
            "hostname": "ringfence",
            "mounts": _mounts(plan),
            "linux": {
                "namespaces": [
                    *({"type": kind} for kind in ("pid", "ipc", "uts", "mount")),
                    {"type": "network", "path": network},
                ],
            },
        }
    ).encode()


def _process(plan: Plan, *, terminal: bool) -> dict[str, object]:
    return {
        "terminal": terminal,
        "user": {"uid": plan.uid, "gid": plan.gid},
        "args": [ENTRY],
        "env": [],
        "cwd": plan.cwd,
        "capabilities": {name: [] for name in _CAPABILITY_SETS},
        "rlimits": [
            {"type": "RLIMIT_CORE", "soft": 1, "hard": 1},  # no core file, and no program that takes one
            *(
                {"type": _LIMIT_NAMES[kind], "soft": value, "hard": value}
                for kind, value in limits.resource_limits(
                    limits.with_quota(plan.policy.workspace, plan.policy.limits)
                )
            ),
        ],
        "noNewPrivileges": True,
    }


def _mounts(plan: Plan) -> list[dict[str, object]]:
    size = plan.policy.limits.scratch
    shared = ["nosuid", "nodev", "mode=1777", *((f"size={size}",) if size else ())]
    return [
        {"destination": "/proc", "type": "proc", "source": "proc"},
        {"destination": "/dev", "type": "tmpfs", "source": "tmpfs"},
        {"destination": "/dev/shm", "type": "tmpfs", "source": "tmpfs", "options": shared},  # noqa: S108 - inside
        *_temporary(plan, shared),
    ]


def _temporary(plan: Plan, options: list[str]) -> list[dict[str, object]]:
    """Return a /tmp: runsc puts one without a limit over one that is empty, but where one is asked for."""
    if any(mount.target.startswith("/tmp/") for mount in plan.mounts):  # noqa: S108 - inside
        return []
    return [{"destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": options}]  # noqa: S108 - inside
