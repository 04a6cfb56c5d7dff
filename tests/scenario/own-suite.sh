#!/bin/bash
# Shows that ovlrun's own tests pass below ovlrun, over `--lower /`: sessions inside a session, with everything that they write in
# the upper of the one around.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
begin "$@"
need ctest
[[ ${OVLRUN_INTERCEPT:-} != seccomp ]] || skip "no inner sessions where programs have no preload"

build=$(realpath "$(dirname "$OVLRUN")/..")
[[ -e $build/CTestTestfile.cmake ]] || skip "no tests at $build"
# Those that look at this very scenario's kind of work again, and what takes very long.
tests='^(syscalls/(libc|static)/lower|launcher\.(status|overlays|diff|report|nested)|scenario\.(bash|files|tar)$)'
# Left out: sessions that tests put together without the launcher, which knows of the one around; and
# the kernel's mounts, which are none of it.
units='^(launcher|scenario|stress|syscalls|fuzz|lint|model|Preload|Trees)'
remember "$build/launcher" "$build/tests/launcher" "$here/../launcher"
# Near the root: sockets have short names.
upper=$(mktemp -d /tmp/o.XXXXXX)
trap 'chmod -R u+rwX "$upper"; rm -rf "$upper" "$upper.work"' EXIT
below() {
  env -u OVLRUN_INTERCEPT -u OVLRUN_TEST_DIRECTORY -u TMPDIR "${overlaid[@]}" --lower / --upper "$upper" -- \
    ctest --test-dir "$build" -j "$(nproc)" --timeout 500 --output-on-failure "$@" >"$tmp/result" 2>&1 || {
    tail -n 60 "$tmp/result" >&2
    fail "ovlrun's own tests fail below ovlrun"
  }
  grep -E "% tests passed|sec$" "$tmp/result"
}
below -E "$units"
below -R "$tests"
unchanged
