"""The upper's disk is full, its quota used up, it becomes read-only, or is removed, while programs run: they get the error that they
would get without an overlay, nothing is half done, nothing crashes, and when there is room again they go on."""
import ctypes
import errno
import os
import shutil
import subprocess
import sys
import unittest

import sandbox

USER = 65500
PROGRAM = r'''
import errno, os, sys
os.chdir(sys.argv[1])
def put(name, data):
    with open(name, "wb", buffering=0) as f:
        while data:
            data = data[f.write(data):]
for line in sys.stdin:
    try:
        print(f"ok {eval(line)}", flush=True)
    except OSError as error:
        print(errno.errorcode[error.errno], flush=True)
'''
# What programs do to the files of number i: the expression, and one of what it makes true.
CHANGES = [
    ("os.chmod('chmod{}', 0o600)", "os.stat('chmod{}').st_mode & 0o777 == 0o600"),
    ("os.utime('utime{}', (1, 1))", "os.stat('utime{}').st_mtime == 1"),
    ("os.setxattr('xattr{}', 'user.new', b'new' * 300)", "os.listxattr('xattr{}') == ['user.new']"),
    ("os.rename('dir{}', 'renamed_dir{}')", "os.path.exists('renamed_dir{}/inner') and not os.path.exists('dir{}')"),
    ("os.rename('rename{}', 'full/renamed{}')", "os.path.exists('full/renamed{}') and not os.path.exists('rename{}')"),
    ("os.link('link{}', 'linked{}')", "os.stat('linked{}').st_ino == os.stat('link{}').st_ino and os.stat('link{}').st_nlink == 2"),
    ("os.unlink('unlink{}')", "not os.path.exists('unlink{}')"),
    ("os.mkdir('mkdir{}')", "os.path.isdir('mkdir{}')"),
    ("os.symlink('text', 'symlink{}')", "os.path.islink('symlink{}')"),
    ("os.close(os.open('data{}', os.O_RDWR))", "open('data{}', 'rb').read() == b'd' * 40000"),
    ("os.truncate('trunc{}', 0)", "os.stat('trunc{}').st_size == 0"),
]
COUNT = 12


class FullDisk(sandbox.Scenario):
    def setUp(self):
        super().setUp()
        if os.geteuid() != 0 or sandbox.BELOW_OVLRUN:
            self.skipTest("SKIPPED: only root mounts disks")
        for i in range(COUNT):
            for name in ("chmod", "utime", "xattr", "rename", "link", "unlink", "trunc"):
                self.write(f"lower/{name}{i}", name)
            self.write(f"lower/data{i}", "d" * 40000)
            self.write(f"lower/dir{i}/inner", "inner")
        os.mkdir(self.lower + "/full")
        self.write("lower/big", "b" * 9_000_000)
        self.process = None

    def tearDown(self):
        if self.process is not None:
            self.end()
        super().tearDown()

    def mount(self, *options, make=("mkfs.ext4", "-q", "-m", "0"), size="16M", mount_options="loop", then=()):
        image, disk = self.top + "/image", self.top + "/disk"
        os.mkdir(disk)
        subprocess.run(["truncate", "-s", size, image], check=True)
        commands = [[*make, *options, image], ["mount", "-o", mount_options, image, disk], *([*one, disk] for one in then)]
        for command in commands:
            try:
                done = subprocess.run(command, capture_output=True, text=True)
            except FileNotFoundError as error:
                self.skipTest(f"SKIPPED: {error}")
            if done.returncode != 0:
                self.skipTest(f"SKIPPED: no such file system can be mounted here: {' '.join(command)}: {done.stderr}")
            if command[0] == "mount":
                self.addCleanup(subprocess.run, ["umount", "-l", disk], check=True)
        os.chmod(self.top, 0o755)
        self.disk, self.upper, self.work = disk, disk + "/upper", disk + "/upper.work"

    def program(self, *prefix, **kwargs):
        self.freeze()
        self.process = subprocess.Popen(
            [*prefix, sandbox.OVLRUN, "--lower", self.lower, "--upper", self.upper, "--", sys.executable, "-Bc", PROGRAM, self.lower],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=self.environment(), cwd=self.top, **kwargs)
        self.assertEqual(self.does("1"), "ok 1")

    def does(self, expression):
        """What the program says of it: "ok VALUE", or the error's name."""
        self.process.stdin.write(expression + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def end(self):
        process, self.process = self.process, None
        process.stdin.close()
        process.stdout.close()
        return process.wait()

    def free(self):
        st = os.statvfs(self.disk)
        return st.f_bfree * st.f_frsize

    def change_all(self, *errors):
        """Tries all changes. Each is done, or told as one of these errors and not done. Returns those that are not."""
        left = []
        for i in range(COUNT):
            for change, truth in CHANGES:
                change, truth = change.replace("{}", str(i)), truth.replace("{}", str(i))
                before = self.does(truth)
                told = self.does(change)
                self.assertIn(told.split()[0], ("ok", *errors), change)
                now = self.does(truth)
                self.assertEqual(now, "ok True" if told.startswith("ok") else before, change)
                if not told.startswith("ok"):
                    left.append((change, truth))
        return left

    def change_rest(self, left):
        for change, truth in left:
            self.assertEqual(self.does(change).split()[0], "ok", change)
            self.assertEqual(self.does(truth), "ok True", change)

    def finds_nothing(self):
        done = self.ovlrun("check", "--lower", self.lower, "--upper", self.upper)
        self.assertEqual((done.returncode, done.stdout), (0, ""), done.stderr)
        self.assertIn("nothing is wrong", done.stderr)
        self.assertFalse([n for n in os.listdir(self.work + "/work") if n.startswith("#") and n != "#whiteout"])

    def fill(self, name="fill", leave=0):
        """Uses the disk up, to the last block."""
        with open(self.disk + "/" + name, "wb", buffering=0) as file:
            for size in (1 << 20, 1 << 12, 1 << 10, 1):
                try:
                    while True:
                        file.write(b"f" * size)
                except OSError as error:
                    self.assertEqual(error.errno, errno.ENOSPC)
            if leave:
                file.truncate(file.tell() - leave)
        os.sync()

    def test_full_disk(self):
        self.mount()
        self.program()
        self.fill()
        self.assertEqual(self.does("os.path.exists('big')"), "ok True")
        left = self.change_all("ENOSPC")
        self.assertTrue(left, "the disk is full")
        os.unlink(self.disk + "/fill")
        self.change_rest(left)
        self.assertEqual(self.end(), 0)
        self.finds_nothing()

    def test_copy_that_finds_no_room_takes_none(self):
        self.mount()
        self.program()
        self.assertEqual(self.does("os.chmod('big', 0o600)"), "ok None")
        self.assertEqual(self.does("os.close(os.open('data0', os.O_RDWR))"), "ok None")
        self.fill(leave=4 << 20)
        before = self.free()
        for _ in range(5):  # what was lost each time would be all soon
            self.assertEqual(self.does("os.open('big', os.O_RDWR)"), "ENOSPC")
            self.assertEqual(self.does("open('big').read() == 'b' * 9000000"), "ok True")
        os.sync()
        self.assertGreater(self.free(), before - (64 << 10))
        os.unlink(self.disk + "/fill")
        self.assertEqual(self.does("os.close(os.open('big', os.O_RDWR))"), "ok None")
        self.assertEqual(self.does("open('big').read() == 'b' * 9000000"), "ok True")
        self.assertEqual(self.end(), 0)
        self.finds_nothing()

    def test_writes_to_the_last_block(self):
        self.mount()
        self.program()
        self.assertEqual(self.does("put('new', b'n' * 30000000)"), "ENOSPC")
        self.assertEqual(self.does("os.unlink('new')"), "ok None")
        self.assertEqual(self.does("put('new', b'n' * 3000000)"), "ok None")
        self.assertEqual(self.end(), 0)
        self.finds_nothing()

    def test_no_inode_left(self):
        self.mount("-N", "48")
        self.program()
        left = self.change_all("ENOSPC")
        self.assertTrue(left)
        self.assertEqual(self.end(), 0)
        self.finds_nothing()

    def test_no_room_at_the_start(self):
        self.mount()
        self.fill()
        done = self.inside("true")
        self.assertEqual(done.returncode, 125, done.stderr)
        self.assertIn("No space left on device", done.stderr)
        self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)

    def test_quota(self):
        self.mount("-O", "quota", "-E", "quotatype=usrquota", mount_options="loop,usrquota")
        os.chown(self.disk, USER, USER)
        device = subprocess.run(["findmnt", "-no", "SOURCE", self.disk], capture_output=True, text=True, check=True).stdout.strip()
        # if_dqblk: limits in blocks of 1 KiB, and of inodes
        limits = (ctypes.c_uint64 * 9)(3000, 3000, 0, 0, 0, 0, 0, 0, 1)
        set_quota = 0x800008 << 8
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.quotactl(set_quota, device.encode(), USER, ctypes.byref(limits)) != 0:
            self.skipTest(f"SKIPPED: no quota can be set: {os.strerror(ctypes.get_errno())}")
        self.check_quota("setpriv", "--reuid", str(USER), "--regid", str(USER), "--clear-groups")

    def test_quota_of_btrfs(self):
        self.mount(make=("mkfs.btrfs", "-q"), size="128M", then=(
            ("btrfs", "quota", "enable"), ("btrfs", "qgroup", "limit", "3M", "0/5")))
        self.check_quota()

    def check_quota(self, *prefix):
        self.program(*prefix)
        if self.does("put('new', b'n' * 4000000)") != "EDQUOT":
            self.skipTest("SKIPPED: quotas are not enforced here")
        left = self.change_all("EDQUOT")
        self.assertEqual(self.does("os.open('big', os.O_RDWR)"), "EDQUOT")
        self.assertEqual(self.does("open('big').read() == 'b' * 9000000"), "ok True")
        self.assertEqual(self.does("os.unlink('new')"), "ok None")
        self.change_rest(left)
        self.assertEqual(self.end(), 0)
        self.finds_nothing()

    def remount(self, option):
        done = subprocess.run(["mount", "-o", "remount," + option, self.disk], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_read_only_in_the_middle(self):
        self.mount()
        self.program()
        self.assertEqual(self.does("os.chmod('chmod0', 0o640)"), "ok None")
        self.remount("ro")
        left = self.change_all("EROFS")
        self.assertEqual(len(left), COUNT * len(CHANGES))
        self.assertEqual(self.does("open('data1').read() == 'd' * 40000"), "ok True")
        self.assertEqual(self.does("oct(os.stat('chmod0').st_mode & 0o777)"), "ok 0o640")
        self.remount("rw")
        self.change_rest(left)
        self.assertEqual(self.end(), 0)
        self.finds_nothing()

    def test_disk_that_gives_up(self):
        self.mount()
        self.program()
        self.assertEqual(self.does("os.chmod('chmod0', 0o640)"), "ok None")
        os.sync()
        self.remount("abort")
        self.change_all("EROFS", "EIO")
        self.assertEqual(self.does("open('data1').read() == 'd' * 40000"), "ok True")
        self.end()


class Removed(sandbox.Scenario):
    """Somebody else removes the upper, or all of it."""

    def check(self, *names):
        self.process = None
        for i in range(COUNT):
            for name in ("chmod", "utime", "xattr", "rename", "link", "unlink", "trunc"):
                self.write(f"lower/{name}{i}", name)
            self.write(f"lower/data{i}", "d" * 40000)
            self.write(f"lower/dir{i}/inner", "inner")
        os.mkdir(self.lower + "/full")
        FullDisk.program(self)
        self.assertEqual(self.does("os.chmod('chmod0', 0o640)"), "ok None")
        for name in names:
            shutil.rmtree(name)
        for i in range(COUNT):
            for change, _ in CHANGES:
                told = self.does(change.replace("{}", str(i)))
                self.assertIn(told, ("ENOENT", "ESTALE", "EIO"), change)
        self.assertEqual(self.does("open('data1').read()"), "ENOENT")
        self.assertEqual(FullDisk.end(self), 0)
        for name in names:
            self.assertFalse(os.path.exists(name), "nothing makes it anew")

    does = FullDisk.does

    def test_upper(self):
        self.check(self.upper)

    def test_upper_and_workdir(self):
        self.check(self.upper, self.work)


if __name__ == "__main__":
    sandbox.main()
