// Who has an open file too: threads with descriptors of their own, children, and nobody.
#include "launcher/supervisor/sharers.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <thread>

#include "core/base/unique_fd.h"

namespace ovl::testing {
namespace {

UniqueFd open_something() { return UniqueFd(open("/dev/null", O_RDONLY | O_CLOEXEC)); }

// A task two below this one, as tasks are below the supervisor's keeper. It lives as long as this.
class Task {
 public:
  explicit Task(const std::function<void()>& prepare) {
    int ready[2];
    EXPECT_EQ(pipe(ready), 0);
    EXPECT_EQ(pipe(end_), 0);
    keeper_ = fork();
    if (keeper_ == 0) {
      close(end_[1]);
      if (fork() == 0) {
        prepare();
        const pid_t self = getpid();
        (void)!write(ready[1], &self, sizeof self);
        char c;
        (void)!read(end_[0], &c, 1);
        _exit(0);
      }
      wait(nullptr);
      _exit(0);
    }
    close(end_[0]);
    EXPECT_EQ(read(ready[0], &pid_, sizeof pid_), static_cast<ssize_t>(sizeof pid_));
    close(ready[0]);
    close(ready[1]);
  }
  ~Task() {
    close(end_[1]);
    waitpid(keeper_, nullptr, 0);
  }
  Task(const Task&) = delete;
  Task& operator=(const Task&) = delete;
  pid_t pid() const { return pid_; }

 private:
  int end_[2];
  pid_t keeper_, pid_ = 0;
};

std::vector<Sought> find(const std::vector<int>& fds) {
  std::vector<Sought> all;
  for (const int fd : fds) all.push_back({fd, true, {}});
  find_sharers(getppid(), all);
  return all;
}

TEST(Sharers, AreTasksBelowTheKeeper) {
  const UniqueFd shared = open_something();
  const Task task([] {});
  const UniqueFd own = open_something();
  const std::vector<Sought> found = find({own.get(), shared.get()});
  EXPECT_FALSE(found[0].found);
  ASSERT_TRUE(found[1].found);
  EXPECT_EQ(found[1].by.task, task.pid());
  EXPECT_TRUE(is_same_open_file(found[1].by, shared.get()));
  EXPECT_FALSE(is_same_open_file(found[1].by, own.get()));
}

TEST(Sharers, TheKeeperIsNone) {
  const UniqueFd shared = open_something();
  const Task task([&] { close(shared.get()); });
  EXPECT_FALSE(find({shared.get()})[0].found);
}

TEST(Sharers, AThreadWithDescriptorsOfItsOwnIsOne) {
  const UniqueFd shared = open_something();
  const Task task([&] {
    int ends[2];
    if (pipe(ends) != 0) return;
    std::thread([ends] {
      const bool own = unshare(CLONE_FILES) == 0;
      (void)!write(ends[1], &own, 1);
      for (;;) pause();
    }).detach();
    char c;
    if (read(ends[0], &c, 1) == 1) close(shared.get());
  });
  const Sought found = find({shared.get()})[0];
  ASSERT_TRUE(found.found);
  EXPECT_NE(found.by.task, task.pid());
}

TEST(Sharers, OfManyOpenFilesEach) {
  constexpr size_t kMany = 100;
  std::vector<UniqueFd> files;
  std::vector<int> numbers;
  for (size_t i = 0; i < kMany; i++) {
    files.push_back(open_something());
    numbers.push_back(files.back().get());
  }
  const Task task([&] {
    for (size_t i = 0; i < kMany; i += 2) close(numbers[i]);
  });
  const std::vector<Sought> found = find(numbers);
  for (size_t i = 0; i < kMany; i++) {
    EXPECT_EQ(found[i].found, i % 2 == 1) << i;
    if (found[i].found) {
      EXPECT_EQ(found[i].by.fd, numbers[i]);
    }
  }
}

TEST(Sharers, OneThatIsSoughtTwiceIsFoundTwice) {
  const UniqueFd shared = open_something(), other = open_something();
  const UniqueFd twin(dup(shared.get())), third(dup(shared.get()));
  const Task task([&] {
    for (const UniqueFd* fd : {&other, &twin, &third}) close(fd->get());
  });
  const std::vector<Sought> found =
      find({shared.get(), other.get(), twin.get(), other.get(), third.get()});
  for (size_t i = 0; i < found.size(); i++) EXPECT_EQ(found[i].found, i % 2 == 0) << i;
}

TEST(Sharers, DuplicatesAreOneOpenFile) {
  const UniqueFd one = open_something(), other = open_something();
  const UniqueFd twin(dup(one.get()));
  EXPECT_TRUE(is_same_open_file(one.get(), twin.get()));
  EXPECT_FALSE(is_same_open_file(one.get(), other.get()));
  EXPECT_FALSE(is_same_open_file(one.get(), -1));
}

}  // namespace
}  // namespace ovl::testing
