"""An installed tree works, and goes on working after its prefix was moved."""
import os
import subprocess
import unittest

import sandbox


class Install(sandbox.Scenario):
    def test_prefix_may_be_moved(self):
        build = os.environ.get("OVLRUN_BUILD") or os.path.dirname(os.path.dirname(sandbox.OVLRUN))
        cmake = os.environ.get("CMAKE", "cmake")
        for component in ("launcher", "preload"):  # what is not theirs needs no build here
            subprocess.run([cmake, "--install", f"{build}/{component}", "--prefix", self.top + "/prefix"], check=True,
                           stdout=subprocess.DEVNULL)
        installed = sorted(os.path.relpath(os.path.join(folder, name), self.top + "/prefix")
                           for folder, _, names in os.walk(self.top + "/prefix") for name in names)
        self.assertEqual(len(installed), 2, installed)
        self.assertEqual(installed[0], "bin/ovlrun")
        self.assertRegex(installed[1], r"^lib(/[^/]+)?/ovlrun/libovlrun\.so$|^lib64/ovlrun/libovlrun\.so$")
        os.rename(self.top + "/prefix", self.top + "/moved to")
        binary = self.top + "/moved to/bin/ovlrun"
        os.symlink(binary, self.top + "/ovlrun")
        for path in (binary, self.top + "/ovlrun"):
            done = subprocess.run([path, "--lower", self.lower, "--upper", self.upper, "--", "sh", "-c",
                                   f"echo x > {self.lower}/new; cat {self.lower}/new"], capture_output=True, text=True)
            self.assertEqual((done.returncode, done.stdout), (0, "x\n"), done.stderr)
        self.assertFalse(os.path.exists(self.lower + "/new"))

    def test_missing_preload_object_is_told(self):
        os.makedirs(self.top + "/bin")
        subprocess.run(["cp", sandbox.OVLRUN, self.top + "/bin/ovlrun"], check=True)
        done = subprocess.run([self.top + "/bin/ovlrun", "--lower", self.lower, "--upper", self.upper, "--", "true"],
                              capture_output=True, text=True)
        self.assertEqual(done.returncode, 125)
        self.assertIn("libovlrun.so is missing", done.stderr)
        self.assertFalse(os.path.exists(self.upper))

    def test_a_preload_object_that_would_not_be_loaded_is_told(self):
        os.makedirs(self.top + "/bin")
        os.makedirs(self.top + "/preload")
        subprocess.run(["cp", sandbox.OVLRUN, self.top + "/bin/ovlrun"], check=True)
        with open(os.path.dirname(sandbox.OVLRUN) + "/../preload/libovlrun.so", "rb") as file:
            whole = file.read()
        for left in (0, 3, 100):
            with self.subTest(left):
                with open(self.top + "/preload/libovlrun.so", "wb") as file:
                    file.write(whole[:left])
                done = subprocess.run([self.top + "/bin/ovlrun", "--lower", self.lower, "--upper", self.upper, "--", "true"],
                                      capture_output=True, text=True)
                self.assertEqual(done.returncode, 125)
                self.assertIn("the preload object can't be loaded", done.stderr)
                self.assertFalse(os.path.exists(self.upper))


if __name__ == "__main__":
    sandbox.main()
