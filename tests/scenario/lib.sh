# shellcheck shell=bash
# Sourced by every scenario. Environment:
#   OVLRUN_TEST_CACHE   where fetched sources are kept (default: ~/.cache/ovlrun-tests)
#   and what common.sh says; ctest runs all scenarios once more with OVLRUN_INTERCEPT=seccomp
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

# shellcheck source=../support/common.sh
. "$here/../support/common.sh"

need() {
  local program
  for program; do
    command -v "$program" >/dev/null || skip "no $program here"
  done
}

# begin "$@": the first thing that a scenario does; "$@" are its own arguments. It goes on as an ordinary user (root becomes
# a uid that owns nothing else) in a new, empty directory $tmp, which is removed at the end.
begin() {
  enter "$@"
  unset "${!XDG_@}" "${!GIT_@}" "${!PYTHON@}" "${!CCACHE_@}" CC CXX CFLAGS CXXFLAGS
  # What a scenario runs for ovlrun.
  overlaid=("$OVLRUN")
  [[ -z ${OVLRUN_INTERCEPT:-} ]] || overlaid+=("--intercept=$OVLRUN_INTERCEPT")
  without_supervisor "${overlaid[@]:1}" || return 0
  [[ ${OVLRUN_INTERCEPT:-} != seccomp ]] || need_supervisor
  overlaid=("$OVLRUN" --intercept=preload) # so it goes on by itself, but says it each time
}

# After begin, for a scenario of what the preload alone does not cover.
need_supervisor() { [[ -z $missing ]] || skip "$missing"; }

# make_content DIRECTORIES FILES: a directory content of so many directories in seven others, with so many files each, and one
# of each kind besides; all of 2005.
make_content() (
  mkdir content
  cd content || exit
  for ((d = 1; d <= $1; d++)); do
    mkdir -p "d$((d % 7))/d$d"
    for ((f = 1; f <= $2; f++)); do echo "$d $f" >"d$((d % 7))/d$d/f$f"; done
  done
  ln d1/d1/f1 d2/hard
  ln -s d1/d1 symlink
  chmod 600 d3/d3/*
  chmod 4711 d4/d4/f1
  mkfifo d5/fifo
  find . -exec touch -h -d '2005-05-05 05:05:05' {} +
)

tree() { python3 -B "$here/tree.py" "$@"; }

# prints PATTERN COMMAND...: does a line of what the command prints match? It prints to its end: `| grep -q` would at times
# end it by a broken pipe.
prints() {
  local pattern=$1
  shift
  "$@" >"$tmp/printed" && grep -q -e "$pattern" "$tmp/printed"
}

# remember PATH..., and later unchanged: is all below the paths as it was, to the last change time?
remember() {
  remembered=("$@")
  tree fingerprint "$@" >"$tmp/fingerprint.before"
}
unchanged() {
  tree fingerprint "${remembered[@]}" >"$tmp/fingerprint.after"
  diff "$tmp/fingerprint.before" "$tmp/fingerprint.after" >"$tmp/fingerprint.diff" && return
  head -n 20 "$tmp/fingerprint.diff" >&2
  fail "the lower has changed: ${remembered[*]}"
}

# sound UPPER: does `ovlrun check` find nothing in it, not even leftovers? (It is not possible below another session.)
sound() {
  [[ -z $(readlink /proc/self/ovlrun) ]] || return 0
  "$OVLRUN" check --upper "$1" >"$tmp/check.out" 2>"$tmp/check.err" && [[ ! -s $tmp/check.out ]] && return
  cat "$tmp/check.out" "$tmp/check.err" >&2
  fail "the upper is not sound: $1"
}

# same NAME [OPTION...] <<'END' COMMANDS END: runs the commands with bash in $tmp/tree, once on a plain copy of that tree and
# once with it as the lower of a new overlay, at the same path. Output, exit status and the final tree have to be the same,
# the upper has to be sound, and the lower has to stay as it is. The options go to `tree.py list`. The result of the plain run is left in $tmp/NAME.plain,
# the upper in $tmp/NAME.upper. A scenario may set same_shell, the command that runs scripts, and same_lower, a directory above
# $tmp/tree to have as the lower.
same_shell=(bash) same_lower=
same() {
  local name=$1 status
  shift
  cat >"$tmp/$name.sh"

  mv "$tmp/tree" "$tmp/lower"
  cp -a "$tmp/lower" "$tmp/tree"
  status=0
  (cd "$tmp/tree" && exec "${same_shell[@]}" "$tmp/$name.sh") >"$tmp/$name.plain.out" 2>&1 </dev/null || status=$?
  echo "exit status $status" >>"$tmp/$name.plain.out"
  tree list "$@" "$tmp/tree" >"$tmp/$name.plain.list"
  mv "$tmp/tree" "$tmp/$name.plain"
  mv "$tmp/lower" "$tmp/tree"

  remember "$tmp/tree"
  local overlay=("${overlaid[@]}" --lower "${same_lower:-$tmp/tree}" --upper "$tmp/$name.upper")
  status=0
  (cd "$tmp/tree" && exec "${overlay[@]}" -- "${same_shell[@]}" "$tmp/$name.sh") >"$tmp/$name.merged.out" 2>&1 </dev/null || status=$?
  echo "exit status $status" >>"$tmp/$name.merged.out"
  unchanged
  # The final tree of a later session: what the upper holds, not what the first one remembered.
  "${overlay[@]}" -- python3 -B "$here/tree.py" list "$@" "$tmp/tree" >"$tmp/$name.merged.list"
  unchanged
  sound "$tmp/$name.upper"

  if ! diff -u "$tmp/$name.plain.out" "$tmp/$name.merged.out" >"$tmp/diff"; then
    head -n 60 "$tmp/diff" >&2
    fail "$name: the output is another one than on a plain copy"
  fi
  if ! diff -u0 "$tmp/$name.plain.list" "$tmp/$name.merged.list" >"$tmp/diff"; then
    head -n 40 "$tmp/diff" >&2
    fail "$name: the final tree is another one than on a plain copy"
  fi
  echo "$name: ok ($(wc -l <"$tmp/$name.plain.list") objects, $(wc -l <"$tmp/$name.plain.out") lines of output," \
    "$(tail -n 1 "$tmp/$name.plain.out"))"
}

# succeeded NAME: `same` takes two equal failures for good; this does not.
succeeded() {
  [[ $(tail -n 1 "$tmp/$1.plain.out") == "exit status 0" ]] && return
  tail -n 20 "$tmp/$1.plain.out" >&2
  fail "$1: the commands fail on a plain copy too"
}
