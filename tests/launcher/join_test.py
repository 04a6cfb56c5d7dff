"""ovlrun --join: further commands in a session that is running. It lasts until the last of them is gone."""
import os
import shutil
import signal
import subprocess
import unittest

import sandbox


class Join(sandbox.Scenario):
    def setUp(self):
        if sandbox.BELOW_OVLRUN:
            self.skipTest("--join is not possible below ovlrun")
        super().setUp()

    def session(self, *options, script="echo $PPID; read x"):
        child = self.start("sh", "-c", script, options=options, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.addCleanup(child.stdout.close)
        self.addCleanup(lambda: child.stdin.closed or child.communicate("\n"))
        return child, int(child.stdout.readline())

    def join(self, *command, **kwargs):
        return self.ovlrun("--join", "--upper", self.upper, "--", *command, **kwargs)

    def refused(self, *args, why):
        self.freeze()
        before = sandbox.fingerprint(self.top)
        done = self.ovlrun("--join", *args, "--", "true")
        self.assertEqual((done.returncode, done.stderr.count("\n")), (125, 1), done.stderr)
        self.assertIn(why, done.stderr)
        self.assertEqual(before, sandbox.fingerprint(self.top), "something was touched")

    def end(self, child, keeper):
        child.communicate("\n")
        sandbox.wait_for_end(keeper)

    def test_all_see_the_same(self):
        child, keeper = self.session(script=f"cd {self.lower}; echo $PPID; read x; cat joined dir/inner; ls")
        done = self.join("sh", "-c", f"cd {self.lower} && echo joined >joined && mv dir/inner i && mv dir moved && mv i moved/inner"
                                     " && mkdir dir && echo new >dir/inner")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        done = self.join("sh", "-c", "cat joined dir/inner moved/inner", cwd=self.lower)
        self.assertEqual((done.returncode, done.stdout), (0, "joined\nnew\ninner\n"), done.stderr)
        out, _ = child.communicate("\n")
        self.assertEqual(out, "joined\nnew\ndir\nfile\njoined\nmoved\n")

    def test_a_change_is_seen_by_descriptors_of_the_other_command(self):
        child, keeper = self.session(script=f"exec 3<{self.lower}/file; echo $PPID; read x; cat <&3")
        self.assertEqual(self.join("sh", "-c", f"echo changed >{self.lower}/file").returncode, 0)
        out, _ = child.communicate("\n")
        self.assertEqual(out, "changed\n")

    def test_a_lock_that_a_shell_let_a_child_take_is_met_by_the_other_command(self):
        self.supervised()
        child, keeper = self.session(script=f"cd {self.lower}; exec 9<file; flock 9; echo $PPID; read x; exec 9<&-; flock -n file true; echo $?; "
                                            "read x")
        self.assertEqual(self.join("flock", "-n", self.lower + "/file", "true").returncode, 1)
        self.assertEqual(self.join("sh", "-c", f"echo more >>{self.lower}/file; flock -n {self.lower}/file true").returncode, 1)
        child.stdin.write("\n")
        child.stdin.flush()
        self.assertEqual(child.stdout.readline(), "0\n")
        self.assertEqual(self.join("flock", "-n", self.lower + "/file", "true").returncode, 0)

    def test_statuses_and_signals_are_the_commands(self):
        self.session()
        self.assertEqual(self.join("sh", "-c", "exit 7").returncode, 7)
        self.assertEqual(self.join("sh", "-c", "kill -TERM $$").returncode, -signal.SIGTERM)
        self.assertEqual(self.join("no such command").returncode, 127)
        self.assertEqual(self.join(self.lower + "/file").returncode, 126)

    def test_the_session_lasts_until_the_last_is_gone(self):
        child, keeper = self.session()
        joined = subprocess.Popen([sandbox.OVLRUN, "--join", "--upper", self.upper, "--", "sh", "-c",
                                   f"echo $PPID; read x; echo late >{self.lower}/late"], stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE, text=True, env=self.environment())
        self.addCleanup(joined.stdout.close)
        second = int(joined.stdout.readline())
        child.communicate("\n")
        self.assertEqual(child.returncode, 0)  # does not wait for the other
        done = self.inside("true")
        self.assertEqual(done.returncode, 125)
        self.assertIn("is in use by pid ", done.stderr)
        self.assertEqual(self.join("cat", self.lower + "/file").stdout, "lower\n")
        joined.communicate("\n")
        for pid in (second, keeper):
            sandbox.wait_for_end(pid)
        self.refused("--upper", self.upper, why=f"--join: no session is running on --upper {self.upper}")
        self.assertEqual(self.inside("cat", self.lower + "/late").stdout, "late\n")

    def test_who_joined_holds_the_upper_when_the_keeper_is_killed(self):
        child, keeper = self.session()
        joined = subprocess.Popen([sandbox.OVLRUN, "--join", "--upper", self.upper, "--", "sh", "-c", "echo $PPID; read x"],
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=self.environment())
        self.addCleanup(joined.stdout.close)
        second = int(joined.stdout.readline())
        os.kill(keeper, signal.SIGKILL)
        sandbox.wait_for_end(keeper)
        done = self.inside("true")
        self.assertEqual(done.returncode, 125)
        self.assertIn(f"is in use by pid {second} ", done.stderr)
        joined.communicate("\n")
        sandbox.wait_for_end(second)
        child.communicate("\n")
        self.assertEqual(self.inside("true").returncode, 0)

    def test_static_programs_too(self):
        busybox = shutil.which("busybox")
        if not sandbox.is_static(busybox):
            self.skipTest("there is no statically linked busybox")
        self.supervised()
        self.session()
        done = self.join(busybox, "sh", "-c", f"echo static >{self.lower}/file; cat {self.lower}/file")
        self.assertEqual((done.returncode, done.stdout), (0, "static\n"), done.stderr)

    def test_the_ways_are_those_of_the_session(self):
        for option in ("--strict", "--intercept=preload", "--intercept=seccomp"):
            with self.subTest(option):
                if option != "--intercept=preload":
                    self.supervised(option)
                child, keeper = self.session(option)
                done = self.join("sh", "-c", f"echo {option} >{self.lower}/by; cat {self.lower}/by; echo $LD_PRELOAD")
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertEqual(done.stdout.splitlines()[0], option)
                self.end(child, keeper)

    def test_from_another_directory_and_by_another_name(self):
        self.session()
        os.symlink(self.upper, self.top + "/link")
        done = self.ovlrun("--join", "--upper", self.top + "/link", "--", "cat", self.lower + "/file", cwd="/")
        self.assertEqual((done.returncode, done.stdout), (0, "lower\n"), done.stderr)

    def test_without_an_upper_it_is_the_newest_of_ones_own(self):
        child = subprocess.Popen([sandbox.OVLRUN, "--lower", self.lower, "--", "sh", "-c",
                                  f"echo mine >{self.lower}/mine; echo; read x"], stdin=subprocess.PIPE,
                                 stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=self.environment())
        self.addCleanup(child.stdout.close)
        child.stdout.readline()
        done = self.ovlrun("--join", "--", "cat", self.lower + "/mine")
        self.assertEqual((done.returncode, done.stdout), (0, "mine\n"), done.stderr)
        child.communicate("\n")

    def test_nothing_to_join(self):
        self.refused("--upper", self.top + "/nothing", why=f"--upper {self.top}/nothing: No such file or directory")
        os.mkdir(self.upper)
        self.refused("--upper", self.upper, why=f"--join: no session is running on --upper {self.upper}")
        self.refused(why="--join: no --upper given, and there is none in ")
        self.assertEqual(self.inside("true").returncode, 0)
        self.refused("--upper", self.upper, why=f"--join: no session is running on --upper {self.upper}")

    def test_options_of_the_session_are_refused(self):
        self.session()
        for option, name in (("--lower=" + self.lower, "--lower"), ("--perm=posix", "--perm"), ("--stats", "--stats"),
                             ("--strict", "--strict"), ("--portable", "--portable"), ("--trace", "--trace")):
            self.refused("--upper", self.upper, option, why=f"--join: {name} is for who starts a session")

    def refused_as_second(self):
        os.makedirs(self.top + "/lower2", exist_ok=True)
        self.session("--lower", self.top + "/lower2", "--upper", self.top + "/upper2")
        done = self.ovlrun("--join", "--upper", self.top + "/upper2", "--", "true")
        self.assertEqual(done.returncode, 125)
        self.assertIn(f"--join: --upper {self.top}/upper2 is in use, but not as the first one of a session", done.stderr)

    def test_the_second_upper_of_a_session_is_told_so(self):
        self.refused_as_second()

    def test_the_second_upper_of_a_session_was_a_killed_ones_first(self):
        os.mkdir(self.top + "/lower2")
        self.assertEqual(self.ovlrun("--lower", self.top + "/lower2", "--upper", self.top + "/upper2", "--", "sh", "-c",
                                     "kill -KILL $PPID").returncode, 0)
        self.assertTrue(os.path.exists(self.top + "/upper2.work/ovlrun/session"))
        self.refused_as_second()

    def test_from_another_pid_name_space(self):
        unshare = [shutil.which("unshare") or "unshare", "--pid", "--fork", "--mount-proc"]
        if subprocess.run([*unshare, "true"], stderr=subprocess.DEVNULL).returncode != 0:
            self.skipTest("unshare --pid is not possible here")
        self.session()
        done = subprocess.run([*unshare, sandbox.OVLRUN, "--join", "--upper", self.upper, "--", "true"], env=self.environment(),
                              capture_output=True, text=True)
        self.assertEqual(done.returncode, 125)
        self.assertIn("is in another pid name space", done.stderr)

    def test_many_join_and_leave(self):
        child, keeper = self.session()
        others = [subprocess.Popen([sandbox.OVLRUN, "--join", "--upper", self.upper, "--", "sh", "-c",
                                    f"cd {self.lower}; for i in 1 2 3 4 5; do echo {n} >>dir/inner; mkdir -p d; echo x >d/{n}.$i; done"],
                                   env=self.environment()) for n in range(12)]
        self.assertEqual([other.wait() for other in others], [0] * 12)
        done = self.join("sh", "-c", "ls d | wc -l; wc -l <dir/inner", cwd=self.lower)
        self.assertEqual(done.stdout.split(), ["60", "61"])
        self.end(child, keeper)


if __name__ == "__main__":
    sandbox.main()
