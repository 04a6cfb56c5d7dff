#!/bin/bash
# Shows that what lists a merged tree in different ways agrees: `ls -R`, `tar c`, `find -printf`, and scandir's d_ino and d_type with
# lstat, in a tree with every kind of entry, copied up, renamed, whited out, re-created, with hard links, and of several lowers.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
begin "$@"

cat >listings.py <<'END'
"""Compares what ls -iR, find -printf, tar and scandir say of the tree at the current directory."""
import os
import stat
import subprocess
import sys
import tarfile

objects = {}  # path -> lstat
pending = ["."]
wrong = []
TYPES = {stat.S_IFREG: "f", stat.S_IFDIR: "d", stat.S_IFLNK: "l", stat.S_IFIFO: "p", stat.S_IFSOCK: "s"}


def kind(s):
    return TYPES[stat.S_IFMT(s.st_mode)]


def same(what, path, a, b):
    if a != b:
        if isinstance(a, (list, dict)):  # what the one has and the other has not
            items = (lambda x: [*(x.items() if isinstance(x, dict) else x)])
            a, b = [i for i in items(a) if i not in items(b)], [i for i in items(b) if i not in items(a)]
        wrong.append(f"{path}: {what}: {a} and {b}")


while pending:
    directory = pending.pop()
    names = []
    for entry in os.scandir(directory):
        path = os.path.join(directory, entry.name)
        names.append(entry.name)
        s = objects[path] = os.lstat(path)
        same("d_ino and st_ino", path, entry.inode(), s.st_ino)
        same("d_type and st_mode", path, (entry.is_dir(follow_symlinks=False), entry.is_symlink(), entry.is_file(follow_symlinks=False)),
             (stat.S_ISDIR(s.st_mode), stat.S_ISLNK(s.st_mode), stat.S_ISREG(s.st_mode)))
        if entry.is_dir(follow_symlinks=False):
            pending.append(path)
    same("names that come twice", directory, sorted(names), sorted(set(names)))
    same("names of listdir", directory, sorted(names), sorted(os.listdir(directory)))

found = {}
for line in subprocess.run(["find", ".", "-mindepth", "1", "-printf", r"%i %n %y %m %s %p\0"], check=True, capture_output=True,
                           text=True).stdout.split("\0")[:-1]:
    ino, nlink, type_, mode, size, path = line.split(" ", 5)
    found[path] = (int(ino), int(nlink), type_, int(mode, 8), int(size))
same("paths of find and scandir", ".", sorted(found), sorted(objects))
for path, s in objects.items():
    same("find and lstat", path, found.get(path), (s.st_ino, s.st_nlink, kind(s), stat.S_IMODE(s.st_mode), s.st_size))

listed, directory = {}, None
for line in subprocess.run(["ls", "-iAR1F", "--quoting-style=literal"], check=True, capture_output=True, text=True).stdout.splitlines():
    if line.startswith(".") and line.endswith(":"):
        directory = line[:-1]
    elif line:
        ino, name = line.lstrip().split(" ", 1)
        listed[os.path.join(directory, name.rstrip("/*@|="))] = int(ino)
same("ls and lstat", ".", listed, {path: s.st_ino for path, s in objects.items()})

seen = {}
subprocess.run(["tar", "--sort=name", "-cf", os.environ["OUT"] + ".tar", "."], check=True, stderr=subprocess.DEVNULL)
groups = {}  # the first name of each file -> all names
TAR = {tarfile.REGTYPE: "f", tarfile.DIRTYPE: "d", tarfile.SYMTYPE: "l", tarfile.FIFOTYPE: "p"}
for member in tarfile.open(os.environ["OUT"] + ".tar"):
    path = "./" + member.name.removeprefix("./") if member.name != "." else "."
    if path == ".":
        continue
    if member.type == tarfile.LNKTYPE:
        target = "./" + member.linkname.removeprefix("./")
        groups[target].append(path)
        seen[path] = seen[target]
    else:
        if member.type != tarfile.DIRTYPE:
            groups[path] = [path]
        seen[path] = (TAR[member.type], member.mode, member.size)
expected = {}
for path, s in objects.items():
    if kind(s) != "s":  # tar leaves sockets out
        expected[path] = (kind(s), stat.S_IMODE(s.st_mode), s.st_size if kind(s) == "f" else 0)
same("tar and lstat", ".", sorted(seen.items()), sorted(expected.items()))
by_inode = {}
for path, s in objects.items():
    if kind(s) not in "ds":
        by_inode.setdefault((s.st_dev, s.st_ino), []).append(path)
same("hard links of tar and of lstat", ".", sorted(sorted(g) for g in groups.values()), sorted(sorted(g) for g in by_inode.values()))
for paths in by_inode.values():
    same("link count and names", paths[0], objects[paths[0]].st_nlink, len(paths))
for path, s in objects.items():
    if stat.S_ISDIR(s.st_mode):
        inside = os.path.join(path, ".")
        same("directory and its .", path, (s.st_dev, s.st_ino), (os.lstat(inside).st_dev, os.lstat(inside).st_ino))

with open(os.environ["OUT"], "w") as out:
    out.write("".join(f"{path} {kind(s)}\n" for path, s in sorted(objects.items())))
for line in wrong[:30]:
    print(line)
sys.exit(bool(wrong))
END

make_lower() {
  mkdir -p "$1"/{many,dir/sub/deep,gone,opaque,"sp ace"}
  for i in {1..400}; do echo "$i" >"$1/many/$i"; done
  for i in a b c d e f; do echo "$1 $i" >"$1/dir/$i"; echo "$i" >"$1/dir/sub/$i"; echo "$i" >"$1/opaque/$i"; done
  echo deep >"$1/dir/sub/deep/file"
  ln -s dir/a "$1/symlink"
  ln -s /nowhere "$1/dangling"
  mkfifo "$1/fifo"
  echo linked >"$1/linked1"
  ln "$1/linked1" "$1/dir/linked2"
  echo q >"$1/sp ace/q"
}

# Every way by which an entry of a merged directory comes to be.
cat >change.sh <<'END'
set -e
echo more >>dir/a                       # copied up
chmod 600 dir/b                         # metadata alone
touch -d 2001-01-01 many/3?
rm dir/c many/1*                        # whiteouts
rm -r gone
rm -r opaque; mkdir opaque; echo new >opaque/new; echo a >opaque/a
mv dir/d dir/renamed
mv dir/sub moved                        # by a redirect
echo in-moved >moved/new; rm moved/e
mv 'sp ace' moved/space
rm dangling; mkdir dangling; touch dangling/inside           # other types
rm fifo; ln -s dir fifo
rm many/20; mkfifo many/20
echo pure >pure; ln pure dir/pure2; ln pure moved/pure3; rm dir/pure2
ln dir/e dir/e2
mkdir -p new/er; mv pure new/er/pure; ln -s ../x new/symlink
python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("socket")'
END

make_lower one
remember "$tmp/one"
overlay=("${overlaid[@]}" --lower "$tmp/one" --upper "$tmp/one.upper")
export OUT=$tmp/listing
check() {
  (cd "$1" && shift && OUT=$OUT.$1 && shift && "$@") || fail "the listings don't agree"
}
check one fresh "${overlay[@]}" -- python3 -B "$tmp/listings.py"
cp -a one plain
(cd plain && bash "$tmp/change.sh")
(cd plain && OUT=$OUT.plain python3 -B "$tmp/listings.py") || fail "the listings of a plain tree don't agree"
# In the session that makes the changes, and in the next one.
check one changed "${overlay[@]}" -- bash -c "bash '$tmp/change.sh' && python3 -B '$tmp/listings.py'"
check one later "${overlay[@]}" -- python3 -B "$tmp/listings.py"
for listing in changed later; do
  diff "$OUT.plain" "$OUT.$listing" || fail "another tree than a plain copy"
done
unchanged
echo "one lower in place: ok ($(wc -l <"$OUT.later") objects)"

make_lower two
rm two/dir/[ab] two/linked1 two/dir/linked2
rm -r two/opaque two/gone
echo only >two/only
echo file >two/gone
mkdir at
remember "$tmp/one" "$tmp/two"
overlay=("${overlaid[@]}" --lower "$tmp/two:$tmp/one" --upper "$tmp/two.upper" --at "$tmp/at")
at=("${overlay[@]}" -- bash -c 'cd "$0" && exec "$@"' "$tmp/at")
rm -r plain
cp -a one plain
rm -r plain/gone
cp -a two/. plain/
check . at.fresh "${at[@]}" python3 -B "$tmp/listings.py"
(cd plain && OUT=$OUT.plain python3 -B "$tmp/listings.py") || fail "the listings of a plain tree don't agree"
diff "$OUT.plain" "$OUT.at.fresh" || fail "another tree than a plain copy"
(cd plain && bash "$tmp/change.sh")
check . at.changed "${at[@]}" bash -c "bash '$tmp/change.sh' && python3 -B '$tmp/listings.py'"
check . at.later "${at[@]}" python3 -B "$tmp/listings.py"
(cd plain && OUT=$OUT.plain python3 -B "$tmp/listings.py") || fail "the listings of a plain tree don't agree"
for listing in changed later; do
  diff "$OUT.plain" "$OUT.at.$listing" || fail "another tree than a plain copy"
done
unchanged
[[ -z $(ls -A at) ]] || fail "something landed in the real directory that shows the merged tree"
echo "two lowers at a third place: ok ($(wc -l <"$OUT.at.later") objects)"
