"""What ovlrun itself prints: help, version, coverage, --stats, --trace."""
import os
import re
import unittest

import sandbox


BY_HAND = os.environ.get("OVLRUN_BY_HAND") or os.path.dirname(sandbox.OVLRUN) + "/../tests/launcher/by_hand"
NO_UNWIND = (os.environ.get("OVLRUN_NO_UNWIND") or
             os.path.dirname(sandbox.OVLRUN) + "/../tests/launcher/libno_unwind.so")


class Report(sandbox.Scenario):
    def test_help(self):
        for option in ("--help", "-h"):
            done = self.ovlrun(option)
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            for word in ("--lower", "--upper", "--work", "--at", "--perm", "--redirect-dir", "--metacopy", "--exclude",
                         "--xattr", "--trace", "--stats", "--allow-uncovered", "--intercept",
                         "--strict", "--volatile", "--accept-volatile", "--verbose", "--coverage", "--version", "diff", "125"):
                self.assertIn(word, done.stdout)
        self.assertIn("--null", self.ovlrun("diff", "--help").stdout)

    def test_version(self):
        for option in ("--version", "-V"):
            done = self.ovlrun(option)
            self.assertEqual(done.returncode, 0)
            self.assertRegex(done.stdout, r"\Aovlrun \d+\.\d+\.\d+\n\Z")

    def test_coverage(self):
        done = self.ovlrun("--coverage")
        self.assertEqual(done.returncode, 0)
        for line in ("openat +full", "open +full +as openat", "io_uring_setup +refused +ENOSYS: .*",
                     "fsync +full", "ftruncate +native +.*"):
            self.assertRegex(done.stdout, "(?m)^" + line + "$")

    def test_options_of_the_command_are_not_ours(self):
        done = self.inside("echo", "--version", "--help", "-v")
        self.assertEqual(done.stdout, "--version --help -v\n")

    def test_full_disk(self):
        for command in (["--coverage"], ["--help"], ["--version"]):
            with open("/dev/full", "w") as full:
                done = self.ovlrun(*command, stdout=full)
            self.assertEqual(done.returncode, 125, command)
            self.assertIn("No space left on device", done.stderr)

    def test_stats(self):
        done = self.ovlrun("--lower", self.lower, "--upper", self.upper, "--stats", "--", "sh", "-c",
                           f"echo x >> {self.lower}/file; rm {self.lower}/dir/inner")
        self.assertEqual(done.returncode, 0, done.stderr)
        values = {name: int(n) for n, name in re.findall(r"(?m)^ovlrun: +(\d+) (.*)$", done.stderr)}
        self.assertGreater(values["operations"], 2)
        self.assertGreaterEqual(values["copy-ups"], 1)
        self.assertEqual(values["whiteouts"], 1)

    def trace(self, *args, **kwargs):
        return self.ovlrun("--lower", self.lower, "--upper", self.upper, *args, **kwargs)

    def test_trace_to_stderr(self):
        done = self.trace("--trace", "--", "sh", "-c", f"cat {self.lower}/file; test -e {self.lower}/none; "
                          f"mv {self.lower}/file {self.lower}/moved")
        self.assertEqual((done.returncode, done.stdout), (0, "lower\n"), done.stderr)
        self.assertRegex(done.stderr, r"(?m)^\d+ execve\(/\S*/sh\)( native| = 0)?$")
        self.assertRegex(done.stderr, rf"(?m)^\d+ openat\({self.lower}/file\) ")
        self.assertRegex(done.stderr, rf"(?m)^\d+ \w+\({self.lower}/none\) = ENOENT \(No such file or directory\)$")
        self.assertRegex(done.stderr, rf"(?m)^\d+ renameat2\({self.lower}/file, {self.lower}/moved\) = 0$")
        self.assertFalse(os.path.exists(self.work + "/ovlrun/trace"))

    def test_trace_to_a_file(self):
        done = self.trace("--trace=" + self.top + "/trace", "--", "cat", self.lower + "/file")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertRegex(open(self.top + "/trace").read(), rf"(?m)^\d+ openat\({self.lower}/file\) ")

    @sandbox.needs_own_supervisor
    def test_trace_of_many_processes_is_whole(self):
        done = self.trace("--trace=" + self.top + "/trace", "--", "sh", "-c",
                          f"for i in 1 2 3 4 5 6 7 8; do (for k in 1 2 3 4 5; do echo > {self.lower}/$i.$k; done) & done; wait")
        self.assertEqual(done.returncode, 0, done.stderr)
        lines = open(self.top + "/trace").read().splitlines()
        for line in lines:
            self.assertRegex(line, r"^\d+ \w+\(.*\)( = .*| native)?$")
        for i in range(1, 9):
            for k in range(1, 6):
                self.assertTrue(any(f"openat({self.lower}/{i}.{k}) " in line for line in lines))

    def trace_by_hand(self, program, **more):
        self.supervised()
        done = self.trace("--trace", "--", program, self.lower + "/file", self.lower + "/dir/inner", **more)
        self.assertEqual((done.returncode, done.stdout), (0, ""), done.stderr)
        return done.stderr

    @sandbox.needs_own_supervisor
    def test_trace_shows_where_a_call_comes_from_that_the_preload_did_not_see(self):
        text = self.trace_by_hand(BY_HAND)
        call = r"open_by_hand\+0x[0-9a-f]+ \(by_hand\+0x[0-9a-f]+\)"
        for name in ("file", "dir/inner"):
            self.assertRegex(text, rf"(?m)^\d+ openat\({self.lower}/{name}\)( native)?\n    {call}\n")
        self.assertRegex(text, rf"(?m)^by_hand: 2 openat from {call}, not interposed$")

    @sandbox.needs_own_supervisor
    def test_without_libunwind_a_trace_shows_the_place_of_the_call_alone(self):
        text = self.trace_by_hand(BY_HAND, env=self.environment(LD_PRELOAD=NO_UNWIND))
        self.assertRegex(text, rf"(?m)^\d+ openat\({self.lower}/file\)( native)?\n    by_hand\+0x[0-9a-f]+\n(?!    )")

    def test_trace_of_a_program_without_the_preload_has_no_stacks(self):
        text = self.trace_by_hand(BY_HAND + "_static")
        self.assertRegex(text, rf"(?m)^\d+ openat\({self.lower}/file\) ")
        self.assertNotIn("open_by_hand", text)

    @unittest.skipIf(os.geteuid() == 0, "root may read everything")
    def test_trace_names_what_the_user_may_not_read(self):
        done = self.ovlrun("--lower", "/etc", "--upper", self.upper, "--trace", "--", "cat", "/etc/shadow")
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr, r"(?m)^\d+ openat\(/etc/shadow\) = EACCES \(Permission denied\): "
                         r"you may not read /etc/shadow$")


if __name__ == "__main__":
    sandbox.main()
