// The text that becomes of the records of --trace.
#include "launcher/process/trace_text.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <string>

#include "core/base/unique_fd.h"
#include "core/trace/trace.h"

namespace ovl {
namespace {

void add(int file, long number, const std::string& path, const std::string& stack,
         bool before = false, int task = 12) {
  TraceRecord record = {};
  record.size = static_cast<uint32_t>(sizeof record + path.size() + stack.size());
  record.task = task;
  record.number = static_cast<int32_t>(number);
  record.fd = AT_FDCWD;
  record.value = 3;
  record.before = before;
  record.path_size[0] = static_cast<uint16_t>(path.size());
  record.stack_size = static_cast<uint16_t>(stack.size());
  const std::string bytes =
      std::string(reinterpret_cast<const char*>(&record), sizeof record) + path + stack;
  ASSERT_EQ(write(file, bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
}

std::string text_of(int records) {
  lseek(records, 0, SEEK_SET);
  const UniqueFd out(memfd_create("text", MFD_CLOEXEC));
  write_trace_text(records, "/proc/self/fd/" + std::to_string(out.get()));
  std::string text(lseek(out.get(), 0, SEEK_END), 0);
  EXPECT_EQ(pread(out.get(), text.data(), text.size(), 0), static_cast<ssize_t>(text.size()));
  return text;
}

TEST(TraceText, StacksStandBelowTheirLineAndAreSummedUp) {
  const UniqueFd file(memfd_create("records", MFD_CLOEXEC));
  add(file.get(), SYS_openat, "/plain", "");
  add(file.get(), SYS_openat, "/x", "make\nf+0x1 (liba.so+0x11)\nmain+0x2 (make+0x22)");
  add(file.get(), SYS_newfstatat, "/x", "make\ng+0x1 (liba.so+0x31)");
  add(file.get(), SYS_openat, "/y", "make\nf+0x1 (liba.so+0x11)");
  add(file.get(), SYS_execve, "/z", "make\nh+0x1 (liba.so+0x51)", true);
  EXPECT_EQ(text_of(file.get()),
            "12 openat(/plain) = 3\n"
            "12 openat(/x) = 3\n"
            "    f+0x1 (liba.so+0x11)\n"
            "    main+0x2 (make+0x22)\n"
            "12 newfstatat(/x) = 3\n"
            "    g+0x1 (liba.so+0x31)\n"
            "12 openat(/y) = 3\n"
            "    f+0x1 (liba.so+0x11)\n"
            "12 execve(/z)\n"
            "    h+0x1 (liba.so+0x51)\n"
            "make: 2 openat from f+0x1 (liba.so+0x11), not interposed\n"
            "make: 1 execve from h+0x1 (liba.so+0x51), not interposed\n"
            "make: 1 newfstatat from g+0x1 (liba.so+0x31), not interposed\n");
}

TEST(TraceText, LibrariesAreSummedUpByTheFunctionThatWasEntered) {
  const UniqueFd file(memfd_create("records", MFD_CLOEXEC));
  add(file.get(), SYS_openat, "/x",
      "ls\nopen+0x1 (libc.so.6+0x11)\nfopen+0x2 (libc.so.6+0x22)\nls+0x5");
  add(file.get(), SYS_openat, "/x",
      "ls\nopen+0x1 (libc.so.6+0x11)\nlibc.so.6+0x33\nmain+0x1 (ls+0x5)");
  add(file.get(), SYS_openat, "/x", "ls\nmain+0x1 (ls+0x5)\nls+0x3\nlibc.so.6+0x77");
  const std::string text = text_of(file.get());
  EXPECT_NE(text.find("\nls: 1 openat from fopen+0x2 (libc.so.6+0x22), not interposed\n"),
            std::string::npos);
  EXPECT_NE(text.find("\nls: 1 openat from libc.so.6+0x33, not interposed\n"), std::string::npos);
  EXPECT_NE(text.find("\nls: 1 openat from main+0x1 (ls+0x5), not interposed\n"),
            std::string::npos);
}

TEST(TraceText, TwoRecordsOfACallAreOneLine) {
  const UniqueFd file(memfd_create("records", MFD_CLOEXEC));
  add(file.get(), SYS_openat, "/x", "make\nf+0x1 (liba.so+0x11)", true);
  add(file.get(), SYS_openat, "/other", "", false, 13);
  add(file.get(), SYS_openat, "/x", "");
  add(file.get(), SYS_execve, "/y", "", true);  // it worked
  add(file.get(), SYS_openat, "/z", "", true);
  add(file.get(), SYS_openat, "/z", "");
  add(file.get(), SYS_openat, "/last", "", true);  // and the task has ended
  EXPECT_EQ(text_of(file.get()),
            "13 openat(/other) = 3\n"
            "12 openat(/x) = 3\n"
            "    f+0x1 (liba.so+0x11)\n"
            "12 execve(/y)\n"
            "12 openat(/z) = 3\n"
            "12 openat(/last)\n"
            "make: 1 openat from f+0x1 (liba.so+0x11), not interposed\n");
}

TEST(TraceText, AStackWithoutFramesSaysNothing) {
  const UniqueFd file(memfd_create("records", MFD_CLOEXEC));
  add(file.get(), SYS_openat, "/x", "make");
  EXPECT_EQ(text_of(file.get()), "12 openat(/x) = 3\n");
}

}  // namespace
}  // namespace ovl
