// See supervisor.h.
#include "launcher/supervisor/supervisor.h"

#include <fcntl.h>
#include <linux/audit.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/ops/follow.h"
#include "core/ops/ops.h"
#include "launcher/failure.h"
#include "launcher/supervisor/filter.h"
#include "launcher/supervisor/i386.h"
#include "launcher/supervisor/identity.h"
#include "launcher/supervisor/strict.h"

namespace ovl {
namespace {

// The caller's own are those of the command; a task's are asked for where they count.
void raise_limits() {
  for (const auto which : {RLIMIT_NOFILE, RLIMIT_FSIZE}) {
    struct rlimit limit;
    if (getrlimit(which, &limit) != 0) continue;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(which, &limit);
  }
}

// Calls that leave something with a mode to the kernel, which takes the umask of who asks: us.
bool creates(const seccomp_data& data, const long args[6]) {
  if (data.arch != AUDIT_ARCH_X86_64) return true;  // perhaps
  const RawCall call = newest_spelling(data.nr, args);
  switch (call.number) {
    case SYS_openat:
      return (call.args[2] & O_CREAT) != 0 || (call.args[2] & O_TMPFILE) == O_TMPFILE;
    case SYS_openat2:  // what it does stands in memory
    case SYS_mkdirat:
    case SYS_mknodat:
    case SYS_bind:
      return true;
    default:
      return false;
  }
}

}  // namespace

Supervisor::Supervisor(UniqueFd listener, Session& session, const SupervisorOptions& options)
    : listener_(std::move(listener)),
      views_(session),
      assist_(listener_.get(), options.pass[0], options.pass[1]),
      crew_(listener_.get(), [this] { work(); }),
      held_(session.state()),
      context_{assist_, crew_, held_, options.strict, {}} {
  const Result<TaskStatus> own = read_status(getpid());
  if (!own.ok()) fail("the supervisor can't read about itself in /proc");
  context_.own = own.value();
  raise_limits();
  (void)!chdir("/");
  wake_synchronously(listener_.get());
}

void Supervisor::start() { crew_.start(); }

void Supervisor::work() {
  thread_local Identity identity;
  Notification call(listener_.get());
  do {
    bool receives = true;
    while (receives) {
      switch (call.receive()) {
        case Received::kNobodyLeft:
          return;
        case Received::kNothing:
          continue;
        case Received::kCall:
          break;
      }
      crew_.begin();
      const Outcome outcome = serve(call, identity);
      // Before the answer, behind which nothing waits any more: the task's next call comes at once.
      receives = crew_.end();
      finish(call, outcome);
    }
  } while (crew_.rest());
}

namespace {
void follow(RemoteCaller& caller, Session& session) {
  if (stale_count(session) == 0) return;
  Op op(caller, session);
  follow_if_stale(op);
}

bool asks_to_follow(const seccomp_data& call) {
  return call.arch == AUDIT_ARCH_X86_64 && call.nr == SYS_faccessat2 &&
         call.args[3] == kFollowRequest;
}

Outcome follow_as_asked(RemoteCaller& caller, Session& session, uint64_t followed) {
  caller.set_followed(followed);
  const uint64_t count = stale_count(session);
  follow(caller, session);
  return caller.followed() >= count ? Outcome(0) : Outcome(Error(EAGAIN));
}
}  // namespace

Outcome Supervisor::serve(Notification& call, Identity& identity) {
  if (assist_.expects(call.tid())) return Outcome::native();
  const std::shared_ptr<Session> session = views_.of(call.tid());
  if (session == nullptr) return Error(EIO);
  RemoteCaller caller(call, context_);
  const seccomp_data& data = call.data();
  long args[6];
  for (int i = 0; i < 6; i++) args[i] = static_cast<long>(data.args[i]);
  const bool others = context_.credentials_change.load(std::memory_order_relaxed);
  if (others || creates(data, args)) {
    // Without it this thread would act as the task that it served before.
    const TaskStatus* status = TRY(caller.status());
    identity.set_umask(status->umask);
    if (others) identity.take_on(*status);
  }
  if (asks_to_follow(data)) return follow_as_asked(caller, *session, data.args[4]);
  follow(caller, *session);
  Outcome outcome = data.arch == AUDIT_ARCH_X86_64 ? dispatch(caller, *session, data.nr, args)
                                                   : dispatch_i386(caller, *session, data.nr, args);
  if (!call.answered() && outcome.is_native() && context_.strict)
    outcome = perform_outside(caller, data.nr, args);
  // What this call copied up the task may read with its next one, which nobody sees.
  if (!call.answered()) follow(caller, *session);
  return outcome;
}

void Supervisor::finish(Notification& call, const Outcome& outcome) {
  if (call.answered()) return;
  // Only trapped where it matters, and by then it is too late to know whose.
  if (changes_credentials(call.data())) context_.credentials_change.store(true);
  if (outcome.is_native())
    call.pass();
  else
    call.answer(outcome.value());
}

}  // namespace ovl
