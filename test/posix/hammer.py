"""Hammers one file, or one tree, and compares with what must come out.

hammer.py file PATH SEED STEPS     one file in every way there is, beside a copy in memory
hammer.py tree DIRECTORY SEED STEPS WORKERS   names of one tree by several processes, and then what must hold
"""

import ctypes
import errno
import mmap
import os
import random
import stat
import sys
import zlib

libc = ctypes.CDLL(None, use_errno=True)
FILE_BYTES_MAX = 700_000
PIECE_BYTES_MAX = 200_000
BLOCK = 4096
PUNCH, ZERO, ZERO_KEEP, KEEP = 3, 0x10, 0x11, 1
TREE_ERRORS = {
    errno.ENOENT, errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENOTEMPTY, errno.EINVAL, errno.EPERM, errno.ENODATA,
    errno.ELOOP, errno.ENXIO,
}


def check(result):
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


class OneFile:
    """The file and its copy. Each step does one thing to both."""

    def __init__(self, path, seed):
        self.path = path
        self.random = random.Random(seed)
        self.data = bytearray()
        self.handles = []
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644))
        self.reopen()

    def reopen(self):
        for handle in self.handles:
            os.close(handle)
        # the first goes through the page cache when the file has data, the second never does
        self.handles = [os.open(self.path, os.O_RDWR), os.open(self.path, os.O_RDWR | os.O_DIRECT)]
        self.plain, self.direct = self.handles

    def bytes(self, size):
        """Sometimes what dedupes, sometimes zeros, mostly noise."""
        kind = self.random.random()
        if kind < 0.1:
            return bytes(size)
        if kind < 0.3:
            return (b"again and again " * (size // 16 + 1))[:size]
        return self.random.randbytes(size)

    def range(self, end=FILE_BYTES_MAX):
        size = self.random.choice((1, 7, 511, BLOCK, 65_536, self.random.randrange(1, PIECE_BYTES_MAX)))
        start = self.random.choice((0, self.random.randrange(end), self.random.randrange(end) // BLOCK * BLOCK))
        return start, min(size, end - start) if end > start else 0

    def inside(self):
        return self.range(len(self.data)) if self.data else (0, 0)

    def aligned(self):
        start, size = self.range()
        return start // BLOCK * BLOCK, (size // BLOCK + 1) * BLOCK

    def put(self, start, piece):
        if len(self.data) < start + len(piece):
            self.data.extend(bytes(start + len(piece) - len(self.data)))
        self.data[start : start + len(piece)] = piece

    def expect(self, seen, start, size, how):
        wanted = self.data[start : start + size]
        if seen != wanted:
            at = next((n for n, (a, b) in enumerate(zip(seen, wanted)) if a != b), min(len(seen), len(wanted)))
            raise AssertionError(
                "%s of %d at %d: byte %d differs, %d bytes for %d" % (how, size, start, start + at, len(seen), len(wanted))
            )

    def do_read(self):
        start, size = self.range()
        self.expect(os.pread(self.plain, size, start), start, size, "read")

    def do_direct_read(self):
        start, size = self.aligned()
        memory = mmap.mmap(-1, size)
        count = os.preadv(self.direct, [memory], start)
        self.expect(memory[:count], start, size, "direct read")

    def do_write(self):
        start, size = self.range()
        piece = self.bytes(size)
        assert os.pwrite(self.plain, piece, start) == size
        self.put(start, piece)

    def do_append(self):
        piece = self.bytes(self.random.randrange(1, 5000))
        if len(self.data) + len(piece) > FILE_BYTES_MAX:
            return
        handle = os.open(self.path, os.O_WRONLY | os.O_APPEND)
        os.write(handle, piece)
        os.close(handle)
        self.put(len(self.data), piece)

    def do_direct_write(self):
        start, size = self.aligned()
        memory = mmap.mmap(-1, size)
        piece = self.bytes(size)
        memory[:] = piece
        assert os.pwritev(self.direct, [memory], start) == size
        self.put(start, piece)

    def do_map_read(self):
        start, size = self.inside()
        if size:
            with mmap.mmap(self.plain, len(self.data), prot=mmap.PROT_READ) as memory:
                self.expect(memory[start : start + size], start, size, "mapped read")

    def do_map_write(self):
        start, size = self.inside()
        if size:
            piece = self.bytes(size)
            with mmap.mmap(self.plain, len(self.data)) as memory:
                memory[start : start + size] = piece
                if self.random.random() < 0.5:
                    memory.flush()
            self.put(start, piece)

    def do_truncate(self):
        size = self.random.choice((0, self.random.randrange(FILE_BYTES_MAX), self.random.randrange(FILE_BYTES_MAX)))
        os.ftruncate(self.plain, size)
        self.data.extend(bytes(max(0, size - len(self.data))))
        del self.data[size:]

    def do_fallocate(self):
        start, size = self.range()
        mode = self.random.choice((0, KEEP, PUNCH, PUNCH, ZERO, ZERO_KEEP))
        check(libc.fallocate(self.plain, mode, ctypes.c_long(start), ctypes.c_long(size)))
        if mode in (PUNCH, ZERO_KEEP):
            inside = max(0, min(size, len(self.data) - start))
            self.data[start : start + inside] = bytes(inside)
        elif mode == ZERO:
            self.put(start, bytes(size))
        elif mode == 0:
            self.put(start + size, b"")

    def do_copy(self):
        start, size = self.inside()
        to = self.random.randrange(FILE_BYTES_MAX)
        if size == 0 or abs(to - start) < size or to + size > FILE_BYTES_MAX:
            return
        count = os.copy_file_range(self.plain, self.plain, size, start, to)
        self.put(to, self.data[start : start + count])

    def do_sync(self):
        os.fsync(self.plain)

    def do_reopen(self):
        self.reopen()

    def do_forget(self):
        os.posix_fadvise(self.plain, 0, 0, os.POSIX_FADV_DONTNEED)

    def run(self, steps):
        actions = [getattr(self, name) for name in sorted(dir(self)) if name.startswith("do_")]
        history = []
        for step in range(steps):
            action = self.random.choice(actions)
            history.append(action.__name__[3:])
            try:
                action()
                size = os.fstat(self.plain).st_size
                assert size == len(self.data), "size %d, wanted %d" % (size, len(self.data))
            except (AssertionError, OSError) as error:
                raise SystemExit("step %d, after %s: %s" % (step, " ".join(history[-8:]), error))
        os.fsync(self.plain)
        self.reopen()
        self.expect(os.pread(self.plain, FILE_BYTES_MAX * 2, 0), 0, FILE_BYTES_MAX * 2, "last read")
        print("%d %08x" % (len(self.data), zlib.crc32(self.data)))


def work(seed, steps):
    """One worker: few names, so that workers meet. Contents say their own length and checksum."""
    chance = random.Random(seed)
    names = ["a", "b", "c", "d"]

    def path():
        return "/".join(chance.choice(names) for _ in range(chance.randrange(1, 4)))

    def write():
        piece = chance.randbytes(chance.randrange(20_000))
        temporary = "w%d" % seed
        with open(temporary, "wb") as file:
            file.write(b"%08x" % zlib.crc32(piece) + piece)
        os.rename(temporary, path())

    def read():
        try:
            handle = os.open(path(), os.O_RDONLY | os.O_NONBLOCK)
        except PermissionError:
            # The superuser gets it for a whiteout alone: a device node, and the mount is nodev.
            return
        try:
            if stat.S_ISREG(os.fstat(handle).st_mode):
                verify(os.read(handle, 1 << 20))
        finally:
            os.close(handle)

    def exchange():
        check(libc.renameat2(-100, path().encode(), -100, path().encode(), chance.choice((1, 2, 4))))

    def listing():
        place = path()
        found = os.listdir(place)
        assert len(found) == len(set(found)), "a name twice in %s" % place

    actions = [
        write, write, read, exchange, listing,
        lambda: os.mkdir(path()), lambda: os.mkdir(path()), lambda: os.rmdir(path()), lambda: os.unlink(path()),
        lambda: os.rename(path(), path()), lambda: os.link(path(), path()), lambda: os.symlink("a", path()),
        lambda: os.mkfifo(path()), lambda: os.chmod(path(), chance.choice((0o700, 0o755))), lambda: os.stat(path()),
        lambda: os.setxattr(path(), "user.x", chance.randbytes(10)), lambda: os.removexattr(path(), "user.x"),
    ]
    for _ in range(steps):
        try:
            chance.choice(actions)()
        except OSError as error:
            if error.errno not in TREE_ERRORS:
                raise


def verify(data):
    assert int(data[:8], 16) == zlib.crc32(data[8:]), "a torn file of %d bytes" % len(data)


def holds(directory):
    """Link counts are those that the names make, everything listed is there, every file is whole."""
    links, counts = {}, {}
    for place, folders, files in os.walk(directory):
        inner = 0
        for name in folders + files:
            path = os.path.join(place, name)
            info = os.lstat(path)
            if stat.S_ISDIR(info.st_mode):
                inner += 1
                assert os.lstat(os.path.join(path, "..")).st_ino == os.lstat(place).st_ino, path
                continue
            links[info.st_ino] = links.get(info.st_ino, 0) + 1
            counts[info.st_ino] = info.st_nlink
            if stat.S_ISREG(info.st_mode):
                with open(path, "rb") as file:
                    verify(file.read())
        assert os.lstat(place).st_nlink == inner + 2, "%s has %d links" % (place, os.lstat(place).st_nlink)
    assert links == counts, "link counts"
    return len(links)


def tree(directory, seed, steps, workers):
    os.mkdir(directory)
    os.chdir(directory)
    children = []
    for worker in range(workers):
        child = os.fork()
        if child == 0:
            code = 1
            try:
                work(seed * 1000 + worker, steps)
                code = 0
            finally:
                if code:
                    sys.excepthook(*sys.exc_info())
                os._exit(code)
        children.append(child)
    for child in children:
        assert os.waitpid(child, 0)[1] == 0, "a worker failed"
    print("%d files" % holds("."))


kind, where, *numbers = sys.argv[1:]
if kind == "file":
    OneFile(where, int(numbers[0])).run(int(numbers[1]))
elif kind == "tree":
    tree(where, *map(int, numbers))
else:
    os.chdir(where)
    print("%d files" % holds("."))
