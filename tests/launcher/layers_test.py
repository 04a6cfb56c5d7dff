"""An upper over other lowers than it was made for, and a workdir of another upper: told at the start, in one line."""
import os
import shutil
import subprocess
import unittest

import sandbox
from uppers import ROOT, Uppers

ADVICE = "what it has of the lower may not fit; another --upper starts afresh\n"


class Layers(Uppers):
    def session(self, script="true", lower=None, *options):
        self.freeze()
        return self.ovlrun("--lower", lower or self.lower, "--upper", self.upper, *options, "--", "bash", "-ec", script)

    def quiet(self, *arguments):
        done = self.session(*arguments)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return done.stdout

    def told(self, line, *arguments):
        done = self.session(*arguments)
        self.assertEqual((done.returncode, done.stderr), (0, f"ovlrun: {line}"))
        # From now on it is the one that the upper is for.
        self.quiet(*arguments)
        return done.stdout

    def other(self, lower=None):
        return f"--upper {self.upper}: was made over another lower than {lower or self.lower}: {ADVICE}"

    def replace(self):
        """Another directory with the same content, at the same place."""
        os.rename(self.lower, self.lower + ".old")
        shutil.copytree(self.lower + ".old", self.lower)
        self.lower_before = None

    def test_the_same_lower_by_another_name_or_with_other_content_is_the_one(self):
        self.quiet("touch new")
        self.write("lower/more", "more\n")
        self.lower_before = None
        self.quiet()
        os.rename(self.lower, self.top + "/renamed")
        os.symlink("renamed", self.lower)
        self.lower_before = None
        self.quiet("true", self.lower, "--at", self.top + "/renamed")

    def test_another_directory_at_its_place(self):
        self.quiet(f"touch {self.lower}/new")
        self.replace()
        self.assertEqual(self.told(self.other(), f"ls {self.lower}"), "dir\nfile\nnew\n")

    def test_another_lower_by_name(self):
        self.quiet()
        self.write("second/file", "second\n")
        self.told(self.other(self.top + "/second"), "true", self.top + "/second")

    def test_one_of_several_and_another_number(self):
        for name in ("second", "third", "at"):
            os.mkdir(f"{self.top}/{name}")
        at = ("--at", self.top + "/at")
        self.quiet("true", f"{self.lower}:{self.top}/second", *at)
        self.told(self.other(self.top + "/third"), "true", f"{self.lower}:{self.top}/third", *at)
        self.told(f"--upper {self.upper}: was made over 2 lowers, not 1: {ADVICE}", "true", self.lower, *at)

    def test_an_upper_of_an_older_version_says_nothing(self):
        self.quiet("touch new")
        config = self.work + "/ovlrun/config"
        with open(config) as file:
            lines = [line for line in file if not line.startswith(("root=", "upper-root="))]
        with open(config, "w") as file:
            file.writelines(lines)
        self.replace()
        self.quiet()

    def test_settle_refuses_another_lower(self):
        self.quiet(f"chmod 600 {self.lower}/file")
        self.replace()
        done = self.settle(expect=125)
        self.assertEqual((done.stdout, done.stderr), ("", f"ovlrun: settle: {self.other()[:-1]}; if it does fit, run a session over it first\n"))
        self.told(self.other())
        self.settle()

    def with_an_index(self):
        os.link(self.lower + "/file", self.lower + "/link")
        self.quiet(f"echo more >> {self.lower}/file")

    def other_index(self):
        return (f"--work {self.work}: its index of hard links was made for another upper than {self.upper}: what that one changed may be seen; "
                "another --work starts afresh\n")

    @sandbox.needs_real_upper
    def test_an_index_that_an_upper_has_left(self):
        self.with_an_index()
        os.rename(self.upper, self.upper + ".old")
        os.mkdir(self.upper)  # not the same number
        self.told(self.other_index())

    @sandbox.needs_real_upper
    def test_an_index_of_another_upper(self):
        self.with_an_index()
        work, self.upper = self.work, self.top + "/other"
        self.quiet(f"touch {self.lower}/new")
        done = self.session("true", None, "--work", work)
        self.assertEqual((done.returncode, done.stderr), (0, f"ovlrun: {self.other_index()}"))

    @sandbox.needs_real_upper
    def test_a_copy_of_both_says_nothing(self):
        self.with_an_index()
        os.mkdir(self.top + "/old")
        for name in ("upper", "upper.work"):
            os.rename(f"{self.top}/{name}", f"{self.top}/old/{name}")
        subprocess.run(["cp", "-a", "old/upper", "old/upper.work", "."], cwd=self.top, check=True)
        self.quiet()

    @unittest.skipUnless(ROOT, "mounts need root")
    def test_another_file_system_with_the_same_inode_numbers(self):
        script = ('mount -t tmpfs one "$1" && mkdir "$1/d" && "$2" --lower "$1/d" --upper "$3" -- true && '
                  'umount "$1" && mount -t tmpfs two "$1" && mkdir "$1/d" && exec "$2" --lower "$1/d" --upper "$3" -- true')
        os.mkdir(self.top + "/mount")
        done = subprocess.run(["unshare", "--mount", "bash", "-c", script, "bash", self.top + "/mount", sandbox.OVLRUN, self.upper],
                              env=self.environment(), capture_output=True, text=True)
        if "mount" in done.stderr and "ovlrun:" not in done.stderr:
            self.skipTest(f"no tmpfs here: {done.stderr}")
        self.assertEqual((done.returncode, sandbox.without_notice(done).stderr), (0, f"ovlrun: {self.other(self.top + '/mount/d')}"))

    @unittest.skipUnless(ROOT, "mounts need root")
    def test_nothing_is_told_of_overlay_mounts(self):
        script = ('cd "$1"; mkdir mount upper1 upper2 work1 work2\nfor i in 1 2; do '
                  'mount -t overlay overlay -o "lowerdir=lower,upperdir=upper$i,workdir=work$i" mount || exit 77; mkdir "mount/d$i"; '
                  '"$2" --lower "$1/mount" --upper "$3" -- true; umount mount; done')
        done = subprocess.run(["unshare", "--mount", "bash", "-c", script, "bash", self.top, sandbox.OVLRUN, self.upper],
                              env=self.environment(), capture_output=True, text=True)
        if done.returncode == 77:
            self.skipTest(f"no kernel overlay here: {done.stderr}")
        self.assertEqual((done.returncode, sandbox.without_notice(done).stderr), (0, ""))

    @sandbox.needs_own_supervisor
    def test_in_an_inner_session(self):
        inner = f"{sandbox.OVLRUN} --lower {self.lower}/dir --upper {self.top}/inner -- true"
        self.quiet(f"{inner}; touch {self.lower}/dir; {inner}")
        done = self.session(f"{inner}; mv {self.lower}/dir {self.lower}/aside; mkdir {self.lower}/dir; {inner}")
        self.assertEqual(done.returncode, 0)
        self.assertEqual(done.stderr, f"ovlrun: --upper {self.top}/inner: was made over another lower than {self.lower}/dir: {ADVICE}")


if __name__ == "__main__":
    sandbox.main()
