"""--intercept, --strict, --verbose: what is chosen where, and what is said when something can't be had."""
import os
import re
import subprocess
import tempfile
import unittest

import sandbox

DENY = os.environ.get("OVLRUN_DENY") or os.path.dirname(sandbox.OVLRUN) + "/../tests/launcher/deny"
BY_HAND = os.environ.get("OVLRUN_BY_HAND") or os.path.dirname(sandbox.OVLRUN) + "/../tests/launcher/by_hand"
NO_STATUS = (os.environ.get("OVLRUN_NO_STATUS") or
             os.path.dirname(sandbox.OVLRUN) + "/../tests/launcher/libno_status.so")
KILLED_KEEPER = (os.environ.get("OVLRUN_KILLED_KEEPER") or
                 os.path.dirname(sandbox.OVLRUN) + "/../tests/launcher/libkilled_keeper.so")
LATE_CLOSE = (os.environ.get("OVLRUN_LATE_CLOSE") or
              os.path.dirname(sandbox.OVLRUN) + "/../tests/launcher/liblate_close.so")
ALONE = ("ovlrun: going on with the preload alone: programs that it can't follow (static ones, other C libraries) "
         "are refused\n")

# What a place lacks: how to get there, and the line that says so.
PLACES = {
    "listener": ([DENY, "listener", "--"], r"seccomp user notifications are refused \(Operation not permitted\), .*"),
    "kernel": ([DENY, "no-flags", "--"], r"no seccomp user notifications here \(Invalid argument\): .*"),
    "seccomp": ([DENY, "seccomp", "--"], r"seccomp user notifications are refused \(Operation not permitted\), .*"),
    "busy": ([DENY, "busy", "--"], r"somebody else's supervisor listens to this process's calls already"),
    "memory": ([DENY, "process_vm_readv", "--"], r"the memory of a child can't be read \(Operation not permitted\)"),
    "ptrace": ([DENY, "ptrace", "--"], r"a child can't be traced \(Operation not permitted\)"),
    "pids": (["unshare", "-Urpf"], r"/proc belongs to another pid name space"),
}


def can_be_reached(prefix):
    return subprocess.run([*prefix, "true"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0


class Intercept(sandbox.Scenario):
    def below(self, prefix, *options, command=("cat", "dir/inner")):
        self.freeze()
        return subprocess.run([*prefix, sandbox.OVLRUN, "--lower", self.lower, "--upper", self.upper, *options, "--",
                               *command], cwd=self.lower, env=self.environment(), stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def each_place(self):
        self.supervised()  # what is missing is what the place lacks
        for name, (prefix, line) in PLACES.items():
            with self.subTest(name):
                if not can_be_reached(prefix):
                    self.skipTest(f"{prefix[0]} is refused here")
                yield prefix, line

    def test_auto_says_what_is_missing_and_goes_on_with_the_preload(self):
        for prefix, line in self.each_place():
            done = self.below(prefix)
            self.assertEqual((done.returncode, done.stdout), (0, "inner\n"), done.stderr)
            self.assertRegex(done.stderr, r"\Aovlrun: no supervisor: " + line + "\n" + re.escape(ALONE) + r"\Z")

    def test_the_preload_alone_needs_nothing_and_says_nothing(self):
        for prefix, _ in self.each_place():
            done = self.below(prefix, "--intercept=preload")
            self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "inner\n", ""))

    def test_what_was_asked_for_is_had_or_refused(self):
        for prefix, line in self.each_place():
            for option in ("--strict", "--intercept=seccomp", "--intercept=both"):
                done = self.below(prefix, option)
                self.assertEqual((done.returncode, done.stdout), (125, ""))
                self.assertRegex(done.stderr, r"\Aovlrun: no supervisor: " + line + r"\novlrun: " + option +
                                 r" is not possible here\n\Z")
                self.assertFalse(os.path.exists(self.upper), "something was touched")

    def test_each_missing_thing_has_a_line(self):
        prefix = [DENY, "process_vm_readv", "ptrace", "--"]
        self.supervised()
        done = self.below(prefix)
        self.assertEqual(done.stderr.count("ovlrun: no supervisor: "), 2)

    def test_without_proc(self):
        prefix = ["unshare", "-Urm", "sh", "-c", 'mount -t tmpfs none /proc && exec "$@"', "sh"]
        if not can_be_reached(prefix):
            self.skipTest("no mounts here")
        for option in ("--intercept=auto", "--intercept=preload", "--strict"):
            done = self.below(prefix, option)
            self.assertEqual((done.returncode, done.stdout), (125, ""))
            self.assertRegex(done.stderr, r"\Aovlrun: /proc does not show this process: .*\n\Z")
            self.assertFalse(os.path.exists(self.upper), "something was touched")

    def test_verbose_says_what_was_chosen(self):
        for prefix, _ in self.each_place():
            done = self.below(prefix, "-v")
            self.assertIn("\novlrun: intercept: the preload alone, since there is no supervisor\n", done.stderr)
        done = self.below([], "--verbose", "--intercept=preload")
        self.assertEqual(done.stderr.splitlines()[0], "ovlrun: intercept: the preload alone, as asked")

    def test_a_supervisor_that_can_not_start_leaves_no_command(self):
        self.supervised()
        for option in ("--intercept=auto", "--intercept=both", "--intercept=seccomp", "--strict"):
            for command in (("sh", "-c", "echo ran"), (BY_HAND + "_static", self.lower + "/file")):
                with self.subTest(option=option, command=command[0]):
                    done = self.below(["env", "LD_PRELOAD=" + NO_STATUS], option, command=command)
                    self.assertEqual((done.returncode, done.stdout), (125, ""))
                    self.assertEqual(done.stderr, "ovlrun: the supervisor can't read about itself in /proc\n"
                                                  "ovlrun: the supervisor could not start\n")
                    self.assertFalse(os.path.exists(self.work + "/ovlrun/session"))
        self.assertEqual(self.below([]).returncode, 0)  # the upper is free

    def test_a_keeper_that_is_killed_at_the_start_leaves_no_command(self):
        self.supervised()
        for option in ("--intercept=auto", "--strict"):
            # Returns when nobody has the pipes any more.
            done = self.below(["env", "LD_PRELOAD=" + KILLED_KEEPER], option, command=("sh", "-c", "echo ran"))
            self.assertEqual((done.returncode, done.stdout, done.stderr), (125, "", ""))
            self.assertFalse(os.path.exists(self.upper), "something was touched")

    def test_the_supervisor_sees_calls_that_no_library_sees(self):
        self.supervised()
        new = self.lower + "/only in the upper"
        self.assertEqual(self.below([], command=("sh", "-c", f"echo x > '{new}'")).returncode, 0)
        for option in ("--intercept=auto", "--intercept=both", "--intercept=seccomp", "--strict"):
            for program in (BY_HAND, BY_HAND + "_static"):
                with self.subTest(option=option, program=program):
                    done = self.below([], option, command=(program, new))
                    self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_calls_that_come_while_the_supervisor_still_starts_keep_their_descriptors(self):
        self.supervised()
        new = self.lower + "/only in the upper"
        self.assertEqual(self.below([], command=("sh", "-c", f"echo x > '{new}'")).returncode, 0)
        for _ in range(3):
            done = self.below(["env", "LD_PRELOAD=" + LATE_CLOSE], command=(BY_HAND + "_static", *[new] * 60))
            self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_the_preload_alone_refuses_what_it_can_not_follow(self):
        done = self.below([], "--intercept=preload", command=(BY_HAND + "_static", self.lower + "/file"))
        self.assertEqual(done.returncode, 126)
        self.assertRegex(done.stderr, r"\Aovlrun: .*by_hand_static is statically linked, and can't be followed: .*\n\Z")

    def test_without_the_preload_programs_have_nothing_of_ours(self):
        self.supervised()
        for option in ("--intercept=seccomp", "--strict"):
            done = self.below([], option, command=("sh", "-c", "env; cat /proc/self/maps"))
            self.assertEqual(done.returncode, 0)
            self.assertNotRegex(done.stdout, "(?m)OVLRUN_SESSION=|LD_PRELOAD|libovlrun|^7e9000000000")
        done = self.below([], "--intercept=both", command=("cat", "/proc/self/maps"))
        self.assertRegex(done.stdout, "(?m)^7e9000000000-7e9000001000 r-xp ")

    def test_contradictions(self):
        for options in (("--strict", "--intercept=preload"), ("--strict", "--intercept=both"),
                        ("--strict", "--allow-uncovered")):
            done = self.below([], *options)
            self.assertEqual(done.returncode, 125)
            self.assertRegex(done.stderr, r"\Aovlrun: --strict .*contradicts .*\n\Z")
        done = self.below([], "--intercept=ptrace")
        self.assertEqual((done.returncode, done.stderr),
                         (125, "ovlrun: --intercept: 'ptrace' is none of auto|both|preload|seccomp\n"))


if __name__ == "__main__":
    sandbox.main()
