"""Lowers after '::' in --lower: metacopies of those before find their data there, and no name in them is seen."""
import os
import shutil
import subprocess
import sys
import unittest

import sandbox
from sandbox import OVLRUN, fingerprint
from uppers import FINGERPRINT, PREFIX, ROOT, Uppers, below

TEXT = "some data\n" * 2000


class DataOnly(Uppers):
    def setUp(self):
        super().setUp()
        self.data = self.top + "/data"
        self.more = self.top + "/more"
        self.write("data/objects/aa/one", TEXT)
        self.write("data/objects/bb", "other\n")
        self.write("more/objects/cc", "third\n")
        self.write("more/objects/bb", "hidden\n")
        self.mark = "user.overlay."
        self.metacopy("dir/one", "/objects/aa/one", len(TEXT))
        self.metacopy("two", "/objects/bb", 6)
        self.metacopy("three", "/objects/cc", 6)
        for path in [self.lower, *below(self.lower)]:
            os.utime(path, (10 ** 9, 10 ** 9 + 5), follow_symlinks=False)
        self.option = ("--lower", f"{self.lower}::{self.data}::{self.more}")
        self.before = [fingerprint(d) for d in (self.data, self.more)]

    def tearDown(self):
        self.assertEqual([fingerprint(d) for d in (self.data, self.more)], self.before, "the data were changed")
        super().tearDown()

    def metacopy(self, name, target, size, prefix=PREFIX):
        path = self.write("lower/" + name, "")
        os.truncate(path, size)
        os.chmod(path, 0o640)
        os.setxattr(path, prefix + "metacopy", b"")
        os.setxattr(path, prefix + "redirect", target.encode())

    def session(self, script, *options, expect=0, lower=None):
        done = self.ovlrun(*(lower or self.option), "--upper", self.upper, *options, "--", "bash", "-ec", f'cd "$1"\n{script}', "bash",
                           self.lower, env=self.environment(O=OVLRUN, T=self.top, L=self.lower))
        self.assertEqual((done.returncode, done.stderr), (expect, ""))
        return done.stdout


@sandbox.needs_real_upper
class Reading(DataOnly):
    def test_each_way_of_calls_sees_the_data_and_no_name_of_them(self):
        for way in ("preload", "seccomp", "both"):
            with self.subTest(way):
                if way != "preload":
                    self.supervised("--intercept=" + way)
                out = self.session("find . -type f | sort; cat two three; md5sum < dir/one; stat -c '%s %a' dir/one two; test ! -e objects",
                                   "--intercept=" + way)
                total = subprocess.run(["md5sum"], input=TEXT, capture_output=True, text=True).stdout
                self.assertEqual(out, f"./dir/inner\n./dir/one\n./file\n./three\n./two\nother\nthird\n{total}{len(TEXT)} 640\n6 640\n")

    def test_no_redirect_but_those_to_data_is_followed_where_none_shall_be(self):
        self.assertEqual(self.session("cat two three", "--redirect-dir=nofollow", "--metacopy=off"), "other\nthird\n")

    def test_blocks_are_those_of_the_data(self):
        self.assertEqual(self.session("stat -c %b dir/one"), f"{os.stat(self.data + '/objects/aa/one').st_blocks}\n")

    def test_a_lower_with_names_comes_before(self):
        self.write("second/objects/bb", "shown\n")
        os.mkdir(self.top + "/at")
        lower = ("--lower", f"{self.lower}:{self.top}/second::{self.data}::{self.more}", "--at", self.top + "/at")
        self.assertEqual(self.session('cd "$T/at"; cat two three; ls', lower=lower), "shown\nthird\ndir\nfile\nobjects\nthree\ntwo\n")

    def test_the_bottom_lower_is_asked_for_marks(self):
        os.rename(self.lower + "/dir/one", self.lower + "/dir/moved")
        os.utime(self.lower + "/dir", (10 ** 9, 10 ** 9 + 5))
        self.assertEqual(self.session("wc -c < dir/moved"), f"{len(TEXT)}\n")

    def test_descriptors_of_files_that_share_their_data_tell_their_own_names(self):
        self.metacopy("same", "/objects/bb", 6)
        os.chmod(self.lower + "/same", 0o600)
        out = self.session("""python3 -c '
import os
a, b, c = os.open("two", os.O_RDONLY), os.open("same", os.O_RDONLY), os.open("two", os.O_RDONLY)
for fd, name in ((a, "two"), (b, "same"), (c, "two")):
    st = os.fstat(fd)
    print(oct(st.st_mode), st.st_ino == os.stat(name).st_ino, os.path.basename(os.readlink(f"/proc/self/fd/{fd}")), os.read(fd, 10))
'""")
        self.assertEqual(out.splitlines(), ["0o100640 True two b'other\\n'", "0o100600 True same b'other\\n'", "0o100640 True two b'other\\n'"])

    def test_a_descriptor_is_the_files_own_when_that_is_copied_up(self):
        out = self.session("""python3 -c '
import os
a, b = os.open("two", os.O_RDONLY), os.open("dir/one", os.O_RDONLY)
os.rename("dir/one", "renamed")
for fd, name in ((a, "two"), (b, "renamed")):
    with open(name, "a") as file:
        file.write("more")
    os.chmod(name, 0o400)
    st = os.fstat(fd)
    print(oct(st.st_mode), st.st_ino == os.stat(name).st_ino, os.path.basename(os.readlink(f"/proc/self/fd/{fd}")))
'""")
        self.assertEqual(out.splitlines(), ["0o100400 True two", "0o100400 True renamed"])

    def lost(self, name, says="the data of this file is not in the lower any more"):
        done = self.ovlrun(*self.option, "--upper", self.upper, "--", "cat", f"{self.lower}/{name}")
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertIn(f"ovlrun: {self.lower}/{name}: {says}\n", done.stderr)
        self.assertIn("Input/output error", done.stderr)

    def test_lost_data_are_an_input_output_error(self):
        os.symlink("objects", self.data + "/link")
        os.mkdir(self.more + "/folder")
        self.before = [fingerprint(d) for d in (self.data, self.more)]
        for name, target in (("gone", "/objects/gone"), ("linked", "/link/bb"), ("folder", "/folder"), ("relative", "objects"),
                             ("through", "/objects/bb/file")):
            with self.subTest(name):
                self.metacopy(name, target, 6)
                self.lower_before = None
                self.lost(name)

    def test_a_redirect_that_leads_out_is_an_input_output_error(self):
        self.metacopy("out", "/../more/objects/cc", 6)
        done = self.ovlrun(*self.option, "--upper", self.upper, "--", "cat", self.lower + "/out")
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertIn("Input/output error", done.stderr)

    def test_the_trace_names_the_files_as_programs_do(self):
        done = self.ovlrun(*self.option, "--upper", self.upper, "--trace", "--", "cat", self.lower + "/two")
        self.assertEqual((done.returncode, done.stdout), (0, "other\n"))
        self.assertIn(self.lower + "/two", done.stderr)
        self.assertNotIn("objects", done.stderr)

    @sandbox.needs_own_supervisor
    def test_an_inner_session_sees_and_has_them(self):
        out = self.session('"$O" --lower "$L" --upper "$T/inner" -- bash -ec \'cat two; chmod 600 two; echo more >> two; cat two\'; cat two')
        self.assertEqual(out, "other\nother\nmore\nother\n")
        os.mkdir(self.top + "/outer")
        done = self.ovlrun("--lower", self.top + "/outer", "--upper", self.upper + "2", "--", OVLRUN, *self.option, "--upper",
                           self.top + "/inner2", "--", "cat", self.lower + "/two", self.lower + "/three")
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "other\nthird\n", ""))


@sandbox.needs_real_upper
class Changing(DataOnly):
    CHANGES = "chmod 600 two; echo more >> three; mv dir moved; mv moved/one uno; ln two second; rm two"

    def test_copies_have_the_data(self):
        self.session(self.CHANGES)
        out = self.session("cat second three; wc -c < uno; stat -c '%a %s' second three uno; ls . moved")
        self.assertEqual(out.split(), f"other third more {len(TEXT)} 600 6 640 11 640 {len(TEXT)} .: file moved second three uno moved: inner".split())
        self.assertEqual(os.stat(self.upper + "/uno").st_blocks, 0)
        self.assertEqual(self.session("echo x > uno; cat uno; chmod 400 three; cat three"), "x\nthird\nmore\n")

    def test_diff_and_settle_know_them(self):
        self.session(self.CHANGES)
        done = self.ovlrun("diff", "--upper", self.upper)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(done.stdout.replace(self.lower + "/", "").splitlines()[:2], ["R dir -> moved", "R two -> second"])
        before = self.session("md5sum second three uno; stat -c '%a %Y' second three uno moved")
        done = self.ovlrun("settle", "--upper", self.upper)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        for name, text in (("second", "other\n"), ("uno", TEXT)):
            with open(f"{self.upper}/{name}") as file:
                self.assertEqual(file.read(), text)
        self.assertEqual(self.session("md5sum second three uno; stat -c '%a %Y' second three uno moved"), before)

    def test_settle_refuses_other_data(self):
        self.session(self.CHANGES)
        done = self.ovlrun("settle", "--upper", self.upper, "--lower", f"{self.lower}::{self.more}")
        self.assertEqual((done.returncode, done.stderr.count("\n")), (125, 1))


@sandbox.needs_real_upper
class AsTheKernel(DataOnly):
    def kernel(self, enter, options, script="true", upper=True):
        mount = self.top + "/mount"
        os.makedirs(mount, exist_ok=True)
        data = f"lowerdir={self.lower}::{self.data}::{self.more},{options}"
        if upper:
            data += f",upperdir={self.upper},workdir={self.work}"
        done = subprocess.run([*enter, "bash", "-c", f'mount -t overlay overlay -o "$1" "$2" || exit 77; ({script}) || exit 1; exec "$3" -Bc "$4" "$2"', "bash",
                               data, mount, sys.executable, FINGERPRINT], capture_output=True, text=True, env=self.environment())
        if done.returncode == 77:
            self.skipTest(f"the kernel mounts no such overlay here: {done.stderr}")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return sorted(done.stdout.splitlines())

    def shown(self, *options):
        done = self.ovlrun(*self.option, "--upper", self.upper, *options, "--", sys.executable, "-Bc", FINGERPRINT, self.lower)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return sorted(done.stdout.splitlines())

    def test_of_an_unprivileged_mount(self):
        enter = ["unshare", "--mount", "--user", "--map-root-user"]
        kernel = self.kernel(enter, "userxattr", upper=False)
        self.assertEqual(kernel, self.with_own_ids(self.shown()))

    def make_trusted(self):
        for name, target, size in (("dir/one", "/objects/aa/one", len(TEXT)), ("two", "/objects/bb", 6), ("three", "/objects/cc", 6)):
            os.unlink(f"{self.lower}/{name}")
            self.metacopy(name, target, size, "trusted.overlay.")
        for path in [self.lower, *below(self.lower)]:
            os.utime(path, (10 ** 9, 10 ** 9 + 5), follow_symlinks=False)

    OF_ROOT = "metacopy=on,redirect_dir=on,index=on"

    @unittest.skipUnless(ROOT, "trusted xattrs need root")
    def test_of_a_mount_by_root(self):
        self.make_trusted()
        self.session(Changing.CHANGES, "--xattr=trusted")
        shown = self.shown("--xattr=trusted")
        self.assertEqual(self.kernel(["unshare", "--mount"], self.OF_ROOT), shown)

    @unittest.skipUnless(ROOT, "trusted xattrs need root")
    def test_of_what_a_mount_by_root_has_written(self):
        self.make_trusted()
        for name in (self.upper, self.work):
            os.mkdir(name)
        enter = ["unshare", "--mount"]
        self.kernel(enter, self.OF_ROOT, f'cd "$2"; {Changing.CHANGES}')
        self.assertTrue(os.path.exists(self.upper + "/uno"))
        self.assertEqual(self.shown("--xattr=trusted"), self.kernel(enter, self.OF_ROOT))


class BadInput(DataOnly):
    def test_is_refused_and_nothing_touched(self):
        self.write("full", "")
        for lower, says in ((f"::{self.data}", "before '::'"), (f"{self.lower}::", "after '::'"), (f"{self.lower}::{self.data}::", "after '::'"),
                            (f"{self.lower}::{self.data}:{self.more}", "':' after '::'"), (f"{self.lower}:::{self.data}", "':' after '::'"),
                            (f"{self.lower}::{self.data}:", "':' after '::'"), (f"{self.lower}::{self.top}/none", "No such file"),
                            (f"{self.lower}::{self.top}/full", "Not a directory"), (f"{self.lower}::{self.lower}/dir", "overlaps"),
                            (f"{self.lower}::{self.data}::{self.data}", "overlaps"), (f"{self.lower}::{self.upper}", "No such file"),
                            ("::", "before '::'"), (":", "empty name")):
            with self.subTest(lower):
                before = fingerprint(self.top)
                done = self.ovlrun("--lower", lower, "--upper", self.upper, "--", "true")
                self.assertEqual((done.returncode, done.stdout, done.stderr.count("\n")), (125, "", 1), done.stderr)
                self.assertIn(says, done.stderr)
                self.assertEqual(fingerprint(self.top), before)

    def test_a_colon_in_a_name(self):
        self.assertEqual(shutil.move(self.data, self.top + "/da:ta"), self.top + "/da:ta")
        done = self.ovlrun("--lower", f"{self.lower}::{self.top}/da\\:ta::{self.more}", "--upper", self.upper, "--", "cat", self.lower + "/two")
        shutil.move(self.top + "/da:ta", self.data)
        self.before = [fingerprint(d) for d in (self.data, self.more)]
        self.assertEqual((done.returncode, done.stdout), (0, "other\n"), done.stderr)


if __name__ == "__main__":
    sandbox.main()
