#!/usr/bin/env python3
"""needed.py OBJECT NAME...: the object needs no shared library but those whose file names begin like that."""
import re
import subprocess
import sys

dynamic = subprocess.run(["readelf", "-dW", sys.argv[1]], capture_output=True, text=True, check=True).stdout
others = [name for name in re.findall(r"\(NEEDED\).*\[(.*)\]", dynamic) if not name.startswith(tuple(sys.argv[2:]))]
if others:
    sys.exit(f"{sys.argv[1]} needs {', '.join(others)}")
