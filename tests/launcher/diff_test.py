"""`ovlrun diff` on uppers made by hand, and on one that programs made."""
import os
import stat
import unittest

import sandbox


class Diff(sandbox.Scenario):
    def setUp(self):
        super().setUp()
        try:
            os.setxattr(self.lower, "user.test", b"")
            os.removexattr(self.lower, "user.test")
        except OSError as error:
            self.skipTest(f"no user xattrs here: {error}")
        os.mkdir(self.upper)

    def diff(self, *args):
        self.freeze()
        before = sandbox.fingerprint(self.upper)
        done = self.ovlrun("diff", "--upper", self.upper, "--lower", self.lower, *args)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(before, sandbox.fingerprint(self.upper), "diff changed the upper")
        return done.stdout.replace(self.lower + "/", "").splitlines()

    def whiteout(self, name):
        path = os.path.join(self.upper, name)
        try:
            os.mknod(path, stat.S_IFCHR, 0)
        except PermissionError as error:
            self.skipTest(f"can't make a whiteout: {error}")

    def copy_up(self, name):
        """What a copy-up without any change leaves."""
        low, up = os.path.join(self.lower, name), os.path.join(self.upper, name)
        if os.path.isdir(low):
            os.mkdir(up)
        else:
            with open(low, "rb") as f, open(up, "wb") as g:
                g.write(f.read())
        st = os.lstat(low)
        os.chmod(up, stat.S_IMODE(st.st_mode))
        os.utime(up, ns=(st.st_atime_ns, st.st_mtime_ns))
        return up

    def test_nothing(self):
        self.assertEqual(self.diff(), [])

    def test_added(self):
        self.write("upper/new", "x")
        self.write("upper/newdir/a", "x")
        os.symlink("nowhere", self.upper + "/link")
        self.assertEqual(self.diff(), ["A link", "A new", "A newdir", "A newdir/a"])

    def test_modified(self):
        self.copy_up("dir")
        self.write("upper/file", "LOWER\n")
        self.write("upper/dir/inner", "longer than before\n")
        self.assertEqual(self.diff(), ["M dir/inner", "M file"])

    def test_copied_up_alone_is_no_change(self):
        self.copy_up("dir")
        self.copy_up("dir/inner")
        self.copy_up("file")
        self.assertEqual(self.diff(), [])

    def test_metadata_only(self):
        os.chmod(self.copy_up("dir"), 0o700)
        os.chmod(self.copy_up("file"), 0o600)
        os.utime(self.copy_up("dir/inner"), (1, 1))
        self.assertEqual(self.diff(), ["m dir", "m dir/inner", "m file"])

    @sandbox.needs_real_upper
    def test_recorded_owner_is_metadata(self):
        path = self.copy_up("file")
        os.setxattr(path, "user.containers.override_stat", b"12:34:0644:file")
        self.assertEqual(self.diff(), ["m file"])

    def test_xattrs_are_metadata_but_not_the_private_ones(self):
        path = self.copy_up("file")
        os.setxattr(path, "user.overlay.origin", b"")
        self.assertEqual(self.diff(), [])
        os.setxattr(path, "user.colour", b"red")
        self.assertEqual(self.diff(), ["m file"])

    def test_metacopy(self):
        path = self.copy_up("file")
        os.chmod(path, 0o640)
        os.truncate(path, 0)
        os.truncate(path, 6)
        os.setxattr(path, "user.overlay.metacopy", b"")
        os.utime(path, ns=(0, os.stat(self.lower + "/file").st_mtime_ns))
        self.assertEqual(self.diff(), ["m file"])

    def test_deleted(self):
        self.whiteout("dir")
        self.whiteout("file")
        self.whiteout("was-never-there")
        self.assertEqual(self.diff(), ["D dir", "D file"])

    def test_type_changed(self):
        os.mkdir(self.upper + "/file")
        self.write("upper/file/below", "x")
        self.write("upper/dir", "x")
        self.assertEqual(self.diff(), ["T dir", "T file", "A file/below"])

    def test_opaque_directory_hides_what_lies_below(self):
        self.write("lower/dir/kept", "1")
        self.write("lower/dir/sub/deep", "1")
        self.copy_up("dir")
        os.setxattr(self.upper + "/dir", "user.overlay.opaque", b"y")
        self.copy_up("dir/kept")
        self.write("upper/dir/fresh", "x")
        self.assertEqual(self.diff(), ["A dir/fresh", "D dir/inner", "D dir/sub"])

    def test_renamed(self):
        self.write("lower/dir/other", "1")
        self.whiteout("dir")
        os.mkdir(self.upper + "/moved")
        os.setxattr(self.upper + "/moved", "user.overlay.redirect", b"dir")
        self.whiteout("moved/other")
        self.write("upper/moved/inner", "changed\n")
        self.assertEqual(self.diff(), ["R dir -> moved", "M moved/inner", "D moved/other"])

    def test_renamed_below_a_renamed_directory(self):
        self.write("lower/dir/sub/x", "1")
        self.whiteout("dir")
        os.makedirs(self.upper + "/moved/deeper")
        os.setxattr(self.upper + "/moved", "user.overlay.redirect", b"dir")
        self.whiteout("moved/sub")
        os.setxattr(self.upper + "/moved/deeper", "user.overlay.redirect", b"/dir/sub")
        self.assertEqual(self.diff(), ["R dir -> moved", "R dir/sub -> moved/deeper"])

    def test_renamed_over_another(self):
        self.write("lower/target/old", "1")
        self.whiteout("dir")
        os.mkdir(self.upper + "/target")
        os.setxattr(self.upper + "/target", "user.overlay.redirect", b"dir")
        self.assertEqual(self.diff(), ["D target", "R dir -> target"])

    def test_renamed_file(self):
        os.rmdir(self.upper)
        done = self.inside("sh", "-c", f"cd {self.lower}; mv file name; mv dir/inner inner; echo more >> inner; echo x > other")
        self.assertEqual(done.returncode, 0, done.stderr)
        lines = self.ovlrun("diff", "--upper", self.upper).stdout.replace(self.lower + "/", "").splitlines()
        self.assertEqual(lines, ["M inner", "R dir/inner -> inner", "R file -> name", "A other"])

    def test_names_are_quoted(self):
        for name in (b"new\nline", b"bad\xff", b"sp ace", b"quo'te", "\u00fcml".encode()):
            with open(os.fsencode(self.upper) + b"/" + name, "w"):
                pass
        lines = [line[2:].replace(self.lower + "/", "") for line in self.diff()]
        self.assertEqual(lines, [r"$'bad\377'", r"$'new\nline'", r"'quo'\''te'", "'sp ace'", "\u00fcml"])

    def test_null_terminated(self):
        self.write("upper/a b\n", "x")
        done = self.ovlrun("diff", "--upper", self.upper, "--lower", self.lower, "--null")
        self.assertEqual(done.stdout, f"A {self.lower}/a b\n\0")

    def test_shown_elsewhere(self):
        self.write("upper/new", "x")
        done = self.ovlrun("diff", "--upper", self.upper, "--lower", self.lower, "--at", "/somewhere")
        self.assertEqual(done.stdout, "A /somewhere/new\n", done.stderr)

    def test_after_a_session(self):
        os.rmdir(self.upper)
        script = ("cd \"$1\" && echo new > new && echo more >> file && rm dir/inner && chmod 700 dir && "
                  "mkdir fresh && ln -s x fresh/l")
        done = self.inside("sh", "-c", script, "sh", self.lower)
        self.assertEqual(done.returncode, 0, done.stderr)
        done = self.ovlrun("diff", "--upper", self.upper)  # the lower is recorded
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        lines = done.stdout.replace(self.lower + "/", "").splitlines()
        self.assertEqual(lines, ["m dir", "D dir/inner", "M file", "A fresh", "A fresh/l", "A new"])

    def test_newest_of_the_state_directory(self):
        done = self.ovlrun("--lower", self.lower, "--", "touch", self.lower + "/new")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("/.local/state/ovlrun/", done.stderr)
        self.assertEqual(self.ovlrun("diff").stdout, f"A {self.lower}/new\n")


if __name__ == "__main__":
    sandbox.main()
