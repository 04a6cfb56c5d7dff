#!/usr/bin/env python3
"""tree.py list [--times] [--no-content PATTERN]... [--ignore PATTERN]... DIR
tree.py fingerprint PATH...

list: a line for each object below DIR, with what has to be the same in a merged tree and in a plain copy after the same
commands: type, mode, owner, size, content, symlink target, device number, link count, the first name of the same file, xattrs; with
--times the modification times of all but directories. PATTERN (a shell pattern, `*` crosses slashes) is matched
with the path below DIR: --no-content leaves out size, content and time of what embeds times or inode numbers.

fingerprint: a line for each object below the PATHs with all that a lower must keep, inode numbers and change times too."""
import argparse
import fnmatch
import hashlib
import os
import stat
import sys


def content(path):
    digest = hashlib.sha256()
    try:
        with open(path, "rb") as file:
            while piece := file.read(1 << 20):
                digest.update(piece)
    except OSError as error:
        return error.strerror
    return digest.hexdigest()


def xattrs(path):
    try:
        names = sorted(os.listxattr(path, follow_symlinks=False))
        return [(name, os.getxattr(path, name, follow_symlinks=False)) for name in names]
    except OSError as error:
        return error.strerror


def below(root):
    """Every path below the root and the root itself as "", parents first, in the order of names."""
    pending = [""]
    while pending:
        path = pending.pop()
        yield path
        full = os.path.join(root, path) if path else root
        if stat.S_ISDIR(os.lstat(full).st_mode):
            try:
                names = sorted(os.listdir(full), reverse=True)
            except PermissionError:
                names = []
            pending.extend(os.path.join(path, name) for name in names)


def matches(path, patterns):
    return any(fnmatch.fnmatchcase(path, pattern) for pattern in patterns)


def list_tree(options):
    first_name = {}
    for path in below(options.directory):
        if matches(path, options.ignore):
            continue
        full = os.path.join(options.directory, path) if path else options.directory
        s = os.lstat(full)
        facts = [stat.filemode(s.st_mode), f"{s.st_uid}:{s.st_gid}"]
        if not stat.S_ISDIR(s.st_mode):
            facts += [s.st_nlink, first_name.setdefault((s.st_dev, s.st_ino), path)]
        if stat.S_ISLNK(s.st_mode):
            facts.append(os.readlink(full))
        if stat.S_ISREG(s.st_mode) and not matches(path, options.no_content):
            facts += [s.st_size, content(full)]
        if stat.S_ISCHR(s.st_mode) or stat.S_ISBLK(s.st_mode):
            facts.append(s.st_rdev)
        if options.times and not stat.S_ISDIR(s.st_mode) and not matches(path, options.no_content):
            facts.append(s.st_mtime_ns)
        print(repr(path), *facts, xattrs(full))


def fingerprint(options):
    for root in options.paths:
        for path in below(root):
            full = os.path.join(root, path) if path else root
            s = os.lstat(full)
            facts = [oct(s.st_mode), s.st_uid, s.st_gid, s.st_ino, s.st_nlink, s.st_rdev, s.st_size, s.st_mtime_ns, s.st_ctime_ns]
            if stat.S_ISREG(s.st_mode):
                facts.append(content(full))
            if stat.S_ISLNK(s.st_mode):
                facts.append(os.readlink(full))
            print(repr(full), *facts, xattrs(full))


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    actions = parser.add_subparsers(required=True)
    action = actions.add_parser("list")
    action.add_argument("--times", action="store_true")
    action.add_argument("--no-content", action="append", default=[])
    action.add_argument("--ignore", action="append", default=[])
    action.add_argument("directory")
    action.set_defaults(run=list_tree)
    action = actions.add_parser("fingerprint")
    action.add_argument("paths", nargs="+")
    action.set_defaults(run=fingerprint)
    options = parser.parse_args()
    sys.stdout.reconfigure(errors="surrogateescape")
    options.run(options)


main()
