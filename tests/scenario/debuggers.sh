#!/bin/bash
# Shows that strace -f and gdb work on programs of a merged tree: they see virtual paths, stop at breakpoints, follow children and change
# nothing of what the program does. (What the supervisor alone carries out by ptrace, chdir and execve into an upper, is refused to a
# program that somebody else traces: debuggers need the preload.)
set -euo pipefail
. "$(dirname "$0")/lib.sh"
begin "$@"
[[ ${OVLRUN_INTERCEPT:-} != seccomp ]] || skip "the supervisor alone can't trace a program that is traced"

mkdir -p tree/dir
echo content >tree/dir/file
cat >tree/program.c <<'X'
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
static int stepped(int n) { return n + 1; }
int main(void) {
  struct stat st;
  chdir("dir");
  FILE* file = fopen("file", "a");
  fputs("more\n", file);
  fclose(file);
  if (fork() == 0) {
    rename("file", "renamed");
    execl("/bin/sh", "sh", "-c", "pwd; ls; cat renamed", (char*)0);
    _exit(9);
  }
  int status;
  wait(&status);
  printf("stat %d, child %d, step %d\n", stat("renamed", &st), status, stepped(1));
  return 4;
}
X

if command -v gcc >/dev/null; then
  gcc -g -O0 -o tree/program tree/program.c
else
  skip "no gcc here"
fi
ran=no

if command -v strace >/dev/null; then
  if strace -o /dev/null true 2>/dev/null; then
    same strace --ignore log <<'END'
strace -f -o log ./program; echo "$?"
grep -c 'exited with 0' log
grep -q '+++ exited with 4' log; echo "$?"
cat dir/renamed
END
    ran=yes
  else
    echo "SKIPPED part: no ptrace here"
  fi
fi

if command -v gdb >/dev/null; then
  if gdb -nx -batch -ex run -ex 'info inferiors' --args true >/dev/null 2>&1; then
    same gdb <<'END'
cp program installed; cp program.c copied.c
gdb -nx -batch -iex 'set debuginfod enabled off' -ex 'set disable-randomization off' -ex 'break stepped' -ex run -ex bt -ex 'print n' -ex 'set var n = 41' -ex finish -ex continue ./installed 2>&1 |
  sed -n '/^Breakpoint 1, /p; /^#[01] /p; /^\$/p; /^stat /p; /exited with code/p; /^Value returned/p' | sed 's/0x[0-9a-f]*/ADDRESS/; s/process [0-9]*/process N/; s/Inferior 1 (process.*)/Inferior/'
cat dir/renamed
END
    ran=yes
    grep -q 'step 42' gdb.plain.out || { cat gdb.plain.out; fail "gdb does not do that on a plain copy"; }
  else
    echo "SKIPPED part: gdb can't run a program here"
  fi
fi
[[ $ran == yes ]] || skip "neither strace nor gdb here"
