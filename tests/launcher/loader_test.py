"""What the dynamic loader asks of the supervisor when a program starts."""
import os
import re

import sandbox

FILE = re.compile(r"^\d+ openat\((\S+)\)")


def loader_asks_by_empty_path():
    """newfstatat(fd, "", AT_EMPTY_PATH): glibc 2.33 to 2.38."""
    version = re.fullmatch(r"glibc (\d+)\.(\d+).*", os.confstr("CS_GNU_LIBC_VERSION") or "")
    return version is not None and (2, 33) <= tuple(map(int, version.groups())) <= (2, 38)


class Loader(sandbox.Scenario):
    def started(self, *options):
        """The calls of one start of true(1), as --trace lists them."""
        trace = self.top + "/trace"
        done = self.ovlrun("--lower", self.lower, "--upper", self.upper, *options, f"--trace={trace}", "--", "/bin/true")
        self.assertEqual(done.returncode, 0, done.stderr)
        with open(trace, encoding="utf-8") as file:
            lines = [line.rstrip("\n") for line in file if not line.startswith(" ")]
        begin = next(i for i, line in enumerate(lines) if " execve(" in line)
        return lines[begin:]

    def test_it_learns_the_size_of_what_it_has_opened_from_the_kernel(self):
        if not loader_asks_by_empty_path():
            self.skipTest("another glibc: its loader asks in another way")
        lines = self.started("--intercept=both")
        self.assertTrue(any(FILE.match(line) for line in lines), lines)
        self.assertEqual([line for line in lines if "stat" in line], [])

    def test_nothing_passes_by_where_all_is_to_come_to_the_supervisor(self):
        if not loader_asks_by_empty_path():
            self.skipTest("another glibc: its loader asks in another way")
        lines = self.started("--strict")
        opened = [line for line in lines if FILE.match(line)]
        self.assertEqual(len([line for line in lines if " newfstatat(" in line]), len(opened), lines)


if __name__ == "__main__":
    sandbox.main()
