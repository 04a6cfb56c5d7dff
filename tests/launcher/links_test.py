"""Hard links of a lower: from session to session, in a session inside another one, and as the kernel's overlayfs reads them."""
import os
import shutil
import subprocess
import unittest

import sandbox
from sandbox import OVLRUN, fingerprint

# What every name of the file shows: links, inode, mode, content.
SHOW = 'for f in "$@"; do echo "$(stat -c "%h %i %a" "$f") $(cat "$f")"; done | sort -u'


class Links(sandbox.Scenario):
    def setUp(self):
        super().setUp()
        self.write("lower/a", "one\n")
        os.makedirs(self.lower + "/d")
        for name in ("b", "d/c", "d/e"):
            os.link(self.lower + "/a", f"{self.lower}/{name}")
        self.inode = os.stat(self.lower + "/a").st_ino
        self.before = fingerprint(self.lower)
        if os.path.isdir(self.upper):
            os.rmdir(self.upper)

    def tearDown(self):
        self.assertEqual(self.before, fingerprint(self.lower))
        super().tearDown()

    def session(self, script, *options, arguments=()):
        done = self.ovlrun("--lower", self.lower, "--upper", self.upper, *options, "--", "bash", "-ec",
                           f"cd {self.lower}\n{script}", "bash", *arguments, env=self.environment(O=OVLRUN, T=self.top, L=self.lower))
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return done.stdout

    def shown(self, *names, options=()):
        return self.session(SHOW, *options, arguments=names)

    def test_from_session_to_session(self):
        self.session("echo two > a")
        self.assertEqual(self.shown("a", "b", "d/c", "d/e"), f"4 {self.inode} 644 two\n")
        self.session("chmod 600 d/c; mv b d/b; rm a; ln d/e new")
        self.assertEqual(self.shown("d/b", "d/c", "d/e", "new"), f"4 {self.inode} 600 two\n")
        self.session("rm d/b d/c d/e; ls; ls d")
        self.assertEqual(self.shown("new"), f"1 {self.inode} 600 two\n")
        self.session("rm new")
        self.assertEqual(os.listdir(self.upper + ".work/index"), [])

    def test_listings_tell_the_same_inode(self):
        self.session("chmod 600 d/c")
        out = self.session("ls -i . d | grep -v : | awk 'NF == 2 && $2 != \"d\" && $2 != \"dir\" && $2 != \"file\" { print $1 }' | sort -u")
        self.assertEqual(out, f"{self.inode}\n")

    @sandbox.needs_real_upper
    def test_symbolic_links_of_an_upper_that_was_copied_with_its_workdir(self):
        os.symlink("a", self.lower + "/s1")
        os.link(self.lower + "/s1", self.lower + "/s2", follow_symlinks=False)
        self.before = fingerprint(self.lower)
        self.session("touch -hd 2001-01-01 s1")
        for name in ("upper", "upper.work"):
            os.rename(f"{self.top}/{name}", f"{self.top}/{name}.old")
        os.mkdir(self.top + "/old")
        for name in ("upper", "upper.work"):
            os.rename(f"{self.top}/{name}.old", f"{self.top}/old/{name}")
        subprocess.run(["cp", "-a", "old/upper", "old/upper.work", "."], cwd=self.top, check=True)
        out = self.session("touch -hd 2002-02-02 s2; stat -c '%i %y' s1 s2 | sort -u; readlink s2; rm s1 s2; ls")
        self.assertEqual(out.split()[1:], ["2002-02-02", "00:00:00.000000000", "+0000", "a", "a", "b", "d", "dir", "file"])

    def test_off(self):
        self.session("echo two > a", "--index=off")
        self.assertEqual(self.shown("b", "d/c", options=["--index=off"]), f"4 {self.inode} 644 one\n")
        self.assertFalse(os.path.exists(self.upper + ".work/index"))

    def test_a_program_runs_by_each_name(self):
        script = self.lower + "/run"
        self.write("lower/run", "#!/bin/sh\necho $0\n")
        os.chmod(script, 0o755)
        os.link(script, self.lower + "/run2")
        self.before = fingerprint(self.lower)
        out = self.session("sed -i s/0/0-new/ run; echo '#!/bin/sh\necho other $0' > run; ./run; ./run2; $PWD/run2")
        self.assertEqual(out.split("\n")[1:3], [out.split("\n")[1], out.split("\n")[2]])

    def test_libraries_are_mapped_by_the_names_that_they_have(self):
        with open("/proc/self/maps") as maps:
            real = next((line.split()[-1] for line in maps if "/libm.so" in line), None)
        if real is None:
            self.skipTest("python3 needs no libm here")
        shutil.copy(real, self.lower + "/renamed.so")
        shutil.copy(real, self.lower + "/linked.so")
        os.link(self.lower + "/linked.so", self.lower + "/linked2.so")
        self.before = fingerprint(self.lower)
        script = ("import ctypes, sys\nctypes.CDLL(sys.argv[1])\n"
                  "print({l.split()[-1] for l in open('/proc/self/maps') if sys.argv[2] in l})")
        self.write("maps.py", script)
        out = self.session('mv renamed.so moved.so; touch linked.so\n'
                           'python3 "$T/maps.py" ./moved.so "$L"; python3 "$T/maps.py" ./linked2.so "$L"')
        self.assertEqual(out.split("\n")[:2], [str({f"{self.lower}/{n}"}) for n in ("moved.so", "linked2.so")])

    def test_inside_a_session(self):
        out = self.session(f"""echo two > a
            "$O" --lower "$L" --upper "$T/inner" -- bash -ec 'cat a b d/c; stat -c %h b; echo three > b; cat a b d/c'
            cat a b d/e""")
        self.assertEqual(out.split(), "two two two 4 two three two two two two".split())

    def test_inside_a_session_metadata_alone(self):
        out = self.session(f"""chmod 600 a
            "$O" --lower "$L/d" --upper "$T/inner" -- bash -ec 'cat d/c; stat -c "%a %h" d/c; echo more >> d/c; cat d/c; cat d/e'
            cat a""")
        self.assertEqual(out.split(), "one 600 4 one more one one".split())

    def kernel(self, script, *arguments, options="index=on,redirect_dir=on,metacopy=on"):
        """On a mount of the kernel's; None: there is none here."""
        mount = self.top + "/mount"
        os.makedirs(mount, exist_ok=True)
        data = f"lowerdir={self.lower},upperdir={self.upper},workdir={self.upper}.work,{options}"
        done = subprocess.run(["unshare", "--mount", "bash", "-ec",
                               'mount -t overlay overlay -o "$1" "$2" || exit 77; cd "$2"; shift 2\n' + script, "bash", data, mount,
                               *arguments], capture_output=True, text=True)
        if done.returncode == 77:
            self.skipTest("no kernel overlay mount here: " + done.stderr.strip())
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return done.stdout

    @unittest.skipIf(os.geteuid() != 0, "an index needs root's mount")
    @sandbox.needs_real_upper
    def test_the_kernel_goes_on_with_them(self):
        trusted = ["--xattr=trusted"]
        self.session("echo two > a; chmod 600 b; ln a new; rm b", *trusted)
        want = f"4 {self.inode} 600 two\n"
        names = ["a", "d/c", "d/e", "new"]  # d/c and d/e by the index alone
        self.assertFalse(os.path.exists(self.upper + "/d"))
        self.assertEqual(self.kernel(SHOW, *names), want)
        self.assertEqual(self.shown(*names, options=trusted), want)
        self.kernel("echo three > d/e; mv new moved; rm a")
        want = f"3 {self.inode} 600 three\n"
        names = ["d/c", "d/e", "moved"]
        self.assertEqual(self.shown(*names, options=trusted), want)
        self.assertEqual(self.kernel(SHOW, *names), want)
        self.session("rm d/c d/e", *trusted)
        self.assertEqual(self.kernel(SHOW, "moved"), f"1 {self.inode} 600 three\n")
        self.kernel("rm moved")
        self.assertEqual(os.listdir(self.upper + ".work/index"), [])

    @unittest.skipIf(os.geteuid() != 0, "under user.* the kernel follows no redirect")
    @sandbox.needs_real_upper
    def test_the_kernel_finds_the_data_of_renamed_files(self):
        for name in ("f", "g", "h"):
            self.write("lower/" + name, name * 5000)
        self.before = fingerprint(self.lower)
        self.session("mv f f2; mv g d/g2; ln h d/h2; mv d d2; mv d2/h2 new; mv f2 d2/f3; mv a d2/a2; chmod 600 d2/a2", "--xattr=trusted")
        for file in ("d2/f3", "d2/g2", "h", "new"):
            self.assertEqual(os.stat(f"{self.upper}/{file}").st_blocks, 0, file)
        names = ["d2/f3", "d2/g2", "h", "new", "d2/a2", "b"]
        self.assertEqual(self.kernel(SHOW, *names), self.shown(*names, options=["--xattr=trusted"]))
        self.assertEqual(self.kernel('cat "$@"', *names), "f" * 5000 + "g" * 5000 + "h" * 10000 + "one\none\n")

    @unittest.skipIf(os.geteuid() != 0, "an index needs root's mount")
    @sandbox.needs_real_upper
    def test_what_the_kernel_has_left(self):
        os.makedirs(self.upper)
        os.makedirs(self.upper + ".work")
        self.kernel("chmod 600 b; echo two > d/c; rm a")
        want = f"3 {self.inode} 600 two\n"
        self.assertEqual(self.shown("b", "d/c", "d/e", options=["--xattr=trusted"]), want)

    @unittest.skipIf(os.geteuid() != 0, "links are broken by root's mount without an index")
    @sandbox.needs_real_upper
    def test_what_the_kernel_broke_stays_so(self):
        os.makedirs(self.upper)
        os.makedirs(self.upper + ".work")
        options = "index=off,redirect_dir=on,metacopy=off"
        self.kernel("echo two > a; chmod 600 b", options=options)
        kernel = self.kernel(SHOW.replace(" %i", ""), "a", "b", "d/c", options=options)
        self.assertEqual(self.session(SHOW.replace(" %i", ""), "--xattr=trusted", arguments=["a", "b", "d/c"]), kernel)


if __name__ == "__main__":
    unittest.main()
