// Several tasks at the same names: each call gives a result that some order of the calls explains,
// and nothing is left behind.
#include <atomic>
#include <thread>

#include "tests/unit/names/names_test.h"

namespace ovl::testing {
namespace {

class Concurrent : public NamesTest {
 protected:
  // Paths of its own per thread: path() is not for several.
  long call_open(const std::string& p, int flags) {
    return run<op_openat>(AT_FDCWD, UserPath(p.c_str()), flags, static_cast<mode_t>(0644));
  }
  template <class Body>
  static void in_threads(int count, Body body) {
    std::vector<std::thread> threads;
    for (int i = 0; i < count; i++) threads.emplace_back(body, i);
    for (std::thread& t : threads) t.join();
  }
};

TEST_F(Concurrent, ExclusiveCreationHasOneWinner) {
  write_file(lower("/w"), "x");
  start();
  ASSERT_EQ(remove("/w"), 0);
  for (const char* rest : {"/plain", "/w"}) {
    std::atomic<int> winners = 0, losers = 0;
    const std::string p = at(rest);
    in_threads(4, [&](int) {
      const long fd = call_open(p, O_WRONLY | O_CREAT | O_EXCL);
      if (fd >= 0) close(static_cast<int>(fd));
      if (fd >= 0) winners++;
      if (fd == -EEXIST) losers++;
    });
    EXPECT_EQ(winners, 1) << rest;
    EXPECT_EQ(losers, 3) << rest;
  }
}

TEST_F(Concurrent, WhereWhiteoutsAreFilesNobodyReadsOne) {
  write_file(lower("/f"), "content");
  Options options;
  options.can_whiteout_device = false;
  start(options);
  const std::string f = at("/f"), g = at("/g");
  std::atomic<int> opened = 0, odd = 0;
  in_threads(4, [&](int i) {
    for (int k = 0; k < 1000; k++) {
      if (i == 0) {
        run<op_renameat2>(AT_FDCWD, UserPath(f.c_str()), AT_FDCWD, UserPath(g.c_str()), 0u);
        run<op_renameat2>(AT_FDCWD, UserPath(g.c_str()), AT_FDCWD, UserPath(f.c_str()), 0u);
        continue;
      }
      const long fd = call_open(f, O_RDONLY);
      if (fd == -ENOENT) continue;
      char bytes[8] = {};
      if (fd < 0 || read(static_cast<int>(fd), bytes, sizeof bytes) != 7) odd++;
      if (fd >= 0) close(static_cast<int>(fd));
      opened++;
    }
  });
  EXPECT_GT(opened, 0);
  EXPECT_EQ(odd, 0);
}

TEST_F(Concurrent, CreationWithoutExclAlwaysSucceeds) {
  write_file(lower("/f"), "x");
  start();
  const std::string p = at("/f");
  std::atomic<int> failures = 0;
  in_threads(4, [&](int i) {
    for (int k = 0; k < 100; k++) {
      if (i == 0) {
        const long r = run<op_unlinkat>(AT_FDCWD, UserPath(p.c_str()), 0);
        if (r != 0 && r != -ENOENT) failures++;
      } else {
        const long fd = call_open(p, O_RDWR | O_CREAT);
        if (fd >= 0)
          close(static_cast<int>(fd));
        else
          failures++;
      }
    }
  });
  EXPECT_EQ(failures, 0);
  EXPECT_EQ(read_file(lower("/f")), "x");
}

TEST_F(Concurrent, DirectoriesMoveWhileFilesAreMadeInThem) {
  std::filesystem::create_directories(lower("/a/deep/er"));
  start();
  const std::string a = at("/a"), b = at("/b");
  std::atomic<int> odd = 0;
  in_threads(4, [&](int i) {
    for (int k = 0; k < 60; k++) {
      if (i == 0) {
        run<op_renameat2>(AT_FDCWD, UserPath(a.c_str()), AT_FDCWD, UserPath(b.c_str()), 0u);
        run<op_renameat2>(AT_FDCWD, UserPath(b.c_str()), AT_FDCWD, UserPath(a.c_str()), 0u);
        continue;
      }
      const std::string p = at("/a/deep/er/f") + std::to_string(i) + "_" + std::to_string(k);
      const long fd = call_open(p, O_WRONLY | O_CREAT | O_EXCL);
      if (fd >= 0)
        close(static_cast<int>(fd));
      else if (fd != -ENOENT)
        odd = static_cast<int>(fd);
    }
  });
  EXPECT_EQ(odd, 0);
  EXPECT_TRUE(there("/a/deep/er"));
  EXPECT_TRUE(std::filesystem::is_empty(lower("/a/deep/er")));
}

TEST_F(Concurrent, RenameAndCopyUpExcludeOneAnother) {
  start();
  for (int k = 0; k < 20; k++) write_file(lower("/f" + std::to_string(k)), std::string(5000, 'x'));
  in_threads(3, [&](int i) {
    for (int k = 0; k < 20; k++) {
      const std::string from = at("/f" + std::to_string(k)), to = at("/g" + std::to_string(k));
      if (i == 0) {
        EXPECT_EQ(
            run<op_renameat2>(AT_FDCWD, UserPath(from.c_str()), AT_FDCWD, UserPath(to.c_str()), 0u),
            0);
        EXPECT_EQ(run<op_unlinkat>(AT_FDCWD, UserPath(to.c_str()), 0), 0);
      } else {
        const long fd = call_open(from, O_RDWR);
        EXPECT_TRUE(fd >= 0 || fd == -ENOENT) << fd;
        if (fd >= 0) close(static_cast<int>(fd));
      }
    }
  });
  for (int k = 0; k < 20; k++) {
    EXPECT_FALSE(there("/f" + std::to_string(k))) << "resurrected";
    EXPECT_FALSE(there("/g" + std::to_string(k)));
  }
}

TEST_F(Concurrent, MakingAndRemovingOneDirectory) {
  std::filesystem::create_directories(lower("/d"));
  start();
  const std::string d = at("/d"), f = at("/d/f");
  std::atomic<int> odd = 0;
  in_threads(4, [&](int i) {
    for (int k = 0; k < 60; k++) {
      long r = 0;
      if (i == 0)
        r = run<op_mkdirat>(AT_FDCWD, UserPath(d.c_str()), static_cast<mode_t>(0755));
      else if (i == 1)
        r = run<op_unlinkat>(AT_FDCWD, UserPath(d.c_str()), AT_REMOVEDIR);
      else if (i == 2)
        r = run<op_unlinkat>(AT_FDCWD, UserPath(f.c_str()), 0);
      else if ((r = call_open(f, O_WRONLY | O_CREAT)) >= 0)
        close(static_cast<int>(r));
      if (r < 0 && r != -EEXIST && r != -ENOENT && r != -ENOTEMPTY) odd++;
    }
  });
  EXPECT_EQ(odd, 0);
}

TEST_F(Concurrent, DataComesToAMetacopyWhileItGoes) {
  constexpr int kFiles = 100;
  for (int k = 0; k < kFiles; k++) write_file(lower("/f" + std::to_string(k)), "data");
  start();
  std::atomic<int> odd = 0;
  in_threads(4, [&](int i) {
    for (int k = 0; k < kFiles; k++) {
      const std::string p = at("/f") + std::to_string(k);
      long r = 0;
      if (i == 0)
        r = run<op_fchmodat2>(AT_FDCWD, UserPath(p.c_str()), static_cast<mode_t>(0600), 0);
      else if (i == 1)
        r = run<op_unlinkat>(AT_FDCWD, UserPath(p.c_str()), 0);
      else
        r = run<op_truncate>(UserPath(p.c_str()), off_t{3});
      if (r != 0 && r != -ENOENT) odd++;
    }
  });
  EXPECT_EQ(odd, 0);
  for (int k = 0; k < kFiles; k++) EXPECT_FALSE(there("/f" + std::to_string(k)));
}

TEST_F(Concurrent, NamesThatAreNowALinkAndNowAFile) {
  start();
  write_file(lower("/target"), "x");
  const std::string file = at("/file"), link = at("/link"), p = at("/p");
  close(static_cast<int>(call_open(file, O_WRONLY | O_CREAT)));
  ASSERT_EQ(run<op_symlinkat>(UserPath("target"), AT_FDCWD, UserPath(link.c_str())), 0);
  close(static_cast<int>(call_open(p, O_WRONLY | O_CREAT)));
  std::atomic<bool> done = false;
  std::atomic<int> odd = 0;
  in_threads(3, [&](int i) {
    if (i != 0) {
      for (int k = 0; k < 2000; k++) {
        const long fd = call_open(p, O_RDONLY);
        if (fd >= 0)
          close(static_cast<int>(fd));
        else
          odd++;
      }
      done = true;
      return;
    }
    while (!done)
      run<op_renameat2>(AT_FDCWD, UserPath(p.c_str()), AT_FDCWD, UserPath(link.c_str()),
                        unsigned{RENAME_EXCHANGE});
  });
  EXPECT_EQ(odd, 0);
}

}  // namespace
}  // namespace ovl::testing
