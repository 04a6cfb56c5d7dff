// Copies of lower objects: what they hold, that they appear whole, and that the lower stays as it
// was.
#include "core/copy_up/copy_up.h"

#include <dirent.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <thread>

#include "core/format/format.h"
#include "tests/support/fixture.h"

namespace ovl::testing {
namespace {

class CopyUp : public OverlayTest {
 protected:
  const char* name(Priv which) const { return priv_name(XattrPrefix::kUser, which); }

  // Copies up by virtual path; returns the errno.
  int bring(const std::string& rest, Data data) {
    Op op(caller(), session());
    const std::string virt = at(rest);
    Result<const Node*> node = node_at(op, Str(virt.data(), virt.size()));
    if (!node.ok()) return node.error();
    if (!node.value()->exists()) return ENOENT;
    return copy_up(op, *node.value(), data).error();
  }

  static struct stat stat_of(const std::string& real) {
    struct stat st = {};
    EXPECT_EQ(lstat(real.c_str(), &st), 0) << real;
    return st;
  }
  static void set_times(const std::string& real, time_t atime, time_t mtime) {
    const timespec times[2] = {{atime, 111}, {mtime, 222333444}};
    ASSERT_EQ(utimensat(AT_FDCWD, real.c_str(), times, AT_SYMLINK_NOFOLLOW), 0);
  }
  std::vector<std::string> left_in_workdir() const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(work("/work"))) {
      const std::string n = entry.path().filename();
      if (n != "incompat" && n != "#whiteout") names.push_back(n);
    }
    return names;
  }
};

TEST_F(CopyUp, WholeFileHasDataModeTimesAndOrigin) {
  write_file(lower("/f"), "content", 0640);
  set_times(lower("/f"), 1000, 2000);
  const struct stat before = stat_of(lower("/f"));
  start();
  ASSERT_EQ(bring("/f", Data::kAll), 0);
  const struct stat st = stat_of(upper("/f"));
  EXPECT_EQ(read_file(upper("/f")), "content");
  EXPECT_EQ(st.st_mode, before.st_mode);
  EXPECT_EQ(st.st_mtim.tv_sec, 2000);
  EXPECT_EQ(st.st_mtim.tv_nsec, 222333444);
  EXPECT_EQ(st.st_atim.tv_sec, 1000);
  EXPECT_NE(xattr(upper("/f"), name(Priv::kOrigin)), "<none>");
  EXPECT_EQ(xattr(upper("/f"), name(Priv::kMetacopy)), "<none>");
  EXPECT_EQ(xattr(upper(), name(Priv::kImpure)), "y");
  EXPECT_EQ(read_file(lower("/f")), "content");
  EXPECT_EQ(stat_of(lower("/f")).st_mtim.tv_sec, 2000);
  EXPECT_TRUE(left_in_workdir().empty());
}

TEST_F(CopyUp, OriginHoldsTheLowerInode) {
  write_file(lower("/f"), "x");
  start();
  ASSERT_EQ(bring("/f", Data::kAll), 0);
  const std::string value = xattr(upper("/f"), name(Priv::kOrigin));
  FileHandle handle;
  Result<OriginState> state = decode_origin(value.data(), value.size(), &handle);
  ASSERT_TRUE(state.ok());
  if (state.value() == OriginState::kUnknown) GTEST_SKIP() << "this file system gives no handles";
  if (inode_of(handle) == 0) GTEST_SKIP() << "handles of an unknown layout";
  EXPECT_EQ(inode_of(handle), stat_of(lower("/f")).st_ino);
}

TEST_F(CopyUp, MetacopyHasSizeButNoBlocks) {
  write_file(lower("/f"), std::string(100000, 'x'), 0600);
  set_times(lower("/f"), 1000, 2000);
  start();
  ASSERT_EQ(bring("/f", Data::kNone), 0);
  const struct stat st = stat_of(upper("/f"));
  EXPECT_EQ(st.st_size, 100000);
  EXPECT_EQ(st.st_mtim.tv_sec, 2000);
  EXPECT_EQ(xattr(upper("/f"), name(Priv::kMetacopy)), "");
  EXPECT_EQ(xattr(upper("/f"), name(Priv::kOrigin)), "<none>");
  EXPECT_TRUE(exists(work("/work/incompat/ovlrun"))) << "the kernel would show zeros";
}

TEST_F(CopyUp, MetacopyIsCompletedInPlaceWithItsTimes) {
  const std::string content = std::string(70000, 'a') + "end";
  write_file(lower("/f"), content, 0600);
  start();
  ASSERT_EQ(bring("/f", Data::kNone), 0);
  const ino_t inode = stat_of(upper("/f")).st_ino;
  set_times(upper("/f"), 3000, 4000);
  ASSERT_EQ(bring("/f", Data::kAll), 0);
  const struct stat st = stat_of(upper("/f"));
  EXPECT_EQ(read_file(upper("/f")), content);
  EXPECT_EQ(st.st_ino, inode);
  EXPECT_EQ(st.st_mtim.tv_sec, 4000);
  EXPECT_EQ(st.st_mtim.tv_nsec, 222333444);
  EXPECT_EQ(xattr(upper("/f"), name(Priv::kMetacopy)), "<none>");
  EXPECT_NE(xattr(upper("/f"), name(Priv::kOrigin)), "<none>");
  EXPECT_EQ(bring("/f", Data::kAll), 0) << "again: nothing to do";
}

TEST_F(CopyUp, CompletionKeepsSetuid) {
  write_file(lower("/f"), std::string(5000, 'x'), 04755);
  start();
  ASSERT_EQ(bring("/f", Data::kNone), 0);
  ASSERT_EQ(bring("/f", Data::kAll), 0);
  EXPECT_EQ(stat_of(upper("/f")).st_mode & 07777, 04755u);
}

TEST_F(CopyUp, DroppedDataLeavesAnEmptyFile) {
  write_file(lower("/f"), "content");
  write_file(lower("/g"), "content");
  start();
  ASSERT_EQ(bring("/f", Data::kDrop), 0);
  EXPECT_EQ(read_file(upper("/f")), "");
  ASSERT_EQ(bring("/g", Data::kNone), 0);
  ASSERT_EQ(bring("/g", Data::kDrop), 0);
  EXPECT_EQ(read_file(upper("/g")), "");
  EXPECT_EQ(xattr(upper("/g"), name(Priv::kMetacopy)), "<none>");
}

TEST_F(CopyUp, DataThatCannotComeWholeTakesNoSpace) {
  write_file(lower("/f"), std::string(1 << 20, 'x'), 0600);
  start();
  ASSERT_EQ(bring("/f", Data::kNone), 0);
  const blkcnt_t before = stat_of(upper("/f")).st_blocks;
  const auto handler = signal(SIGXFSZ, SIG_IGN);
  rlimit old;
  getrlimit(RLIMIT_FSIZE, &old);
  const rlimit some = {256 << 10, old.rlim_max};
  setrlimit(RLIMIT_FSIZE, &some);
  const int error = bring("/f", Data::kAll);
  setrlimit(RLIMIT_FSIZE, &old);
  signal(SIGXFSZ, handler);
  EXPECT_EQ(error, EFBIG);
  EXPECT_EQ(stat_of(upper("/f")).st_size, 1 << 20);
  EXPECT_LE(stat_of(upper("/f")).st_blocks, before + 8);
  EXPECT_EQ(bring("/f", Data::kAll), 0);
  EXPECT_EQ(read_file(upper("/f")), std::string(1 << 20, 'x'));
}

TEST_F(CopyUp, WithoutMetacopyEverythingIsCopied) {
  write_file(lower("/f"), "content");
  Options options;
  options.metacopy = false;
  start(options);
  ASSERT_EQ(bring("/f", Data::kNone), 0);
  EXPECT_EQ(read_file(upper("/f")), "content");
  EXPECT_FALSE(exists(work("/work/incompat")));
}

TEST_F(CopyUp, HolesStayHoles) {
  const std::string real = lower("/sparse");
  const int fd = open(real.c_str(), O_CREAT | O_RDWR, 0644);
  ASSERT_EQ(ftruncate(fd, 8 << 20), 0);
  ASSERT_EQ(pwrite(fd, "middle", 6, 4 << 20), 6);
  close(fd);
  start();
  ASSERT_EQ(bring("/sparse", Data::kAll), 0);
  const struct stat st = stat_of(upper("/sparse"));
  EXPECT_EQ(st.st_size, 8 << 20);
  EXPECT_LE(st.st_blocks, stat_of(real).st_blocks + 16);
  EXPECT_EQ(read_file(upper("/sparse")), read_file(real));
}

TEST_F(CopyUp, HardLinkIsBrokenWithoutAnIndex) {
  write_file(lower("/a"), "content");
  ASSERT_EQ(link(lower("/a").c_str(), lower("/b").c_str()), 0);
  Options options;
  options.index = false;
  start(options);
  ASSERT_EQ(bring("/a", Data::kNone), 0);
  EXPECT_EQ(read_file(upper("/a")), "content");
  EXPECT_EQ(stat_of(upper("/a")).st_nlink, 1u);
  EXPECT_EQ(xattr(upper("/a"), name(Priv::kOrigin)), "<none>");
  EXPECT_EQ(xattr(upper("/a"), name(Priv::kMetacopy)), "<none>");
  EXPECT_FALSE(exists(upper("/b")));
}

TEST_F(CopyUp, ParentsComeFirstWithTheirMetadata) {
  std::filesystem::create_directories(lower("/a/b"));
  ASSERT_EQ(chmod(lower("/a").c_str(), 02751), 0);
  write_file(lower("/a/b/f"), "x");
  set_times(lower("/a/b"), 1000, 2000);
  set_times(lower("/a"), 1001, 2001);
  start();
  set_times(upper(), 5000, 6000);
  ASSERT_EQ(bring("/a/b/f", Data::kAll), 0);
  EXPECT_EQ(stat_of(upper("/a")).st_mode & 07777, 02751u);
  EXPECT_EQ(stat_of(upper("/a")).st_mtim.tv_sec, 2001);
  EXPECT_EQ(stat_of(upper("/a/b")).st_mtim.tv_sec, 2000);
  EXPECT_EQ(stat_of(upper()).st_mtim.tv_sec, 6000) << "a copy-up changes no directory's times";
  EXPECT_EQ(xattr(upper("/a"), name(Priv::kOpaque)), "<none>");
}

TEST_F(CopyUp, XattrsComeAlongButPrivateOnes) {
  write_file(lower("/f"), "x");
  ASSERT_EQ(setxattr(lower("/f").c_str(), "user.mine", "value", 5, 0), 0);
  ASSERT_EQ(setxattr(lower("/f").c_str(), name(Priv::kNlink), "U+1", 3, 0), 0);
  const std::string escaped = std::string("user.") + "overlay.overlay.deeper";
  ASSERT_EQ(setxattr(lower("/f").c_str(), escaped.c_str(), "v", 1, 0), 0);
  const std::string big(3000, 'b');
  ASSERT_EQ(setxattr(lower("/f").c_str(), "user.big", big.data(), big.size(), 0), 0);
  start();
  ASSERT_EQ(bring("/f", Data::kAll), 0);
  EXPECT_EQ(xattr(upper("/f"), "user.mine"), "value");
  EXPECT_EQ(xattr(upper("/f"), name(Priv::kNlink)), "<none>");
  EXPECT_EQ(xattr(upper("/f"), escaped.c_str()), "v");
  char value[4000];
  EXPECT_EQ(getxattr(upper("/f").c_str(), "user.big", value, sizeof value), 3000);
}

TEST_F(CopyUp, AclComesAlong) {
  write_file(lower("/f"), "x", 0640);
  const std::string command = "setfacl -m u:12345:r " + lower("/f");
  if (system(command.c_str()) != 0) GTEST_SKIP() << "no ACLs here";
  const std::string acl = xattr(lower("/f"), "system.posix_acl_access");
  start();
  ASSERT_EQ(bring("/f", Data::kAll), 0);
  EXPECT_EQ(xattr(upper("/f"), "system.posix_acl_access"), acl);
  EXPECT_EQ(stat_of(upper("/f")).st_mode, stat_of(lower("/f")).st_mode);
}

TEST_F(CopyUp, ModeWithoutOwnerRightsIsRecorded) {
  write_file(lower("/f"), "secret", 0444);
  start();
  ASSERT_EQ(bring("/f", Data::kAll), 0);
  EXPECT_EQ(stat_of(lower("/f")).st_mode & 0777, 0444u);
  Op op(caller(), session());
  const std::string virt = at("/f");
  Result<const Node*> node = node_at(op, Str(virt.data(), virt.size()));
  ASSERT_TRUE(node.ok());
  EXPECT_EQ(node.value()->mode & 0777, 0444u);
}

TEST_F(CopyUp, SymlinkFifoAndSocket) {
  ASSERT_EQ(symlink("to/somewhere", lower("/link").c_str()), 0);
  ASSERT_EQ(mkfifo(lower("/fifo").c_str(), 0620), 0);
  ASSERT_EQ(chmod(lower("/fifo").c_str(), 0620), 0);
  const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address = {AF_UNIX, {}};
  snprintf(address.sun_path, sizeof address.sun_path, "%s", lower("/socket").c_str());
  ASSERT_EQ(bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  close(fd);
  set_times(lower("/link"), 1000, 2000);
  start();
  for (const char* rest : {"/link", "/fifo", "/socket"})
    ASSERT_EQ(bring(rest, Data::kNone), 0) << rest;
  EXPECT_EQ(std::filesystem::read_symlink(upper("/link")), "to/somewhere");
  EXPECT_EQ(stat_of(upper("/link")).st_mtim.tv_sec, 2000);
  EXPECT_TRUE(S_ISFIFO(stat_of(upper("/fifo")).st_mode));
  EXPECT_EQ(stat_of(upper("/fifo")).st_mode & 0777, 0620u);
  EXPECT_TRUE(S_ISSOCK(stat_of(upper("/socket")).st_mode));
}

TEST_F(CopyUp, OfAnAbsentNameIsENOENT) {
  write_file(lower("/f"), "x");
  start();
  Op op(caller(), session());
  const std::string virt = at("/f");
  Result<const Node*> stale = node_at(op, Str(virt.data(), virt.size()));
  ASSERT_TRUE(stale.ok());
  ASSERT_TRUE(put_whiteout(op, session().overlay(0), stale.value()->upper).ok());
  EXPECT_EQ(copy_up(op, *stale.value(), Data::kAll).error(), ENOENT);
  EXPECT_TRUE(is_whiteout(upper("/f"))) << "never resurrected";
}

TEST_F(CopyUp, ManyThreadsGetOneCopy) {
  constexpr int kFiles = 20, kThreads = 4;
  std::filesystem::create_directories(lower("/d/e"));
  for (int i = 0; i < kFiles; i++)
    write_file(lower("/d/e/f" + std::to_string(i)), std::string(20000, 'x'));
  start();
  std::vector<std::thread> threads;
  std::atomic<int> failures = 0;
  for (int t = 0; t < kThreads; t++)
    threads.emplace_back([&, t] {
      for (int i = 0; i < kFiles; i++)
        if (bring("/d/e/f" + std::to_string((i + t) % kFiles),
                  t % 2 == 0 ? Data::kAll : Data::kNone) != 0)
          failures++;
    });
  for (std::thread& t : threads) t.join();
  EXPECT_EQ(failures, 0);
  for (int i = 0; i < kFiles; i++) {
    const std::string real = upper("/d/e/f" + std::to_string(i));
    EXPECT_EQ(read_file(real), std::string(20000, 'x'));
    EXPECT_EQ(xattr(real, name(Priv::kMetacopy)), "<none>");
  }
  EXPECT_TRUE(left_in_workdir().empty());
}

TEST_F(CopyUp, UnreadableFileLeavesNothing) {
  write_file(lower("/f"), std::string(1000, 'x'), 0);
  start();
  if (geteuid() == 0) GTEST_SKIP() << "root reads everything";
  EXPECT_EQ(bring("/f", Data::kAll), EACCES) << "unreadable";
  EXPECT_FALSE(exists(upper("/f")));
  EXPECT_TRUE(left_in_workdir().empty());
  EXPECT_EQ(bring("/f", Data::kNone), 0) << "metadata needs no reading";
}

}  // namespace
}  // namespace ovl::testing
