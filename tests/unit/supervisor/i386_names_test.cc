// i386 calls that change names and attributes.
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include <map>

#include "tests/unit/supervisor/i386_fixture.h"

namespace ovl::testing {
namespace {

using I386Names = I386Test;

TEST_F(I386Names, UpperHalvesOfRegistersSayNothing) {
  begin();
  const long junk = 0x5a5a5a5a00000000;
  EXPECT_EQ(call(39, {path_at("/dir") | junk, 0755 | junk}), 0);
  EXPECT_TRUE(exists(upper("/dir")));
  EXPECT_EQ(call(301, {kCwd | junk, path_at("/dir") | junk, AT_REMOVEDIR | junk}), 0);
  EXPECT_EQ(call(301, {kCwd, path_at("/dir"), 0xffffffff}), -EINVAL);
}

TEST_F(I386Names, MakeMoveRemove) {
  write_file(lower("/file"), "x");
  begin();
  EXPECT_EQ(call(296, {kCwd, path_at("/dir"), 0755}), 0);
  EXPECT_EQ(call(83, {low.text("file"), path_at("/dir/link")}), 0);
  EXPECT_EQ(call(9, {path_at("/file"), path_at("/dir/hard")}), 0);
  EXPECT_EQ(call(14, {path_at("/dir/fifo"), S_IFIFO | 0600, 0}), 0);
  EXPECT_EQ(call(38, {path_at("/file"), path_at("/dir/file")}), 0);
  EXPECT_EQ(call(353, {kCwd, path_at("/dir/hard"), kCwd, path_at("/dir/file"), RENAME_NOREPLACE}),
            -EEXIST);
  EXPECT_EQ(call(10, {path_at("/dir/hard")}), 0);
  EXPECT_EQ(call(40, {path_at("/dir")}), -ENOTEMPTY);
  EXPECT_EQ(call(33, {path_at("/file"), F_OK}), -ENOENT);
  const long text = low.room(16, 0);
  EXPECT_EQ(call(85, {path_at("/dir/link"), text, 16}), 4);
  EXPECT_EQ(low.bytes_at(text, 4), "file");
  EXPECT_EQ(call(85, {path_at("/dir/link"), text, 0xffffffff}), -EINVAL);
}

TEST_F(I386Names, SixteenBitOwnersKeepWhatIsMinusOne) {
  write_file(lower("/file"), "x");
  begin();
  const struct stat before = [&] {
    struct stat st;
    EXPECT_EQ(lstat(lower("/file").c_str(), &st), 0);
    return st;
  }();
  const auto owner = [&] {
    struct stat st = {};
    EXPECT_EQ(run<op_newfstatat>(AT_FDCWD, path("/file"), UserBuf(&st), 0), 0);
    return std::pair(st.st_uid, st.st_gid);
  };
  // 16 bits count, and -1 of these is to keep it. -1 of 32 likewise.
  for (const long number : {182, 16}) {
    EXPECT_EQ(call(number, {path_at("/file"), 0xffff, 0x1ffff}), 0);
    EXPECT_EQ(owner(), std::pair(before.st_uid, before.st_gid));
  }
  if (geteuid() != 0) return;
  EXPECT_EQ(call(182, {path_at("/file"), 0x50007, 0xffff}), 0);
  EXPECT_EQ(owner(), std::pair(uid_t{7}, before.st_gid));
  EXPECT_EQ(call(212, {path_at("/file"), 0xffffffff, 70000}), 0);
  EXPECT_EQ(owner(), std::pair(uid_t{7}, gid_t{70000}));
}

class I386Times : public I386Test {
 protected:
  void SetUp() override {
    write_file(lower("/file"), "x");
    begin();
  }
  std::vector<long> times() {
    struct stat st = {};
    EXPECT_EQ(run<op_newfstatat>(AT_FDCWD, path("/file"), UserBuf(&st), 0), 0);
    return {st.st_atim.tv_sec, st.st_atim.tv_nsec, st.st_mtim.tv_sec, st.st_mtim.tv_nsec};
  }
  template <class T>
  long times_at(std::vector<T> values) {
    return low.bytes(values.data(), values.size() * sizeof(T));
  }
};

TEST_F(I386Times, InAllLayouts) {
  const long file = path_at("/file");
  EXPECT_EQ(call(30, {file, times_at<int32_t>({-5, 1000})}), 0);
  EXPECT_EQ(times(), (std::vector<long>{-5, 0, 1000, 0}));
  EXPECT_EQ(call(271, {file, times_at<int32_t>({11, 12, 13, 999999})}), 0);
  EXPECT_EQ(times(), (std::vector<long>{11, 12000, 13, 999999000}));
  EXPECT_EQ(call(271, {file, times_at<int32_t>({11, 12, 13, 1000000})}), -EINVAL);
  EXPECT_EQ(call(271, {file, times_at<int32_t>({11, -1, 13, 0})}), -EINVAL);
  EXPECT_EQ(call(299, {kCwd, file, times_at<int32_t>({21, 22, -23, 24})}), 0);
  EXPECT_EQ(times(), (std::vector<long>{21, 22000, -23, 24000}));
  EXPECT_EQ(call(320, {kCwd, file, times_at<int32_t>({31, 32, -33, 34}), 0}), 0);
  EXPECT_EQ(times(), (std::vector<long>{31, 32, -33, 34}));
  EXPECT_EQ(call(320, {kCwd, file, times_at<int32_t>({1, UTIME_OMIT, 43, 44}), 0}), 0);
  EXPECT_EQ(times(), (std::vector<long>{31, 32, 43, 44}));
  EXPECT_EQ(call(320, {kCwd, file, times_at<int32_t>({1, -1, 43, 44}), 0}), -EINVAL);
  // The upper half of the nanoseconds is padding.
  const int64_t junk = int64_t{0x1234} << 32;
  EXPECT_EQ(call(412, {kCwd, file, times_at<int64_t>({int64_t{1} << 32, junk | 5, -2, 6}), 0}), 0);
  EXPECT_EQ(times(), (std::vector<long>{1L << 32, 5, -2, 6}));
}

TEST_F(I386Times, NullIsNowAndBadIsEfault) {
  const long file = path_at("/file");
  for (const auto& args : std::map<long, std::vector<long>>{{30, {file, 0}},
                                                            {271, {file, 0}},
                                                            {299, {kCwd, file, 0}},
                                                            {320, {kCwd, file, 0, 0}},
                                                            {412, {kCwd, file, 0, 0}}}) {
    ASSERT_EQ(call(320, {kCwd, file, times_at<int32_t>({1, 1, 1, 1}), 0}), 0);
    EXPECT_EQ(call(args.first, args.second), 0) << args.first;
    EXPECT_GT(times()[2], 1000000000) << args.first;
  }
  EXPECT_EQ(call(30, {file, low.at_the_end(4)}), -EFAULT);
  EXPECT_EQ(call(271, {file, low.at_the_end(12)}), -EFAULT);
  EXPECT_EQ(call(412, {kCwd, file, low.at_the_end(16), 0}), -EFAULT);
  EXPECT_EQ(call(320, {kCwd, file, 0xfffffff8, 0}), -EFAULT);
}

TEST_F(I386Names, TruncateInBothForms) {
  write_file(lower("/file"), "0123456789");
  begin();
  const auto size = [&] { return std::filesystem::file_size(upper("/file")); };
  EXPECT_EQ(call(92, {path_at("/file"), 4}), 0);
  EXPECT_EQ(size(), 4u);
  EXPECT_EQ(call(92, {path_at("/file"), 0xffffffff}), -EINVAL);
  EXPECT_EQ(call(193, {path_at("/file"), 5, 1}), 0);
  EXPECT_EQ(size(), (uint64_t{1} << 32) + 5);
  EXPECT_EQ(call(193, {path_at("/file"), 0, 0x80000000}), -EINVAL);
}

TEST_F(I386Names, FlagsByBothNumbers) {
  write_file(lower("/file"), "x");
  begin();
  const int fd = open(lower("/file").c_str(), O_RDONLY);
  int flags = 0;
  if (ioctl(fd, FS_IOC_GETFLAGS, &flags) != 0) GTEST_SKIP() << "no flags on this file system";
  ASSERT_EQ(call(5, {path_at("/file"), O_RDWR}) >= 0, true);
  const int in_upper = static_cast<int>(call(5, {path_at("/file"), O_RDONLY}));
  for (const long request : {long{FS_IOC32_SETFLAGS}, static_cast<long>(FS_IOC_SETFLAGS)}) {
    EXPECT_EQ(call(54, {in_upper, request, low.value(FS_NODUMP_FL | flags)}), 0);
    int now = 0;
    EXPECT_EQ(ioctl(in_upper, FS_IOC_GETFLAGS, &now), 0);
    EXPECT_NE(now & FS_NODUMP_FL, 0);
    EXPECT_EQ(call(54, {in_upper, request, low.value(flags & ~FS_NODUMP_FL)}), 0);
  }
  EXPECT_EQ(call(54, {in_upper, FS_IOC32_SETFLAGS, low.at_the_end(2)}), -EFAULT);
  close(fd);
  close(in_upper);
}

TEST_F(I386Names, ExtendedAttributes) {
  write_file(lower("/file"), "x");
  begin();
  const long file = path_at("/file"), name = low.text("user.note"), value = low.text("hello");
  EXPECT_EQ(call(226, {file, name, value, 5, 0}), 0);
  const long buffer = low.room(32, 0);
  EXPECT_EQ(call(229, {file, name, buffer, 32}), 5);
  EXPECT_EQ(low.bytes_at(buffer, 5), "hello");
  EXPECT_EQ(call(232, {file, buffer, 32}), 10);
  EXPECT_EQ(call(226, {file, name, value, 0xffffffff, 0}), -E2BIG);
  EXPECT_EQ(call(235, {file, name}), 0);
  EXPECT_EQ(call(229, {file, name, buffer, 32}), -ENODATA);
}

// --- what goes past the overlay ---

TEST_F(I386Names, RefusedAsForX8664) {
  begin();
  EXPECT_EQ(call(61, {path_at("/")}), -EPERM);
  EXPECT_EQ(call(22, {path_at("/")}), -EPERM);
  EXPECT_EQ(call(425, {}), -ENOSYS);
  EXPECT_EQ(call(86, {path_at("/")}), -ENOSYS);
  EXPECT_EQ(call(4, {1, 0, 0}), kNative);
  EXPECT_EQ(call(93, {1, 0}), kNative);
}

}  // namespace
}  // namespace ovl::testing
