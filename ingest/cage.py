"""The cage a parser runs in: what a child process gives up before it looks at a file, and for good.

On Linux: rlimits, death with the parent, `no_new_privs`, an empty network namespace, landlock (read only the one
file and the interpreter's own libraries) and seccomp (`ingest.seccomp`). Elsewhere rlimits alone. Every layer but
the rlimits is best effort, because containers forbid some of them; `apply` tells which hold.
"""

import ctypes
import math
import os
import resource
import signal
import struct
import sys
import sysconfig
from collections.abc import Iterable
from pathlib import Path

from ingest.seccomp import forbid_system_calls

_PR_SET_PDEATHSIG = 1
_PR_SET_NO_NEW_PRIVS = 38
_CLONE_NEWUSER = 0x10000000
_CLONE_NEWNET = 0x40000000
_CLONE_NEWIPC = 0x08000000

# The three calls of landlock have these numbers on every architecture (kernel: include/uapi/linux/landlock.h).
_LANDLOCK_CREATE_RULESET = 444
_LANDLOCK_ADD_RULE = 445
_LANDLOCK_RESTRICT_SELF = 446
_LANDLOCK_VERSION_QUERY = 1
_LANDLOCK_PATH_BENEATH = 1
_READ_FILE = 1 << 2
_READ_DIR = 1 << 3
# How many file rights each version of the interface knows: 13 at first, then REFER, TRUNCATE, IOCTL_DEV.
_FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15}
_FILE_RIGHTS_NEWEST = 16
_NET_RIGHTS = 0b11  # bind and connect TCP, since version 4
_SCOPES = 0b11  # abstract sockets and signals to outside, since version 6

_MAX_OPEN_FILES = 64


def isolate() -> dict[str, bool]:
    """Move this process into an empty network of its own and, where that is allowed, out of root's privileges.

    Must be called while the process has one thread. Children inherit it.

    Returns:
        Which of `user_namespace` and `network_namespace` hold.
    """
    if sys.platform != "linux":
        return {"user_namespace": False, "network_namespace": False}
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET | _CLONE_NEWIPC) == 0:
        return {"user_namespace": True, "network_namespace": True}
    return {"user_namespace": False, "network_namespace": libc.unshare(_CLONE_NEWNET) == 0}


def apply(
    *,
    memory_bytes: int,
    cpu_seconds: float,
    readable_files: Iterable[int] = (),
    readable_folders: Iterable[Path] = (),
    parent_pid: int | None = None,
) -> dict[str, bool]:
    """Give up everything but reading the given files and folders, some memory and some CPU time. Cannot be undone.

    Args:
        memory_bytes: address space this process may have, what it has already included.
        cpu_seconds: CPU time from the start of the process; SIGXCPU ends it after that.
        readable_files: descriptors of files that may be opened again, for reading.
        readable_folders: folders under which everything may be read.
        parent_pid: with it, this process is killed when its parent ends.

    Returns:
        Which layers hold: `rlimits`, `dies_with_parent`, `no_new_privs`, `landlock`, `seccomp`.
    """
    layers = {"rlimits": True, "dies_with_parent": False, "no_new_privs": False, "landlock": False, "seccomp": False}
    _limit_resources(memory_bytes, math.ceil(cpu_seconds))
    if sys.platform != "linux":
        return layers
    libc = ctypes.CDLL(None, use_errno=True)
    if parent_pid is not None:
        layers["dies_with_parent"] = libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) == 0
        if os.getppid() != parent_pid:  # it ended before the line above
            os._exit(1)
    layers["no_new_privs"] = libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
    if layers["no_new_privs"]:
        layers["landlock"] = _restrict_files(libc, readable_files, readable_folders)
        layers["seccomp"] = forbid_system_calls(libc)
    return layers


def library_folders() -> tuple[Path, ...]:
    """Folders a parser needs to read: Python's libraries, imported on first use, and fonts that PDFs do not embed."""
    python = [sysconfig.get_path(key) for key in ("stdlib", "platstdlib", "purelib", "platlib")]
    shared = ["/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", f"{sys.base_prefix}/lib"]
    fonts = ["/usr/share/fonts", "/usr/local/share/fonts", "/etc/fonts"]
    root = Path(__file__).resolve().parent.parent
    own = [root / package for package in ("ingest", "rag", "llm")]
    return tuple(dict.fromkeys(path for path in [*map(Path, [*python, *shared, *fonts]), *own] if path.is_dir()))


def _limit_resources(memory_bytes: int, cpu_seconds: int) -> None:
    wanted = {
        "RLIMIT_CORE": 0,
        "RLIMIT_FSIZE": 0,
        "RLIMIT_NOFILE": _MAX_OPEN_FILES,
        "RLIMIT_NPROC": 0,
        "RLIMIT_CPU": cpu_seconds,
        "RLIMIT_AS": memory_bytes,
    }
    for name, value in wanted.items():
        which = getattr(resource, name, None)
        if which is None:
            continue
        _, hard = resource.getrlimit(which)
        # A second between the soft CPU limit, whose signal tells what happened, and the hard one, which kills.
        ceiling = value + 1 if name == "RLIMIT_CPU" else value
        if hard != resource.RLIM_INFINITY:
            value, ceiling = min(value, hard), min(ceiling, hard)
        try:
            resource.setrlimit(which, (value, ceiling))
        except (OSError, ValueError):
            if sys.platform == "linux":
                raise  # macOS refuses an address space below what is mapped already; Linux never does


def _restrict_files(libc: ctypes.CDLL, readable_files: Iterable[int], readable_folders: Iterable[Path]) -> bool:
    version = libc.syscall(_LANDLOCK_CREATE_RULESET, None, 0, _LANDLOCK_VERSION_QUERY)
    if version < 1:
        return False
    handled = (1 << _FILE_RIGHTS.get(version, _FILE_RIGHTS_NEWEST)) - 1
    attributes = struct.pack("=Q", handled)
    if version >= 4:
        attributes += struct.pack("=Q", _NET_RIGHTS)
    if version >= 6:
        attributes += struct.pack("=Q", _SCOPES)
    ruleset = libc.syscall(_LANDLOCK_CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), 0)
    if ruleset < 0:
        return False
    try:
        for descriptor in readable_files:
            if not _allow(libc, ruleset, _READ_FILE, descriptor):
                return False
        for folder in readable_folders:
            descriptor = os.open(folder, os.O_PATH | os.O_CLOEXEC)
            try:
                if not _allow(libc, ruleset, _READ_FILE | _READ_DIR, descriptor):
                    return False
            finally:
                os.close(descriptor)
        return bool(libc.syscall(_LANDLOCK_RESTRICT_SELF, ruleset, 0) == 0)
    finally:
        os.close(ruleset)


def _allow(libc: ctypes.CDLL, ruleset: int, rights: int, descriptor: int) -> bool:
    rule = struct.pack("=Qi", rights, descriptor)
    return bool(libc.syscall(_LANDLOCK_ADD_RULE, ruleset, _LANDLOCK_PATH_BENEATH, rule, 0) == 0)
