"""What Firecracker's interface takes: names, kinds and bounds as its published description has them.

Written down by hand, as JSON Schema, from the definitions in `src/firecracker/swagger/firecracker.yaml` (main, 2026)
that a configuration of ours can hold; whatever else a configuration may hold is refused here.
"""

TEXT, YES_NO = {"type": "string"}, {"type": "boolean"}


def _object(required, **properties):
    return {
        "type": "object", "required": list(required), "additionalProperties": False,
        "properties": properties,
    }  # fmt: skip


BOOT = _object(["kernel_image_path"], kernel_image_path=TEXT, initrd_path=TEXT, boot_args=TEXT)
DRIVE = _object(
    ["drive_id", "is_root_device", "is_read_only", "path_on_host"],  # the last two: for virtio-block
    drive_id=TEXT, is_root_device=YES_NO, is_read_only=YES_NO, path_on_host=TEXT, partuuid=TEXT,
    cache_type={"enum": ["Unsafe", "Writeback"]}, io_engine={"enum": ["Sync", "Async"]},
)  # fmt: skip
MACHINE = _object(
    ["mem_size_mib", "vcpu_count"],
    mem_size_mib={"type": "integer"}, vcpu_count={"type": "integer", "minimum": 1, "maximum": 32},
    smt=YES_NO, track_dirty_pages=YES_NO, huge_pages={"enum": ["None", "Transparent", "2M"]},
    cpu_template={"enum": ["C3", "T2", "T2S", "T2CL", "T2A", "V1N1", "None"]},
)  # fmt: skip
VSOCK = _object(["guest_cid", "uds_path"], guest_cid={"type": "integer", "minimum": 3}, uds_path=TEXT)
CONFIGURATION = _object(
    ["boot-source", "drives", "machine-config"],
    **{
        "boot-source": BOOT, "drives": {"type": "array", "items": DRIVE}, "machine-config": MACHINE, "vsock": VSOCK,
        "entropy": _object([]),
    },
)  # fmt: skip
# As docs/jailer.md lists them: whether each takes a value
JAILER = {
    "--id": True, "--exec-file": True, "--uid": True, "--gid": True, "--parent-cgroup": True, "--cgroup-version": True,
    "--cgroup": True, "--chroot-base-dir": True, "--netns": True, "--resource-limit": True, "--daemonize": False,
    "--new-pid-ns": False,
}  # fmt: skip
