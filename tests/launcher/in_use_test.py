"""One session per upper, whatever path leads to it; the lock goes with the last process of the session."""
import os
import signal
import subprocess
import unittest

import sandbox


class InUse(sandbox.Scenario):
    def hold(self):
        child = self.start("sh", "-c", "echo $PPID; read x; exit 0", stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                           text=True)
        self.addCleanup(child.stdout.close)
        self.addCleanup(lambda: child.stdin.closed or child.communicate("\n"))
        return child, int(child.stdout.readline())

    def refused(self, *args, holder):
        before = sandbox.fingerprint(self.top)
        done = self.ovlrun(*args, "--", "true")
        self.assertEqual(done.returncode, 125)
        self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
        self.assertIn(f"in use by pid {holder} (", done.stderr)
        self.assertIn("read x; exit 0", done.stderr)  # the holder's command
        self.assertEqual(before, sandbox.fingerprint(self.top), "something was touched")

    def test_same_upper(self):
        _, keeper = self.hold()
        self.refused("--lower", self.lower, "--upper", self.upper, holder=keeper)

    def test_same_upper_with_another_workdir(self):
        _, keeper = self.hold()
        self.refused("--lower", self.lower, "--upper", self.upper, "--work", self.top + "/w2", holder=keeper)

    def test_same_upper_that_is_read_at_the_start_with_another_workdir(self):
        done = self.ovlrun("--lower", self.lower, "--upper", self.upper, "--", "mv", self.lower + "/dir",
                           self.lower + "/renamed")
        self.assertEqual(done.returncode, 0)
        self.assertTrue(os.path.isdir(self.work + "/work/incompat/ovlrun"))
        _, keeper = self.hold()
        self.refused("--lower", self.lower, "--upper", self.upper, "--work", self.top + "/w2", holder=keeper)

    def test_same_upper_through_a_symlink(self):
        _, keeper = self.hold()
        os.symlink(self.upper, self.top + "/link")
        self.refused("--lower", self.lower, "--upper", self.top + "/link", "--work", self.top + "/w2", holder=keeper)

    def test_same_workdir_with_another_upper(self):
        _, keeper = self.hold()
        self.refused("--lower", self.lower, "--upper", self.top + "/u2", "--work", self.work, holder=keeper)

    def test_same_lower_is_fine(self):
        self.hold()
        done = self.ovlrun("--lower", self.lower, "--upper", self.top + "/u2", "--", "cat", self.lower + "/file")
        self.assertEqual((done.returncode, done.stdout), (0, "lower\n"), done.stderr)

    def test_free_again_afterwards(self):
        child, keeper = self.hold()
        child.communicate("\n")
        sandbox.wait_for_end(keeper)
        self.assertEqual(self.inside("true").returncode, 0)

    def leave_behind(self):
        """The command has ended, and something of it waits for the file `go`."""
        go = self.top + "/go"
        os.mkfifo(go)
        done = self.inside("sh", "-c", f"exec </dev/null >/dev/null 2>&1; cat {go} & exit 0")
        self.assertEqual(done.returncode, 0)
        return go

    def test_what_an_ended_command_left_is_waited_for(self):
        go = self.leave_behind()
        following = self.start("echo", "in", stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        with open(go, "w", encoding="ascii"):
            pass
        self.assertEqual(following.communicate(), ("in\n", ""))

    def test_what_an_ended_command_left_for_long_is_named(self):
        go = self.leave_behind()
        done = self.inside("true")
        self.assertEqual(done.returncode, 125)
        self.assertRegex(done.stderr, rf"in use by pid \d+ \(sh -c .*\), which has ended, and left pid \d+ \(cat {go}\)\n$")
        with open(go, "w", encoding="ascii"):
            pass

    def test_free_after_everything_was_killed(self):
        child, keeper = self.hold()
        command = int(open(f"/proc/{keeper}/task/{keeper}/children").read())
        for pid in (child.pid, keeper, command):
            os.kill(pid, signal.SIGKILL)
        child.wait()
        sandbox.wait_for_end(keeper)
        sandbox.wait_for_end(command)
        self.assertEqual(self.inside("true").returncode, 0)

    def test_one_of_many_that_start_at_once(self):
        self.freeze()
        children = [self.start("sh", "-c", "echo in; read x", stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True) for _ in range(8)]
        first = [child.stdout.readline() for child in children]
        results = [child.communicate("\n") for child in children]
        self.assertEqual(first.count("in\n"), 1, results)
        for child, line in zip(children, first):
            if not line:
                self.assertEqual(child.returncode, 125)

    def test_a_program_may_lock_the_directory_itself(self):
        done = self.inside("flock", "--nonblock", self.lower, "echo", "locked")
        self.assertEqual((done.returncode, done.stdout), (0, "locked\n"), done.stderr)


if __name__ == "__main__":
    sandbox.main()
