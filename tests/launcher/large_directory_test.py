"""Reading a large merged directory: complete, in bounded memory, with work that grows as the number of names, also in several streams at
once and by seekdir(3)."""
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

import sandbox
from sandbox import OVLRUN

MANY, FEW = 100_000, 10_000
LONG = 200  # of them with names of 255 bytes
BYTES = 200  # of memory for a name, at most

LIBC = r'''
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
class Dirent(ctypes.Structure):
    _fields_ = [("ino", ctypes.c_ulong), ("off", ctypes.c_long), ("reclen", ctypes.c_ushort), ("type", ctypes.c_ubyte), ("name", ctypes.c_char * 256)]
libc.opendir.restype = ctypes.c_void_p
libc.readdir.restype = ctypes.POINTER(Dirent)
libc.readdir.argtypes = libc.telldir.argtypes = libc.rewinddir.argtypes = libc.closedir.argtypes = [ctypes.c_void_p]
libc.telldir.restype = ctypes.c_long
libc.seekdir.argtypes = [ctypes.c_void_p, ctypes.c_long]
def read(stream):
    entry = libc.readdir(stream)
    return entry.contents.name if entry else None
path = sys.argv[1].encode()
'''

# Names are counted, not kept.
MEMORY = LIBC + r'''
def most(pid):
    status = open(f"/proc/{pid}/status").read()
    return [int(l.split()[1]) for l in status.splitlines() if l.startswith("VmHWM")][0], [l.split()[1] for l in status.splitlines() if l.startswith("PPid")][0]
def all_of_them():
    sizes, pid = [], "self"
    for _ in range(4):  # this one, its keeper, the supervisor, the front
        size, pid = most(pid)
        sizes.append(size)
    return sizes
libc.closedir(libc.opendir(b"/"))
before, count, stream = all_of_them(), 0, libc.opendir(path)
while libc.readdir(stream):
    count += 1
print(count - 2, max(b - a for a, b in zip(before, all_of_them())))
'''

STREAMS = LIBC + r'''
streams, count = [libc.opendir(path) for _ in range(int(sys.argv[2]))], 0
left = list(streams)
while left:
    left = [s for s in left if libc.readdir(s)]
    count += len(left)
print(count)
'''

SEEKS = LIBC + r'''
stream, places = libc.opendir(path), {}
while True:
    place = libc.telldir(stream)
    name = read(stream)
    if name is None:
        break
    places[name] = place
names = [n for n in places if n not in (b".", b"..")]
for i in range(int(sys.argv[2])):
    name = names[i * 7919 % (len(names) - 1)]
    libc.seekdir(stream, places[name])
    assert read(stream) == name, name
'''

# They stay where they are while other names go and come.
POSITIONS = SEEKS + r'''
kept = [n for i, n in enumerate(names) if i % 1000 == 5]
for i, name in enumerate(names):
    if i % 1000 == 6:
        os.unlink(path + b"/" + name)
        open(path + b"/come" + name[-7:], "x").close()
for name in reversed(kept):
    libc.seekdir(stream, places[name])
    assert read(stream) == name, name
libc.rewinddir(stream)
seen = set(iter(lambda: read(stream), None))
assert seen == set(os.listdir(path)) | {b".", b".."}
print(len(seen) - 2)
'''

DELETING = LIBC + r'''
stream, other, count = libc.opendir(path), libc.opendir(path), 0
while (name := read(stream)) is not None:
    if name in (b".", b".."):
        continue
    if count % 100 == 0:
        assert read(other) is not None  # another stream goes on
    os.unlink(path + b"/" + name)
    count += 1
print(count, os.listdir(path))
'''


class LargeDirectory(sandbox.Scenario):
    FOLDERS = {"many": MANY, "few": FEW, "sought": FEW, "emptied": FEW}  # the last two are changed

    @classmethod
    def setUpClass(cls):
        cls.tree = os.path.realpath(tempfile.mkdtemp(prefix="ovlrun-launcher-"))
        cls.addClassCleanup(shutil.rmtree, cls.tree)
        cls.names = {folder: cls.fill(folder, count) for folder, count in cls.FOLDERS.items()}

    @classmethod
    def fill(cls, folder, count):
        """Half of the names in the lower, half in the upper; each tenth of the lower's has a whiteout, each twentieth a copy."""
        lower, upper = f"{cls.tree}/lower/{folder}", f"{cls.tree}/upper/{folder}"
        os.makedirs(lower)
        os.makedirs(upper)
        names = set()
        for i in range(count // 2):
            wide = 255 - 7 if i < LONG // 2 else 5
            for top, word in ((lower, "l"), (upper, "u")):
                name = f"{word * wide}{i:07d}"
                os.mknod(f"{top}/{name}", 0o600)
                names.add(name)
            gone = f"{'l' * wide}{i:07d}"
            if i % 10 == 0:
                os.mknod(f"{upper}/{gone}", 0o020000)
                names.remove(gone)
            elif i % 20 == 1:
                os.mknod(f"{upper}/{gone}", 0o600)
        return names

    def setUp(self):
        super().setUp()
        self.lower, self.upper = self.tree + "/lower", self.tree + "/upper"

    def tearDown(self):
        super().tearDown()
        for folder, count in self.FOLDERS.items():
            self.assertEqual(len(os.listdir(f"{self.lower}/{folder}")), count // 2, "the lower was changed")

    def command(self, folder, script, *arguments, options=("--intercept=preload",)):
        return [OVLRUN, *options, "--lower", self.lower, "--upper", self.upper, "--", sys.executable, "-Bc", script, f"{self.lower}/{folder}",
                *arguments]

    def read(self, folder, script, *arguments, options=("--intercept=preload",)):
        done = subprocess.run(self.command(folder, script, *arguments, options=options), env=self.environment(), cwd=self.top,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True)
        self.assertEqual((done.returncode, sandbox.without_notice(done).stderr), (0, ""))
        return done.stdout

    def looks(self, folder, script, *arguments):
        """How often the overlay asked for the marks of a name."""
        log = self.top + "/log"
        done = subprocess.run(["strace", "-f", "-c", "-o", log, "-e", "trace=llistxattr", *self.command(folder, script, *arguments)],
                              env=self.environment(), cwd=self.top, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if done.returncode != 0 and "ptrace" in done.stderr.lower():
            self.skipTest(f"strace may not trace here: {done.stderr}")
        self.assertEqual(done.returncode, 0, done.stderr)
        with open(log) as file:
            found = re.search(r"(?m)^ *[\d.]+ +[\d.]+ +\d+ +(\d+).* llistxattr$", file.read())
        return int(found[1]) if found else 0

    @sandbox.needs_real_upper
    def test_each_name_comes_once(self):
        listing = "import os, sys\nfor n in os.listdir(sys.argv[1]): print(n)"
        for way in ("preload", "seccomp"):
            with self.subTest(way):
                if way != "preload":
                    self.supervised("--intercept=" + way)
                lines = self.read("many", listing, options=("--intercept=" + way,)).splitlines()
                self.assertEqual(len(lines), len(self.names["many"]))
                self.assertEqual(set(lines), self.names["many"])

    @sandbox.needs_real_upper
    @sandbox.needs_own_supervisor
    def test_memory_is_bounded(self):
        for way in ("preload", "seccomp"):
            with self.subTest(way):
                if way != "preload":
                    self.supervised("--intercept=" + way)
                count, kilobytes = map(int, self.read("many", MEMORY, options=("--intercept=" + way,)).split())
                self.assertEqual(count, len(self.names["many"]))
                self.assertLess(kilobytes * 1024, BYTES * MANY)

    @unittest.skipIf(shutil.which("strace") is None, "no strace here")
    @sandbox.needs_real_upper
    @sandbox.needs_own_supervisor
    def test_work_grows_as_the_number_of_names(self):
        once = {folder: self.looks(folder, STREAMS, "1") for folder in ("few", "many")}
        self.assertLess(once["many"], 1.1 * MANY / FEW * once["few"])
        self.assertLess(once["many"], 0.6 * MANY)  # those of the upper
        # How often the whole is read. A chunk is less than a hundredth of it.
        for script, argument, most in ((STREAMS, "5", 10), (SEEKS, "200", 8)):
            with self.subTest(argument):
                self.assertLess(self.looks("many", script, argument), most * once["many"])

    @sandbox.needs_real_upper
    def test_several_streams_at_once(self):
        self.assertEqual(self.read("many", STREAMS, "3"), f"{3 * (len(self.names['many']) + 2)}\n")

    @sandbox.needs_real_upper
    def test_positions_stay(self):
        for way in ("preload", "seccomp"):
            with self.subTest(way):
                if way != "preload":
                    self.supervised("--intercept=" + way)
                self.assertEqual(self.read("sought", POSITIONS, "100", options=("--intercept=" + way,)), f"{len(self.names['sought'])}\n")

    @sandbox.needs_real_upper
    def test_all_names_can_be_removed_while_they_are_read(self):
        self.assertEqual(self.read("emptied", DELETING), f"{len(self.names['emptied'])} []\n")


if __name__ == "__main__":
    sandbox.main()
