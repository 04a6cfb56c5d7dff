"""Clones (cp --reflink) of a lower's file whose file system shares no blocks with the upper's: it is copied up once, and cloned
from then on."""
import os
import shutil
import subprocess

import sandbox

MIB = 1 << 20


class Clone(sandbox.Scenario):
    def setUp(self):
        super().setUp()
        if os.geteuid() != 0 or sandbox.BELOW_OVLRUN:
            self.skipTest("a loop file system needs root")
        self.disk = self.top + "/disk"
        os.mkdir(self.disk)
        with open(self.top + "/image", "wb") as image:
            image.truncate(512 * MIB)
        self.size = 16 * MIB
        with open(self.lower + "/big", "wb") as big:
            big.write(os.urandom(self.size))

    def mount(self, kind):
        if not shutil.which("mkfs." + kind):
            self.skipTest(f"there is no mkfs.{kind}")
        subprocess.run(["mkfs." + kind, "-q", self.top + "/image"], check=True, capture_output=True)
        done = subprocess.run(["mount", "-o", "loop", self.top + "/image", self.disk], capture_output=True, text=True)
        if done.returncode != 0:
            self.skipTest(f"mount -o loop: {done.stderr}")
        self.addCleanup(subprocess.run, ["umount", "-l", self.disk], check=True)
        self.upper, self.work = self.disk + "/upper", self.disk + "/upper.work"

    def used(self):
        os.sync()
        st = os.statvfs(self.disk)
        return (st.f_blocks - st.f_bfree) * st.f_frsize

    def clones(self, kind, *options):
        self.mount(kind)
        before = self.used()
        done = self.ovlrun(*options, "--lower", self.lower, "--upper", self.upper, "--", "sh", "-ec",
                           "for i in $(seq 100); do cp --reflink=always big c$i; done; for i in 1 50 100; do cmp big c$i; done",
                           cwd=self.lower)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertLess(self.used() - before, 2 * self.size)

    def test_a_hundred_on_btrfs(self):
        self.clones("btrfs")

    def test_a_hundred_on_xfs(self):
        self.clones("xfs")

    def test_a_hundred_by_the_supervisor_alone(self):
        self.supervised("--strict")
        self.clones("btrfs", "--strict")

    def test_where_nothing_can_be_cloned_nothing_is_copied_up(self):
        self.mount("ext4")
        done = self.inside("cp", "--reflink=auto", self.lower + "/big", self.lower + "/copy")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(sorted(os.listdir(self.upper)), ["copy"])

    def test_of_a_range(self):
        self.mount("btrfs")
        script = ("import fcntl, os, struct\n"
                  "source, to = os.open('big', os.O_RDONLY), os.open('part', os.O_RDWR | os.O_CREAT)\n"
                  "fcntl.ioctl(to, 0x4020940d, struct.pack('qQQQ', source, 4096, 8192, 0))\n"  # FICLONERANGE
                  "assert os.pread(to, 8192, 0) == os.pread(source, 8192, 4096)\n")
        done = self.inside("python3", "-c", script, cwd=self.lower)
        self.assertEqual((done.returncode, done.stderr), (0, ""))


if __name__ == "__main__":
    sandbox.main()
