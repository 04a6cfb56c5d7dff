"""What the launcher's scenarios share: a scratch directory with a lower, running ovlrun in it, fingerprints."""
import functools
import hashlib
import os
import re
import shutil
import stat
import struct
import subprocess
import tempfile
import unittest

OVLRUN = os.environ.get("OVLRUN") or os.path.realpath(os.path.dirname(__file__) + "/../../build/release/launcher/ovlrun")


def make_environment_plain():
    """What tests take for granted: descriptors 0 to 2 are open, and whoever runs them may search the directories of PATH (else
    what is not found at all is EACCES)."""
    while True:
        fd = os.open("/dev/null", os.O_RDWR)
        if fd > 2:
            os.close(fd)
            break
        os.set_inheritable(fd, True)
    os.environ["PATH"] = ":".join(d for d in os.get_exec_path() if os.access(d, os.X_OK))


make_environment_plain()


def fingerprint(top, times=True):
    """Names, types, modes, owners, times, xattrs and content of everything below `top`."""
    lines = []
    for folder, dirs, files in os.walk(top):
        for path in [folder] + [os.path.join(folder, n) for n in files + [d for d in dirs if os.path.islink(os.path.join(folder, d))]]:
            st = os.lstat(path)
            line = [path, oct(st.st_mode), st.st_uid, st.st_gid, st.st_nlink]
            if times:
                line += [st.st_mtime_ns, st.st_ctime_ns]
            if stat.S_ISREG(st.st_mode):
                with open(path, "rb") as f:
                    line.append(hashlib.sha256(f.read()).hexdigest())
            if stat.S_ISLNK(st.st_mode):
                line.append(os.readlink(path))
            try:
                names = os.listxattr(path, follow_symlinks=False)
            except OSError:
                names = []
            line.append([(n, os.getxattr(path, n, follow_symlinks=False)) for n in sorted(names)])
            lines.append(repr(line))
    return sorted(lines)


def is_below_ovlrun():
    try:
        return os.readlink("/proc/self/ovlrun") != ""
    except OSError:
        return False


BELOW_OVLRUN = is_below_ovlrun()  # these tests themselves

needs_real_upper = unittest.skipIf(BELOW_OVLRUN, "below ovlrun: uppers inside another overlay look otherwise")
needs_own_supervisor = unittest.skipIf(BELOW_OVLRUN, "below ovlrun: the supervisor is that of the session around")


@functools.cache
def notice():
    """What ovlrun says each time where it can have no supervisor."""
    said = subprocess.run([OVLRUN, "--lower", "/no such directory", "--", "true"], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True).stderr
    return "".join(line for line in said.splitlines(keepends=True)
                   if line.startswith(("ovlrun: no supervisor: ", "ovlrun: going on with the preload alone: ")))


def without_notice(done):
    """The CompletedProcess, with no words about a missing supervisor on stderr."""
    if isinstance(done.stderr, str) and notice():
        done.stderr = done.stderr.replace(notice(), "")
    return done


class Scenario(unittest.TestCase):
    """A fresh directory per test: self.top with lower/ in it. The lower is compared at the end."""

    def setUp(self):
        self.top = os.path.realpath(tempfile.mkdtemp(prefix="ovlrun-launcher-"))
        self.lower = os.path.join(self.top, "lower")
        self.upper = os.path.join(self.top, "upper")
        self.work = self.upper + ".work"
        os.mkdir(self.lower)
        self.write("lower/file", "lower\n")
        self.write("lower/dir/inner", "inner\n")
        self.lower_before = None

    def write(self, name, text, mode=None):
        path = os.path.join(self.top, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as f:
            f.write(text)
        if mode is not None:
            os.chmod(path, mode)
        return path

    def environment(self, **more):
        env = dict(os.environ, HOME=self.top, LC_ALL="C")
        env.pop("XDG_STATE_HOME", None)
        env.update(more)
        return env

    def freeze(self):
        if self.lower_before is None:
            self.lower_before = fingerprint(self.lower)

    def ovlrun(self, *args, **kwargs):
        """Runs ovlrun with these arguments. Returns the CompletedProcess, with text output."""
        self.freeze()
        kwargs.setdefault("env", self.environment())
        kwargs.setdefault("cwd", self.top)
        if "input" not in kwargs:
            kwargs.setdefault("stdin", subprocess.DEVNULL)
        kwargs.setdefault("stdout", subprocess.PIPE)
        kwargs.setdefault("stderr", subprocess.PIPE)
        kwargs.setdefault("text", True)
        return without_notice(subprocess.run([OVLRUN, *args], **kwargs))

    def inside(self, *command, **kwargs):
        """Runs a command over self.lower with self.upper."""
        return self.ovlrun("--lower", self.lower, "--upper", self.upper, "--", *command, **kwargs)

    def start(self, *command, options=(), **kwargs):
        """Starts a command over self.lower without waiting for it."""
        self.freeze()
        kwargs.setdefault("env", self.environment())
        kwargs.setdefault("cwd", self.top)
        return subprocess.Popen([OVLRUN, "--lower", self.lower, "--upper", self.upper, *options, "--", *command],
                                **kwargs)

    def supervised(self, *options):
        """Skips the test where ovlrun says that with these options it can have no supervisor. One that merely did not come up is
        a failure."""
        with tempfile.TemporaryDirectory(dir=self.top) as probe:
            os.mkdir(probe + "/lower")
            done = subprocess.run([OVLRUN, *options, "--lower", probe + "/lower", "--upper", probe + "/upper", "--", "cat",
                                   "/proc/self/status"], env=self.environment(), cwd=self.top, stdin=subprocess.DEVNULL,
                                  capture_output=True, text=True)
        with open("/proc/self/status") as file:
            outside = 0 if BELOW_OVLRUN else seccomp_filters(file.read())
        if seccomp_filters(done.stdout) > outside:
            return
        if "ovlrun: no supervisor: " in done.stderr:
            self.skipTest(done.stderr)
        self.fail(f"there is no supervisor, and ovlrun does not say what is missing: {done.stderr}")

    def tearDown(self):
        try:
            if self.lower_before is not None:
                self.assertEqual(self.lower_before, fingerprint(self.lower), "the lower was changed")
        finally:
            subprocess.run(["chmod", "-R", "u+rwX", self.top], stderr=subprocess.DEVNULL)
            shutil.rmtree(self.top, ignore_errors=True)


def is_static(program):
    """A 64-bit ELF program without PT_INTERP. None: no program."""
    if program is None:
        return False
    with open(program, "rb") as file:
        data = file.read(4096)
    if data[:5] != b"\x7fELF\x02":
        return False
    table, = struct.unpack_from("<Q", data, 32)
    size, count = struct.unpack_from("<HH", data, 54)
    return 3 not in (struct.unpack_from("<I", data, table + i * size)[0] for i in range(count))


def seccomp_filters(status):
    """Of /proc/<pid>/status."""
    found = re.search(r"(?m)^Seccomp_filters:\s*(\d+)$", status)
    return int(found[1]) if found else 0


def wait_for_end(pid):
    """Waits until a process that is not our child has gone."""
    import select
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    select.select([fd], [], [])
    os.close(fd)


def main():
    unittest.main(verbosity=2)
