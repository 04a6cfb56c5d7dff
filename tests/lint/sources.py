#!/usr/bin/env python3
"""Laws about the source text: who may include whom, literals that belong to one folder, length of files."""
import pathlib
import re
import subprocess
import sys

root = pathlib.Path(sys.argv[1])

# A folder sees those before it, and those of its own line.
ORDER = [
    ["base"],
    ["sys"],
    ["format"],
    ["session"],
    ["layer"],
    ["caller"],
    ["walk"],
    ["attr"],
    ["copy_up", "readdir", "exec", "trace"],
    ["names"],
    ["ops"],
]
RANK = {name: rank for rank, names in enumerate(ORDER) for name in names}

# (folder, header): why it may look ahead.
EXCEPTIONS = {
    ("session", "core/layer/layer.h"): "a session is made of layers, whose configuration the segment holds",
    ("walk", "core/attr/attr.h"): "search permission is asked at each step",
}

LITERAL = re.compile(r'"(user|trusted)\.overlay')
LITERAL_HOME = "core/format/"
LINES_MOST = 600

problems = []


def tracked():
    listing = subprocess.run(["git", "-C", str(root), "ls-files"], capture_output=True, text=True)
    if listing.returncode == 0 and listing.stdout:
        return listing.stdout.split("\n")
    folders = ["core", "preload", "launcher", "tests", "bench"]
    return [str(p.relative_to(root)) for f in folders for p in (root / f).rglob("*") if p.is_file()]


def check_include(path, number, header):
    parts = path.split("/")
    target = header.split("/")
    where = f"{path}:{number}"
    if target[0] not in ("core", "preload", "launcher", "tests"):
        return
    if parts[0] == "core":
        if target[0] != "core":
            problems.append(f"{where}: core includes {header}")
        elif len(parts) > 2 and len(target) > 2:
            own, other = parts[1], target[1]
            for folder in (own, other):
                if folder not in RANK:
                    problems.append(f"{where}: folder core/{folder} has no place in the order of {__file__}")
                    return
            if RANK[other] > RANK[own] and (own, header) not in EXCEPTIONS:
                problems.append(f"{where}: core/{own} comes before core/{other}")
            if RANK[other] == RANK[own] and own != other:
                problems.append(f"{where}: core/{own} and core/{other} don't know one another")
    elif parts[0] in ("preload", "launcher") and target[0] not in ("core", parts[0]):
        problems.append(f"{where}: {parts[0]} includes {header}")


for name in tracked():
    if not name.endswith((".cc", ".h", ".S", ".def", ".py")):
        continue
    lines = (root / name).read_text(errors="replace").split("\n") if (root / name).exists() else []
    if name.endswith((".cc", ".h")) and len(lines) > LINES_MOST:
        problems.append(f"{name}: {len(lines)} lines, more than {LINES_MOST}: is it one concern?")
    product = name.split("/")[0] in ("core", "preload", "launcher")
    for number, line in enumerate(lines, 1):
        include = re.match(r'#include "([^"]+)"', line)
        if include:
            check_include(name, number, include.group(1))
        code = line.split("//")[0]
        if product and LITERAL.search(code) and not name.startswith(LITERAL_HOME):
            problems.append(f"{name}:{number}: names of private xattrs come from {LITERAL_HOME}")

print("\n".join(problems) if problems else "sources: in order")
sys.exit(1 if problems else 0)
