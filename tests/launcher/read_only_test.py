"""ovlrun --read-only: what an upper shows, also while a session changes it; nothing can be changed by it."""
import os
import subprocess

import sandbox

CHANGES = """
import errno, os, sys
calls = [lambda: open("file", "w"), lambda: open("new", "x"), lambda: open("file", "r+"), lambda: os.mkdir("d"), lambda: os.unlink("file"),
         lambda: os.rmdir("dir"), lambda: os.rename("file", "f"), lambda: os.link("file", "f"), lambda: os.symlink("a", "f"),
         lambda: os.chmod("file", 0o600), lambda: os.chown("file", -1, os.getgid()), lambda: os.utime("file"), lambda: os.truncate("file", 0),
         lambda: os.setxattr("file", "user.a", b"1"), lambda: os.mkfifo("f"), lambda: os.open(".", os.O_TMPFILE | os.O_RDWR),
         lambda: os.chmod("changed", 0o600), lambda: os.unlink("changed"), lambda: os.rename("dir", "d")]
for call in calls:
    try:
        call()
    except OSError as error:
        print(errno.errorcode[error.errno])
    else:
        print("done")
print(os.access("file", os.R_OK), os.access("file", os.W_OK))
with open("file") as f:
    os.fstat(f.fileno())
    try:
        os.fchmod(f.fileno(), 0o600)
    except OSError as error:
        print(errno.errorcode[error.errno])
"""


class ReadOnly(sandbox.Scenario):
    def setUp(self):
        if sandbox.BELOW_OVLRUN:
            self.skipTest("--read-only is not possible below ovlrun")
        super().setUp()
        os.makedirs(self.top + "/.local/state/ovlrun")

    def view(self, *command, **kwargs):
        return self.ovlrun("--read-only", "--lower", self.lower, "--upper", self.upper, "--", *command, cwd=self.lower, **kwargs)

    def everything_but(self, *left_out):
        return [line for line in sandbox.fingerprint(self.top) if not any(f"'{self.top}/{name}" in line for name in left_out)]

    def test_shows_what_a_running_session_changes(self):
        child = self.start("sh", "-c", f"cd {self.lower}; echo changed >changed; rm file; mv dir moved; ln -s changed link; echo; read x",
                           stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.addCleanup(child.stdout.close)
        child.stdout.readline()
        done = self.view("sh", "-c", "ls; cat changed link moved/inner; cd moved; pwd; cat inner")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(done.stdout, f"changed\nlink\nmoved\nchanged\nchanged\ninner\n{self.lower}/moved\ninner\n")
        child.communicate("\n")

    def test_link_counts_are_as_in_the_session(self):
        os.link(self.lower + "/file", self.lower + "/second")
        done = self.inside("sh", "-c", f"cd {self.lower} && echo changed >file && cat second && ln second third"
                                       " && stat -c '%n %h' file second third")
        self.assertEqual((done.returncode, done.stdout), (0, "changed\nfile 3\nsecond 3\nthird 3\n"), done.stderr)
        done = self.view("stat", "-c", "%n %h", "file", "second", "third")
        self.assertEqual((done.returncode, done.stdout), (0, "file 3\nsecond 3\nthird 3\n"), done.stderr)

    def test_nothing_changes(self):
        self.assertEqual(self.inside("sh", "-c", f"echo changed >{self.lower}/changed; chmod 0640 {self.lower}/file").returncode, 0)
        before = self.everything_but(".local")
        done = self.view("python3", "-c", CHANGES)
        self.assertEqual(done.returncode, 0, done.stderr)
        lines = done.stdout.splitlines()
        self.assertEqual(lines, ["EROFS"] * 19 + ["True False", "EROFS"])
        self.assertEqual(before, self.everything_but(".local"))

    def test_leaves_nothing_behind(self):
        self.assertEqual(self.inside("true").returncode, 0)
        before = self.everything_but(".local")
        self.assertEqual(self.view("cat", "file").stdout, "lower\n")
        self.assertEqual(before, self.everything_but(".local"))
        state = self.top + "/.local/state/ovlrun"
        self.assertEqual(os.listdir(state), [])

    def test_by_the_supervisor_alone(self):
        self.supervised("--strict")
        self.assertEqual(self.inside("sh", "-c", f"echo changed >{self.lower}/file").returncode, 0)
        done = self.ovlrun("--read-only", "--strict", "--lower", self.lower, "--upper", self.upper, "--", "sh", "-c",
                           "cat file; echo no >file", cwd=self.lower)
        self.assertEqual(done.stdout, "changed\n")
        self.assertIn("Read-only file system", done.stderr)

    def test_of_an_upper_inside_the_lower(self):
        upper = self.top + "/upper"
        done = self.ovlrun("--lower", self.top, "--upper", upper, "--", "sh", "-c", f"echo new >{self.top}/new")
        self.assertEqual(done.returncode, 0, done.stderr)
        done = self.ovlrun("--read-only", "--lower", self.top, "--upper", upper, "--", "cat", self.top + "/new", self.lower + "/file")
        self.assertEqual((done.returncode, done.stdout), (0, "new\nlower\n"), done.stderr)

    def test_without_an_upper_lowers_are_shown(self):
        done = self.ovlrun("--read-only", "--lower", self.lower, "--", "sh", "-c", "cat file; echo no >file", cwd=self.lower)
        self.assertEqual(done.stdout, "lower\n")
        self.assertIn("Read-only file system", done.stderr)

    def test_the_upper_must_be_there(self):
        self.freeze()
        done = self.view("true")
        self.assertEqual((done.returncode, done.stderr), (125, f"ovlrun: --upper {self.upper}: No such file or directory\n"))

    def test_many_at_once(self):
        self.assertEqual(self.inside("sh", "-c", f"echo changed >{self.lower}/file").returncode, 0)
        views = [subprocess.Popen([sandbox.OVLRUN, "--read-only", "--lower", self.lower, "--upper", self.upper, "--", "cat",
                                   self.lower + "/file"], stdout=subprocess.PIPE, text=True, env=self.environment())
                 for _ in range(6)]
        self.assertEqual([view.communicate()[0] for view in views], ["changed\n"] * 6)


if __name__ == "__main__":
    sandbox.main()
