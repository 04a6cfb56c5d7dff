// Programs built with -pg write their profile as they end, by libc's own open: "gmon.out" in the
// current directory, or $GMON_OUT_PREFIX.<pid>. Here the file is made as an operation, and libc
// finds it from the real directory that it is in.
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/sys/sys.h"
#include "core/walk/walk.h"
#include "preload/call.h"
#include "preload/environment.h"
#include "preload/interposers.h"
#include "preload/next.h"
#include "preload/open.h"
#include "preload/real_path.h"

namespace ovl {
namespace {

constexpr char kPrefix[] = "GMON_OUT_PREFIX";
Next<void()> next_mcleanup("_mcleanup");

Result<CStr> make_and_resolve(Op& op, CStr name) {
  UniqueFd made(static_cast<int>(TRY(checked(
      open_kernel_style(AT_FDCWD, name.c_str(), O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0666)))));
  return real_path(op, name.c_str(), 0);
}

CStr pid_text(Arena& arena) {
  char digits[12];
  size_t at = sizeof digits;
  for (int left = sys_getpid(); at == sizeof digits || left > 0; left /= 10)
    digits[--at] = static_cast<char>('0' + left % 10);
  return arena.dup(Str(digits + at, sizeof digits - at));
}

}  // namespace

void ip__mcleanup() {
  auto* real = next_mcleanup.get();
  Session* session = attached();
  if (real == nullptr) return;
  if (session == nullptr) return real();
  PreloadCaller caller;
  Op op(caller, *session);
  const char* prefix = environment(kPrefix);
  if (prefix != nullptr) {
    const CStr suffix = op.arena().concat(".", pid_text(op.arena()));
    Result<CStr> file =
        make_and_resolve(op, op.arena().concat(Str(prefix, strlen(prefix)), suffix));
    if (!file.ok()) return;
    const CStr real_prefix =
        op.arena().dup(file.value().sub(0, file.value().size() - suffix.size()));
    setenv(kPrefix, real_prefix.c_str(), 1);
    return real();
  }
  Result<CStr> file = make_and_resolve(op, "gmon.out");
  if (!file.ok()) return;
  Result<UniqueFd> here = sys_openat(CStr("."), O_PATH | O_DIRECTORY);
  const bool entered = here.ok() && file.value()[0] == '/' &&
                       raw_call(SYS_chdir, op.arena().dup(dir_name(file.value())).c_str()) == 0;
  // A path that comes back as it was is the kernel's own view.
  if (entered || file.value()[0] != '/') real();
  if (entered) raw_call(SYS_fchdir, here.value().get());
}

}  // namespace ovl
