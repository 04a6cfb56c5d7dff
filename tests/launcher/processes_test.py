"""Front, keeper and command: what the command is born with, signals, and what outlives what."""
import errno
import os
import re
import signal
import subprocess
import sys
import unittest

import sandbox

# Prints what a process is born with.
BORN = r"""
import os, re
status = open('/proc/self/status').read()
for key in ('SigBlk', 'SigIgn', 'SigCgt', 'ShdPnd', 'SigPnd', 'Threads'):
    print(key, re.search(key + r':\s*(\S+)', status).group(1))
print('umask', oct(os.umask(0)), 'nice', os.nice(0), 'pgrp', os.getpgrp(), 'session', os.getsid(0))
print('fds', sorted(int(n) for n in os.listdir('/proc/self/fd')))
"""


# Spawns a program, and prints what it was born with.
SPAWN = r"""
import os, signal
signal.signal(signal.SIGUSR1, lambda *_: None)
signal.signal(signal.SIGUSR2, signal.SIG_IGN)
signal.signal(signal.SIGHUP, signal.SIG_IGN)
arguments = ['grep', '-E', 'Sig(Blk|Ign|Cgt)', '/proc/self/status']
os.waitpid(os.posix_spawnp('grep', arguments, os.environ, setsigdef=[signal.SIGHUP]), 0)
"""


class Processes(sandbox.Scenario):
    def test_what_is_spawned_is_born_as_without_ovlrun_by_whichever_call(self):
        spawn = [sys.executable, "-c", SPAWN]
        self.freeze()
        wanted = subprocess.run(spawn, stdout=subprocess.PIPE, env=self.environment(), text=True, check=True).stdout
        self.assertIn("SigIgn", wanted)
        deny = os.environ.get("OVLRUN_DENY") or os.path.dirname(sandbox.OVLRUN) + "/../tests/launcher/deny"
        for prefix in ([], [deny, "clone3", "--"]):
            with self.subTest(prefix):
                done = subprocess.run([*prefix, sandbox.OVLRUN, "--intercept=preload", "--lower", self.lower, "--upper",
                                       self.upper, "--", *spawn], stdout=subprocess.PIPE, env=self.environment(),
                                      text=True)
                self.assertEqual((done.returncode, done.stdout), (0, wanted))

    def test_command_is_born_as_without_ovlrun(self):
        read, write = os.pipe()
        os.set_inheritable(read, True)
        os.dup2(write, 9, inheritable=True)

        def prepare():
            signal.signal(signal.SIGUSR2, signal.SIG_IGN)
            signal.signal(signal.SIGCHLD, signal.SIG_IGN)
            signal.pthread_sigmask(signal.SIG_SETMASK, [signal.SIGUSR1])
            os.umask(0o31)

        results = []
        for command in ([], [sandbox.OVLRUN, "--lower", self.lower, "--upper", self.upper, "--"]):
            done = subprocess.run([*command, sys.executable, "-S", "-c", BORN], preexec_fn=prepare, close_fds=False,
                                  stdin=subprocess.DEVNULL, capture_output=True, text=True, cwd=self.top)
            results.append(done.stdout)
            self.assertEqual(done.returncode, 0, done.stderr)
        for fd in (read, write, 9):
            os.close(fd)
        self.assertEqual(results[0], results[1])

    def test_closed_standard_streams_stay_closed(self):
        self.freeze()
        script = f"exec '{sandbox.OVLRUN}' --lower '{self.lower}' --upper '{self.upper}' -- ls /proc/self/fd <&- 2>&-"
        done = subprocess.run(["sh", "-c", script], stdout=subprocess.PIPE, text=True, cwd=self.top)
        native = subprocess.run(["sh", "-c", "exec ls /proc/self/fd <&- 2>&-"], stdout=subprocess.PIPE, text=True)
        self.assertEqual((done.returncode, done.stdout), (native.returncode, native.stdout))

    def test_nothing_is_written_to_a_closed_stderr(self):
        self.freeze()
        for command, status in (("no-such-command", 127), ("true", 0)):
            script = f"exec '{sandbox.OVLRUN}' --lower '{self.lower}' --upper '{self.upper}' --stats -- {command} 2>&- <&-"
            done = subprocess.run(["sh", "-c", script], stdout=subprocess.PIPE, text=True, cwd=self.top)
            self.assertEqual((done.returncode, done.stdout), (status, ""))
        with open(self.work + "/ovlrun/lock") as file:
            self.assertRegex(file.read(), r"\A\d+ true\n\Z")

    def test_death_of_the_supervisor_is_told_and_nothing_falls_through(self):
        self.supervised("--intercept=both")
        script = "echo ready; read x; echo new > file; read y < file; echo $y; ls"
        child = self.start("sh", "-c", script, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                           text=True, cwd=self.lower)
        self.assertEqual(child.stdout.readline(), "ready\n")
        with open(f"/proc/{child.pid}/task/{child.pid}/children") as file:
            supervisor = int(file.read())
        os.kill(supervisor, signal.SIGKILL)
        sandbox.wait_for_end(supervisor)
        line = child.stderr.readline()  # told at once
        self.assertIn("supervisor was killed", line)
        out, _ = child.communicate("\n")
        # The shell has the preload object and goes on; a program that it starts can't be loaded.
        self.assertEqual(out, "new\n")
        self.assertNotEqual(child.returncode, 0)

    @unittest.skipIf(os.geteuid() != 0, "only root can become somebody else")
    def test_tasks_of_root_that_become_another_user_see_the_overlay_as_that_user(self):
        self.write("lower/secret", "secret\n", 0o600)
        self.supervised("--intercept=both")
        os.chmod(self.top, 0o755)
        script = """echo new > new; echo changed > file; chmod 644 new file
setpriv --reuid 65500 --regid 65500 --clear-groups sh -c 'id -u; cat new file secret; sh -c "cat new"; echo x > other'"""
        done = self.inside("sh", "-c", script, cwd=self.lower)
        self.assertEqual(done.stdout, "65500\nnew\nchanged\nnew\n", done.stderr)
        self.assertIn("secret: Permission denied", done.stderr)
        self.assertNotEqual(done.returncode, 0)

    def test_a_program_without_a_free_descriptor_can_still_change_what_is_in_the_lower(self):
        self.supervised("--intercept=both")
        script = """import os, resource
resource.setrlimit(resource.RLIMIT_NOFILE, (3, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
os.chmod("file", 0o600)
os.rename("dir/inner", "moved")
os.mkdir("dir/made")
try:
    os.open("file", os.O_RDWR)
except OSError as error:
    print(os.strerror(error.errno))
"""
        done = self.inside(sys.executable, "-S", "-c", script, cwd=self.lower)
        self.assertEqual((done.stdout, done.stderr), (os.strerror(errno.EMFILE) + "\n", ""))
        done = self.inside("sh", "-c", "stat -c %a file; cat moved; ls dir", cwd=self.lower)
        self.assertEqual(done.stdout, "600\ninner\nmade\n", done.stderr)

    @unittest.skipIf(os.geteuid() != 0, "only root can become somebody else")
    def test_descriptors_of_a_task_that_became_another_user_without_an_exec(self):
        self.supervised("--intercept=seccomp")
        os.chmod(self.top, 0o755)
        script = """import os
os.setgroups([])
os.setgid(65500)
os.setuid(65500)
print(os.fstat(os.open("file", os.O_RDONLY)).st_size)
print(os.stat("inner", dir_fd=os.open("dir", os.O_RDONLY)).st_size)"""
        done = self.ovlrun("--lower", self.lower, "--upper", self.upper, "--intercept=seccomp", "--", sys.executable,
                           "-S", "-c", script, cwd=self.lower)
        self.assertEqual((done.stdout, done.stderr), ("6\n6\n", ""))

    def test_fstat_of_a_descriptor_in_a_directory_that_may_not_be_searched(self):
        self.write("lower/closed/output", "four")
        if os.geteuid() != 0:
            self.skipTest("needs somebody who opens it for another user")
        os.chmod(self.top, 0o755)
        os.chmod(self.lower + "/closed", 0o700)
        mine = os.path.join(self.top, "mine")
        os.mkdir(mine)
        os.chown(mine, 65500, 65500)
        self.freeze()
        script = """import ctypes, os
print(os.fstat(0).st_size)
libc, st = ctypes.CDLL(None), (ctypes.c_long * 32)()
print(libc.syscall(262, 0, b"", st, 0x1100), st[6]) # newfstatat, AT_EMPTY_PATH and AT_SYMLINK_NOFOLLOW
print(libc.syscall(332, 0, b"", 0x1000, 0x7ff, st), st[5]) # statx
"""
        with open(self.lower + "/closed/output") as output:
            done = subprocess.run(["setpriv", "--reuid", "65500", "--regid", "65500", "--clear-groups", sandbox.OVLRUN,
                                   "--lower", self.lower, "--upper", mine + "/upper", "--", "python3", "-S", "-c", script],
                                  stdin=output, capture_output=True,
                                  text=True, env=dict(self.environment(), HOME=mine, PATH="/usr/bin:/bin"), cwd=mine)
        sandbox.without_notice(done)
        self.assertEqual((done.stdout, done.stderr), ("4\n0 4\n0 4\n", ""))

    def test_the_last_free_descriptor_is_enough_to_open_anything(self):
        self.supervised("--intercept=both")
        script = """import mmap, os, resource
with open("made", "w+b") as made:
    made.write(b"x")
    made.flush()
    mapped = mmap.mmap(made.fileno(), 1)
mapped_at = os.path.realpath("made")
free = os.dup(0)
os.close(free)
resource.setrlimit(resource.RLIMIT_NOFILE, (free + 1, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
for path, flags in (("file", os.O_RDWR), ("new", os.O_RDWR | os.O_CREAT), ("/proc/self/maps", os.O_RDONLY)):
    fd = os.open(path, flags)
    print(path, fd - free)
    text = os.read(fd, 1000000).decode()
    os.close(fd)
print(mapped_at in text.split())
"""
        done = self.inside(sys.executable, "-S", "-c", script, cwd=self.lower)
        self.assertEqual((done.stdout, done.stderr), ("file 0\nnew 0\n/proc/self/maps 0\nTrue\n", ""))

    def test_the_command_goes_on_when_the_keeper_is_killed(self):
        for way in ("preload", "both", "seccomp"):
            with self.subTest(way):
                options = ("--intercept=" + way,)
                upper = f"{self.upper}.{way}"
                if way != "preload":
                    self.supervised(*options)
                script = 'echo $PPID; read -r line; cat file; echo more >>file; mkdir made; cat file; ls -d made; exit 7'
                child = subprocess.Popen([sandbox.OVLRUN, "--lower", self.lower, "--upper", upper, *options, "--", "sh", "-c",
                                          script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                         text=True, cwd=self.lower)
                os.kill(int(child.stdout.readline()), signal.SIGKILL)
                told = child.stderr.readline()  # at once
                self.assertEqual(told, "ovlrun: the session's keeper was killed; the command goes on\n")
                out, error = child.communicate("\n", timeout=60)
                self.assertEqual((out, error), ("lower\nlower\nmore\nmade\n", ""))
                self.assertEqual(child.returncode, 7)
                left = self.ovlrun("--lower", self.lower, "--upper", upper, *options, "--", "cat", self.lower + "/file")
                self.assertEqual((left.stdout, left.stderr), ("lower\nmore\n", ""))

    def test_signals_are_passed_on(self):
        for name in ("TERM", "INT", "HUP", "USR1", "USR2", "QUIT", "WINCH"):
            child = self.start("sh", "-c", f"trap 'echo got {name}; exit 3' {name}; echo ready; while :; do read x; done",
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            self.assertEqual(child.stdout.readline(), "ready\n")
            child.send_signal(getattr(signal, "SIG" + name))
            child.stdin.close()  # a signal that came just before the read(2) does not end it
            self.assertEqual(child.stdout.read(), f"got {name}\n")
            self.assertEqual(child.wait(), 3)
            child.stdout.close()

    def test_killed_by_a_passed_on_signal(self):
        child = self.start("sh", "-c", "echo ready; exec sleep 1000", stdout=subprocess.PIPE, text=True)
        self.assertEqual(child.stdout.readline(), "ready\n")
        child.terminate()
        self.assertEqual(child.wait(), -signal.SIGTERM)
        child.stdout.close()

    def test_group_signal_from_below_comes_once(self):
        child = self.start("sh", "-c", "trap 'echo got' USR1; kill -USR1 0; echo end", stdout=subprocess.PIPE, text=True,
                           start_new_session=True)
        out, _ = child.communicate()
        self.assertEqual((child.returncode, out), (0, "got\nend\n"))

    def test_closed_output_is_seen_at_once(self):
        read, write = os.pipe()
        child = self.start("sh", "-c", "exec >&-; read x; exit 7", stdin=read, stdout=subprocess.PIPE)
        os.close(read)
        self.assertEqual(child.stdout.read(), b"")  # while the command lives
        self.assertIsNone(child.poll())
        os.write(write, b"\n")
        os.close(write)
        self.assertEqual(child.wait(), 7)
        child.stdout.close()

    def background(self):
        """A command that ends at once and leaves a process behind. Returns (end of its input, keeper's pid)."""
        os.mkfifo(self.top + "/fifo")
        done = self.inside("sh", "-c", f"(read x; echo $x > {self.lower}/late) > /dev/null 2>&1 < {self.top}/fifo & "
                           "echo $PPID")
        self.assertEqual(done.returncode, 0, done.stderr)
        return open(self.top + "/fifo", "w"), int(done.stdout)

    def test_background_process_outlives_the_front(self):
        pipe, keeper = self.background()
        busy = self.inside("true")  # the session still holds the upper
        self.assertEqual(busy.returncode, 125)
        self.assertIn(f"pid {keeper} ", busy.stderr)
        pipe.write("word\n")
        pipe.close()
        sandbox.wait_for_end(keeper)
        self.assertFalse(os.path.exists(self.work + "/ovlrun/session"))
        done = self.inside("cat", self.lower + "/late")
        self.assertEqual(done.stdout, "word\n", done.stderr)
        self.assertFalse(os.path.exists(self.lower + "/late"))

    def test_keeper_holds_no_stream_of_the_caller(self):
        pipe, keeper = self.background()
        links = {os.readlink(f"/proc/{keeper}/fd/{n}") for n in ("0", "1", "2")}
        self.assertEqual(links, {"/dev/null"})
        self.assertEqual(os.readlink(f"/proc/{keeper}/cwd"), "/")
        pipe.close()
        sandbox.wait_for_end(keeper)

    def test_command_survives_a_killed_front(self):
        os.mkfifo(self.top + "/fifo")
        child = self.start("sh", "-c", f"echo $PPID; read x < {self.top}/fifo; echo $x > {self.lower}/late",
                           stdout=subprocess.PIPE, text=True)
        keeper = int(child.stdout.readline())
        child.kill()
        self.assertEqual(child.wait(), -signal.SIGKILL)
        with open(self.top + "/fifo", "w") as pipe:
            pipe.write("word\n")
        sandbox.wait_for_end(keeper)
        child.stdout.close()
        self.assertEqual(self.inside("cat", self.lower + "/late").stdout, "word\n")

    def test_killed_keeper_is_told_and_the_status_kept(self):
        child = self.start("sh", "-c", "echo $PPID; read x; exit 5", options=("--stats",), stdin=subprocess.PIPE,
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        keeper = int(child.stdout.readline())
        os.kill(keeper, signal.SIGKILL)
        _, err = child.communicate("\n")
        self.assertEqual(child.returncode, 5)
        self.assertIn("keeper was killed", err)

    def test_orphans_are_reaped(self):
        # The keeper's children, until the shell alone is left of them.
        done = self.inside("sh", "-c", "for i in 1 2 3 4 5; do (sh -c ':' &); done; set a b; "
                           "while [ $# != 1 ]; do read line < /proc/$PPID/task/$PPID/children; set $line; done; echo ok")
        self.assertEqual(done.stdout, "ok\n", done.stderr)

    def test_no_new_privileges(self):
        done = self.inside("grep", "NoNewPrivs", "/proc/self/status")
        self.assertEqual(done.stdout.split(), ["NoNewPrivs:", "1"])

    def test_the_scheduler_treats_the_command_as_without_ovlrun(self):
        attributes = """import ctypes, os, struct, sys
            libc = ctypes.CDLL(None)
            attributes = ctypes.create_string_buffer(56)
            libc.syscall(315, 0, attributes, 56, 0)  # sched_getattr
            if sys.argv[1] != "show":  # a turn of its own, for what is executed
                struct.pack_into("Q", attributes, 24, int(sys.argv[1]))
                libc.syscall(314, 0, attributes, 0)
                os.execvp(sys.argv[2], sys.argv[2:])
            print(struct.unpack("IIQiIQQQ", attributes[:48]))"""
        script = "\n".join(line.strip() if not line.startswith(" " * 16) else "    " + line.strip()
                           for line in attributes.splitlines())
        show = [sys.executable, "-c", script, "show"]
        for prefix in ([], [sys.executable, "-c", script, "1500000"], ["nice", "-n", "3"], ["chrt", "-b", "0"]):
            for option in ("--intercept=auto", "--intercept=preload"):
                with self.subTest(prefix=prefix[:1], option=option):
                    plain = subprocess.run([*prefix, *show], stdout=subprocess.PIPE, check=True).stdout
                    below = subprocess.run([*prefix, sandbox.OVLRUN, option, "--lower", self.lower, "--upper", self.upper,
                                            "--", *show], stdout=subprocess.PIPE, check=True).stdout
                    self.assertEqual(below, plain)


if __name__ == "__main__":
    sandbox.main()
