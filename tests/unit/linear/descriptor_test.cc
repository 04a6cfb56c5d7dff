// What is asked by a descriptor is told of the file that is open, whatever becomes of its name
// meanwhile.
#include <sys/syscall.h>

#include "core/ops/follow.h"
#include "tests/unit/linear/gate_hook.h"
#include "tests/unit/names/names_test.h"

namespace ovl::testing {
namespace {

class Descriptor : public NamesTest {
 protected:
  void expect_read(long fd, const std::string& content, int n) {
    Op op(caller(), session());
    follow_if_stale(op);
    char text[16] = "";
    EXPECT_GE(pread(static_cast<int>(fd), text, sizeof text - 1, 0), 0);
    EXPECT_EQ(text, content) << "at call " << n;
  }

  // Before each system call of an fstat in turn.
  void expect_own_file(const std::function<void(const std::string& name, int n)>& meanwhile) {
    constexpr int kMost = 200;
    for (int i = 0; i < kMost; i++) {
      write_file(lower("/f" + std::to_string(i)), "lower");
      write_file(lower("/other" + std::to_string(i)), "another one");
      make_lower_dir("/d" + std::to_string(i));
    }
    start();
    const linear::GateHook hook;
    bool all = false;
    for (int n = 0; n < kMost && !all; n++) {
      const std::string name = "/f" + std::to_string(n);
      const long fd = open_fd(name, O_RDWR | O_CLOEXEC);
      ASSERT_GE(fd, 0);
      int count = 0;
      linear::BeforeCall change = [&](long, const char*) {
        if (count++ == n) meanwhile(name, n);
      };
      linear::GateHook::set(&change);
      struct stat st = {};
      const long told = run<op_fstat>(static_cast<int>(fd), UserBuf(&st));
      linear::GateHook::set(nullptr);
      all = count <= n;
      if (told == kNative)
        EXPECT_EQ(fstat(static_cast<int>(fd), &st), 0);
      else
        EXPECT_EQ(told, 0) << "at call " << n;
      EXPECT_TRUE(S_ISREG(st.st_mode)) << "at call " << n;
      EXPECT_EQ(st.st_size, 5) << "at call " << n;
      close(static_cast<int>(fd));
    }
    EXPECT_TRUE(all);
  }
};

TEST_F(Descriptor, IsOnItsFileAfterAnotherOneHasGotTheName) {
  expect_own_file([this](const std::string& name, int) {
    ASSERT_EQ(remove(name), 0);
    ASSERT_EQ(write_new(name, "longer than that"), 0);
  });
}

TEST_F(Descriptor, IsOnItsFileAfterADirectoryHasGotTheName) {
  expect_own_file([this](const std::string& name, int) {
    ASSERT_EQ(remove(name), 0);
    ASSERT_EQ(make_dir(name), 0);
  });
}

TEST_F(Descriptor, IsOnItsFileAfterThatHasChangedNamesWithAnotherOne) {
  expect_own_file([this](const std::string& name, int n) {
    ASSERT_EQ(move(name, "/other" + std::to_string(n), RENAME_EXCHANGE), 0);
  });
}

TEST_F(Descriptor, IsOnItsFileAfterThatHasChangedNamesWithADirectory) {
  expect_own_file([this](const std::string& name, int n) {
    ASSERT_EQ(move(name, "/d" + std::to_string(n), RENAME_EXCHANGE), 0);
  });
}

TEST_F(Descriptor, IsOnItsFileAfterThatWasMovedAway) {
  expect_own_file([this](const std::string& name, int n) {
    ASSERT_EQ(move(name, "/d" + std::to_string(n) + "/f"), 0);
  });
}

// Between two system calls it is a whiteout, which only root may try to open.
TEST_F(Descriptor, OpensWhatIsRemovedAndMadeAgain) {
  constexpr int kMost = 100;
  for (int i = 0; i < kMost; i++) {
    write_file(lower("/f" + std::to_string(i)), "lower");
    write_file(lower("/l" + std::to_string(i)), "lower");
  }
  if (geteuid() == 0) {
    start();
    GTEST_SKIP() << "root may open what it likes";
  }
  start();
  const linear::GateHook hook;
  for (const char* kind : {"/f", "/l"}) {
    bool all = false;
    for (int n = 0; n < kMost && !all; n++) {
      const std::string name = kind + std::to_string(n);
      if (kind[1] == 'f') {
        ASSERT_EQ(try_open(name, O_RDWR), 0);
      }
      int count = 0;
      linear::BeforeCall change = [&](long, const char*) {
        if (count == n) {
          EXPECT_EQ(remove(name), 0);
        } else if (count == n + 1) {
          EXPECT_EQ(write_new(name, "new"), 0);
        }
        count++;
      };
      linear::GateHook::set(&change);
      const long fd = open_fd(name, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
      linear::GateHook::set(nullptr);
      all = count <= n + 1;
      EXPECT_GE(fd, 0) << name << " at call " << n;
      if (fd >= 0) close(static_cast<int>(fd));
    }
    EXPECT_TRUE(all);
  }
}

// What got a directory's name is without its data in the upper.
TEST_F(Descriptor, OfWhatGotADirectorysNameHasItsData) {
  constexpr int kMost = 100;
  for (int i = 0; i < kMost; i++) {
    write_file(lower("/f" + std::to_string(i)), "lower");
    make_lower_dir("/d" + std::to_string(i));
  }
  start();
  ASSERT_EQ(move("/f99", "/moved"), 0);  // a metacopy that was there before
  const linear::GateHook hook;
  bool all = false;
  for (int n = 0; n < kMost && !all; n++) {
    const std::string name = "/d" + std::to_string(n);
    ASSERT_EQ(try_open(name + "/new", O_RDWR | O_CREAT, 0644), 0);
    int count = 0;
    linear::BeforeCall change = [&](long, const char*) {
      if (count++ != n) return;
      EXPECT_EQ(move(name, "/f" + std::to_string(n), RENAME_EXCHANGE), 0);
    };
    linear::GateHook::set(&change);
    const long fd = open_fd(name, O_RDONLY | O_CLOEXEC);
    linear::GateHook::set(nullptr);
    all = count <= n;
    ASSERT_GE(fd, 0) << "at call " << n;
    struct stat st = {};
    EXPECT_EQ(fstat(static_cast<int>(fd), &st), 0);
    char text[6] = "";
    if (S_ISREG(st.st_mode)) {
      EXPECT_EQ(pread(static_cast<int>(fd), text, 5, 0), 5);
      EXPECT_STREQ(text, "lower") << "at call " << n;
    }
    close(static_cast<int>(fd));
  }
  EXPECT_TRUE(all);
}

TEST_F(Descriptor, IsOnNoWhiteout) {
  constexpr int kMost = 100;
  for (int i = 0; i < kMost; i++) write_file(lower("/f" + std::to_string(i)), "lower");
  start();
  const linear::GateHook hook;
  bool all = false;
  for (int n = 0; n < kMost && !all; n++) {
    const std::string name = "/f" + std::to_string(n);
    ASSERT_EQ(try_open(name, O_RDWR), 0);
    int count = 0;
    linear::BeforeCall change = [&](long, const char*) {
      if (count++ != n) return;
      EXPECT_EQ(remove(name), 0);
    };
    linear::GateHook::set(&change);
    const long fd = open_fd(name, O_PATH | O_CLOEXEC);
    linear::GateHook::set(nullptr);
    all = count <= n;
    if (fd < 0) {
      EXPECT_EQ(fd, -ENOENT) << "at call " << n;
      continue;
    }
    struct stat st = {};
    EXPECT_EQ(fstat(static_cast<int>(fd), &st), 0);
    EXPECT_EQ(st.st_size, 5) << "at call " << n;
    close(static_cast<int>(fd));
  }
  EXPECT_TRUE(all);
}

// Who looks by a name that is removed meanwhile sees what was there, or that there is nothing: not
// the whiteout.
TEST_F(Descriptor, NorDoesAnybodySeeAWhiteoutByItsName) {
  constexpr int kMost = 60;
  const char* const kinds[] = {"link", "directory", "access", "attribute"};
  const auto look = [&](const std::string& kind, const std::string& name) -> long {
    char buffer[64];
    if (kind == "link") return run<op_readlinkat>(AT_FDCWD, path(name), UserBuf(buffer), 64);
    if (kind == "directory") return run<op_chdir>(path(name));
    if (kind == "access") return run<op_faccessat2>(AT_FDCWD, path(name), X_OK, 0);
    return run<op_getxattr>(path(name), UserPath("user.mark"), UserBuf(buffer), sizeof buffer);
  };
  for (int i = 0; i < kMost; i++) {
    const std::string n = std::to_string(i);
    symlink("text", lower("/link" + n).c_str());
    make_lower_dir("/directory" + n);
    for (const char* kind : {"/access", "/attribute"}) {
      write_file(lower(kind + n), "lower");
      chmod(lower(kind + n).c_str(), 0755);
      ASSERT_EQ(setxattr(lower(kind + n).c_str(), "user.mark", "1", 1, 0), 0);
    }
  }
  start();
  const linear::GateHook hook;
  for (const std::string kind : kinds) {
    bool all = false;
    for (int n = 0; n < kMost && !all; n++) {
      const std::string name = "/" + kind + std::to_string(n);
      const bool directory = kind == "directory";
      // In the upper, over the lower's.
      const timespec times[2] = {{1, 0}, {1, 0}};
      ASSERT_EQ(run<op_utimensat>(AT_FDCWD, path(name), UserBuf(const_cast<timespec*>(times)),
                                  AT_SYMLINK_NOFOLLOW),
                0);
      int count = 0;
      linear::BeforeCall change = [&](long, const char*) {
        if (count++ != n) return;
        EXPECT_EQ(directory ? remove_dir(name) : remove(name), 0);
      };
      linear::GateHook::set(&change);
      const long told = look(kind, name);
      linear::GateHook::set(nullptr);
      all = count <= n;
      if (told < 0) {
        EXPECT_EQ(told, -ENOENT) << name << " at call " << n;
      }
      if (directory && told >= 0) {
        ASSERT_EQ(chdir("/"), 0);
      }
    }
    EXPECT_TRUE(all) << kind;
  }
}

// What others write, also between two of the calls that an open makes, everybody reads who asks
// afterwards; also where another thread has looked for stale descriptors already.
TEST_F(Descriptor, ThatIsOpenedWhileDataComesHasThem) {
  constexpr int kMost = 60;
  for (int i = 0; i < kMost; i++) write_file(lower("/f" + std::to_string(i)), "old");
  start();
  const linear::GateHook hook;
  bool all = false;
  for (int n = 0; n < kMost && !all; n++) {
    const std::string name = "/f" + std::to_string(n);
    const long earlier = open_fd(name, O_RDONLY | O_CLOEXEC);
    ASSERT_GE(earlier, 0);
    int count = 0;
    linear::BeforeCall change = [&](long, const char*) {
      if (count++ != n) return;
      EXPECT_EQ(write_new(name, "new", O_WRONLY), 0);
      expect_read(earlier, "new", n);
    };
    linear::GateHook::set(&change);
    const long fd = open_fd(name, O_RDONLY | O_CLOEXEC);
    linear::GateHook::set(nullptr);
    all = count <= n;
    ASSERT_GE(fd, 0) << "at call " << n;
    if (!all) expect_read(fd, "new", n);
    close(static_cast<int>(fd));
    close(static_cast<int>(earlier));
  }
  EXPECT_TRUE(all);
}

TEST_F(Descriptor, FollowsACopyThatIsRenamedMeanwhile) {
  constexpr int kMost = 100;
  for (int i = 0; i < kMost; i++) write_file(lower("/f" + std::to_string(i)), "old");
  start();
  const linear::GateHook hook;
  bool all = false;
  for (int n = 0; n < kMost && !all; n++) {
    const std::string name = "/f" + std::to_string(n), moved = name + ".moved";
    const long fd = open_fd(name, O_RDONLY | O_CLOEXEC);
    ASSERT_GE(fd, 0);
    EXPECT_EQ(write_new(name, "new", O_WRONLY), 0);
    EXPECT_EQ(move(name, moved), 0);
    int count = 0;
    linear::BeforeCall change = [&](long, const char*) {
      if (count++ != n) return;
      EXPECT_EQ(move(moved, name), 0);
    };
    linear::GateHook::set(&change);
    {
      Op op(caller(), session());
      follow_if_stale(op);
    }
    linear::GateHook::set(nullptr);
    all = count <= n;
    char text[4] = "";
    EXPECT_EQ(pread(static_cast<int>(fd), text, 3, 0), 3);
    EXPECT_STREQ(text, "new") << "at call " << n;
    close(static_cast<int>(fd));
  }
  EXPECT_TRUE(all);
}

// A copy-up's own descriptor on the lower's file is none that follows the copy.
TEST_F(Descriptor, OfACopyUpStaysOnTheLower) {
  constexpr int kMost = 10;
  for (int i = 0; i < kMost; i++) write_file(lower("/f" + std::to_string(i)), "lower");
  start();
  const linear::GateHook hook;
  bool all = false;
  for (int n = 0; n < kMost && !all; n++) {
    const std::string name = "/f" + std::to_string(n);
    const long reader = open_fd(name, O_RDONLY | O_CLOEXEC);
    ASSERT_GE(reader, 0);
    int count = 0;
    linear::BeforeCall change = [&](long number, const char*) {
      if (number != SYS_lseek || count++ != n) return;
      EXPECT_EQ(try_open(name, O_RDWR | O_TRUNC), 0);
      Op op(caller(), session());
      follow_if_stale(op);
      struct stat st = {};
      EXPECT_EQ(fstat(static_cast<int>(reader), &st), 0);
      EXPECT_EQ(st.st_size, 0) << "it has not followed";
    };
    linear::GateHook::set(&change);
    const long fd = open_fd(name, O_RDWR | O_CLOEXEC);
    linear::GateHook::set(nullptr);
    all = count <= n;
    EXPECT_GE(fd, 0) << "at call " << n;
    close(static_cast<int>(fd));
    close(static_cast<int>(reader));
  }
  EXPECT_TRUE(all);
}

}  // namespace
}  // namespace ovl::testing
