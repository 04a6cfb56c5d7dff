"""Portable uppers: --portable, the mark of all others, and `ovlrun settle`."""
import collections
import contextlib
import os
import pty
import re
import select
import shutil
import stat
import subprocess
import sys
import unittest

import sandbox
from uppers import FINGERPRINT, PREFIX, ROOT, Uppers, below, private


def steady(lines):
    """Without what a kill may leave for later: times of directories, and of the files with two names what tells of that,
    and their times."""
    lines = [line for line in lines if not re.match(r"\[b'[^']*/([ac]2?|2[ab]|other/b)',", line)]
    return [re.sub(r", \d{19}, (?=\[)", ", ", line) if re.search(r"'0o4\d{4}'", line) else line for line in lines]


@sandbox.needs_real_upper
class Writing(Uppers):
    """--portable, and the mark without it."""

    SCRIPT = ("chmod 600 file; touch -d 2001-01-01 dir/inner; mv file name; ln name second; rm dir/inner; echo new > dir/new; "
              "mv dir moved; mkdir dir; setfattr -n user.a -v b name 2>/dev/null || true")

    def test_no_redirect_and_no_metacopy_is_written(self):
        self.write("lower/dir/sub/deep", "deep\n")
        self.shell(self.SCRIPT, "--portable")
        self.assert_portable()

    def test_the_kernel_shows_a_portable_upper_identically(self):
        self.write("lower/dir/sub/deep", "deep\n")
        self.write("lower/gone/sub/deep", "deep\n")
        self.shell(self.SCRIPT + "; rm -r gone; mkdir gone; touch gone/fresh", "--portable")
        expected = self.with_own_ids(self.seen())
        self.assertEqual(self.mounted(), expected)

    def test_renaming_a_directory_of_the_lower_is_exdev(self):
        out = self.shell("""python3 -c '
import os
try:
    os.rename("dir", "moved")
except OSError as error:
    print(os.strerror(error.errno))'""", "--portable")
        self.assertEqual(out, "Invalid cross-device link\n")

    def test_an_upper_with_the_mark_is_refused(self):
        self.shell("chmod 600 file")
        before = sandbox.fingerprint(self.top)
        done = self.ovlrun("--lower", self.lower, "--upper", self.upper, "--portable", "--", "true")
        self.assertEqual((done.returncode, done.stdout, done.stderr.count("\n")), (125, "", 1), done.stderr)
        self.assertIn("settle", done.stderr)
        self.assertEqual(before, sandbox.fingerprint(self.top))
        self.settle()
        self.shell("chmod 640 file", "--portable")
        self.assert_portable()

    def test_metacopies_and_redirects_leave_the_mark(self):
        for name, script in (("metacopy", "chmod 600 file"), ("redirect", "mv dir moved")):
            with self.subTest(name):
                self.shell("touch new")
                self.assertFalse(os.path.exists(self.mark))
                self.shell(script)
                self.assertTrue(any(name in marks for marks in private(self.upper).values()))
                self.assertTrue(os.path.isdir(self.mark))
                shutil.rmtree(self.upper)
                shutil.rmtree(self.work)

    @unittest.skipIf(ROOT, "root may write everywhere")
    def test_without_the_mark_nothing_unportable_comes_to_be(self):
        self.shell("touch new")
        os.mkdir(self.work + "/work/incompat", 0o500)
        self.shell("! chmod 600 file; ! mv -T dir moved 2>/dev/null || test ! -e dir")
        for path, marks in private(self.upper).items():
            self.assertFalse({"redirect", "metacopy"} & set(marks), path)

    @sandbox.needs_own_supervisor
    def test_the_mark_is_on_disk_before_the_first_metacopy_or_redirect_has_its_xattr(self):
        if shutil.which("strace") is None:
            self.skipTest("no strace here")
        for script in ("chmod 600 file", "mv dir moved"):
            with self.subTest(script):
                log = self.top + "/log"
                done = subprocess.run(["strace", "-f", "-y", "-o", log, "-e", "trace=mkdir,mkdirat,fsync,setxattr,lsetxattr,fsetxattr",
                                       sandbox.OVLRUN, "--intercept=preload", "--lower", self.lower, "--upper", self.upper, "--",
                                       "bash", "-ec", f"cd {self.lower}; {script}"], env=self.environment(), cwd=self.top,
                                      stdin=subprocess.DEVNULL, capture_output=True, text=True)
                if done.returncode != 0 and "ptrace" in done.stderr.lower():
                    self.skipTest(f"strace may not trace here: {done.stderr}")
                self.assertEqual(done.returncode, 0, done.stderr)
                with open(log, encoding="utf-8", errors="replace") as file:
                    calls = file.read().splitlines()

                def first(*words):
                    found = [i for i, call in enumerate(calls) if all(word in call for word in words)]
                    self.assertTrue(found, (words, calls))
                    return found[0]

                marked = min(first("setxattr(", f'"{PREFIX}{name}"') for name in ("metacopy" if "chmod" in script else "redirect",))
                self.assertLess(first("mkdir", "/work/incompat/ovlrun\""), first("fsync(", "/work/incompat/ovlrun>"))
                self.assertLess(first("fsync(", "/work/incompat/ovlrun>"), marked)
                self.assertLess(first("fsync(", "/work/incompat>"), marked)
                shutil.rmtree(self.upper)
                shutil.rmtree(self.work)


class Help(Uppers):
    def test_each_command_tells_what_it_takes(self):
        for command, words in ((["settle"], ("--upper", "--lower", "--work", "--at", "-v")),
                               (["check"], ("--repair", "--upper", "--lower", "--work", "--at", "-v", "125")),
                               (["export"], ("--trusted", "--upper", "--work", "DEST")),
                               ([], ("--portable", "ovlrun settle --help", "ovlrun export --help", "ovlrun check --help"))):
            done = self.ovlrun(*command, "--help")
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            for word in words:
                self.assertIn(word, " ".join(done.stdout.split()))


@sandbox.needs_real_upper
class Settle(Uppers):
    def settles(self, *facts, lower=None):
        """settle changes nothing that programs see, and then the kernel shows the same."""
        before = self.seen(*facts, lower=lower)
        self.settle()
        self.assert_portable()
        self.assertEqual(self.seen(*facts, lower=lower), before)
        self.assert_portable()
        self.assertEqual(self.mounted(), self.with_own_ids(self.seen(lower=lower)))

    def test_metacopies_get_their_data(self):
        self.tree()
        self.shell("chmod -R g-w tree; touch -d 2001-01-01 file; chmod 640 tree/a; chown $(id -u) tree/sub/b; "
                   "ln tree/sub/deep/c hard")
        self.settles("numbers")

    def test_renamed_directories_are_unfolded(self):
        self.tree()
        self.shell("mv tree moved; rm moved/a; echo new > moved/sub/new")
        self.settles("numbers")

    def test_nested_chained_and_swapped_redirects(self):
        self.tree()
        self.shell("mv tree one; mv one/sub two; mv two/deep two/shallow; mv one two/one; mkdir tree; touch tree/x; mv two/shallow/er .; "
                   "mv dir keep; mv two dir; mv keep two; chmod 600 dir/shallow/c")
        self.settles("numbers")

    def test_deleted_names_below_a_renamed_directory_stay_deleted(self):
        self.tree()
        self.shell("mv tree moved; rm -r moved/sub/deep moved/a; rm file")
        self.settles()
        for path in below(self.upper + "/moved"):
            self.assertFalse(stat.S_ISCHR(os.lstat(path).st_mode), path)
        self.assertTrue(stat.S_ISCHR(os.lstat(self.upper + "/file").st_mode))

    def test_hard_links_stay_linked(self):
        self.tree()
        os.link(self.lower + "/tree/a", self.lower + "/tree/sub/a2")
        os.link(self.lower + "/tree/a", self.lower + "/tree/sub/deep/a3")
        self.shell("mv tree moved; echo own > own; ln own moved/own; chmod 600 moved/sub/b; ln moved/sub/b b2")
        self.settles()

    def test_hard_links_of_an_index_stay_linked(self):
        self.hard_links()
        self.assertFalse(os.path.exists(self.upper + "/other/link"), "known by the index alone")
        self.settles()
        self.assertFalse(os.path.exists(self.work + "/index"))
        for path, marks in private(self.upper).items():
            self.assertNotIn("nlink", marks, path)
        done = self.ovlrun("--lower", self.lower, "--upper", self.upper, "--portable", "--", "true")
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_hard_links_in_a_directory_that_nothing_was_changed_in(self):
        self.write("lower/deep/er/one", "lower\n")
        self.write("lower/deep/other", "lower\n")
        os.link(self.lower + "/deep/er/one", self.lower + "/two")
        for path in [self.lower, *below(self.lower)]:
            os.utime(path, (10 ** 9, 10 ** 9 + 5), follow_symlinks=False)
        self.shell("echo more >> two; rm two")
        self.assertFalse(os.path.exists(self.upper + "/deep"))
        self.settles()
        self.assertEqual(sorted(os.listdir(self.upper + "/deep")), ["er"])

    @unittest.skipIf(ROOT, "root may read everything")
    def test_a_directory_that_cant_be_searched_for_hard_links_is_named(self):
        self.write("lower/dir/closed/file", "closed\n")
        os.link(self.lower + "/file", self.lower + "/link")
        self.shell("echo more >> file")
        self.freeze()
        os.chmod(self.lower + "/dir/closed", 0o300)
        done = self.settle()
        os.chmod(self.lower + "/dir/closed", 0o755)
        self.lower_before = None
        self.assertEqual(done.stderr, f"ovlrun: settle: {self.lower}/dir/closed: can't be read: a hard link in it would show the lower's file "
                         "from now on\n")
        self.assertEqual(os.stat(self.upper + "/link").st_ino, os.stat(self.upper + "/file").st_ino)

    def test_hard_links_below_trusted(self):
        if not ROOT:
            self.skipTest("trusted xattrs need root")
        self.hard_links()
        shutil.rmtree(self.upper)
        shutil.rmtree(self.work)
        self.shell("echo more >> tree/a; touch -hd 2001-01-01 tree/sub/link", "--xattr=trusted")
        before = self.seen_trusted()
        self.assertNotEqual(os.listdir(self.work + "/index"), [])
        done = self.ovlrun("settle", "--upper", self.upper)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertFalse(os.path.exists(self.work + "/index"))
        self.assertEqual(self.seen_trusted(), before)

    def seen_trusted(self):
        done = self.ovlrun("--lower", self.lower, "--upper", self.upper, "--xattr=trusted", "--", sys.executable, "-Bc", FINGERPRINT, self.lower)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return sorted(done.stdout.splitlines())

    def test_what_is_unknown_in_an_index_is_refused(self):
        self.shell("chmod 600 file")
        self.write("upper.work/index/what", "")
        before = sandbox.fingerprint(self.upper)
        self.assertIn("index/what", self.settle(expect=125).stderr)
        self.assertEqual(sandbox.fingerprint(self.upper), before)
        self.assertTrue(os.path.isdir(self.mark))

    def test_hostile_names(self):
        names = [b"new\nline", b"bad\xff", b"sp ace", b"-dash", b"quo'te", b"back\\slash", b"x" * 255, b"#5", b".wh.file", b"$(true)"]
        for name in names:
            os.mkdir(os.fsencode(self.lower) + b"/dir/" + name)
            with open(os.fsencode(self.lower) + b"/dir/" + name + b"/" + name, "wb") as file:
                file.write(name)
        self.shell("mv dir $'mo\\nved'; cd $'mo\\nved'; for d in *; do mv -- \"$d\" \"../$d\"; done; chmod 600 ./../\"sp ace\"/*")
        self.settles("numbers")

    def test_escaped_xattrs_of_programs_stay(self):
        self.shell("mv dir moved; python3 -c 'import os; os.setxattr(\"moved\", \"user.overlay.redirect\", b\"x\"); "
                   "os.setxattr(\"file\", \"user.overlay.metacopy\", b\"y\")'")
        before = self.seen()
        self.settle()
        self.assertEqual(self.seen(), before)
        self.assertEqual(private(self.upper)["moved"]["overlay.redirect"], b"x")

    def test_recorded_owners_and_modes_stay(self):
        self.tree()
        self.shell("mv tree moved; chmod 0 moved/sub; chmod 0 moved/a; chmod 111 moved; mkdir new; chmod 0 new")
        if not ROOT:
            self.shell("chown 12:34 file 2>/dev/null || true")
        before = self.seen() if ROOT else self.shell("chmod u+rx moved; stat -c '%a %u %g %s %Y' moved moved/a moved/sub file new")
        self.settle()
        self.assert_portable()
        after = self.seen() if ROOT else self.shell("stat -c '%a %u %g %s %Y' moved moved/a moved/sub file new")
        self.assertEqual(after, before)

    def test_several_lowers(self):
        self.write("second/tree/low", "low\n")
        self.write("second/tree/sub/low", "low\n")
        self.write("second/tree/a", "hidden\n")
        self.tree()
        os.mkdir(self.top + "/at")
        lower = ("--lower", f"{self.lower}:{self.top}/second", "--at", self.top + "/at")
        self.shell("mv tree moved; chmod 600 moved/sub/low; rm moved/low", lower=lower)
        before = self.seen("numbers", lower=lower)
        done = self.ovlrun("settle", "--lower", lower[1], "--at", lower[3], "--upper", self.upper)
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))
        self.assert_portable()
        self.assertEqual(self.seen("numbers", lower=lower), before)
        self.assertEqual(self.mounted(lower[1]), self.with_own_ids(self.seen(lower=lower)))

    def test_redirects_on_metacopied_files(self):
        self.tree()
        self.shell("chmod 600 file tree/a; touch new")
        # As the kernel writes them when such a file is renamed.
        os.rename(self.upper + "/file", self.upper + "/name")
        os.setxattr(self.upper + "/name", PREFIX + "redirect", b"file")
        os.rename(self.upper + "/tree/a", self.upper + "/b")
        os.setxattr(self.upper + "/b", PREFIX + "redirect", b"/tree/a")
        for name in ("file", "tree/a"):
            os.mknod(self.upper + "/" + name, stat.S_IFCHR)
        self.settles("numbers")

    def test_a_renamed_file_keeps_its_number_when_its_directory_is_unfolded(self):
        self.tree()
        self.shell("echo more >> tree/a; mv tree moved; chmod 600 moved/a")
        os.setxattr(self.upper + "/moved/a", PREFIX + "origin", b"")  # found by name alone
        self.settles("numbers")

    def test_whiteouts_that_are_files_become_devices(self):
        self.tree()
        self.shell("mv dir moved; touch new")
        os.mkdir(self.upper + "/tree")
        for folder, name in (("tree", "a"), ("moved", "inner")):
            path = f"{self.upper}/{folder}/{name}"
            open(path, "w").close()
            os.setxattr(path, PREFIX + "whiteout", b"y")
            os.setxattr(os.path.dirname(path), PREFIX + "opaque", b"x")
        self.settles()
        self.assertTrue(stat.S_ISCHR(os.lstat(self.upper + "/tree/a").st_mode))
        self.assertFalse(os.path.lexists(self.upper + "/moved/inner"))
        self.assertEqual(private(self.upper)["tree"].get("opaque"), None)

    def test_nothing_to_do_changes_nothing(self):
        self.shell("touch new; rm file", "--portable")
        before = sandbox.fingerprint(self.upper)
        done = self.settle()
        self.assertEqual((done.stdout, done.stderr), ("", ""))
        self.assertEqual(sandbox.fingerprint(self.upper), before)

    def test_lowers_and_place_are_those_of_the_last_session(self):
        self.shell("mv dir moved")
        done = self.ovlrun("settle", "--upper", self.upper, "-v")
        self.assertEqual((done.returncode, done.stdout), (0, ""), done.stderr)
        self.assertIn(f"ovlrun: settle: unfolded {self.lower}/moved\n", done.stderr)
        self.assert_portable()

    def test_progress_on_a_terminal_is_one_line(self):
        self.shell("mv dir moved; chmod 600 file")
        self.freeze()
        master, slave = pty.openpty()
        process = subprocess.Popen([sandbox.OVLRUN, "settle", "--upper", self.upper], stdin=slave, stdout=slave, stderr=slave,
                                   env=self.environment(), cwd=self.top)
        os.close(slave)
        said = b""
        with contextlib.suppress(OSError):  # EIO: all have closed it
            while select.select([master], [], [], 60)[0] and (part := os.read(master, 4096)):
                said += part
        os.close(master)
        self.assertEqual(process.wait(), 0, said)
        self.assertIn(b"\rovlrun: settle: ", said)
        self.assertNotIn(b"\n", said)
        self.assertTrue(said.endswith(b"\r\x1b[K"), said)

    # --- what can't be settled ---
    def fails(self, says):
        done = self.settle(expect=125)
        self.assertEqual(done.stdout, "")
        *others, last = done.stderr.splitlines()
        for text in says:
            self.assertIn(text, last)
        self.assertTrue(all(says[0] in line for line in others), done.stderr)  # the core may name the file too
        self.assertTrue(os.path.isdir(self.mark))

    def test_data_that_the_lower_lost_is_named_and_the_mark_stays(self):
        self.shell("chmod 600 file")
        os.unlink(self.lower + "/file")
        self.lower_before = None
        self.fails([self.lower + "/file"])

    def test_data_of_another_size_is_named_and_the_mark_stays(self):
        self.shell("chmod 600 file")
        self.write("lower/file", "something else\n")
        self.lower_before = None
        self.fails([self.lower + "/file", "changed"])

    def test_a_directory_that_the_lower_lost_is_named_and_the_mark_stays(self):
        self.shell("mv dir moved")
        shutil.rmtree(self.lower + "/dir")
        self.lower_before = None
        self.fails([self.lower + "/moved", "dir"])

    def test_what_could_be_done_is_done_when_it_goes_on(self):
        self.tree()
        self.shell("mv dir moved; chmod 600 file tree/a")
        before = self.seen()
        os.rename(self.lower + "/file", self.top + "/aside")
        self.lower_before = None
        self.fails([self.lower + "/file"])
        os.rename(self.top + "/aside", self.lower + "/file")
        os.utime(self.lower, (10 ** 9, 10 ** 9 + 5))
        self.lower_before = None
        self.settle()
        self.assert_portable()
        self.assertEqual(self.seen(), before)

    @unittest.skipIf(ROOT, "root may read everything")
    def test_unreadable_data_is_named_and_the_mark_stays(self):
        self.write("lower/dir/closed", "closed\n")
        self.shell("mv dir moved")
        os.chmod(self.lower + "/dir/closed", 0)
        self.lower_before = []  # can't be told while it is closed
        done = self.settle(expect=125)
        self.assertIn("moved/closed: Permission denied\n", done.stderr)
        self.assertTrue(os.path.isdir(self.mark))
        os.chmod(self.lower + "/dir/closed", 0o600)
        self.lower_before = None

    def test_an_upper_in_use_is_refused(self):
        process = self.start("sleep", "1000", stdout=subprocess.DEVNULL)
        try:
            while not os.path.exists(self.work + "/ovlrun/session"):
                self.assertIsNone(process.poll())
            done = self.settle(expect=125)
            self.assertIn("is in use by pid", done.stderr)
        finally:
            process.terminate()
            process.wait()

    # --- kills ---
    def test_killed_at_any_call_it_goes_on(self):
        if shutil.which("strace") is None:
            self.skipTest("no strace here")
        self.tree()
        os.link(self.lower + "/tree/a", self.lower + "/tree/sub/a2")
        self.shell("mv tree/sub sub; mv tree moved; mv sub/deep moved/deep; rm sub/link; chmod 600 file moved/deep/c")
        # A metacopy with two names, as the kernel has it.
        os.setxattr(self.upper + "/moved/deep/c", PREFIX + "redirect", b"/tree/sub/deep/c")
        os.link(self.upper + "/moved/deep/c", self.upper + "/c2")
        self.goes_on_when_killed()

    def test_killed_at_any_call_it_goes_on_with_an_index(self):
        if shutil.which("strace") is None:
            self.skipTest("no strace here")
        self.hard_links(special=False)  # what stands beside their copies would be lost with each copy of the workdir
        self.goes_on_when_killed()
        self.assertFalse(os.path.exists(self.work + "/index"))

    def goes_on_when_killed(self):
        before = self.seen()
        kept = self.top + "/kept"
        os.mkdir(kept)
        both = ("upper", "upper.work")  # at once: with links between them
        subprocess.run(["cp", "-a", *both, kept], cwd=self.top, check=True)
        changing = ["mkdir", "mknod", "symlink", "link", "unlink", "rmdir", "rename", "renameat2", "lsetxattr", "fsetxattr", "lremovexattr",
                    "fremovexattr", "utimensat", "linkat", "unlinkat", "mkdirat", "mknodat", "symlinkat", "renameat", "ftruncate",
                    "copy_file_range", "ioctl", "fchmod", "chmod", "fchmodat", "truncate", "syncfs", "fsync", "fdatasync"]
        command = [sandbox.OVLRUN, "settle", "--upper", self.upper, "--lower", self.lower]
        log = self.top + "/log"
        count = subprocess.run(["strace", "-f", "-o", log, "-e", "trace=" + ",".join(changing), *command], env=self.environment(),
                               capture_output=True, text=True)
        if count.returncode != 0:
            self.skipTest(f"strace may not trace here: {count.stderr}")
        counts = collections.Counter()
        with open(log, encoding="utf-8", errors="replace") as file:
            for line in file:
                if call := re.match(r"\d+ +(\w+)\(", line):
                    counts[call[1]] += 1
        total = sum(counts.values())
        self.assertGreater(total, 40)
        # strace counts each call by itself.
        places = [(call, n) for call in sorted(counts) for n in range(1, counts[call] + 1)]
        for number, (call, n) in list(enumerate(places, 1))[::int(os.environ.get("OVLRUN_KILL_STEP", "3"))]:
            for name in ("upper", "upper.work"):
                shutil.rmtree(f"{self.top}/{name}")
            subprocess.run(["cp", "-a", *both, self.top], cwd=kept, check=True)
            killed = subprocess.run(["strace", "-f", "-o", "/dev/null", "-e", f"trace={call}", "-e",
                                     f"inject={call}:signal=KILL:when={n}", *command],
                                    env=self.environment(), capture_output=True, text=True)
            self.assertIn(killed.returncode, (-9, 137), f"{call} {n}: {killed.stderr}")
            if number % 2 == 0:
                # A session in between ends the memory of these.
                self.assertEqual(steady(self.seen()), steady(before), f"killed at {call} {n}, before it goes on")
                self.settle()
                self.assertEqual(steady(self.seen()), steady(before), f"killed at {call} {n}, and a session")
            else:
                self.settle()
                self.assertEqual(self.seen(), before, f"killed at {call} {n}")
            self.assert_portable()


if __name__ == "__main__":
    sandbox.main()
