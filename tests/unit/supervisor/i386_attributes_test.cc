// What i386 calls tell of files, against what the kernel tells of the same.
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/statfs.h>

#include <map>

#include "launcher/supervisor/i386_layouts.h"
#include "tests/unit/supervisor/i386_fixture.h"

namespace ovl::testing {
namespace {

using I386Stat = I386Test;

TEST_F(I386Stat, IsFilledAsTheKernelDoes) {
  NEEDS_I386();
  write_file(lower("/file"), "content", 0640);
  std::filesystem::create_symlink("file", lower("/link"));
  std::filesystem::create_directory(lower("/dir"));
  begin();
  // Number, size, and what of it the kernel leaves alone.
  struct {
    long number;
    size_t size;
    std::vector<std::pair<size_t, size_t>> gaps;
  } const calls[] = {{18, 32, {}},
                     {84, 32, {}},
                     {106, 64, {}},
                     {107, 64, {}},
                     {195, 96, {{8, 12}, {40, 44}}},
                     {196, 96, {{8, 12}, {40, 44}}}};
  for (const auto& c : calls)
    for (const char* name : {"/file", "/link", "/dir", "/none"}) {
      const long here = low.room(c.size), there = low.room(c.size);
      const long wanted = native_i386(c.number, {low.text(lower(name)), there});
      EXPECT_EQ(call(c.number, {path_at(name), here}), wanted) << c.number << name;
      std::string mine = low.bytes_at(here, c.size), theirs = low.bytes_at(there, c.size);
      for (const auto& [from, to] : c.gaps)
        for (size_t i = from; i < to; i++) mine[i] = theirs[i] = 0;
      // A merged directory has one link, whatever its layers have.
      if (std::string(name) != "/dir") {
        EXPECT_EQ(mine, theirs) << c.number << name;
      }
    }
}

TEST_F(I386Stat, ByDescriptorAndAt) {
  NEEDS_I386();
  write_file(lower("/file"), "content");
  begin();
  const int fd = open(lower("/file").c_str(), O_RDONLY);
  for (const auto& [number, size] : std::map<long, size_t>{{28, 32}, {108, 64}, {197, 96}}) {
    const long here = low.room(size, 0), there = low.room(size, 0);
    EXPECT_EQ(call(number, {fd, here}), native_i386(number, {fd, there})) << number;
    EXPECT_EQ(low.bytes_at(here, size), low.bytes_at(there, size)) << number;
    EXPECT_EQ(call(number, {0xffffffff, here}), -EBADF);
  }
  close(fd);
  const long here = low.room(96, 0), there = low.room(96, 0);
  EXPECT_EQ(call(300, {kCwd, path_at("/file"), here, 0}), 0);
  EXPECT_EQ(native_i386(300, {kCwd, low.text(lower("/file")), there, 0}), 0);
  EXPECT_EQ(low.bytes_at(here, 96), low.bytes_at(there, 96));
}

TEST_F(I386Stat, BadAddresses) {
  write_file(lower("/file"), "content");
  begin();
  for (const long number : {106, 195, 99}) {
    EXPECT_EQ(call(number, {path_at("/file"), 0}), -EFAULT) << number;
    EXPECT_EQ(call(number, {path_at("/file"), low.at_the_end(8)}), -EFAULT) << number;
    EXPECT_EQ(call(number, {0, low.room(96)}), -EFAULT) << number;
    EXPECT_EQ(call(number, {path_at("/file"), 0xfffffff8}), -EFAULT) << number;
  }
}

TEST_F(I386Stat, OfFileSystems) {
  NEEDS_I386();
  write_file(lower("/file"), "content");
  begin();
  // Room and counts may change between the calls.
  const auto fixed = [&](const i386::Statfs64& s) {
    return std::vector<long>{s.f_type,    s.f_bsize,   long(s.f_blocks), s.f_fsid[0],
                             s.f_fsid[1], s.f_namelen, s.f_frsize};
  };
  const long here = low.room(84), there = low.room(84);
  EXPECT_EQ(call(268, {path_at("/file"), 84, here}), 0);
  EXPECT_EQ(native_i386(268, {low.text(lower("/file")), 84, there}), 0);
  EXPECT_EQ(fixed(low.at<i386::Statfs64>(here)), fixed(low.at<i386::Statfs64>(there)));
  EXPECT_EQ(call(268, {path_at("/file"), 88, here}), -EINVAL);
  EXPECT_EQ(call(268, {0, 88, here}), -EINVAL);
  EXPECT_EQ(call(269, {0, 83, here}), -EINVAL);
  const long small = low.room(64), small_there = low.room(64);
  const long result = native_i386(99, {low.text(lower("/file")), small_there});
  EXPECT_EQ(call(99, {path_at("/file"), small}), result);
  if (result == 0) {
    EXPECT_EQ(low.at<i386::Statfs>(small).f_blocks, low.at<i386::Statfs>(small_there).f_blocks);
  }
}

// --- opening ---

using I386Open = I386Test;

TEST_F(I386Open, ALargeFileNeedsTheFlag) {
  NEEDS_I386();
  write_file(lower("/large"), "");
  ASSERT_EQ(truncate(lower("/large").c_str(), int64_t{1} << 31), 0);
  write_file(lower("/small"), "x");
  begin();
  const long large = path_at("/large");
  EXPECT_EQ(call(5, {large, O_RDONLY}), -EOVERFLOW);
  EXPECT_EQ(call(5, {large, O_RDWR | O_TRUNC}), -EOVERFLOW);
  EXPECT_EQ(call(295, {kCwd, large, O_RDONLY}), -EOVERFLOW);
  EXPECT_FALSE(exists(upper("/large")));
  EXPECT_EQ(call(5, {large, O_RDONLY | O_DIRECTORY}), -ENOTDIR);
  const open_how how = {O_RDONLY, 0, 0};
  for (const long fd :
       {call(5, {large, O_RDONLY | kI386LargeFile}), call(5, {large, O_PATH}),
        call(437, {kCwd, large, low.value(how), sizeof how}), call(8, {large, 0644})}) {
    EXPECT_GE(fd, 0);
    close(static_cast<int>(fd));
  }
}

TEST_F(I386Open, ALargeFileOutsideNeedsTheFlagToo) {
  const std::string outside = root() + "/outside";
  write_file(outside, "");
  ASSERT_EQ(truncate(outside.c_str(), int64_t{1} << 31), 0);
  std::filesystem::create_symlink(outside, lower("/link"));
  begin();
  EXPECT_EQ(call(5, {path_at("/link"), O_RDWR}), -EOVERFLOW);
  EXPECT_EQ(call(5, {path_at("/link"), O_RDONLY | O_DIRECTORY}), -ENOTDIR);
  for (const long flags : {O_RDWR | kI386LargeFile, O_PATH}) {
    const long fd = call(5, {path_at("/link"), flags});
    EXPECT_GE(fd, 0);
    close(static_cast<int>(fd));
  }
}

TEST_F(I386Open, DescriptorsForWritingSayWhetherTheyTakeLargeFiles) {
  NEEDS_I386();
  write_file(lower("/file"), "x");
  begin();
  const auto large = [&](long fd) {
    EXPECT_GE(fd, 0);
    const int flags = fcntl(static_cast<int>(fd), F_GETFL);
    close(static_cast<int>(fd));
    return (flags & kI386LargeFile) != 0;
  };
  EXPECT_FALSE(large(call(5, {path_at("/file"), O_RDWR})));
  // What the program is given is all that keeps the file busy.
  EXPECT_NE(task.lease, EAGAIN);
  EXPECT_FALSE(large(call(5, {path_at("/new"), O_WRONLY | O_CREAT | O_APPEND, 0600})));
  EXPECT_TRUE(large(call(5, {path_at("/file"), O_RDWR | kI386LargeFile})));
  EXPECT_TRUE(large(call(8, {path_at("/file"), 0600})));
}

}  // namespace
}  // namespace ovl::testing
