"""ovlrun inside ovlrun: over the same lower, over /, with inner uppers inside and outside of the session around."""
import os
import shutil
import subprocess
import unittest

import sandbox
from sandbox import OVLRUN, fingerprint

STATIC_SHELL = shutil.which("busybox") if sandbox.is_static(shutil.which("busybox")) else None


class Nested(sandbox.Scenario):
    """Scripts run below one ovlrun. In them $O is ovlrun, $L the lower, $T the scratch directory."""

    def setUp(self):
        super().setUp()
        for name in ("a", "b", "gone"):
            self.write("lower/" + name, name + "\n")
        self.write("lower/tree/deep/leaf", "leaf\n")

    def variables(self, **more):
        return self.environment(O=OVLRUN, L=self.lower, T=self.top, **more)

    def outer(self, script, *options, lower=None, upper=None, status=0, **more):
        done = self.ovlrun("--lower", lower or self.lower, "--upper", upper or self.upper, *options, "--", "bash", "-ec",
                           script, env=self.variables(**more))
        self.assertEqual(done.returncode, status, done.stderr)
        self.assertEqual(done.stderr if status == 0 else "", "")
        return done.stdout

    def refused(self, script, message, **more):
        done = self.ovlrun("--lower", more.pop("lower", self.lower), "--upper", self.upper, "--", "bash", "-c",
                           script + "\nexit $?", env=self.variables())
        self.assertEqual(done.returncode, 125, done.stderr)
        self.assertIn(message, done.stderr)
        self.assertEqual(len(done.stderr.strip().split("\n")), 1, done.stderr)


class SamePlace(Nested):
    """The inner overlay stands where the outer one does; its upper is outside of both."""

    def test_inner_sees_what_outer_changed_and_outer_sees_nothing_of_inner(self):
        out = self.outer("""cd $L
            echo outer > a; rm gone; mkdir new; echo n > new/file
            "$O" --lower "$L" --upper "$T/inner" -- bash -ec '
                cat a b new/file; test ! -e gone
                echo inner > a; echo inner > gone; rm b; rm -r new; echo more > tree/deep/more
                cat a gone; ls; ls tree/deep; pwd'
            cat a b new/file; ls; ls tree/deep""")
        self.assertEqual(out.split(), "outer b n inner inner a dir file gone tree leaf more".split() + [self.lower] +
                         "outer b n a b dir file new tree leaf".split())

    def test_uppers_of_the_session_around_stay_as_they_are(self):
        self.outer('echo outer > "$L/a"; mkdir "$L/new"; chmod 700 "$L/tree"; mv "$L/tree/deep" "$L/moved"')
        before = fingerprint(self.upper)
        self.outer("""cd $L
            "$O" --lower "$L" --upper "$T/inner" -- bash -ec '
                echo x >> a; echo x >> b; echo x >> new/x; rm -r tree; mv moved moved2; chmod 600 a; ln a link; mkdir c'""")
        self.assertEqual(before, fingerprint(self.upper))

    def test_three_deep(self):
        out = self.outer("""cd $L; echo 1 > one
            "$O" --lower "$L" --upper "$T/u1" -- bash -ec '
                echo 2 > two; rm a
                "$O" --lower "$L" --upper "$T/u2" -- bash -ec "
                    echo 3 > three; rm one b; ls; readlink /proc/self/cwd"
                echo -; ls
                "$O" --lower "$L" --upper "$T/u2" -- ls'
            echo -; ls""")
        self.assertEqual(out.replace("\n", " "),
                         f"dir file gone three tree two {self.lower} - b dir file gone one tree two "
                         "dir file gone three tree two - a b dir file gone one tree ")

    def test_moved_directories_of_either(self):
        out = self.outer("""cd $L
            mv tree/deep moved; mv tree/../moved tree/again; mkdir pure; echo p > pure/file; mv pure pure2
            "$O" --lower "$L" --upper "$T/inner" -- bash -ec '
                cat tree/again/leaf; mv tree/again ./up; mv tree trunk; cat up/leaf; cd up; pwd; mv ../up ../top
                pwd -P; cat leaf; echo x >> leaf; mv ../pure2 ../pure3; ls .. ../trunk; cat ../pure3/file'
            ls . tree; cat tree/again/leaf
            "$O" --lower "$L" --upper "$T/inner" -- bash -ec 'cd top; /bin/pwd; cat leaf; cd ../pure3; /bin/pwd'""")
        self.assertEqual(out.split("\n"), [
            "leaf", "leaf", self.lower + "/up", self.lower + "/top", "leaf",
            "..:", "a", "b", "dir", "file", "gone", "pure3", "top", "trunk", "", "../trunk:", "p",
            ".:", "a", "b", "dir", "file", "gone", "pure2", "tree", "", "tree:", "again", "leaf",
            self.lower + "/top", "leaf", "x", self.lower + "/pure3", ""])

    def test_opaque_and_whiteouts_of_the_outer_count_on_the_way_of_an_inner_move(self):
        out = self.outer("""cd $L
            rm -r tree; mkdir -p tree/deep; echo new > tree/deep/new
            "$O" --lower "$L" --upper "$T/inner" -- bash -ec 'mv tree/deep moved; ls moved; rm moved/new; rmdir moved'
            "$O" --lower "$L" --upper "$T/inner" -- ls tree""")
        self.assertEqual(out, "new\n")

    @unittest.skipIf(os.geteuid() == 0, "root may search every directory")
    def test_directories_that_are_closed_outside_are_closed_inside(self):
        out = self.outer("""mkdir "$L/closed"; echo x > "$L/closed/file"; chmod 0 "$L/closed"
            "$O" --lower "$L" --upper "$T/inner" -- cat "$L/closed/file" 2>&1 || echo $?""")
        self.assertEqual(out, f"cat: {self.lower}/closed/file: Permission denied\n1\n")

    def test_recorded_modes_count_inside_where_only_the_outer_upper_has_the_lower(self):
        out = self.outer("""mkdir -p "$L/only/closed"; echo x > "$L/only/file"; chmod 0 "$L/only/file" "$L/only/closed"
            "$O" --lower "$L/only" --upper "$T/inner" -- stat -c %a "$L/only/file" "$L/only/closed" """)
        self.assertEqual(out, "0\n0\n")

    @unittest.skipUnless(os.geteuid() == 0, "others can't give files away")
    def test_owners_of_symlinks_and_special_files_of_either(self):
        os.symlink("a", self.lower + "/link")
        os.mkfifo(self.lower + "/fifo")
        for name in ("link", "fifo", "a"):
            os.chown(f"{self.lower}/{name}", 12, 34, follow_symlinks=False)
        os.chmod(self.top, 0o755)
        os.mkdir(self.top + "/user")
        os.chown(self.top + "/user", 65500, 65500)
        self.freeze()
        script = """cd $L; mv link link2; chmod 600 fifo; mkdir inside; stat -c "%n %u:%g" link2 fifo
            "$O" --lower "$L" --upper "$L/inside/up" -- bash -ec '
                stat -c "%n %u:%g" link2 fifo; ln -P link2 link3; mv fifo fifo2; touch -h link2
                stat -c "%n %u:%g %h" link3 fifo2'
            "$O" --lower "$L" --upper "$L/inside/up" -- stat -c "%n %u:%g %h" link3 fifo2
            stat -c "%n %u:%g" link2 fifo"""
        done = subprocess.run(["setpriv", "--reuid=65500", "--regid=65500", "--clear-groups", OVLRUN, "--lower", self.lower,
                               "--upper", self.top + "/user/upper", "--", "bash", "-ec", script], env=self.variables(HOME=self.top + "/user"),
                              cwd="/", stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if "can't load" in done.stderr or "Permission denied" in done.stderr and not os.path.exists(self.top + "/user/upper"):
            self.skipTest(f"an ordinary user can't run {OVLRUN}: {done.stderr}")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        owners = ["link2 12:34", "fifo 12:34"]
        self.assertEqual(done.stdout.splitlines(), [*owners, *owners, *["link3 12:34 2", "fifo2 12:34 1"] * 2, *owners])

    def test_descriptors_and_attributes(self):
        self.outer("""cd $L
            chmod 640 a; touch -d @1000 b
            "$O" --lower "$L" --upper "$T/inner" -- python3 -c '
import os
fd = os.open("a", os.O_RDONLY)
before = os.fstat(fd)
assert before.st_mode & 0o777 == 0o640, oct(before.st_mode)
assert os.stat("b").st_mtime == 1000
os.fchmod(fd, 0o600)
assert os.stat("a").st_mode & 0o777 == 0o600
assert os.stat("a").st_ino == before.st_ino, (os.stat("a").st_ino, before.st_ino)
assert os.stat("a").st_dev == os.stat(".").st_dev
assert os.readlink(f"/proc/self/fd/{fd}") == os.getcwd() + "/a"
d = os.open("tree", os.O_RDONLY)
with open(os.open("new", os.O_CREAT | os.O_WRONLY, dir_fd=d), "w") as f: f.write("x")
os.rename("new", "newer", src_dir_fd=d, dst_dir_fd=d)
assert sorted(os.listdir(d)) == ["deep", "newer"]
os.fchdir(d)
assert os.getcwd().endswith("/tree")
'
            test "$(stat -c %a a)" = 640; test ! -e tree/newer""")

    def test_an_upper_in_use_names_its_holder(self):
        self.refused('"$O" --lower "$L" --upper "$T/inner" -- "$O" --lower "$T/lower/dir" --upper "$T/inner" -- true',
                     "lies inside " + self.top + "/inner, which a session around this one writes to")
        os.mkfifo(self.top + "/end")
        self.refused("""set -o pipefail
            "$O" --lower "$L" --upper "$T/i" -- sh -c 'echo; cat "$T/end"' |
            (read x; "$O" --lower "$L" --upper "$T/i" -- true; status=$?; echo > "$T/end"; exit $status)""",
                     "is in use by pid")

    def test_statistics_of_the_inner_count_for_the_outer_too(self):
        done = self.ovlrun("--lower", self.lower, "--upper", self.upper, "--stats", "--", "sh", "-c",
                           '"$O" --lower "$L" --upper "$T/inner" --stats -- sh -c "echo >> $L/a; echo >> $L/b" 2> "$T/inner.txt"',
                           env=self.variables())
        self.assertEqual(done.returncode, 0, done.stderr)
        with open(self.top + "/inner.txt") as f:
            inner = f.read()
        self.assertRegex(inner, r"ovlrun: +2 copy-ups\n")
        self.assertRegex(done.stderr, r"ovlrun: +2 copy-ups\n")

    def test_elsewhere_and_several_lowers(self):
        os.mkdir(self.top + "/at")
        self.write("second/b", "second\n")
        out = self.outer("""cd $L; echo outer > a
            "$O" --lower "$T/second:$L" --at "$T/at" --upper "$T/inner" -- bash -ec '
                cd "$T/at"; cat a b; echo x > a; rm b; mkdir m; cd m; pwd; /bin/pwd; cat "$L/a"; ls ..'
            cat a""")
        at = self.top + "/at"
        self.assertEqual(out.split(), ["outer", "second", at + "/m", at + "/m", "outer"] +
                         "a dir file gone m tree outer".split())

    def test_an_inner_overlay_around_an_outer_one(self):
        top_lower = self.top + "/wide"
        shutil.copytree(self.lower, top_lower + "/in")
        self.write("wide/own", "own\n")
        before = fingerprint(top_lower)
        out = self.outer("""cd $T/wide; echo outer > in/a; rm in/gone
            "$O" --lower "$T/wide" --upper "$T/inner" -- bash -ec '
                cat in/a own; ls in; echo inner > in/a; rm in/b; mv in/tree in/tree2; mkdir in/tree2/x; echo y > own
                ls in in/tree2; cat in/a; cd in/tree2/deep; /bin/pwd
                ! mv "$T/wide/in" "$T/wide/other" 2> /dev/null'
            cat in/a own; ls in""", lower=top_lower + "/in")
        self.assertEqual(out.split(), "outer own a b dir file tree in: a dir file tree2 in/tree2: deep x inner".split() +
                         [top_lower + "/in/tree2/deep"] + "outer own a b dir file tree".split())
        self.assertEqual(before, fingerprint(top_lower))

    @unittest.skipUnless(STATIC_SHELL, "no static busybox here")
    def test_programs_without_the_preload_object_are_in_their_session(self):
        script = """cd $L; echo outer > a
            "$O" --lower "$L" --upper "$T/inner" -- "$B" sh -ec '
                cd "$L"; cat a; echo inner > a; "$B" sh -c "cat a; ls; rm b"; "$B" ls'
            "$B" cat a; "$B" ls"""
        self.supervised("--intercept=both")
        out = self.outer(script, "--intercept=both", B=STATIC_SHELL)
        self.assertEqual(out.split(), "outer inner a b dir file gone tree a dir file gone tree outer a b dir file gone tree".split())


    def test_an_inner_session_that_has_ended_leaves_nobody_behind(self):
        # Or the outer one would go on for a moment after its command, and its upper be in use.
        out = self.outer("""for i in {1..20}; do
            "$O" --lower "$L" --upper "$T/inner" -- true
            read line < /proc/$PPID/task/$PPID/children || true
            set $line; echo $#
            done""")
        self.assertEqual(out.split(), ["1"] * 20)


class InsideTheOuter(Nested):
    """Over /, with the inner uppers inside of the outer overlay: what stands on disk is escaped."""

    SCRIPT = """cd $L
        echo outer > a; mkdir "$T/ups"
        "$O" --lower / --upper "$T/ups/one" -- bash -ec '
            cat a; echo inner > a; rm gone; rm -r tree; mkdir tree; echo t > tree/t; mv dir moved
            echo x > new; chmod 600 b; python3 -c "import os; os.setxattr(\\"new\\", \\"user.overlay.opaque\\", b\\"y\\")"'
        """

    def run_in(self, script, **more):
        return self.outer(script, lower="/", **more)

    def test_what_an_inner_session_left_it_goes_on_with(self):
        out = self.run_in(self.SCRIPT + """ls; cat a
            "$O" --lower / --upper "$T/ups/one" -- bash -ec 'ls . tree moved; cat a moved/inner; stat -c %a b
                python3 -c "import os; print(os.listxattr(\\"new\\"), os.listxattr(\\"tree\\"))"'""")
        expected = "outer a b dir file gone tree outer .: a b file moved new tree moved: inner tree: t inner inner 600 ['user.overlay.opaque'] []"
        self.assertEqual(out.split(), expected.split())
        # So it does in another session of the outer one.
        again = self.run_in("""cd $L; ls; cat a
            "$O" --lower / --upper "$T/ups/one" -- bash -ec 'ls . tree moved; cat a; test ! -e gone; rm -r moved; ls'""")
        self.assertEqual(again.split(), "a b dir file gone tree outer .: a b file moved new tree moved: inner tree: t inner "
                         "a b file new tree".split())

    def test_the_outer_sees_an_upper_with_xattr_whiteouts(self):
        self.run_in(self.SCRIPT)
        out = self.run_in("""cd "$T/ups/one$L"
            python3 -c '
import os
for name in sorted(os.listdir(".")):
    print(name, os.stat(name).st_size, {n.split(".")[-1]: n for n in os.listxattr(name) if "origin" not in n})
print(os.getxattr(".", "user.overlay.opaque"))'""")
        self.assertIn("gone 0 {'whiteout': 'user.overlay.whiteout'}", out)
        self.assertIn("'opaque': 'user.overlay.opaque'", out)
        self.assertIn("{'redirect': 'user.overlay.redirect'}", out)
        self.assertIn("new 2 {'opaque': 'user.overlay.overlay.opaque'}", out)
        self.assertIn("b'x'", out)
        real = self.upper + self.top + "/ups/one" + self.lower
        self.assertEqual(os.getxattr(real + "/gone", "user.overlay.overlay.whiteout"), b"y")
        self.assertEqual(os.getxattr(real + "/new", "user.overlay.overlay.overlay.opaque"), b"y")

    def test_diff_of_each_level(self):
        out = self.run_in(self.SCRIPT + '"$O" diff --upper "$T/ups/one"')
        lower = self.lower
        for line in (f"M {lower}/a", f"D {lower}/gone", f"A {lower}/new", f"A {lower}/tree/t"):
            self.assertIn(line, out)
        self.assertNotIn("/file\n", out)
        outer = subprocess.run([OVLRUN, "diff", "--upper", self.upper], capture_output=True, text=True,
                               env=self.variables()).stdout
        self.assertIn(f"M {lower}/a\n", outer)
        self.assertIn(f"A {self.top}/ups/one{lower}/new\n", outer)
        self.assertNotIn(f" {lower}/b\n", outer)

    def test_three_deep_with_uppers_inside_one_another(self):
        script = """cd $L; echo 1 > one; mkdir "$T/ups"
            "$O" --lower / --upper "$T/ups/u1" -- bash -ec '
                echo 2 > two; rm a; mv tree trunk
                "$O" --lower / --upper "$T/ups/u2" -- bash -ec "
                    echo 3 > three; rm one b; mv trunk/deep deeper; rm -r dir; mkdir dir; ls . deeper; test ! -s dir/inner"
                echo -; ls
                "$O" --lower / --upper "$T/ups/u2" -- ls . dir deeper
                "$O" diff --upper "$T/ups/u2"'
            echo -; ls"""
        out = self.run_in(script)
        inner = ".: deeper dir file gone three trunk two"
        words = " ".join(out.split())
        self.assertTrue(words.startswith(inner + " deeper: leaf - b dir file gone one trunk two " + inner +
                                         " deeper: leaf dir: "), words)
        self.assertTrue(words.endswith("- a b dir file gone one tree"), words)
        self.assertEqual(os.getxattr(f"{self.upper}{self.top}/ups/u1{self.top}/ups/u2{self.lower}/b",
                                     "user.overlay.overlay.overlay.whiteout"), b"y")

    def test_the_uppers_of_outer_levels_are_not_touched_by_inner_ones(self):
        self.run_in('cd "$L"; echo outer > a; mkdir new; mv tree trunk; mkdir "$T/ups"')
        before = [l for l in fingerprint(self.upper + self.lower)]
        self.run_in("""cd $L
            "$O" --lower / --upper "$T/ups/one" -- bash -ec 'echo x >> a; echo x > new/x; rm -r trunk; mkdir trunk
                "$O" --lower / --upper "$T/ups/two" -- bash -ec "echo y >> a; rm -r new trunk"'""")
        self.assertEqual(before, fingerprint(self.upper + self.lower))

    def test_a_fresh_upper_below_the_home_directory(self):
        out = self.run_in('"$O" --lower "$L" -- sh -c "echo x > $L/a" 2>&1; cat "$L/a"; ls "$HOME/.local/state/ovlrun"/*/upper')
        self.assertRegex(out, r"^ovlrun: changes are in \S+/upper .*\na\na\n$")
        self.assertFalse(os.path.exists(self.top + "/.local"))


class Refused(Nested):
    def test_uppers_and_lowers_that_are_the_outer_sessions_own(self):
        why = "which a session around this one writes to"
        self.refused('"$O" --lower "$L" --upper "$T/upper" -- true', why)
        self.refused('"$O" --lower "$L" --upper "$T/upper/x" -- true', why)
        self.refused('"$O" --lower "$L" --upper "$T/inner" --work "$T/upper.work/x" -- true', why)
        self.refused('"$O" --lower "$T/upper.work" --upper "$T/inner" -- true', why)
        self.assertFalse(os.path.exists(self.top + "/inner"))

    def test_uppers_that_the_outer_has_merged(self):
        self.refused('"$O" --lower "$T/other" --upper "$L/dir" -- true', "--lower")
        os.mkdir(self.top + "/other")
        self.refused('"$O" --lower "$T/other" --upper "$L/dir" -- true', "belongs to a lower of the session around")
        self.refused('touch "$L/dir/x"; "$O" --lower "$T/other" --upper "$L/dir" -- true', "is merged with a lower")

    def test_merged_lowers_above_others(self):
        os.mkdir(self.top + "/at")
        os.mkdir(self.top + "/other")
        self.refused('touch "$L/x"; "$O" --lower "$L:$T/other" --at "$T/at" --upper "$T/inner" -- true',
                     "only the last lower may be")

    def test_too_many_layers(self):
        os.mkdir(self.top + "/at")
        names = []
        for i in range(510):
            names.append(f"{self.top}/l/{i}")
            os.makedirs(names[-1])
        self.refused(f'"$O" --lower "{":".join(names)}" --at "$T/at" --upper "$T/inner" -- true', "more than 512 layers")

    def test_strictly_supervised_inside_another(self):
        self.refused('"$O" --strict --lower "$L" --upper "$T/inner" -- true', "--strict is not possible below another ovlrun")

    def test_too_deep(self):
        script = 'set -e; n=$((${n:-0} + 1)); export n; "$O" --lower "$L" --upper "$T/n$n" -- "$T/again"'
        self.write("again", "#!/bin/bash\n" + script + "\n", 0o755)
        done = self.ovlrun("--lower", self.lower, "--upper", self.upper, "--", self.top + "/again", env=self.variables())
        self.assertEqual(done.returncode, 125)
        self.assertEqual(done.stderr, "ovlrun: more than 8 sessions inside one another\n")


if __name__ == "__main__":
    sandbox.main()
