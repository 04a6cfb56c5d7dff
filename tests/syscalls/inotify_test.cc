// inotify_add_watch: directories that merge, files that move between layers.
#include <string.h>

#include <algorithm>

#include "tests/syscalls/tree.h"

namespace syscalls {
namespace {

class Inotify : public Tree {
 protected:
  void SetUp() override {
    Tree::SetUp();
    fd_ = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
  }
  void TearDown() override {
    close(fd_);
    Tree::TearDown();
  }
  // What was seen since the last call, as "event name".
  std::vector<std::string> events() {
    std::vector<std::string> seen;
    alignas(inotify_event) char buffer[8192];
    ssize_t n = read(fd_, buffer, sizeof buffer);
    for (ssize_t at = 0; at < n;) {
      auto* event = reinterpret_cast<inotify_event*>(buffer + at);
      static constexpr std::pair<uint32_t, const char*> kNames[] = {
          {IN_CREATE, "create"},    {IN_DELETE, "delete"}, {IN_MODIFY, "modify"},
          {IN_MOVED_FROM, "from"},  {IN_MOVED_TO, "to"},   {IN_ATTRIB, "attrib"},
          {IN_CLOSE_WRITE, "close"}};
      for (auto [bit, name] : kNames) {
        if (event->mask & bit) seen.push_back(name + " "s + (event->len ? event->name : ""));
      }
      at += ssize_t(sizeof *event + event->len);
    }
    return seen;
  }
  static bool contains(const std::vector<std::string>& all, const std::string& one) {
    return std::find(all.begin(), all.end(), one) != all.end();
  }
  int fd_ = -1;
};

TEST_F(Inotify, SeesNewNamesInALowerDirectory) {
  ASSERT_OK(t_inotify_add_watch(fd_, "dir", IN_CREATE | IN_MOVED_TO));
  write_file("dir/new", "");
  EXPECT_TRUE(contains(events(), "create new"));
  ASSERT_OK(t_mkdir("dir/newdir", 0755));
  EXPECT_TRUE(contains(events(), "create newdir"));
  ASSERT_OK(t_rename("file", "dir/moved"));
  EXPECT_TRUE(contains(events(), "to moved"));
}

TEST_F(Inotify, SeesChangesOfNewFiles) {
  write_file("dir/new", "");
  ASSERT_OK(
      t_inotify_add_watch(fd_, "dir", IN_MODIFY | IN_DELETE | IN_CLOSE_WRITE | IN_MOVED_FROM));
  append_to("dir/new", "more");
  auto seen = events();
  EXPECT_TRUE(contains(seen, "modify new"));
  EXPECT_TRUE(contains(seen, "close new"));
  ASSERT_OK(t_rename("dir/new", "dir2/new"));
  EXPECT_TRUE(contains(events(), "from new"));
}

TEST_F(Inotify, SeesARemovedFile) {
  write_file("dir/new", "");
  ASSERT_OK(t_inotify_add_watch(fd_, "dir", IN_DELETE));
  ASSERT_OK(t_unlink("dir/new"));
  EXPECT_TRUE(contains(events(), "delete new"));
}

TEST_F(Inotify, AFileThatIsChangedFromThenOn) {
  ASSERT_OK(t_inotify_add_watch(fd_, "file", IN_MODIFY | IN_ATTRIB | IN_MOVE_SELF));
  ASSERT_OK(t_inotify_add_watch(fd_, "big", IN_ALL_EVENTS));
  append_to("file", "more");
  EXPECT_TRUE(contains(events(), "modify "));
  ASSERT_OK(t_chmod("file", 0600));
  EXPECT_TRUE(contains(events(), "attrib "));
  append_to("file", "and more");
  EXPECT_TRUE(contains(events(), "modify "));
  append_to("big", "more");
  EXPECT_TRUE(contains(events(), "close "));
  EXPECT_EQ("hello lower\nmoreand more", content_of("file"));
}

TEST_F(Inotify, AFileOfItsOwn) {
  write_file("new", "");
  ASSERT_OK(t_inotify_add_watch(fd_, "new", IN_MODIFY));
  append_to("new", "more");
  EXPECT_TRUE(contains(events(), "modify "));
}

TEST_F(Inotify, OneDirectoryIsOneWatch) {
  int first = t_inotify_add_watch(fd_, "dir", IN_CREATE);
  EXPECT_EQ(first, t_inotify_add_watch(fd_, "dirlink", IN_CREATE));
  EXPECT_EQ(first, t_inotify_add_watch(fd_, (cwd() + "/dir/.").c_str(), IN_CREATE));
  EXPECT_NE(first, t_inotify_add_watch(fd_, "dirlink", IN_CREATE | IN_DONT_FOLLOW));
  EXPECT_NE(first, t_inotify_add_watch(fd_, "dir2", IN_CREATE));
}

TEST_F(Inotify, Refuses) {
  EXPECT_ERRNO(ENOENT, t_inotify_add_watch(fd_, "nothing", IN_CREATE));
  EXPECT_ERRNO(ENOENT, t_inotify_add_watch(fd_, "", IN_CREATE));
  EXPECT_ERRNO(ENOTDIR, t_inotify_add_watch(fd_, "file", IN_CREATE | IN_ONLYDIR));
  EXPECT_ERRNO(EINVAL, t_inotify_add_watch(fd_, "dir", 0));
  EXPECT_ERRNO(EBADF, t_inotify_add_watch(-1, "dir", IN_CREATE));
  EXPECT_ERRNO(EINVAL, t_inotify_add_watch(Fd(t_open("file", O_RDONLY)), "dir", IN_CREATE));
  if (geteuid() == 0) return;
  EXPECT_ERRNO(EACCES, t_inotify_add_watch(fd_, "dir_none", IN_CREATE));
  EXPECT_ERRNO(EACCES, t_inotify_add_watch(fd_, "noperm", IN_MODIFY));
}

}  // namespace
}  // namespace syscalls
