"""statfs, fstatfs, statvfs and fstatvfs: the room of the upper's file system, where all that is written goes; the rest is the lower's."""
import os
import subprocess
import sys
import tempfile
import unittest

import sandbox

# Type, id and most bytes of a name; block size, fragment size, blocks and inodes: of each path, by path, descriptor and link of procfs.
SHOW = r'''
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
class Statfs(ctypes.Structure):
    _fields_ = [(n, ctypes.c_long) for n in ("type", "bsize", "blocks", "bfree", "bavail", "files", "ffree")] + [
        ("fsid", ctypes.c_int * 2)] + [(n, ctypes.c_long) for n in ("namelen", "frsize", "flags")] + [("spare", ctypes.c_long * 4)]
def facts(call, *arguments):
    st = Statfs()
    if call(*arguments, ctypes.byref(st)) != 0:
        raise OSError(ctypes.get_errno(), arguments)
    return f"{st.type:x} {st.fsid[0]:x}:{st.fsid[1]:x} {st.namelen}", f"{st.bsize} {st.frsize} {st.blocks} {st.files}"
all = set()
for path in sys.argv[2:]:
    path = os.path.join(sys.argv[1], path)
    all.add(facts(libc.statfs, path.encode()))
    for flags in (os.O_RDONLY, os.O_PATH):
        fd = os.open(path, flags)
        all.add(facts(libc.fstatfs, fd))
        all.add(facts(libc.statfs, f"/proc/self/fd/{fd}".encode()))
        v = os.fstatvfs(fd)
        os.close(fd)
        w = os.statvfs(path)
        for one in (v, w):
            if (one.f_namemax, f"{one.f_bsize} {one.f_frsize} {one.f_blocks} {one.f_files}") != (
                    int(facts(libc.statfs, path.encode())[0].split()[-1]), facts(libc.statfs, path.encode())[1]):
                print("statvfs differs:", path, one)
for line in sorted(all):
    print(*line, sep="\n")
'''


class Statfs(sandbox.Scenario):
    def setUp(self):
        super().setUp()
        self.other = None
        try:
            self.other = tempfile.mkdtemp(prefix="ovlrun-statfs-", dir="/dev/shm")
            os.setxattr(self.other, "user.overlay.probe", b"")
            os.removexattr(self.other, "user.overlay.probe")
        except OSError as error:
            self.skipTest(f"no second file system with user xattrs here: {error}")
        finally:
            if self.other is not None:
                self.addCleanup(subprocess.run, ["rm", "-rf", self.other], check=True)
        if os.stat(self.other).st_dev == os.stat(self.lower).st_dev:
            self.skipTest("/dev/shm is on the file system of the lower")
        self.upper = self.other + "/upper"

    def facts(self, top, *paths, run=(sys.executable,)):
        done = subprocess.run([*run, "-Bc", SHOW, top, *paths], capture_output=True, text=True, env=self.environment(), cwd=self.top)
        sandbox.without_notice(done)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        lines = done.stdout.splitlines()
        self.assertEqual(len(lines), 2, done.stdout)  # one answer for all
        return lines

    def options(self, *more):
        return [sandbox.OVLRUN, "--lower", self.lower, "--upper", self.upper, *more, "--"]

    def test_type_and_id_are_the_lowers_and_the_room_is_the_uppers(self):
        paths = [".", "file", "dir", "dir/inner", "new", "made", "made/below"]
        self.freeze()
        subprocess.run([*self.options(), "sh", "-ec", 'cd "$1"; echo n > new; mkdir made; echo b > made/below; echo m >> dir/inner', "sh", self.lower],
                       check=True, env=self.environment(), stderr=subprocess.DEVNULL)
        lower, upper = self.facts(self.lower, ".", "file"), self.facts(self.upper, ".", "new")
        self.assertNotEqual(lower[1], upper[1])
        for way in ("preload", "seccomp", "both"):
            with self.subTest(way):
                if way != "preload":
                    self.supervised("--intercept=" + way)
                self.assertEqual(self.facts(self.lower, *paths, run=(*self.options("--intercept=" + way), sys.executable)), [lower[0], upper[1]])

    def test_df_shows_the_room_that_there_is(self):
        self.freeze()
        shown, real = (subprocess.run([*run, "stat", "-f", "-c", "%b %S %c", path], capture_output=True, text=True, env=self.environment()).stdout
                       for run, path in ((self.options(), self.lower), ((), self.other)))
        self.assertEqual(shown, real)

    @unittest.skipIf(os.geteuid() != 0, "mounts need root")
    def test_the_room_is_that_of_a_kernel_mount(self):
        self.freeze()
        subprocess.run([*self.options(), "touch", self.lower + "/new"], check=True, env=self.environment(), stderr=subprocess.DEVNULL)
        own = self.facts(self.lower, ".", "file", "new", run=(*self.options(), sys.executable))
        os.mkdir(self.top + "/mount")
        for name in ("upper2", "work2"):
            os.mkdir(f"{self.other}/{name}")
        data = f"lowerdir={self.lower},upperdir={self.other}/upper2,workdir={self.other}/work2"
        script = 'mount -t overlay overlay -o "$1" "$2" || exit 77; exec "$3" -Bc "$4" "$2" . file'
        done = subprocess.run(["unshare", "--mount", "bash", "-c", script, "bash", data, self.top + "/mount", sys.executable, SHOW],
                              capture_output=True, text=True, env=self.environment())
        if done.returncode == 77:
            self.skipTest(f"no kernel overlay here: {done.stderr}")
        kernel = done.stdout.splitlines()
        self.assertEqual(own[1], kernel[1])
        self.assertEqual(own[0].split()[-1], kernel[0].split()[-1])  # bytes of a name
        self.assertEqual(kernel[0].split()[0], "794c7630")  # OVERLAYFS_SUPER_MAGIC, which programs in place shall not meet
        self.assertNotEqual(own[0].split()[0], "794c7630")


if __name__ == "__main__":
    sandbox.main()
