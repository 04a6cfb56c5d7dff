"""Bad input: exit 125, one line on stderr that names what is wrong, and nothing is touched."""
import os
import shutil
import subprocess
import unittest

import sandbox


class BadInput(sandbox.Scenario):
    def refused(self, *args, says, status=125, times=True, command=("true",), **kwargs):
        before = sandbox.fingerprint(self.top, times)
        done = self.ovlrun(*args, *(("--", *command) if command else ()), **kwargs)
        self.assertEqual(done.returncode, status, done.stderr)
        self.assertEqual(done.stdout, "")
        self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
        self.assertTrue(done.stderr.startswith("ovlrun: "), done.stderr)
        for text in [says] if isinstance(says, str) else says:
            self.assertIn(text, done.stderr)
        self.assertEqual(before, sandbox.fingerprint(self.top, times), "something was touched")

    def path(self, name):
        return os.path.join(self.top, name)

    def mkdir(self, name):
        os.makedirs(self.path(name))
        return self.path(name)

    # --- the command line ---
    def test_unknown_option(self):
        self.refused("--lower", self.lower, "--frobnicate", says="--frobnicate")

    def test_no_lower(self):
        self.refused(says="--lower")

    def test_no_command(self):
        self.refused("--lower", self.lower, "--upper", self.upper, command=None, says="no command")

    def test_empty_command_line_after_the_dashes(self):
        self.refused("--lower", self.lower, "--upper", self.upper, "--", command=None, says="no command")

    def test_command_without_dashes(self):
        self.refused("--lower", self.lower, "--upper", self.upper, "make", command=None, says="make")

    def test_option_without_value(self):
        self.refused("--lower", says="--lower")

    def test_bad_words(self):
        for option in ("--perm=all", "--redirect-dir=maybe", "--metacopy=yes", "--xattr=system"):
            with self.subTest(option):
                self.refused("--lower", self.lower, "--upper", self.upper, option, says=option.split("=")[1])

    def test_member_given_twice(self):
        self.refused("--lower", self.lower, "--upper", self.upper, "--upper", self.path("u2"), says="twice")

    def test_empty_names(self):
        self.refused("--lower", "", "--upper", self.upper, says="--lower")
        self.refused("--lower", self.lower + ":", "--upper", self.upper, says="--lower")

    # --- the lower ---
    def test_missing_lower(self):
        self.refused("--lower", self.path("none"), "--upper", self.upper,
                     says=[self.path("none"), "No such file or directory"])

    def test_lower_is_a_file(self):
        self.refused("--lower", self.lower + "/file", "--upper", self.upper, says="Not a directory")

    @unittest.skipIf(os.geteuid() == 0, "root may read everything")
    def test_unreadable_lower(self):
        os.chmod(self.mkdir("closed"), 0)
        self.refused("--lower", self.path("closed"), "--upper", self.upper, says="Permission denied")

    def test_pseudo_file_systems(self):
        for lower in ("/proc", "/sys", "/proc/self"):
            self.refused("--lower", lower, "--upper", self.upper, says="proc or sysfs")

    def test_several_lowers_without_at(self):
        self.refused("--lower", f"{self.lower}:{self.mkdir('second')}", "--upper", self.upper, says="--at")

    def test_overlapping_lowers(self):
        at = self.mkdir("at")
        self.refused("--lower", f"{self.lower}:{self.lower}/dir", "--upper", self.upper, "--at", at, says="overlaps")
        self.refused("--lower", f"{self.lower}:{self.lower}", "--upper", self.upper, "--at", at, says="overlaps")

    def test_lowers_overlapping_of_two_pairs(self):
        self.refused("--lower", self.lower, "--upper", self.upper, "--lower", self.lower, "--upper", self.path("u2"),
                     says="")
        self.refused("--lower", self.lower, "--upper", self.upper, "--lower", self.lower + "/dir", "--upper",
                     self.path("u2"), "--at", self.mkdir("at"), says="overlaps")

    def test_at_missing_or_inside_the_lower(self):
        self.refused("--lower", self.lower, "--upper", self.upper, "--at", self.path("none"),
                     says="No such file or directory")
        self.refused("--lower", self.lower, "--upper", self.upper, "--at", self.lower + "/dir", says="inside")

    # --- the upper and the workdir ---
    @unittest.skipIf(os.geteuid() == 0, "root may write everywhere")
    def test_upper_not_writable(self):
        os.chmod(self.mkdir("readonly"), 0o555)
        self.refused("--lower", self.lower, "--upper", self.path("readonly"), says="Permission denied")
        self.refused("--lower", self.lower, "--upper", self.path("readonly/new"), says="Permission denied")

    @unittest.skipIf(os.geteuid() == 0, "root may write everywhere")
    def test_workdir_not_writable(self):
        os.chmod(self.mkdir("readonly"), 0o555)
        self.refused("--lower", self.lower, "--upper", self.upper, "--work", self.path("readonly"),
                     says=["--work", "Permission denied"])

    def test_upper_is_a_file(self):
        self.write("plain", "")
        self.refused("--lower", self.lower, "--upper", self.path("plain"), says="Not a directory")
        self.refused("--lower", self.lower, "--upper", self.path("plain/below"), says="Not a directory")

    def test_upper_equals_lower(self):
        self.refused("--lower", self.lower, "--upper", self.lower, says="is the lower itself")
        os.symlink(self.lower, self.path("link"))
        self.refused("--lower", self.lower, "--upper", self.path("link"), says="is the lower itself")

    def test_lower_inside_upper(self):
        self.refused("--lower", self.lower + "/dir", "--upper", self.lower, says="inside the upper")

    def test_upper_and_workdir_in_one_another(self):
        self.refused("--lower", self.lower, "--upper", self.upper, "--work", self.upper, says="--work")
        self.refused("--lower", self.lower, "--upper", self.upper, "--work", self.upper + "/w", says="inside")
        self.refused("--lower", self.lower, "--upper", self.upper + "/u", "--work", self.upper, says="inside")

    def test_uppers_of_two_pairs_overlap(self):
        other = self.mkdir("other")
        self.refused("--lower", self.lower, "--upper", self.upper, "--lower", other, "--upper", self.upper,
                     says="overlaps")
        self.refused("--lower", self.lower, "--upper", self.upper, "--lower", other, "--upper", self.upper + "/u",
                     says="overlaps")

    def test_workdir_on_another_file_system(self):
        if os.stat("/dev/shm").st_dev == os.stat(self.top).st_dev:
            self.skipTest("no second file system")
        work = f"/dev/shm/ovlrun-test-{os.getpid()}"
        self.refused("--lower", self.lower, "--upper", self.upper, "--work", work, says="file system")
        self.assertFalse(os.path.exists(work))

    def test_workdir_with_foreign_things(self):
        self.write("upper.work/notes", "mine")
        self.refused("--lower", self.lower, "--upper", self.upper, says=["notes", "not ovlrun's"])

    def test_workdir_with_foreign_things_inside(self):
        self.write("upper.work/work/notes", "mine")
        self.refused("--lower", self.lower, "--upper", self.upper, says="work/notes")

    def test_unknown_feature_in_the_workdir(self):
        os.makedirs(self.work + "/work/incompat/newer")
        self.refused("--lower", self.lower, "--upper", self.upper, says=["newer", "does not know"])

    def test_format_from_a_newer_version(self):
        self.write("upper.work/ovlrun/format", "2\n")
        self.refused("--lower", self.lower, "--upper", self.upper, says="newer version")

    def test_unknown_private_xattr(self):
        self.mkdir("upper")
        try:
            os.setxattr(self.upper, "user.overlay.hologram", b"y")
        except OSError as error:
            self.skipTest(f"no user xattrs here: {error}")
        self.refused("--lower", self.lower, "--upper", self.upper, says=["hologram", "newer version"])

    def test_file_system_without_xattrs(self):
        mount = self.mkdir("ramfs")
        before = sandbox.fingerprint(self.top, times=False)
        done = subprocess.run(
            ["unshare", "-Urm", "sh", "-c",
             'mount -t ramfs none "$1" || exit 77; mkdir "$1/d"; "$2" --lower "$3" --upper "$1/d/upper" -- true; '
             'status=$?; ls -A "$1/d"; exit $status', "sh", mount, sandbox.OVLRUN, self.lower],
            env=self.environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if done.returncode in (1, 77):
            self.skipTest(f"can't mount a ramfs: {done.stderr.strip()}")
        sandbox.without_notice(done)
        self.assertEqual((done.returncode, done.stdout), (125, ""), done.stderr)
        self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
        self.assertIn("no user xattrs", done.stderr)
        self.assertEqual(before, sandbox.fingerprint(self.top, times=False))

    # --- the rest ---
    def test_excludes(self):
        self.refused("--lower", self.lower, "--upper", self.upper, "--exclude", self.lower + "/none",
                     says="No such file or directory")
        self.refused("--lower", self.lower, "--upper", self.upper, "--exclude", self.top, says="below no --lower")

    def test_no_state_directory(self):
        env = self.environment(HOME=self.lower + "/file/home")
        self.refused("--lower", self.lower, env=env, says=["--upper", "Not a directory"])

    def test_trace_file_that_cannot_be_written(self):
        self.refused("--lower", self.lower, "--upper", self.upper, "--trace=" + self.path("none/trace"),
                     says=["--trace", "No such file or directory"])
        self.refused("--lower", self.lower, "--upper", self.upper, "--trace=" + self.top, says="Is a directory")

    def test_below_a_session(self):
        self.write("session", "")
        self.refused("--lower", self.lower, "--upper", self.upper,
                     env=self.environment(OVLRUN_SESSION=self.path("session")), says="already below ovlrun")

    def test_command_not_found(self):
        self.refused("--lower", self.lower, "--upper", self.upper, command=("no-such-command",), status=127,
                     says="no-such-command: No such file or directory")
        self.refused("--lower", self.lower, "--upper", self.upper, command=("./none/such",), status=127,
                     says="./none/such: No such file or directory")
        self.refused("--lower", self.lower, "--upper", self.upper, command=("",), status=127,
                     says="No such file or directory")

    def test_command_not_executable(self):
        self.refused("--lower", self.lower, "--upper", self.upper, command=(self.lower + "/file",), status=126,
                     says="Permission denied")
        self.refused("--lower", self.lower, "--upper", self.upper, command=(self.lower,), status=126,
                     says="Permission denied")

    def test_names_with_newlines_stay_on_one_line(self):
        self.refused("--lower", self.path("no\nsuch"), "--upper", self.upper, says="no\\nsuch")

    def test_diff(self):
        for args, says in (((), "no --upper"), (("--upper", self.path("none")), "No such file"),
                           (("--upper", self.lower), "no session is recorded"), (("--frob",), "--frob")):
            before = sandbox.fingerprint(self.top)
            done = self.ovlrun("diff", *args)
            self.assertEqual((done.returncode, done.stdout), (125, ""))
            self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
            self.assertIn(says, done.stderr)
            self.assertEqual(before, sandbox.fingerprint(self.top))

    # --- portable uppers ---
    def test_portable_and_its_contradictions(self):
        for option in ("--redirect-dir=on", "--metacopy=on", "--xattr=trusted"):
            with self.subTest(option):
                self.refused("--lower", self.lower, "--upper", self.upper, "--portable", option, says=["--portable", option])

    def test_portable_over_an_upper_that_is_not(self):
        self.mkdir("upper.work/work/incompat/ovlrun")
        self.refused("--lower", self.lower, "--upper", self.mkdir("upper"), "--portable", says=["--portable", "settle"])

    def test_an_index_of_hard_links(self):
        upper = self.mkdir("upper")
        self.write("upper.work/index/00fb", "")
        self.refused("--lower", self.lower, "--upper", upper, "--portable", says=["--portable", "index", "settle"])

    def settle_refused(self, *args, says):
        self.refused("settle", *args, says=says, command=None)

    def test_settle_of_what_is_no_upper(self):
        self.settle_refused(says="--upper")
        self.settle_refused("--frobnicate", says="--frobnicate")
        self.settle_refused("--lower", self.lower, "--upper", self.path("none"), says="No such file or directory")
        self.settle_refused("--lower", self.lower, "--upper", self.lower + "/file", says="Not a directory")
        self.settle_refused("--upper", self.mkdir("upper"), says="--lower")  # no session has used it
        self.settle_refused("--lower", self.lower, "--upper", self.upper, "--upper", self.upper, says="--upper")

    def test_settle_over_what_is_no_lower(self):
        upper = self.mkdir("upper")
        self.settle_refused("--lower", self.path("none"), "--upper", upper, says="No such file or directory")
        self.settle_refused("--lower", self.lower + "/file", "--upper", upper, says="Not a directory")
        self.settle_refused("--lower", upper, "--upper", upper, says="is the lower itself")
        self.settle_refused("--lower", self.mkdir("upper/inside"), "--upper", upper, says="lies inside the upper")

    def test_settle_with_a_strange_workdir(self):
        upper = self.mkdir("upper")
        self.settle_refused("--lower", self.lower, "--upper", upper, "--work", self.path("none"), says="--work")
        self.settle_refused("--lower", self.lower, "--upper", upper, "--work", self.lower + "/file", says="Not a directory")
        self.write("strange/file", "")
        self.settle_refused("--lower", self.lower, "--upper", upper, "--work", self.path("strange"), says="not ovlrun's")
        self.write("upper.work/ovlrun/format", "99\n")
        self.settle_refused("--lower", self.lower, "--upper", upper, says="newer version")

    def test_settle_over_another_lower_than_the_last_session_had(self):
        self.assertEqual(self.inside("true").returncode, 0)
        self.settle_refused("--lower", self.mkdir("other"), "--upper", self.upper, says=["last session", self.lower])

    @sandbox.needs_real_upper
    def test_settle_and_export_below_ovlrun(self):
        self.assertEqual(self.inside("true").returncode, 0)
        for command in (["settle", "--upper", self.upper], ["export", "--trusted", "--upper", self.upper, self.path("copy")]):
            done = self.ovlrun("--lower", self.mkdir("l" + command[0]), "--upper", self.path("u" + command[0]), "--",
                               sandbox.OVLRUN, *command)
            says = "only root" if command[0] == "export" and os.geteuid() != 0 else "below another ovlrun"
            self.assertEqual((done.returncode, done.stderr.count("\n")), (125, 1), done.stderr)
            self.assertIn(says, done.stderr)

    def test_export_as_the_line_wants_it(self):
        self.refused("export", self.path("copy"), says="--trusted", command=None)
        self.refused("export", "--frobnicate", says="--frobnicate", command=None)
        if os.geteuid() != 0:
            self.refused("export", "--trusted", "--upper", self.mkdir("upper"), self.path("copy"), says="root", command=None)


if __name__ == "__main__":
    sandbox.main()
