// See fixture.h.
#include "tests/support/fixture.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <fstream>
#include <sstream>

namespace ovl::testing {

OverlayTest::OverlayTest() {
  const char* base = getenv("TMPDIR");
  std::string pattern = std::string(base != nullptr ? base : "/tmp") + "/ovl-unit-XXXXXX";
  root_ = std::filesystem::canonical(mkdtemp(pattern.data())).string();
  upper_root_ = root_;
  for (const char* name : {"/lower", "/upper", "/work", "/work/work", "/work/ovlrun"})
    std::filesystem::create_directories(root_ + name);
}

void OverlayTest::SetUp() {
  const std::string device = root_ + "/device";
  if (mknod(device.c_str(), S_IFCHR, makedev(0, 0)) != 0)
    GTEST_SKIP() << "SKIPPED: no 0:0 devices in " << root_ << ": " << strerror(errno);
  unlink(device.c_str());
}

OverlayTest::~OverlayTest() {
  for (const std::string& tree : {root_, upper_root_}) {
    std::string command = "chmod -R u+rwX '" + tree + "' 2>/dev/null; rm -rf '" + tree + "'";
    if (system(command.c_str()) != 0) ADD_FAILURE() << "left behind: " << tree;
  }
}

bool OverlayTest::upper_on(const std::string& base) {
  std::string pattern = base + "/ovl-unit-XXXXXX";
  if (mkdtemp(pattern.data()) == nullptr) return false;
  upper_root_ = pattern;
  for (const char* name : {"/upper", "/work", "/work/work", "/work/ovlrun"})
    std::filesystem::create_directories(upper_root_ + name);
  struct stat here, there;
  return lstat(root_.c_str(), &here) == 0 && lstat(upper_root_.c_str(), &there) == 0 &&
         here.st_dev != there.st_dev && setxattr(upper().c_str(), "user.probe", "", 0, 0) == 0 &&
         removexattr(upper().c_str(), "user.probe") == 0;
}

std::string OverlayTest::lower(const std::string& rest, int index) const {
  const std::string dir = root_ + "/lower" + (index == 0 ? "" : std::to_string(index));
  std::filesystem::create_directories(dir);
  return dir + rest;
}

void OverlayTest::start(const Options& options) {
  at_ = root_ + (options.in_place ? "/lower" : "/at");
  std::filesystem::create_directories(at_);
  std::vector<std::string> names;
  for (int i = 0; i < options.lowers; i++) names.push_back(lower("", i));
  auto view = [](const std::string& s) { return CStr(s.c_str(), s.size()); };
  std::vector<LowerSpec> lowers;
  for (const std::string& s : names) lowers.push_back(LowerSpec{view(s), options.prefix});
  std::vector<std::string> exclude_names;
  std::vector<CStr> excludes;
  for (const std::string& s : options.excludes) exclude_names.push_back(at_ + s);
  for (const std::string& s : exclude_names) excludes.push_back(view(s));
  const std::string upper_path = upper(), work_path = work(), file = work("/ovlrun/session");
  OverlaySpec overlay;
  overlay.at = view(at_);
  if (!options.read_only) {
    overlay.upper = view(upper_path);
    overlay.work = view(work_path);
  }
  overlay.lowers = lowers.data();
  overlay.lower_count = static_cast<uint32_t>(lowers.size());
  overlay.redirect_dir = options.redirect_dir;
  overlay.metacopy = options.metacopy;
  overlay.perm = options.perm;
  overlay.format = options.prefix;
  overlay.can_whiteout_device = options.can_whiteout_device;
  overlay.index = options.index;
  SessionSpec spec;
  spec.overlays = &overlay;
  spec.overlay_count = 1;
  spec.excludes = excludes.data();
  spec.exclude_count = static_cast<uint32_t>(excludes.size());
  ASSERT_EQ(write_segment(view(file), spec).error(), 0);
  session_ = std::make_unique<Session>();
  ASSERT_EQ(session_->attach(view(file)).error(), 0);
}

UserPath OverlayTest::path(const std::string& rest) {
  kept_.push_back(std::make_unique<std::string>(rest.empty() || rest[0] == '/' ? at(rest) : rest));
  return UserPath(kept_.back()->c_str());
}

void OverlayTest::write_file(const std::string& real, const std::string& content, mode_t mode) {
  std::ofstream(real, std::ios::binary) << content;
  ASSERT_EQ(chmod(real.c_str(), mode), 0) << real;
}

std::string OverlayTest::read_file(const std::string& real) {
  std::ostringstream text;
  text << std::ifstream(real, std::ios::binary).rdbuf();
  return text.str();
}

bool OverlayTest::exists(const std::string& real) {
  struct stat st;
  return lstat(real.c_str(), &st) == 0;
}

bool OverlayTest::is_whiteout(const std::string& real) {
  struct stat st;
  return lstat(real.c_str(), &st) == 0 && S_ISCHR(st.st_mode) && st.st_rdev == 0;
}

std::string OverlayTest::xattr(const std::string& real, const char* name) {
  char value[512];
  ssize_t n = lgetxattr(real.c_str(), name, value, sizeof value);
  return n < 0 ? "<none>" : std::string(value, static_cast<size_t>(n));
}

}  // namespace ovl::testing
