"""Descriptors that follow their file: where something is missing that this is mostly done with."""
import os
import subprocess
import sys
import unittest

import sandbox

DENY = os.environ.get("OVLRUN_DENY") or os.path.dirname(sandbox.OVLRUN) + "/../tests/launcher/deny"

CHANGE = """
def change():
    writer = os.open("file", os.O_RDWR)
    os.pwrite(writer, b"LOWER", 0)
    os.close(writer)
"""

NO_ROOM = """
fd = os.open("file", os.O_RDONLY)
if os.fork() == 0:
    change()
    os._exit(0)
os.wait()
free = os.dup(0)
os.close(free)
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (free, hard))
print(os.pread(fd, 9, 0))
"""

RECEIVED = """
fd = os.open("file", os.O_RDONLY)
here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
socket.send_fds(here, [b"x"], [fd])
os.close(fd)
change()
os.stat(".")  # whatever is stale follows here
[received] = socket.recv_fds(there, 1, 1)[1]
print(os.pread(received, 9, 0))
"""

# A mapping that nothing was written to, of a process with one thread; and what stays as it was.
MAPPED = """
def map(name, **how):
    fd = os.open(name, os.O_RDONLY)
    mapping = mmap.mmap(fd, 0, **how)
    os.close(fd)
    return mapping
shared, executable = map("file", access=mmap.ACCESS_READ), map("dir/inner", flags=mmap.MAP_SHARED, prot=mmap.PROT_READ | mmap.PROT_EXEC)
own = map("file", access=mmap.ACCESS_COPY)
own[0:1] = b"L"
if os.fork() == 0:
    change()
    os._exit(0)
os.wait()
os.stat(".")
print(shared[:6], executable[:6], own[:6])
"""

THREADS = """
lock = threading.Lock()
lock.acquire()
other = threading.Thread(target=lock.acquire)
other.start()
fd = os.open("file", os.O_RDONLY)
shared = mmap.mmap(fd, 0, access=mmap.ACCESS_READ)
change()
print(shared[:6], os.pread(fd, 6, 0))
lock.release()
other.join()
"""

LOCKED = """
import fcntl
old = os.open("file", os.O_RDONLY)
here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
socket.send_fds(here, [b"x"], [old])
os.close(old)
change()
locked = os.open("file", os.O_RDWR)
fcntl.lockf(locked, fcntl.LOCK_EX)
[received] = socket.recv_fds(there, 1, 1)[1]
print(os.pread(received, 9, 0))
if os.fork() == 0:
    try:
        fcntl.lockf(os.open("file", os.O_RDWR), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os._exit(0)
    os._exit(1)
print(os.wait()[1])
"""

SHARED = """
fd, other = os.open("file", os.O_RDONLY), os.open("file", os.O_RDONLY)
twin = os.dup(fd)
change()
print(os.read(twin, 2), os.lseek(fd, 0, os.SEEK_CUR), os.lseek(other, 0, os.SEEK_CUR))
"""

# It may do nothing but read, write and end from then on.
STRICT = """
import ctypes
libc = ctypes.CDLL(None)
fd = os.open("file", os.O_RDONLY)
go, gone = os.pipe(), os.pipe()
if os.fork() == 0:
    os.read(go[0], 1)
    change()
    os.write(gone[1], b"x")
    os._exit(0)
buffer = ctypes.create_string_buffer(9)
if libc.prctl(22, 1) != 0:  # below a supervisor
    print("lower")
    raise SystemExit
libc.write(go[1], b"x", 1)
libc.read(gone[0], buffer, 1)
libc.read(fd, buffer, 6)
libc.write(1, buffer, 6)
libc.syscall(60, 0)
"""


class Follow(sandbox.Scenario):
    def python(self, script, *options, prefix=()):
        """What it prints over self.lower."""
        self.freeze()
        done = subprocess.run([*prefix, sandbox.OVLRUN, "--lower", self.lower, "--upper", self.upper, *options, "--",
                               sys.executable, "-c", "import mmap, os, resource, socket, threading" + CHANGE + script],
                              cwd=self.lower, env=self.environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def test_the_supervisor_has_descriptors_where_the_process_has_none(self):
        self.supervised()
        self.assertEqual(self.python(NO_ROOM), "b'LOWER\\n'\n")

    def test_what_was_in_a_socket_meanwhile_follows_when_it_is_received(self):
        self.assertEqual(self.python(RECEIVED, "--intercept=preload"), "b'LOWER\\n'\n")

    def test_shared_mappings_follow(self):
        self.assertEqual(self.python(MAPPED), "b'LOWER\\n' b'inner\\n' b'Lower\\n'\n")

    def test_mappings_stay_where_other_threads_may_change_them(self):
        self.assertEqual(self.python(THREADS), "b'lower\\n' b'LOWER\\n'\n")

    def test_record_locks_stay_when_a_descriptor_follows(self):
        self.supervised()
        self.assertEqual(self.python(LOCKED), "b'LOWER\\n'\n0\n")

    def test_duplicates_share_their_position_where_descriptors_can_not_be_compared(self):
        self.assertEqual(self.python(SHARED, "--intercept=preload", prefix=[DENY, "kcmp", "--"]), "b'LO' 2 0\n")

    def test_a_program_that_may_only_read_reads(self):
        self.assertIn(self.python(STRICT, "--intercept=preload"), ("lower\n", "LOWER\n"))

    def tail(self, intercept):
        with open(self.lower + "/log", "w", encoding="ascii") as file:
            file.write("one\n")
        self.freeze()
        script = ('coproc tail -n +1 -f log; read -r a <&"${COPROC[0]}"; echo two >>log; read -r b <&"${COPROC[0]}"; echo three >>log; '
                  'read -r c <&"${COPROC[0]}"; kill "$COPROC_PID"; echo "$a $b $c"')
        done = subprocess.run([sandbox.OVLRUN, "--lower", self.lower, "--upper", self.upper, f"--intercept={intercept}", "--", "bash", "-c",
                               script], cwd=self.lower, env=self.environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=100)
        self.assertEqual(done.stdout, "one two three\n", done.stderr)

    def test_tail_shows_what_is_appended(self):
        self.tail("preload")

    def test_tail_shows_what_is_appended_whatever_was_chosen(self):
        self.tail("auto")

    def test_tail_shows_what_is_appended_by_the_supervisor_alone(self):
        self.supervised("--intercept=seccomp")
        self.tail("seccomp")


if __name__ == "__main__":
    unittest.main()
