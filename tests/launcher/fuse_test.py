"""Layers of fuse-overlayfs read right here, and uppers made here read right there."""
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import unittest

import sandbox
from uppers import FINGERPRINT, ROOT, Uppers, private


def why_not():
    """What keeps fuse-overlayfs from mounting here; empty: nothing."""
    if shutil.which("fuse-overlayfs") is None:
        return "no fuse-overlayfs here"
    with tempfile.TemporaryDirectory() as top:
        done = subprocess.run([*ENTER, "bash", "-ec", 'cd "$1"; mkdir l u w m; fuse-overlayfs -o lowerdir=l,upperdir=u,workdir=w m; '
                               "umount m", "bash", top], capture_output=True, text=True)
    return f"fuse-overlayfs can't mount here: {done.stderr}" if done.returncode != 0 else ""


# Its own user is root of a name space, as podman's is.
ENTER = ["unshare", "--mount", "--user", "--map-root-user", "--propagation", "private"]
WHY_NOT = why_not()


@unittest.skipIf(WHY_NOT, WHY_NOT)
@sandbox.needs_real_upper
class Fuse(Uppers):
    SCRIPT = """
        rm dir/inner; echo new > dir/new; mv tree/a a; rm -r tree/sub/deep; mkdir tree/sub/deep; echo n > tree/sub/deep/n; rm -r gone; mkdir gone
        touch gone/fresh; mv tree moved; mkdir tree; touch tree/t; chmod 600 file; ln file file2; ln -s x link; mkfifo pipe
        setfattr -n user.taste -v sour file || python3 -c 'import os; os.setxattr("file", "user.taste", b"sour")'
        rm -r middle; touch -d 2001-01-01 file"""

    def setUp(self):
        super().setUp()
        self.tree()
        self.write("lower/gone/was/deep", "deep\n")
        self.write("lower/middle/x", "x\n")
        for name in ("gone", "middle"):
            os.utime(self.lower + "/" + name, (10 ** 9, 10 ** 9))
        os.mkdir(self.work)
        os.mkdir(self.top + "/fuse")

    def fuse(self, *command, lowers=None, options="", upper=None, enter=ENTER):
        """Runs the command in a mount of fuse-overlayfs. Returns its output."""
        script = ('cd "$1"; fuse-overlayfs -o "lowerdir=$2,upperdir=$3,workdir=$1/fuse.work$4" fuse >/dev/null; cd fuse; shift 4; status=0; '
                  '"$@" || status=$?; cd ..; umount fuse; exit $status')
        upper = upper or self.upper
        os.makedirs(self.top + "/fuse.work", exist_ok=True)
        os.makedirs(upper, exist_ok=True)
        done = subprocess.run([*enter, "bash", "-ec", script, "bash", self.top, lowers or self.lower, upper, options, *command],
                              capture_output=True, text=True, env=self.environment())
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def fuse_seen(self, **kwargs):
        return self.plain(self.fuse(sys.executable, "-Bc", FINGERPRINT, self.top + "/fuse", **kwargs).splitlines())

    def plain(self, lines):
        """As both show it: the ids are those of the name space, times of directories and of the root are each one's own, and
        fuse-overlayfs shows the xattrs in which it keeps what it knows of a file."""
        plain = []
        for line in self.with_own_ids(lines):
            facts = eval(line)  # what FINGERPRINT has printed
            facts[-1] = [x for x in facts[-1] if not x[0].startswith(("user.fuseoverlayfs.", "user.containers."))]
            if facts[1].startswith("0o4"):
                facts[5] = 0
            plain.append(repr(facts))
        return sorted(plain)

    def compare(self, lower=None):
        self.assertEqual(self.plain(self.seen(lower=lower)), self.expected)

    def make(self, **kwargs):
        self.fuse("bash", "-ec", self.SCRIPT, **kwargs)
        self.expected = self.fuse_seen(**kwargs)

    def test_an_upper_of_fuse_overlayfs(self):
        self.make()
        self.assertTrue(any(os.path.lexists(self.upper + "/gone/" + name) for name in (".wh..wh..opq", ".wh..opq")))
        self.compare()

    def test_an_upper_of_fuse_overlayfs_is_worked_on(self):
        self.make()
        self.shell("echo more > gone/more; rm -r tree; mv moved tree; rm -r gone; mkdir gone; ls -A gone")
        expected = self.plain(self.seen())
        self.settle_it()
        self.assertEqual(self.plain(self.seen()), expected)
        self.assertEqual(self.fuse_seen(), expected)
        self.assertEqual(self.plain(self.mounted()), expected)

    def test_a_layer_of_fuse_overlayfs_in_the_middle(self):
        self.make(upper=self.top + "/second")
        os.mkdir(self.top + "/at")
        self.compare(("--lower", f"{self.top}/second:{self.lower}", "--at", self.top + "/at"))
        # What is copied up from there hides nothing that it did not hide.
        self.shell("touch gone/2 tree/2 moved/sub/deep/2", lower=("--lower", f"{self.top}/second:{self.lower}", "--at", self.top + "/at"))
        names = self.shell("ls -A gone tree moved/sub/deep", lower=("--lower", f"{self.top}/second:{self.lower}", "--at",
                                                                    self.top + "/at"))
        self.assertEqual(names, "gone:\n2\nfresh\n\nmoved/sub/deep:\n2\nn\n\ntree:\n2\nt\n")

    @unittest.skipUnless(ROOT, "needs more than one user")
    def test_a_layer_as_podman_leaves_it(self):
        layer = self.top + "/second"
        os.makedirs(layer + "/gone")
        os.makedirs(layer + "/made")
        os.makedirs(layer + "/tree")
        for name in ("file", "new", "gone/fresh", "tree/a"):
            self.write("second/" + name, name)
        os.mknod(layer + "/middle", stat.S_IFCHR)
        os.mknod(layer + "/tree/sub", stat.S_IFCHR)
        os.setxattr(layer + "/gone", "user.overlay.opaque", b"y")
        for name, record in ((".", "0:0:0755:dir"), ("file", "12:34:0640:file"), ("new", "7:8:4711:file"), ("made", "5:6:1777:dir"),
                             ("gone", "0:0:0700"), ("gone/fresh", "1:2:0600"), ("tree", "0:0:0755"), ("tree/a", "0:0:0644:file")):
            os.setxattr(f"{layer}/{name}", "user.containers.override_stat", record.encode())
        lowers = f"{layer}:{self.lower}"
        os.mkdir(self.top + "/at")
        self.expected = self.fuse_seen(lowers=lowers, enter=[word for word in ENTER if word not in ("--user", "--map-root-user")])
        self.compare(("--lower", lowers, "--at", self.top + "/at"))

    def test_its_uppers_are_sound(self):
        self.make()
        done = self.ovlrun("check", "--lower", self.lower, "--upper", self.upper)
        self.assertEqual((done.returncode, done.stdout), (0, ""), done.stderr)

    def settle_it(self):
        done = self.ovlrun("settle", "--lower", self.lower, "--upper", self.upper)
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_a_settled_upper_shown_by_fuse_overlayfs(self):
        self.shell(self.SCRIPT)
        self.settle_it()
        self.assertEqual(self.fuse_seen(), self.plain(self.seen()))

    def test_a_portable_upper_shown_by_fuse_overlayfs(self):
        self.shell(self.SCRIPT, "--portable")
        self.assertEqual(self.fuse_seen(), self.plain(self.seen()))

    def test_its_opaque_directories_become_the_kernels_when_settled(self):
        self.make()
        self.settle_it()
        marks = private(self.upper)
        self.assertEqual(marks["gone"]["opaque"], b"y")
        self.assertEqual(os.listdir(self.upper + "/gone"), ["fresh"])
        self.compare()
        self.assertEqual(self.plain(self.mounted()), self.expected)

    @unittest.skipUnless(ROOT, "trusted xattrs need root")
    def test_its_opaque_directories_are_exported(self):
        self.make()
        done = self.ovlrun("export", "--trusted", "--upper", self.upper, self.top + "/copy")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(os.getxattr(self.top + "/copy/gone", "trusted.overlay.opaque"), b"y")
        self.assertEqual(os.listdir(self.top + "/copy/gone"), ["fresh"])

    def test_names_like_its_marks_are_plain_names_elsewhere(self):
        out = self.shell("mkdir new; touch new/.wh..wh..opq dir/.wh..wh..opq dir/.wh.inner; ls -A new dir")
        self.assertEqual(out, "dir:\n.wh..wh..opq\n.wh.inner\ninner\n\nnew:\n.wh..wh..opq\n")


if __name__ == "__main__":
    sandbox.main()
