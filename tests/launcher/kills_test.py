"""A build, an unpack and a checkout are killed at any moment, whole process groups of them or all that runs: afterwards `ovlrun check`
finds nothing wrong, every file is what a kill may leave (absent, old, or as far as its writer was), the next session goes on at
once, and in the end the tree is the one of a run that was never killed. OVLRUN_KILLS: how many kills in all (10000 with the soak option
of tests/run); OVLRUN_SEED: which moments."""
import hashlib
import os
import random
import shutil
import signal
import stat
import subprocess
import sys
import time
import unittest

import sandbox

KILLS = int(os.environ.get("OVLRUN_KILLS", "45"))
SEED = int(os.environ.get("OVLRUN_SEED", "1"))
ROUND = 25  # kills of one upper
MAKEFILE = """
objects := $(patsubst %.c,%.o,$(sort $(wildcard part*.c)))
program: libparts.a main.o
\t$(CC) -o $@.tmp main.o libparts.a && mv $@.tmp $@
libparts.a: $(objects)
\trm -f $@ $@.tmp && ar rcD $@.tmp $(objects) && mv $@.tmp $@
%.o: %.c parts.h
\t$(CC) -O0 -c -o $@.tmp $< && mv $@.tmp $@
"""
# What programs see below the directory: a line for each path but those that come and go.
SHOW = r'''
import hashlib, os, re, stat, sys
os.chdir(sys.argv[1])
def show(folder):
    for entry in sorted(os.scandir(folder), key=lambda e: e.name):
        if re.fullmatch(r".*\.(tmp|lock)|st\w{6}", entry.name) or entry.path in ("./.git/index", "./.git/logs", "./.git/ORIG_HEAD"):
            continue
        st = entry.stat(follow_symlinks=False)
        content = "-"
        if stat.S_ISREG(st.st_mode):
            content = open(entry.path, "rb").read()
            content = f"{len(content)}:{hashlib.sha256(content).hexdigest()}"
        elif stat.S_ISLNK(st.st_mode):
            content = os.readlink(entry.path)
        print(f"{stat.S_IFMT(st.st_mode):o}\t{stat.S_IMODE(st.st_mode):o}\t{content}\t{entry.path}")
        if stat.S_ISDIR(st.st_mode):
            show(entry.path)
show(".")
print("end")
'''


def descendants(pid):
    found = []
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/children") as children:
                found += [int(child) for child in children.read().split()]
    except OSError:
        return []
    return found + [one for child in found for one in descendants(child)]


def parsed(text):
    """{path: (type, mode, content)}"""
    lines = text.splitlines()
    assert lines and lines[-1] == "end", text
    return {path: (kind, mode, content) for kind, mode, content, path in (line.split("\t", 3) for line in lines[:-1])}


class Kills(sandbox.Scenario):
    def setUp(self):
        super().setUp()
        shutil.rmtree(self.lower)
        os.mkdir(self.lower)
        self.random = random.Random(SEED)
        for program in ("make", "gcc", "tar", "git"):
            if shutil.which(program) is None:
                self.skipTest(f"SKIPPED: no {program} here")

    def show(self, run=(), top=None):
        done = subprocess.run([*run, sys.executable, "-Bc", SHOW, top or self.lower], capture_output=True, text=True,
                              env=self.environment(), cwd=self.top)
        self.assertEqual(done.returncode, 0, done.stderr)
        return parsed(done.stdout)

    def overlaid(self):
        return [sandbox.OVLRUN, "--lower", self.lower, "--upper", self.upper, "--"]

    def never_killed(self, script):
        """The tree that it makes without an overlay, at the same path."""
        aside = self.lower + ".aside"
        os.rename(self.lower, aside)
        subprocess.run(["cp", "-a", aside, self.lower], check=True)
        subprocess.run(["bash", "-ec", script], check=True, cwd=self.lower, env=self.environment(), capture_output=True)
        tree = self.show()
        shutil.rmtree(self.lower)
        os.rename(aside, self.lower)
        return tree

    def run_and_kill(self, script):
        """Returns whether it had ended before."""
        process = subprocess.Popen([*self.overlaid(), "bash", "-ec", f"echo begins; {script}"], cwd=self.lower, env=self.environment(),
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True)
        self.assertEqual(process.stdout.readline(), b"begins\n")
        time.sleep(self.random.uniform(0, self.length))
        others = descendants(process.pid)
        watched = []
        for pid in others:
            try:
                watched.append((pid, os.pidfd_open(pid)))
            except ProcessLookupError:
                pass
        if self.random.random() < 0.5:  # else the supervisor and the keeper, in groups of their own, see the others die
            for _, fd in watched:
                try:
                    signal.pidfd_send_signal(fd, signal.SIGKILL)
                except ProcessLookupError:
                    pass
        ended = process.poll() is not None
        if not ended:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()
        for pid, fd in watched:
            os.close(fd)
            sandbox.wait_for_end(pid)
        return ended

    def check_upper(self):
        done = self.ovlrun("check", "--lower", self.lower, "--upper", self.upper)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    def expect_state(self, old, new, partly):
        """Every object is one of before or after, or absent; `partly`: or a file that its writer has not finished."""
        for path, now in self.show(self.overlaid()).items():
            if now[2:] in ((old.get(path) or (0, 0, 0))[2:], (new.get(path) or (0, 0, 0))[2:]):
                continue
            kind, _, content = now
            if partly and kind == "100000" and content in self.beginnings(path, int(content.split(":")[0])):
                continue
            self.assertTrue(partly == "git" and path.startswith("./.git/"),
                            f"{path}: {now}, before {old.get(path)}, after {new.get(path)}")

    def beginnings(self, path, size):
        """Of the file as it is to be, and as it was."""
        for top in (self.finished, self.lower):
            path_there = os.path.join(top, path)
            if os.path.isfile(path_there) and not os.path.islink(path_there):
                with open(path_there, "rb") as file:
                    yield f"{size}:{hashlib.sha256(file.read(size)).hexdigest()}"

    def kill_often(self, script, finish, partly):
        old = self.show()
        new = self.never_killed(finish)
        begun = time.monotonic()
        self.assertEqual(self.ovlrun(*self.overlaid()[1:], "bash", "-ec", script, cwd=self.lower).returncode, 0)
        self.length = time.monotonic() - begun
        kills = missed = leftovers = 0
        share = max(1, KILLS // 3)
        while kills < share:
            for _ in range(min(ROUND, share - kills)):
                if self.run_and_kill(script):
                    missed += 1
                kills += 1
                leftovers += len(self.check_upper().splitlines())
                self.expect_state(old, new, partly)
            done = self.ovlrun("--lower", self.lower, "--upper", self.upper, "--", "bash", "-ec", finish, cwd=self.lower)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(self.check_upper(), "")
            self.assertEqual(self.show(self.overlaid()), new)
            for name in (self.upper, self.work):
                shutil.rmtree(name)
            print(f"  {kills} kills", flush=True)
        print(f"seed {SEED}: {kills} kills, {missed} after its end, {leftovers} harmless leftovers", flush=True)

    def test_build(self):
        self.write("lower/Makefile", MAKEFILE)
        self.write("lower/parts.h", "".join(f"int part{i}(void);\n" for i in range(10)))
        for i in range(10):
            self.write(f"lower/part{i}.c", f'#include "parts.h"\nint part{i}(void) {{ return {i}; }}\n')
        self.write("lower/main.c", '#include "parts.h"\nint main(void) { return part3() + part4() - 7; }\n')
        # Half of it is there, and too old.
        subprocess.run(["make", "-s", "part1.o", "part2.o", "libparts.a"], cwd=self.lower, check=True)
        for i in range(5):
            os.utime(f"{self.lower}/part{i}.c", (2_000_000_000 + i,) * 2)
        for i in range(5):
            os.utime(f"{self.lower}/part{i}.c", (1_000_000_000 + i,) * 2)
            if os.path.exists(f"{self.lower}/part{i}.o"):
                os.utime(f"{self.lower}/part{i}.o", (900_000_000,) * 2)
        build = "make -s -j2 program; ./program"
        self.kill_often("rm -f part[02468].o libparts.a program; " + build, "rm -f *.tmp st??????; " + build, False)

    def archive(self, files, text):
        source = self.top + "/source"
        for i in range(files):
            path = f"{source}/d{i % 7}/e{i % 31}/f{i}"
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w") as file:
                file.write(f"{text} {i}\n" * (i % 50))
        os.symlink("f3", source + "/d3/link")
        return source

    def test_unpack(self):
        source = self.archive(2000, "new")
        subprocess.run(["tar", "-C", source, "--sort=name", "-cf", self.top + "/archive.tar", "."], check=True)
        for i in range(0, 2000, 3):
            self.write(f"lower/d{i % 7}/e{i % 31}/f{i}", "old")
        self.finished = source
        unpack = f"tar -xf {self.top}/archive.tar"
        self.kill_often(unpack, unpack, True)

    def test_checkout(self):
        source = self.archive(600, "new")
        git = ["git", "-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false", "-c", "gc.auto=0"]

        def commit(text):
            subprocess.run(["cp", "-a", source + "/.", self.lower], check=True)
            for i in range(0, 600, 5):
                self.write(f"lower/d{i % 7}/e{i % 31}/f{i}", text * (i % 9))
            subprocess.run([*git, "add", "-A"], cwd=self.lower, check=True)
            subprocess.run([*git, "commit", "-qm", text], cwd=self.lower, check=True)

        subprocess.run(["git", "init", "-q", self.lower], check=True, capture_output=True)
        commit("one\n")
        subprocess.run([*git, "tag", "one"], cwd=self.lower, check=True)
        shutil.rmtree(self.lower + "/d5")
        for i in range(0, 600, 7):
            self.write(f"source/d{i % 7}/e{i % 31}/f{i}", "other\n" * (i % 11))
        commit("two\n")
        subprocess.run([*git, "tag", "two"], cwd=self.lower, check=True)
        self.finished = self.top + "/finished"
        subprocess.run(["cp", "-a", self.lower, self.finished], check=True)
        subprocess.run(["git", "checkout", "-q", "one"], cwd=self.finished, check=True)
        unlock, checkout = "rm -f .git/*.lock; ", "git checkout -qf one"
        self.kill_often(f"{unlock}git checkout -qf two; {checkout}", unlock + checkout, "git")


if __name__ == "__main__":
    sandbox.main()
