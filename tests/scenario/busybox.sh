#!/bin/bash
# Shows that static busybox as the whole userland (sh, tar, find, sed -i, vi, cp, mv, awk and the rest) builds and reshapes a tree
# below `--lower /`, and in place, as it does on a plain copy.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
begin "$@"
need busybox
# A dynamic one shows something else.
[[ $(od -An -tx1 -N 4 "$(command -v busybox)") == " 7f 45 4c 46" ]] || skip "busybox is no program"
[[ $(LC_ALL=C readelf -l "$(command -v busybox)" 2>/dev/null) != *INTERP* ]] || skip "this busybox is not static"
need_supervisor

mkdir -p tree/{src/deep/er,docs,old} bin
busybox --install -s bin
for ((i = 0; i < 30; i++)); do
  printf 'line one of %s\nline two\nthe third is %s\n' "$i" $((i * 7)) >"tree/src/file$i.txt"
  printf '%s,%s,%s\n' "$i" $((i * i)) "name$i" >>tree/docs/table.csv
done
printf 'deep\n' >tree/src/deep/er/bottom
ln -s ../src/file1.txt tree/docs/link
ln tree/src/file2.txt tree/src/hard
touch -h -d '2001-02-03 04:05:06' tree/src/* tree/docs/*

cat >commands <<'END'
set -e
echo --- shell
cd src && pwd && cd .. && pwd && (cd docs && cd ../src/deep && pwd)
for f in src/file1*.txt; do echo "$f"; done
cat <src/file3.txt >new; echo more >>new; read -r first <new; echo "$first"
cat <<X | tr a-z A-Z >upper.txt
here in $PWD
X
cat upper.txt; [ -s upper.txt ] && [ -L docs/link ] && [ src/file2.txt -ef src/hard ] && echo tests
umask 027; mkdir -p made/a/b; : >made/private; umask 022; stat -c '%a %n' made made/private
echo --- cp mv ln rm
cp -a src copied; cp -r docs made/; cp -l src/file4.txt linked; ln -s made/a dirlink; mv src/file5.txt docs/moved
mv copied/deep made/; rm copied/file1*.txt; rm -rf old; mkdir old; mv docs old/; mv old/docs docs2; rmdir old
ls -A . copied made made/deep/er docs2
readlink -f dirlink/b; realpath docs2/link
echo --- find
find . -type f -name 'file2*' | sort
find made -depth | sort
find src -name 'file2*.txt' -exec rm {} +
find src -type f -size -1k | sort
find copied -name '*.txt' | xargs rm
echo --- sed awk
sed -i 's/line/LINE/; 2d' src/file3.txt src/file6.txt; cat src/file3.txt src/file6.txt
sed -i.bak '$a\last' docs2/table.csv; ls docs2
awk -F, '{ sum += $2; print $3 > "names.out" } END { print NR, sum }' docs2/table.csv.bak
tail -n 2 names.out
awk 'BEGIN { while (("ls src" | getline line) > 0) n++; print n }'
echo --- vi ed patch diff
vi -c ':%s/two/TWO/g' -c ':wq' src/file7.txt >/dev/null 2>&1; cat src/file7.txt
printf '1d\nw\nq\n' | ed src/file8.txt; cat src/file8.txt
cp src/file9.txt a.txt; sed 's/two/2/' a.txt >b.txt; diff -u a.txt b.txt >p || true; patch a.txt p; cmp a.txt b.txt
echo --- tar gzip cpio
tar cf all.tar src made; mkdir out; tar xf all.tar -C out; diff -r src out/src && echo same
tar czf s.tgz -C out .; tar tzf s.tgz | wc -l; gzip -k names.out; gunzip -c names.out.gz | cmp - names.out
(cd src && find . | cpio -o -H newc 2>/dev/null) >src.cpio; mkdir cpio; (cd cpio && cpio -idm <../src.cpio 2>/dev/null); ls cpio | wc -l
rm all.tar s.tgz names.out.gz src.cpio
echo --- metadata
chmod 600 src/file20.txt 2>/dev/null || chmod 600 src/hard; chmod -R g-w made; touch -d '2020-02-02 02:02:02' names.out; stat -c '%Y %s %a' names.out
truncate -s 5 b.txt; cat b.txt; echo; du -a made | awk '{ print $2 }' | sort
echo --- processes
printf '#!%s/sh\necho "script $0 $# $PWD"\n' "$PATH" >script; chmod +x script; ./script a b; (cd made && ../script)
ls src | xargs -n 8 echo | wc -l
find out -name '*.txt' | xargs grep -l third | wc -l
sh -c 'exec ./script x'; echo "$(./script | wc -c)" >/dev/null
i=0; while [ $i -lt 40 ]; do echo $i >many.$i; i=$((i + 1)); done; rm many.?; ls many.* | wc -l; rm -f many.*
mkfifo pipe; (cat src/file10.txt >pipe &) ; cat pipe; rm pipe
md5sum src/deep/er/bottom; wc -l src/hard; sort -r docs2/table.csv | head -n 1; cut -d, -f1 docs2/table.csv | tail -n 2
rm -rf out cpio copied
END

same_shell=(env "PATH=$tmp/bin" sh)
same inside <commands
succeeded inside
same_lower=/
same below-root <commands
succeeded below-root
