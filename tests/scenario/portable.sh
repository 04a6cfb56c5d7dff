#!/bin/bash
# A tree of some thousand objects, changed by mv, chmod -R, rm, cp and tar, is settled: programs see the same before and after, nothing
# in the upper refers to the lower by another name or for its data any more, and an unprivileged kernel mount shows the same too.
# The same work with --portable needs no settling.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
begin "$@"

mkdir tree
(cd tree && make_content 60 20)
remember tree

# The xattrs that make an upper unportable, as lines of getfattr-like names.
references() {
  python3 - "$1" <<'END'
import os
import sys

for folder, dirs, files in os.walk(sys.argv[1]):
    for name in dirs + files:
        path = os.path.join(folder, name)
        if not os.path.islink(path):
            found = [n for n in os.listxattr(path) if n in ("user.overlay.redirect", "user.overlay.metacopy")]
            if found:
                print(path, *found)
END
}

list() { "${overlaid[@]}" --index=off --lower tree --upper "$1" -- python3 -B "$here/tree.py" list --times tree; }

# Link counts are those of names in the upper: the lower's second name of d2/hard stays where it is.
plain() { grep -v -e "d2/hard'" -e "d1/f1'" "$1"; }

kernel_shows() {
  local upper=$1 status=0
  # The ids are those of a user namespace's root.
  # shellcheck disable=SC2016
  unshare --mount --map-root-user bash -c 'mkdir -p mnt && mount -t overlay overlay \
    -o "userxattr,lowerdir=tree,upperdir=$1,workdir=$1.work" mnt || exit 77; shift; exec "$@"' bash "$upper" \
    python3 -B "$here/tree.py" list --times mnt >"$tmp/$upper.kernel" 2>"$tmp/$upper.error" || status=$?
  chmod 700 "$upper.work/work"
  if ((status != 0)); then
    unshare --mount --map-root-user bash -c 'mkdir -p p/{l,u,w,m} && mount -t overlay overlay \
      -o userxattr,lowerdir=p/l,upperdir=p/u,workdir=p/w p/m' 2>/dev/null && fail "the kernel refuses $upper: $(<"$tmp/$upper.error")"
    echo "$upper: not compared with the kernel: no unprivileged overlay mount here"
    return
  fi
  sed "s/ $(id -u):$(id -g) / 0:0 /" "$tmp/$upper.after" >"$tmp/$upper.expected"
  diff "$tmp/$upper.expected" "$tmp/$upper.kernel" >"$tmp/diff" && return
  head -n 20 "$tmp/diff" >&2
  fail "the kernel shows another tree of $upper"
}

cat >work.sh <<'END'
set -e
cd tree/content
chmod -R o-rx d0 d1 d2
mv d3 three
mv three/d10 d4/d11 .
mv d4 three/four
rm -r d5/d12 three/d24
mv d6 d5/six
touch -d 2001-01-01 d0/d7/f*
for file in d0/d14/*; do echo more >>"$file"; done
cp -a d0/d21 copy
ln copy/f1 copy/f1.link
tar c d5 | tar x -C copy
rm -r d1/d1 && mkdir d1/d1 && echo new >d1/d1/new
END

"${overlaid[@]}" --index=off --lower tree --upper settled -- bash work.sh
list settled >"$tmp/settled.before"
[[ -n $(references settled) && -d settled.work/work/incompat/ovlrun ]] || fail "nothing to settle"
"$OVLRUN" settle --lower tree --upper settled
[[ -z $(references settled) && ! -e settled.work/work/incompat/ovlrun ]] || fail "not settled: $(references settled)"
list settled >"$tmp/settled.after"
diff <(plain "$tmp/settled.before") <(plain "$tmp/settled.after") >"$tmp/diff" || {
  head -n 20 "$tmp/diff" >&2
  fail "programs see another tree after settling"
}
kernel_shows settled
echo "settled: ok ($(wc -l <"$tmp/settled.after") objects)"

"${overlaid[@]}" --portable --lower tree --upper portable -- bash work.sh
[[ -z $(references portable) && ! -e portable.work/work/incompat/ovlrun ]] || fail "not portable: $(references portable)"
list portable >"$tmp/portable.after"
# cp and tar give what they copied new times; but the names, modes and data are the same.
diff <(sed -E 's/ [0-9]{18,19} / /' <(plain "$tmp/settled.after")) <(sed -E 's/ [0-9]{18,19} / /' <(plain "$tmp/portable.after")) \
  >"$tmp/diff" || {
  head -n 20 "$tmp/diff" >&2
  fail "--portable led to another tree"
}
kernel_shows portable
unchanged
echo "portable: ok"
