// Operations on names, by virtual path, as one-liners.
#pragma once

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <map>

#include "core/attr/attr.h"
#include "core/copy_up/copy_up.h"
#include "core/format/format.h"
#include "core/readdir/readdir.h"
#include "tests/support/fixture.h"

#ifndef RENAME_NOREPLACE
#define RENAME_NOREPLACE 1
#define RENAME_EXCHANGE 2
#endif

namespace ovl::testing {

// A whole tree, to be compared.
struct Seen {
  std::map<std::string, std::string> entries;  // path: type, mode, size, links, text, content
  std::map<uint64_t, std::string> paths;
  std::map<uint64_t, uint64_t> inodes;  // of regular files and directories: plain to shown
};

class NamesTest : public OverlayTest {
 protected:
  static const char* name(Priv which) { return priv_name(XattrPrefix::kUser, which); }

  // Results as system calls give them: negative errno.
  long make_dir(const std::string& p, mode_t mode = 0755) {
    return run<op_mkdirat>(AT_FDCWD, path(p), mode);
  }
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
  long remove_dir(const std::string& p) {
    return run<op_unlinkat>(AT_FDCWD, path(p), AT_REMOVEDIR);
  }
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
  long write_new(const std::string& p, const std::string& content,
                 int flags = O_WRONLY | O_CREAT | O_TRUNC) {
    const long fd = open_fd(p, flags, 0644);
    if (fd < 0) return fd;
    EXPECT_EQ(write(static_cast<int>(fd), content.data(), content.size()),
              static_cast<ssize_t>(content.size()));
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
  void make_lower_dir(const std::string& rest) const {
    std::filesystem::create_directories(lower(rest));
  }

  // --- whole trees ---
  std::string describe(const std::string& content, mode_t mode, uint64_t size, uint64_t links) {
    const bool dir = S_ISDIR(mode);
    char text[64];
    snprintf(text, sizeof text, "%o size %lu links %lu ", mode, dir ? 0 : size, dir ? 0 : links);
    return text +
           (S_ISLNK(mode) ? content : std::to_string(std::hash<std::string>()(content) % 100000));
  }

  void see_real(const std::string& top, const std::string& rest, Seen* seen) {
    for (const auto& entry : std::filesystem::directory_iterator(top + rest)) {
      const std::string p = rest + "/" + entry.path().filename().string();
      const struct stat st = real(top + p);
      std::string content;
      if (S_ISREG(st.st_mode)) content = read_file(top + p);
      if (S_ISLNK(st.st_mode)) content = std::filesystem::read_symlink(top + p);
      seen->entries[p] = describe(content, st.st_mode, st.st_size, st.st_nlink);
      if (!S_ISLNK(st.st_mode) && !S_ISFIFO(st.st_mode)) seen->paths[st.st_ino] = p;
      if (S_ISDIR(st.st_mode)) see_real(top, p, seen);
    }
  }
  void see_plain(const std::string& top, Seen* seen) {
    see_real(top, "", seen);
    for (const auto& [ino, p] : seen->paths) seen->inodes[ino] = look(p).stx_ino;
  }

  void see_overlay(const std::string& rest, Seen* seen) {
    std::vector<std::string> directories;
    {
      Op op(caller(), session());
      const std::string virt = at(rest);
      Result<const Node*> dir = node_at(op, Str(virt.data(), virt.size()));
      ASSERT_TRUE(dir.ok()) << rest;
      MergedListing listing;
      ASSERT_EQ(listing.load(op, *dir.value()).error(), 0) << rest;
      for (uint32_t i = 0; i < listing.size(); i++) {
        const std::string n = listing[i].name;
        if (n == "." || n == "..") continue;
        const std::string p = rest + "/" + n;
        const StatX st = look(p);
        std::string content;
        if (S_ISREG(st.stx_mode)) content = read_virtual_as_owner(p);
        if (S_ISLNK(st.stx_mode)) content = link_text(p);
        seen->entries[p] = describe(content, st.stx_mode, st.stx_size, st.stx_nlink);
        EXPECT_EQ(listing[i].ino, st.stx_ino) << p;
        if (S_ISDIR(st.stx_mode)) directories.push_back(p);
      }
    }
    for (const std::string& d : directories) see_overlay(d, seen);
  }

  // Where the data really is, whatever the mode that is shown.
  std::string read_virtual_as_owner(const std::string& p) {
    Op op(caller(), session());
    const std::string virt = at(p);
    Result<const Node*> node = node_at(op, Str(virt.data(), virt.size()));
    return node.ok() ? read_file(node.value()->data().c_str()) : "<error>";
  }
  std::string link_text(const std::string& p) {
    Op op(caller(), session());
    const std::string virt = at(p);
    Result<const Node*> node = node_at(op, Str(virt.data(), virt.size()));
    return node.ok() ? std::filesystem::read_symlink(node.value()->top().c_str()).string()
                     : "<error>";
  }

  static std::string differences(const Seen& here, const Seen& natively) {
    std::string text;
    for (const auto& [p, what] : here.entries)
      if (natively.entries.count(p) == 0) text += "only here: " + p + " " + what + "\n";
    for (const auto& [p, what] : natively.entries) {
      const auto mine = here.entries.find(p);
      if (mine == here.entries.end())
        text += "missing: " + p + " " + what + "\n";
      else if (mine->second != what)
        text += p + " is " + mine->second + ", should be " + what + "\n";
    }
    return text;
  }

  // Of the lowers: it never changes.
  std::string fingerprint() const {
    const std::string command =
        "cd " + root() +
        " && find lower* -printf '%p %y %m %s %T@ %C@ %i %n %l\\n' | sort | md5sum; "
        "cd " +
        root() + " && find lower* -type f -exec md5sum {} + | sort | md5sum";
    FILE* out = popen(command.c_str(), "r");
    char text[256];
    std::string all;
    while (fgets(text, sizeof text, out) != nullptr) all += text;
    pclose(out);
    return all;
  }

  // No temporary is left behind, but what stays for readers (core/names/nameless.h).
  void TearDown() override {
    if (IsSkipped()) return;
    const bool kept = session().state().kept_used != 0;
    for (const auto& entry : std::filesystem::directory_iterator(work("/work"))) {
      const std::string n = entry.path().filename();
      EXPECT_TRUE(n == "incompat" || n == "#whiteout" || (kept && n[0] == '#'))
          << "left in the workdir: " << n;
    }
  }
};

}  // namespace ovl::testing
