// chmod, chown, utimes, truncate and access, by owner and as the kernel would.
#include <atomic>
#include <thread>

#include "tests/unit/attr/attr_fixture.h"

namespace ovl::testing {
namespace {

class Mode : public AttrTest {};

TEST_F(Mode, ChmodOfALowerFileCopiesNoData) {
  write_file(lower("/f"), std::string(65536, 'x'));
  begin();
  AsUser user;
  EXPECT_EQ(chmod("/f", 0600), 0);
  EXPECT_EQ(mode("/f"), 0600u);
  EXPECT_EQ(real(upper("/f")).st_blocks, 0);
  EXPECT_NE(xattr(upper("/f"), "user.overlay.metacopy"), "<none>");
}

TEST_F(Mode, OwnersPlaceInARootOwnedTree) {
  if (getuid() != 0) GTEST_SKIP() << "needs root to make the tree";
  std::filesystem::create_directories(lower("/bin"));
  write_file(lower("/bin/tool"), "#!", 0755);
  begin();
  AsUser user;
  EXPECT_EQ(access("/bin/tool", W_OK), 0);
  EXPECT_EQ(access("/bin", W_OK | X_OK), 0);
  EXPECT_EQ(chmod("/bin/tool", 04711), 0);
  struct stat st = see("/bin/tool");
  EXPECT_EQ(st.st_mode, static_cast<mode_t>(S_IFREG | 04711));
  EXPECT_EQ(st.st_uid, 0u);
  EXPECT_EQ(real_mode(upper("/bin/tool")) & 06000, 0u);
  EXPECT_EQ(chmod("/bin", 0500), 0);
  st = see("/bin");
  EXPECT_EQ(st.st_mode, static_cast<mode_t>(S_IFDIR | 0500));
  EXPECT_EQ(st.st_uid, 0u);
  EXPECT_EQ(access("/bin", W_OK), -EACCES);
}

TEST_F(Mode, ChmodKeepsToItsErrors) {
  write_file(lower("/f"), "");
  ASSERT_EQ(symlink("f", lower("/l").c_str()), 0);
  begin();
  AsUser user;
  EXPECT_EQ(chmod("/l", 0600, AT_SYMLINK_NOFOLLOW), -EOPNOTSUPP);
  EXPECT_EQ(chmod("/f", 0600, 0x8000), -EINVAL);
  EXPECT_EQ(chmod("/g", 0600), -ENOENT);
  EXPECT_EQ(run<op_fchmodat2>(AT_FDCWD, UserPath(), mode_t{0600}, 0), -EFAULT);
  EXPECT_FALSE(exists(upper("/f")));
  EXPECT_EQ(chmod("/l", 0600), 0);
  EXPECT_EQ(mode("/f"), 0600u);
}

TEST_F(Mode, ChmodToTheSameModeMovesTheTimeOfChange) {
  begin();
  write_file(upper("/f"), "", 0644);
  if (getuid() == 0) {
    ASSERT_EQ(::chown(upper("/f").c_str(), 1500, 1500), 0);
  }
  const struct stat before = see("/f");
  timespec now;
  do clock_gettime(CLOCK_REALTIME_COARSE, &now);
  while (now.tv_sec == before.st_ctim.tv_sec && now.tv_nsec == before.st_ctim.tv_nsec);
  AsUser user;
  EXPECT_EQ(chmod("/f", 0644), 0);
  const struct stat after = see("/f");
  EXPECT_TRUE(after.st_ctim.tv_sec != before.st_ctim.tv_sec ||
              after.st_ctim.tv_nsec != before.st_ctim.tv_nsec);
}

TEST_F(Mode, OthersSetgidBitIsDropped) {
  begin();
  write_file(upper("/f"), "", 0644);
  if (getuid() != 0) GTEST_SKIP() << "needs root to give the file a foreign group";
  ASSERT_EQ(::chown(upper("/f").c_str(), 1500, 77), 0);
  AsUser user;
  EXPECT_EQ(chmod("/f", 02755), 0);
  EXPECT_EQ(mode("/f"), 0755u);
}

TEST_F(Mode, ChownByAnOrdinaryOwner) {
  if (getuid() != 0) GTEST_SKIP() << "needs root to make a foreign file";
  write_file(lower("/root"), "", 04755);
  begin();
  write_file(upper("/own"), "", 06755);
  ASSERT_EQ(::chown(upper("/own").c_str(), 1500, 1500), 0);
  ASSERT_EQ(::chmod(upper("/own").c_str(), 06755), 0);
  AsUser user;
  EXPECT_EQ(chown("/own", 0, -1), -EPERM);
  EXPECT_EQ(chown("/own", -1, 77), -EPERM);
  EXPECT_EQ(mode("/own"), 06755u);
  EXPECT_EQ(chown("/own", 1500, 1500), 0);
  EXPECT_EQ(mode("/own"), 0755u);
  EXPECT_EQ(chown("/root", 1500, -1), -EPERM);
  EXPECT_FALSE(exists(upper("/root")));
  EXPECT_EQ(chown("/root", 0, 0), 0);
  EXPECT_EQ(mode("/root"), 0755u);
  EXPECT_EQ(see("/root").st_uid, 0u);
  // A group of one's own.
  EXPECT_EQ(chown("/root", -1, 1500), 0);
  EXPECT_EQ(see("/root").st_gid, 1500u);
  EXPECT_EQ(see("/root").st_uid, 0u);
}

TEST_F(Mode, ChownOfAFileThatWasMadeReadOnly) {
  begin();
  write_file(upper("/f"), "", 0444);
  if (getuid() == 0) {
    ASSERT_EQ(::chown(upper("/f").c_str(), 1500, 1500), 0);
  }
  AsUser user;
  EXPECT_EQ(chown("/f", -1, -1), 0);
  EXPECT_EQ(mode("/f"), 0444u);
}

TEST_F(Mode, ChownByRootIsReal) {
  if (getuid() != 0) GTEST_SKIP() << "needs root";
  write_file(lower("/f"), "x", 06755);
  begin();
  EXPECT_EQ(chown("/f", 12, 34), 0);
  const struct stat st = real(upper("/f"));
  EXPECT_EQ(st.st_uid, 12u);
  EXPECT_EQ(st.st_gid, 34u);
  EXPECT_EQ(mode("/f"), 0755u);
}

TEST_F(Mode, SymlinkOwnersAndTimes) {
  ASSERT_EQ(symlink("gone", lower("/l").c_str()), 0);
  begin();
  AsUser user;
  const struct stat before = see("/l");
  EXPECT_EQ(chown("/l", before.st_uid, before.st_gid, AT_SYMLINK_NOFOLLOW), 0);
  EXPECT_FALSE(exists(upper("/l")));
  EXPECT_EQ(chown("/l", before.st_uid, -1), -ENOENT);
  const timespec times[2] = {{1, 2}, {3, 4}};
  EXPECT_EQ(run<op_utimensat>(AT_FDCWD, path("/l"), UserBuf(const_cast<timespec*>(times)),
                              AT_SYMLINK_NOFOLLOW),
            0);
  EXPECT_EQ(see("/l").st_mtim.tv_sec, 3);
}

TEST_F(Mode, TimesAllForms) {
  write_file(lower("/f"), "hello");
  begin();
  AsUser user;
  auto set_times = [&](timespec a, timespec m) {
    timespec times[2] = {a, m};
    return run<op_utimensat>(AT_FDCWD, path("/f"), UserBuf(times), 0);
  };
  // Both left alone: not even the path is looked at.
  timespec omit[2] = {{0, UTIME_OMIT}, {0, UTIME_OMIT}};
  EXPECT_EQ(run<op_utimensat>(AT_FDCWD, UserPath(), UserBuf(omit), 0), 0);
  EXPECT_FALSE(exists(upper("/f")));
  EXPECT_EQ(set_times({0, 1000000000}, {0, 0}), -EINVAL);
  EXPECT_EQ(set_times({0, -1}, {0, 0}), -EINVAL);
  EXPECT_FALSE(exists(upper("/f")));
  EXPECT_EQ(set_times({5, 6}, {7, 8}), 0);
  EXPECT_EQ(see("/f").st_atim.tv_sec, 5);
  EXPECT_EQ(see("/f").st_mtim.tv_nsec, 8);
  EXPECT_EQ(set_times({0, UTIME_OMIT}, {9, 0}), 0);
  EXPECT_EQ(see("/f").st_atim.tv_sec, 5);
  EXPECT_EQ(see("/f").st_mtim.tv_sec, 9);
  EXPECT_EQ(run<op_utimensat>(AT_FDCWD, path("/f"), UserBuf(), 0), 0);
  EXPECT_GT(see("/f").st_mtim.tv_sec, 1000000);
  EXPECT_EQ(see("/f").st_size, 5);
  timeval old[2] = {{11, 12}, {13, 14}};
  EXPECT_EQ(run<op_futimesat>(AT_FDCWD, path("/f"), UserBuf(old)), 0);
  EXPECT_EQ(see("/f").st_atim.tv_nsec, 12000);
  old[0].tv_usec = 1000000;
  EXPECT_EQ(run<op_futimesat>(AT_FDCWD, path("/f"), UserBuf(old)), -EINVAL);
  long older[2] = {21, 22};
  EXPECT_EQ(run<op_utime>(path("/f"), UserBuf(older)), 0);
  EXPECT_EQ(see("/f").st_mtim.tv_sec, 22);
  EXPECT_EQ(run<op_utimensat>(AT_FDCWD, path("/f"), UserBuf(), 0x8000), -EINVAL);
  EXPECT_EQ(run<op_utimensat>(AT_FDCWD, UserPath(), UserBuf(), 0), -EFAULT);
}

TEST_F(Mode, TruncateCopiesOnlyWhatStays) {
  write_file(lower("/f"), std::string(100000, 'a'));
  write_file(lower("/g"), "hello world");
  std::filesystem::create_directory(lower("/d"));
  ASSERT_EQ(mkfifo(lower("/p").c_str(), 0644), 0);
  begin();
  AsUser user;
  const struct stat before = see("/f");
  EXPECT_EQ(run<op_truncate>(path("/f"), -1l), -EINVAL);
  EXPECT_EQ(run<op_truncate>(path("/d"), 0l), -EISDIR);
  EXPECT_EQ(run<op_truncate>(path("/p"), 0l), -EINVAL);
  EXPECT_EQ(run<op_truncate>(path("/h"), 0l), -ENOENT);
  EXPECT_EQ(run<op_truncate>(path("/f"), 0l), 0);
  EXPECT_EQ(see("/f").st_size, 0);
  EXPECT_EQ(see("/f").st_ino, before.st_ino);
  EXPECT_NE(see("/f").st_mtim.tv_nsec, before.st_mtim.tv_nsec);
  EXPECT_EQ(run<op_truncate>(path("/g"), 5l), 0);
  EXPECT_EQ(read_file(upper("/g")), "hello");
  EXPECT_EQ(run<op_truncate>(path("/g"), 7l), 0);
  EXPECT_EQ(read_file(upper("/g")), std::string("hello\0\0", 7));
}

TEST_F(Mode, TruncateOfAMetacopyCompletesIt) {
  write_file(lower("/f"), "hello world", 0755);
  begin();
  AsUser user;
  EXPECT_EQ(chmod("/f", 04755), 0);
  EXPECT_EQ(run<op_truncate>(path("/f"), 5l), 0);
  EXPECT_EQ(read_file(upper("/f")), "hello");
  EXPECT_EQ(xattr(upper("/f"), "user.overlay.metacopy"), "<none>");
  if (geteuid() != 0) {
    EXPECT_EQ(mode("/f"), 0755u);
  }
}

TEST_F(Mode, AccessAsksOwnerAndKernel) {
  write_file(lower("/f"), "", 0444);
  write_file(lower("/x"), "", 0755);
  write_file(lower("/secret"), "", 0600);
  ASSERT_EQ(symlink("gone", lower("/l").c_str()), 0);
  begin();
  AsUser user;
  EXPECT_EQ(access("/f", F_OK), 0);
  EXPECT_EQ(access("/g", F_OK), -ENOENT);
  EXPECT_EQ(access("/f", R_OK), 0);
  EXPECT_EQ(access("/f", W_OK), geteuid() == 0 ? 0 : -EACCES);
  EXPECT_EQ(access("/f", X_OK), -EACCES);
  EXPECT_EQ(access("/x", R_OK | W_OK | X_OK), 0);
  EXPECT_EQ(access("/f", 8), -EINVAL);
  EXPECT_EQ(access("/f", R_OK, 0x8000), -EINVAL);
  EXPECT_EQ(access("/l", F_OK), -ENOENT);
  EXPECT_EQ(access("/l", W_OK, AT_SYMLINK_NOFOLLOW), 0);
  if (getuid() == 0) {  // root's file, whose data the user can't have
    EXPECT_EQ(access("/secret", W_OK, AT_EACCESS), 0);
    EXPECT_EQ(access("/secret", R_OK, AT_EACCESS), -EACCES);
  }
}

TEST_F(Mode, AccessToAMetacopyIsOfItsOwnMode) {
  write_file(lower("/script"), "#!/bin/sh\n", 0644);
  begin();
  AsUser user;
  EXPECT_EQ(access("/script", X_OK, AT_EACCESS), -EACCES);
  EXPECT_EQ(chmod("/script", 0755), 0);
  EXPECT_EQ(access("/script", R_OK | X_OK, AT_EACCESS), 0);
}

TEST_F(Mode, ConcurrentChangesOfOneRecordAreAllKept) {
  if (getuid() != 0) GTEST_SKIP() << "needs root to make a file whose attributes are recorded";
  write_file(lower("/f"), "x", 0644);
  begin();
  AsUser user({1600});
  constexpr int kRounds = 300;
  std::atomic<int> failures = 0;
  std::thread modes([&] {
    const UserPath file = path("/f");
    for (int i = 0; i <= kRounds; i++)
      failures += run<op_fchmodat2>(AT_FDCWD, file, mode_t(i % 2 ? 0640 : 0604), 0) != 0;
  });
  const std::string name = at("/f");
  for (int i = 0; i <= kRounds; i++)
    failures += run<op_fchownat>(AT_FDCWD, UserPath(name.c_str()), uid_t(-1),
                                 gid_t(i % 2 ? 1600 : 1500), 0) != 0;
  modes.join();
  EXPECT_EQ(failures, 0);
  const struct stat st = see("/f");
  EXPECT_EQ(st.st_mode & 07777, 0604u);
  EXPECT_EQ(st.st_gid, 1500u);
  EXPECT_EQ(st.st_uid, 0u);
}

class Posix : public AttrTest {
 protected:
  void begin_posix() {
    Options options;
    options.perm = Perm::kPosix;
    begin(options);
  }
};

TEST_F(Posix, OthersTreeIsClosed) {
  if (getuid() != 0) GTEST_SKIP() << "needs root to make the tree";
  write_file(lower("/f"), "", 0644);
  write_file(lower("/w"), "", 0666);
  begin_posix();
  AsUser user;
  EXPECT_EQ(access("/f", W_OK), -EACCES);
  EXPECT_EQ(access("/f", R_OK), 0);
  EXPECT_EQ(access("/w", W_OK), 0);
  EXPECT_EQ(chmod("/f", 0600), -EPERM);
  EXPECT_EQ(chown("/f", 1500, 1500), -EPERM);
  EXPECT_EQ(set("/f", "user.a", "b"), -EACCES);
  const timespec times[2] = {{1, 2}, {3, 4}};
  EXPECT_EQ(run<op_utimensat>(AT_FDCWD, path("/w"), UserBuf(const_cast<timespec*>(times)), 0),
            -EPERM);
  EXPECT_EQ(run<op_utimensat>(AT_FDCWD, path("/f"), UserBuf(), 0), -EACCES);
  EXPECT_EQ(run<op_utimensat>(AT_FDCWD, path("/w"), UserBuf(), 0), 0);
  EXPECT_EQ(run<op_truncate>(path("/f"), 0l), -EACCES);
  EXPECT_FALSE(exists(upper("/f")));
}

TEST_F(Posix, AccessListGrantsAndMasks) {
  if (getuid() != 0) GTEST_SKIP() << "needs root to make the tree";
  write_file(lower("/granted"), "", 0600);
  write_file(lower("/masked"), "", 0600);
  const std::string command =
      "cd '" + lower() + "' && setfacl -m u:1500:rw granted && setfacl -m u:1500:rw,m::r masked";
  if (system((command + " 2>/dev/null").c_str()) != 0) GTEST_SKIP() << "no access lists here";
  begin_posix();
  AsUser user;
  EXPECT_EQ(access("/granted", R_OK | W_OK, AT_EACCESS), 0);
  EXPECT_EQ(access("/masked", R_OK, AT_EACCESS), 0);
  EXPECT_EQ(access("/masked", W_OK, AT_EACCESS), -EACCES);
}

TEST_F(Posix, StickyDirectoryKeepsOthersFiles) {
  if (getuid() != 0) GTEST_SKIP() << "needs root to make the tree";
  std::filesystem::create_directory(lower("/t"));
  ASSERT_EQ(::chmod(lower("/t").c_str(), 01777), 0);
  write_file(lower("/t/f"), "");
  begin_posix();
  AsUser user;
  Op op(caller(), session());
  auto node = [&](const std::string& rest) {
    const std::string virt = at(rest);
    return node_at(op, Str(virt.data(), virt.size())).value();
  };
  EXPECT_EQ(may_change_names(op, *node("/t")).error(), 0);
  EXPECT_EQ(may_remove(op, *node("/t"), *node("/t/f")).error(), EPERM);
}

}  // namespace
}  // namespace ovl::testing
