// Path walking: one table of cases. Natively each path is relative to the overlay's root.
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/elsewhere.h"
#include "tests/support/fixture.h"

namespace ovl::testing {
namespace {

class WalkTest : public OverlayTest {
 protected:
  WalkTest() {
    std::filesystem::create_directories(lower("/d/sub"));
    write_file(lower("/d/f"), "f");
    write_file(lower("/d/sub/g"), "g");
    std::filesystem::create_symlink("d", lower("/link"));
    std::filesystem::create_symlink("f", lower("/d/to_f"));
    std::filesystem::create_symlink("../..", lower("/d/sub/up2"));
    std::filesystem::create_symlink("loop", lower("/loop"));
    std::filesystem::create_symlink("nowhere", lower("/dangling"));
    std::filesystem::create_symlink(lower("/d"), lower("/absolute"));
    std::filesystem::create_directories(root() + "/outside/x");
    std::filesystem::create_symlink(root() + "/outside", lower("/out"));
    std::filesystem::create_symlink(lower(), root() + "/outside/in");
    start();
  }

  // Virtual path of what `rest` names, or "E<errno>", "native", "outside:<path>", with '!' in front
  // when absent.
  std::string resolve(const std::string& rest, unsigned flags = kFollow, int dirfd = AT_FDCWD) {
    return resolve_for(caller(), path(rest), flags, dirfd);
  }
  std::string resolve_for(Caller& who, UserPath words, unsigned flags = kFollow,
                          int dirfd = AT_FDCWD) {
    Op op(who, session());
    Result<CStr> in = who.copy_in_path(op.arena(), words);
    if (!in.ok()) return "E" + std::to_string(in.error());
    Result<Walked> w = walk(op, dirfd, in.value(), flags);
    if (!w.ok()) return "E" + std::to_string(w.error());
    if (w.value().native) return "native";
    if (w.value().outside()) return "outside:" + relative(w.value().outside_path);
    return (w.value().node->exists() ? "" : "!") + relative(w.value().node->virt);
  }
  std::string relative(CStr virt) {
    std::string s(virt.data(), virt.size());
    return s.compare(0, root().size(), root()) == 0 ? s.substr(root().size()) : s;
  }
};

TEST_F(WalkTest, NamesWhatTheKernelWould) {
  const struct {
    const char* path;
    unsigned flags;
    const char* want;
  } cases[] = {
      {"/d/f", kFollow, "/lower/d/f"},
      {"", kFollow, "/lower"},
      {"/", kFollow, "/lower"},
      {"//d///sub//", kFollow, "/lower/d/sub"},
      {"/d/./f", kFollow, "/lower/d/f"},
      {"/d/sub/../f", kFollow, "/lower/d/f"},
      {"/d/sub/../../d/f", kFollow, "/lower/d/f"},
      {"/..", kFollow, "outside:"},
      {"/../lower/d", kFollow, "/lower/d"},
      {"/link/f", kFollow, "/lower/d/f"},
      {"/link", kFollow, "/lower/d"},
      {"/link", 0, "/lower/link"},
      {"/link/", 0, "/lower/d"},
      {"/link/", kParent, "/lower/link"},
      {"/d/to_f", kFollow, "/lower/d/f"},
      {"/d/to_f/", kFollow, "E20"},
      {"/d/f/", kFollow, "E20"},
      {"/d/f/x", kFollow, "E20"},
      {"/d/sub/up2/link/f", kFollow, "/lower/d/f"},
      {"/absolute/f", kFollow, "/lower/d/f"},
      {"/loop", kFollow, "E40"},
      {"/loop", 0, "/lower/loop"},
      {"/dangling", kFollow, "!/lower/nowhere"},
      {"/dangling/x", kFollow, "E2"},
      {"/none", kFollow, "!/lower/none"},
      {"/none/x", kFollow, "E2"},
      {"/out/x", kFollow, "outside:/outside/x"},
      {"/out/in/d/f", kFollow, "/lower/d/f"},
      {"/out/../lower/d", kFollow, "/lower/d"},
      {"/link/f", kNoSymlinks | kFollow, "E40"},
  };
  for (const auto& c : cases) EXPECT_EQ(resolve(c.path, c.flags), c.want) << c.path;
}

TEST_F(WalkTest, OutsideItMakesNoDifferenceHowManyNamesAreLookedAtAtOnce) {
  const struct {
    const char* path;
    unsigned flags;
    const char* want;
  } cases[] = {
      {"/outside/x", kFollow, "native"},
      {"/outside/x/", kFollow, "native"},
      {"/outside/none", kFollow, "native"},
      {"/outside/none/more", kFollow, "native"},
      {"/outside/in", 0, "native"},
      {"/outside/in", kParent, "native"},
      {"/outside/in", kFollow, "/lower"},
      {"/outside/in/", 0, "/lower"},
      {"/outside/in/d/f", kFollow, "/lower/d/f"},
      {"/outside/in/none", kFollow, "!/lower/none"},
      {"//outside/./in/d/f", kFollow, "/lower/d/f"},
      {"/outside/x/../../lower/d/f", kFollow, "/lower/d/f"},
      {"/outside/x/../../outside/x", kFollow, "native"},
      {"//lower/d/f", kFollow, "/lower/d/f"},
      {"/lower/out/x", kFollow, "outside:/outside/x"},
      {"/outside/in/out/x", kFollow, "outside:/outside/x"},
  };
  for (const auto& c : cases) {
    const std::string words = root() + c.path;
    EXPECT_EQ(resolve_for(caller(), UserPath(words.c_str()), c.flags), c.want) << c.path;
    EXPECT_EQ(resolve_for(elsewhere(), UserPath(words.c_str()), c.flags), c.want) << c.path;
  }
}

TEST_F(WalkTest, RelativePathsStartAtTheCurrentDirectory) {
  ASSERT_EQ(chdir(lower("/d").c_str()), 0);
  EXPECT_EQ(resolve("f"), "/lower/d/f");
  EXPECT_EQ(resolve("../link/to_f"), "/lower/d/f");
  EXPECT_EQ(resolve("../../outside/x"), "outside:/outside/x");
  ASSERT_EQ(chdir((root() + "/outside").c_str()), 0);
  EXPECT_EQ(resolve("x"), "native");
  EXPECT_EQ(resolve("in/d"), "/lower/d");
  EXPECT_EQ(resolve("../lower/d"), "/lower/d");
  ASSERT_EQ(chdir("/"), 0);
}

TEST_F(WalkTest, UpperDirectoriesMapBack) {
  std::filesystem::create_directories(upper("/d/new"));
  ASSERT_EQ(chdir(upper("/d/new").c_str()), 0);
  EXPECT_EQ(resolve("../f"), "/lower/d/f");
  EXPECT_EQ(resolve("."), "/lower/d/new");
  EXPECT_EQ(resolve("../../../outside/x"), "outside:/outside/x");
  ASSERT_EQ(chdir("/"), 0);
}

TEST_F(WalkTest, DescriptorsNameTheirDirectory) {
  int fd = open(lower("/d").c_str(), O_RDONLY | O_DIRECTORY);
  EXPECT_EQ(resolve("f", kFollow, fd), "/lower/d/f");
  EXPECT_EQ(resolve("", kEmptyPath, 9999), "/lower");  // the fixture makes "" the root's path
  EXPECT_EQ(resolve("f", kFollow, 9999), "E9");
  close(fd);
}

TEST_F(WalkTest, MagicLinksLeadToTheObject) {
  ASSERT_EQ(chdir("/"), 0);
  int fd = open(lower("/d/f").c_str(), O_RDONLY);
  EXPECT_EQ(resolve("proc/self/fd/" + std::to_string(fd)), "/lower/d/f");
  int pipes[2];
  ASSERT_EQ(pipe(pipes), 0);
  EXPECT_EQ(resolve("proc/self/fd/" + std::to_string(pipes[0])), "native");
  close(fd);
  close(pipes[0]);
  close(pipes[1]);
}

TEST_F(WalkTest, BeneathAndInRootKeepInside) {
  int fd = open(lower("/d").c_str(), O_RDONLY | O_DIRECTORY);
  EXPECT_EQ(resolve("sub/../f", kFollow | kBeneath, fd), "/lower/d/f");
  EXPECT_EQ(resolve("../link", kFollow | kBeneath, fd), "E18");
  EXPECT_EQ(resolve("../../f", kFollow | kInRoot, fd), "/lower/d/f");
  close(fd);
}

TEST_F(WalkTest, CurrentDirectoryMayBeDeeperThanPathMax) {
  const std::string name(250, 'x');
  ASSERT_EQ(chdir(lower().c_str()), 0);
  std::string want = "/lower";
  for (int i = 0; i < 20; i++) {
    ASSERT_EQ(mkdir(name.c_str(), 0755), 0);
    ASSERT_EQ(chdir(name.c_str()), 0);
    want += "/" + name;
  }
  write_file("leaf", "");
  EXPECT_EQ(resolve("leaf"), want + "/leaf");
  EXPECT_EQ(resolve("../leaf"), "!" + want.substr(0, want.size() - 251) + "/leaf");
  ASSERT_EQ(chdir("/"), 0);
}

TEST_F(WalkTest, LongNamesAreRefused) {
  EXPECT_EQ(resolve("/" + std::string(256, 'n')), "E36");
  EXPECT_EQ(resolve("/" + std::string(255, 'n')), "!/lower/" + std::string(255, 'n'));
}

}  // namespace
}  // namespace ovl::testing
