// Runs a script below ovlrun, and on a mount of the kernel's overlayfs.
#pragma once

#include <string>
#include <vector>

#include "tests/model/stage.h"

namespace model {

struct Programs {
  std::string ovlrun;
  std::string executors;  // "libc", "raw" and so on is appended
};

struct Answer {
  std::vector<std::string> lines;  // one for each line of the script
  int status = 0;                  // as of waitpid
  std::string messages;            // of its standard error
};

// How a side is started. By default each side has its own upper and the variant's ways.
struct Setting {
  std::string upper;
  bool as_root = false;
  bool user_xattrs = false;  // userxattr, or --xattr=user
  bool trusted_xattrs = false;
  bool our_surroundings = false;  // the kernel does something for our side
};

// A started run; both sides go on at the same time.
class Run {
 public:
  static Run ours(const Stage& stage, const Form& form, const Programs& programs,
                  const Setting& setting, const std::string& script);
  static Run kernel(const Stage& stage, const Form& form, const Programs& programs,
                    const Setting& setting, const std::string& script);
  Answer wait();

 private:
  int pid_ = -1, output_ = -1, messages_ = -1;
  template <class Body>
  static Run start(const std::string& script, Body body);
};

}  // namespace model
