"""What the tests do where there is no supervisor: they are skipped if ovlrun says what is missing, else they fail."""
import os
import subprocess
import unittest
from unittest import mock

import sandbox

COMMON = os.path.dirname(__file__) + "/../support/common.sh"

# Stand-ins of ovlrun: what they do, and whether the test is skipped.
STAND_INS = {
    "something is missing": ("echo 'ovlrun: no supervisor: no notifications' >&2; exit 125", True),
    "something is missing, and it goes on": ("echo 'ovlrun: no supervisor: no notifications' >&2; \"$@\"", True),
    "it does not come up": ("echo 'ovlrun: the supervisor was killed' >&2; exit 125", False),
    "it goes on without a word": ('"$@"', False),
}


class Supervised(sandbox.Scenario):
    def each(self):
        for name, (script, skipped) in STAND_INS.items():
            path = self.write("stand-in", '#!/bin/sh\nuntil [ "$1" = -- ]; do shift; done; shift\n' + script + "\n", 0o755)
            yield name, path, skipped

    def test_python(self):
        for name, path, skipped in self.each():
            with mock.patch("sandbox.OVLRUN", path):
                expected = unittest.SkipTest if skipped else self.failureException
                self.assertRaises(expected, self.supervised)

    def test_shell(self):
        for name, path, skipped in self.each():
            done = subprocess.run(["bash", "-euc", '. "$0"; tmp=$1; supervised; echo reached', COMMON, self.top],
                                  env=self.environment(OVLRUN=path), capture_output=True, text=True)
            self.assertEqual((done.returncode, "reached" in done.stdout), (77 if skipped else 1, False), name + done.stderr)


if __name__ == "__main__":
    sandbox.main()
