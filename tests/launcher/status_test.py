"""The command's status, arguments, environment and standard streams are its own, as without ovlrun."""
import os
import resource
import shutil
import signal
import subprocess
import unittest

import sandbox


class Status(sandbox.Scenario):
    def test_exit_status(self):
        for status in (0, 1, 42, 124, 125, 126, 127, 255):
            self.assertEqual(self.inside("sh", "-c", f"exit {status}").returncode, status)

    def test_terminating_signal(self):
        for number in (signal.SIGTERM, signal.SIGKILL, signal.SIGINT, signal.SIGPIPE, signal.SIGHUP, signal.SIGUSR1,
                       signal.SIGRTMIN + 3, signal.SIGABRT):
            done = self.inside("sh", "-c", f"kill -{int(number)} $$")
            self.assertEqual(done.returncode, -int(number), done.stderr)

    def test_no_second_core_dump(self):
        status = os.waitstatus_to_exitcode  # a core dump flag would show in the raw status
        pid = os.fork()
        if pid == 0:
            os.chdir(self.top)
            os.execv(sandbox.OVLRUN, [sandbox.OVLRUN, "--lower", self.lower, "--upper", self.upper, "--", "sh", "-c",
                                      "ulimit -c 0; kill -SEGV $$"])
        _, raw = os.waitpid(pid, 0)
        self.assertEqual(status(raw), -signal.SIGSEGV)
        self.assertFalse(os.WCOREDUMP(raw))

    def test_a_crash_leaves_no_core_dump_in_the_lower(self):
        resource.setrlimit(resource.RLIMIT_CORE, (resource.getrlimit(resource.RLIMIT_CORE)[1],) * 2)
        done = self.inside("sh", "-c", "cd lower/dir && kill -SEGV $$")  # the lower is compared at the end
        self.assertEqual(done.returncode, -signal.SIGSEGV)

    def test_arguments_and_name(self):
        words = ["", " a b ", "--lower", "--", "-x", "\n", "ü", "$HOME", "'"]
        done = self.inside("printf", "%s\\0", *words)
        self.assertEqual(done.stdout.split("\0")[:-1], words)

    def test_environment_is_kept(self):
        env = self.environment(SOME_VARIABLE="x y\nz", EMPTY="")
        done = self.inside("python3", "-c", "import os; print(repr([os.environ[k] for k in ('SOME_VARIABLE','EMPTY')]))",
                           env=env)
        self.assertEqual(done.stdout, "['x y\\nz', '']\n", done.stderr)

    def test_empty_environment(self):
        self.freeze()
        done = subprocess.run(["env", "-i", sandbox.OVLRUN, "--lower", self.lower, "--upper", self.upper, "--",
                               "/bin/sh", "-c", f"echo new > {self.lower}/new; cat {self.lower}/new"],
                              cwd=self.top, capture_output=True, text=True)
        self.assertEqual((done.returncode, done.stdout), (0, "new\n"), done.stderr)
        self.assertFalse(os.path.exists(self.lower + "/new"))

    def test_standard_input_passes_through(self):
        data = bytes(range(256)) * 4096
        done = self.inside("cat", input=data, text=False)
        self.assertEqual(done.stdout, data)

    def test_standard_error_is_silent(self):
        done = self.inside("sh", "-c", "echo out; echo err >&2")
        self.assertEqual((done.stdout, done.stderr), ("out\n", "err\n"))

    def test_command_that_exists_only_in_the_upper(self):
        done = self.inside("sh", "-c", f"printf '#!/bin/sh\\necho made \"$@\"\\n' > {self.lower}/tool; "
                           f"chmod +x {self.lower}/tool")
        self.assertEqual(done.returncode, 0, done.stderr)
        done = self.inside(self.lower + "/tool", "it")
        self.assertEqual((done.returncode, done.stdout), (0, "made it\n"), done.stderr)
        env = self.environment(PATH=self.lower + ":" + os.environ["PATH"])
        done = self.inside("tool", "again", env=env)
        self.assertEqual((done.returncode, done.stdout), (0, "made again\n"), done.stderr)

    def test_command_that_the_upper_removed(self):
        self.write("lower/tool", "#!/bin/sh\necho lower\n", 0o755)
        self.assertEqual(self.inside("rm", self.lower + "/tool").returncode, 0)
        done = self.inside(self.lower + "/tool")
        self.assertEqual((done.returncode, done.stderr),
                         (127, f"ovlrun: {self.lower}/tool: No such file or directory\n"))

    def test_script_without_a_first_line(self):
        self.write("lower/script", "echo plain $1\n", 0o755)
        done = self.inside(self.lower + "/script", "words")
        self.assertEqual((done.returncode, done.stdout), (0, "plain words\n"), done.stderr)

    @sandbox.needs_own_supervisor
    def test_program_that_the_preload_cannot_follow_is_refused(self):
        static = shutil.which("busybox")
        if not sandbox.is_static(static):
            self.skipTest("no static program here")
        pair = ("--lower", self.lower, "--upper", self.upper, "--intercept=preload")
        done = self.ovlrun(*pair, "--", static, "cat", self.lower + "/file")
        self.assertEqual((done.returncode, done.stdout), (126, ""))
        self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
        self.assertIn("--allow-uncovered", done.stderr)
        done = self.ovlrun(*pair, "--allow-uncovered", "--", static, "cat", self.lower + "/file")
        self.assertEqual((done.returncode, done.stdout), (0, "lower\n"), done.stderr)

    def test_working_directory(self):
        done = self.inside("sh", "-c", "pwd; cat inner; echo x > made; ls", cwd=self.lower + "/dir")
        self.assertEqual(done.stdout, f"{self.lower}/dir\ninner\ninner\nmade\n", done.stderr)
        self.assertFalse(os.path.exists(self.lower + "/dir/made"))


if __name__ == "__main__":
    sandbox.main()
