"""ovlrun check: healthy uppers are called so, each damage is told by the path that programs see, and repairs leave what they can't
know alone."""
import contextlib
import os
import shutil
import stat
import struct
import subprocess
import sys
import unittest

import sandbox
from uppers import PREFIX, ROOT, Uppers, below

RECORD = "user.containers.override_stat"


def handle_of(name):
    """Of an index entry: the bytes that it is the name of."""
    return bytes.fromhex(name)


class Checks(Uppers):
    def check(self, *options, lower=None, upper=None, expect=0):
        """Runs the command. Returns its lines, below the lower's path for short."""
        lower = () if lower is None else lower
        done = self.ovlrun("check", *lower, "--upper", upper or self.upper, *options)
        self.assertEqual(done.returncode, expect, done.stdout + done.stderr)
        self.summary = done.stderr
        short = done.stdout.replace(self.lower, "").replace(self.work, "W")
        return short.splitlines()

    def healthy(self, *options, **kwargs):
        self.assertEqual(self.check(*options, **kwargs), [])
        self.assertIn("nothing is wrong", self.summary)

    def mends(self, *damage, after=()):
        """The check tells the damage (pairs of a line and a repair, None where there is none), and repairs what it says it can."""
        def lines(kind, wanted):
            return sorted(f"{line} (can't be repaired)" if repair is None else f"{line} ({kind[0]}: {repair[kind[1]]})"
                          for line, repair in wanted)
        self.assertEqual(sorted(self.check(expect=1 if any(line.startswith("error") for line, _ in damage) else 0)),
                         lines(("repair", 0), damage))
        rest = [one for one in damage if one[1] is None]
        left = int(any(line.startswith("error") for line, _ in rest))
        self.assertEqual(sorted(self.check("--repair", expect=left)), lines(("repaired", 1), damage))
        self.assertEqual(sorted(self.check(expect=left)), lines(("repair", 0), rest))

    def set(self, name, mark, value, follow=True):
        os.setxattr(self.upper + "/" + name, mark if "." in mark else PREFIX + mark, value, follow_symlinks=follow)

    def mark_of(self, name, mark):
        try:
            return os.getxattr(self.upper + "/" + name, PREFIX + mark, follow_symlinks=False)
        except OSError:
            return None

    def whiteout(self, name):
        os.mknod(self.upper + "/" + name, stat.S_IFCHR, 0)


REMOVE = ("remove it", "removed")
UNMARK = ("remove the mark", "removed the mark")


@sandbox.needs_real_upper
class Healthy(Checks):
    def test_an_upper_with_everything_in_it(self):
        self.tree()
        self.shell("mv tree moved; rm moved/a; echo new > moved/sub/new; chmod 600 file; ln file second; mkdir tree; touch tree/x; "
                   "mv moved/sub/deep .; rm -r deep/er; mkdir deep/er; mv dir/inner deep/er/; rmdir dir; mkdir dir; touch -h -d 2001-01-01 "
                   "moved/sub/link; mv moved/sub/link .; chmod 600 moved/sub/fifo; chown $(id -u) moved/sub/b; mv second dir/third; "
                   "echo more >> file; mknod null c 1 3 || true; setfattr -n user.overlay.opaque -v q file || true")
        self.healthy()

    def test_hard_links_of_the_lower(self):
        self.hard_links()
        self.healthy()
        self.shell("rm -f tree/a other/a new; rm -r other; mv moved/2a .; ln 2a other; rm tree/sub/link")
        self.healthy()

    def test_renamed_again_and_again(self):
        self.tree()
        for script in ("mv tree one", "mv one/sub two; mv two/deep two/shallow; mv one two/one",
                       "mkdir tree; touch tree/x; mv two/shallow/er .; mv dir keep; mv two dir; mv keep two; chmod 600 dir/shallow/c",
                       "mv dir/shallow/c c; mv c dir/c; mv dir/c c2; rm -r two; rm c2; mv dir/one tree/one; rm -rf dir",
                       "mkdir dir; mv tree/one dir/one; echo x >> dir/one/a; ln -f file dir/f; mv -T er dir/er"):
            self.shell(script)
            self.healthy()

    def test_a_portable_one(self):
        self.shell("chmod 600 file; rm dir/inner; mkdir n; mv file n", "--portable")
        self.healthy()

    def test_before_and_after_settle(self):
        self.hard_links()
        self.shell("mv tree other/moved")
        self.healthy()
        self.settle()
        self.healthy()

    def test_several_lowers_with_whiteouts_of_their_own(self):
        middle = self.top + "/middle"
        self.write("lower/dir/hidden", "hidden")
        os.makedirs(middle + "/dir/sub")
        os.makedirs(middle + "/opaque")
        self.write("lower/opaque/below", "below")
        os.setxattr(middle + "/opaque", PREFIX + "opaque", b"y")
        os.mknod(middle + "/dir/hidden", stat.S_IFCHR, 0)
        self.write("middle/dir/middle", "middle")
        at = self.top + "/at"
        os.mkdir(at)
        lowers = ("--lower", middle + ":" + self.lower, "--at", at)
        self.shell("cd dir; rm middle; mv inner renamed; touch hidden; rm hidden; cd ..; mv dir dir2; mv opaque dir2/; mkdir opaque; chmod 600 file",
                   lower=lowers)
        self.healthy()

    @unittest.skipIf(ROOT, "root needs no records")
    def test_closed_files_and_directories(self):
        self.tree()
        self.shell("chmod 000 tree/a; chmod 0 tree/sub; umask 777; mkdir closed; touch shut; chmod 500 dir")
        self.healthy()

    def test_one_of_an_inner_session(self):
        self.tree()
        self.shell(f"mkdir in in/upper; chmod 600 tree/sub/b; {sandbox.OVLRUN} --lower tree --upper in/upper -- bash -ec 'cd tree; mv sub moved; "
                   "chmod 640 a; rm moved/b; mkfifo p; mv moved/link l'")
        self.healthy()

    def test_nothing_in_it(self):
        self.shell("true")
        self.healthy()

    @unittest.skipUnless(ROOT, "only root has these")
    def test_trusted_marks(self):
        self.tree()
        self.shell("mv tree moved; rm moved/a; chmod 600 file; mkdir tree; touch tree/x; rm -r dir; mkdir dir", "--xattr=trusted")
        self.healthy()

    @unittest.skipUnless(ROOT, "only root has these")
    def test_one_that_the_kernel_made(self):
        self.tree()
        for name in ("a", "sub/b"):
            os.makedirs(self.lower + "/other", exist_ok=True)
            os.link(f"{self.lower}/tree/{name}", f"{self.lower}/other/{os.path.basename(name)}")
        for options in ("redirect_dir=on,metacopy=on,index=on", "redirect_dir=on,metacopy=off,index=off", "userxattr",
                        "index=on,nfs_export=on,redirect_dir=on,metacopy=off"):
            with self.subTest(options):
                for name in (self.upper, self.work, self.top + "/merged"):
                    shutil.rmtree(name, ignore_errors=True)
                    os.mkdir(name)
                script = ('mount -t overlay overlay -o "$1,lowerdir=$2,upperdir=$3,workdir=$4" "$5" || exit 77; cd "$5"; set -e; '
                          "mv tree moved || cp -a tree moved; rm moved/a; echo new > moved/sub/new; chmod 600 file; ln file second; rm -rf tree; mkdir tree; "
                          "touch tree/x; mv moved/sub/deep . || true; rm -rf dir; mkdir dir; chmod 640 other/a; mv other/a dir/a; touch -h moved/sub/link; "
                          "mv moved/sub/link l; echo x >> other/b; rm moved/sub/b")
                done = subprocess.run(["unshare", "--mount", "bash", "-c", script, "bash", options, self.lower, self.upper, self.work,
                                       self.top + "/merged"], capture_output=True, text=True)
                if done.returncode == 77:
                    self.skipTest(done.stderr)
                self.assertEqual(done.returncode, 0, done.stderr)
                prefix = "user" if "userxattr" in options else "trusted"
                self.healthy("--xattr=" + prefix, lower=("--lower", self.lower))


if __name__ == "__main__":
    sandbox.main()
