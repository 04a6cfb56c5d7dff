// Several processes and threads at once on the same names: each call happens entirely or not at
// all.
#include <string.h>

#include <algorithm>
#include <thread>

#include "tests/syscalls/tree.h"

namespace syscalls {
namespace {

constexpr int kProcesses = 6;

class Together : public Tree {
 protected:
  // Runs body(number) in kProcesses processes that start together; their exit statuses.
  template <class Body>
  static std::vector<int> in_processes(Body body) {
    int start[2];
    if (pipe(start) < 0) abort();
    fflush(nullptr);
    std::vector<pid_t> children;
    for (int i = 0; i < kProcesses; i++) {
      pid_t child = fork();
      if (child == 0) {
        close(start[1]);
        char c;
        (void)!read(start[0], &c, 1);  // until the other end is closed
        _exit(body(i));
      }
      children.push_back(child);
    }
    close(start[0]);
    close(start[1]);
    std::vector<int> results;
    for (pid_t child : children) {
      int status = 0;
      waitpid(child, &status, 0);
      results.push_back(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
    }
    return results;
  }
  static std::vector<int> all(int value) { return std::vector<int>(kProcesses, value); }
};

TEST_F(Together, OneMakesAFile) {
  for (int round = 0; round < 20; round++) {
    const std::string path = "dir/new" + std::to_string(round);
    auto results = in_processes([&](int) {
      int fd = t_open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL, 0644);
      return fd >= 0 ? 0 : errno == EEXIST ? 1 : 2;
    });
    EXPECT_EQ(1, std::count(results.begin(), results.end(), 0)) << path;
    EXPECT_EQ(kProcesses - 1, std::count(results.begin(), results.end(), 1)) << path;
  }
}

TEST_F(Together, OneMakesADirectoryInTheLower) {
  for (int round = 0; round < 20; round++) {
    const std::string path = "dir/sub/deeper/new" + std::to_string(round);
    auto results = in_processes([&](int) {
      return t_mkdir(path.c_str(), 0755) == 0 ? 0 : errno == EEXIST ? 1 : 2;
    });
    EXPECT_EQ(1, std::count(results.begin(), results.end(), 0)) << path;
    EXPECT_EQ(kProcesses - 1, std::count(results.begin(), results.end(), 1)) << path;
  }
}

TEST_F(Together, OneRemovesAFile) {
  auto results = in_processes([](int) {
    return t_unlink("dir/a") == 0 ? 0 : errno == ENOENT ? 1 : 2;
  });
  EXPECT_EQ(1, std::count(results.begin(), results.end(), 0));
  EXPECT_EQ(kProcesses - 1, std::count(results.begin(), results.end(), 1));
}

TEST_F(Together, AllAppendToOneFile) {
  Identity before = identity("dir/sub/deeper/z");
  EXPECT_EQ(all(0), in_processes([](int i) {
              for (int k = 0; k < 50; k++) {
                int fd = t_open("dir/sub/deeper/z", O_WRONLY | O_APPEND);
                const std::string line = std::to_string(i) + "\n";
                if (fd < 0 || write(fd, line.data(), line.size()) != ssize_t(line.size())) return 1;
                close(fd);
              }
              return 0;
            }));
  const std::string content = content_of("dir/sub/deeper/z");
  EXPECT_EQ("z\n", content.substr(0, 2));
  EXPECT_EQ(kProcesses * 50 + 1, std::count(content.begin(), content.end(), '\n'));
  EXPECT_EQ(before, identity("dir/sub/deeper/z"));
}

TEST_F(Together, AllChangeOneLowerFileEachInItsWay) {
  EXPECT_EQ(all(0), in_processes([](int i) {
              const timespec times[2] = {{1, 0}, {2, 0}};
              int result = 0;
              switch (i) {
                case 0:
                  result = t_chmod("big", 0600);
                  break;
                case 1:
                  result = close(t_open("big", O_RDWR));
                  break;
                case 2:
                  result = t_utimensat(AT_FDCWD, "big", times, 0);
                  break;
                case 3:
                  result = t_link("big", "big2");
                  break;
                case 4:
                  result = t_chmod("big", 0600);
                  break;
                case 5:
                  result = t_access("big", R_OK);
                  break;
              }
              return result == 0 ? 0 : 1;
            }));
  EXPECT_EQ(mode_t(S_IFREG | 0600), stat_of("big").st_mode);
  EXPECT_EQ(kBigSize, stat_of("big").st_size);
  EXPECT_EQ(kBigSize, off_t(content_of("big2").size()));
  EXPECT_EQ(identity("big"), identity("big2"));
}

TEST_F(Together, ManyFilesInOneDirectory) {
  EXPECT_EQ(all(0), in_processes([](int i) {
              for (int k = 0; k < 100; k++) {
                const std::string path = "dir/" + std::to_string(i) + "." + std::to_string(k);
                int fd = t_open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL, 0644);
                if (fd < 0 || close(fd) < 0) return 1;
                if (k % 2 && t_unlink(path.c_str()) < 0) return 2;
                if (k % 4 == 2 &&
                    t_rename(path.c_str(),
                             ("dir2/" + std::to_string(i) + "." + std::to_string(k)).c_str()) < 0)
                  return 3;
              }
              return 0;
            }));
  EXPECT_EQ(7 + size_t(kProcesses) * 25, names_in("dir").size());
  EXPECT_EQ(2 + size_t(kProcesses) * 25, names_in("dir2").size());
}

TEST_F(Together, AFileRenamedToAndFroIsAlwaysThere) {
  auto results = in_processes([](int i) {
    for (int k = 0; k < 200; k++) {
      if (i == 0) {
        if (t_rename("file", "other") < 0 || t_rename("other", "file") < 0) return 1;
      } else {
        struct stat st;
        bool first = t_stat("file", &st) == 0, second = t_stat("other", &st) == 0;
        if (!first && !second && t_stat("file", &st) < 0 && errno != ENOENT) return 2;
        int fd = t_open("file", O_RDONLY);
        if (fd >= 0) {
          char c[6] = {};
          if (read(fd, c, 5) != 5 || strcmp(c, "hello") != 0) return 3;
          close(fd);
        } else if (errno != ENOENT) {
          return 4;
        }
      }
    }
    return 0;
  });
  EXPECT_EQ(all(0), results);
  EXPECT_EQ("hello lower\n", content_of("file"));
}

TEST_F(Together, AFileThatIsReplacedIsNeverAbsent) {
  EXPECT_EQ(all(0), in_processes([](int i) {
              for (int k = 0; k < 100; k++) {
                if (i < 2) {
                  const std::string mine = "new" + std::to_string(i);
                  int fd = t_open(mine.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
                  if (fd < 0 || write(fd, "hello again\n", 12) != 12 || close(fd) < 0) return 1;
                  if (t_rename(mine.c_str(), "file") < 0) return 2;
                } else {
                  int fd = t_open("file", O_RDONLY);
                  char c[6] = {};
                  if (fd < 0) return 3;
                  if (read(fd, c, 5) != 5 || strcmp(c, "hello") != 0) return 4;
                  close(fd);
                }
              }
              return 0;
            }));
}

TEST_F(Together, ADirectoryMovesWhileOthersWorkInIt) {
  EXPECT_EQ(all(0), in_processes([](int i) {
              if (i == 0) {
                for (int k = 0; k < 20; k++) {
                  if (t_rename("dir", "moved") < 0) return 1;
                  if (t_rename("moved", "dir") < 0) return 2;
                }
                return 0;
              }
              int at = t_open("dir", O_RDONLY | O_DIRECTORY);
              for (int tries = 0; at < 0 && tries < 1000; tries++)
                at = t_open(tries % 2 ? "dir" : "moved", O_RDONLY | O_DIRECTORY);
              if (at < 0) return 3;
              for (int k = 0; k < 40; k++) {
                const std::string name = std::to_string(i) + "." + std::to_string(k);
                int fd = t_openat(at, name.c_str(), O_WRONLY | O_CREAT | O_EXCL, 0644);
                if (fd < 0 || close(fd) < 0) return 4;
                struct stat st;
                if (t_fstatat(at, name.c_str(), &st, 0) < 0) return 5;
                if (t_unlinkat(at, name.c_str(), 0) < 0) return 6;
              }
              return 0;
            }));
  EXPECT_EQ((Names{"a", "b", "c", "sub", "link", "up", "hard3"}), names_in("dir"));
}

TEST_F(Together, ATreeIsRemovedByAllAtOnce) {
  EXPECT_EQ(all(0), in_processes([](int) {
              for (const char* path : {"dir/a", "dir/b", "dir/c", "dir/link", "dir/up", "dir/hard3",
                                       "dir/sub/x", "dir/sub/y", "dir/sub/deeper/z"}) {
                if (t_unlink(path) < 0 && errno != ENOENT) return 1;
              }
              for (const char* path : {"dir/sub/deeper", "dir/sub", "dir"}) {
                if (t_rmdir(path) < 0 && errno != ENOENT && errno != ENOTEMPTY) return 2;
              }
              return 0;
            }));
  EXPECT_FALSE(exists("dir"));
}

TEST_F(Together, ThreadsShareADirectory) {
  std::vector<std::thread> threads;
  std::vector<int> failures(kProcesses, 0);
  for (int i = 0; i < kProcesses; i++) {
    threads.emplace_back([i, &failures] {
      for (int k = 0; k < 100; k++) {
        const std::string path = "dir/sub/" + std::to_string(i) + "." + std::to_string(k);
        int fd = t_open(path.c_str(), O_RDWR | O_CREAT | O_EXCL, 0644);
        failures[size_t(i)] += fd < 0 || write(fd, "x", 1) != 1 || close(fd) < 0;
        fd = t_open("dir/sub/x", O_RDWR);
        failures[size_t(i)] += fd < 0 || close(fd) < 0;
        failures[size_t(i)] += t_unlink(path.c_str()) < 0;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(std::vector<int>(kProcesses, 0), failures);
  EXPECT_EQ((Names{"x", "y", "deeper"}), names_in("dir/sub"));
}

}  // namespace
}  // namespace syscalls
