// What stat and its like show: one device, constant inode numbers, link counts and blocks.
#include <sys/statfs.h>
#include <sys/sysmacros.h>

#include "tests/unit/attr/attr_fixture.h"

namespace ovl::testing {
namespace {

class Stat : public AttrTest {};

bool same(const struct stat& a, const struct stat& b) {
  return a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

TEST_F(Stat, UntouchedLowerIsAsItIs) {
  write_file(lower("/f"), "hello");
  begin();
  const struct stat a = see("/f"), b = real(lower("/f"));
  EXPECT_EQ(memcmp(&a, &b, sizeof a), 0);
}

TEST_F(Stat, CopiedUpFileKeepsItsNumbers) {
  write_file(lower("/f"), std::string(100000, 'x'), 0644);
  begin();
  const struct stat before = see("/f");
  EXPECT_EQ(chmod("/f", 0640), 0);
  const struct stat after = see("/f");
  EXPECT_TRUE(same(before, after));
  EXPECT_EQ(after.st_mode, static_cast<mode_t>(S_IFREG | 0640));
  EXPECT_EQ(after.st_size, before.st_size);
  EXPECT_EQ(after.st_blocks, before.st_blocks);
  EXPECT_EQ(after.st_mtim.tv_nsec, before.st_mtim.tv_nsec);
  EXPECT_EQ(run<op_truncate>(path("/f"), 10l), 0);
  EXPECT_TRUE(same(before, see("/f")));
  EXPECT_EQ(see("/f").st_size, 10);
}

TEST_F(Stat, CopiedUpDirectoryKeepsItsNumbersAndIsMerged) {
  std::filesystem::create_directories(lower("/d/e"));
  begin();
  const struct stat before = see("/d");
  EXPECT_EQ(before.st_nlink, 3u);
  EXPECT_EQ(chmod("/d", 0711), 0);
  const struct stat after = see("/d");
  EXPECT_TRUE(same(before, after));
  EXPECT_EQ(after.st_nlink, 1u);
  EXPECT_EQ(after.st_mode, static_cast<mode_t>(S_IFDIR | 0711));
}

TEST_F(Stat, UpperOfAnotherFileSystemShowsOneDevice) {
  write_file(lower("/f"), "hello");
  std::filesystem::create_directory(lower("/d"));
  if (!upper_on("/dev/shm")) GTEST_SKIP() << "no other file system with user xattrs";
  begin();
  const struct stat file = see("/f"), dir = see("/d");
  {
    AsUser user;
    ASSERT_EQ(chmod("/f", 0600), 0);
    ASSERT_EQ(chmod("/d", 0700), 0);
  }
  EXPECT_TRUE(same(file, see("/f")));
  EXPECT_TRUE(same(dir, see("/d")));
  write_file(upper("/d/new"), "");
  const struct stat made = see("/d/new"), real_made = real(upper("/d/new"));
  EXPECT_EQ(made.st_dev, file.st_dev);
  EXPECT_NE(made.st_dev, real_made.st_dev);
  EXPECT_EQ(made.st_ino, real_made.st_ino | uint64_t{1} << 55);
  // Data that was copied takes the file along.
  ASSERT_EQ(run<op_truncate>(path("/f"), 3l), 0);
  EXPECT_TRUE(same(file, see("/f")));
  // And so does a rename, by the handle that was noted.
  ASSERT_EQ(::rename(upper("/f").c_str(), upper("/d/g").c_str()), 0);
  EXPECT_TRUE(same(file, see("/d/g")));
}

TEST_F(Stat, BrokenHardLinkIsAnObjectOfItsOwn) {
  write_file(lower("/a"), "hello");
  ASSERT_EQ(link(lower("/a").c_str(), lower("/b").c_str()), 0);
  Options options;
  options.index = false;
  begin(options);
  ASSERT_EQ(chmod("/a", 0600), 0);
  EXPECT_FALSE(same(see("/a"), see("/b")));
  EXPECT_EQ(see("/a").st_nlink, 1u);
}

TEST_F(Stat, StatxTellsTheSameAndHonoursItsArguments) {
  write_file(lower("/f"), "hello");
  begin();
  ASSERT_EQ(chmod("/f", 0600), 0);
  StatX x = {};
  ASSERT_EQ(run<op_statx>(AT_FDCWD, path("/f"), 0, unsigned{STATX_ALL | STATX_MNT_ID}, UserBuf(&x)),
            0);
  const struct stat st = see("/f");
  EXPECT_EQ(x.stx_ino, st.st_ino);
  EXPECT_EQ(makedev(x.stx_dev_major, x.stx_dev_minor), st.st_dev);
  EXPECT_EQ(x.stx_mode, st.st_mode);
  EXPECT_EQ(x.stx_size, 5u);
  EXPECT_TRUE(x.stx_mask & STATX_BTIME);
  StatX top = {};
  ASSERT_EQ(sys_lstat(CStr(lower().c_str(), lower().size()), &top).error(), 0);
  EXPECT_EQ(run<op_statx>(AT_FDCWD, path("/f"), 0x8000, 0u, UserBuf(&x)), -EINVAL);
  EXPECT_EQ(run<op_statx>(AT_FDCWD, path("/f"), AT_STATX_SYNC_TYPE, 0u, UserBuf(&x)), -EINVAL);
  EXPECT_EQ(run<op_statx>(AT_FDCWD, path("/f"), 0, unsigned{STATX__RESERVED}, UserBuf(&x)),
            -EINVAL);
  EXPECT_EQ(run<op_statx>(AT_FDCWD, UserPath(), 0, unsigned{STATX_ALL}, UserBuf(&x)), -EFAULT);
  EXPECT_EQ(run<op_statx>(AT_FDCWD, path("/g"), 0, unsigned{STATX_ALL}, UserBuf(&x)), -ENOENT);
  EXPECT_EQ(run<op_statx>(AT_FDCWD, path("/f"), 0, unsigned{STATX_ALL}, UserBuf()), -EFAULT);
}

TEST_F(Stat, BadFlagsAndPointers) {
  write_file(lower("/f"), "");
  begin();
  struct stat st;
  EXPECT_EQ(run<op_newfstatat>(AT_FDCWD, path("/f"), UserBuf(&st), 0x40000000), -EINVAL);
  EXPECT_EQ(run<op_newfstatat>(AT_FDCWD, UserPath(), UserBuf(&st), 0), -EFAULT);
  EXPECT_EQ(run<op_newfstatat>(AT_FDCWD, path("/f"), UserBuf(), 0), -EFAULT);
  EXPECT_EQ(run<op_newfstatat>(AT_FDCWD, path("/f/"), UserBuf(&st), 0), -ENOTDIR);
  EXPECT_EQ(run<op_fstat>(-1, UserBuf(&st)), -EBADF);
  EXPECT_EQ(run<op_fstat>(987, UserBuf(&st)), -EBADF);
}

TEST_F(Stat, RealLinkCountOfAPureUpperDirectory) {
  begin();
  std::filesystem::create_directories(upper("/d/e"));
  EXPECT_EQ(see("/d").st_nlink, 3u);
}

TEST_F(Stat, LinkCountKeptByAnIndexIsShown) {
  begin();
  write_file(upper("/f"), "");
  ASSERT_EQ(link(upper("/f").c_str(), work("/f").c_str()), 0);
  ASSERT_EQ(setxattr(upper("/f").c_str(), "user.overlay.nlink", "U-1", 3, 0), 0);
  EXPECT_EQ(see("/f").st_nlink, 1u);
  ASSERT_EQ(setxattr(upper("/f").c_str(), "user.overlay.nlink", "rubbish", 7, 0), 0);
  EXPECT_EQ(see("/f").st_nlink, 2u);
}

TEST_F(Stat, ProtectionOfAKernelsUpperIsShownAndKept) {
  begin();
  write_file(upper("/f"), "");
  ASSERT_EQ(setxattr(upper("/f").c_str(), "user.overlay.protattr", "ai", 2, 0), 0);
  StatX x = {};
  ASSERT_EQ(run<op_statx>(AT_FDCWD, path("/f"), 0, unsigned{STATX_ALL}, UserBuf(&x)), 0);
  EXPECT_TRUE(x.stx_attributes & STATX_ATTR_IMMUTABLE);
  EXPECT_TRUE(x.stx_attributes & STATX_ATTR_APPEND);
  EXPECT_EQ(chmod("/f", 0600), -EPERM);
  EXPECT_EQ(set("/f", "user.x", "y"), -EPERM);
  EXPECT_EQ(run<op_truncate>(path("/f"), 0l), -EPERM);
  EXPECT_EQ(run<op_utimensat>(AT_FDCWD, path("/f"), UserBuf(), 0), -EPERM);
}

TEST(ShownIno, NumbersOfSeveralFileSystemsNeverMeet) {
  const Overlay overlay = {};
  Layer one = {}, two = {};
  one.fs_index = 1;
  two.fs_index = 2;
  Layer zero = {};
  EXPECT_EQ(shown_ino(overlay, zero, 77), 77u);
  EXPECT_EQ(shown_ino(overlay, one, 77), 77 | uint64_t{1} << 55);
  EXPECT_EQ(shown_ino(overlay, two, 77), 77 | uint64_t{2} << 55);
  const uint64_t large = (uint64_t{1} << 60) + 5;
  EXPECT_NE(shown_ino(overlay, one, large), shown_ino(overlay, two, large));
  EXPECT_NE(shown_ino(overlay, one, large), shown_ino(overlay, one, large + 1));
  EXPECT_EQ(shown_ino(overlay, one, large) >> 63, 1u);
}

TEST_F(Stat, FileSystemIsTheUppersWithTheLowersType) {
  write_file(lower("/f"), "");
  begin();
  struct statfs st = {}, wanted = {};
  ASSERT_EQ(run<op_statfs>(path("/f"), UserBuf(&st)), 0);
  ASSERT_EQ(::statfs(lower().c_str(), &wanted), 0);
  EXPECT_EQ(st.f_type, wanted.f_type);
  EXPECT_EQ(st.f_bsize, wanted.f_bsize);
  EXPECT_EQ(st.f_namelen, wanted.f_namelen);
  EXPECT_EQ(run<op_statfs>(path("/g"), UserBuf(&st)), -ENOENT);
}

TEST_F(Stat, NoHandlesButIdentifyingOnes) {
  write_file(lower("/f"), "");
  begin();
  struct {
    unsigned bytes;
    int type;
    unsigned char data[128];
  } handle = {128, 0, {}}, again = {128, 0, {}};
  int mount = 0;
  EXPECT_EQ(run<op_name_to_handle_at>(AT_FDCWD, path("/f"), UserBuf(&handle), UserBuf(&mount), 0),
            -EOPNOTSUPP);
  constexpr int kFid = 0x200;
  const long r =
      run<op_name_to_handle_at>(AT_FDCWD, path("/f"), UserBuf(&handle), UserBuf(&mount), kFid);
  if (r == -EINVAL || r == -EOPNOTSUPP) GTEST_SKIP() << "no AT_HANDLE_FID here";
  ASSERT_EQ(r, 0);
  ASSERT_EQ(chmod("/f", 0600), 0);
  EXPECT_EQ(run<op_name_to_handle_at>(AT_FDCWD, path("/f"), UserBuf(&again), UserBuf(&mount), kFid),
            0);
  EXPECT_EQ(memcmp(&handle, &again, sizeof handle), 0);
  handle.bytes = 1;
  EXPECT_EQ(
      run<op_name_to_handle_at>(AT_FDCWD, path("/f"), UserBuf(&handle), UserBuf(&mount), kFid),
      -EOVERFLOW);
  EXPECT_EQ(handle.bytes, again.bytes);
}

}  // namespace
}  // namespace ovl::testing
