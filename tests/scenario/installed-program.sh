#!/bin/bash
# Shows that a program which was installed into the overlay with a shared library and a loader of its own (nothing of it is in the lower)
# runs by execve, execveat, posix_spawn, vfork, system, popen and from scripts, from static and dynamic parents, by relative names and from
# directories that only the upper has.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
begin "$@"
need gcc ldd
need_supervisor

loader=$(LC_ALL=C readelf -l "$(command -v gcc)" | sed -n 's/.*interpreter: \(.*\)\]/\1/p')
[[ -e $loader ]] || skip "no loader to copy"

mkdir -p tree/base build
echo lower >tree/base/file
cat >build/greet.c <<'X'
#include <stdio.h>
void greet(const char* whom) { printf("hello, %s\n", whom); }
X
cat >build/program.c <<'X'
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <unistd.h>
void greet(const char* whom);
int main(int argc, char** argv) {
  // Not asked for: /proc/self/exe, comm and /proc/self/maps, nor AT_EXECFN of what runs by descriptor or as an interpreter. The kernel
  // opens the program interpreter itself, so one that only an upper has is executed as the program, and they show it.
  greet(argc > 1 ? argv[1] : "nobody");
  const char* name = (char*)getauxval(AT_EXECFN);
  printf("argv[0] %s, execfn %s, cwd %s\n", argv[0], getenv("NO_EXECFN") ? "" : name, getcwd(NULL, 0));
  printf("plugin %s\n", dlopen("libplugin.so", RTLD_NOW) ? "loaded" : dlerror());
  return 40 + argc;
}
X
cat >build/launch.c <<'X'
// launch HOW PROGRAM ARGUMENTS...
#define _GNU_SOURCE
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
extern char** environ;

static int status_of(pid_t child) {
  int status = 0;
  waitpid(child, &status, 0);
  return status;
}

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  const char *how = argv[1], *program = argv[2];
  char** arguments = argv + 2;
  int status = 0;
  pid_t child = 0;
  fflush(stdout);
  if (strcmp(how, "execve") == 0) {
    if ((child = fork()) == 0) execve(program, arguments, environ), _exit(99);
    status = status_of(child);
  } else if (strcmp(how, "execvp") == 0) {
    if ((child = fork()) == 0) execvp(program, arguments), _exit(99);
    status = status_of(child);
  } else if (strcmp(how, "vfork") == 0) {
    if ((child = vfork()) == 0) {
      execve(program, arguments, environ);
      _exit(99);
    }
    status = status_of(child);
  } else if (strcmp(how, "fexecve") == 0) {
    if ((child = fork()) == 0) fexecve(open(program, O_RDONLY), arguments, environ), _exit(99);
    status = status_of(child);
  } else if (strcmp(how, "execveat") == 0) {
    char directory[4096];
    snprintf(directory, sizeof directory, "%s", program);
    char* slash = strrchr(directory, '/');
    *slash = 0;
    if ((child = fork()) == 0) execveat(open(directory, O_PATH | O_DIRECTORY), slash + 1, arguments, environ, 0), _exit(99);
    status = status_of(child);
  } else if (strcmp(how, "posix_spawn") == 0) {
    if (posix_spawn(&child, program, NULL, NULL, arguments, environ) != 0) return 98;
    status = status_of(child);
  } else if (strcmp(how, "spawn-elsewhere") == 0) {
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 5, "opened-by-spawn", O_WRONLY | O_CREAT, 0600);
    posix_spawn_file_actions_addchdir_np(&actions, "..");
    if (posix_spawn(&child, program, &actions, NULL, arguments, environ) != 0) return 98;
    status = status_of(child);
  } else {
    char line[4096];
    snprintf(line, sizeof line, "%s %s", program, argc > 3 ? argv[3] : "");
    if (strcmp(how, "system") == 0) {
      status = system(line);
    } else {
      FILE* pipe = popen(line, "r");
      while (fgets(line, sizeof line, pipe)) printf("| %s", line);
      status = pclose(pipe);
    }
  }
  printf("%s: %s %d\n", how, WIFEXITED(status) ? "exited" : "killed", WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
  return 0;
}
X
own=$tmp/tree/opt/own
gcc -shared -fPIC -o build/libgreet.so build/greet.c
gcc -shared -fPIC -o build/libplugin.so build/greet.c
# shellcheck disable=SC2016
gcc -o build/program build/program.c -Lbuild -lgreet -Wl,-rpath,'$ORIGIN/../lib' "-Wl,--dynamic-linker=$own/lib/own-loader.so"
gcc -o build/launch.dynamic build/launch.c
gcc -static -o build/launch.static build/launch.c 2>/dev/null || echo "SKIPPED part: no static libc here"

# The supervisor alone can't give a process the name of the script that it interprets.
export BUILD=$tmp/build OWN=$own LOADER=$loader INTERCEPT=${OVLRUN_INTERCEPT:-}
same installed --ignore opened-by-spawn <<'END'
set -e
mkdir -p opt/own/bin opt/own/lib upper/only
cp "$BUILD/program" opt/own/bin/
cp "$BUILD"/lib*.so opt/own/lib/
cp -L "$LOADER" opt/own/lib/own-loader.so
printf '#!%s/bin/program\n' "$OWN" >opt/own/bin/interpreted
printf '#!/bin/sh\nexec "$(dirname "$0")/program" "from $0"\n' >opt/own/bin/wrapper
chmod +x opt/own/bin/*
set +e
echo --- the shell
opt/own/bin/program absolute; echo "$?"
(cd opt/own/bin && ./program relative; echo "$?")
(cd upper/only && ../../opt/own/bin/program from-the-upper; echo "$?")
NO_EXECFN=1 opt/own/bin/interpreted x; echo "$?"
opt/own/bin/wrapper; echo "$?"
ldd opt/own/bin/program | sed 's/ (0x[0-9a-f]*)//' | grep -E 'greet|own-loader'
cp /bin/sh opt/own/bin/sh
printf '#!%s/bin/sh\nread -r name </proc/$$/comm; echo "comm $name"\n' "$OWN" >opt/own/bin/script-by-own-sh
chmod +x opt/own/bin/script-by-own-sh
[ "$INTERCEPT" = seccomp ] || opt/own/bin/script-by-own-sh
PATH=$OWN/bin:$PATH; program by-path
ln -s program opt/own/bin/other; other by-symlink
opt/own/lib/own-loader.so opt/own/bin/program by-loader | head -n 1
for launch in "$BUILD/launch.dynamic" "$BUILD/launch.static"; do
  [ -x "$launch" ] || continue
  cp "$launch" "opt/own/bin/launch"
  for way in execve execvp vfork fexecve execveat posix_spawn spawn-elsewhere system popen; do
    echo "--- $way"
    case $way in fexecve | execveat) export NO_EXECFN=1 ;; *) unset NO_EXECFN ;; esac
    "$launch" $way "$OWN/bin/program" absolute
    (cd upper/only && "$OWN/bin/launch" $way ../../opt/own/bin/program relative)
    (cd opt/own/bin && ./launch $way ./wrapper script; NO_EXECFN=1 ./launch $way ./interpreted script; ./launch $way ./none)
  done
done 2>&1
# Gone again, while one runs.
cp /bin/sleep opt/own/bin/sleeper; opt/own/bin/sleeper 1000 &
until grep -qs sleeper /proc/$!/comm; do :; done
rm -r opt; kill $!; wait $!; echo "$?"
[ -e opt ] || ls
END
[[ $(grep -c '^plugin loaded' installed.plain.out) -gt 20 ]] || fail "the program does not run with libraries of its own"
