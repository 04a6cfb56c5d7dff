"""ovlrun check: healthy uppers are called so, each damage is told by the path that programs see, and repairs leave what they can't
know alone."""
import collections
import os
import re
import shutil
import stat
import subprocess
import unittest

import sandbox
from uppers import PREFIX, ROOT, Uppers

RECORD = "user.containers.override_stat"


def handle_of(name):
    """Of an index entry: the bytes that it is the name of."""
    return bytes.fromhex(name)


def but_times_of_directories(lines):
    return [re.sub(r"(, '0o4\d{4}', \d+, \d+, \d+), \d+,", r"\1,", line) for line in lines]


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
        os.setxattr(self.upper + "/" + name, mark if mark.startswith("user.") else PREFIX + mark, value, follow_symlinks=follow)

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

    def test_data_in_a_layer_of_data_alone(self):
        named, data, at = self.top + "/named", self.top + "/data", self.top + "/at"
        for name in (named, data, at):
            os.mkdir(name)
        self.write("data/blob", "data\n")
        self.write("named/file", "")
        os.truncate(named + "/file", 5)
        os.setxattr(named + "/file", PREFIX + "metacopy", b"")
        os.setxattr(named + "/file", PREFIX + "redirect", b"/blob")
        lowers = ("--lower", f"{named}:{self.lower}::{data}", "--at", at)
        self.assertEqual(self.shell("chmod 600 file; mv file name; cat name", lower=lowers), "data\n")
        self.healthy()
        os.unlink(data + "/blob")
        self.assertEqual(self.check(expect=1),
                         [f"error {at}/name: its data are missing: there is no such file in the lower (file) (can't be repaired)"])

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


@sandbox.needs_real_upper
class Damaged(Checks):
    def test_marks_that_cannot_be(self):
        self.shell("chmod 600 file; mkdir new; touch new/x; mv dir moved; chmod 600 moved/inner")
        self.set("new", "opaque", b"q")
        self.set("new", "protattr", b"ab")
        self.set("moved/inner", "metacopy", b"\1\2")
        self.mends(("error /new: its mark opaque (q) is none that can be", None),
                   ("error /new: its mark protattr (ab) is none that can be", None),
                   ("error /moved/inner: its mark metacopy ($'\\001\\002') is none that can be", None))

    def test_a_redirect_that_cannot_be(self):
        self.shell("mv dir moved; mv file file2")
        for value in (b"", b"a/b", b"/a//b", b"/../x", b"/" + b"x" * 600):
            self.set("moved", "redirect", value)
            (line,) = self.check(expect=1)
            self.assertRegex(line, r"^error '?/moved'?: its mark redirect \(.*\) is none that can be \(can't be repaired\)$")

    def test_a_whole_file_gets_rid_of_a_redirect_that_cannot_be(self):
        self.shell("mv file file2; echo more >> file2")
        self.assertEqual(self.mark_of("file2", "redirect"), b"file")
        self.set("file2", "redirect", b"a/b")
        self.assertIn("error", self.shell("cat file2 || echo error"))
        self.mends(("error /file2: its mark redirect (a/b) is none that can be, and keeps it from being opened", UNMARK))
        self.assertEqual(self.shell("cat file2"), "lower\nmore\n")

    def test_an_origin_that_cannot_be(self):
        self.shell("echo more >> file")
        self.set("file", "origin", b"nonsense")
        before = self.seen()
        self.mends(("error /file: its mark origin is none that can be: its inode number is another one",
                    ("make it say that the origin is not known", "the origin is not known now")))
        self.assertEqual(self.mark_of("file", "origin"), b"")
        self.assertEqual(self.seen(), before)

    def test_marks_where_they_mean_nothing(self):
        self.shell("echo more >> file; mkdir new; echo x > new/x")
        self.set("file", "opaque", b"y")
        self.set("new", "metacopy", b"")
        self.set("new", "nlink", b"U+1")
        self.set("new/x", "upper", b"")
        self.set("new/x", "whiteout", b"")
        self.mends(*((f"note {path}: its mark {mark} means nothing on an object of this type", UNMARK)
                     for path, mark in (("/file", "opaque"), ("/new", "metacopy"), ("/new", "nlink"), ("/new/x", "upper"),
                                        ("/new/x", "whiteout"))))

    def test_marks_from_a_newer_version(self):
        self.shell("echo more >> file")
        self.set("file", "shine", b"y")
        self.set("file", "overlay.shine", b"y")  # a program's own
        self.mends((f"error /file: has the mark {PREFIX}shine, which this version does not know", None))

    def test_records_that_cannot_be(self):
        self.shell("echo x > new; mkdir dir2")
        self.set("new", RECORD, b"0:0")
        self.set("dir2", RECORD, b"0:0:0755:file")
        self.mends(("error /new: its recorded owner and mode (0:0) can't be read: the real ones are shown", None),
                   ("error /dir2: is recorded as 0:0:0755:file, which it can't be", None))
        self.set("new", RECORD, b"0:0:0644:char-1-3")
        self.set("dir2", RECORD, b"0:0:0755")
        self.healthy()
        self.set("new", RECORD, b"0:0:0644:file:more")
        self.check(expect=1)

    @unittest.skipUnless(ROOT, "only root has trusted marks")
    def test_impure(self):
        self.shell("mkdir new; echo more >> file; mv file new/; mkdir new2; mv dir new2/", "--xattr=trusted")
        impure = "trusted.overlay.impure"
        os.removexattr(self.upper + "/new", impure)
        os.setxattr(self.upper + "/new2", impure, b"")
        lacks = ("note /{}: lacks the mark impure, which {} in it needs: listings of a kernel mount may show another inode number "
                 "than stat")
        self.mends((lacks.format("new", "file"), ("set it", "set it")),
                   ("note /new2: its mark impure is none that can be", ("set it again", "set it again")))
        os.removexattr(self.upper + "/new2", impure)
        self.mends((lacks.format("new2", "dir"), ("set it", "set it")))

    def test_a_directory_may_lack_the_mark_impure_under_the_prefix_user(self):
        self.shell("mkdir new; echo more >> file; mv file new/", "--portable")
        self.assertEqual(self.mark_of("new", "impure"), b"y")
        self.mounted()
        self.healthy()

    def test_the_lower_has_lost_what_is_referred_to(self):
        self.tree()
        self.shell("mv tree moved; chmod 600 file moved/sub/b; mv file name; rm moved/a; chmod 600 dir/inner")
        self.healthy()
        for name in ("tree", "file", "dir/inner"):
            os.rename(f"{self.lower}/{name}", f"{self.top}/{os.path.basename(name)}")
        damage = [("error /moved: what it was in the lower (tree) is missing there: what it had from there can't be seen", None),
                  ("error /name: its data are missing: there is no such file in the lower (file)", None),
                  ("error /dir/inner: its data are missing: there is no such file in the lower (/dir/inner)", None)]
        self.mends(*damage)
        # Nothing below is judged: the whiteout of moved/a, the data of moved/sub/b.
        self.assertTrue(os.path.lexists(self.upper + "/moved/a"))
        self.write("lower/file", "other\n" * 10)
        os.mkfifo(self.lower + "/dir/inner")
        self.write("lower/tree", "not a directory")
        damage[1] = ("error /name: its data in the lower were changed: 60 bytes instead of 6 in /file", None)
        self.mends(*damage)
        self.lower_before = None

    def test_a_metacopy_whose_data_were_replaced(self):
        self.shell("mv file name; chmod 600 name")
        fh = self.origin_of_lower("file")
        self.set("name", "origin", fh)
        self.healthy()
        os.rename(self.lower + "/file", self.top + "/file")
        self.write("lower/file", "LOWER\n")
        self.mends(("error /name: its data in the lower were replaced: /file is another file now", None))
        self.lower_before = None

    def origin_of_lower(self, name):
        """As a copy-up of it writes it."""
        upper = self.top + "/other"
        done = self.ovlrun("--lower", self.lower, "--upper", upper, "--", "bash", "-c", 'echo x >> "$1"', "bash", f"{self.lower}/{name}")
        self.assertEqual(done.returncode, 0, done.stderr)
        return os.getxattr(f"{upper}/{name}", PREFIX + "origin")

    def test_an_opaque_directory_with_a_redirect(self):
        self.tree()
        self.shell("mv tree moved; rm moved/a; touch moved/new")
        self.set("moved", "opaque", b"y")
        before = self.seen()
        self.mends(("note /moved: has a redirect (tree) that its being opaque has ended", ("remove the redirect", "removed the redirect")),
                   ("note /moved/a: a whiteout in an opaque directory, which hides nothing", REMOVE))
        self.assertEqual(self.seen(), before)

    def test_whiteouts_that_hide_nothing(self):
        self.shell("mkdir new; rm -r dir; mkdir dir; echo x > dir/x; echo more >> file")
        for name in ("nothing", "new/nothing", "dir/nothing", "dir/inner"):
            self.whiteout(name)
        os.utime(self.upper + "/new", (10 ** 9, 10 ** 9))
        before = self.seen()
        self.mends(("note /nothing: a whiteout that hides nothing", REMOVE),
                   ("note /new/nothing: a whiteout in a directory that no lower has, which hides nothing", REMOVE),
                   ("note /dir/nothing: a whiteout in an opaque directory, which hides nothing", REMOVE),
                   ("note /dir/inner: a whiteout in an opaque directory, which hides nothing", REMOVE))
        self.assertEqual(self.seen(), before)
        self.assertEqual(self.mounted(), self.with_own_ids(before))

    def test_whiteouts_that_are_files(self):
        self.shell("touch new; rm dir/inner; touch dir/x")
        os.unlink(self.upper + "/dir/inner")
        for name in ("dir/inner", "file"):
            with open(self.upper + "/" + name, "w"):
                pass
            self.set(name, "whiteout", b"y")
        before = self.seen()
        self.mends((f"error W/work/incompat/ovlrun: is missing, though /dir/inner refers to the lower: a kernel mount would misread the upper",
                    ("make it", "made it")),
                   *((f"note /{name}: a whiteout that is a file, in a directory that does not say that it may have such",
                      ("set the directory's mark", "set the directory's mark")) for name in ("dir/inner", "file")))
        self.assertEqual(self.seen(), before)
        self.assertEqual(self.mark_of("dir", "opaque"), b"x")

    def test_the_mark_of_the_unportable(self):
        for script, path in (("chmod 600 file", "/file"), ("mv dir moved", "/moved")):
            with self.subTest(script):
                self.shell(script)
                os.rmdir(self.mark)
                self.mends((f"error W/work/incompat/ovlrun: is missing, though {path} refers to the lower: a kernel mount would misread "
                            "the upper", ("make it", "made it")))
                self.assertTrue(os.path.isdir(self.mark))
                shutil.rmtree(self.upper)
                shutil.rmtree(self.work)
        self.shell("chmod 600 file; rm file")
        self.healthy("-v")
        self.assertIn("'ovlrun settle'", self.summary)

    def test_what_a_kill_left_in_the_workdir(self):
        self.shell("echo more >> file")
        os.makedirs(self.work + "/work/#12/sub")
        self.write("upper.work/work/#12/sub/x", "x")
        self.write("upper.work/work/#34", "x")
        os.mkdir(self.work + "/work/#settle")
        self.mends(("note 'W/work/#12': was left by an operation that was killed", REMOVE),
                   ("note 'W/work/#34': was left by an operation that was killed", REMOVE),
                   ("note 'W/work/#settle': was left by 'ovlrun settle', which was killed: run that again", None))
        self.settle()
        self.healthy()

    def test_a_volatile_session_and_unknown_features(self):
        self.shell("echo more >> file")
        os.makedirs(self.work + "/work/incompat/volatile/dirty")
        os.makedirs(self.work + "/work/incompat/shine")
        self.assertEqual(self.check(expect=1), [
            "error W/work/incompat/shine: the upper was used with this feature, which is not known here (can't be repaired)",
            "error W/work/incompat/volatile/dirty: its session was volatile and did not end properly: after a crash of the system data may be "
            "missing (can't be repaired)"])
        self.check("--repair", expect=125)
        self.assertTrue(os.path.isdir(self.work + "/work/incompat/volatile/dirty"))

    def test_companions(self):
        os.symlink("file", self.lower + "/link")
        self.shell("mv link moved; mkfifo fifo; chmod 600 moved fifo; ln -s x own; touch -h moved; chown -h $(id -u) moved")
        beside = self.work + "/ovlrun/beside"
        (name,) = os.listdir(beside)
        self.healthy()
        # One of an inode that has another generation.
        other = name[:-2] + ("00" if name[-2:] != "00" else "01")
        shutil.copyfile(f"{beside}/{name}", f"{beside}/{other}")
        self.write("upper.work/ovlrun/beside/what", "")
        self.mends((f"note W/ovlrun/beside/{other}: was kept beside an object that is no more", REMOVE),
                   ("error W/ovlrun/beside/what: is nothing that is known here", None))
        os.unlink(beside + "/what")
        os.setxattr(f"{beside}/{name}", RECORD, b"0:0:0644:pipe")
        os.setxattr(f"{beside}/{name}", PREFIX + "origin", b"nonsense")
        self.mends(("error /moved: is recorded as 0:0:0644:pipe, which it can't be", None),
                   ("error /moved: its mark origin is none that can be: its inode number is another one",
                    ("make it say that the origin is not known", "the origin is not known now")))

    def indexed(self):
        """Three names in the lower, the first of them in the upper. Returns the path of the entry."""
        for name in ("one", "two"):
            os.link(self.lower + "/file", f"{self.lower}/dir/{name}")
        self.shell("chmod 600 file")
        (entry,) = os.listdir(self.work + "/index")
        self.healthy()
        return self.work + "/index/" + entry

    def test_an_entry_of_the_index_with_another_origin(self):
        entry = self.indexed()
        before = self.seen()
        self.set("file", "origin", self.origin_of_lower("dir/inner"))
        self.mends(("error /file: its origin is not the one under which it stands in the index: a kernel mount would take it out",
                    ("set the origin", "set the origin")))
        self.assertEqual(self.mark_of("file", "origin"), handle_of(os.path.basename(entry)))
        self.set("file", "origin", b"nonsense")
        self.mends(("error /file: its origin is not the one under which it stands in the index: a kernel mount would take it out",
                    ("set the origin", "set the origin")))
        self.assertEqual(self.seen(), before)

    def test_link_counts(self):
        self.indexed()
        self.assertEqual(self.shell("stat -c %h file dir/one"), "3\n3\n")
        for count, line in ((b"U+9", "error /file: its link count is too high: 11 with 1 names in the upper and 3 in the lower"),
                            (b"U-2", "error /file: its link count is too low: 0 with 1 names in the upper"),
                            (b"L-4", "error /file: its link count is too low: -1 with 1 names in the upper"),
                            (b"X", "error /file: its link count (X) can't be read")):
            self.set("file", "nlink", count)
            self.mends((line, None))
        for count in (b"U+1", b"L+0", b"L-2", b"U-1"):
            self.set("file", "nlink", count)
            self.healthy()

    def test_an_entry_that_has_lost_its_last_name(self):
        entry = self.indexed()
        self.shell("rm file dir/one dir/two")
        self.assertFalse(os.path.exists(entry))
        with open(entry, "w"):
            os.setxattr(entry, PREFIX + "origin", handle_of(os.path.basename(entry)))
            os.setxattr(entry, PREFIX + "nlink", b"U-1")
        self.mends((f"note W/index/{os.path.basename(entry)}: is a file in the index that has lost its last name", REMOVE))
        self.assertFalse(os.path.exists(entry))

    def test_an_entry_with_names_in_the_lower_alone_is_none_that_was_left(self):
        entry = self.indexed()
        self.shell("rm file")
        self.healthy("--repair")
        self.assertTrue(os.path.exists(entry))
        self.assertEqual(self.shell("stat -c %a dir/two"), "600\n")

    def test_what_is_no_entry_of_an_index(self):
        entry = self.indexed()
        self.write("upper.work/index/what", "")
        self.write("upper.work/index/00ff", "")
        self.write("upper.work/index/#5", "")
        self.mends(("error W/index/what: is nothing that is known in an index", None),
                   ("error W/index/00ff: is nothing that is known in an index", None),
                   ("note 'W/index/#5': was left by an operation that was killed", REMOVE))
        self.assertTrue(os.path.exists(entry))

    def test_a_workdir_that_has_lost_its_index(self):
        self.indexed()
        shutil.rmtree(self.work + "/index")
        self.mends(("note /file: its link count is kept as in an index, but the workdir has no entry of it: 'ovlrun settle' forgets it", None))
        self.settle()
        self.healthy()

    def test_a_kernel_mount_is_kept_away_again(self):
        self.shell("chmod 600 file")
        os.rmdir(self.mark)
        self.mounted()
        self.check("--repair")
        script = 'mkdir -p "$2/kernel"; mount -t overlay overlay -o "userxattr,lowerdir=$1,upperdir=$2/upper,workdir=$2/upper.work" "$2/kernel"'
        done = subprocess.run(["unshare", "--mount", "--user", "--map-root-user", "bash", "-c", script, "bash", self.lower, self.top],
                              capture_output=True, text=True, env=self.environment())
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("mount", done.stderr)
        self.healthy()

    @unittest.skipUnless(ROOT, "root's mounts")
    def test_a_kernel_mount_finds_the_index_again(self):
        for name in ("one", "two"):
            os.link(self.lower + "/file", f"{self.lower}/dir/{name}")
        self.shell("echo more >> file", "--xattr=trusted")
        os.setxattr(self.upper + "/file", "trusted.overlay.origin", b"nonsense")
        self.mends(("error /file: its origin is not the one under which it stands in the index: a kernel mount would take it out",
                    ("set the origin", "set the origin")))
        script = ('mkdir "$2/kernel"; mount -t overlay overlay -o "redirect_dir=on,metacopy=on,index=on,lowerdir=$1,upperdir=$2/upper,'
                  'workdir=$2/upper.work" "$2/kernel" || exit 77; cat "$2/kernel/dir/one"; stat -c %h "$2/kernel/file"')
        done = subprocess.run(["unshare", "--mount", "bash", "-c", script, "bash", self.lower, self.top], capture_output=True, text=True)
        if done.returncode == 77:
            self.skipTest(f"no overlay mounts here: {done.stderr}")
        self.assertEqual(done.stdout, "lower\nmore\n3\n")

    def test_a_repair_that_is_killed_at_any_call_goes_on(self):
        if shutil.which("strace") is None:
            self.skipTest("no strace here")
        self.tree()
        self.shell("mv tree moved; rm moved/a; mkdir new; echo more >> file; rm -r dir; mkdir dir")
        os.rmdir(self.mark)
        self.set("moved", "opaque", b"y")
        self.set("file", "origin", b"nonsense")
        self.set("file", "opaque", b"y")
        for name in ("new/x", "dir/x", "dir/inner", "nothing"):
            self.whiteout(name)
        self.write("upper.work/work/#12/sub/x", "x")
        before, findings = self.seen(), len(self.check(expect=1))
        self.assertEqual(findings, 9)  # the session has taken #12 away
        self.write("upper.work/work/#12/sub/x", "x")
        kept, both = self.top + "/kept", ("upper", "upper.work")
        os.mkdir(kept)
        subprocess.run(["cp", "-a", *both, kept], cwd=self.top, check=True)
        command = [sandbox.OVLRUN, "check", "--repair", "--upper", self.upper]
        calls = "mkdir,mkdirat,unlink,unlinkat,rmdir,lsetxattr,lremovexattr,utimensat,chmod,fchmodat,fsync"
        log = self.top + "/log"
        traced = subprocess.run(["strace", "-f", "-o", log, "-e", "trace=" + calls, *command], env=self.environment(),
                                capture_output=True, text=True)
        if traced.returncode != 0:
            self.skipTest(f"strace may not trace here: {traced.stderr}")
        with open(log, encoding="utf-8", errors="replace") as file:
            made = [call[1] for line in file if (call := re.match(r"\d+ +(\w+)\(", line))]
        self.assertGreater(len(made), 15)
        for call, count in sorted(collections.Counter(made).items()):
            for number in range(1, count + 1):
                for name in both:
                    shutil.rmtree(f"{self.top}/{name}")
                subprocess.run(["cp", "-a", *both, self.top], cwd=kept, check=True)
                killed = subprocess.run(["strace", "-f", "-o", "/dev/null", "-e", "trace=" + call, "-e",
                                         f"inject={call}:signal=KILL:when={number}", *command], env=self.environment(), capture_output=True)
                self.assertIn(killed.returncode, (-9, 137), f"{call} {number}: {killed.stderr}")
                self.assertEqual(but_times_of_directories(self.seen()), but_times_of_directories(before), f"{call} {number}")
                self.check("--repair")
                self.healthy()


class Command(Checks):
    @sandbox.needs_real_upper
    def test_the_summary_counts(self):
        self.shell("chmod 600 file; mkdir new")
        os.rmdir(self.mark)
        self.whiteout("new/x")
        self.check(expect=1)
        self.assertEqual(self.summary, "ovlrun: check: 4 objects checked: 1 error, 1 harmless leftover; --repair can mend 2\n")
        self.check("--repair")
        self.assertEqual(self.summary, "ovlrun: check: 3 objects checked: nothing is wrong; 2 repaired\n")

    @sandbox.needs_real_upper
    def test_a_check_changes_nothing(self):
        self.shell("chmod 600 file; mv dir moved")
        os.rmdir(self.mark)
        self.whiteout("moved/x")
        before = sandbox.fingerprint(self.top)
        self.check(expect=1)
        self.assertEqual(sandbox.fingerprint(self.top), before)

    @sandbox.needs_real_upper
    def test_an_upper_in_use_is_refused(self):
        running = self.start("cat", stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        running.stdin.write(b"x\n")
        running.stdin.flush()
        running.stdout.readline()
        for options in ((), ("--repair",)):
            self.assertEqual(self.check(*options, expect=125), [])
            self.assertRegex(self.summary, r"is in use by pid \d+ \(cat\)")
        running.communicate()
        self.healthy()

    @sandbox.needs_real_upper
    @unittest.skipUnless(ROOT, "needs more than one user")
    def test_an_upper_of_another_user_is_not_repaired(self):
        self.shell("chmod 600 file")
        os.rmdir(self.mark)
        os.chown(self.work, 65500, 65500)
        self.check(expect=1)
        self.check("--repair", expect=125)
        self.assertFalse(os.path.exists(self.mark))

    @sandbox.needs_real_upper
    def test_other_lowers_are_told_and_not_repaired(self):
        self.shell("rm file; mkdir new")
        self.whiteout("new/x")
        os.rename(self.lower, self.top + "/before")
        shutil.copytree(self.top + "/before", self.lower)
        os.unlink(self.lower + "/file")
        self.assertEqual(self.check(), [])
        self.assertIn("was made over another lower", self.summary)
        self.check("--repair", expect=125)
        self.assertTrue(os.path.lexists(self.upper + "/file"))
        self.lower_before = None

    @sandbox.needs_real_upper
    def test_the_workdir_of_another_upper_is_not_repaired(self):
        os.symlink("file", self.lower + "/link")
        self.shell("mv link moved")
        (companion,) = os.listdir(self.work + "/ovlrun/beside")
        other = self.top + "/other"
        os.mkdir(other)
        self.assertEqual(self.check("--work", self.work, upper=other), [])
        self.check("--repair", "--work", self.work, upper=other, expect=125)
        self.assertIn("is that of another upper", self.summary)
        self.assertEqual(os.listdir(self.work + "/ovlrun/beside"), [companion])

    @sandbox.needs_real_upper
    @unittest.skipIf(ROOT, "root may read everywhere")
    def test_what_cannot_be_read_is_told(self):
        self.shell("mkdir new; touch new/x")
        os.chmod(self.upper + "/new", 0)
        self.assertEqual(self.check(expect=125), [])
        self.assertIn("not checked: ", self.summary)

    def test_what_cannot_be_checked(self):
        os.mkdir(self.upper)
        for options, words in (((), "no session is recorded"), (("--lower", self.top + "/none"), "No such file")):
            self.assertEqual(self.check(*options, expect=125), [])
            self.assertIn(words, self.summary)
        self.assertEqual(self.check(upper=self.top + "/none", expect=125), [])
        done = self.ovlrun("check")
        self.assertEqual((done.returncode, done.stdout), (125, ""))


if __name__ == "__main__":
    sandbox.main()
