# shellcheck shell=bash
# Sourced by run-syscalls and scenario.sh. What the environment may say:
#   OVLRUN             the ovlrun under test (ctest sets it), or a stand-in with its options, such as kernel-overlay
#   OVLRUN_KEEP=1      leave the test's directory behind
#   OVLRUN_INTERCEPT   ovlrun's --intercept, or strict
support=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
OVLRUN=${OVLRUN:-$support/../../build/release/launcher/ovlrun}
export OVLRUN

# ctest knows this status as "skipped".
skip() {
  echo "SKIPPED: $*"
  exit 77
}

fail() {
  echo "FAILED: $*" >&2
  exit 1
}

# What no test shall have of the user's own. SHELL is set, since a shell without it asks who the user is, and a static one
# crashes over an unknown user in libc's name services.
plain_environment() {
  export HOME=$tmp/home TMPDIR=$tmp/tmp LC_ALL=C.UTF-8 TZ=UTC SHELL=/bin/bash PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin
  unset LANG LANGUAGE LD_PRELOAD MAKEFLAGS MFLAGS MAKELEVEL
  umask 022
}

# Before enter, for many small trees: its directory is made in memory, if there is a file system with room that has what a layer
# needs.
prefer_memory() {
  if [[ -z ${OVLRUN_TEST_DIRECTORY:-} ]] && in_memory 2>/dev/null; then export TMPDIR=/dev/shm; fi
}
in_memory() {
  local probe ok=''
  (($(stat -f -c '%a * %S' /dev/shm) >= 1 << 30)) && probe=$(mktemp /dev/shm/ovlrun-probe.XXXXXX) || return 1
  printf '#!/bin/sh\n' >"$probe"
  chmod 755 "$probe"
  setfattr -n user.ovlrun -v 1 "$probe" && "$probe" && ok=1
  rm -f "$probe"
  [[ -n $ok ]]
}

# enter "$@": goes on as an ordinary user in a new, empty directory $tmp that is removed at the end. Root becomes a uid
# that owns nothing else (with keep_root=1 it stays root, and "${as_user[@]}" is the prefix of a command that shall not).
# The first thing that a script does; "$@" are the script's arguments.
user=65500
keep_root=''
as_user=()
if ((EUID == 0)); then as_user=(setpriv --reuid "$user" --regid "$user" --clear-groups); fi
enter() {
  if [[ -n ${OVLRUN_TEST_DIRECTORY:-} ]]; then
    tmp=$OVLRUN_TEST_DIRECTORY
    mkdir -p "$tmp/home" "$tmp/tmp"
    plain_environment
    unset XDG_STATE_HOME XDG_CONFIG_HOME XDG_CACHE_HOME
    return
  fi
  [[ -x $OVLRUN ]] || fail "no ovlrun at $OVLRUN: build it, or set OVLRUN"
  local directory script status as=()
  script=$(realpath "$0")
  OVLRUN=$(realpath "$OVLRUN")
  directory=$(realpath "$(mktemp -d "${TMPDIR:-/tmp}/ovlrun-test.XXXXXX")")
  chmod 755 "$directory"
  if ((EUID == 0)); then
    chown "$user:$user" "$directory"
    if ! "${as_user[@]}" test -r "$script" -a -x "$OVLRUN" -a -x "$directory"; then
      rmdir "$directory"
      skip "an ordinary user can't reach $script, $OVLRUN or $directory"
    fi
    [[ -n $keep_root ]] || as=("${as_user[@]}")
  fi
  status=0
  (cd "$directory" && OVLRUN_TEST_DIRECTORY=$directory exec "${as[@]}" bash "$script" "$@") || status=$?
  if [[ -n ${OVLRUN_KEEP:-} ]]; then
    echo "left behind: $directory"
  else
    chmod -R u+rwX "$directory" 2>/dev/null || true # it says so of paths over PATH_MAX; rm reaches them
    rm -rf "$directory"
  fi
  exit "$status"
}

# remember_lower DIR, and at the end check_lower: is DIR as it was, to the last change time?
remember_lower() {
  remembered_lower=$1
  "$support/fingerprint" -l "$1" >"$tmp/lower.before"
}
check_lower() {
  "$support/fingerprint" -l "$remembered_lower" >"$tmp/lower.after"
  cmp -s "$tmp/lower.before" "$tmp/lower.after" && return
  diff "$tmp/lower.before" "$tmp/lower.after" | head -n 20 || true
  fail "the lower was modified: $remembered_lower"
}

# without_supervisor OPTION...: does ovlrun say that with these options it can have no supervisor? Its words are left in
# $missing. One that merely did not come up is a failure.
without_supervisor() {
  local inside outside probe
  missing="--intercept=preload was asked for"
  [[ " $* " != *" --intercept=preload "* ]] || return 0
  probe=$(mktemp -d "$tmp/probe.XXXXXX")
  mkdir "$probe/lower"
  outside=$(awk '/^Seccomp_filters/ { print $2 }' /proc/self/status)
  [[ -z $(readlink /proc/self/ovlrun) ]] || outside=0 # that of the session around serves inner ones too
  inside=$("$OVLRUN" "$@" --lower "$probe/lower" --upper "$probe/upper" -- awk '/^Seccomp_filters/ { print $2 }' /proc/self/status \
    2>"$probe/message") || true
  missing=$(<"$probe/message")
  rm -rf "$probe"
  if [[ ${inside:-0} -gt ${outside:-0} ]]; then
    missing=''
    return 1
  fi
  [[ $missing == *"ovlrun: no supervisor: "* ]] || fail "there is no supervisor, and ovlrun does not say what is missing: $missing"
}

# supervised OPTION...: skips the test where ovlrun can have no supervisor with these options.
supervised() {
  ! without_supervisor "$@" || skip "$missing"
}
