// A program for looking at libc through the preload object. Each command prints what a program
// sees; the tests compare that with what it sees natively on a tree that looks the same. No inode
// numbers, times or addresses in what is printed.
#pragma once

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <string>
#include <vector>

using Arguments = std::vector<std::string>;
using Command = int (*)(const Arguments&);

struct Entry {
  const char* name;
  Command run;
};

// The commands of each file, ended by a null name.
extern const Entry kWalkCommands[];
extern const Entry kFileCommands[];
extern const Entry kProcessCommands[];
extern const Entry kProgramCommands[];

// "ok" or the error's number, so that a line shows whether something worked.
inline std::string outcome(long result) {
  return result >= 0 ? std::string("ok") : std::string("errno ") + strerrorname_np(errno);
}

inline const char* type_name(mode_t mode) {
  if (S_ISDIR(mode)) return "dir";
  if (S_ISLNK(mode)) return "symlink";
  if (S_ISFIFO(mode)) return "fifo";
  return S_ISREG(mode) ? "file" : "other";
}
