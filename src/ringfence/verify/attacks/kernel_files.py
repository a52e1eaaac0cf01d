"""S05: files by which a process steers the whole machine: core handlers, sysrq, module paths, cgroups.

Files are opened for writing, and nothing is written. The one exception is the attacker's own
oom_score_adj, lowered in a child that ends at once.
"""

import os
import time

from ringfence.verify.prelude import NO_FILE, Tally, can_open, in_child

_WRITABLE = (
    "/proc/sys/kernel/core_pattern", "/proc/sys/kernel/modprobe", "/proc/sys/kernel/hotplug",
    "/proc/sys/vm/overcommit_memory", "/proc/sys/vm/panic_on_oom", "/proc/sys/fs/binfmt_misc/register",
    "/proc/sys/user/max_user_namespaces", "/proc/sys/net/ipv4/ip_forward", "/proc/sysrq-trigger",
    "/proc/acpi", "/proc/mtrr", "/proc/irq/0/smp_affinity", "/sys/kernel/uevent_helper",
    "/sys/kernel/mm/ksm/run", "/sys/power/state", "/sys/kernel/debug/sched_features",
    "/sys/kernel/security/apparmor/.load", "/sys/firmware/efi/efivars",
    "/sys/module/kernel/parameters/panic", "/sys/fs/selinux/enforce",
)  # fmt: skip
_READABLE = (
    "/proc/kcore",
    "/proc/kmsg",
    "/proc/keys",
    "/proc/timer_list",
    "/proc/sched_debug",
    "/sys/firmware/dmi/tables/DMI",
)


def attack(facts):
    """Open every such file, look for control groups that can be written, and lower oom_score_adj."""
    tally = Tally()
    for path in _WRITABLE:
        tally.refuse(path, lambda path=path: can_open(path, os.O_WRONLY), NO_FILE | {21})
    for path in _READABLE:
        tally.refuse(f"read {path}", lambda path=path: _read(path), NO_FILE)
    _control_groups(tally)
    if facts.get("own_kernel"):
        _lower_own(tally)
    else:
        tally.refuse("lower oom_score_adj", lambda: in_child(_lower_oom_score))
    return tally.finding()


def _read(path):
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not os.read(fd, 1):  # what an engine covers with /dev/null opens, and holds nothing
            raise PermissionError(1, "empty")
    finally:
        os.close(fd)


def _control_groups(tally):
    found = 0
    for folder, _, files in os.walk("/sys/fs/cgroup"):
        for name in files:
            if name in {
                "release_agent",
                "cgroup.procs",
                "tasks",
                "notify_on_release",
                "memory.max",
                "pids.max",
            }:
                found += 1
                path = os.path.join(folder, name)
                tally.refuse(path, lambda path=path: can_open(path, os.O_WRONLY), NO_FILE)
        if found > 200:
            break
    if not found:
        tally.expect("control groups", True, "none visible")


def _lower_own(tally):
    """Lower it for a moment in the session's own kernel; the host's is watched from outside."""
    try:
        in_child(lambda: (_lower_oom_score(), time.sleep(0.5)), patience=10)
        tally.expect("lower oom_score_adj", True, "of its own kernel; the battery watches the host's")
    except OSError:
        tally.expect("lower oom_score_adj", True, "refused")


def _lower_oom_score():
    with open("/proc/self/oom_score_adj", encoding="ascii") as file:
        now = int(file.read())
    if now <= -1000:
        raise PermissionError(1, "already lowest")
    with open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
        file.write(str(now - 1))
