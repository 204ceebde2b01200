"""What the tables of POSIX rules are made of: users, kinds of files, calls, and a line for each outcome."""

import ctypes
import errno
import itertools
import os
import socket
import stat
import zlib

libc = ctypes.CDLL(None, use_errno=True)
AT_FDCWD = -100
CLONE_NEWNS = 0x20000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 1, 2, 4, 32, 4096, 16384, 1 << 18
# Of many thousand cases one in so many is tried, by a seed.
EVERY = int(os.environ.get("COFFER_POSIX_EVERY", "1"))
SEED = os.environ.get("COFFER_POSIX_SEED", "0")

ROOT = (0, [0])
ALICE = (1000, [1000, 2000])
BOB = (1001, [1001])
CAROL = (1002, [2000])
USERS = {"root": ROOT, "alice": ALICE, "bob": BOB, "carol": CAROL}
KINDS = ["file", "dir", "fifo", "socket", "link", "dangling", "char", "block"]


def say(case, result):
    print("%s: %s" % (case, result))


def cases(*lists):
    """The product of the lists, or a sample of it, which is the same wherever it is tried."""
    for case in itertools.product(*lists):
        if zlib.crc32(repr((SEED, case)).encode()) % EVERY == 0:
            yield case


def outcome(call, *arguments):
    try:
        result = call(*arguments)
    except OSError as error:
        return errno.errorcode.get(error.errno, str(error.errno))
    return "ok" if result is None or isinstance(result, os.stat_result) else result


class As:
    """The effective user inside of a `with`."""

    def __init__(self, user):
        self.uid, self.groups = user

    def __enter__(self):
        os.setgroups(self.groups)
        os.setegid(self.groups[0])
        os.seteuid(self.uid)

    def __exit__(self, *_):
        os.seteuid(0)
        os.setegid(0)
        os.setgroups([0])


def make(kind, name, mode=0o644, uid=0, gid=0):
    if kind == "file":
        with open(name, "wb") as file:
            file.write(b"data")
    elif kind == "dir":
        os.mkdir(name)
        mode |= 0o111
    elif kind == "fifo":
        os.mkfifo(name)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as one:
            one.bind(name)
    elif kind == "link":
        os.symlink("target", name)
    elif kind == "dangling":
        os.symlink("nowhere", name)
    elif kind == "char":
        os.mknod(name, stat.S_IFCHR | 0o600, os.makedev(1, 3))
    else:
        os.mknod(name, stat.S_IFBLK | 0o600, os.makedev(7, 250))
    if kind not in ("link", "dangling"):
        os.chmod(name, mode)
    os.lchown(name, uid, gid)


def remove(name):
    try:
        info = os.lstat(name)
    except OSError:
        return
    if stat.S_ISDIR(info.st_mode):
        os.chmod(name, 0o700)
        for child in os.listdir(name):
            remove(os.path.join(name, child))
        os.rmdir(name)
    else:
        os.unlink(name)


def look(name):
    try:
        info = os.lstat(name)
    except OSError as error:
        return errno.errorcode[error.errno]
    size = "-" if stat.S_ISDIR(info.st_mode) else info.st_size
    return "%o %d:%d n%d s%s" % (info.st_mode, info.st_uid, info.st_gid, info.st_nlink, size)


class Scratch:
    """A new directory to work in, gone afterwards."""

    count = 0

    def __init__(self, mode=0o777):
        self.mode = mode

    def __enter__(self):
        Scratch.count += 1
        self.name = "scratch%d" % Scratch.count
        self.back = os.getcwd()
        os.mkdir(self.name)
        os.chmod(self.name, self.mode)
        os.chdir(self.name)

    def __exit__(self, *_):
        os.chdir(self.back)
        remove(self.name)


def opened(path, flags, mode=0o666):
    number = os.open(path, flags | os.O_NONBLOCK, mode)
    os.close(number)


def check(result):
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def utimensat(path, atime, mtime, flags=0x100):
    times = (ctypes.c_long * 4)(*atime, *mtime)
    check(libc.utimensat(AT_FDCWD, os.fsencode(path), times, flags))


def rename2(path, to, flags):
    check(libc.renameat2(AT_FDCWD, os.fsencode(path), AT_FDCWD, os.fsencode(to), flags))


def target():
    make("file", "target", 0o666, 1000, 1000)
    make("dir", "folder", 0o777, 1000, 1000)


def mount(source, where, flags):
    check(libc.mount(source, where, None, ctypes.c_ulong(flags), None))


def enter(directory):
    """Works in the directory, in a mount namespace of this process alone, where it is as FUSE mounts are."""
    check(libc.unshare(CLONE_NEWNS))
    mount(b"none", b"/", MS_REC | MS_PRIVATE)
    place = os.fsencode(directory)
    mount(place, place, MS_BIND)
    mount(place, place, MS_REMOUNT | MS_BIND | MS_NODEV | MS_NOSUID)
    os.chdir(directory)


def connected(path):
    """A socket's file: as for a program that connects to it."""
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(path)


# Calls by one path. "new" ones make it.
CALLS = {
    "stat": os.stat,
    "lstat": os.lstat,
    "chmod": lambda p: os.chmod(p, 0o700),
    "chown": lambda p: os.chown(p, -1, -1),
    "chown-uid": lambda p: os.chown(p, 1000, -1),
    "lchown": lambda p: os.lchown(p, 0, 0),
    "truncate": lambda p: os.truncate(p, 3),
    "truncate-negative": lambda p: os.truncate(p, -1),
    "open-read": lambda p: opened(p, os.O_RDONLY),
    "open-write": lambda p: opened(p, os.O_WRONLY),
    "open-both": lambda p: opened(p, os.O_RDWR),
    "open-create": lambda p: opened(p, os.O_WRONLY | os.O_CREAT),
    "open-new": lambda p: opened(p, os.O_WRONLY | os.O_CREAT | os.O_EXCL),
    "open-truncate": lambda p: opened(p, os.O_WRONLY | os.O_TRUNC),
    "open-read-truncate": lambda p: opened(p, os.O_RDONLY | os.O_TRUNC),
    "open-nofollow": lambda p: opened(p, os.O_RDONLY | os.O_NOFOLLOW),
    "open-directory": lambda p: opened(p, os.O_RDONLY | os.O_DIRECTORY),
    "open-directory-create": lambda p: opened(p, os.O_RDONLY | os.O_DIRECTORY | os.O_CREAT),
    "open-path": lambda p: opened(p, os.O_PATH),
    "open-path-nofollow": lambda p: opened(p, os.O_PATH | os.O_NOFOLLOW),
    "open-tmpfile": lambda p: opened(p, os.O_TMPFILE | os.O_RDWR),
    "open-append": lambda p: opened(p, os.O_WRONLY | os.O_APPEND),
    "open-noatime": lambda p: opened(p, os.O_RDONLY | os.O_NOATIME),
    "open-direct": lambda p: opened(p, os.O_RDONLY | os.O_DIRECT),
    "unlink": os.unlink,
    "rmdir": os.rmdir,
    "readlink": os.readlink,
    "listdir": lambda p: len(os.listdir(p)),
    "chdir": lambda p: (lambda fd: (os.chdir(p), os.fchdir(fd), os.close(fd))[0])(os.open(".", 0)),
    "statvfs": lambda p: os.statvfs(p).f_namemax,
    "utimens": lambda p: os.utime(p, ns=(5, 7)),
    "utime-now": os.utime,
    "mkdir": os.mkdir,
    "mkfifo": os.mkfifo,
    "mknod": lambda p: os.mknod(p, stat.S_IFREG | 0o644),
    "mknod-char": lambda p: os.mknod(p, stat.S_IFCHR | 0o644, os.makedev(1, 3)),
    "mknod-block": lambda p: os.mknod(p, stat.S_IFBLK | 0o644, os.makedev(1, 3)),
    "mknod-dir": lambda p: os.mknod(p, stat.S_IFDIR | 0o644),
    "mknod-link": lambda p: os.mknod(p, stat.S_IFLNK | 0o644),
    "bind": connected,
    "symlink": lambda p: os.symlink("x", p),
    "link-from": lambda p: os.link(p, "other", follow_symlinks=False),
    "link-follow": lambda p: check(
        libc.linkat(AT_FDCWD, os.fsencode(p), AT_FDCWD, b"other", 0x400)
    ),
    "link-to": lambda p: os.link("target", p),
    "rename-from": lambda p: os.rename(p, "other"),
    "rename-to": lambda p: os.rename("target", p),
    "rename-dir-to": lambda p: os.rename("folder", p),
    "exchange": lambda p: rename2("target", p, 2),
    "noreplace": lambda p: rename2("target", p, 1),
    "whiteout": lambda p: rename2("target", p, 4),
    "access-read": lambda p: os.access(p, os.R_OK, effective_ids=True),
    "access-write": lambda p: os.access(p, os.W_OK, effective_ids=True),
    "access-run": lambda p: os.access(p, os.X_OK, effective_ids=True),
    "getxattr": lambda p: os.getxattr(p, "user.none"),
    "setxattr": lambda p: os.setxattr(p, "user.one", b"1"),
    "listxattr": lambda p: [name for name in os.listxattr(p) if name.startswith("user")],
    "execute": lambda p: executed(p),
}


def executed(path):
    """Forked: a successful exec doesn't come back."""
    ready, told = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.execv(path, [path])
        except OSError as error:
            os.write(told, errno.errorcode[error.errno].encode())
        os._exit(0)
    os.close(told)
    os.waitpid(child, 0)
    with os.fdopen(ready, "rb") as answer:
        return answer.read().decode()
