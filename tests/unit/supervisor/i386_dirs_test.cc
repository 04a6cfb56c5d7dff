// Listings for 32-bit programs: their layouts, and positions that fit them.
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <set>

#include "launcher/supervisor/i386_caller.h"
#include "launcher/supervisor/i386_layouts.h"
#include "tests/unit/supervisor/i386_fixture.h"

namespace ovl::testing {
namespace {

class I386Dirs : public I386Test {
 protected:
  struct Entry {
    std::string name;
    uint32_t next;
    unsigned char type;
  };
  // All that one call tells; `result`: what it returned.
  std::vector<Entry> read(long number, int fd, size_t room, long* result) {
    const long buffer = low.room(room);
    *result = call(number, {fd, buffer, static_cast<long>(room)});
    std::vector<Entry> entries;
    for (long at = 0; at < *result;) {
      if (number == 141) {
        const auto& d = low.at<i386::Dirent>(buffer + at);
        EXPECT_EQ(d.d_reclen % 4, 0);
        const auto* bytes = reinterpret_cast<const unsigned char*>(&d);
        entries.push_back({d.d_name, d.d_off, bytes[d.d_reclen - 1]});
        at += d.d_reclen;
      } else {
        const auto& d = low.at<KernelDirent>(buffer + at);
        EXPECT_LE(d.d_off, INT32_MAX) << d.d_name;
        entries.push_back({d.d_name, static_cast<uint32_t>(d.d_off), d.d_type});
        at += d.d_reclen;
      }
    }
    return entries;
  }
  std::vector<std::string> names(long number, int fd, size_t room) {
    std::vector<std::string> all;
    for (;;) {
      long result;
      for (const Entry& e : read(number, fd, room, &result)) all.push_back(e.name);
      EXPECT_GE(result, 0);
      if (result <= 0) return all;
    }
  }
  int open_dir(const std::string& rest) {
    const int fd =
        static_cast<int>(call(5, {path_at(rest), O_RDONLY | O_DIRECTORY | kI386LargeFile}));
    EXPECT_GE(fd, 0);
    return fd;
  }
  // A merged directory.
  void make_merged() {
    std::filesystem::create_directories(lower("/dir"));
    std::filesystem::create_directories(upper("/dir"));
    for (int i = 0; i < 40; i++) {
      const std::string name = "/dir/" + std::string(static_cast<size_t>(i % 7 * 9), 'n');
      write_file(lower(name + std::to_string(i)), "");
      wanted.insert(name.substr(5) + std::to_string(i));
    }
    write_file(upper("/dir/only_upper"), "");
    wanted.insert({"only_upper", ".", ".."});
    begin();
  }
  std::set<std::string> wanted;
};

TEST_F(I386Dirs, TellEachNameOnce) {
  make_merged();
  for (const long number : {141, 220})
    for (const size_t room : {96, 300, 4096}) {
      const int fd = open_dir("/dir");
      const std::vector<std::string> all = names(number, fd, room);
      EXPECT_EQ(std::set<std::string>(all.begin(), all.end()), wanted) << number << " " << room;
      EXPECT_EQ(all.size(), wanted.size()) << number << " " << room;
      close(fd);
    }
}

TEST_F(I386Dirs, TellTypes) {
  make_merged();
  const int fd = open_dir("/dir");
  long result;
  for (const Entry& e : read(141, fd, 8192, &result))
    EXPECT_EQ(e.type, e.name[0] == '.' ? DT_DIR : DT_REG) << e.name;
  close(fd);
}

TEST_F(I386Dirs, PositionsHave31BitsAndLeadBack) {
  make_merged();
  const int fd = open_dir("/dir");
  long result;
  const std::vector<Entry> all = read(220, fd, 8192, &result);
  ASSERT_EQ(all.size(), wanted.size());
  for (size_t i = 0; i < all.size(); i++) {
    EXPECT_LE(all[i].next, uint32_t{INT32_MAX});
    ASSERT_EQ(lseek(fd, all[i].next, SEEK_SET), all[i].next);
    const std::vector<Entry> rest = read(141, fd, 8192, &result);
    ASSERT_EQ(rest.size(), all.size() - i - 1) << i;
    if (!rest.empty()) {
      EXPECT_EQ(rest[0].name, all[i + 1].name);
    }
    if (!rest.empty()) {
      EXPECT_EQ(rest[0].next, all[i + 1].next);
    }
  }
  close(fd);
}

TEST_F(I386Dirs, ARecordThatJustFits) {
  std::filesystem::create_directories(lower("/dir"));
  std::filesystem::create_directories(upper("/dir"));
  write_file(lower("/dir/name"), "");
  begin();
  const int fd = open_dir("/dir");
  long result;
  // They have 16 bytes here, 24 on x86-64.
  for (const char* name : {".", ".."}) {
    read(141, fd, 15, &result);
    EXPECT_EQ(result, -EINVAL);
    const std::vector<Entry> one = read(141, fd, 16, &result);
    ASSERT_EQ(one.size(), 1u) << result;
    EXPECT_EQ(one[0].name, name);
  }
  EXPECT_EQ(names(141, fd, 16), std::vector<std::string>{"name"});
  EXPECT_EQ(call(141, {fd, 0, 100}), 0);  // at the end nothing is written
  lseek(fd, 0, SEEK_SET);
  EXPECT_EQ(call(141, {fd, 0, 100}), -EFAULT);
  EXPECT_EQ(call(141, {fd, low.at_the_end(8), 100}), -EFAULT);
  EXPECT_EQ(names(141, fd, 100).size(), 3u);  // nothing was lost
  close(fd);
}

TEST_F(I386Dirs, OneByOne) {
  make_merged();
  const int fd = open_dir("/dir");
  std::set<std::string> all;
  const long buffer = low.room(300);
  long result;
  while ((result = call(89, {fd, buffer, 1})) == 1) {
    const auto& d = low.at<i386::OldDirent>(buffer);
    EXPECT_EQ(strlen(d.d_name), d.d_namlen);
    EXPECT_LE(d.d_offset, uint32_t{INT32_MAX});
    EXPECT_TRUE(all.insert(d.d_name).second) << d.d_name;
  }
  EXPECT_EQ(result, 0);
  EXPECT_EQ(all, wanted);
  EXPECT_EQ(call(89, {0xffffffff, buffer, 1}), -EBADF);
  close(fd);
}

TEST_F(I386Dirs, TheEndIsNoEntry) {
  CompatCaller compat(task);
  const long buffer = low.room(32);
  for (const auto layout : {CompatCaller::kOldDirent, CompatCaller::kDirents}) {
    const KernelDirent garbage = {~uint64_t{0}, 0, 0, 0};
    const UserBuf window(static_cast<uintptr_t>(compat.window(layout, buffer, 32)));
    EXPECT_EQ(compat.copy_out(window, &garbage, 0).error(), 0);
    EXPECT_EQ(low.bytes_at(buffer, 32), std::string(32, '\xaa'));
  }
}

TEST_F(I386Dirs, OfOneLayerGoOnWhereTheKernelWould) {
  NEEDS_I386();
  // Filtered, hence not read natively.
  std::filesystem::create_directories(upper("/dir"));
  for (int i = 0; i < 30; i++) write_file(upper("/dir/" + std::to_string(i)), "");
  ASSERT_EQ(mknod(upper("/dir/gone").c_str(), S_IFCHR, 0), 0);
  begin();
  const int fd = open_dir("/dir");
  long result;
  const std::vector<Entry> all = read(220, fd, 4096, &result);
  if (result == kNative) GTEST_SKIP() << "read natively";
  EXPECT_EQ(all.size(), 32u);
  for (size_t i = 0; i + 1 < all.size(); i++) {
    ASSERT_EQ(lseek(fd, all[i].next, SEEK_SET), all[i].next);
    const std::vector<Entry> rest = read(220, fd, 4096, &result);
    ASSERT_FALSE(rest.empty());
    EXPECT_EQ(rest[0].name, all[i + 1].name);
  }
  close(fd);
}

}  // namespace
}  // namespace ovl::testing
