// A supervisor of its own for tests of the assist: programs below it see the file system once more
// below /virtual, through calls that they are made to make by the assist alone.
#pragma once

#include <gtest/gtest.h>
#include <linux/seccomp.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>
#include <sys/wait.h>

#include <atomic>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "launcher/supervisor/assist.h"

namespace ovl::testing {

#if defined(__SANITIZE_THREAD__)
#define OVL_THREAD_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define OVL_THREAD_SANITIZER 1
#endif
#endif
// For tests whose tasks can't do what they do below the thread sanitizer.
#ifdef OVL_THREAD_SANITIZER
#define SKIP_BELOW_THREAD_SANITIZER(why) GTEST_SKIP() << "the thread sanitizer " << (why)
#else
#define SKIP_BELOW_THREAD_SANITIZER(why) (void)0
#endif

// What a signal does to a task whose notification was received: WAIT_KILLABLE_RECV (Linux 5.19).
enum class Notified { kKillable, kInterruptible };

// The listener in `listener`. Calls of `chdir`'s and `execve`'s kind notify, without the pass.
int install_test_filter(Notified notified, const uint32_t pass[2]);

// Why there can be no listener here (EBUSY: somebody listens already), or 0.
int no_listener();

class Supervised {
 public:
  explicit Supervised(Notified notified) : notified_(notified) {}
  // Runs `body` in a process below the filter; returns its wait status when all below it have gone.
  int run(const std::function<int()>& body);
  int count(Assisted how) { return counts_[how]; }

 private:
  [[noreturn]] void keep(const std::function<int()>& body, int to_parent, int go);
  void supervise();
  void handle(const seccomp_notif& n);
  void answer(uint64_t id, int error, uint32_t flags) const;

  const Notified notified_;
  const uint32_t pass_[2] = {0x5eed0001, 0xfeed0002};
  int listener_ = -1;
  Assist* assist_ = nullptr;
  std::mutex receiving_;
  std::mutex counting_;
  std::map<Assisted, int> counts_;
};

// Each test is run with both.
class AssistTest : public ::testing::TestWithParam<Notified> {
 protected:
  void SetUp() override {
    const int code = no_listener();
    if (code != 0) GTEST_SKIP() << "SKIPPED: no user notifications here: " << strerror(code);
  }
  // The exit status of `body` below the filter; negative: the signal that killed it.
  int run(const std::function<int()>& body) {
    const int status = supervised_.run(body);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }
  Supervised supervised_{GetParam()};
};
inline const auto kNotified = ::testing::Values(Notified::kKillable, Notified::kInterruptible);
inline std::string notified_name(const ::testing::TestParamInfo<Notified>& test) {
  return test.param == Notified::kKillable ? "Killable" : "Interruptible";
}

}  // namespace ovl::testing
