"""The first program inside: a few hundred bytes of machine code that make a list of system calls.

Landlock must be applied after the last mount, so inside, where bubblewrap has no hook for it; a
Python interpreter started for that would cost 10 ms of every session, a compiled helper a compiler
or a binary in the repository. But what has to happen is a fixed list, known outside: limit
resources, add Landlock rules, close descriptors, execute the command. So the list is assembled here
into a static ELF program: system calls, each checked, ending in execve(2). Where a first process has
to stay (`reaper`), jumps between named places make loops of them.

Memory: one read-only, executable segment (the file: code, then constants) and one that can be written
(results of calls, and the structures that hold them).
"""

import struct

from ringfence.value import Struct

PAGE = 4096
_CODE_BASE = 0x400000
_SLOTS_BASE = 0x10000000
_HEADERS = 64 + 3 * 56
SLOTS = 0x10000  # bytes that can be written; what nobody touches costs nothing
_ALIGN = 0x10000  # the largest page size of aarch64


class Data(Struct):
    """Constant bytes; as an argument: their address."""

    content: bytes


class Slot(Struct):
    """Eight writable bytes; as an argument: their value, or with `address` their address."""

    offset: int
    address: bool = False


class Table(Struct):
    """A null-terminated array of pointers to null-terminated strings (argv, envp)."""

    strings: tuple[bytes, ...]


class Pointers(Struct):
    """Constant words of which some are addresses of other constants or slots (msghdr, iovec)."""

    words: "tuple[int | Data | Slot | Pointers, ...]"


Argument = int | Data | Slot | Table | Pointers


class Call(Struct):
    """One system call."""

    name: str
    arguments: tuple[Argument, ...] = ()
    result: Slot | None = None  # where its result goes
    failure: str = ""  # printed before leaving with 125; empty: errors do not matter


class Store(Struct):
    """Put a constant into a slot."""

    slot: Slot
    value: int


class Copy(Struct):
    """Copy one slot to another."""

    source: Slot
    target: Slot


class Span(Struct):
    """Text whose address and length lie in two slots."""

    start: Slot
    length: Slot


class Execute(Struct):
    """Try to execute each path in turn; leave with 126 or 127 as shells do.

    Slots hold addresses: of what was received when the program ran already (`boundary.waiting`).
    """

    paths: tuple[bytes | Slot, ...]
    argv: tuple[bytes, ...] | Slot
    environment: tuple[bytes, ...] | Slot
    not_found: str | Span
    not_executable: str | Span


class Place(Struct):
    """A place that a jump can go to."""

    name: str


class Jump(Struct):
    """Go on at a place; with `when`, only if the two are equal (or the first is less, as signed numbers)."""

    to: str
    when: "tuple[Slot, int | Slot] | None" = None
    less: bool = False


class Add(Struct):
    """Add to a slot."""

    slot: Slot
    value: "int | Slot"
    subtract: bool = False


class Half(Struct):
    """Put 32 bits of memory, as an unsigned number, into a slot."""

    offset: int
    target: Slot


Step = Call | Store | Copy | Execute | Place | Jump | Add | Half

_NUMBERS = {  # name: (x86_64, aarch64)
    "read": (0, 63),
    "write": (1, 64),
    "clone": (56, 220),
    "kill": (62, 129),
    "getpid": (39, 172),
    "setpgid": (109, 154),
    "setsid": (112, 157),
    "waitid": (247, 95),
    "ppoll": (271, 73),
    "signalfd4": (289, 74),
    "dup3": (292, 24),
    "chdir": (80, 49),
    "ioctl": (16, 29),
    "recvmsg": (47, 212),
    "setgroups": (116, 159),
    "setresuid": (117, 147),
    "setresgid": (119, 149),
    "close": (3, 57),
    "rt_sigaction": (13, 134),
    "rt_sigprocmask": (14, 135),
    "socket": (41, 198),
    "connect": (42, 203),
    "sendmsg": (46, 211),
    "bind": (49, 200),
    "listen": (50, 201),
    "setsockopt": (54, 208),
    "execve": (59, 221),
    "rt_sigtimedwait": (128, 137),
    "prctl": (157, 167),
    "mount": (165, 40),
    "sethostname": (170, 161),
    "exit_group": (231, 94),
    "openat": (257, 56),
    "prlimit64": (302, 261),
    "seccomp": (317, 277),
    "close_range": (436, 436),
    "landlock_create_ruleset": (444, 444),
    "landlock_add_rule": (445, 445),
    "landlock_restrict_self": (446, 446),
}
_ENOENT, _ENOTDIR = 2, 20


def assemble(arch: str, steps: tuple[Step, ...], *, writable: int = SLOTS) -> bytes:
    """Return the ELF program that makes the calls in order; `writable` bytes of it are for slots."""
    machine = _X86() if arch == "x86_64" else _Arm()
    places: dict[str, int] = {}
    size = len(_emit(machine, steps, _Constants(0), places))  # no step's size depends on an address
    constants = _Constants(_CODE_BASE + _HEADERS + size)
    code = _emit(machine, steps, constants, places)
    return _elf(machine.number, code + bytes(constants.content), writable)


def address_of(offset: int) -> int:
    """Return the address of a slot."""
    return _SLOTS_BASE + offset


class _Constants:
    """Constants laid out after the code; equal ones share a place."""

    def __init__(self, base: int) -> None:
        self.base = base
        self.content = bytearray()
        self._known: dict[bytes, int] = {}

    def place(self, content: bytes) -> int:
        if content not in self._known:
            self.content += b"\0" * (-len(self.content) % 8)
            self._known[content] = self.base + len(self.content)
            self.content += content
        return self._known[content]

    def value(self, argument: Argument) -> int:
        """Return what to load for an argument that is not a slot's value."""
        if isinstance(argument, Data):
            return self.place(argument.content)
        if isinstance(argument, Table):
            pointers = [self.place(one + b"\0") for one in argument.strings]
            return self.place(struct.pack(f"<{len(pointers) + 1}Q", *pointers, 0))
        if isinstance(argument, Pointers):
            return self.place(struct.pack(f"<{len(argument.words)}Q", *map(self.value, argument.words)))
        if isinstance(argument, Slot):
            return address_of(argument.offset)
        return argument & 0xFFFFFFFFFFFFFFFF


def _emit(
    machine: "_X86 | _Arm", steps: tuple[Step, ...], constants: _Constants, places: dict[str, int]
) -> bytes:
    """Return the code; learn where its places are, which jumps of a second pass need."""
    code = b""
    for step in steps:
        if isinstance(step, Store):
            code += machine.store(step.slot.offset, step.value)
        elif isinstance(step, Copy):
            code += machine.copy(step.source.offset, step.target.offset)
        elif isinstance(step, Place):
            places[step.name] = len(code)
        elif isinstance(step, Jump):
            code += _jump(machine, step, len(code), places)
        elif isinstance(step, Add):
            code += machine.first(step.slot.offset) + _second(machine, step.value)
            code += machine.add(step.slot.offset, subtract=step.subtract)
        elif isinstance(step, Half):
            code += machine.half(step.offset, step.target.offset)
        elif isinstance(step, Execute):
            code += _execute(machine, step, constants)
        else:
            code += _call(machine, step, constants)
    return code + _leave(machine, "ringfence: the entry program ran past its end\n", 125, constants)


def _jump(machine: "_X86 | _Arm", step: Jump, here: int, places: dict[str, int]) -> bytes:
    code = b""
    if step.when is not None:
        slot, value = step.when
        code = machine.first(slot.offset) + _second(machine, value) + machine.compare()
    condition = None if step.when is None else step.less
    return code + machine.jump(places.get(step.to, 0) - here - len(code), less=condition)


def _second(machine: "_X86 | _Arm", value: "int | Slot") -> bytes:
    if isinstance(value, Slot):
        return machine.second_from(value.offset)
    return machine.second(value & 0xFFFFFFFFFFFFFFFF)


def _call(machine: "_X86 | _Arm", step: Call, constants: _Constants) -> bytes:
    code = _raw_call(machine, step.name, step.arguments, constants)
    if step.failure:
        leave = _leave(machine, f"ringfence: {step.failure}\n", 125, constants)
        code += machine.unless_error(len(leave)) + leave
    if step.result is not None:
        code += machine.keep(step.result.offset)
    return code


def _execute(machine: "_X86 | _Arm", step: Execute, constants: _Constants) -> bytes:
    argv, environment = _table(step.argv), _table(step.environment)
    refused = _leave(machine, _text(step.not_executable), 126, constants)
    code = b""
    for path in step.paths:
        name = path if isinstance(path, Slot) else Data(content=path + b"\0")
        code += _raw_call(machine, "execve", (name, argv, environment), constants)
        skip_second = machine.if_errno(_ENOTDIR, len(refused))
        code += machine.if_errno(_ENOENT, len(skip_second) + len(refused)) + skip_second + refused
    return code + _leave(machine, _text(step.not_found), 127, constants)


def _table(strings: tuple[bytes, ...] | Slot) -> Table | Slot:
    return strings if isinstance(strings, Slot) else Table(strings=strings)


def _text(text: str | Span) -> str | Span:
    return text if isinstance(text, Span) else f"ringfence: {text}\n"


def _leave(machine: "_X86 | _Arm", text: str | Span, status: int, constants: _Constants) -> bytes:
    if isinstance(text, Span):
        shown: tuple[Argument, Argument] = (text.start, text.length)
    else:
        message = text.encode(errors="backslashreplace")
        shown = (Data(content=message), len(message))
    code = _raw_call(machine, "write", (2, *shown), constants)
    return code + _raw_call(machine, "exit_group", (status,), constants)


def _raw_call(
    machine: "_X86 | _Arm", name: str, arguments: tuple[Argument, ...], constants: _Constants
) -> bytes:
    code = b""
    for index, argument in enumerate(arguments):
        if isinstance(argument, Slot) and not argument.address:
            code += machine.argument_from(index, argument.offset)
        else:
            code += machine.argument(index, constants.value(argument))
    return code + machine.call(_NUMBERS[name])


class _X86:
    """x86-64: number in rax; arguments in rdi, rsi, rdx, r10, r8, r9 (System V ABI, A.2.1)."""

    number = 62  # EM_X86_64
    _MOVE = (b"\x48\xbf", b"\x48\xbe", b"\x48\xba", b"\x49\xba", b"\x49\xb8", b"\x49\xb9")  # mov REG, imm64
    _FROM_RAX = (
        b"\x48\x89\xc7",
        b"\x48\x89\xc6",
        b"\x48\x89\xc2",
        b"\x49\x89\xc2",
        b"\x49\x89\xc0",
        b"\x49\x89\xc1",
    )

    def argument(self, index: int, value: int) -> bytes:
        return self._MOVE[index] + struct.pack("<Q", value)

    def argument_from(self, index: int, offset: int) -> bytes:
        return (
            b"\x48\xa1" + struct.pack("<Q", _SLOTS_BASE + offset) + self._FROM_RAX[index]
        )  # mov rax, [slot]

    def call(self, numbers: tuple[int, int]) -> bytes:
        return b"\x48\xb8" + struct.pack("<Q", numbers[0]) + b"\x0f\x05"  # mov rax, number; syscall

    def keep(self, offset: int) -> bytes:
        return b"\x48\xa3" + struct.pack("<Q", _SLOTS_BASE + offset)  # mov [slot], rax

    def store(self, offset: int, value: int) -> bytes:
        return b"\x48\xb8" + struct.pack("<Q", value) + self.keep(offset)

    def copy(self, source: int, target: int) -> bytes:
        return b"\x48\xa1" + struct.pack("<Q", _SLOTS_BASE + source) + self.keep(target)

    def unless_error(self, skip: int) -> bytes:
        return b"\x48\x3d" + struct.pack("<i", -4096) + b"\x0f\x86" + struct.pack("<i", skip)  # cmp; jbe

    def if_errno(self, errno: int, skip: int) -> bytes:
        return b"\x48\x3d" + struct.pack("<i", -errno) + b"\x0f\x84" + struct.pack("<i", skip)  # cmp; je

    def first(self, offset: int) -> bytes:
        return b"\x48\xa1" + struct.pack("<Q", _SLOTS_BASE + offset)  # mov rax, [slot]

    def second(self, value: int) -> bytes:
        return b"\x48\xb9" + struct.pack("<Q", value)  # mov rcx, imm64

    def second_from(self, offset: int) -> bytes:
        return self.second(_SLOTS_BASE + offset) + b"\x48\x8b\x09"  # mov rcx, [rcx]

    def compare(self) -> bytes:
        return b"\x48\x39\xc8"  # cmp rax, rcx

    def add(self, offset: int, *, subtract: bool) -> bytes:
        return (b"\x48\x29\xc8" if subtract else b"\x48\x01\xc8") + self.keep(offset)

    def half(self, offset: int, target: int) -> bytes:
        return b"\xa1" + struct.pack("<Q", _SLOTS_BASE + offset) + self.keep(target)  # mov eax, [address]

    def jump(self, distance: int, *, less: bool | None) -> bytes:
        """Jump so far from where this instruction begins; always, if equal, or if less."""
        code = b"\xe9" if less is None else b"\x0f\x8c" if less else b"\x0f\x84"
        return code + struct.pack("<i", distance - len(code) - 4)


class _Arm:
    """AArch64: number in x8; arguments in x0 to x5; x9 is ours."""

    number = 183  # EM_AARCH64

    def _load(self, register: int, value: int) -> bytes:
        words = [(value >> shift) & 0xFFFF for shift in (0, 16, 32, 48)]
        code = struct.pack("<I", 0xD2800000 | words[0] << 5 | register)  # movz
        for half, word in enumerate(words[1:], 1):
            code += struct.pack("<I", 0xF2800000 | half << 21 | word << 5 | register)  # movk
        return code

    def argument(self, index: int, value: int) -> bytes:
        return self._load(index, value)

    def argument_from(self, index: int, offset: int) -> bytes:
        return self._load(9, _SLOTS_BASE + offset) + struct.pack("<I", 0xF9400000 | 9 << 5 | index)  # ldr

    def call(self, numbers: tuple[int, int]) -> bytes:
        return self._load(8, numbers[1]) + struct.pack("<I", 0xD4000001)  # svc #0

    def keep(self, offset: int) -> bytes:
        return self._load(9, _SLOTS_BASE + offset) + struct.pack("<I", 0xF9000000 | 9 << 5)  # str x0, [x9]

    def store(self, offset: int, value: int) -> bytes:
        return self._load(10, value) + self._load(9, _SLOTS_BASE + offset) + struct.pack("<I", 0xF900012A)

    def copy(self, source: int, target: int) -> bytes:
        load = self._load(9, _SLOTS_BASE + source) + struct.pack("<I", 0xF940012A)  # ldr x10, [x9]
        return load + self._load(9, _SLOTS_BASE + target) + struct.pack("<I", 0xF900012A)  # str x10, [x9]

    def unless_error(self, skip: int) -> bytes:
        return struct.pack("<II", 0xB100001F | 0xFFF << 10, self._branch(3, skip))  # cmn x0, #4095; b.lo

    def if_errno(self, errno: int, skip: int) -> bytes:
        return struct.pack("<II", 0xB100001F | errno << 10, self._branch(0, skip))  # cmn x0, #errno; b.eq

    def first(self, offset: int) -> bytes:
        return self._load(9, _SLOTS_BASE + offset) + struct.pack("<I", 0xF940012A)  # ldr x10, [x9]

    def second(self, value: int) -> bytes:
        return self._load(11, value)

    def second_from(self, offset: int) -> bytes:
        return self._load(9, _SLOTS_BASE + offset) + struct.pack("<I", 0xF940012B)  # ldr x11, [x9]

    def compare(self) -> bytes:
        return struct.pack("<I", 0xEB0B015F)  # cmp x10, x11

    def add(self, offset: int, *, subtract: bool) -> bytes:
        operation = struct.pack("<I", 0xCB0B014A if subtract else 0x8B0B014A)  # x10 = x10 ± x11
        return operation + self._load(9, _SLOTS_BASE + offset) + struct.pack("<I", 0xF900012A)

    def half(self, offset: int, target: int) -> bytes:
        load = self._load(9, _SLOTS_BASE + offset) + struct.pack("<I", 0xB940012A)  # ldr w10, [x9]
        return load + self._load(9, _SLOTS_BASE + target) + struct.pack("<I", 0xF900012A)

    def jump(self, distance: int, *, less: bool | None) -> bytes:
        """Jump so far from where this instruction begins; always, if equal, or if less."""
        if less is None:
            return struct.pack("<I", 0x14000000 | distance // 4 & 0x3FFFFFF)
        return struct.pack("<I", 0x54000000 | (distance // 4 & 0x7FFFF) << 5 | (11 if less else 0))

    def _branch(self, condition: int, skip: int) -> int:
        return 0x54000000 | (skip // 4 + 1) << 5 | condition


def _elf(machine: int, body: bytes, writable: int) -> bytes:
    size = _HEADERS + len(body)
    header = b"\x7fELF\x02\x01\x01" + b"\0" * 9
    header += struct.pack(
        "<HHIQQQIHHHHHH", 2, machine, 1, _CODE_BASE + _HEADERS, 64, 0, 0, 64, 56, 3, 0, 0, 0
    )
    header += struct.pack("<IIQQQQQQ", 1, 5, 0, _CODE_BASE, _CODE_BASE, size, size, _ALIGN)
    header += struct.pack("<IIQQQQQQ", 1, 6, 0, _SLOTS_BASE, _SLOTS_BASE, 0, writable, _ALIGN)
    header += struct.pack("<IIQQQQQQ", 0x6474E551, 6, 0, 0, 0, 0, 0, 16)  # PT_GNU_STACK, not executable
    return header + body
