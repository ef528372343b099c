"""A seccomp filter: the system calls that no parser needs fail with EPERM, even where namespaces are forbidden.

A list of what is forbidden rather than of what is allowed, because the interpreter and the C libraries under the
parsers may use any harmless call. Numbers are those of the kernel's tables for x86-64 and arm64.
"""

import ctypes
import errno
import os
import platform
import struct

_PR_SET_SECCOMP = 22
_MODE_FILTER = 2
_ALLOW, _ERRNO, _KILL = 0x7FFF0000, 0x00050000, 0x80000000

# Classic BPF over `struct seccomp_data`: number, architecture, instruction pointer, six 64-bit arguments.
_LOAD, _JUMP_EQUAL, _JUMP_AT_LEAST, _JUMP_ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER_AT, _ARCHITECTURE_AT, _ARGUMENTS_AT = 0, 4, 16
_X32 = 0x40000000  # the second table of x86-64, which would go around every number here

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC


def _numbers(table: str) -> dict[str, int]:
    return {name: int(number) for name, _, number in (call.partition("=") for call in table.split())}


# (architecture, calls forbidden, calls that do not exist, calls on processes, {open call: argument of its flags})
# clone3 and openat2 hide their arguments in memory: as absent, the C library falls back to those judged here.
# kill and tgkill are allowed on the own process, which abort() needs.
_X86_64 = (
    0xC000003E,
    _numbers(
        "socket=41 connect=42 accept=43 bind=49 listen=50 socketpair=53 accept4=288 "
        "clone=56 fork=57 vfork=58 execve=59 execveat=322 ptrace=101 tkill=200 "
        "process_vm_readv=310 process_vm_writev=311 pidfd_open=434 pidfd_getfd=438 "
        "truncate=76 rename=82 mkdir=83 rmdir=84 creat=85 link=86 unlink=87 "
        "symlink=88 chmod=90 fchmod=91 chown=92 fchown=93 lchown=94 mknod=133 "
        "mkdirat=258 mknodat=259 fchownat=260 unlinkat=263 renameat=264 linkat=265 "
        "symlinkat=266 fchmodat=268 renameat2=316 setxattr=188 lsetxattr=189 fsetxattr=190 "
        "pivot_root=155 chroot=161 mount=165 umount2=166 unshare=272 setns=308 "
        "add_key=248 request_key=249 keyctl=250 perf_event_open=298 bpf=321 userfaultfd=323 "
        "io_uring_setup=425 io_uring_enter=426 open_tree=428 move_mount=429 fsopen=430"
    ),
    _numbers("clone3=435 openat2=437"),
    _numbers("kill=62 tgkill=234"),
    {2: 1, 257: 2},  # open, openat
)
_ARM64 = (
    0xC00000B7,
    _numbers(
        "socket=198 socketpair=199 bind=200 listen=201 accept=202 connect=203 accept4=242 "
        "clone=220 execve=221 execveat=281 ptrace=117 tkill=130 "
        "process_vm_readv=270 process_vm_writev=271 pidfd_open=434 pidfd_getfd=438 "
        "truncate=45 mknodat=33 mkdirat=34 unlinkat=35 symlinkat=36 linkat=37 "
        "renameat=38 renameat2=276 fchmod=52 fchmodat=53 fchownat=54 fchown=55 "
        "setxattr=5 lsetxattr=6 fsetxattr=7 "
        "umount2=39 mount=40 pivot_root=41 chroot=51 unshare=97 setns=268 "
        "add_key=217 request_key=218 keyctl=219 perf_event_open=241 bpf=280 userfaultfd=282 "
        "io_uring_setup=425 io_uring_enter=426 open_tree=428 move_mount=429 fsopen=430"
    ),
    _numbers("clone3=435 openat2=437"),
    _numbers("kill=129 tgkill=131"),
    {56: 2},  # openat
)
_TABLES = {"x86_64": _X86_64, "aarch64": _ARM64}


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def forbid_system_calls(libc: ctypes.CDLL) -> bool:
    """Install the filter in this process for good; needs `no_new_privs`. False where the kernel or machine has none."""
    table = _TABLES.get(platform.machine())
    if table is None:
        return False
    program = _filter(*table, own_pid=os.getpid())
    loaded = _Program(len(program) // 8, program)
    return bool(libc.prctl(_PR_SET_SECCOMP, _MODE_FILTER, ctypes.byref(loaded), 0, 0) == 0)


def _filter(
    architecture: int,
    forbidden: dict[str, int],
    absent: dict[str, int],
    on_processes: dict[str, int],
    opens: dict[int, int],
    *,
    own_pid: int,
) -> bytes:
    """The filter as BPF. Every test is a short block that either returns or falls through to the next."""
    refuse, missing = _ERRNO | errno.EPERM, _ERRNO | errno.ENOSYS
    program = [
        (_LOAD, 0, 0, _ARCHITECTURE_AT),
        (_JUMP_EQUAL, 1, 0, architecture),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER_AT),
        (_JUMP_AT_LEAST, 0, 1, _X32),
        (_RETURN, 0, 0, refuse),
    ]
    for number in forbidden.values():
        program += [(_JUMP_EQUAL, 0, 1, number), (_RETURN, 0, 0, refuse)]
    for number in absent.values():
        program += [(_JUMP_EQUAL, 0, 1, number), (_RETURN, 0, 0, missing)]
    for number in on_processes.values():
        program += [
            (_JUMP_EQUAL, 0, 4, number),
            (_LOAD, 0, 0, _ARGUMENTS_AT),
            (_JUMP_EQUAL, 1, 0, own_pid),
            (_RETURN, 0, 0, refuse),
            (_RETURN, 0, 0, _ALLOW),
        ]
    for number, argument in opens.items():
        program += [
            (_JUMP_EQUAL, 0, 4, number),
            (_LOAD, 0, 0, _ARGUMENTS_AT + 8 * argument),
            (_JUMP_ANY_BIT, 0, 1, _WRITING),
            (_RETURN, 0, 0, refuse),
            (_RETURN, 0, 0, _ALLOW),
        ]
    program.append((_RETURN, 0, 0, _ALLOW))
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in program)
