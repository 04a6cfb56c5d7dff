#!/bin/bash
# Shows that programs which walk, copy and delete whole trees (cp -a, find -delete, rm -rf and re-creation, mv, ln, chmod, touch) leave
# the tree that they leave on a plain copy.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
begin "$@"

mkdir -p tree/{a/b/c,docs,empty,read-only,'with space'}
for i in {1..40}; do
  echo "file $i" >"tree/a/file$i"
  echo "deep $i" >"tree/a/b/c/deep$i.txt"
  echo "doc $i" >"tree/docs/$i.md"
done
head -c 300000 /dev/zero | tr '\0' x >tree/a/big
truncate -s 5M tree/a/sparse
ln -s ../a/file2 tree/docs/symlink
ln -s /nowhere tree/docs/dangling
ln -s ../a tree/docs/to-directory
mkfifo tree/a/fifo
echo q >"tree/with space/q"$'\n'"r"
echo locked >tree/read-only/file
chmod 640 tree/a/file3
chmod 4755 tree/a/file4
chmod 1777 tree/empty
chmod 444 tree/a/file5
setfattr -n user.note -v lower tree/a/file6 2>/dev/null || true
touch -h -d '2001-02-03 04:05:06.789' tree/a/* tree/docs/* tree/*/*/*/*
chmod 555 tree/read-only

same cp --times <<'END'
set -e
cp -a a a.copy
cp -a docs/. docs.copy
cp -al a/b linked
cp -r --preserve=mode docs "with space/docs"
cp --sparse=always a/sparse a/sparse2
touch -h -d 2010-01-01 "with space/docs"/* linked/c/* a/sparse2
ls -lR --time-style=+%s a.copy docs.copy | sed 's/^total .*//; /^d/d'
END
succeeded cp

same delete <<'END'
find a -name 'deep1*' -print -delete | sort
find a docs -type f -name '*[13579]*' -delete
find docs -type l -exec rm -v {} + | sort
find . -mindepth 1 -type d -empty | sort
find a -depth -type d -empty -delete
rmdir empty
rm -v a/fifo a/big
rm -f read-only/file
rmdir a
find . | sort
END

same recreate <<'END'
set -e
rm -rf a docs
[ ! -e a ] && ! ls a docs
mkdir a docs
ls -A a docs
echo new >a/file1
mkdir -p a/b/c/d
find a docs | sort
rm -rf a
mkfifo a
rm a
ln -s docs a
echo through >a/x
cat docs/x
rm a
mkdir a
rm -r a
cp -a 'with space' a
for i in 1 2 3; do
  rm -rf 'with space'
  mkdir 'with space'
  echo $i >'with space/round'
done
find . | sort
END
succeeded recreate

same rename <<'END'
mv -v a renamed
mv -v renamed/b/c .
mv -v docs c/
mv -v c/docs/to-directory .
mv -v 'with space' with
mkdir a
mv -v renamed/file1 a/
mv -v renamed/big renamed/sparse
mv -v renamed docs
mv -vT c/docs empty
ln -v docs/file7 a/hard7
ln -v a/hard7 hard7
cp -v --remove-destination empty/1.md docs/file8
stat -c '%n %h %F %s %a' a/* hard7 docs/file*
find . | sort
END
succeeded rename

same metadata --times <<'END'
set -e
chmod 600 a/file1
chmod -R g+w docs
chmod 000 a/file2
stat -c %A a/file2
chmod 644 a/file2
touch -d 2020-02-02T02:02:02.222222222 a/file3 docs/1.md a/b/c/*
touch -h -d 2020-02-02 docs/dangling
touch -r a/file3 a/file4
truncate -s 3 a/file7
truncate -s 100000 a/file8
touch -d 2020-03-03 a/file7 a/file8
chgrp "$(id -g)" a/file9 docs
chown -h "$(id -u)" docs/symlink
if command -v setfattr >/dev/null; then
  setfattr -n user.new -v value a/file10 docs
  setfattr -n user.note -v changed a/file6
  getfattr -d a/file6 a/file10 docs
fi
stat -c '%n %h %a %s %Y' a/[!b]* docs/*.md
END
succeeded metadata
