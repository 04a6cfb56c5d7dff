"""What tests of uppers for others share: trees, what programs see of them below ovlrun, and what kernel mounts show."""
import contextlib
import os
import shutil
import subprocess
import sys

import sandbox

ROOT = os.geteuid() == 0
PREFIX = "user.overlay."
FINGERPRINT = r'''
import hashlib, os, stat, sys
os.chdir(sys.argv[1])
links = {}
for folder, dirs, files in os.walk(b"."):
    dirs.sort()
    for name in [b""] + sorted(files + [d for d in dirs if os.path.islink(os.path.join(folder, d))]):
        path = os.path.join(folder, name) if name else folder
        st = os.lstat(path)
        # Numbers and link counts of directories are those of one layer or of another, as the kernel has them.
        facts = [path, oct(st.st_mode), st.st_uid, st.st_gid, st.st_rdev, st.st_mtime_ns]
        if not stat.S_ISDIR(st.st_mode):
            facts += [st.st_nlink, st.st_size, links.setdefault((st.st_dev, st.st_ino), path)]
        if stat.S_ISREG(st.st_mode):
            if st.st_nlink == 1 and "numbers" in sys.argv:
                facts.append(st.st_ino)
            facts.append(hashlib.sha256(open(path, "rb").read()).hexdigest())
        if stat.S_ISLNK(st.st_mode):
            facts.append(os.readlink(path))
        facts.append([(n, os.getxattr(path, n, follow_symlinks=False)) for n in sorted(os.listxattr(path, follow_symlinks=False))
                      if n != "security.selinux"])
        print(repr(facts))
'''


def below(top):
    """Paths of all objects below the directory."""
    for folder, dirs, files in os.walk(top):
        for name in dirs + files:
            yield os.path.join(folder, name)


def private(top):
    """{path: {name: value}} of the private xattrs below and at the directory."""
    found = {}
    for path in [top, *below(top)]:
        if os.path.islink(path):
            continue
        names = [n for n in os.listxattr(path, follow_symlinks=False) if n.startswith(PREFIX)]
        found[os.path.relpath(path, top)] = {n[len(PREFIX):]: os.getxattr(path, n) for n in names}
    return found


class Uppers(sandbox.Scenario):
    def setUp(self):
        super().setUp()
        self.mark = self.work + "/work/incompat/ovlrun"

    def shell(self, script, *options, lower=None, expect=0):
        lower = lower or ("--lower", self.lower)
        done = self.ovlrun(*lower, "--upper", self.upper, *options, "--", "bash", "-ec", f"cd \"$1\"\n{script}", "bash",
                           lower[-1])
        self.assertEqual(done.returncode, expect, done.stderr)
        return done.stdout

    def settle(self, *options, expect=0, **kwargs):
        done = self.ovlrun("settle", "--lower", self.lower, "--upper", self.upper, *options, **kwargs)
        self.assertEqual(done.returncode, expect, done.stderr)
        return done

    def seen(self, *facts, lower=None):
        """What a program sees below ovlrun."""
        lower = lower or ("--lower", self.lower)
        done = self.ovlrun(*lower, "--upper", self.upper, "--", sys.executable, "-Bc", FINGERPRINT, lower[-1], *facts)
        self.assertEqual(done.returncode, 0, done.stderr)
        return sorted(done.stdout.splitlines())

    def mounted(self, lowers=None):
        """What an unprivileged kernel mount of the upper shows."""
        shutil.rmtree(self.top + "/kernel", ignore_errors=True)
        # On a copy: a mount writes to the workdir.
        script = ('mkdir "$2/kernel"; mount -t overlay overlay -o "userxattr,lowerdir=$1,upperdir=$2/upper,workdir=$2/upper.work" '
                  '"$2/kernel" || exit 77; exec "$3" -Bc "$4" "$2/kernel"')
        enter = ["unshare", "--mount", "--user", "--map-root-user"]
        if subprocess.run([*enter, "true"], capture_output=True).returncode != 0:
            self.skipTest("no user namespaces here")
        done = subprocess.run([*enter, "bash", "-c", script, "bash", lowers or self.lower, self.top, sys.executable, FINGERPRINT],
                              capture_output=True, text=True, env=self.environment())
        if done.returncode == 77:
            if self.kernel_can_mount(enter):
                self.fail(f"the kernel refuses the upper: {done.stderr}")
            self.skipTest(f"no unprivileged overlay mounts here: {done.stderr}")
        self.assertEqual(done.returncode, 0, done.stderr)
        os.chmod(self.work + "/work", 0o700)
        return sorted(done.stdout.splitlines())

    def kernel_can_mount(self, enter):
        script = ('cd "$1"; mkdir l u w m; mount -t overlay overlay -o "userxattr,lowerdir=l,upperdir=u,workdir=w" m')
        with contextlib.ExitStack() as stack:
            os.mkdir(self.top + "/probe")
            stack.callback(shutil.rmtree, self.top + "/probe", ignore_errors=True)
            return subprocess.run([*enter, "bash", "-ec", script, "bash", self.top + "/probe"], capture_output=True).returncode == 0

    def with_own_ids(self, lines):
        """In the user namespace of mounted() this user is root."""
        own = f", {os.getuid()}, {os.getgid()}, "
        return [line.replace(own, ", 0, 0, ") for line in lines]

    def assert_portable(self):
        for path, marks in private(self.upper).items():
            self.assertNotIn("redirect", marks, path)
            self.assertNotIn("metacopy", marks, path)
            self.assertNotIn("whiteout", marks, path)
        self.assertFalse(os.path.exists(self.mark))

    def tree(self):
        for name in ("a", "sub/b", "sub/deep/c", "sub/deep/er/d"):
            self.write("lower/tree/" + name, name + "\n" * 5000)
        os.chmod(self.lower + "/tree/sub/b", 0o4711)
        os.symlink("../a", self.lower + "/tree/sub/link")
        os.mkfifo(self.lower + "/tree/sub/fifo")
        os.setxattr(self.lower + "/tree/sub", "user.colour", b"red")
        os.setxattr(self.lower + "/tree/a", "user.taste", b"sweet")
        for path in [self.lower, *below(self.lower)]:
            os.utime(path, (10 ** 9, 10 ** 9 + 5), follow_symlinks=False)

    def hard_links(self, special=True):
        """Of a file with data, one without, a symbolic link and a FIFO: each with names inside and outside of what is renamed."""
        self.tree()
        os.mkdir(self.lower + "/other")
        for name in ("a", "sub/b", *(("sub/link", "sub/fifo") if special else ())):
            for second in ("other/" + os.path.basename(name), "tree/sub/deep/2" + os.path.basename(name)):
                os.link(f"{self.lower}/tree/{name}", f"{self.lower}/{second}", follow_symlinks=False)
        for path in [self.lower, *below(self.lower)]:
            os.utime(path, (10 ** 9, 10 ** 9 + 5), follow_symlinks=False)
        self.shell("echo more >> tree/a; chmod 4700 tree/sub/b; rm tree/sub/b; ln other/a new; mv tree/sub/deep moved" +
                   ("; touch -hd 2001-01-01 tree/sub/link; chmod 600 other/fifo" if special else ""))
