// A session over directories of its own below a temporary directory, with this process as the
// caller: for unit tests of the core. Operations act on virtual paths; files can be looked at
// natively beside them.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "core/caller/local_caller.h"
#include "core/caller/op.h"
#include "core/ops/ops.h"
#include "core/session/builder.h"
#include "core/session/session.h"
#include "core/walk/walk.h"

namespace ovl::testing {

struct Options {
  int lowers = 1;
  bool in_place = true;  // shown at the (topmost) lower; else at <root>/at
  bool metacopy = true;
  RedirectDir redirect_dir = RedirectDir::kOn;
  Perm perm = Perm::kOwner;
  bool can_whiteout_device = true;
  bool index = true;
  bool read_only = false;  // no upper
  XattrPrefix prefix = XattrPrefix::kUser;
  std::vector<std::string> excludes;  // relative to the overlay's root
};

class OverlayTest : public ::testing::Test {
 protected:
  OverlayTest();
  ~OverlayTest() override;
  // Skips where uppers can't be written by hand: on an overlay nobody makes 0:0 devices.
  void SetUp() override;

  // Puts the upper and workdir on another file system, below `base`. False: it is none, or has no
  // user xattrs. Before start().
  bool upper_on(const std::string& base);

  // Call after filling the lowers. Then session() and the op_ functions work.
  void start(const Options& options = {});

  std::string root() const { return root_; }
  std::string lower(const std::string& rest = "", int index = 0) const;
  std::string upper(const std::string& rest = "") const { return upper_root_ + "/upper" + rest; }
  std::string work(const std::string& rest = "") const { return upper_root_ + "/work" + rest; }
  // The virtual path.
  std::string at(const std::string& rest = "") const { return at_ + rest; }

  Session& session() { return *session_; }
  LocalCaller& caller() { return caller_; }
  // A whole operation: run<op_mkdirat>(AT_FDCWD, path("/d"), 0755). Native outcomes are carried out
  // by the caller of this: they come back as kNative.
  static constexpr long kNative = -100000;
  template <auto op_function, class... Args>
  long run(Args... args) {
    Outcome outcome = run_op<op_function>(caller_, *session_, args...);
    return outcome.is_native() ? kNative : outcome.value();
  }
  // For arguments: the virtual path's address stays valid for the test.
  UserPath path(const std::string& rest);

  // Helpers on real paths.
  static void write_file(const std::string& real, const std::string& content, mode_t mode = 0644);
  static std::string read_file(const std::string& real);
  static bool exists(const std::string& real);
  static bool is_whiteout(const std::string& real);
  static std::string xattr(const std::string& real, const char* name);  // "<none>" when absent

 private:
  std::string root_, upper_root_, at_;
  LocalCaller caller_;
  std::unique_ptr<Session> session_;
  std::vector<std::unique_ptr<std::string>> kept_;
};

}  // namespace ovl::testing
