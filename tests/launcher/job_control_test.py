"""^C, ^Z and fg on a terminal are as without ovlrun. A small shell of our own stands on the pseudo terminal: it gives each
job a process group and the terminal, and reports what it waits for."""
import json
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
import unittest

import sandbox


class Terminal:
    """Runs a scenario function as the session leader on a new pseudo terminal."""

    def __init__(self, scenario):
        read, write = os.pipe()
        self.pid, self.master = pty.fork()
        if self.pid == 0:
            os.close(read)
            status = 1
            try:
                signal.signal(signal.SIGTTOU, signal.SIG_IGN)
                os.write(write, json.dumps(scenario()).encode())
                status = 0
            except BaseException as error:  # reported through the pipe, since this is a forked test
                os.write(write, json.dumps(["error", repr(error)]).encode())
            os._exit(status)
        os.close(write)
        self.result = os.fdopen(read)

    def until(self, text):
        """Reads what the job prints until `text`."""
        seen = b""
        while text not in seen:
            try:
                seen += os.read(self.master, 1024)
            except OSError:  # EIO: nobody is left
                raise AssertionError(f"no {text!r} came, but {seen!r}; the job: {self.finish()}")
        return seen

    def rest(self):
        """What comes until nobody is left."""
        seen = b""
        try:
            while more := os.read(self.master, 1024):
                seen += more
        except OSError:  # EIO
            pass
        return seen

    def type(self, text):
        os.write(self.master, text)

    def finish(self):
        report = json.loads(self.result.read())
        os.waitpid(self.pid, 0)
        os.close(self.master)
        self.result.close()
        return report


def job(argv, cwd, foreground=True):
    """Starts a job; returns its pid, which is its process group too."""
    pid = os.fork()
    if pid == 0:
        os.setpgid(0, 0)
        if foreground:
            os.tcsetpgrp(0, os.getpid())
        for number in (signal.SIGTTOU, signal.SIGINT, signal.SIGPIPE):
            signal.signal(number, signal.SIG_DFL)
        os.chdir(cwd)
        os.execv(argv[0], argv)
    try:
        os.setpgid(pid, pid)
    except OSError:
        pass
    return pid


def wait(pid):
    """['exited', 3], ['killed', 2], ['stopped', 20]"""
    _, status = os.waitpid(pid, os.WUNTRACED)
    if os.WIFSTOPPED(status):
        return ["stopped", os.WSTOPSIG(status)]
    if os.WIFSIGNALED(status):
        return ["killed", os.WTERMSIG(status)]
    return ["exited", os.WEXITSTATUS(status)]


def resume(pid):
    os.tcsetpgrp(0, pid)
    os.killpg(pid, signal.SIGCONT)


def stopped_and_resumed(pid, times=1):
    """What the job came to each time, before it was resumed; prints a line when it was."""
    report = []
    for _ in range(times):
        report.append(wait(pid))
        resume(pid)
        print("resumed", flush=True)
    return report


class JobControl(sandbox.Scenario):
    def argv(self, *command):
        self.freeze()
        return [sandbox.OVLRUN, "--lower", self.lower, "--upper", self.upper, "--", *command]

    def test_interrupt(self):
        argv = self.argv("sh", "-c", "echo ready; exec sleep 1000")
        terminal = Terminal(lambda: wait(job(argv, self.top)))
        terminal.until(b"ready")
        terminal.type(b"\x03")
        self.assertEqual(terminal.finish(), ["killed", signal.SIGINT])

    def test_interrupt_that_the_command_catches_comes_once(self):
        argv = self.argv("sh", "-c", "trap 'echo caught' INT; echo ready; read x; echo end $x; exit 4")
        terminal = Terminal(lambda: wait(job(argv, self.top)))
        terminal.until(b"ready")
        terminal.type(b"\x03word\n")  # a signal that came just before the read(2) does not end it
        seen = terminal.rest()
        report = terminal.finish()
        self.assertEqual(seen.count(b"caught"), 1)
        self.assertIn(report, (["exited", 4], ["exited", 130]))

    def test_quit(self):
        argv = self.argv("sh", "-c", "ulimit -c 0; echo ready; exec sleep 1000")
        terminal = Terminal(lambda: wait(job(argv, self.top)))
        terminal.until(b"ready")
        terminal.type(b"\x1c")
        self.assertEqual(terminal.finish(), ["killed", signal.SIGQUIT])

    def test_stop_and_continue(self):
        argv = self.argv("sh", "-c", "echo ready; read x; echo got $x; exit 6")

        def scenario():
            pid = job(argv, self.top)
            return stopped_and_resumed(pid) + [wait(pid)]

        terminal = Terminal(scenario)
        terminal.until(b"ready")
        terminal.type(b"\x1a")
        terminal.until(b"resumed")
        terminal.type(b"word\n")
        terminal.until(b"got word")
        self.assertEqual(terminal.finish(), [["stopped", signal.SIGTSTP], ["exited", 6]])

    def test_stop_twice_then_kill(self):
        argv = self.argv("sh", "-c", "echo ready; exec cat")

        def scenario():
            pid = job(argv, self.top)
            report = stopped_and_resumed(pid, times=2)
            os.kill(pid, signal.SIGTERM)
            return report + [wait(pid)]

        terminal = Terminal(scenario)
        terminal.until(b"ready")
        for _ in range(2):
            terminal.type(b"\x1a")
            terminal.until(b"resumed")
        self.assertEqual(terminal.finish(),
                         [["stopped", signal.SIGTSTP], ["stopped", signal.SIGTSTP], ["killed", signal.SIGTERM]])

    def test_a_command_that_stops_itself_stops_the_front(self):
        argv = self.argv("sh", "-c", "kill -STOP $$; exit 8")

        def scenario():
            pid = job(argv, self.top)
            report = [wait(pid)]
            os.kill(pid, signal.SIGCONT)  # the front alone: it wakes the command
            report.append(wait(pid))
            return report

        self.assertEqual(Terminal(scenario).finish(), [["stopped", signal.SIGSTOP], ["exited", 8]])

    def test_killed_while_stopped(self):
        argv = self.argv("sh", "-c", "echo $$ > \"$1\"; kill -STOP $$", "sh", self.top + "/pid")

        def scenario():
            pid = job(argv, self.top)
            report = [wait(pid)]
            with open(self.top + "/pid") as file:
                os.kill(int(file.read()), signal.SIGKILL)
            report.append(wait(pid))
            return report

        self.assertEqual(Terminal(scenario).finish(), [["stopped", signal.SIGSTOP], ["killed", signal.SIGKILL]])

    def test_background_job_that_reads_is_stopped(self):
        argv = self.argv("sh", "-c", "read x; echo got $x")

        def scenario():
            pid = job(argv, self.top, foreground=False)
            return stopped_and_resumed(pid) + [wait(pid)]

        terminal = Terminal(scenario)
        terminal.until(b"resumed")
        terminal.type(b"word\n")
        terminal.until(b"got word")
        self.assertEqual(terminal.finish(), [["stopped", signal.SIGTTIN], ["exited", 0]])

    def test_terminal_is_the_commands_own(self):
        argv = self.argv("sh", "-c", "test -t 0 && test -t 1 && test -t 2 && stty size && ps -o tty= -p $$")
        size = struct.pack("HHHH", 31, 97, 0, 0)

        def scenario():
            import fcntl
            fcntl.ioctl(0, termios.TIOCSWINSZ, size)
            return wait(job(argv, self.top))

        terminal = Terminal(scenario)
        seen = terminal.until(b"pts/")
        self.assertEqual(terminal.finish(), ["exited", 0])
        self.assertIn(b"31 97", seen)

    def test_hang_up_reaches_the_command_of_a_session_leader(self):
        argv = self.argv("sh", "-c", f"trap 'echo hup > {self.lower}/seen; exit 0' HUP; echo ready; while :; do read x || :; done")
        pid, master = pty.fork()
        if pid == 0:
            os.execv(argv[0], argv)
        seen = b""
        while b"ready" not in seen:
            seen += os.read(master, 1024)
        with open(f"/proc/{pid}/task/{pid}/children") as children:
            keeper = int(children.read())
        os.close(master)
        os.waitpid(pid, 0)
        sandbox.wait_for_end(keeper)
        self.assertTrue(os.path.exists(self.upper + "/seen"))


if __name__ == "__main__":
    sandbox.main()
