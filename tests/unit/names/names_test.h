// Operations on names, by virtual path, as one-liners.
#pragma once

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>

#include "core/attr/attr.h"
#include "core/copy_up/copy_up.h"
#include "core/format/format.h"
#include "tests/support/fixture.h"

#ifndef RENAME_NOREPLACE
#define RENAME_NOREPLACE 1
#define RENAME_EXCHANGE 2
#endif

namespace ovl::testing {

class NamesTest : public OverlayTest {
 protected:
  static const char* name(Priv which) { return priv_name(XattrPrefix::kUser, which); }

  // Results as system calls give them: negative errno.
  long make_dir(const std::string& p, mode_t mode = 0755) { return run<op_mkdirat>(AT_FDCWD, path(p), mode); }
  long make_node(const std::string& p, mode_t mode, unsigned device = 0) {
    return run<op_mknodat>(AT_FDCWD, path(p), mode, device);
  }
  long make_symlink(const std::string& text, const std::string& p) {
    return run<op_symlinkat>(UserPath(text.c_str()), AT_FDCWD, path(p));
  }
  long make_link(const std::string& from, const std::string& to, int flags = 0) {
    return run<op_linkat>(AT_FDCWD, path(from), AT_FDCWD, path(to), flags);
  }
  long remove(const std::string& p) { return run<op_unlinkat>(AT_FDCWD, path(p), 0); }
  long remove_dir(const std::string& p) { return run<op_unlinkat>(AT_FDCWD, path(p), AT_REMOVEDIR); }
  long move(const std::string& from, const std::string& to, unsigned flags = 0) {
    return run<op_renameat2>(AT_FDCWD, path(from), AT_FDCWD, path(to), flags);
  }
  long open_fd(const std::string& p, int flags, mode_t mode = 0) {
    return run<op_openat>(AT_FDCWD, path(p), flags, mode);
  }
  // Opens and closes.
  long try_open(const std::string& p, int flags, mode_t mode = 0) {
    const long fd = open_fd(p, flags, mode);
    if (fd >= 0) close(static_cast<int>(fd));
    return fd < 0 ? fd : 0;
  }
  long write_new(const std::string& p, const std::string& content, int flags = O_WRONLY | O_CREAT | O_TRUNC) {
    const long fd = open_fd(p, flags, 0644);
    if (fd < 0) return fd;
    EXPECT_EQ(write(static_cast<int>(fd), content.data(), content.size()), static_cast<ssize_t>(content.size()));
    close(static_cast<int>(fd));
    return 0;
  }
  std::string read_virtual(const std::string& p) {
    const long fd = open_fd(p, O_RDONLY);
    if (fd < 0) return "<" + std::to_string(fd) + ">";
    std::string text;
    char buffer[4096];
    for (ssize_t n; (n = read(static_cast<int>(fd), buffer, sizeof buffer)) > 0;)
      text.append(buffer, static_cast<size_t>(n));
    close(static_cast<int>(fd));
    return text;
  }

  // What programs see. st_mode 0: absent.
  StatX look(const std::string& rest) {
    Op op(caller(), session());
    const std::string virt = at(rest);
    Result<const Node*> node = node_at(op, Str(virt.data(), virt.size()));
    StatX st = {};
    if (!node.ok() || !node.value()->exists()) return st;
    EXPECT_TRUE(shown_stat(op, *node.value(), &st).ok()) << rest;
    return st;
  }
  bool there(const std::string& rest) { return look(rest).stx_mode != 0; }
  Where where(const std::string& rest) {
    Op op(caller(), session());
    const std::string virt = at(rest);
    Result<const Node*> node = node_at(op, Str(virt.data(), virt.size()));
    return node.ok() ? node.value()->where : Where::kAbsent;
  }

  static struct stat real(const std::string& path) {
    struct stat st = {};
    EXPECT_EQ(lstat(path.c_str(), &st), 0) << path;
    return st;
  }
  void make_lower_dir(const std::string& rest) const { std::filesystem::create_directories(lower(rest)); }

  // No temporary is left behind.
  void TearDown() override {
    for (const auto& entry : std::filesystem::directory_iterator(work("/work"))) {
      const std::string n = entry.path().filename();
      EXPECT_TRUE(n == "incompat" || n == "#whiteout") << "left in the workdir: " << n;
    }
  }
};

}  // namespace ovl::testing
