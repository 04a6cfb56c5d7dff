"""What is removed while somebody may read it by the lower's file stays in the workdir as long as the session, and no longer."""
import os
import unittest

import uppers


class Kept(uppers.Uppers):
    def temporaries(self):
        return [name for name in os.listdir(self.work + "/work") if name.startswith("#") and name != "#whiteout"]

    def test_a_removed_file_is_read_to_its_end(self):
        with open(self.lower + "/read", "w", encoding="ascii") as file:
            file.write("first\nsecond\n")
        seen = self.shell('exec 3<read; read -r line <&3; echo "$line"; printf third 1<>read; rm read; cat <&3')
        self.assertEqual(seen, "first\nsecond\n")
        self.assertEqual(self.temporaries(), [])

    def test_what_is_not_read_goes_at_once(self):
        with open(self.lower + "/unread", "w", encoding="ascii") as file:
            file.write("text\n")
        self.shell("echo more >>unread; rm unread")
        self.assertEqual(self.temporaries(), [])


if __name__ == "__main__":
    unittest.main()
