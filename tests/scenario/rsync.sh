#!/bin/bash
# Shows that rsync -aHAX mirrors from and to a merged tree, within it and across its edge, with deletions and hard links.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
begin "$@"
need rsync

make_content 14 12
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
