// deny WORD... -- COMMAND...: runs the command below a seccomp filter as a container's profile may
// be. WORD is a system call that fails with EPERM, or
//   listener   seccomp(2) with SECCOMP_FILTER_FLAG_NEW_LISTENER fails with EPERM
//   no-flags   it fails with EINVAL, as on a kernel that does not know the flag
//   busy       there is a listener already
#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

namespace {

int deny(scmp_filter_ctx context, const char* word) {
  const scmp_arg_cmp flag = SCMP_A1(SCMP_CMP_MASKED_EQ, SECCOMP_FILTER_FLAG_NEW_LISTENER,
                                    SECCOMP_FILTER_FLAG_NEW_LISTENER);
  if (strcmp(word, "listener") == 0)
    return seccomp_rule_add(context, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(seccomp), 1, flag);
  if (strcmp(word, "no-flags") == 0)
    return seccomp_rule_add(context, SCMP_ACT_ERRNO(EINVAL), SCMP_SYS(seccomp), 1, flag);
  if (strcmp(word, "busy") == 0)
    return seccomp_rule_add(context, SCMP_ACT_NOTIFY, SCMP_SYS(sysfs), 0);
  const int number = seccomp_syscall_resolve_name(word);
  return number == __NR_SCMP_ERROR ? -EINVAL
                                   : seccomp_rule_add(context, SCMP_ACT_ERRNO(EPERM), number, 0);
}

}  // namespace

int main(int argc, char** argv) {
  scmp_filter_ctx context = seccomp_init(SCMP_ACT_ALLOW);
  int at = 1;
  for (; at < argc && strcmp(argv[at], "--") != 0; at++) {
    const int code = deny(context, argv[at]);
    if (code != 0) {
      fprintf(stderr, "deny: %s: %s\n", argv[at], strerror(-code));
      return 125;
    }
  }
  if (at + 1 >= argc || seccomp_load(context) != 0) {
    fprintf(stderr, "deny: can't load the filter\n");
    return 125;
  }
  // The command inherits the listener: it is there as long as somebody could answer.
  const int listener = seccomp_notify_fd(context);
  if (listener >= 0) fcntl(listener, F_SETFD, 0);
  execvp(argv[at + 1], argv + at + 1);
  perror("deny");
  return 125;
}
