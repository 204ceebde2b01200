"""Carries out filesystem calls for a test: one JSON operation a line in, one JSON result a line out.

Node has no names for many of the calls that matter here (locks, fallocate, renameat2, O_TMPFILE, mmap), and a test of
locks needs processes anyway. The same agent works on the mount and on a plain directory, so that results compare.
Result: {"ok": value} or {"errno": "ENOENT"}. Handles live in numbered slots of this process.
"""

import ctypes
import errno
import fcntl
import hashlib
import json
import mmap
import os
import stat
import struct
import sys
import time

libc = ctypes.CDLL(None, use_errno=True)
slots = {}
root = os.getcwd()

F_OFD_SETLK = 37
AT_EMPTY_PATH = 0x1000
AT_FDCWD = -100
# longer than the clock tick that stamps times on ext4, at 100 Hz
TICK_SECONDS = 0.011


def check(result):
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def path_of(name):
    # names are Latin-1 in JSON: one character a byte, whatever the bytes are
    return os.path.join(root.encode(), name.encode("latin-1"))


def data_of(seed, size):
    block = hashlib.sha256(str(seed).encode()).digest()
    return (block * (size // len(block) + 1))[:size]


def show(info):
    kind = stat.S_IFMT(info.st_mode)
    is_dir = kind == stat.S_IFDIR
    return {
        "mode": oct(info.st_mode),
        "nlink": info.st_nlink,
        "uid": info.st_uid,
        "gid": info.st_gid,
        "size": None if is_dir else info.st_size,
        "rdev": info.st_rdev if kind in (stat.S_IFCHR, stat.S_IFBLK) else 0,
    }


def digest(data):
    return [len(data), hashlib.sha256(data).hexdigest()[:16]]


def fd(op, key="slot"):
    return slots[op[key]][0] if op[key] in slots else 1_000_000


def do_open(op):
    if op["slot"] in slots:
        os.close(slots.pop(op["slot"])[0])
    number = os.open(path_of(op["path"]), op["flags"] | os.O_NONBLOCK, op.get("mode", 0o644))
    slots[op["slot"]] = (number, op["flags"])


def do_close(op):
    os.close(slots.pop(op["slot"])[0] if op["slot"] in slots else 1_000_000)


def do_pread(op):
    return digest(os.pread(fd(op), op["size"], op["offset"]))


def do_pwrite(op):
    data = data_of(op["seed"], op["size"])
    return os.pwrite(fd(op), data, op["offset"])


def do_append(op):
    return os.write(fd(op), data_of(op["seed"], op["size"]))


def do_direct(op):
    """Writes and reads back with O_DIRECT, from aligned memory."""
    number = os.open(path_of(op["path"]), os.O_RDWR | os.O_CREAT | os.O_DIRECT, 0o644)
    try:
        memory = mmap.mmap(-1, 8192)
        memory[:] = data_of(op["seed"], 8192)
        count = os.pwritev(number, [memory], op["offset"] // 4096 * 4096)
        back = mmap.mmap(-1, 8192)
        os.preadv(number, [back], op["offset"] // 4096 * 4096)
        return [count, digest(back[:])]
    finally:
        os.close(number)


def do_fallocate(op):
    call = libc.fallocate
    call.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_long, ctypes.c_long]
    check(call(fd(op), op["mode"], op["offset"], op["size"]))


DIRECTORY_DATA = "a directory: what a filesystem says of its data is its own affair"


def do_seek_kinds(op):
    """Leaves the handle's position, which what follows depends on."""
    place = os.lseek(fd(op), 0, os.SEEK_CUR)
    try:
        return walk_kinds(op)
    finally:
        os.lseek(fd(op), place, os.SEEK_SET)


def walk_kinds(op):
    """What lies where can differ in grain; what is data must read the same, and a hole must be zeros."""
    number = fd(op)
    status = os.fstat(number)
    if stat.S_ISDIR(status.st_mode):
        return DIRECTORY_DATA
    end = status.st_size
    at = 0
    while at < end:
        hole = os.lseek(number, at, os.SEEK_HOLE)
        try:
            data = os.lseek(number, hole, os.SEEK_DATA)
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            data = end
        zeros = os.pread(number, min(data - hole, 1 << 20), hole)
        if zeros.strip(b"\0"):
            return "data in a hole at %d" % hole
        at = max(data, hole, at + 1)
    return end


def do_seek_outside(op):
    status = os.fstat(fd(op))
    if stat.S_ISDIR(status.st_mode):
        return DIRECTORY_DATA
    end = status.st_size
    return os.lseek(fd(op), end + op["offset"], op["whence"])


def do_copy(op):
    return os.copy_file_range(fd(op), fd(op, "to"), op["size"], op["offset"], op["at"])


def do_mmap(op):
    """Writes through a shared mapping, and reads it back by read and by mapping."""
    number = fd(op)
    if op["slot"] in slots and slots[op["slot"]][1] & os.O_ACCMODE != os.O_RDWR:
        return None
    size = os.fstat(number).st_size
    if size == 0:
        return None
    with mmap.mmap(number, size) as memory:
        start = op["offset"] % size
        piece = data_of(op["seed"], min(op["size"], size - start))
        memory[start:start + len(piece)] = piece
        memory.flush()
        seen = os.pread(number, len(piece), start)
        os.pwrite(number, piece[::-1], start)
        return [seen == piece, memory[start:start + len(piece)] == piece[::-1], digest(memory[:])]


def do_rename2(op):
    call = libc.renameat2
    check(call(AT_FDCWD, path_of(op["path"]), AT_FDCWD, path_of(op["to"]), op["flags"]))


def do_mknod(op):
    os.mknod(path_of(op["path"]), op["mode"], os.makedev(op.get("major", 0), op.get("minor", 0)))


def do_utimens(op):
    os.utime(path_of(op["path"]), ns=(op["atime"], op["mtime"]), follow_symlinks=False)


def do_utime_now(op):
    os.utime(path_of(op["path"]), follow_symlinks=False)


def do_times_of(op):
    info = os.lstat(path_of(op["path"]))
    return [info.st_atime_ns, info.st_mtime_ns]


def do_setxattr(op):
    value = data_of(op["seed"], op["size"])
    os.setxattr(path_of(op["path"]), op["name"], value, op.get("flags", 0), follow_symlinks=False)


def do_getxattr(op):
    return digest(os.getxattr(path_of(op["path"]), op["name"], follow_symlinks=False))


def do_getxattr_hex(op):
    return os.getxattr(path_of(op["path"]), op["name"], follow_symlinks=False).hex()


def do_setxattr_hex(op):
    os.setxattr(path_of(op["path"]), op["name"], bytes.fromhex(op["value"]))


def do_listxattr(op):
    names = os.listxattr(path_of(op["path"]), follow_symlinks=False)
    return sorted(name for name in names if not name.startswith("security.selinux"))


def do_flock(op):
    fcntl.flock(fd(op), op["kind"] | fcntl.LOCK_NB)


def do_lock(op, command=fcntl.F_SETLK):
    fcntl.fcntl(fd(op), command, struct.pack("hhqqixxxx", op["kind"], 0, op["offset"], op["size"], 0))


def do_get_lock(op):
    request = struct.pack("hhqqixxxx", op["kind"], 0, op["offset"], op["size"], 0)
    kind, _, start, length, _ = struct.unpack("hhqqixxxx", fcntl.fcntl(fd(op), fcntl.F_GETLK, request))
    return [kind, start, length] if kind != fcntl.F_UNLCK else [kind]


def do_tmpfile(op):
    """A file without a name that perhaps gets one."""
    number = os.open(path_of(op["path"]), os.O_TMPFILE | os.O_RDWR | op.get("flags", 0), op["mode"])
    try:
        os.write(number, data_of(op["seed"], op["size"]))
        before = show(os.fstat(number))
        source = b"/proc/self/fd/%d" % number
        check(libc.linkat(AT_FDCWD, source, AT_FDCWD, path_of(op["to"]), 0x400))
        return [before, show(os.fstat(number))]
    finally:
        os.close(number)


def do_readdir(op):
    return sorted(name.decode("latin-1") for name in os.listdir(path_of(op["path"])))


def do_types(op):
    with os.scandir(path_of(op["path"])) as entries:
        return sorted([e.name.decode("latin-1"), e.is_dir(follow_symlinks=False), e.is_symlink()] for e in entries)


def do_unlinked(op):
    """A file goes on living without its name."""
    path = path_of(op["path"])
    number = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        os.unlink(path)
        os.pwrite(number, data_of(op["seed"], op["size"]), op["offset"])
        os.fchmod(number, 0o4711)
        return [show(os.fstat(number)), digest(os.pread(number, 1 << 20, 0))]
    finally:
        os.close(number)


def do_tree(op):
    """Everything below a directory, with hard links told by the first name that has the inode; without some of it."""
    found, first, without = [], {}, op.get("without", [])

    def visit(path, name):
        info = os.lstat(path)
        entry = [name.decode("latin-1"), show(info)]
        key = info.st_ino
        if "links" not in without:
            entry.append(first.setdefault(key, name.decode("latin-1")))
        if stat.S_ISLNK(info.st_mode):
            entry.append(os.readlink(path).decode("latin-1"))
        if stat.S_ISREG(info.st_mode):
            with open(path, "rb") as file:
                entry.append(digest(file.read()))
        names = [] if "xattrs" in without else os.listxattr(path, follow_symlinks=False)
        entry.append([[n, digest(os.getxattr(path, n, follow_symlinks=False))] for n in sorted(names)])
        found.append(entry)
        if stat.S_ISDIR(info.st_mode):
            for child in sorted(os.listdir(path)):
                visit(os.path.join(path, child), os.path.join(name, child))

    visit(path_of(op["path"]), b".")
    return found


def do_times(op):
    """Carries out another operation and tells which times of which paths it moved."""

    def stamps():
        out = []
        for name in op["paths"]:
            try:
                info = os.lstat(path_of(name))
                out.append((info.st_ino, info.st_mtime_ns, info.st_ctime_ns))
            except OSError:
                out.append(None)
        return out

    before = stamps()
    time.sleep(TICK_SECONDS)
    result = run(op["inner"])
    after = stamps()
    moved = []
    for old, new in zip(before, after):
        if old is None or new is None:
            moved.append(None)
        elif old[0] != new[0]:
            # Two files made within one tick of a coarse clock have equal times, or not.
            moved.append("another file")
        else:
            moved.append([old[1] != new[1], old[2] != new[2]])
    return [result, moved]


def do_home(op):
    """Later paths are relative to this new directory, which everybody may use."""
    global root
    for number, _ in slots.values():
        os.close(number)
    slots.clear()
    root = op["path"]
    os.makedirs(root, exist_ok=True)
    os.chmod(root, 0o777)


def do_sync_all(op):
    """sync(2) never reaches a FUSE filesystem: every file and directory by itself."""
    for directory, _, files in os.walk(path_of(op["path"])):
        for path in [directory] + [os.path.join(directory, name) for name in files]:
            if stat.S_IFMT(os.lstat(path).st_mode) in (stat.S_IFREG, stat.S_IFDIR):
                number = os.open(path, os.O_RDONLY)
                os.fsync(number)
                os.close(number)


OPERATIONS = {
    "stat": lambda op: show(os.lstat(path_of(op["path"]))),
    "fstat": lambda op: show(os.fstat(fd(op))),
    "access": lambda op: os.access(path_of(op["path"]), op["mode"], effective_ids=True),
    "truncate": lambda op: os.truncate(path_of(op["path"]), op["size"]),
    "ftruncate": lambda op: os.ftruncate(fd(op), op["size"]),
    "fsync": lambda op: os.fsync(fd(op)),
    "fdatasync": lambda op: os.fdatasync(fd(op)),
    "mkdir": lambda op: os.mkdir(path_of(op["path"]), op["mode"]),
    "rmdir": lambda op: os.rmdir(path_of(op["path"])),
    "unlink": lambda op: os.unlink(path_of(op["path"])),
    "rename": lambda op: os.rename(path_of(op["path"]), path_of(op["to"])),
    "link": lambda op: os.link(path_of(op["path"]), path_of(op["to"]), follow_symlinks=False),
    "symlink": lambda op: os.symlink(op["target"].encode("latin-1"), path_of(op["path"])),
    "readlink": lambda op: os.readlink(path_of(op["path"])).decode("latin-1"),
    "chmod": lambda op: os.chmod(path_of(op["path"]), op["mode"]),
    "chown": lambda op: os.lchown(path_of(op["path"]), op["uid"], op["gid"]),
    "removexattr": lambda op: os.removexattr(path_of(op["path"]), op["name"], follow_symlinks=False),
    "umask": lambda op: os.umask(op["mask"]),
    "lockf": lambda op: do_lock(op),
    "ofd_lock": lambda op: do_lock(op, F_OFD_SETLK),
    **{name[3:]: value for name, value in list(globals().items()) if name.startswith("do_")},
}


def run(op):
    user = op.get("user")
    if user is not None:
        os.setgroups(user[1:])
        os.setegid(user[1])
        os.seteuid(user[0])
    try:
        return {"ok": OPERATIONS[op["op"]](op)}
    except OSError as error:
        return {"errno": errno.errorcode.get(error.errno, str(error.errno))}
    finally:
        if user is not None:
            os.seteuid(0)
            os.setegid(0)
            os.setgroups([0])


os.umask(0o022)
for line in sys.stdin:
    print(json.dumps(run(json.loads(line))), flush=True)
