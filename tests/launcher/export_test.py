"""ovlrun export --trusted: the kernel's overlayfs as root mounts it shows what ovlrun showed."""
import os
import shutil
import stat
import subprocess
import sys
import unittest

import sandbox
from uppers import FINGERPRINT, PREFIX, ROOT, Uppers, below

TRUSTED = "trusted.overlay."
SOMEBODY = 65500  # owns nothing else
AS_SOMEBODY = ["setpriv", "--reuid", str(SOMEBODY), "--regid", str(SOMEBODY), "--clear-groups"]


@sandbox.needs_real_upper
class Export(Uppers):
    def setUp(self):
        super().setUp()
        self.copy = self.top + "/copy"

    def export(self, *options, expect=0, **kwargs):
        done = self.ovlrun("export", "--trusted", "--upper", self.upper, self.copy, *options, **kwargs)
        self.assertEqual(done.returncode, expect, done.stderr)
        return done

    def refused(self, *arguments, says):
        self.freeze()
        before = sandbox.fingerprint(self.top)
        done = self.ovlrun("export", *arguments)
        self.assertEqual((done.returncode, done.stdout, done.stderr.count("\n")), (125, "", 1), done.stderr)
        self.assertIn(says, done.stderr)
        self.assertEqual(before, sandbox.fingerprint(self.top), "something was touched")

    def trusted_mount(self, lowers=None):
        """What root's kernel mount of the copy shows."""
        index = "on" if os.path.isdir(self.copy + ".work") else "off"
        script = ('mkdir -p "$2/kernel" "$2/copy.work" && mount -t overlay overlay '
                  f'-o "redirect_dir=on,metacopy=on,index={index},lowerdir=$1,upperdir=$2/copy,workdir=$2/copy.work" "$2/kernel" || exit 77; '
                  'exec "$3" -Bc "$4" "$2/kernel"')
        enter = ["unshare", "--mount", "--propagation", "private"]
        if subprocess.run([*enter, "true"], capture_output=True).returncode != 0:
            self.skipTest("no mount namespaces here")
        done = subprocess.run([*enter, "bash", "-c", script, "bash", lowers or self.lower, self.top, sys.executable, FINGERPRINT],
                              capture_output=True, text=True, env=self.environment())
        if done.returncode == 77:
            os.makedirs(self.top + "/probe/l")
            probe = subprocess.run([*enter, "bash", "-ec", 'cd "$1"; mkdir u w m; mount -t overlay overlay -o '
                                    '"redirect_dir=on,metacopy=on,lowerdir=l,upperdir=u,workdir=w" m', "bash", self.top + "/probe"],
                                   capture_output=True, text=True)
            if probe.returncode != 0:
                self.skipTest(f"root may mount no overlay here: {probe.stderr}")
        self.assertEqual(done.returncode, 0, done.stderr)
        return sorted(done.stdout.splitlines())


@unittest.skipUnless(ROOT, "trusted xattrs need root")
class ByRoot(Export):
    def shows_the_same(self, lower=None, lowers=None):
        before = self.seen(lower=lower)
        fingerprint = sandbox.fingerprint(self.upper)
        self.export()
        self.assertEqual(sandbox.fingerprint(self.upper), fingerprint, "the upper was changed")
        for path in [self.copy, *below(self.copy)]:
            names = os.listxattr(path, follow_symlinks=False)
            self.assertEqual([n for n in names if n.startswith((PREFIX, "user.containers."))], [], path)
        self.assertEqual(self.trusted_mount(lowers), before)

    def somebody(self):
        """Runs commands below ovlrun as an ordinary user, whose upper it is."""
        os.chmod(self.top, 0o755)
        os.mkdir(self.top + "/user")
        os.chown(self.top + "/user", SOMEBODY, SOMEBODY)
        self.upper, self.work = self.top + "/user/upper", self.top + "/user/upper.work"
        options = ("--lower", self.lower, "--upper", self.upper, "--")
        self.freeze()

        def run(*command):
            done = subprocess.run([*AS_SOMEBODY, sandbox.OVLRUN, *options, *command], env=self.environment(HOME=self.top + "/user"),
                                  cwd="/", stdin=subprocess.DEVNULL, capture_output=True, text=True)
            if "can't load" in done.stderr or "Permission denied" in done.stderr and not os.path.exists(self.upper):
                self.skipTest(f"an ordinary user can't run {sandbox.OVLRUN}: {done.stderr}")
            self.assertEqual(done.returncode, 0, done.stderr)
            return sorted(done.stdout.splitlines())
        return run

    def test_recorded_owners_of_symlinks_and_special_files_become_real(self):
        os.symlink("somewhere", self.lower + "/dir/other")
        os.mkfifo(self.lower + "/dir/fifo")
        os.mknod(self.lower + "/dir/socket", stat.S_IFSOCK | 0o755)
        numbers = {}
        for name in ("other", "fifo", "socket"):
            os.chown(f"{self.lower}/dir/{name}", 12, 34, follow_symlinks=False)
            numbers[name] = os.lstat(f"{self.lower}/dir/{name}").st_ino
        os.chmod(self.lower + "/dir/fifo", 0o4640)
        as_somebody = self.somebody()
        as_somebody("bash", "-ec", f"cd {self.lower}/dir; mv other tree; touch -hd 2001-01-01 tree; chmod 600 socket; touch -d 2002-02-02 fifo; "
                    "ln -s own own; mkfifo mine")
        changes = self.ovlrun("diff", "--upper", self.upper).stdout.replace(self.lower + "/", "").splitlines()
        self.assertEqual(changes, ["m dir/fifo", "A dir/mine", "A dir/own", "m dir/socket", "R dir/other -> dir/tree", "m dir/tree"])
        as_somebody("ln", "-P", self.lower + "/dir/tree", self.lower + "/second")
        seen = as_somebody("stat", "-c", "%n %u:%g %A %i", *(f"{self.lower}/{name}" for name in ("dir/tree", "second", "dir/fifo", "dir/socket")))
        self.assertEqual([line.removeprefix(self.lower + "/") for line in seen],
                         [f"dir/fifo 12:34 prwSr----- {numbers['fifo']}", f"dir/socket 12:34 srw------- {numbers['socket']}",
                          f"dir/tree 12:34 lrwxrwxrwx {numbers['other']}", f"second 12:34 lrwxrwxrwx {numbers['other']}"])
        self.assertEqual(os.lstat(self.upper + "/second").st_uid, SOMEBODY)
        python = shutil.which("python3", path="/usr/bin:/bin") or self.skipTest("no python3 for an ordinary user here")
        before = as_somebody(python, "-Bc", FINGERPRINT, self.lower)
        self.export()
        self.assertEqual(self.trusted_mount(), before)
        self.assertNotEqual(os.getxattr(self.copy + "/second", TRUSTED + "origin", follow_symlinks=False), b"")

    def test_redirects_and_metacopies(self):
        self.tree()
        self.shell("mv tree moved; mv moved/sub sub; rm sub/link; chmod 600 file moved/a; rm -r dir; mkdir dir; echo n > dir/n; ln file file2; "
                   "mkdir tree; ln -s x tree/l; mkfifo tree/f; echo n > tree/n; ln tree/n tree/n2; touch -d 2001-01-01 tree/n")
        self.shows_the_same()
        self.assertEqual(os.getxattr(self.copy + "/sub", TRUSTED + "redirect"), b"/tree/sub")

    def test_metacopies_stay_without_data(self):
        self.tree()
        self.shell("chmod 600 tree/a")
        self.shows_the_same()
        self.assertEqual(os.getxattr(self.copy + "/tree/a", TRUSTED + "metacopy"), b"")
        self.assertEqual(os.stat(self.copy + "/tree/a").st_blocks, os.stat(self.upper + "/tree/a").st_blocks)

    def test_several_lowers(self):
        self.write("second/tree/low", "low\n")
        self.tree()
        os.mkdir(self.top + "/at")
        self.lower_before = None
        lower = ("--lower", f"{self.lower}:{self.top}/second", "--at", self.top + "/at")
        self.shell("mv tree moved; chmod 600 moved/low; rm dir/inner", lower=lower)
        self.shows_the_same(lower, lower[1])

    def test_recorded_owners_modes_and_devices_become_real(self):
        self.tree()
        os.chmod(self.lower + "/tree/sub/b", 0o4755)
        for name in ("tree/a", "tree/sub"):
            os.chown(self.lower + "/" + name, 12, 34)
        for path in [self.lower, *below(self.lower)]:
            os.utime(path, (10 ** 9, 10 ** 9 + 5), follow_symlinks=False)
        as_somebody = self.somebody()
        as_somebody("bash", "-ec", f"cd {self.lower}; chmod 4750 tree/a; mkdir closed; chmod 1700 closed; "
                    "chmod 2711 tree/sub; echo mine > tree/mine; mv tree moved; rm dir/inner")
        os.setxattr(self.upper + "/moved/mine", "user.containers.override_stat", b"1:2:0640:char-1-3")
        os.truncate(self.upper + "/moved/mine", 0)
        python = shutil.which("python3", path="/usr/bin:/bin") or self.skipTest("no python3 for an ordinary user here")
        before = as_somebody(python, "-Bc", FINGERPRINT, self.lower)
        self.export()
        # A device has no size, and its number was the file's.
        def plain(lines):
            return [line for line in lines if "/mine'" not in line]
        self.assertEqual(plain(self.trusted_mount()), plain(before))
        st = os.lstat(self.copy + "/moved/mine")
        self.assertEqual((stat.S_IFMT(st.st_mode), stat.S_IMODE(st.st_mode), st.st_uid, st.st_gid, st.st_rdev),
                         (stat.S_IFCHR, 0o640, 1, 2, os.makedev(1, 3)))
        self.assertEqual(os.stat(self.copy + "/moved").st_uid, 0)

    def test_names_of_xattrs_of_programs_are_escaped_for_the_new_prefix(self):
        self.shell("python3 -c 'import os; os.setxattr(\"file\", \"user.overlay.redirect\", b\"x\"); "
                   "os.setxattr(\"file\", \"user.plain\", b\"p\"); os.setxattr(\"file\", \"trusted.overlay.foo\", b\"y\")'")
        self.export()
        self.assertEqual(os.getxattr(self.copy + "/file", PREFIX + "redirect"), b"x")
        self.assertEqual(os.getxattr(self.copy + "/file", "user.plain"), b"p")
        self.assertEqual(os.getxattr(self.copy + "/file", TRUSTED + "overlay.foo"), b"y")
        self.assertIn(f"{PREFIX}redirect', b'x'", "".join(self.trusted_mount()))

    def test_recorded_capabilities_become_real(self):
        capability = bytes.fromhex("0100000200040000000000000000000000000000")
        self.shell("touch new")
        os.setxattr(self.upper + "/new", "user.containers.override_security.capability", capability)
        self.export()
        self.assertEqual(os.getxattr(self.copy + "/new", "security.capability"), capability)

    def test_whiteouts_that_are_files_become_devices(self):
        self.shell("touch new")
        os.mkdir(self.upper + "/dir")
        open(self.upper + "/dir/inner", "w").close()
        os.setxattr(self.upper + "/dir/inner", PREFIX + "whiteout", b"y")
        os.setxattr(self.upper + "/dir", PREFIX + "opaque", b"x")
        self.shows_the_same()
        st = os.lstat(self.copy + "/dir/inner")
        self.assertTrue(stat.S_ISCHR(st.st_mode) and st.st_rdev == 0)
        self.assertNotIn(TRUSTED + "opaque", os.listxattr(self.copy + "/dir"))

    def test_hostile_names_and_links(self):
        for name in (b"new\nline", b"bad\xff", b"-dash", b"x" * 255):
            self.shell("touch new")
            with open(os.fsencode(self.upper) + b"/" + name, "wb") as file:
                file.write(name)
            os.link(os.fsencode(self.upper) + b"/" + name, os.fsencode(self.upper) + b"/2" + name[:100])
        self.shows_the_same()

    # --- what is refused ---
    def test_what_is_unknown_is_refused_and_nothing_is_left(self):
        for name, value, says in (("user.overlay.future", b"1", "user.overlay.future"),
                                  ("user.containers.override_future", b"1", "override_future"),
                                  ("user.containers.override_stat", b"nonsense", "nonsense"),
                                  ("user.containers.override_stat", b"0:0:0755:dir", "another type"),
                                  ("user.containers.override_stat", b"0:0:0777:symlink", "another type"),
                                  ("trusted.overlay.opaque", b"y", "trusted")):
            with self.subTest(name=name, value=value):
                self.shell("mkdir -p new; echo x > new/file")
                os.setxattr(self.upper + "/new/file", name, value)
                names = sorted(os.listdir(self.top))
                done = self.export(expect=125)
                self.assertEqual((done.stdout, done.stderr.count("\n")), ("", 1), done.stderr)
                self.assertIn(says, done.stderr)
                self.assertIn("/new/file", done.stderr)
                self.assertEqual(sorted(os.listdir(self.top)), names)
                os.removexattr(self.upper + "/new/file", name)

    def test_interrupted_it_leaves_nothing(self):
        if shutil.which("strace") is None:
            self.skipTest("no strace here")
        self.shell("mkdir -p new/a new/b new/c; echo x > new/a/file")
        names = sorted(os.listdir(self.top)) + ["log"]
        for number in ("HUP", "INT", "TERM"):
            done = subprocess.run(["strace", "-f", "-o", self.top + "/log", "-e", "trace=mknod,symlink,linkat,fgetxattr,utimensat", "-e",
                                   f"inject=utimensat:signal={number}:when=2", sandbox.OVLRUN, "export", "--trusted", "--upper",
                                   self.upper, self.copy], env=self.environment(), capture_output=True, text=True)
            with open(self.top + "/log", encoding="utf-8", errors="replace") as log:
                if "utimensat" not in log.read():
                    self.skipTest(f"strace may not trace here: {done.stderr}")
            self.assertEqual((done.returncode, done.stderr), (125, "ovlrun: export: interrupted\n"))
            self.assertEqual(sorted(os.listdir(self.top)), sorted(names))

    def test_an_upper_in_use_is_refused(self):
        process = self.start("sleep", "1000", stdout=subprocess.DEVNULL)
        try:
            while not os.path.exists(self.work + "/ovlrun/session"):
                self.assertIsNone(process.poll())
            self.assertIn("is in use by pid", self.export(expect=125).stderr)
            self.assertFalse(os.path.exists(self.copy))
        finally:
            process.terminate()
            process.wait()

    def test_bad_destinations(self):
        self.shell("touch new")
        self.write("full/file", "")
        self.write("file", "")
        for to, says in (("full", "Directory not empty"), ("file", "Not a directory"), ("none/below", "No such file"),
                         ("upper", "overlaps"), ("upper/new2", "overlaps"), ("upper.work/copy", "overlaps")):
            with self.subTest(to):
                self.refused("--trusted", "--upper", self.upper, f"{self.top}/{to}", says=says)
        self.refused("--trusted", "--upper", self.upper, "/proc", says="mounted")
        os.mkdir(self.copy)
        self.export()
        self.assertEqual(os.listdir(self.copy), ["new"])

    def test_hard_links_of_an_index_stay_linked(self):
        self.hard_links()
        self.assertFalse(os.path.exists(self.upper + "/other/link"), "known by the index alone")
        self.shows_the_same()
        self.assertEqual(len(os.listdir(self.copy + ".work/index")), len(os.listdir(self.work + "/index")))

    def test_a_hard_link_that_has_no_name_in_the_upper_any_more(self):
        self.write("lower/one", "lower\n")
        os.link(self.lower + "/one", self.lower + "/two")
        self.shell("echo more >> one; rm one")
        self.shows_the_same()

    def test_what_is_unknown_in_an_index_is_refused(self):
        self.shell("touch new")
        for name in ("what", "00fb1"):
            self.write("upper.work/index/" + name, "")
            names = sorted(os.listdir(self.top))
            self.assertIn("index/" + name, self.export(expect=125).stderr)
            self.assertEqual(sorted(os.listdir(self.top)), names)
            os.unlink(self.work + "/index/" + name)

    def test_a_workdir_beside_the_destination_is_refused(self):
        self.hard_links()
        self.write("copy.work/file", "")
        self.refused("--trusted", "--upper", self.upper, self.copy, says="copy.work: Directory not empty")

    def test_a_trusted_upper_is_refused(self):
        self.shell("touch new", "--xattr=trusted")
        self.refused("--trusted", "--upper", self.upper, self.copy, says="trusted upper already")

    def test_other_bad_input(self):
        self.shell("touch new")
        self.refused("--upper", self.upper, self.copy, says="--trusted")
        self.refused("--trusted", self.copy, says="--upper")
        self.refused("--trusted", "--upper", self.upper, says="DEST")
        self.refused("--trusted", "--upper", self.top + "/none", self.copy, says="No such file or directory")
        self.refused("--trusted", "--upper", self.lower + "/file", self.copy, says="Not a directory")


@unittest.skipIf(ROOT, "root may")
class ByAnOrdinaryUser(Export):
    def test_is_refused(self):
        self.shell("touch new")
        self.refused("--trusted", "--upper", self.upper, self.copy, says="root")


if __name__ == "__main__":
    sandbox.main()
