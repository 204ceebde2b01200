"""Rules about names: wrong paths, kinds of files, permissions, sticky directories, rename."""

import os

from table_base import CALLS, KINDS, USERS, As, Scratch, cases, look, make, opened, outcome, rename2, say, target


def section_paths():
    """A path that is wrong in every way that it can be, for every call."""
    long = "n" * 255
    wrong = {
        "missing": "none",
        "missing/x": "none/x",
        "file/x": "target/x",
        "file/": "target/",
        "folder/": "folder/",
        "new/": "fresh/",
        "new//": "fresh//",
        "fifo/x": "pipe/x",
        "loop": "loop",
        "loop/x": "loop/x",
        "dangling/": "dangling/",
        "dangling/x": "dangling/x",
        "link/": "toward/",
        "link-file/": "tofile/",
        ".": "folder/.",
        "..": "folder/..",
        "empty": "",
        "255": long,
        "256": long + "n",
        "256/x": long + "n/x",
        "file-of-255/x": "folder/" + long + "/x",
        "4095": "./" * 2046 + "new",
        "4096": "./" * 2046 + "newer",
        "5000": "./" * 2500 + "new",
        "long components": "/".join([long] * 15),
    }
    for who in ("root", "alice"):
        for call, way in cases(CALLS, wrong):
            with Scratch():
                target()
                make("fifo", "pipe", 0o666)
                os.symlink("loop", "loop")
                os.symlink("nowhere", "dangling")
                os.symlink("folder", "toward")
                os.symlink("target", "tofile")
                with As(USERS[who]):
                    result = outcome(CALLS[call], wrong[way])
                names = sorted(name[:12] for name in os.listdir("."))
                say("paths %s %s %s" % (who, call, way), "%s %s" % (result, names))


def section_kinds():
    """Every call on every kind of file, its own, another's, or one that may only be read."""
    for kind, who, call in cases(KINDS, ("root", "alice", "bob"), CALLS):
        with Scratch():
            target()
            make(kind, "it", 0o644, 1000, 1000)
            with As(USERS[who]):
                result = outcome(CALLS[call], "it")
            seen = [look("it"), look("target"), look("other")]
            say("kinds %s %s %s" % (kind, who, call), "%s %s" % (result, seen))


def section_permissions():
    """Directories that can't be searched or written, and files with each single bit."""
    modes = (0o0, 0o1, 0o2, 0o3, 0o4, 0o5, 0o6)
    for mode, who, call, name in cases(modes, ("root", "bob"), CALLS, ("d/it", "d/fresh")):
        with Scratch():
            target()
            make("dir", "d", 0o777)
            make("file", "d/it", 0o666, 1001, 1001)
            os.chmod("d", mode)
            with As(USERS[who]):
                result = outcome(CALLS[call], name)
            say("permissions %o %s %s %s" % (mode, who, call, name), result)
    bits = [0o400, 0o200, 0o100, 0o40, 0o20, 0o10, 0o4, 0o2, 0o1]
    for kind, mode, who, call in cases(("file", "dir", "fifo"), bits, USERS, CALLS):
        with Scratch():
            target()
            make(kind, "it", 0o644, 1000, 2000)
            os.chmod("it", mode)
            with As(USERS[who]):
                result = outcome(CALLS[call], "it")
            say("permissions %s %o %s %s" % (kind, mode, who, call), result)


def section_sticky():
    """Who may take a name out of a sticky directory, or put one over another's."""
    takes = {
        "unlink": lambda: os.unlink("d/it"),
        "rmdir": lambda: os.rmdir("d/it"),
        "rename-from": lambda: os.rename("d/it", "out"),
        "rename-to": lambda: os.rename("mine", "d/it"),
        "exchange": lambda: rename2("mine", "d/it", 2),
        "write": lambda: opened("d/it", os.O_WRONLY | os.O_CREAT),
        "link": lambda: os.link("d/it", "out", follow_symlinks=False),
        "follow": lambda: os.stat("d/it") and None,
    }
    owners = (0, 1000, 1001)
    product = cases((0o1777, 0o777, 0o1770), owners, owners, KINDS, ("root", "alice", "bob"), takes)
    for mode, directory, owner, kind, who, take in product:
        with Scratch():
            make("dir", "d")
            os.chmod("d", mode)
            os.chown("d", directory, 1000)
            make(kind, "d/it", 0o666, owner, owner)
            make("dir" if kind == "dir" else "file", "mine", 0o666, *[USERS[who][0]] * 2)
            with As(USERS[who]):
                result = outcome(takes[take])
            case = "sticky %o %d %d %s %s %s" % (mode, directory, owner, kind, who, take)
            say(case, "%s %s %s" % (result, look("d/it"), look("out")))


def section_rename():
    """Every kind over every kind, in the same directory and into another; link counts of the parents."""
    for flags, one, two, place in cases((0, 1, 2, 4, 5), KINDS + ["full"], KINDS + ["full", None], ("", "d/")):
        with Scratch():
            os.mkdir("d")
            for kind, name in ((one, "from"), (two, place + "to")):
                if kind == "full":
                    os.mkdir(name)
                    make("file", name + "/x")
                elif kind is not None:
                    make(kind, name)
            result = outcome(rename2, "from", place + "to", flags)
            seen = [look(name) for name in ("from", place + "to", "d", ".")]
            say("rename %d %s %s %s" % (flags, one, two, place), "%s %s" % (result, seen))
    odd = {
        "into itself": ("d", "d/e"),
        "into a child": ("d", "d/e/f/g"),
        "over its parent": ("d/e/f", "d/e"),
        "over its grandparent": ("d/e/f", "d"),
        "dot": ("d/.", "x"),
        "dotdot": ("d/e/..", "x"),
        "to dot": ("d", "d/e/."),
        "to dotdot": ("d/e/f", "d/e/.."),
        "the same": ("file", "file"),
        "a hard link": ("file", "hard"),
        "slash file": ("file", "x/"),
        "slash dir": ("d/", "x/"),
        "slash dir over": ("d/", "empty/"),
        "dir to dir/": ("d", "empty/"),
        "up": ("d/e", "e"),
        "link/": ("link/", "x"),
        "to link/": ("d/e", "link/"),
        "over a link to a dir": ("d/e", "link"),
    }
    for flags, (case, (one, two)) in cases((0, 1, 2), odd.items()):
        with Scratch():
            os.makedirs("d/e/f")
            os.mkdir("empty")
            make("file", "file")
            os.link("file", "hard")
            os.symlink("empty", "link")
            result = outcome(rename2, one, two, flags)
            seen = [look(name) for name in ("d", "d/e", "d/e/..", ".", "x", "x/..", "e", "e/..", "file", "hard")]
            say("rename %d %s" % (flags, case), "%s %s" % (result, seen))
    # A directory of somebody else may be moved only where its ".." may be changed.
    for mode, owner, who in cases((0o755, 0o777, 0o1777), (1000, 1001), ("alice", "root")):
        with Scratch():
            make("dir", "a", 0o777)
            make("dir", "b", 0o777)
            make("dir", "a/it", mode, owner, owner)
            os.chmod("a/it", mode)
            with As(USERS[who]):
                result = outcome(os.rename, "a/it", "b/it")
            say("rename of %o %d by %s" % (mode, owner, who), "%s %s" % (result, look("b/it")))
