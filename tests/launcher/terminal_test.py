"""On a real terminal (a pane of tmux) with a real shell: ^C, ^Z, fg, bg, the window's size, script(1), shells as the command, and jobs
that outlive it; with dynamic programs, and with static busybox."""
import os
import shutil
import signal
import subprocess
import unittest

import sandbox


class Pane:
    """A shell in a window of its own. What it prints is read from a pipe, so that nothing has to wait for some time."""

    def __init__(self, test, shell):
        self.socket = test.top + "/tmux"
        fifo = test.top + "/output"
        os.mkfifo(fifo)
        env = test.environment(TERM="screen", PS1="", ENV="", SHELL="/bin/sh", HISTFILE="/dev/null")
        for name in ("TMUX", "LD_PRELOAD", "OVLRUN_SESSION"):
            env.pop(name, None)
        self.tmux("-f", "/dev/null", "new-session", "-d", "-x", "90", "-y", "30", "-c", test.top, shell, env=env)
        # tmux's cat opens the other end.
        self.tmux("pipe-pane", "-O", f"exec cat > {fifo}")
        self.output = open(fifo, "rb", buffering=0)
        self.seen = b""

    def tmux(self, *words, **kwargs):
        return subprocess.run(["tmux", "-S", self.socket, *words], check=True, stdout=subprocess.PIPE, text=True, **kwargs).stdout

    def keys(self, *keys):
        self.tmux("send-keys", *keys)

    def line(self, text):
        self.tmux("send-keys", "-l", text)
        self.keys("Enter")

    def until(self, text):
        """What was printed up to and with `text`."""
        text = text.encode()
        while text not in self.seen:
            more = self.output.read(4096)
            if not more:
                raise AssertionError(f"the terminal closed before {text!r}: {self.seen!r}")
            self.seen += more
        at = self.seen.index(text) + len(text)
        head, self.seen = self.seen[:at], self.seen[at:]
        return head.decode(errors="replace")

    def close(self):
        subprocess.run(["tmux", "-S", self.socket, "kill-server"], stderr=subprocess.DEVNULL)
        self.output.close()


@unittest.skipUnless(shutil.which("tmux"), "no tmux here")
class Terminal(sandbox.Scenario):
    sh = "sh"  # the shell inside
    needs_supervisor = False

    def setUp(self):
        super().setUp()
        self.panes = []
        signal.signal(signal.SIGALRM, self.stuck)
        signal.alarm(60)  # a test that waits for what never comes says so, and leaves no tmux behind
        if self.needs_supervisor:
            self.supervised()

    def stuck(self, *_):
        raise AssertionError(f"nothing more comes: {[pane.seen for pane in self.panes]}")

    def tearDown(self):
        signal.alarm(0)
        for pane in self.panes:
            pane.close()
        super().tearDown()

    def pane(self):
        pane = Pane(self, "bash --norc --noprofile --noediting -i")
        self.panes.append(pane)
        pane.line("set +o history; stty -echo; echo quie''t.")
        pane.until("quiet.")
        return pane

    def overlaid(self, command):
        self.freeze()
        return f"{sandbox.OVLRUN} --lower {self.lower} --upper {self.upper} -- {command}"

    def started(self, command):
        """A pane whose shell runs the command below ovlrun, up to where it prints "ready"."""
        pane = self.pane()
        pane.line(self.overlaid(command) + "; echo status $?.")
        pane.until("ready")
        return pane

    def script(self, text):
        """A command that runs these lines by the shell of this class, in the lower."""
        path = self.write("script", f"cd {self.lower}\n{text}\n")
        return f"{self.sh} {path}"

    def test_interrupt(self):
        pane = self.started(self.script("echo ready; while :; do read x; done"))
        pane.until("\n")
        pane.keys("C-c")
        pane.until("\n")  # bash's word that it has ended: until then it may read what is typed, even with the signal pending
        pane.line("echo so $?.")  # bash leaves the rest of the line out
        pane.until("so 130.")

    def test_interrupt_of_a_program_in_the_foreground_of_a_shell(self):
        pane = self.started(self.script(f"trap 'echo caught' INT; {self.sh} -c 'echo ready; exec cat'; exit 4"))
        pane.keys("C-c")
        pane.until("caught")
        pane.until("status 4.")

    def test_stop_and_go_on(self):
        pane = self.started(self.script("echo ready; read x; echo got $x; exit 6"))
        pane.keys("C-z")
        pane.until("Stopped")
        pane.line("jobs; fg; echo later $?.")
        pane.until("Stopped")
        pane.until("ovlrun")  # fg says what it brings back
        pane.line("word")
        pane.until("got word")
        pane.until("later 6.")

    def test_stop_and_go_on_in_the_background(self):
        os.mkfifo(self.top + "/fifo")
        pane = self.started(self.script(f"echo ready; read x < {self.top}/fifo; echo $x > made; echo wrote"))
        pane.keys("C-z")
        pane.until("Stopped")
        pane.line("bg; echo in the background.")
        pane.until("in the background.")
        with open(self.top + "/fifo", "w") as fifo:
            fifo.write("word\n")
        pane.until("wrote")
        pane.line("wait; echo waited.")
        pane.until("waited.")
        self.assertEqual(self.inside("cat", self.lower + "/made").stdout, "word\n")

    def test_shell_as_the_command_has_jobs(self):
        pane = self.pane()
        pane.line(self.overlaid(f"{self.sh} -i"))
        pane.line(f"PS1=; cd {self.lower}; stty -echo; pwd; echo here.")
        pane.until("here.")
        # Signals from the terminal drop what was typed and not read yet: each waits until it was.
        pane.line(f"{self.sh} -c 'read x; echo $x > typed; echo read.; exec cat'")
        pane.line("word")
        pane.until("read.")
        pane.keys("C-z")
        pane.until("Stopped")
        pane.line("jobs; fg; echo back $?.")
        pane.until("exec cat")
        pane.keys("C-d")
        pane.until("back 0.")
        pane.line("cat typed")
        pane.until("word")
        pane.line(f"{self.sh} -c 'echo asleep.; exec sleep 1000'")
        pane.until("asleep.")
        pane.keys("C-c")
        pane.line("exit 5")
        pane.line("echo outside $?.")
        pane.until("outside 5.")
        self.assertFalse(os.path.exists(self.lower + "/typed"))

    def test_window_size(self):
        pane = self.started(self.script("trap 'stty size; exit 3' WINCH; stty size; echo ready; while :; do :; done"))
        pane.tmux("resize-window", "-x", "101", "-y", "41")
        pane.until("41 101")
        pane.until("status 3.")

    @unittest.skipUnless(shutil.which("script"), "no script(1) here")
    def test_script_below_ovlrun(self):
        inner = self.script("echo from > made; test -t 0 && tty; cat made; exit 7")
        pane = self.pane()
        pane.line(self.overlaid(f"script -qec '{inner}' {self.lower}/typescript") + "; echo status $?.")
        self.assertIn("/dev/pts/", pane.until("status 7."))
        self.assertIn("from", self.inside("cat", self.lower + "/typescript").stdout)

    @unittest.skipUnless(shutil.which("script"), "no script(1) here")
    def test_ovlrun_below_script(self):
        command = self.overlaid(self.script("test -t 0 && tty; echo from > made; exit 8"))
        pane = self.pane()
        pane.line(f"script -qec '{command}' /dev/null; echo status $?.")
        self.assertIn("/dev/pts/", pane.until("status 8."))
        self.assertEqual(self.inside("cat", self.lower + "/made").stdout, "from\n")

    def test_background_job_outlives_the_command(self):
        os.mkfifo(self.top + "/fifo")
        pane = self.started(self.script(f"(read x < {self.top}/fifo; echo $x > late; echo wrote) & echo $PPID > {self.top}/keeper; echo ready"))
        pane.until("status 0.")
        with open(self.top + "/keeper") as file:
            keeper = int(file.read())
        with open(self.top + "/fifo", "w") as fifo:
            fifo.write("word\n")
        pane.until("wrote")
        sandbox.wait_for_end(keeper)
        self.assertEqual(self.inside("cat", self.lower + "/late").stdout, "word\n")

    def test_closed_terminal_ends_the_command(self):
        os.mkfifo(self.top + "/fifo")
        pane = self.started(self.script(f"trap 'echo hung up > {self.top}/fifo; exit' HUP; echo $PPID > {self.top}/keeper; echo ready\n"
                                        "while :; do read x; done"))
        pane.tmux("kill-session")
        with open(self.top + "/fifo") as fifo:
            self.assertEqual(fifo.read(), "hung up\n")
        with open(self.top + "/keeper") as file:
            sandbox.wait_for_end(int(file.read()))


@unittest.skipUnless(sandbox.is_static(shutil.which("busybox")), "no static busybox here")
class StaticTerminal(Terminal):
    sh = "busybox sh"
    needs_supervisor = True


if __name__ == "__main__":
    sandbox.main()
