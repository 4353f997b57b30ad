"""Run a command under a unit's rules without systemd: ``python seccomp.py UNIT -- COMMAND ...``.

No new privileges, no capability, the system calls and address families of the unit; for root also a user that is not root,
and the unit's view of the file system, in namespaces of its own (exit status 77 where it may not make them). The filter is
made by libseccomp from systemd's own lists, as systemd does it. Imports nothing of ours, and execs the command, so that
its process is the one that was confined.
"""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import subprocess
import sys
from pathlib import Path

_LIBC = ctypes.CDLL(None, use_errno=True)

# linux/prctl.h
_PR_CAPBSET_DROP = 24
_PR_SET_NO_NEW_PRIVS = 38
_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL = 47, 4

# linux/mount.h
_MS_RDONLY, _MS_NOSUID, _MS_NODEV, _MS_NOEXEC = 1, 2, 4, 8
_MS_REMOUNT, _MS_BIND, _MS_REC, _MS_SLAVE = 32, 4096, 16384, 1 << 19
_CLONE_NEWNS, _CLONE_NEWUSER = 0x20000, 0x10000000

# seccomp.h
_SCMP_ACT_ALLOW = 0x7FFF0000
_SCMP_ACT_ERRNO = 0x00050000
_SCMP_CMP_EQ, _SCMP_CMP_MASKED_EQ = 4, 7
_NO_SUCH_CALL = -1

_PROT_WRITE_AND_EXEC, _PROT_EXEC = 0x6, 0x4  # sys/mman.h

CANNOT = 77
"""The exit status that says that this machine does not let us try."""

Settings = dict[str, list[str]]


class _Comparison(ctypes.Structure):
    _fields_ = [
        ("argument", ctypes.c_uint),
        ("operation", ctypes.c_int),
        ("first", ctypes.c_uint64),
        ("second", ctypes.c_uint64),
    ]


def settings_of(unit: str) -> Settings:
    """Every assignment of a unit, in order, by key."""
    found: Settings = {}
    for line in unit.splitlines():
        key, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            found.setdefault(key, []).append(value)
    return found


def allowed_calls(settings: Settings) -> set[str]:
    """The names of the system calls that the unit's filter lets through."""
    first, *others = settings["SystemCallFilter"]
    # systemd adds @default to every list of what is allowed.
    allowed = _expand(first.split()) | _expand(["@default"])
    for line in others:
        allowed -= _expand(line.removeprefix("~").split())
    return allowed


def _expand(words: list[str]) -> set[str]:
    calls = {word for word in words if not word.startswith("@")}
    groups = [word for word in words if word.startswith("@")]
    if groups:
        listed = subprocess.run(
            ["systemd-analyze", "syscall-filter", *groups], capture_output=True, text=True, check=True
        ).stdout
        members = {line.strip() for line in listed.splitlines() if line.startswith(" ") and "#" not in line}
        calls |= _expand(sorted(members))
    return calls


def confine(settings: Settings, allowed: set[str]) -> None:
    """Put this process under the unit's rules for good."""
    if os.geteuid() == 0:
        _see_only(settings)
        _be_somebody()
    _drop_capabilities()
    _check(_LIBC.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    if settings.get("MemoryDenyWriteExecute") == ["yes"]:
        _load_memory_filter()
    _load_family_filter(settings["RestrictAddressFamilies"][0].split())
    _load_call_filter(allowed)


def _see_only(settings: Settings) -> None:
    """ProtectSystem=strict, ReadWritePaths=, ProtectHome=, ProtectProc= and ProcSubset=, as mounts."""
    _unshare(_CLONE_NEWNS)
    _mount("none", "/", None, _MS_REC | _MS_SLAVE)
    writable = settings["ReadWritePaths"][0].split()
    for path in writable:
        _mount(path, path, None, _MS_BIND)
    kept = ("/proc", "/sys", "/dev", *writable)
    points = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    for point in points:
        if not any(point == path or point.startswith(path + "/") for path in kept):
            flags = _MS_REMOUNT | _MS_BIND | _MS_RDONLY
            for option, flag in (("nosuid", _MS_NOSUID), ("nodev", _MS_NODEV), ("noexec", _MS_NOEXEC)):
                if os.statvfs(point).f_flag & getattr(os, f"ST_{option.upper()}"):
                    flags |= flag
            _mount("none", point, None, flags)
    if settings["ProtectHome"] == ["yes"]:
        for home in filter(os.path.isdir, ("/home", "/root", "/run/user")):
            _mount("tmpfs", home, "tmpfs", _MS_RDONLY)
    _mount("proc", "/proc", "proc", _MS_NOSUID | _MS_NODEV | _MS_NOEXEC, "hidepid=invisible,subset=pid")


def _mount(source: str, target: str, kind: str | None, flags: int, data: str | None = None) -> None:
    encoded = [None if text is None else text.encode() for text in (source, target, kind, data)]
    _check(_LIBC.mount(*encoded[:3], ctypes.c_ulong(flags), encoded[3]))


def _unshare(flags: int) -> None:
    if _LIBC.unshare(flags):
        sys.exit(CANNOT)  # root of a container without CAP_SYS_ADMIN


def _be_somebody() -> None:
    """To itself a user other than root, to the file system still the owner of what root owns, such as the interpreter."""
    _unshare(_CLONE_NEWUSER)
    for name, line in (("setgroups", "deny"), ("uid_map", "1000 0 1"), ("gid_map", "1000 0 1")):
        Path("/proc/self", name).write_text(line)


def _drop_capabilities() -> None:
    _check(_LIBC.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0))
    for capability in range(64):
        # EPERM: there is none to drop from; EINVAL: this kernel has fewer.
        if _LIBC.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0) and ctypes.get_errno() not in (
            errno.EPERM,
            errno.EINVAL,
        ):
            raise OSError(ctypes.get_errno(), "PR_CAPBSET_DROP")


class _Filter:
    """A libseccomp filter: a default action, then rules."""

    def __init__(self, default: int) -> None:
        self._library = ctypes.CDLL("libseccomp.so.2", use_errno=True)
        self._library.seccomp_init.restype = ctypes.c_void_p
        self._context = ctypes.c_void_p(self._library.seccomp_init(ctypes.c_uint32(default)))

    def add(self, action: int, call: str, *comparisons: _Comparison) -> None:
        number = self._library.seccomp_syscall_resolve_name(call.encode())
        if number == _NO_SUCH_CALL:
            return  # newer than libseccomp; systemd passes over it too
        array = (_Comparison * len(comparisons))(*comparisons)
        _check(
            self._library.seccomp_rule_add_array(
                self._context, ctypes.c_uint32(action), number, len(comparisons), array
            )
        )

    def load(self) -> None:
        _check(self._library.seccomp_load(self._context))


def _load_call_filter(allowed: set[str]) -> None:
    calls = _Filter(_SCMP_ACT_ERRNO | errno.EPERM)
    for call in sorted(allowed):
        calls.add(_SCMP_ACT_ALLOW, call)
    calls.load()


def _load_family_filter(names: list[str]) -> None:
    families = _Filter(_SCMP_ACT_ALLOW)
    wanted = {getattr(socket, name) for name in names}
    for family in set(range(64)) - wanted:
        families.add(_SCMP_ACT_ERRNO | errno.EAFNOSUPPORT, "socket", _Comparison(0, _SCMP_CMP_EQ, family, 0))
    families.load()


def _load_memory_filter() -> None:
    """MemoryDenyWriteExecute=, as systemd makes it."""
    memory = _Filter(_SCMP_ACT_ALLOW)
    both = _Comparison(2, _SCMP_CMP_MASKED_EQ, _PROT_WRITE_AND_EXEC, _PROT_WRITE_AND_EXEC)
    memory.add(_SCMP_ACT_ERRNO | errno.EPERM, "mmap", both)
    for call in ("mprotect", "pkey_mprotect"):
        executable = _Comparison(2, _SCMP_CMP_MASKED_EQ, _PROT_EXEC, _PROT_EXEC)
        memory.add(_SCMP_ACT_ERRNO | errno.EPERM, call, executable)
    memory.load()


def _check(result: int) -> None:
    if result < 0:
        code = ctypes.get_errno() or -result
        raise OSError(code, os.strerror(code))


def main() -> None:
    """Read the unit, confine this process, become the command."""
    unit, dashes, *command = sys.argv[1:]
    assert dashes == "--"
    settings = settings_of(Path(unit).read_text())
    allowed = allowed_calls(settings)
    os.environ["LISTEN_PID"] = str(os.getpid())
    confine(settings, allowed)
    os.execv(command[0], command)


if __name__ == "__main__":
    main()
