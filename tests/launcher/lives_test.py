"""Life and death below the supervisor: programs are killed in the middle of calls, thread groups too, and it has as many descriptors
and threads afterwards as before. OVLRUN_CYCLES says how many programs each test starts (10000 with the soak option of tests/run), OVLRUN_SEED which."""
import os
import random
import subprocess
import unittest

import sandbox

CYCLES = int(os.environ.get("OVLRUN_CYCLES", "2500"))
SEED = int(os.environ.get("OVLRUN_SEED", "1"))
THREADS_MOST = 8  # that wait for calls when there are none
BUILD = os.environ.get("OVLRUN_BUILD", os.path.dirname(sandbox.OVLRUN) + "/..")


def supervisor_of(front):
    with open(f"/proc/{front}/task/{front}/children") as children:
        return int(children.read().split()[0])


class Lives(sandbox.Scenario):
    def check(self, parent, child, *options):
        programs = [os.path.join(BUILD, "tests/launcher", name) for name in (parent, child)]
        for program in programs:
            if not os.path.exists(program):
                self.skipTest(f"{program} is not built here")
        self.supervised(*options)
        process = self.start(programs[0], "run", self.lower, str(CYCLES), str(SEED), programs[1], options=options,
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

        def command(expected):
            process.stdin.write("\n")
            process.stdin.flush()
            self.assertEqual(process.stdout.readline(), expected)

        self.assertEqual(process.stdout.readline(), "ready\n")
        print(f"seed {SEED}, {CYCLES} programs", flush=True)
        supervisor = supervisor_of(process.pid)
        before = len(os.listdir(f"/proc/{supervisor}/fd"))
        command("done\n")
        # What was under way for those that died last may still be: calls that come later push it on.
        for _ in range(2000):
            descriptors, threads = (len(os.listdir(f"/proc/{supervisor}/{what}")) for what in ("fd", "task"))
            if descriptors <= before and threads <= THREADS_MOST:
                break
            command("went on\n")
        process.stdin.close()
        self.assertEqual(process.wait(), 0)
        process.stdout.close()
        self.assertLessEqual(descriptors, before)
        self.assertLessEqual(threads, THREADS_MOST)

    def test_static_programs(self):
        self.check("lives_static", "lives_static")

    def test_dynamic_programs(self):
        self.check("lives", "lives")

    def test_dynamic_programs_by_the_supervisor_alone(self):
        self.check("lives", "lives", "--intercept=seccomp")

    def test_static_children_of_a_dynamic_program(self):
        self.check("lives", "lives_static")


if __name__ == "__main__":
    sandbox.main()
