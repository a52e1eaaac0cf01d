"""The table of attacks: which there are, where each comes from, and how it is made.

`inside` attacks run in one session, one after the other, under the user's final policy. The other
kinds have a half outside, in `outside.py`, which starts a session of its own.
"""

import os

from ringfence.value import Struct

INSIDE, PLANTED, OUTSIDE = "inside", "planted", "outside"


class Attack(Struct):
    """One attack, or one closely related family."""

    id: str
    title: str
    row: str  # in THREATS.md
    module: str  # file in this folder, which holds the half that runs inside
    kind: str = INSIDE


ATTACKS = (
    Attack(
        id="S01", title="type into the operator's terminal", row="§2.2 S01", module="terminal", kind=OUTSIDE
    ),
    Attack(
        id="S02",
        title="connect to services of the host",
        row="§2.2 S02, §2.1 greywall#55",
        module="local_services",
    ),
    Attack(id="S03", title="open sockets of other families", row="§2.2 S03", module="sockets"),
    Attack(id="S04", title="use io_uring", row="§2.2 S04", module="io_uring"),
    Attack(id="S05", title="steer the machine by /proc and /sys", row="§2.2 S05", module="kernel_files"),
    Attack(id="S06", title="reach into other processes", row="§2.2 S06", module="processes"),
    Attack(id="S07", title="make namespaces and mounts", row="§2.2 S07", module="namespaces"),
    Attack(id="S08", title="read the kernel's keyrings", row="§2.2 S08", module="keyrings"),
    Attack(
        id="S09", title="make system calls for the machine's owner", row="§2.2 S09", module="kernel_calls"
    ),
    Attack(id="S10", title="gain privileges", row="§2.2 S10", module="privileges"),
    Attack(id="S11", title="make and open devices", row="§2.2 S11", module="devices"),
    Attack(
        id="S12",
        title="write files that the host runs or obeys",
        row="§2.2 S12, §2.1 srt",
        module="protected_files",
    ),
    Attack(
        id="S13",
        title="take over git on the host",
        row="§2.2 S13, CVE-2026-40068",
        module="git_takeover",
        kind=PLANTED,
    ),
    Attack(
        id="S14",
        title="swap a folder for a link while sessions start",
        row="§2.2 S14, CVE-2026-103435",
        module="swapped",
        kind=OUTSIDE,
    ),
    Attack(id="S15", title="find secrets in the environment", row="§2.2 S15", module="environment"),
    Attack(id="S16", title="learn about the host", row="§2.2 S16", module="host_paths"),
    Attack(id="S17", title="share memory with the host", row="§2.2 S17", module="shared_memory"),
    Attack(id="S18", title="dump core on the host", row="§2.2 S18", module="core_dumps"),
    Attack(id="S19", title="use more than the limits", row="§2.2 S19", module="exhaustion"),
    Attack(id="MEM", title="take memory beyond the limit", row="§2.2 S19", module="memory", kind=OUTSIDE),
    Attack(
        id="S20",
        title="outlive the session, or leave something",
        row="§2.2 S20, §2.1 sandlock#251, sandlock#6",
        module="leftovers",
        kind=OUTSIDE,
    ),
    Attack(id="S21", title="reach the network past the gate", row="§2.2 S21", module="network"),
    Attack(id="S22", title="write what is read-only", row="§2.2 S22", module="read_only"),
    Attack(id="S23", title="use gVisor's openings to the host", row="§2.2 S23", module="sentry"),
    Attack(id="S24", title="use the virtual machine's openings", row="§2.2 S24", module="machine"),
    Attack(id="S25", title="use what a container engine leaves open", row="§2.2 S25", module="engine"),
    Attack(id="E01", title="spell a host past the gate", row="§3.2", module="gate_hosts"),
    Attack(id="E02", title="hide a request in another", row="§3.4", module="gate_framing"),
    Attack(id="E03", title="tunnel other names and protocols", row="§3.1, §3.5", module="gate_tunnels"),
    Attack(
        id="FD",
        title="use inherited descriptors",
        row="§2.1 navikt/cplt#329, CVE-2024-21626",
        module="descriptors",
    ),
    Attack(
        id="NEW",
        title="leave new files that the host obeys",
        row="§2.1 CVE-2026-25725",
        module="new_files",
        kind=PLANTED,
    ),
    Attack(
        id="O17",
        title="change the project past its copy",
        row="§5 O03, O17",
        module="copied_project",
        kind=PLANTED,
    ),
    Attack(id="C01", title="find the authority's private key", row="§4 C01", module="authority_key"),
    Attack(id="C09", title="find the battery's own secret", row="§4 C09", module="secrets"),
    Attack(id="C15", title="read credential files", row="§4 C15, §2.1 CC 2.1.224", module="credential_files"),
    Attack(
        id="B15",
        title="change the policy and the record",
        row="§6 B15, §2.1 agentcage#173",
        module="own_policy",
    ),
)


def source(name: str) -> str:
    """Return the text of an attack's inside half."""
    with open(os.path.join(os.path.dirname(__file__), f"{name}.py"), encoding="utf-8") as file:
        return file.read()
