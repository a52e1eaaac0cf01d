"""The system-call filter, judged the way the kernel judges it, for both architectures."""

import errno
import os
import re

import pytest
from bpf import judge

from ringfence.boundary import seccomp
from ringfence.boundary.seccomp import Options

ARCHES = ("x86_64", "aarch64")
HEADERS = {
    "x86_64": ("/usr/include/x86_64-linux-gnu/asm/unistd_64.h", "/usr/include/asm/unistd_64.h"),
    "aarch64": ("/usr/include/asm-generic/unistd.h",),
}
NEWER = {  # calls that this distribution's headers do not know yet (include/uapi/asm-generic/unistd.h, Linux 6.15)
    "open_tree_attr": 467, "listmount": 458, "statmount": 457, "fchmodat2": 452,
}  # fmt: skip
SOCK_CLOEXEC, SOCK_NONBLOCK = 0o2000000, 0o4000
O_CREAT, O_TMPFILE, O_CLOEXEC = 0o100, 0o20200000, 0o2000000


def header(arch):
    """Return name → number as the kernel's own header says."""
    path = next((one for one in HEADERS[arch] if os.path.exists(one)), "")
    if not path:
        pytest.skip("missing: the kernel's headers (linux-libc-dev)")
    with open(path, encoding="ascii") as file:
        found = re.findall(r"^#define __NR(?:3264)?_(\w+)\s+(\d+)$", file.read(), re.MULTILINE)
    return {name: int(number) for name, number in found}


def number(arch, name):
    return seccomp._CALLS[arch][name]


@pytest.fixture(params=ARCHES)
def arch(request):
    return request.param


@pytest.fixture
def program(arch):
    return seccomp.assemble(arch)


@pytest.mark.guarantee("P3")
class TestNumbers:
    def test_every_refused_call_has_the_kernels_number(self, arch):
        known = {**NEWER, **header(arch)}
        wrong = {
            name: (ours, known.get(name))
            for name, (ours, _errno) in seccomp.refused(arch).items()
            if known.get(name) != ours
        }
        assert wrong == {}

    def test_every_judged_call_has_the_kernels_number(self, arch):
        known = {**NEWER, **header(arch)}
        column = ARCHES.index(arch)
        modes = {name: row[column] for name, row in seccomp._MODES.items() if row[column] is not None}
        judged = {**seccomp._CALLS[arch], **modes}
        assert {name: known.get(name) for name in judged} == judged

    def test_a_call_left_out_for_an_architecture_does_not_exist_there(self):
        generic = header("aarch64")
        missing = [name for name, row in seccomp._REFUSED.items() if row[1] is None]
        missing += [name for name, row in seccomp._MODES.items() if row[1] is None]
        assert [name for name in missing if name in generic] == []


@pytest.mark.guarantee("P3")
class TestRefusals:
    def test_every_named_call_is_refused_whatever_its_arguments(self, arch, program):
        for name, (which, code) in seccomp.refused(arch).items():
            for arguments in ((), (1, 1, 1, 1, 1, 1), (2**64 - 1,) * 6):
                assert judge(program, arch, which, *arguments) == code, name

    def test_calls_that_programs_probe_for_look_absent_so_that_they_fall_back(self, arch):
        absent = {name for name, (_, code) in seccomp.refused(arch).items() if code == errno.ENOSYS}
        assert absent == {
            "clone3", "io_uring_enter", "io_uring_register", "io_uring_setup", "memfd_secret", "openat2",
        }  # fmt: skip

    @pytest.mark.parametrize("foreign", ["i386", "arm", "other"])
    def test_another_architectures_entry_kills(self, arch, program, foreign):
        if foreign == "other":
            foreign = ARCHES[1 - ARCHES.index(arch)]
        for which in range(500):
            assert judge(program, foreign, which) == "kill"

    def test_the_x32_entry_kills_for_every_number(self):
        program = seccomp.assemble("x86_64")
        for which in (0x40000000, 0x40000000 + 41, 0x40000000 + 520, 0x7FFFFFFF, 0xFFFFFFFF):
            assert judge(program, "x86_64", which) == "kill"

    def test_everything_else_is_allowed(self, arch, program):
        named = {which for which, _ in seccomp.refused(arch).values()}
        judged = set(seccomp._CALLS[arch].values())
        ordinary = set(header(arch).values()) - named - judged
        assert len(ordinary) > 150
        refused = {which: judge(program, arch, which) for which in ordinary}
        assert {which for which, answer in refused.items() if answer != "allow"} == set()

    @pytest.mark.parametrize("name", ["clone", "unshare"])
    def test_no_kind_of_namespace_can_be_made(self, arch, program, name):
        flags = (0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000)
        for flag in flags:
            assert judge(program, arch, number(arch, name), flag | 17) == errno.EPERM, hex(flag)

    def test_the_time_namespace_is_refused_where_it_can_be_asked_for(self, arch, program):
        assert judge(program, arch, number(arch, "unshare"), 0x80) == errno.EPERM
        assert judge(program, arch, number(arch, "clone"), 0x80 | 17) == "allow"  # part of the exit signal

    def test_threads_and_processes_are_allowed(self, arch, program):
        threads = 0x100 | 0x200 | 0x400 | 0x800 | 0x10000 | 0x40000 | 0x80000 | 0x100000 | 0x200000
        for flags in (17, threads, 0x4000 | 0x100 | 17):
            assert judge(program, arch, number(arch, "clone"), flags) == "allow"

    def test_high_halves_of_arguments_do_not_hide_what_is_asked(self, arch, program):
        """The kernel reads 32 bits of these: a filter that compares 64 is fooled (CVE-2019-7303)."""
        high = 0xFFFFFFFF00000000
        assert judge(program, arch, number(arch, "ioctl"), 0, high | 0x5412) == errno.EPERM
        assert judge(program, arch, number(arch, "renameat2"), 0, 0, 0, 0, high | 4) == errno.EPERM
        assert judge(program, arch, number(arch, "unshare"), high | 0x10000000) == errno.EPERM
        assert judge(program, arch, number(arch, "socket"), high | 40, 1, 0) == errno.EAFNOSUPPORT

    @pytest.mark.guarantee("P6")
    def test_the_terminal_cannot_be_typed_into(self, arch, program):
        for request in (0x5412, 0x541C):  # TIOCSTI, TIOCLINUX
            assert judge(program, arch, number(arch, "ioctl"), 0, request) == errno.EPERM
        for request in (0x5401, 0x5413, 0x5414, 0x540E, 0x8912):
            assert judge(program, arch, number(arch, "ioctl"), 0, request) == "allow"


class TestSockets:
    @pytest.mark.parametrize("family", [f for f in range(50) if f not in (1, 2, 10, 16)])
    def test_other_families_do_not_exist(self, arch, program, family):
        for kind in (1, 2, 3, 5):
            assert judge(program, arch, number(arch, "socket"), family, kind, 0) == errno.EAFNOSUPPORT

    @pytest.mark.parametrize("family", [2, 10])
    def test_tcp_and_udp_are_all_there_is_of_the_internet(self, arch, program, family):
        call = number(arch, "socket")
        for kind in (1, 2):
            for flags in (0, SOCK_CLOEXEC, SOCK_NONBLOCK, SOCK_CLOEXEC | SOCK_NONBLOCK):
                for protocol in (0, 6, 17):
                    assert judge(program, arch, call, family, kind | flags, protocol) == "allow"
        for kind in (0, 3, 4, 5, 6, 10):
            for flags in (0, SOCK_CLOEXEC):
                assert judge(program, arch, call, family, kind | flags, 0) == errno.EPERM, kind
        for protocol in (1, 2, 33, 58, 132, 136, 255, 262):
            assert judge(program, arch, call, family, 1, protocol) == errno.EPROTONOSUPPORT, protocol

    def test_netlink_is_there_for_looking_at_interfaces_only(self, arch, program):
        call = number(arch, "socket")
        assert judge(program, arch, call, 16, 3, 0) == "allow"
        for protocol in range(1, 30):
            assert judge(program, arch, call, 16, 3, protocol) == errno.EAFNOSUPPORT

    def test_unix_sockets_are_there(self, arch, program):
        assert judge(program, arch, number(arch, "socket"), 1, 1, 0) == "allow"


class TestModes:
    """No file is made set-user-id or set-group-id: on the host it would be its owner's."""

    @pytest.mark.parametrize("name", list(seccomp._MODES))
    def test_set_id_bits_are_refused_and_all_others_are_not(self, arch, program, name):
        row = seccomp._MODES[name]
        which, mode_at, flags_at = row[ARCHES.index(arch)], row[2], row[3]
        if which is None:
            return
        making = [0] if flags_at is None else [O_CREAT, O_TMPFILE | 2, O_CREAT | O_CLOEXEC | 1]
        for flags in making:
            for mode in (0o4755, 0o2755, 0o6000, 0o4000):
                assert self.ask(program, arch, which, mode_at, mode, flags_at, flags) == errno.EPERM
            for mode in (0o755, 0o1777, 0, 0o777):
                assert self.ask(program, arch, which, mode_at, mode, flags_at, flags) == "allow"

    @pytest.mark.parametrize("name", ["open", "openat"])
    def test_what_stands_in_the_mode_of_a_call_that_makes_no_file_does_not_matter(self, arch, program, name):
        row = seccomp._MODES[name]
        which = row[ARCHES.index(arch)]
        if which is not None:
            assert self.ask(program, arch, which, row[2], 0o6755, row[3], O_CLOEXEC | 2) == "allow"

    def ask(self, program, arch, which, mode_at, mode, flags_at, flags):
        arguments = [0] * 6
        arguments[mode_at] = mode
        if flags_at is not None:
            arguments[flags_at] = flags
        return judge(program, arch, which, *arguments)


class TestLoosening:
    """An option gives up what it names, and nothing beside it."""

    DEBUGGERS = frozenset({"ptrace", "process_vm_readv", "process_vm_writev", "pidfd_getfd", "personality"})
    NAMESPACES = frozenset({"mount", "umount2", "pivot_root", "chroot", "setns", "clone3"})

    @pytest.mark.parametrize(
        ("options", "given_up"),
        [
            (Options(), frozenset()),
            (Options(debuggers=True), DEBUGGERS),
            (Options(namespaces=True), NAMESPACES),
            (Options(keep_cpus=True), frozenset()),
            (Options(keep_quota=True), frozenset()),
            (Options(debuggers=True, namespaces=True), DEBUGGERS | NAMESPACES),
        ],
    )
    def test_of_the_calls_only_the_named_ones_return(self, arch, options, given_up):
        program = seccomp.assemble(arch, options)
        rows = seccomp.refused(arch)
        returned = {name for name, (which, _) in rows.items() if judge(program, arch, which) == "allow"}
        assert returned == given_up & set(rows)

    def test_affinity_is_refused_only_where_a_limit_needs_it(self, arch):
        which = {"x86_64": 203, "aarch64": 122}[arch]
        assert judge(seccomp.assemble(arch), arch, which) == "allow"
        assert judge(seccomp.assemble(arch, Options(keep_cpus=True)), arch, which) == errno.EPERM

    def test_space_is_reserved_but_where_a_quota_watches(self, arch):
        which = {"x86_64": 285, "aarch64": 47}[arch]
        assert judge(seccomp.assemble(arch), arch, which) == "allow"
        assert judge(seccomp.assemble(arch, Options(keep_quota=True)), arch, which) == errno.EOPNOTSUPP

    def test_debuggers_get_no_namespaces(self, arch):
        program = seccomp.assemble(arch, Options(debuggers=True))
        assert judge(program, arch, number(arch, "unshare"), 0x10000000) == errno.EPERM
        assert judge(program, arch, number(arch, "clone"), 0x10000000) == errno.EPERM

    def test_namespaces_leave_terminal_sockets_and_modes_as_they_were(self, arch):
        program = seccomp.assemble(arch, Options(namespaces=True))
        assert judge(program, arch, number(arch, "unshare"), 0x10000000) == "allow"
        assert judge(program, arch, number(arch, "ioctl"), 0, 0x5412) == errno.EPERM
        assert judge(program, arch, number(arch, "socket"), 40, 1, 0) == errno.EAFNOSUPPORT
        fchmod = seccomp._MODES["fchmod"][ARCHES.index(arch)]
        assert judge(program, arch, fchmod, 0, 0o4755) == errno.EPERM


def test_the_filter_fits_the_kernels_limit(arch):
    assert len(seccomp.assemble(arch)) // 8 < 4096  # BPF_MAXINSNS
