"""Where overlays stand: several pairs, several lowers, --at, nested uppers, excludes, a fresh upper, --lower /."""
import glob
import os
import re
import stat
import unittest

import sandbox


class Overlays(sandbox.Scenario):
    def ok(self, *args, **kwargs):
        done = self.ovlrun(*args, **kwargs)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def shell(self, script, *options, **kwargs):
        return self.ok("--lower", self.lower, "--upper", self.upper, *options, "--", "sh", "-ec", script, "sh",
                       self.lower, self.top, **kwargs)

    @sandbox.needs_real_upper
    def test_changes_land_in_the_upper(self):
        self.assertEqual(self.shell('cd "$1"; echo x > new; rm file; ls'), "dir\nnew\n")
        self.assertEqual(open(self.upper + "/new").read(), "x\n")
        self.assertTrue(stat.S_ISCHR(os.lstat(self.upper + "/file").st_mode))
        self.assertEqual(self.shell('ls "$1"'), "dir\nnew\n")  # a second session goes on

    def test_fresh_upper_is_named(self):
        done = self.ovlrun("--lower", self.lower, "--", "touch", self.lower + "/new")
        self.assertEqual(done.returncode, 0, done.stderr)
        match = re.fullmatch(r"ovlrun: changes are in (\S+) \(list them: ovlrun diff --upper \1\)\n", done.stderr)
        self.assertTrue(match, done.stderr)
        self.assertTrue(match[1].startswith(self.top + "/.local/state/ovlrun/"))
        self.assertEqual(os.listdir(match[1]), ["new"])

    def test_fresh_upper_in_the_state_directory_of_the_environment(self):
        done = self.ovlrun("--lower", self.lower, "--", "true", env=self.environment(XDG_STATE_HOME=self.top + "/state"))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(len(glob.glob(self.top + "/state/ovlrun/*/upper")), 1)

    def test_root_of_a_fresh_upper_is_a_copy_of_the_lowers(self):
        os.chmod(self.lower, 0o2751)
        os.utime(self.lower, (1000, 2000))
        os.setxattr(self.lower, "user.colour", b"red")
        self.assertEqual(self.shell('stat -c "%a %u %g %Y" "$1"'), f"2751 {os.getuid()} {os.stat(self.lower).st_gid} 2000\n")
        self.assertEqual(os.getxattr(self.upper, "user.colour"), b"red")
        self.shell('chmod 0700 "$1"; chmod g-s "$1"')
        self.assertEqual(self.shell('stat -c %a "$1"'), "700\n")  # a second session leaves it alone

    def test_foreign_owner_of_the_root_is_shown(self):
        if os.geteuid() == 0:
            self.skipTest("root can set any owner")
        done = self.ovlrun("--lower", "/usr", "--upper", self.upper, "--", "stat", "-c", "%U:%G", "/usr")
        self.assertEqual((done.returncode, done.stdout), (0, "root:root\n"), done.stderr)

    @sandbox.needs_real_upper
    def test_two_pairs(self):
        self.write("second/b", "b\n")
        second = self.top + "/second"
        out = self.ok("--lower", self.lower, "--upper", self.upper, "--lower", second, "--upper", self.top + "/u2", "--",
                      "sh", "-ec", f"echo 1 > {self.lower}/one; echo 2 > {second}/two; cat {self.lower}/one {second}/two; "
                      f"mv {second}/b {self.lower}/b; cat {self.lower}/b")
        self.assertEqual(out, "1\n2\nb\n")
        self.assertEqual(sorted(os.listdir(self.upper)), ["b", "one"])
        self.assertEqual(os.listdir(second), ["b"])
        self.assertTrue(stat.S_ISCHR(os.lstat(self.top + "/u2/b").st_mode))

    def test_one_in_place_inside_another(self):
        out = self.ok("--lower", self.lower, "--upper", self.upper, "--lower", self.lower + "/dir", "--upper",
                      self.top + "/u2", "--", "sh", "-ec", f"echo 1 > {self.lower}/one; echo 2 > {self.lower}/dir/two")
        self.assertEqual(out, "")
        self.assertEqual(os.listdir(self.upper), ["one"])
        self.assertEqual(os.listdir(self.top + "/u2"), ["two"])

    def test_several_lowers_shown_elsewhere(self):
        self.write("top layer/file", "top\n")
        at = self.top + "/at"
        os.mkdir(at)
        out = self.ok("--lower", f"{self.top}/top layer:{self.lower}", "--upper", self.upper, "--at", at, "--", "sh", "-ec",
                      f"cd {at}; cat file dir/inner; echo x > dir/new; ls -A dir")
        self.assertEqual(out, "top\ninner\ninner\nnew\n")
        self.assertEqual(os.listdir(at), [])
        self.assertEqual(os.listdir(self.upper + "/dir"), ["new"])

    def test_colon_in_a_lowers_name(self):
        self.write("a:b/file", "colon\n")
        lower = self.top + "/a:b"
        out = self.ok("--lower", self.top + "/a\\:b", "--upper", self.upper, "--", "cat", lower + "/file")
        self.assertEqual(out, "colon\n")

    def test_upper_nested_in_the_lower_is_passed_through(self):
        upper = self.lower + "/.ovl"
        out = self.ok("--lower", self.lower, "--upper", upper, "--", "sh", "-ec",
                      f"echo x > {self.lower}/new; cat {upper}/new")
        self.assertEqual(out, "x\n")
        self.assertEqual(os.listdir(upper), ["new"])
        self.lower_before = None  # the upper is in it
        self.assertFalse(os.path.exists(self.lower + "/new"))

    def test_home_as_lower_with_the_state_directory_in_it(self):
        done = self.ovlrun("--lower", self.top, "--", "sh", "-ec", f"echo x > {self.top}/new; cat {self.top}/new")
        self.assertEqual((done.returncode, done.stdout), (0, "x\n"), done.stderr)
        self.assertFalse(os.path.exists(self.top + "/new"))

    def test_excluded_directory_is_the_real_one(self):
        self.shell('echo real > "$1/dir/real"; echo x > "$1/other"', "--exclude", self.lower + "/dir")
        self.lower_before = None
        self.assertEqual(open(self.lower + "/dir/real").read(), "real\n")
        self.assertFalse(os.path.exists(self.lower + "/other"))
        self.assertEqual(os.listdir(self.upper), ["other"])

    def test_lower_through_a_symlink(self):
        os.symlink(self.lower, self.top + "/link")
        out = self.ok("--lower", self.top + "/link", "--upper", self.upper, "--", "sh", "-ec",
                      f"echo x > {self.top}/link/new; cat {self.lower}/new; cd {self.top}/link; pwd -P")
        self.assertEqual(out, f"x\n{self.lower}\n")

    def test_root_as_lower(self):
        target = self.top + "/below/root"
        out = self.ok("--lower", "/", "--upper", self.upper, "--", "sh", "-ec",
                      f"mkdir -p {target}; echo x > {target}/f; cat {target}/f; test -e /proc/self/exe; "
                      "echo y > /dev/null; test -d /sys; pwd")
        self.assertEqual(out, f"x\n{self.top}\n")
        self.assertFalse(os.path.exists(target))
        self.assertEqual(open(self.upper + target + "/f").read(), "x\n")

    def test_temporaries_of_an_interrupted_session_are_removed(self):
        self.shell("true")
        self.write("upper.work/work/#1f", "left")
        self.write("upper.work/work/#20/inner", "left")
        self.shell("true")
        left = [n for n in os.listdir(self.work + "/work") if n.startswith("#")]
        self.assertLessEqual(set(left), {"#whiteout"})

    @sandbox.needs_real_upper
    def test_a_session_like_the_one_before_writes_its_files_no_second_time(self):
        def marks():
            times = {name: os.stat(f"{self.work}/ovlrun/{name}").st_mtime_ns for name in ("config", "format")}
            return times, os.lstat(self.work + "/work/#whiteout").st_ino
        self.shell("true")
        before = marks()
        self.shell("true")
        self.assertEqual(marks(), before)

    def test_a_lower_more_is_written_to_the_config(self):
        self.shell("true")
        self.write("other/f", "x")
        self.ok("--lower", f"{self.lower}:{self.top}/other", "--at", self.lower, "--upper", self.upper, "--", "true")
        self.assertIn(f"lower={self.top}/other\n", open(self.work + "/ovlrun/config").read())

    @sandbox.needs_real_upper
    def test_what_is_no_whiteout_is_replaced_before_it_is_linked(self):
        self.shell("true")
        os.unlink(self.work + "/work/#whiteout")
        self.write("upper.work/work/#whiteout", "left")
        self.shell('rm "$1/file"')
        st = os.lstat(self.upper + "/file")
        self.assertTrue(stat.S_ISCHR(st.st_mode))
        self.assertEqual(st.st_rdev, 0)

    def test_moved_directory_is_known_to_the_next_session(self):
        self.shell('mv "$1/dir" "$1/moved"')
        out = self.shell('cd "$1/moved"; /bin/pwd; cat inner; cd ..; ls -d dir || echo gone', cwd=self.top)
        self.assertEqual(out, f"{self.lower}/moved\ninner\ngone\n")

    def test_session_files_are_private(self):
        script = 'stat -Lc "%a %F" "$2"/upper.work/ovlrun/session'
        self.assertEqual(self.shell(script), "600 regular file\n")
        self.assertFalse(os.path.exists(self.work + "/ovlrun/session"))  # gone with the session


if __name__ == "__main__":
    sandbox.main()
