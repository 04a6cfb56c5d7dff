"""A disk that really fails: the upper is on a file system in a sparse file on a full tmpfs, which takes everything and can write
out little of it. And one that loses its power: a copy of the file, which has what was written out and nothing else. Needs root, a
loop device and mounts."""
import errno
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import unittest

import sandbox

# Run inside, with the shown directory: answers each line on stdin with what came of it.
SERVANT = r'''
import ctypes, errno, os, sys
libc = ctypes.CDLL(None, use_errno=True)
os.chdir(sys.argv[1])
fds = {}
def check(result):
    if result != 0:
        raise OSError(ctypes.get_errno(), "")
def fill(name, mib):
    data = os.urandom(1 << 20)
    for _ in range(int(mib)):
        os.write(fds[name], data)
DO = {
    "open": lambda name, path: fds.__setitem__(name, os.open(path, os.O_RDWR | os.O_CREAT)),
    "read": lambda name, path: fds.__setitem__(name, os.open(path, os.O_RDONLY)),
    "fill": fill,
    "fsync": lambda name: os.fsync(fds[name]),
    "fdatasync": lambda name: os.fdatasync(fds[name]),
    "rename": lambda old, new: os.rename(old, new),
    "syncfs": lambda name: check(libc.syncfs(fds[name])),
    "exit": lambda status: os._exit(int(status)),
}
print(os.getppid(), flush=True)
for line in sys.stdin:
    what, *words = line.split()
    try:
        DO[what](*words)
        print("ok", flush=True)
    except OSError as error:
        print(errno.errorcode[error.errno], flush=True)
'''
LOST = ("EIO", "ENOSPC")  # of a loop device, by how the file behind it fails
MIB = 60                  # more than the disk takes, less than the file system


class Servant:
    """One process inside a session."""

    def __init__(self, stdin, stdout):
        self.stdin, self.stdout = stdin, stdout

    def ask(self, *words):
        self.stdin.write(" ".join(map(str, words)) + "\n")
        self.stdin.flush()
        return self.stdout.readline().strip()


class OnADisk(sandbox.Scenario):
    def setUp(self):
        super().setUp()
        self.is_torn_down = False  # nor is it after a skip
        self.addCleanup(lambda: self.is_torn_down or shutil.rmtree(self.top))

    def make_disk(self, memory_size, disk_size, *mkfs):
        self.memory, self.disk = self.top + "/memory", self.top + "/disk"
        os.mkdir(self.memory)
        os.mkdir(self.disk)
        self.mount("-t", "tmpfs", "-o", f"size={memory_size}m", "tmpfs", self.memory)
        self.image = self.memory + "/image"
        with open(self.image, "w") as file:
            file.truncate(disk_size << 20)
        try:
            made = subprocess.run(["mkfs.ext4", "-q", *mkfs, self.image], capture_output=True, text=True)
        except FileNotFoundError as error:
            self.skipTest(f"SKIPPED: {error}")
        self.assertEqual(made.returncode, 0, made.stderr)
        self.mount("-o", "loop", self.image, self.disk)
        self.upper = self.disk + "/upper"
        self.work = self.upper + ".work"
        self.mark = self.work + "/work/incompat/volatile/dirty"
    def mount(self, *words):
        try:
            done = subprocess.run(["mount", *words], capture_output=True, text=True)
        except FileNotFoundError as error:
            self.skipTest(f"SKIPPED: no mount: {error}")
        if done.returncode != 0:
            self.skipTest("SKIPPED: " + done.stderr.strip())
        self.addCleanup(self.unmount, words[-1])

    def unmount(self, place):
        for _ in range(100):  # the loop device lets go of its file a little later
            if subprocess.run(["umount", place], capture_output=True).returncode == 0:
                return
            time.sleep(0.05)
        subprocess.run(["umount", "-l", place])

    def tearDown(self):
        self.is_torn_down = True
        self.doCleanups()
        super().tearDown()

    def kill(self, child, servant):
        """The whole session."""
        keeper = servant.keeper
        with open(f"/proc/{keeper}/task/{keeper}/children") as children:
            command = int(children.read())
        for pid in (child.pid, keeper, command):
            os.kill(pid, signal.SIGKILL)
        child.communicate()
        sandbox.wait_for_end(keeper)
        sandbox.wait_for_end(command)

    def run_servant(self, *options):
        child = self.start(sys.executable, "-Bc", SERVANT, self.lower, options=options, stdin=subprocess.PIPE,
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(lambda: child.stdin.closed or child.communicate())
        servant = Servant(child.stdin, child.stdout)
        servant.keeper = int(child.stdout.readline())
        return child, servant

    def end(self, child, servant, status=0):
        """Returns what ovlrun said."""
        servant.stdin.write(f"exit {status}\n")
        _, said = child.communicate()
        return child.returncode, sandbox.without_notice(subprocess.CompletedProcess((), 0, "", said)).stderr


@unittest.skipIf(os.geteuid() != 0, "SKIPPED: needs root, to mount a file system of a file")
@sandbox.needs_real_upper
class FailingDisk(OnADisk):
    def setUp(self):
        super().setUp()
        self.make_disk(24, 200, "-O", "^has_journal")
        with open(self.lower + "/large", "wb") as file:
            file.write(os.urandom(MIB << 20))

    def assert_told(self, said):
        self.assertRegex(said, rf"\Aovlrun: upper {re.escape(self.upper)}: write-back error (EIO|ENOSPC): discard this upper\n\Z")

    def assert_once(self, servant, *call):
        """An error, then, when nothing is left that could fail, none any more."""
        self.assertIn(servant.ask(*call), LOST)
        answers = [servant.ask(*call) for _ in range(8)]
        self.assertEqual(answers[-4:], ["ok"] * 4, answers)

    def write_back(self):
        """As the kernel does after a while. Tells nobody of an error."""
        os.sync()

    def test_each_open_file_is_told_and_the_exit_says_so(self):
        child, servant = self.run_servant()
        for name in "a", "b":
            self.assertEqual(servant.ask("open", name, "new"), "ok")
        self.assertEqual(servant.ask("fill", "a", MIB), "ok")
        self.assert_once(servant, "fsync", "a")
        self.assert_once(servant, "fsync", "b")
        self.assertEqual(servant.ask("fsync", "a"), "ok")
        status, said = self.end(child, servant)
        self.assertEqual(status, 125)
        self.assert_told(said)

    def test_two_processes_are_told(self):
        script = ('import os, sys\nfd = os.open(sys.argv[1] + "/new", os.O_RDWR | os.O_CREAT)\nprint("open", flush=True)\n'
                  'sys.stdin.readline()\ntry:\n    os.fsync(fd)\n    print("ok")\nexcept OSError as e:\n    print(e.errno)\n')
        import textwrap
        both = textwrap.dedent(f"""
            import os, subprocess, sys
            children = [subprocess.Popen([sys.executable, "-Bc", {script!r}, sys.argv[1]], stdin=subprocess.PIPE,
                                         stdout=subprocess.PIPE, text=True) for _ in range(2)]
            for child in children:
                child.stdout.readline()
            fd = os.open(sys.argv[1] + "/new", os.O_RDWR)
            for _ in range({MIB}):
                os.write(fd, os.urandom(1 << 20))
            os.sync()
            print(*(child.communicate("go\\n")[0].strip() for child in children))
            """)
        done = self.ovlrun("--lower", self.lower, "--upper", self.upper, "--", sys.executable, "-Bc", both, self.lower)
        self.assertEqual(done.returncode, 125, done.stderr)
        self.assert_told(done.stderr)
        for word in done.stdout.split():
            self.assertIn(word, (str(errno.EIO), str(errno.ENOSPC)), done.stdout)
        self.assertEqual(len(done.stdout.split()), 2)

    def test_syncfs_tells_each_open_file(self):
        child, servant = self.run_servant()
        self.assertEqual(servant.ask("open", "a", "new"), "ok")
        self.assertEqual(servant.ask("open", "b", "other"), "ok")
        self.assertEqual(servant.ask("fill", "a", MIB), "ok")
        self.assert_once(servant, "syncfs", "b")
        self.assert_once(servant, "syncfs", "a")
        self.assertEqual(self.end(child, servant)[0], 125)

    def test_syncfs_by_a_lowers_file_reaches_the_upper(self):
        child, servant = self.run_servant()
        self.assertEqual(servant.ask("read", "lower", "dir/inner"), "ok")
        self.assertEqual(servant.ask("open", "a", "new"), "ok")
        self.assertEqual(servant.ask("fill", "a", MIB), "ok")
        self.assertIn(servant.ask("syncfs", "lower"), LOST)
        status, said = self.end(child, servant)
        self.assertEqual(status, 125)
        self.assert_told(said)

    def test_an_error_that_the_command_never_asked_for(self):
        child, servant = self.run_servant()
        self.assertEqual(servant.ask("open", "a", "new"), "ok")
        self.assertEqual(servant.ask("fill", "a", MIB), "ok")
        status, said = self.end(child, servant)
        self.assertEqual(status, 125)
        self.assert_told(said)
        # It was told: the next one does not inherit it.
        done = self.inside("true")
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_a_command_that_failed_keeps_its_status(self):
        child, servant = self.run_servant()
        self.assertEqual(servant.ask("open", "a", "new"), "ok")
        self.assertEqual(servant.ask("fill", "a", MIB), "ok")
        status, said = self.end(child, servant, 3)
        self.assertEqual(status, 3)
        self.assert_told(said)

    def test_a_copy_up_that_can_not_be_written_out(self):
        child, servant = self.run_servant()
        self.assertIn(servant.ask("open", "a", "large"), LOST)
        self.assertEqual(servant.ask("read", "a", "large"), "ok")
        status, said = self.end(child, servant)
        self.assertEqual(status, 125)
        self.assert_told(said)
        self.assertFalse(os.path.exists(self.upper + "/large"))

    def test_an_error_that_nobody_was_told_is_the_next_sessions(self):
        child, servant = self.run_servant()
        self.assertIn(servant.ask("open", "a", "large"), LOST)
        self.kill(child, servant)
        done = self.inside("true")
        self.assertEqual(done.returncode, 125, done.stderr)
        line = rf"upper {re.escape(self.upper)}: write-back error (EIO|ENOSPC): discard this upper\n"
        self.assertRegex(done.stderr, rf"\Aovlrun: in an earlier session: {line}ovlrun: {line}\Z")
        done = self.inside("true")
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_without_a_front_it_is_kept_for_the_next_session(self):
        child, servant = self.run_servant()
        self.assertEqual(servant.ask("open", "a", "new"), "ok")
        self.assertEqual(servant.ask("fill", "a", MIB), "ok")
        child.kill()
        servant.stdin.write("exit 0\n")
        child.communicate()
        sandbox.wait_for_end(servant.keeper)
        done = self.inside("true")
        self.assertEqual(done.returncode, 125, done.stderr)
        self.assertIn("in an earlier session: ", done.stderr)

    def test_verbose_says_that_there_was_none(self):
        done = self.ovlrun("--lower", self.lower, "--upper", self.upper, "-v", "--", "touch", self.lower + "/new")
        self.assertEqual(done.returncode, 0)
        self.assertIn(f"ovlrun: upper {self.upper}: no write-back errors\n", done.stderr)

    # --- volatile ---

    def test_volatile_an_error_stays(self):
        child, servant = self.run_servant("--volatile")
        for name, path in (("a", "new"), ("b", "new"), ("other", "other")):
            self.assertEqual(servant.ask("open", name, path), "ok")
        self.assertEqual(servant.ask("fill", "a", MIB), "ok")
        for call in "fsync", "fdatasync", "syncfs":
            self.assertEqual(servant.ask(call, "a"), "ok")  # nothing is written
        self.assertEqual(servant.ask("read", "lower", "file"), "ok")
        self.write_back()
        first = servant.ask("fsync", "b")
        self.assertIn(first, LOST)
        for call in "fsync", "fdatasync", "syncfs":
            for name in "b", "other", "lower":
                self.assertEqual(servant.ask(call, name), first, (call, name))
                self.assertEqual(servant.ask(call, name), first, (call, name))
        status, said = self.end(child, servant)
        self.assertEqual(status, 125)
        self.assert_told(said)
        self.assertTrue(os.path.exists(self.mark))
        done = self.inside("true")
        self.assertEqual(done.returncode, 125)
        self.assertIn("a volatile session did not end cleanly", done.stderr)

    def test_volatile_the_end_finds_what_nobody_asked_for(self):
        child, servant = self.run_servant("--volatile")
        self.assertEqual(servant.ask("open", "a", "new"), "ok")
        self.assertEqual(servant.ask("fill", "a", MIB), "ok")
        status, said = self.end(child, servant)
        self.assertEqual(status, 125)
        self.assert_told(said)
        self.assertTrue(os.path.exists(self.mark))

    def test_volatile_what_is_left_is_not_accepted_when_it_can_not_be_written(self):
        child, servant = self.run_servant("--volatile")
        self.assertEqual(servant.ask("open", "a", "new"), "ok")
        self.assertEqual(servant.ask("fill", "a", MIB), "ok")
        self.kill(child, servant)
        done = self.ovlrun("--lower", self.lower, "--upper", self.upper, "--accept-volatile", "--", "true")
        self.assertEqual(done.returncode, 125)
        self.assert_told(done.stderr)
        self.assertTrue(os.path.exists(self.mark))


@unittest.skipIf(os.geteuid() != 0, "SKIPPED: needs root, to mount a file system of a file")
@sandbox.needs_real_upper
class PowerLoss(OnADisk):
    def setUp(self):
        super().setUp()
        self.make_disk(200, 64)
        with open(self.lower + "/large", "wb") as file:
            file.write(os.urandom(8 << 20))
        self.inside("true")  # whose writes are no concern of these
        os.sync()
        self.after = self.top + "/after"
        os.mkdir(self.after)

    def lose_power(self):
        """self.after: what the disk would have."""
        copy = self.memory + "/copy"
        shutil.copyfile(self.image, copy)
        self.mount("-o", "loop", copy, self.after)

    def test_a_rename_in_a_merged_directory_is_there_after_its_fsync(self):
        child, servant = self.run_servant()
        for words in (("read", "directory", "dir"), ("open", "new", "dir/new.tmp"), ("fill", "new", 1), ("fsync", "new"),
                      ("rename", "dir/new.tmp", "dir/new"), ("fsync", "directory")):
            self.assertEqual(servant.ask(*words), "ok", words)
        self.lose_power()
        self.assertEqual(os.listdir(self.after + "/upper/dir"), ["new"])
        self.assertEqual(os.stat(self.after + "/upper/dir/new").st_size, 1 << 20)
        self.end(child, servant)

    def test_a_copy_is_whole_when_its_name_is_there(self):
        child, servant = self.run_servant()
        for words in (("read", "directory", "."), ("open", "large", "large"), ("fsync", "directory")):
            self.assertEqual(servant.ask(*words), "ok", words)
        self.lose_power()
        with open(self.after + "/upper/large", "rb") as copy, open(self.lower + "/large", "rb") as lower:
            self.assertTrue(copy.read() == lower.read())
        self.end(child, servant)

    def test_a_volatile_upper_is_refused(self):
        child, servant = self.run_servant("--volatile")
        for words in (("open", "large", "large"), ("fsync", "large"), ("syncfs", "large")):
            self.assertEqual(servant.ask(*words), "ok", words)
        self.lose_power()
        # As it is: nothing of that was written.
        self.assertFalse(os.path.exists(self.after + "/upper/large"))
        done = self.ovlrun("--lower", self.lower, "--upper", self.after + "/upper", "--", "true")
        self.assertEqual(done.returncode, 125)
        self.assertIn("a volatile session did not end cleanly", done.stderr)
        self.assertEqual(self.end(child, servant), (0, ""))

    def test_a_volatile_upper_is_whole_after_a_clean_end(self):
        child, servant = self.run_servant("--volatile")
        for words in (("open", "large", "large"), ("open", "new", "dir/new"), ("fill", "new", 1)):
            self.assertEqual(servant.ask(*words), "ok", words)
        self.assertEqual(self.end(child, servant), (0, ""))
        self.lose_power()
        self.assertEqual(os.stat(self.after + "/upper/large").st_size, 8 << 20)
        self.assertEqual(os.stat(self.after + "/upper/dir/new").st_size, 1 << 20)


if __name__ == "__main__":
    sandbox.main()
