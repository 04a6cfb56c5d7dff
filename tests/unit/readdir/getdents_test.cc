// getdents64(2) and getdents(2) as programs use them: chunks, seeking, removing while reading.
#include <sys/wait.h>

#include <atomic>
#include <thread>
#include <unordered_map>

#include "core/readdir/position.h"
#include "tests/unit/readdir/support.h"

namespace ovl::testing {
namespace {

class Getdents : public ListingTest {
 protected:
  // `count` names, every other one in the upper, some in both.
  Names merged(int count) {
    Names all;
    for (int i = 0; i < count; i++) {
      const std::string name = "entry" + std::to_string(i);
      if (i % 2 == 0 || i % 5 == 0) write_file(lower("/" + name), "");
      all.insert(name);
    }
    start();
    for (int i = 0; i < count; i++)
      if (i % 2 != 0) write_file(upper("/entry" + std::to_string(i)), "");
    return all;
  }
  // As unlink through the overlay would.
  void remove(const std::string& rest) {
    unlink(upper(rest).c_str());
    if (exists(lower(rest))) whiteout(rest);
  }
};

TEST_F(Getdents, AnUntouchedLowerDirectoryIsReadNatively) {
  make_dir(lower("/d"));
  write_file(lower("/d/x"), "");
  start();
  const int fd = open_dir("/d");
  EXPECT_EQ(read_all(fd, 4096), (Names{"x"}));
  EXPECT_GT(natives_, 0);
  close(fd);
}

TEST_F(Getdents, AnythingElseIsTheKernels) {
  write_file(lower("/file"), "");
  start();
  char buffer[64];
  const int file = ::open(lower("/file").c_str(), O_RDONLY),
            outside = ::open("/", O_RDONLY | O_DIRECTORY);
  EXPECT_EQ(run<op_getdents64>(unsigned(file), UserBuf(buffer), 64u), kNative);
  EXPECT_EQ(run<op_getdents64>(unsigned(outside), UserBuf(buffer), 64u), kNative);
  EXPECT_EQ(run<op_getdents64>(unsigned(-1), UserBuf(buffer), 64u), -EBADF);
  close(file);
  close(outside);
}

TEST_F(Getdents, ChunksOfEverySizeHaveEachNameOnce) {
  const Names all = merged(300);
  for (unsigned size : {32u, 40u, 100u, 1000u, 4096u, 32768u, 131072u}) {
    const int fd = open_dir();
    EXPECT_EQ(read_all(fd, size), all) << size;
    EXPECT_TRUE(chunk(fd, size).empty());
    close(fd);
  }
  EXPECT_EQ(natives_, 0);
}

TEST_F(Getdents, TooSmallABufferIsAnError) {
  merged(10);
  const int fd = open_dir();
  char buffer[4096];
  EXPECT_EQ(getdents(fd, buffer, 0), -EINVAL);
  EXPECT_EQ(getdents(fd, buffer, 23), -EINVAL);
  EXPECT_EQ(getdents(fd, buffer, 24), 24);  // "."
  EXPECT_EQ(getdents(fd, buffer, 24), 24);  // ".."
  EXPECT_EQ(getdents(fd, buffer, 24), -EINVAL);
  EXPECT_EQ(getdents(fd, buffer, unsigned{INT_MAX} + 1), -EINVAL);
  EXPECT_EQ(run<op_getdents64>(unsigned(fd), UserBuf(uintptr_t{8}), 4096u), -EFAULT);
  EXPECT_EQ(read_all(open_dir(), 4096).size(), 10u);
  // The failures moved nothing.
  Names rest;
  for (std::vector<Seen> seen; !(seen = chunk(fd, 4096)).empty();)
    for (const Seen& e : seen) rest.insert(e.name);
  EXPECT_EQ(rest.size(), 10u);
  close(fd);
}

TEST_F(Getdents, SeekingToAnOffsetGoesOnBehindThatEntry) {
  const Names all = merged(50);
  const int fd = open_dir();
  std::vector<Seen> listed;
  for (std::vector<Seen> seen; !(seen = chunk(fd, 200)).empty();)
    listed.insert(listed.end(), seen.begin(), seen.end());
  ASSERT_EQ(listed.size(), all.size() + 2);
  for (size_t i = 0; i + 1 < listed.size(); i++) {
    ASSERT_EQ(lseek(fd, static_cast<off_t>(listed[i].off), SEEK_SET),
              static_cast<off_t>(listed[i].off));
    EXPECT_EQ(chunk(fd, 300).at(0).name, listed[i + 1].name);
  }
  lseek(fd, static_cast<off_t>(listed.back().off), SEEK_SET);
  EXPECT_TRUE(chunk(fd, 300).empty());
  close(fd);
}

TEST_F(Getdents, OffsetsStayTrueWhileOthersComeAndGo) {
  merged(200);
  const int fd = open_dir();
  std::unordered_map<std::string, uint64_t> before;
  uint64_t position = 0;
  for (std::vector<Seen> seen; !(seen = chunk(fd, 4096)).empty();)
    for (const Seen& e : seen) {
      before[e.name] = position;
      position = e.off;
    }
  for (int i = 0; i < 200; i += 3) remove("/entry" + std::to_string(i));
  for (int i = 0; i < 100; i++) write_file(upper("/late" + std::to_string(i)), "");
  for (int i = 1; i < 200; i += 3) {
    const std::string name = "entry" + std::to_string(i);
    lseek(fd, static_cast<off_t>(before[name]), SEEK_SET);
    EXPECT_EQ(chunk(fd, 4096).at(0).name, name);
  }
  close(fd);
}

// Another descriptor's listing is in memory, of the time before.
TEST_F(Getdents, SeekingShowsWhatThereIsNow) {
  Names all = merged(50);
  const int other = open_dir(), fd = open_dir();
  for (int i = 0; i < 100; i++) {
    lseek(other, 0, SEEK_SET);
    ASSERT_FALSE(chunk(other, 200).empty());
    const std::string made = "made" + std::to_string(i), gone = "entry" + std::to_string(i / 2);
    write_file(upper("/" + made), "");
    all.insert(made);
    remove("/" + gone);
    all.erase(gone);
    Names shown;
    lseek(fd, static_cast<off_t>(position_at(kFirstOrder)), SEEK_SET);
    for (std::vector<Seen> seen; !(seen = chunk(fd, 4096)).empty();)
      for (const Seen& e : seen) shown.insert(e.name);
    ASSERT_EQ(shown, all) << i;
  }
  close(other);
  close(fd);
}

TEST_F(Getdents, RewindingShowsWhatThereIsNow) {
  merged(10);
  const int fd = open_dir();
  EXPECT_EQ(read_all(fd, 4096).size(), 10u);
  remove("/entry3");
  write_file(upper("/fresh"), "");
  lseek(fd, 0, SEEK_SET);
  const Names now = read_all(fd, 100);
  EXPECT_EQ(now.count("fresh"), 1u);
  EXPECT_EQ(now.count("entry3"), 0u);
  close(fd);
}

TEST_F(Getdents, RemovingEachNameAsItComesEmptiesTheDirectory) {
  for (unsigned size : {48u, 512u, 4096u}) {
    const std::string dir = "/d" + std::to_string(size);
    make_dir(lower(dir));
    for (int i = 0; i < 400; i++) write_file(lower(dir + "/f" + std::to_string(i)), "");
  }
  start();
  for (unsigned size : {48u, 512u, 4096u}) {
    const std::string dir = "/d" + std::to_string(size);
    make_dir(upper(dir));
    write_file(upper(dir + "/new"), "");
    const int fd = open_dir(dir);
    size_t removed = 0;
    for (std::vector<Seen> seen; !(seen = chunk(fd, size)).empty();)
      for (const Seen& e : seen) {
        if (e.name == "." || e.name == "..") continue;
        remove(dir + "/" + e.name);
        removed++;
      }
    EXPECT_EQ(removed, 401u);
    EXPECT_TRUE(empty(dir));
    close(fd);
  }
}

TEST_F(Getdents, ADirectoryThatBecomesMergedWhileItIsReadIsReadToItsEnd) {
  make_dir(lower("/d"));
  Names all;
  for (int i = 0; i < 1000; i++) {
    const std::string name = "name-of-some-length-" + std::to_string(i);
    write_file(lower("/d/" + name), "");
    all.insert(name);
  }
  start();
  const int fd = open_dir("/d");
  Names seen_names;
  for (std::vector<Seen> seen; !(seen = chunk(fd, 1024)).empty();)
    for (const Seen& e : seen) {
      if (e.name == "." || e.name == "..") continue;
      EXPECT_TRUE(seen_names.insert(e.name).second) << e.name;
      if (!exists(upper("/d"))) make_dir(upper("/d"));
      remove("/d/" + e.name);
    }
  EXPECT_EQ(seen_names, all);
  EXPECT_TRUE(empty("/d"));
  // From the beginning the same descriptor shows the merged directory.
  write_file(upper("/d/added"), "");
  lseek(fd, 0, SEEK_SET);
  EXPECT_EQ(read_all(fd, 4096), (Names{"added"}));
  close(fd);
}

TEST_F(Getdents, TheUppersOwnDirectoryIsFilteredInPlace) {
  start();
  make_dir(upper("/d"));
  Names all;
  for (int i = 0; i < 100; i++) {
    const std::string name = "f" + std::to_string(i);
    if (i % 4 == 0) {
      whiteout("/d/" + name);
    } else {
      write_file(upper("/d/" + name), "");
      all.insert(name);
    }
  }
  const int fd = open_dir("/d");
  EXPECT_EQ(read_all(fd, 64), all);  // chunks of nothing but whiteouts do not end it
  EXPECT_EQ(natives_, 0);
  lseek(fd, 0, SEEK_SET);
  for (const Seen& e : chunk(fd, 4096))
    if (e.name == "..") {
      EXPECT_EQ(e.ino, ino_of(lower()));
    }
  close(fd);
}

TEST_F(Getdents, ARemovedDirectoryHasNoEntriesToTell) {
  make_dir(lower("/low"));
  make_dir(lower("/again"));
  start();
  make_dir(upper("/up"));
  const int low = open_dir("/low"), up = open_dir("/up"), again = open_dir("/again");
  whiteout("/low");
  rmdir(upper("/up").c_str());
  whiteout("/again");
  char buffer[4096];
  EXPECT_EQ(getdents(low, buffer, sizeof buffer), -ENOENT);
  EXPECT_EQ(getdents(up, buffer, sizeof buffer), -ENOENT);
  if (can_set_xattrs()) {  // a new directory under the old name is not the one that is open
    unlink(upper("/again").c_str());
    make_dir(upper("/again"));
    set_xattr(upper("/again"), "user.overlay.opaque", "y");
    EXPECT_EQ(getdents(again, buffer, sizeof buffer), -ENOENT);
  }
  close(low);
  close(up);
  close(again);
}

TEST_F(Getdents, ThePositionIsSharedByDupAndFork) {
  const Names all = merged(100);
  const int fd = open_dir(), other = dup(fd);
  Names seen;
  for (const Seen& e : chunk(fd, 512)) seen.insert(e.name);
  for (const Seen& e : chunk(other, 512)) EXPECT_TRUE(seen.insert(e.name).second);
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const pid_t child = fork();
  if (child == 0) {
    std::string text;
    for (const Seen& e : chunk(fd, 512)) text += e.name + "\n";
    _exit(write(ends[1], text.data(), text.size()) == static_cast<ssize_t>(text.size()) ? 0 : 1);
  }
  int status;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  close(ends[1]);
  char text[4096];
  const ssize_t n = read(ends[0], text, sizeof text);
  for (size_t at = 0, end; at < static_cast<size_t>(n); at = end + 1) {
    end = std::string_view(text, n).find('\n', at);
    EXPECT_TRUE(seen.insert(std::string(text + at, end - at)).second);
  }
  for (std::vector<Seen> rest; !(rest = chunk(fd, 512)).empty();)
    for (const Seen& e : rest) EXPECT_TRUE(seen.insert(e.name).second);
  seen.erase(".");
  seen.erase("..");
  EXPECT_EQ(seen, all);
  close(ends[0]);
  close(fd);
  close(other);
}

TEST_F(Getdents, ThreadsReadTheSameDirectoryIndependently) {
  const Names all = merged(150);
  std::vector<int> fds;
  for (int i = 0; i < 4; i++) fds.push_back(open_dir());
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int fd : fds)
    threads.emplace_back([this, fd, &all, &wrong] {
      for (int round = 0; round < 20; round++) {
        lseek(fd, 0, SEEK_SET);
        std::set<std::string> seen;
        alignas(8) char buffer[700];
        for (;;) {
          Op op(caller(), session());
          const long n = op_getdents64(op, unsigned(fd), UserBuf(buffer), sizeof buffer).value();
          if (n < 0) wrong++;
          if (n <= 0) break;
          for (long at = 0; at < n;) {
            auto* record = reinterpret_cast<KernelDirent*>(buffer + at);
            if (!seen.insert(record->d_name).second) wrong++;
            at += record->d_reclen;
          }
        }
        if (seen.size() != all.size() + 2) wrong++;
      }
    });
  for (std::thread& t : threads) t.join();
  EXPECT_EQ(wrong, 0);
  for (int fd : fds) close(fd);
}

TEST_F(Getdents, NamesOfOneHashAreNeverSkippedWhenOneIsRemoved) {
  // Two names with the same order, found by trying (about the square root of 2^32 of them).
  std::unordered_map<uint32_t, std::string> by_order;
  std::string a, b;
  for (int i = 0; a.empty(); i++) {
    std::string name = "x" + std::to_string(i);
    auto [place, fresh] = by_order.emplace(name_order(Str(name.data(), name.size())), name);
    if (!fresh) {
      a = place->second;
      b = name;
    }
  }
  for (int i = 0; i < 40; i++) write_file(lower("/" + std::to_string(i)), "");
  write_file(lower("/" + a), "");
  write_file(lower("/" + b), "");
  start();
  write_file(upper("/up"), "");
  for (unsigned size = 64; size < 400; size += 8) {
    const int fd = open_dir();
    Names seen;
    bool removed = false;
    for (std::vector<Seen> entries; !(entries = chunk(fd, size)).empty();)
      for (const Seen& e : entries) {
        EXPECT_TRUE(seen.insert(e.name).second) << e.name;
        if ((e.name == a || e.name == b) && !removed) {
          whiteout("/" + e.name);
          removed = true;
        }
      }
    EXPECT_TRUE(seen.count(a) && seen.count(b)) << size;
    unlink(upper("/" + a).c_str());
    unlink(upper("/" + b).c_str());
    close(fd);
  }
}

struct OldDirent {
  unsigned long d_ino;
  unsigned long d_off;
  unsigned short d_reclen;
  char d_name[];
};

TEST_F(Getdents, TheOlderCallHasItsOwnForm) {
  const Names all = merged(30);
  const int fd = open_dir();
  alignas(8) char buffer[512];
  Names seen;
  for (;;) {
    const long n = run<op_getdents>(unsigned(fd), UserBuf(buffer), unsigned(sizeof buffer));
    ASSERT_GE(n, 0);
    if (n == 0) break;
    for (long at = 0; at < n;) {
      auto* record = reinterpret_cast<OldDirent*>(buffer + at);
      const std::string name = record->d_name;
      const char type = buffer[at + record->d_reclen - 1];
      EXPECT_TRUE(seen.insert(name).second);
      EXPECT_EQ(type, name == "." || name == ".." ? DT_DIR : DT_REG) << name;
      if (name == "entry0") {
        EXPECT_EQ(record->d_ino, ino_of(lower("/entry0")));
      }
      at += record->d_reclen;
    }
  }
  EXPECT_EQ(seen.size(), all.size() + 2);
  close(fd);
}

}  // namespace
}  // namespace ovl::testing
