// Loaded into ovlrun: the keeper is killed when it has the child that would become the command.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <sched.h>
#include <signal.h>

int unshare(int flags) {
  if (flags == CLONE_FILES) raise(SIGKILL);
  return ((int (*)(int))dlsym(RTLD_NEXT, "unshare"))(flags);
}
