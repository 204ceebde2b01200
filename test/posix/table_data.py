"""Rules about what is in an inode: owners, privileges, times, opening, limits, read-only places."""

import ctypes
import errno
import itertools
import os
import resource
import shutil
import signal
import subprocess
import time

from table_base import (
    AT_FDCWD, CALLS, KINDS, MS_BIND, MS_RDONLY, MS_REMOUNT, USERS, As, Scratch, cases, check, libc, look, make, mount,
    opened, outcome, rename2, say, target, utimensat,
)

UTIME_NOW, UTIME_OMIT = (1 << 30) - 1, (1 << 30) - 2
# longer than the tick of ext4's clock
TICK_SECONDS = 0.011
NO_MEMORY = ctypes.c_void_p(1)


def section_owner():
    """chown and chmod by each, and what becomes of setuid and setgid."""
    modes = (0o644, 0o755, 0o4755, 0o2755, 0o6755, 0o2644, 0o6644, 0o7777, 0o4711, 0o2711)
    ids = (-1, 0, 1000, 1001, 2000)
    for kind, mode, uid, gid, who in cases(("file", "dir", "fifo"), modes, ids, ids, USERS):
        if uid not in (-1, 1000, 1001):
            continue
        if uid == gid == -1 and kind != "dir" and who in ("bob", "carol") and mode & 0o6000:
            continue  # docs/posix.md: the same request as the clearing that comes with a write
        with Scratch():
            make(kind, "it", mode, 1000, 1000)
            os.chmod("it", mode)
            with As(USERS[who]):
                result = outcome(os.chown, "it", uid, gid)
            say("chown %s %o %d %d %s" % (kind, mode, uid, gid, who), "%s %s" % (result, look("it")))
    for kind, mode, gid, who in cases(("file", "dir", "fifo"), modes + (0o1644, 0), (1000, 2000, 1001), USERS):
        with Scratch():
            make(kind, "it", 0o644, 1000, gid)
            with As(USERS[who]):
                result = outcome(os.chmod, "it", mode)
            say("chmod %s %o %d %s" % (kind, mode, gid, who), "%s %s" % (result, look("it")))


def with_file(flags, action):
    number = os.open("it", flags)
    try:
        return action(number)
    finally:
        os.close(number)


def fallocate(number, mode, offset, length):
    check(libc.fallocate(number, mode, ctypes.c_long(offset), ctypes.c_long(length)))


def section_privileges():
    """Changing the data takes setuid and setgid away, unless root does it."""
    changes = {
        "write": lambda: with_file(os.O_WRONLY, lambda fd: os.write(fd, b"x")),
        "write nothing": lambda: with_file(os.O_WRONLY, lambda fd: os.write(fd, b"")),
        "append": lambda: with_file(os.O_WRONLY | os.O_APPEND, lambda fd: os.write(fd, b"x")),
        "read-write": lambda: with_file(os.O_RDWR, lambda fd: os.pwrite(fd, b"x", 2)),
        "truncate": lambda: os.truncate("it", 1),
        "truncate same": lambda: os.truncate("it", 4),
        "ftruncate": lambda: with_file(os.O_WRONLY, lambda fd: os.ftruncate(fd, 9)),
        "open-truncate": lambda: with_file(os.O_WRONLY | os.O_TRUNC, lambda fd: None),
        "fallocate": lambda: with_file(os.O_WRONLY, lambda fd: fallocate(fd, 0, 0, 10000)),
        "keep size": lambda: with_file(os.O_WRONLY, lambda fd: fallocate(fd, 1, 0, 10000)),
        "punch": lambda: with_file(os.O_WRONLY, lambda fd: fallocate(fd, 3, 0, 2)),
        "zero": lambda: with_file(os.O_WRONLY, lambda fd: fallocate(fd, 0x10, 0, 2)),
        "copy": lambda: with_file(os.O_RDWR, lambda fd: os.copy_file_range(fd, fd, 2, 0, 2)),
        "read": lambda: with_file(os.O_RDONLY, lambda fd: os.read(fd, 2)),
        "link": lambda: os.link("it", "other"),
        "rename": lambda: os.rename("it", "it2") or os.rename("it2", "it"),
        "utime": lambda: os.utime("it"),
        "setxattr": lambda: os.setxattr("it", "user.a", b"1"),
    }
    modes = (0o4777, 0o2777, 0o6777, 0o2767, 0o6767, 0o6666, 0o1777)
    for change, mode, owner, who in cases(changes, modes, (1000, 1001), USERS):
        uid, groups = USERS[who]
        if mode & 0o2010 == 0o2000 and uid != 0 and owner not in groups:
            continue  # docs/posix.md: the kernel doesn't tell a FUSE filesystem of the caller's groups
        with Scratch():
            make("file", "it", mode, owner, owner)
            os.chmod("it", mode)
            with As(USERS[who]):
                result = outcome(changes[change])
            say("privileges %s %o %d %s" % (change, mode, owner, who), "%s %s" % (result, look("it")))


# What a call is given, and whose times may move: of "it", its directory, and another directory.
TIMED = {
    "chmod": lambda: os.chmod("d/it", 0o600),
    "chmod same": lambda: os.chmod("d/it", 0o644),
    "chown": lambda: os.chown("d/it", 1000, 2000),
    "chown nothing": lambda: os.chown("d/it", -1, -1),
    "chmod refused": lambda: denied(os.chmod, "d/it", 0o600),
    "chown refused": lambda: denied(os.chown, "d/it", 1001, -1),
    "truncate": lambda: os.truncate("d/it", 1),
    "truncate same": lambda: os.truncate("d/it", 4),
    "truncate longer": lambda: os.truncate("d/it", 400),
    "truncate refused": lambda: denied(os.truncate, "d/it", 1),
    "open": lambda: opened("d/it", os.O_RDWR),
    "open create": lambda: opened("d/it", os.O_RDWR | os.O_CREAT),
    "open truncate": lambda: opened("d/it", os.O_WRONLY | os.O_TRUNC),
    "open truncate empty": lambda: opened("d/empty", os.O_WRONLY | os.O_TRUNC),
    "write": lambda: write("d/it", b"x"),
    "write nothing": lambda: write("d/it", b""),
    "create": lambda: opened("d/new", os.O_WRONLY | os.O_CREAT),
    "create refused": lambda: denied(opened, "d/new", os.O_WRONLY | os.O_CREAT),
    "unlink": lambda: os.unlink("d/it"),
    "unlink one of two": lambda: os.unlink("d/hard"),
    "unlink refused": lambda: denied(os.unlink, "d/it"),
    "mkdir": lambda: os.mkdir("d/new"),
    "mkdir exists": lambda: os.mkdir("d/it"),
    "rmdir": lambda: os.rmdir("d/sub"),
    "rmdir full": lambda: os.rmdir("d"),
    "link": lambda: os.link("d/it", "e/new"),
    "link exists": lambda: os.link("d/it", "e/other"),
    "symlink": lambda: os.symlink("x", "e/new"),
    "symlink exists": lambda: os.symlink("x", "e/other"),
    "mkfifo": lambda: os.mkfifo("e/new"),
    "mkfifo exists": lambda: os.mkfifo("e/other"),
    "rename": lambda: os.rename("d/it", "e/new"),
    "rename within": lambda: os.rename("d/it", "d/new"),
    "rename over": lambda: os.rename("d/it", "e/other"),
    "rename same": lambda: os.rename("d/it", "d/hard"),
    "rename dir": lambda: os.rename("d/sub", "e/sub"),
    "rename refused": lambda: os.rename("d/it", "e"),
    "exchange": lambda: rename2("d/it", "e/other", 2),
    "noreplace": lambda: rename2("d/it", "e/other", 1),
    "readlink": lambda: os.readlink("d/link"),
    "read": lambda: len(open("d/it", "rb").read()),
    "listdir": lambda: len(os.listdir("d")),
    "stat": lambda: os.stat("d/it"),
    "access": lambda: os.access("d/it", os.R_OK),
    "utimens": lambda: os.utime("d/it", ns=(1, 1)),
    "utime omit": lambda: utimensat("d/it", (0, UTIME_OMIT), (0, UTIME_OMIT)),
    "utime omit atime": lambda: utimensat("d/it", (0, UTIME_OMIT), (5, 6)),
    "utime omit mtime": lambda: utimensat("d/it", (5, 6), (0, UTIME_OMIT)),
    "utime now": lambda: utimensat("d/it", (0, UTIME_NOW), (0, UTIME_NOW)),
    "utime refused": lambda: denied(os.utime, "d/it", ns=(1, 1)),
    "setxattr": lambda: os.setxattr("d/it", "user.a", b"1"),
    "removexattr": lambda: os.removexattr("d/it", "user.kept"),
    "removexattr missing": lambda: os.removexattr("d/it", "user.none"),
    "fallocate": lambda: opened_with("d/it", lambda fd: fallocate(fd, 0, 0, 5000)),
    "fallocate inside": lambda: opened_with("d/it", lambda fd: fallocate(fd, 0, 0, 2)),
    "keep size": lambda: opened_with("d/it", lambda fd: fallocate(fd, 1, 0, 5000)),
    "punch": lambda: opened_with("d/it", lambda fd: fallocate(fd, 3, 0, 2)),
    "fallocate wrong": lambda: opened_with("d/it", lambda fd: fallocate(fd, 0, 0, 0)),
    "copy range": lambda: opened_with("d/it", lambda fd: os.copy_file_range(fd, fd, 2, 0, 2)),
    "copy nothing": lambda: opened_with("d/it", lambda fd: os.copy_file_range(fd, fd, 2, 10, 2)),
    "tmpfile": lambda: opened("d", os.O_TMPFILE | os.O_RDWR),
}


def denied(call, *arguments, **named):
    with As(USERS["bob"]):
        return call(*arguments, **named)


def opened_with(path, action):
    number = os.open(path, os.O_RDWR)
    try:
        action(number)
    finally:
        os.close(number)


def write(path, data):
    opened_with(path, lambda fd: os.write(fd, data))


def stamps(paths):
    found = []
    for path in paths:
        try:
            info = os.lstat(path)
            found.append((info.st_mtime_ns, info.st_ctime_ns))
        except OSError:
            found.append(None)
    return found


def section_times():
    """Which call moves mtime and ctime of what, and that refused ones move nothing."""
    paths = ("d/it", "d", "e", "e/other", "e/new", "d/new", "d/sub", "e/sub", "d/link", "d/empty")
    for case, call in TIMED.items():
        with Scratch(0o755):
            for folder in ("d", "e"):
                make("dir", folder, 0o755)
            make("file", "d/it")
            os.setxattr("d/it", "user.kept", b"1")
            os.link("d/it", "d/hard")
            make("dir", "d/sub")
            make("link", "d/link")
            opened("d/empty", os.O_CREAT | os.O_WRONLY)
            make("file", "e/other")
            kept = {path: os.lstat(path).st_ino for path in paths if os.path.lexists(path)}
            before = dict(zip(paths, stamps(paths)))
            time.sleep(TICK_SECONDS)
            result = outcome(call)
            moved = []
            for path, new in zip(paths, stamps(paths)):
                # by the inode's number: what was renamed is followed to its new name
                old = next((before[p] for p in kept if new and kept[p] == os.lstat(path).st_ino), None)
                if new is not None and old is not None and old != new:
                    moved.append("%s %s" % (path, "".join("mc"[n] for n in (0, 1) if old[n] != new[n])))
            say("times %s" % case, "%s %s" % (result, moved))
    with Scratch():
        for case, call in {"open": lambda: opened("new", os.O_CREAT | os.O_WRONLY), "mkdir": lambda: os.mkdir("new"),
                           "mkfifo": lambda: os.mkfifo("new"), "symlink": lambda: os.symlink("x", "new")}.items():
            before = time.time_ns() - 2 * 10**7
            call()
            info = os.lstat("new")
            after = time.time_ns() + 2 * 10**7
            fresh = [before <= stamp <= after for stamp in (info.st_atime_ns, info.st_mtime_ns, info.st_ctime_ns)]
            say("times of a new %s" % case, fresh)
            os.rmdir("new") if case == "mkdir" else os.unlink("new")


def section_utimens():
    """Who may set which times to what, and what is kept of them."""
    values = {
        "both": ((3, 4), (5, 6)),
        "now": ((0, UTIME_NOW), (0, UTIME_NOW)),
        "now, omit": ((0, UTIME_NOW), (0, UTIME_OMIT)),
        "omit, now": ((0, UTIME_OMIT), (0, UTIME_NOW)),
        "omit, set": ((0, UTIME_OMIT), (7, 8)),
        "set, omit": ((7, 8), (0, UTIME_OMIT)),
        "now, set": ((0, UTIME_NOW), (7, 8)),
        "omit": ((0, UTIME_OMIT), (0, UTIME_OMIT)),
        "nothing": None,
        "negative ns": ((0, -1), (0, 0)),
        "a second of ns": ((0, 0), (0, 10**9)),
        "2038": ((2**31, 0), (2**31 - 1, 999_999_999)),
        "2106": ((2**32, 1), (2**32 + 5, 2)),
        "1960": ((-300_000_000, 5), (-1, 999_999_999)),
        "1901": ((-(2**31), 0), (-(2**31), 0)),
        "2400": ((13_600_000_000, 0), (13_600_000_000, 0)),
    }
    for kind, case, mode, who in cases(KINDS, values, (0o644, 0o666, 0o444), USERS):
        with Scratch():
            make(kind, "it", mode, 1000, 1000)
            utimensat("it", (1, 2), (1, 2))
            with As(USERS[who]):
                value = values[case]
                if value is None:
                    result = outcome(lambda: check(libc.utimensat(AT_FDCWD, b"it", None, 0x100)))
                else:
                    result = outcome(utimensat, "it", *value)
            info = os.lstat("it")
            times = ["now" if t > 1_700_000_000 * 10**9 and "2" not in case[:1] else t for t in (info.st_atime_ns, info.st_mtime_ns)]
            say("utimens %s %s %o %s" % (kind, case, mode, who), "%s %s" % (result, times))


def section_creation():
    """Owner, group and mode of what is made, by umask, in setgid directories."""
    makers = {
        "open": lambda m: opened("d/new", os.O_CREAT | os.O_WRONLY, m),
        "mkdir": lambda m: os.mkdir("d/new", m),
        "mkfifo": lambda m: os.mkfifo("d/new", m),
        "mknod": lambda m: os.mknod("d/new", 0o100000 | m),
        "symlink": lambda m: os.symlink("x", "d/new"),
        "tmpfile": named_tmpfile,
    }
    modes = (0o0, 0o151, 0o777, 0o1777, 0o2777, 0o4777, 0o7777, 0o2666)
    for maker, mode, mask, parent, who in cases(
        makers, modes, (0, 0o22, 0o77, 0o777), (0o777, 0o2777, 0o1777, 0o2755), USERS
    ):
        with Scratch():
            make("dir", "d", 0o777)
            os.chown("d", 1000, 2000)
            os.chmod("d", parent)
            with As(USERS[who]):
                os.umask(mask)
                result = outcome(makers[maker], mode)
                os.umask(0o22)
            case = "creation %s %o %o %o %s" % (maker, mode, mask, parent, who)
            say(case, "%s %s %s" % (result, look("d/new"), look("d")))


def named_tmpfile(mode):
    number = os.open("d", os.O_TMPFILE | os.O_RDWR, mode)
    try:
        check(libc.linkat(AT_FDCWD, b"/proc/self/fd/%d" % number, AT_FDCWD, b"d/new", 0x400))
    finally:
        os.close(number)


def section_limits():
    """Sizes and offsets at their ends, addresses that aren't there, programs that run, places that are in use."""
    big = 2**63 - 1
    with Scratch():
        make("file", "it")
        number = os.open("it", os.O_RDWR)
        for size in (-1, big, 2**43 + 1):
            say("ftruncate %d" % size, outcome(os.ftruncate, number, size) if size != 2**43 + 1 else "-")
        for offset in (-1, big, big - 1):
            say("pwrite at %d" % offset, outcome(os.pwrite, number, b"xx", offset))
            say("pread at %d" % offset, outcome(os.pread, number, 2, offset))
        for mode, offset, length in itertools.product((0, 1, 2, 3, 0x10, 0x11, 0x12, 0x40), (-1, 0, 1, big), (-1, 0, 1, big)):
            if mode == 0x40 and big in (offset, length):
                continue  # an unknown mode and a bad range: which is told first is open
            result = outcome(fallocate, number, mode, offset, length)
            say("fallocate %d %d %d" % (mode, offset, length), "%s %d" % (result, os.fstat(number).st_size))
        for offset, length in ((0, 567), (20000, 3456), (-1, 5), (0, -1), (0, 0)):
            result = outcome(os.posix_fallocate, number, offset, length)
            say("posix_fallocate %d %d" % (offset, length), "%s %d" % (result, os.fstat(number).st_size))
        for whence, offset in itertools.product((0, 1, 2, 3, 4, 5), (-1, 0, 4, 10**6)):
            os.lseek(number, 0, 0)
            say("lseek %d %d" % (whence, offset), outcome(os.lseek, number, offset, whence) if whence < 3 or offset < 0 or offset > 4 else "-")
        os.close(number)
        for flags in (os.O_RDONLY, os.O_WRONLY, os.O_WRONLY | os.O_APPEND, os.O_PATH):
            number = os.open("it", flags)
            for call in (lambda: os.read(number, 1), lambda: os.write(number, b"x"), lambda: os.ftruncate(number, 1),
                         lambda: fallocate(number, 0, 0, 9), lambda: os.fchmod(number, 0o600), lambda: os.fsync(number),
                         lambda: os.copy_file_range(number, number, 1, 0, 2), lambda: os.fchown(number, 0, 0)):
                say("descriptor %o" % flags, outcome(call))
            os.close(number)
        number = os.open(".", os.O_RDONLY)
        for call in (lambda: os.read(number, 1), lambda: os.ftruncate(number, 1), lambda: os.fsync(number),
                     lambda: os.fdatasync(number), lambda: fallocate(number, 0, 0, 9)):
            say("descriptor of a directory", outcome(call))
        os.close(number)
    section_addresses()
    section_busy()


def section_addresses():
    for call in ("stat", "chmod", "truncate", "unlink", "rmdir", "mkdir", "mkfifo", "chdir", "open"):
        say("EFAULT %s" % call, outcome(lambda: check(getattr(libc, call)(NO_MEMORY, 0o644, 0))))
    with Scratch():
        make("file", "it")
        for call in ("link", "symlink", "rename"):
            say("EFAULT %s from" % call, outcome(lambda: check(getattr(libc, call)(NO_MEMORY, b"x"))))
            say("EFAULT %s to" % call, outcome(lambda: check(getattr(libc, call)(b"it", NO_MEMORY))))
        say("EFAULT utimensat", outcome(lambda: check(libc.utimensat(AT_FDCWD, b"it", NO_MEMORY, 0))))
        number = os.open("it", os.O_RDWR)
        for call in ("read", "write"):
            for size in (4, 5000):
                say("EFAULT %s %d" % (call, size), outcome(lambda: check(getattr(libc, call)(number, NO_MEMORY, size))))
        os.close(number)
        say("EFAULT it", look("it"))


def section_busy():
    with Scratch():
        shutil.copy("/bin/sleep", "program")
        os.chmod("program", 0o755)
        running = subprocess.Popen(["./program", "60"])
        for call in ("open-write", "open-both", "open-read", "open-truncate", "truncate", "chmod", "rename-from"):
            make("file", "target")
            say("running %s" % call, outcome(CALLS[call], "program"))
            if os.path.exists("other"):
                os.rename("other", "program")
            os.unlink("target")
        number = os.open(".", os.O_RDONLY)
        os.close(number)
        say("running unlink", outcome(os.unlink, "program"))
        running.kill()
        running.wait()
        shutil.copy("/bin/true", "written")
        os.chmod("written", 0o755)
        number = os.open("written", os.O_WRONLY)
        say("written and run", CALLS["execute"]("written"))
        os.close(number)
        say("run", CALLS["execute"]("written"))
    with Scratch():
        os.mkdir("d")
        home = os.getcwd()
        os.chdir("d")
        os.rmdir("../d")
        for call in ("open-create", "mkdir", "symlink", "mkfifo", "listdir", "rename-to", "stat"):
            say("in a removed directory %s" % call, outcome(CALLS[call], "x"))
        say("in a removed directory", [outcome(os.stat, "."), outcome(os.listdir, ".") , outcome(os.stat, "..")])
        # not every mount finds the way back from there by ".."
        os.chdir(home)
    with Scratch():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        make("file", "it")
        found = []
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
        number = os.open("it", os.O_RDWR)
        for case, call in {
            "write past": lambda: os.pwrite(number, b"x", 1000), "write over": lambda: os.pwrite(number, b"x" * 50, 980),
            "truncate": lambda: os.ftruncate(number, 1001), "fallocate": lambda: fallocate(number, 0, 0, 1001),
            "within": lambda: os.ftruncate(number, 1000),
        }.items():
            found.append((case, outcome(call), look("it")))
        os.close(number)
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        # only now: the output may be a file, too
        for case, result, seen in found:
            say("RLIMIT_FSIZE %s" % case, "%s %s" % (result, seen))


def section_mounts():
    """Read-only places and mount points."""
    for kind, who in cases(KINDS + [None], ("root", "alice")):
        with Scratch():
            make("dir", "d", 0o777)
            make("file", "d/target", 0o666)
            make("dir", "d/folder", 0o777)
            if kind is not None:
                make(kind, "d/it", 0o666, 1000, 1000)
            mount(b"d", b"d", MS_BIND)
            mount(b"d", b"d", MS_REMOUNT | MS_BIND | MS_RDONLY)
            for call, function in CALLS.items():
                os.chdir("d")
                with As(USERS[who]):
                    say("read-only %s %s %s" % (kind, who, call), outcome(function, "it"))
                os.chdir("..")
            check(libc.umount2(b"d", 2))
    with Scratch():
        target()
        for name in ("d", "e"):
            os.mkdir(name)
        mount(b"e", b"d", MS_BIND)
        for call in ("rmdir", "rename-from", "rename-dir-to", "unlink", "chmod", "exchange", "mkdir"):
            say("mount point %s" % call, outcome(CALLS[call], "d"))
        for case, one, two in (("link", "target", "d/x"), ("rename", "target", "d/x"), ("rename dir", "folder", "d/x")):
            say("across mounts %s" % case, outcome(os.link if case == "link" else os.rename, one, two))
        check(libc.umount2(b"d", 2))
