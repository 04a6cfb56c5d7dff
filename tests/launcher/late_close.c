// Loaded into ovlrun: what closes a range of descriptors is late, and so is what gives one away, so
// that there is one to be closed by mistake.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <linux/seccomp.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <time.h>

static void be_late(long milliseconds) {
  const struct timespec late = {0, milliseconds * 1000 * 1000};
  nanosleep(&late, 0);
}

long syscall(long number, ...) {
  if (number == SYS_close_range) be_late(10);
  long words[6];
  va_list arguments;
  va_start(arguments, number);
  for (int i = 0; i < 6; i++) words[i] = va_arg(arguments, long);
  va_end(arguments);
  return ((long (*)(long, ...))dlsym(RTLD_NEXT, "syscall"))(number, words[0], words[1], words[2],
                                                            words[3], words[4], words[5]);
}

int ioctl(int fd, unsigned long request, ...) {
  if (request == SECCOMP_IOCTL_NOTIF_ADDFD) be_late(1);
  va_list arguments;
  va_start(arguments, request);
  void* argument = va_arg(arguments, void*);
  va_end(arguments);
  return ((int (*)(int, unsigned long, ...))dlsym(RTLD_NEXT, "ioctl"))(fd, request, argument);
}
