"""Takes from kt_theory, in every process that finds this file first, what another system lacks.

`KT_THEORY_SYSTEM` is "macos" or "windows". Only the package's own modules see less of `os`,
`signal`, `sys` and `fcntl`; what the package stands on is made for each system by others.
On "windows" no file below `KT_THEORY_ROOT` that is open in the process can be removed or replaced,
no folder can be opened, and only what was opened for writing can be synced. Locks are there those
of `msvcrt`: of bytes, and of the handle that took them.
"""

from __future__ import annotations

import builtins
import errno
import fcntl
import os
import signal
import struct
import sys
import types
import warnings

SYSTEM = os.environ["KT_THEORY_SYSTEM"]
ROOT = os.path.realpath(os.environ["KT_THEORY_ROOT"])
STANDARD = os.path.dirname(os.__file__)
REAL = {name: getattr(os, name) for name in ("open", "fsync", "remove", "replace", "kill")}

ON_LINUX_ALONE = {
    "os": """sched_getaffinity sched_setaffinity posix_fadvise O_TMPFILE O_DIRECT O_PATH pidfd_open
        eventfd memfd_create splice copy_file_range getrandom""",
    "signal": "SIGRTMIN SIGRTMAX SIGPWR SIGSTKFLT SIGPOLL sigtimedwait sigwaitinfo",
    "fcntl": "F_OFD_SETLK F_OFD_SETLKW F_OFD_GETLK F_ADD_SEALS",
}
NOT_ON_WINDOWS = {
    "os": """fork forkpty sysconf getuid geteuid getgid getegid getgroups setuid getpgid getpgrp
        setsid killpg nice getloadavg uname fchmod fchown chown lchown mkfifo mknod wait wait4
        WIFEXITED statvfs sync O_DIRECTORY O_CLOEXEC O_NOFOLLOW O_SYNC O_NONBLOCK pread pwrite
        lockf confstr posix_fallocate""",
    "signal": """SIGKILL SIGHUP SIGQUIT SIGUSR1 SIGUSR2 SIGALRM SIGPIPE SIGCHLD SIGXFSZ SIGXCPU
        SIGSTOP SIGCONT SIGTSTP alarm setitimer pthread_kill pthread_sigmask sigwait siginterrupt
        pause""",
}
MODULES_NOT_ON_WINDOWS = {"fcntl", "resource", "pwd", "grp", "termios", "tty", "pty", "posix"}


class Lesser(types.ModuleType):
    """A module without some of its names, and with others in their place."""

    def __init__(self, real, lacks, instead):
        super().__init__(real.__name__)
        self.__dict__.update(instead, _real=real, _lacks=frozenset(lacks.split()))

    def __getattr__(self, name):
        if name in self._lacks:
            raise AttributeError(f"module {self.__name__!r} has no {name!r} on {SYSTEM}")
        return getattr(self._real, name)


# Windows.


def in_use(path):
    """Return whether this process has a file open, or mapped into its memory."""
    name = os.path.realpath(path)
    for handle in os.listdir("/proc/self/fd"):
        try:
            if os.readlink(f"/proc/self/fd/{handle}") == name:
                return True
        except FileNotFoundError:
            continue
    with open("/proc/self/maps", encoding="utf-8") as maps:
        return any(line.rstrip().endswith(" " + name) for line in maps)


def refuse_in_use(name):
    act = getattr(os, name)

    def careful(*paths, **options):
        for path, folder in zip(paths, ("dir_fd", "dst_dir_fd"), strict=False):
            handle = options.get(folder)
            above = "" if handle is None else os.readlink(f"/proc/self/fd/{handle}")
            full = os.path.join(above, os.fspath(path))
            if os.path.realpath(full).startswith(ROOT) and in_use(full):
                raise PermissionError(errno.EACCES, "used by another process", full)
        return act(*paths, **options)

    setattr(os, name, careful)
    return careful


def open_on_windows(path, flags, mode=0o777, *, dir_fd=None):
    if os.path.isdir(path):
        raise PermissionError(errno.EACCES, "Permission denied", path)
    assert flags & O_BINARY or path == os.devnull, f"{path} would get carriage returns"
    return REAL["open"](path, flags & ~O_BINARY, mode, dir_fd=dir_fd)


def fsync_on_windows(handle):
    if fcntl.fcntl(handle, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
        raise OSError(errno.EBADF, "Bad file descriptor")
    REAL["fsync"](handle)


def kill_on_windows(process, number):
    raise AssertionError(f"os.kill(..., {number}) ends a process on Windows, whatever the number")


def locking(handle, mode, length):
    """Lock bytes as msvcrt does: from the position on, for this handle."""
    place = os.lseek(handle, 0, os.SEEK_CUR)
    assert place + length < 2**31, "the C library of Windows counts in 32 bits"
    kind = {LK_NBLCK: fcntl.F_WRLCK, LK_UNLCK: fcntl.F_UNLCK}[mode]
    wanted = struct.pack("hhqqi", kind, os.SEEK_SET, place, length, 0)
    read_only = fcntl.fcntl(handle, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY
    own = REAL["open"](f"/proc/self/fd/{handle}", os.O_RDWR) if read_only else handle
    try:
        fcntl.fcntl(own, fcntl.F_OFD_SETLK, wanted)
    except BlockingIOError:
        raise PermissionError(errno.EACCES, "Permission denied") from None
    finally:
        if read_only:
            os.close(own)


O_BINARY = 1 << 30
LK_UNLCK, LK_NBLCK = 0, 2


def as_on_windows():
    removing = {name: refuse_in_use(name) for name in ("remove", "unlink", "replace", "rename")}
    system = {
        "name": "nt",
        "O_BINARY": O_BINARY,
        "open": open_on_windows,
        "fsync": fsync_on_windows,
        "kill": kill_on_windows,
        **removing,
    }
    msvcrt = types.ModuleType("msvcrt")
    msvcrt.__dict__.update(locking=locking, LK_UNLCK=LK_UNLCK, LK_NBLCK=LK_NBLCK)
    lacks = {name: ON_LINUX_ALONE[name] + " " + NOT_ON_WINDOWS[name] for name in ("os", "signal")}
    return MODULES_NOT_ON_WINDOWS, {
        "os": Lesser(os, lacks["os"], system),
        "signal": Lesser(signal, lacks["signal"], {}),
        "sys": Lesser(sys, "", {"platform": "win32"}),
        "msvcrt": msvcrt,
    }


# macOS.


def sysconf_on_macos(name):
    if name == "SC_AVPHYS_PAGES":
        raise ValueError("unrecognized configuration name")
    return os.sysconf(name)


def fcntl_on_macos(handle, command, *rest):
    return os.fsync(handle) if command == F_FULLFSYNC else fcntl.fcntl(handle, command, *rest)


F_FULLFSYNC = 51


def as_on_macos():
    whole = {"F_FULLFSYNC": F_FULLFSYNC, "fcntl": fcntl_on_macos}
    return {"msvcrt"}, {
        "os": Lesser(os, ON_LINUX_ALONE["os"], {"sysconf": sysconf_on_macos}),
        "signal": Lesser(signal, ON_LINUX_ALONE["signal"], {}),
        "sys": Lesser(sys, "", {"platform": "darwin"}),
        "fcntl": Lesser(fcntl, ON_LINUX_ALONE["fcntl"], whole),
    }


# Both.


def take_away(gone, lesser):
    everything = builtins.__import__

    def imported(name, globals=None, locals=None, fromlist=(), level=0):
        importer = str((globals or {}).get("__name__", ""))
        if importer.split(".")[0] == "kt_theory" and level == 0:
            first = name.split(".")[0]
            if first in gone:
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)
            if first in lesser:
                return lesser[first]
        return everything(name, globals, locals, fromlist, level)

    builtins.__import__ = imported


def refuse_linux_paths(event, given):
    if event != "open" or not str(given[0]).startswith(("/proc", "/dev", "/sys")):
        return
    frame = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename.startswith((STANDARD, __file__, "<")):
        if "site-packages" in frame.f_code.co_filename or frame.f_code.co_name in OWN:
            return
        frame = frame.f_back
    if frame is None or frame.f_globals.get("__name__", "").split(".")[0] != "kt_theory":
        return
    if given[0] != os.devnull:
        raise FileNotFoundError(errno.ENOENT, "No such file or directory", given[0])


OWN = ("in_use", "locking")
"""What this file itself looks up in /proc."""


def no_fork():
    raise AssertionError("fork: processes are spawned")


take_away(*(as_on_windows() if SYSTEM == "windows" else as_on_macos()))
sys.addaudithook(refuse_linux_paths)
os.fork = no_fork
warnings.filterwarnings("ignore", category=EncodingWarning)
warnings.filterwarnings("error", category=EncodingWarning, module=r"kt_theory(\..*)?$")
