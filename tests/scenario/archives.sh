#!/bin/bash
# Shows that tar extracts 5,000 files into a merged tree, over old ones too, archives it again, and that rsync -aHAX mirrors from
# and to a merged tree, with deletions and hard links.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
begin "$@"
need tar gzip

mkdir content
(
  cd content
  for d in {1..50}; do
    mkdir -p "d$((d % 7))/d$d"
    for f in {1..100}; do echo "$d $f" >"d$((d % 7))/d$d/f$f"; done
  done
  ln d1/d1/f1 d2/hard
  ln -s d1/d1 symlink
  chmod 600 d3/d3/*
  chmod 4711 d4/d4/f1
  mkfifo d5/fifo
  find . -exec touch -h -d '2005-05-05 05:05:05' {} +
)
mkdir -p tree/{into,other}/d1/d1
tar -C content --sort=name -czf tree/archive.tar.gz .
echo old >tree/into/d1/d1/f1
echo stays >tree/into/d1/d1/old
chmod 700 tree/into/d1
ln -s elsewhere tree/into/d3

same tar --times --no-content '*.tar' <<'END'
set -e
tar -C into -xzpf archive.tar.gz
find into | wc -l
tar -C into --exclude old --sort=name -cf again.tar .
tar -tvf again.tar --full-time
tar -C into -df again.tar
tar -C other -xpf again.tar
tar -C other --unlink-first --recursive-unlink -xpf again.tar ./d1
rm -r into/d2 into/d5
END
succeeded tar

if ! command -v rsync >/dev/null; then
  echo "SKIPPED: rsync, which is not here"
  exit 0
fi
rm -rf tree content/d?/d[2-5]?
mkdir tree
cp -a content tree/from
cp -a content tree/to
rm -r tree/to/d1 tree/from/d6
echo changed >tree/to/d2/d2/f2
echo extra >tree/to/d2/extra
cp -a content outside
if command -v setfattr >/dev/null; then
  setfattr -n user.note -v value tree/from/d2/d2/f2 2>/dev/null || true
fi
export outside=$tmp/outside
same rsync --times <<'END'
set -e
rsync -aHAXi --delete from/ to/
rsync -aHAXi --delete from/ to/
rm -rf "$outside".out
rsync -aHAX from/ "$outside".out/
(cd "$outside".out && find . -printf '%p %y %m %n %s %T@ %l\n' | sed '/ d /s/ [0-9]* [0-9]* [0-9.]* *$//' | sort)
rsync -aHAXi --inplace --checksum "$outside"/ to/
rsync -aHAX --exclude hard --exclude d1/d1/f1 --delay-updates --link-dest="$PWD/from" from/ linked/
stat -c '%h %n' linked/d2/d2/f2
END
succeeded rsync
