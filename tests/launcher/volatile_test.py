"""--volatile: nothing is written out while the command runs, and what a crash leaves is refused. Without it what programs sync
reaches the upper."""
import os
import re
import shutil
import signal
import subprocess
import sys
import unittest

import sandbox

# In every way that there is, of what a session shows at argv[1]; "outside" is argv[2].
SYNCS = r'''
import ctypes, mmap, os, sys
libc = ctypes.CDLL(None, use_errno=True)
libc.sync_file_range.argtypes = [ctypes.c_int, ctypes.c_long, ctypes.c_long, ctypes.c_uint]
top, outside = sys.argv[1:]
directory = os.open(top + "/dir", os.O_RDONLY)
reading = os.open(top + "/file", os.O_RDONLY)
def sync(fd):
    os.fsync(fd), os.fdatasync(fd)
    assert libc.sync_file_range(fd, 0, 0, 7) == 0 and libc.syncfs(fd) == 0
sync(directory), sync(reading)
writing = os.open(top + "/file", os.O_RDWR)
os.write(writing, b"LOWER")
new = os.open(top + "/dir/new", os.O_RDWR | os.O_CREAT | os.O_SYNC)
os.write(new, b"new")
removed = os.open(top + "/dir/gone", os.O_RDWR | os.O_CREAT | os.O_DSYNC)
os.unlink(top + "/dir/gone")
for fd in directory, reading, writing, new, removed:
    sync(fd)
mapped = mmap.mmap(writing, 0)
mapped[0:1] = b"!"
mapped.flush()
os.sync()
if outside:
    fd = os.open(outside, os.O_RDWR)
    os.fsync(fd)
'''
# What these calls are as the kernel gets them, and those that do nothing: without flags, or behind the end of every file.
CALLS = "fsync,fdatasync,syncfs,sync,sync_file_range,msync"
NOTHING = re.compile(r"sync_file_range\(\d+<?.*(, 0\)|, 4611686018427387904, 1, SYNC_FILE_RANGE_WAIT_BEFORE\))")


class Volatile(sandbox.Scenario):
    def setUp(self):
        super().setUp()
        self.mark = self.work + "/work/incompat/volatile/dirty"

    def session(self, *options, command=("true",), **kwargs):
        return self.ovlrun("--lower", self.lower, "--upper", self.upper, *options, "--", *command, **kwargs)

    def refused(self, *options, command=("true",)):
        before = sandbox.fingerprint(self.top)
        done = self.session(*options, command=command)
        self.assertEqual((done.returncode, done.stdout), (125, ""), done.stderr)
        self.assertRegex(done.stderr, r"\Aovlrun: --upper \S+: a volatile session did not end cleanly, and what it wrote may be "
                         r"lost or torn \(\S+/work/incompat/volatile/dirty\): discard the upper and the workdir, or go on with "
                         r"--accept-volatile\n\Z")
        self.assertEqual(before, sandbox.fingerprint(self.top), "something was touched")

    def leave_dirty(self, *options):
        """A session that is killed as a whole."""
        child = self.start("sh", "-c", f"echo changed > {self.lower}/file; echo $PPID; read x", options=("--volatile", *options),
                           stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        keeper = int(child.stdout.readline())
        self.assertTrue(os.path.exists(self.mark))
        with open(f"/proc/{keeper}/task/{keeper}/children") as children:
            command = int(children.read())
        for pid in (child.pid, keeper, command):
            os.kill(pid, signal.SIGKILL)
        child.communicate()
        sandbox.wait_for_end(keeper)
        sandbox.wait_for_end(command)

    # --- the mark ---

    def test_the_mark_is_there_as_long_as_the_session(self):
        done = self.session("--volatile", command=("test", "-e", self.mark))
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertFalse(os.path.exists(self.mark))
        self.assertFalse(os.path.exists(self.work + "/work/incompat"))

    def test_other_sessions_have_none(self):
        self.assertEqual(self.session(command=("test", "-e", self.mark)).returncode, 1)

    def test_a_command_that_fails_has_ended_too(self):
        done = self.session("--volatile", command=("sh", "-c", f"echo x > {self.lower}/file; kill -9 $$"))
        self.assertEqual(done.returncode, -signal.SIGKILL)
        self.assertFalse(os.path.exists(self.mark))
        self.assertEqual(self.session(command=("cat", self.lower + "/file")).stdout, "x\n")

    def test_a_start_that_fails_leaves_no_mark(self):
        os.mkdir(self.upper)
        done = self.session("--volatile", command=("/no/such/command",))
        self.assertEqual(done.returncode, 127, done.stderr)
        self.assertFalse(os.path.exists(self.mark))

    def test_it_stays_until_the_last_process_has_ended(self):
        read, write = os.pipe()
        self.freeze()
        child = self.start("sh", "-c", f"(echo; cat >/dev/null) <&{read} & exit 3", options=("--volatile",), pass_fds=(read,),
                           stdout=subprocess.PIPE, text=True)
        os.close(read)
        child.stdout.readline()
        self.assertEqual(child.wait(), 3)
        child.stdout.close()
        self.assertTrue(os.path.exists(self.mark))
        busy = self.session("--accept-volatile")
        self.assertIn("is in use by pid ", busy.stderr)
        keeper = int(re.search(r"in use by pid (\d+)", busy.stderr)[1])
        os.close(write)
        sandbox.wait_for_end(keeper)
        self.assertFalse(os.path.exists(self.mark))

    def test_a_killed_session_is_refused(self):
        self.leave_dirty()
        self.refused()
        self.refused("--volatile")
        self.refused("--portable")

    @sandbox.needs_real_upper
    def test_settle_and_export_refuse_it_and_diff_reads_it(self):
        self.leave_dirty()
        for command in (("settle",), ("export", "--trusted")):
            if os.geteuid() != 0 and command[0] == "export":
                continue
            before = sandbox.fingerprint(self.top)
            done = self.ovlrun(*command, "--upper", self.upper, *((self.top + "/to",) if command[0] == "export" else ()))
            self.assertEqual(done.returncode, 125)
            self.assertIn("a volatile session did not end cleanly", done.stderr)
            self.assertEqual(before, sandbox.fingerprint(self.top))
        done = self.ovlrun("diff", "--upper", self.upper)
        self.assertEqual((done.returncode, done.stdout), (0, f"M {self.lower}/file\n"), done.stderr)

    def test_without_its_keeper_a_session_does_not_end_cleanly(self):
        child = self.start("sh", "-c", f"echo changed > {self.lower}/file; echo $PPID; read x", options=("--volatile",),
                           stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        keeper = int(child.stdout.readline())
        os.kill(keeper, signal.SIGKILL)
        sandbox.wait_for_end(keeper)
        child.communicate("\n")
        self.assertEqual(child.returncode, 0)
        self.refused()

    @unittest.skipIf(os.geteuid() != 0, "root mounts")
    @sandbox.needs_real_upper
    def test_the_kernel_refuses_it_too(self):
        self.leave_dirty()
        os.mkdir(self.top + "/mounted")
        options = f"lowerdir={self.lower},upperdir={self.upper},workdir={self.work},userxattr"
        mount = ["mount", "-t", "overlay", "overlay", "-o", options, self.top + "/mounted"]
        done = subprocess.run(mount, capture_output=True, text=True)
        if done.returncode == 0:
            subprocess.run(["umount", self.top + "/mounted"])
        self.assertNotEqual(done.returncode, 0)
        # For that reason alone.
        os.unlink(self.mark)
        os.rmdir(os.path.dirname(self.mark))
        shutil.rmtree(self.work + "/ovlrun")
        done = subprocess.run(mount, capture_output=True, text=True)
        if done.returncode != 0:
            self.skipTest(done.stderr)
        subprocess.run(["umount", self.top + "/mounted"])

    def test_discarding_is_one_way_out(self):
        self.leave_dirty()
        shutil.rmtree(self.upper)
        shutil.rmtree(self.work)
        self.assertEqual(self.session(command=("cat", self.lower + "/file")).stdout, "lower\n")

    def test_accepting_is_the_other(self):
        self.leave_dirty()
        done = self.session("--accept-volatile", command=("cat", self.lower + "/file"))
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "changed\n", ""))
        self.assertEqual(self.session().returncode, 0)

    def test_it_may_be_accepted_by_a_volatile_session(self):
        self.leave_dirty()
        self.leave_dirty("--accept-volatile")
        self.refused()
        done = self.session("--volatile", "--accept-volatile", command=("test", "-e", self.mark))
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertFalse(os.path.exists(self.mark))

    def test_each_of_several_uppers_has_one(self):
        self.write("second/file", "second")
        both = ("--lower", self.lower, "--upper", self.upper, "--lower", self.top + "/second", "--upper", self.top + "/u2")
        other = self.top + "/u2.work/work/incompat/volatile/dirty"
        script = f"test -e {self.mark} && test -e {other} && echo x > {self.top}/second/file"
        done = self.ovlrun(*both, "--volatile", "--", "sh", "-c", script)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertFalse(os.path.exists(self.mark) or os.path.exists(other))
        os.makedirs(os.path.dirname(other))
        open(other, "w").close()
        done = self.ovlrun(*both, "--", "true")
        self.assertEqual(done.returncode, 125)
        self.assertIn(f"--upper {self.top}/u2: a volatile session did not end cleanly", done.stderr)
        with open(self.top + "/second/file") as file:
            self.assertEqual(file.read(), "second")

    def test_accepting_what_is_clean_changes_nothing(self):
        self.assertEqual(self.session("--accept-volatile").returncode, 0)

    @sandbox.needs_real_upper
    def test_the_kernels_own_mark_is_refused(self):
        os.makedirs(self.upper)
        os.makedirs(self.work + "/work/incompat/volatile")
        open(self.mark, "w").close()
        # As an unprivileged mount leaves it.
        for path in (self.mark, os.path.dirname(self.mark), self.work + "/work/incompat", self.work + "/work"):
            os.chmod(path, 0)
        if os.geteuid() == 0:
            self.refused()
        else:
            done = self.session()
            self.assertEqual(done.returncode, 125)
            self.assertIn("a volatile session did not end cleanly", done.stderr)
        self.assertEqual(os.lstat(self.work + "/work").st_mode & 0o777, 0)

    @sandbox.needs_real_upper
    def test_an_inner_session_has_a_mark_of_its_own(self):
        inner = self.lower + "/inner.upper"
        script = (f"mkdir {inner}; {sandbox.OVLRUN} --lower {self.lower}/dir --upper {inner} --volatile -- "
                  f"test -e {inner}.work/work/incompat/volatile/dirty && ! test -e {inner}.work/work/incompat")
        done = self.session(command=("sh", "-c", script))
        self.assertEqual(done.returncode, 0, done.stderr)

    # --- what is written ---

    def traced(self, *options, outside=""):
        """The calls that the kernel gets from the command on."""
        if not shutil.which("strace"):
            self.skipTest("no strace")
        trace = self.top + "/strace"
        self.freeze()
        done = subprocess.run(["strace", "-f", "-qq", "-y", "-o", trace, "-e", "trace=execve," + CALLS, sandbox.OVLRUN, "--lower",
                               self.lower, "--upper", self.upper, *options, "--", sys.executable, "-Bc", SYNCS, self.lower, outside],
                              env=self.environment(), cwd=self.top, capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        with open(trace) as file:
            lines = file.read().splitlines()
        start = next(i for i, line in enumerate(lines) if "execve(" in line and sys.executable in line and "-Bc" in line and
                     sandbox.OVLRUN not in line.split(",")[0])
        # What ovlrun itself does at the end.
        end = next((i for i, line in enumerate(lines) if "syncfs(" in line and line.split()[0] != lines[start].split()[0] and
                    i > start), len(lines))
        return [line for line in lines[start + 1:end] if not NOTHING.search(line)], lines[end:]

    @sandbox.needs_own_supervisor
    def test_nothing_is_written_before_the_end(self):
        calls, end = self.traced("--volatile", "--intercept=preload")
        self.assertEqual(calls, [])
        self.assertEqual(len(end), 1, end)  # the last step of a clean end

    @sandbox.needs_own_supervisor
    def test_what_is_outside_is_written(self):
        calls, _ = self.traced("--volatile", "--intercept=preload", outside=self.write("outside", "x"))
        self.assertEqual([call.split()[1].split("(")[0] for call in calls], ["fsync"], calls)
        self.assertIn("/outside>", calls[0])

    @sandbox.needs_own_supervisor
    def test_otherwise_each_call_reaches_the_upper_and_none_the_lower(self):
        calls, _ = self.traced("--intercept=preload")
        for call in ("fsync", "fdatasync"):
            for name in ("/dir", "/file", "/dir/new"):
                self.assertTrue(any(re.search(rf" {call}\(\d+<{re.escape(self.upper + name)}>\)", line) for line in calls),
                                (call, name, calls))
            self.assertFalse(any(re.search(rf" {call}\(\d+<{re.escape(self.lower)}", line) for line in calls), calls)
        self.assertTrue(any(" msync(" in line for line in calls))
        self.assertTrue(any(" sync()" in line for line in calls))

    def test_opens_for_synchronous_writes_are_plain(self):
        script = ("import fcntl, os, sys\n"
                  "for path in sys.argv[1:]:\n"
                  "    for flag in os.O_SYNC, os.O_DSYNC:\n"
                  "        fd = os.open(path, os.O_RDWR | os.O_CREAT | flag)\n"
                  "        print(int(fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_SYNC == flag), end='')\n")
        paths = (self.lower + "/file", self.lower + "/new", self.write("outside", "x"))
        command = (sys.executable, "-Bc", script, *paths)
        self.assertEqual(self.session("--volatile", command=command).stdout, "000011")
        self.assertEqual(self.session(command=command).stdout, "111111")

    @sandbox.needs_own_supervisor
    def test_static_programs_and_raw_calls_are_served(self):
        # The supervisor answers them, which the count of operations tells.
        self.supervised("--intercept=seccomp")
        done = self.session("--volatile", "--intercept=seccomp", "--trace",
                            command=(sys.executable, "-Bc", SYNCS, self.lower, ""))
        self.assertEqual(done.returncode, 0, done.stderr)
        for call in CALLS.split(","):
            lines = re.findall(rf"(?m)^\d+ {call}\(.*$", done.stderr)
            self.assertTrue(lines, call)
            for line in lines:
                self.assertTrue(line.endswith(" = 0"), line)

    def test_what_was_written_is_there_afterwards(self):
        done = self.session("--volatile", command=(sys.executable, "-Bc", SYNCS, self.lower, ""))
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        done = self.session(command=("cat", self.lower + "/file", self.lower + "/dir/new"))
        self.assertEqual(done.stdout, "!OWER\nnew")


if __name__ == "__main__":
    sandbox.main()
