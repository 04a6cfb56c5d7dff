// See ending.h.
#include "launcher/session/ending.h"

#include <fmt/format.h>
#include <time.h>

#include <fstream>
#include <memory>

#include "core/session/session.h"
#include "launcher/session/lock.h"
#include "launcher/session/plan.h"

namespace ovl {
namespace {

constexpr int kPatience = 300;
void pause_a_moment() {
  const struct timespec pause = {0, 10'000'000};
  nanosleep(&pause, nullptr);
}

std::string holder_of(const std::string& upper, const std::string& work) {
  std::string holder = upper_holder(upper);
  return holder.empty() ? work_holder(work) : holder;
}

// Of the session that has this workdir.
bool command_has_ended(const std::string& work) {
  const std::string file = session_dir(work) + "/session";
  const auto session = std::make_unique<Session>();  // too large for the stack
  return session->attach(CStr(file.c_str(), file.size())).ok() &&
         session->segment().command_ended.load() != 0;
}

// One of the tasks that a keeper still has; empty: it is not known.
std::string left_behind(const std::string& upper) {
  const long keeper = upper_holder_pid(upper).value_or(0);
  std::ifstream children(fmt::format("/proc/{0}/task/{0}/children", keeper));
  long child = 0;
  return keeper > 0 && children >> child ? process_text(child) : "";
}

}  // namespace

std::string lasting_holder(const std::string& upper, const std::string& work) {
  std::string holder;
  bool ended = false;
  for (int i = 0; i <= kPatience; i++) {
    holder = holder_of(upper, work);
    if (holder.empty()) return "";
    ended = command_has_ended(work);
    if (!ended) return holder;
    pause_a_moment();
  }
  const std::string left = left_behind(upper);
  return holder + ", which has ended" + (left.empty() ? "" : ", and left " + left);
}

}  // namespace ovl
