#!/bin/bash
# Shows that strace -f and gdb work on programs of a merged tree: they see virtual paths, stop at breakpoints, follow children and change
# nothing of what the program does. (What the supervisor alone carries out by ptrace, chdir and execve into an upper, is refused to a
# program that somebody else traces: debuggers need the preload.)
set -euo pipefail
. "$(dirname "$0")/lib.sh"
begin "$@"

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

cat >tree/greet.c <<'X'
int stepped(int n) { return n + 1; }
X
cat >tree/greeter.c <<'X'
int stepped(int n);
int main(void) { return stepped(1); }
X
# What sanitizers and programs that look for their own mappings say of them.
cat >tree/overflow.c <<'X'
#include <stdlib.h>
int main(int argc, char** argv) {
  char* bytes = malloc(4);
  return bytes[argc + 3] + (argv == 0);
}
X
cat >tree/mapped.c <<'X'
#include <stdio.h>
#include <string.h>
int main(int argc, char** argv) {
  char line[8192], *name;
  FILE* maps = fopen("/proc/self/maps", "r");
  while (fgets(line, sizeof line, maps))
    if ((name = strchr(line, '/')) != NULL && strstr(name, argv[argc - 1]) != NULL) fputs(name, stdout);
  return 0;
}
X

need gcc
gcc -g -O0 -o tree/program tree/program.c

same mappings --ignore asan.log --ignore overflow <<'END'
gcc -o mapped mapped.c && ./mapped mapped | uniq
cp mapped installed; ./installed installed | uniq
rm mapped; ln -s installed mapped; ./mapped installed | uniq
if gcc -static -o still mapped.c; then ./still still | uniq; fi
# The sanitizer finds the frames of the program and its own log by what is mapped where.
if gcc -g -fsanitize=address -o overflow overflow.c; then
  ASAN_OPTIONS=detect_leaks=0:symbolize=0 ./overflow 2>asan.log
  grep -E '^ *#' asan.log | sed 's/0x[0-9a-f]*/ADDRESS/; s/+0x.*//'
  ASAN_OPTIONS=detect_leaks=0 ./overflow 2>&1 | grep -oE '(main|in main) .*overflow.c:[0-9]*'
fi 2>/dev/null
true
END
[[ ${OVLRUN_INTERCEPT:-} != seccomp ]] || exit 0 # the supervisor alone can't trace a program that is traced
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
    same gdb-mappings <<'END'
cp program installed
gcc -g -shared -fPIC -o libgreet.so greet.c && gcc -g -o greeter greeter.c -L. -lgreet -Wl,-rpath,"$PWD"
for program in ./installed ./greeter; do
  gdb -nx -batch -iex 'set debuginfod enabled off' -ex 'set disable-randomization off' -ex 'break stepped' -ex run -ex bt -ex 'info proc mappings' -ex 'info sharedlibrary' "$program" 2>&1 |
    grep -oE "^#.*|$PWD/.*" | sed 's/0x[0-9a-f]*/ADDRESS/' | uniq
done
END
    ran=yes
    grep -q 'step 42' gdb.plain.out || { cat gdb.plain.out; fail "gdb does not do that on a plain copy"; }
  else
    echo "SKIPPED part: gdb can't run a program here"
  fi
fi
[[ $ran == yes ]] || skip "neither strace nor gdb here"
