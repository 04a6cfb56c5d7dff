"""Open files that processes share, while their file is changed: through exec, by shells and by programs of different kinds; and what the
supervisor holds for that."""
import os
import shutil
import subprocess
import sys
import unittest

import sandbox

TEXT = "one\ntwo\nthree\nfour\nfive\nsix\n"

PRELUDE = """
import fcntl, mmap, os, resource, signal, socket, subprocess, sys

def child(act):
    if os.fork() == 0:
        try:
            act()
            os._exit(0)
        except BaseException as error:
            print(repr(error), file=sys.stderr, flush=True)
            os._exit(1)
    return os.wait()[1]

def change(name="file"):
    writer = os.open(name, os.O_RDWR)
    os.pwrite(writer, b"ONE", 0)
    os.close(writer)

def get_lock(name="file", how=fcntl.LOCK_EX):
    fd = os.open(name, os.O_RDONLY)
    try:
        fcntl.flock(fd, how | fcntl.LOCK_NB)
        return True
    except BlockingIOError:
        return False
    finally:
        os.close(fd)

def parent_of(pid):
    with open(f"/proc/{pid}/stat") as file:
        return int(file.read().rpartition(")")[2].split()[1])
"""

# How many files of the tree the supervisor has open.
COUNT = """
supervisor = parent_of(parent_of(os.getpid()))
def count():
    links = [os.readlink(f"/proc/{supervisor}/fd/{fd}") for fd in os.listdir(f"/proc/{supervisor}/fd")]
    return sum(link.startswith(os.getcwd() + "/") for link in links)
"""

EXECUTED = """
fd = os.open("file", os.O_RDONLY)
os.set_inheritable(fd, True)
twin = os.dup(fd)
os.set_inheritable(twin, True)
reader = f"import os; print(os.read({twin}, 4), os.lseek({fd}, 0, os.SEEK_CUR), flush=True)"
def executed():
    subprocess.run([sys.executable, "-c", reader], close_fds=False, check=True)
executed()
child(change)
executed()
print(os.read(fd, 3), os.lseek(twin, 0, os.SEEK_CUR), flush=True)
executed()
"""

# The one that has got the new open file first is killed.
KILLED = """
fd = os.open("file", os.O_RDONLY)
ends = os.pipe()
victim = os.fork()
if victim == 0:
    change()
    os.read(fd, 5)
    os.write(ends[1], b"x")
    signal.pause()
os.read(ends[0], 1)
os.kill(victim, signal.SIGKILL)
os.waitpid(victim, 0)
print(os.read(fd, 2))
"""

# The child has no descriptor free when it follows.
NO_ROOM = """
fd = os.open("file", os.O_RDONLY)
child(change)
def read_without_room():
    free = os.dup(0)
    os.close(free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    assert os.read(fd, 4) == b"ONE\\n"
print(child(read_without_room), os.read(fd, 3))
"""

# What a process receives that has followed already, from one that keeps its own.
RECEIVED = """
here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
fd = os.open("file", os.O_RDONLY)
ends = os.pipe()
def receive():
    os.close(fd)
    own = os.open("file", os.O_RDONLY)
    os.write(ends[1], b"x")
    change()
    assert os.read(own, 4) == b"ONE\\n"
    [received] = socket.recv_fds(there, 1, 1)[1]
    assert os.read(received, 4) == b"ONE\\n", "it begins where the other is"
    socket.send_fds(there, [b"x"], [])
if os.fork() == 0:
    receive()
    os._exit(0)
os.read(ends[0], 1)
socket.send_fds(here, [b"x"], [fd])
here.recv(1)
print(os.wait()[1], os.read(fd, 3))
"""

RECORD_LOCKS = """
shared = os.open("file", os.O_RDONLY)
child(change)
locked = os.open("file", os.O_RDWR)
fcntl.lockf(locked, fcntl.LOCK_EX)
child(lambda: os.read(shared, 4))
print(os.read(shared, 3))
def try_lock():
    try:
        fcntl.lockf(os.open("file", os.O_RDWR), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return
    raise AssertionError("the lock is lost")
print(child(try_lock))
"""

# Descriptors of the supervisor while it holds open files for the parent, and after.
HELD = COUNT + """
names = [f"many/{i}" for i in range(20)]
fds = [os.open(name, os.O_RDONLY) for name in names]
def change_all():
    for name in names:
        change(name)
    for fd in fds:
        assert os.read(fd, 2) == b"ON"
    print(count(), flush=True)
assert child(change_all) == 0
for fd in fds[10:]:
    assert os.read(fd, 1) == b"E"
print(count())
for fd in fds:
    os.close(fd)
print(get_lock("many/0"), count())
"""

# Nobody else has it: nothing is held.
ALONE = COUNT + """
fd, twin = os.open("file", os.O_RDONLY), os.open("file", os.O_RDONLY)
change()
fcntl.flock(fd, fcntl.LOCK_EX)
print(os.read(twin, 4), count(), get_lock())
os.close(fd)
print(get_lock())
"""

# The one that follows first has become another user.
SOMEBODY = """
fd = os.open("file", os.O_RDONLY)
ends, back = os.pipe(), os.pipe()
def change_without_it():
    os.close(fd)
    change()
if os.fork() == 0:
    os.setgroups([])
    os.setuid(65500)
    os.write(ends[1], b"x")
    os.read(back[0], 1)
    assert os.read(fd, 4) == b"ONE\\n"
    assert not os.get_inheritable(fd)
    os._exit(0)
os.read(ends[0], 1)
if os.fork() == 0:
    change_without_it()
    os._exit(0)
os.waitpid(-1, 0)
os.write(back[1], b"x")
print(os.wait()[1], os.read(fd, 3))
"""

MAPPED = """
fd = os.open("file", os.O_RDONLY)
shared = mmap.mmap(fd, 0, access=mmap.ACCESS_READ)
child(change)
child(lambda: os.read(fd, 4))
os.stat(".")
print(shared[:3], os.lseek(fd, 0, os.SEEK_CUR))
"""


class Shared(sandbox.Scenario):
    def setUp(self):
        super().setUp()
        self.supervised()
        for name in ("file", "lines", *(f"many/{i}" for i in range(20))):
            self.write("lower/" + name, TEXT)

    def printed(self, *command, options=(), **environment):
        self.freeze()
        done = subprocess.run([sandbox.OVLRUN, "--lower", self.lower, "--upper", self.upper, *options, "--", *command], cwd=self.lower,
                              env=self.environment(**environment), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return done.stdout

    def python(self, script, *options):
        return self.printed(sys.executable, "-c", PRELUDE + script, options=options)

    def shell(self, script, *options, **environment):
        return self.printed("bash", "-ec", script, options=options, **environment)

    def test_duplicates_that_an_executed_program_inherits(self):
        self.assertEqual(self.python(EXECUTED), "b'one\\n' 4\nb'two\\n' 8\nb'thr' 11\nb'ee\\nf' 15\n")

    def test_position_of_one_that_was_killed(self):
        self.assertEqual(self.python(KILLED), "b'wo'\n")

    def test_position_where_no_descriptor_is_free(self):
        self.assertEqual(self.python(NO_ROOM), "0 b'two'\n")

    def test_what_is_received_after_all_else_has_followed(self):
        self.assertEqual(self.python(RECEIVED), "0 b'two'\n")

    @unittest.skipUnless(os.geteuid() == 0, "others can't become somebody else")
    def test_position_after_a_child_that_became_another_user(self):
        os.chmod(self.top, 0o755)
        self.assertEqual(self.python(SOMEBODY), "0 b'two'\n")

    def test_record_locks_stay(self):
        self.assertEqual(self.python(RECORD_LOCKS), "b'two'\n0\n")

    def test_mappings_follow(self):
        self.assertEqual(self.python(MAPPED), "b'ONE' 4\n")

    @sandbox.needs_own_supervisor
    def test_nothing_is_held_for_those_who_have_closed_it(self):
        self.assertEqual(self.python(HELD), "40\n0\nTrue 0\n")

    @sandbox.needs_own_supervisor
    def test_nothing_is_held_of_what_is_not_shared(self):
        self.assertEqual(self.python(ALONE), "b'ONE\\n' 0 False\nTrue\n")

    def test_a_shell_and_its_programs_read_in_turn(self):
        rest = ('dd bs=4 count=1 status=none; read -r b; head -c 5; read -r c; sh -c "read -r d; echo \\$d"; read -r e; } <file; '
                'echo "$a $b $c $e"')
        wanted = "two\nfour\nsix\none three five seven\n"
        self.assertEqual(self.shell('{ read -r a; sh -c "echo seven >>file; read -r b; echo \\$b"; read -r b; } <file; echo "$a $b"'), "two\none three\n")
        for intercept in ("both",) if sandbox.BELOW_OVLRUN else ("both", "seccomp"):
            shutil.rmtree(self.upper)
            shutil.rmtree(self.work)
            self.assertEqual(self.shell("{ read -r a; echo seven >>file; " + rest, "--intercept=" + intercept), wanted)

    def test_a_static_program_and_its_parent(self):
        busybox = shutil.which("busybox")
        if not sandbox.is_static(busybox):
            self.skipTest("there is no statically linked busybox")
        script = ('{ read -r a; "$BUSYBOX" sh -c "echo seven >>file; read -r x; echo \\$x"; read -r b; "$BUSYBOX" head -c 5; read -r c; } <file; '
                  'echo "$a $b $c"')
        self.assertEqual(self.shell(script, BUSYBOX=busybox), "two\nfour\none three five\n")
        script = '{ read -r a; echo seven >>lines; head -c 4; test -e file; read -r b; } <lines; echo "$a $b"'
        self.assertEqual(self.shell('"$BUSYBOX" sh -c "$SCRIPT"', BUSYBOX=busybox, SCRIPT=script), "two\none three\n")

    def test_what_a_static_program_reads_before_it_follows_is_not_read_again(self):
        busybox = shutil.which("busybox")
        if not sandbox.is_static(busybox):
            self.skipTest("there is no statically linked busybox")
        script = '{ read -r a; bash -c "echo seven >>file"; read -r b; test -e file; read -r c; } <file; echo "$a $b $c"'
        self.assertEqual(self.printed(busybox, "sh", "-ec", script), "one two three\n")

    def test_a_script_locks_itself(self):
        script = ('exec 9<file; flock 9; flock -n file true && exit 1; echo x >>file; flock -n file true && exit 2; '
                  'exec 9<&-; flock -n file true; exec 8<dir; flock -x 8; flock -n dir true && exit 3; touch dir/new; '
                  'flock -n dir true && exit 4; flock -u 8; flock -n dir true; flock 8; exec 8<&-; flock -n dir true; echo all')
        self.assertEqual(self.shell(script), "all\n")

    def test_who_waits_for_a_lock_gets_it(self):
        script = ('exec 9<file; flock 9; mkfifo go; (exec 9<&-; echo >go; flock file echo got) & read -r x <go; '
                  'flock -n file true && exit 1; echo held; exec 9<&-; wait')
        self.assertEqual(self.shell(script), "held\ngot\n")

    def test_what_an_inner_session_reads_is_its_own(self):
        script = ('{ read -r a; "$O" --lower "$PWD" --upper "$T/inner" -- bash -ec "echo INNER >>file; read -r b; echo \\$b; tail -n 1"; '
                  'echo outer >>file; read -r c; tail -n 1; } <file; echo "$a $c"')
        self.assertEqual(self.shell(script, O=sandbox.OVLRUN, T=self.top), "two\nINNER\nouter\none two\n")


if __name__ == "__main__":
    unittest.main()
