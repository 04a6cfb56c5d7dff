#include "tests/model/observe.h"

#include <string.h>

#include <algorithm>
#include <vector>

#include "tests/model/words.h"
#include "tests/syscalls/calls.h"

namespace model {
namespace {

constexpr size_t kRead = 1 << 16;
char data[kRead];

struct Entry {
  std::string name;
  uint64_t ino;
  unsigned type;
};

struct Dirent {  // the kernel's linux_dirent64
  uint64_t ino;
  int64_t off;
  uint16_t size;
  uint8_t type;
  char name[];
};

int read_entries(int fd, std::vector<Entry>* entries) {
  alignas(Dirent) char room[1 << 15];
  for (;;) {
    const int got = t_getdents64(fd, room, sizeof room);
    if (got < 0) return errno;
    if (got == 0) break;
    for (int at = 0; at < got;) {
      const Dirent* entry = reinterpret_cast<const Dirent*>(room + at);
      entries->push_back({entry->name, entry->ino, entry->type});
      at += entry->size;
    }
  }
  std::sort(entries->begin(), entries->end(),
            [](const Entry& a, const Entry& b) { return a.name < b.name; });
  return 0;
}

// Names that are listed and not there, or where nobody may look. The kernel lists whiteouts of a
// directory that it merges with no other.
std::vector<std::string> take_ghosts(int fd, std::vector<Entry>* entries) {
  std::vector<std::string> ghosts;
  std::erase_if(*entries, [&](const Entry& entry) {
    struct stat st;
    const bool ghost = entry.type == DT_CHR &&
                       t_fstatat(fd, entry.name.c_str(), &st, AT_SYMLINK_NOFOLLOW) < 0 &&
                       (errno == ENOENT || errno == EACCES);
    if (ghost) ghosts.push_back(entry.name);
    return ghost;
  });
  return ghosts;
}

std::string parent_of(const std::string& path) {
  size_t end = path.find_last_not_of('/');
  if (end == std::string::npos) return path.empty() ? "." : "/";
  end = path.rfind('/', end);
  if (end == std::string::npos) return ".";
  return path.substr(0, end + 1);
}

// Hash of the first part and the last: files are small, sparse ones may not be.
uint64_t content(int fd, off_t size) {
  ssize_t got = pread(fd, data, kRead, 0);
  if (got < 0) return static_cast<uint64_t>(errno);
  uint64_t h = hash(std::string_view(data, static_cast<size_t>(got)));
  if (size > static_cast<off_t>(kRead)) {
    got = pread(fd, data, kRead, size - static_cast<off_t>(kRead));
    if (got >= 0) h = h * 31 + hash(std::string_view(data, static_cast<size_t>(got)));
  }
  return h;
}

std::string value_text(const std::string& name, std::string_view value) {
  return escape(name) + ":" + (value.size() <= 48 ? escape(value) : std::to_string(hash(value)));
}

}  // namespace

void Observation::add(std::string_view key, std::string_view value) {
  text_ += ' ';
  text_ += key;
  text_ += '=';
  text_ += value;
}

void Observation::add_error(std::string_view key, int error) { add(key, error_name(error)); }

void Observation::add_stat(const std::string& key, const struct stat& st) {
  add(key + ".mode", octal(st.st_mode));
  add(key + ".uid", st.st_uid);
  add(key + ".gid", st.st_gid);
  add(key + ".ino", std::to_string(st.st_ino) + "@" + std::to_string(st.st_dev));
  add(key + ".dev", st.st_dev);
  add(key + (S_ISDIR(st.st_mode) ? ".dirlink" : ".nlink"), st.st_nlink);
  if (!S_ISDIR(st.st_mode)) add(key + ".size", static_cast<uint64_t>(st.st_size));
  if (S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode)) add(key + ".rdev", st.st_rdev);
  // Of an empty file they tell where its xattrs are kept.
  if (S_ISREG(st.st_mode) && st.st_size > 0) add(key + ".blocks", st.st_blocks == 0 ? "0" : "some");
  add(key + ".mtime", std::to_string(st.st_mtim.tv_sec) + "." + std::to_string(st.st_mtim.tv_nsec));
}

void Observation::add_names(const std::string& key, std::string_view zero_ended) {
  std::vector<std::string> names;
  while (!zero_ended.empty()) {
    const size_t end = zero_ended.find('\0');
    names.emplace_back(zero_ended.substr(0, end));
    if (end == std::string_view::npos) break;
    zero_ended.remove_prefix(end + 1);
  }
  std::sort(names.begin(), names.end());
  for (const std::string& name : names) add(key, escape(name));
}

void Observation::add_listing(const std::string& key, int fd) {
  std::vector<Entry> entries;
  if (int error = read_entries(fd, &entries)) return add_error(key, error);
  for (const std::string& ghost : take_ghosts(fd, &entries)) add("ghost", escape(ghost));
  struct stat st;
  if (t_fstat(fd, &st) == 0)
    add(key + ".of.ino", std::to_string(st.st_ino) + "@" + std::to_string(st.st_dev));
  for (const Entry& entry : entries) {
    const std::string of = key + "[" + escape(entry.name) + "]";
    add(of + ".type", std::to_string(entry.type));
    if (entry.name != "." && entry.name != "..") add(of + ".ino", entry.ino);
  }
}

bool Observation::add_parts(const std::string& key, int fd) {
  alignas(Dirent) char room[320];  // the longest name, or a few
  std::vector<std::string> names, rest;
  int64_t middle = 0;
  size_t pieces = 0, before_middle = 0;
  const auto read_piece = [&](std::vector<std::string>* into) {
    const int got = t_getdents64(fd, room, sizeof room);
    for (int at = 0; at < got;) {
      const Dirent* entry = reinterpret_cast<const Dirent*>(room + at);
      into->push_back(entry->name);
      if (pieces < 3) middle = entry->off;
      at += entry->size;
    }
    return got;
  };
  int got;
  while ((got = read_piece(&names)) > 0)
    if (++pieces <= 3) before_middle = names.size();
  if (got < 0) return false;
  pieces = 3;
  if (lseek(fd, middle, SEEK_SET) < 0 && before_middle != 0) return false;
  if (before_middle != 0)
    while ((got = read_piece(&rest)) > 0) {
    }
  if (lseek(fd, 0, SEEK_SET) < 0) return false;
  // The order is each side's own, but one and the same in all readings.
  add(key + ".again", std::equal(rest.begin(), rest.end(),
                                 names.begin() + static_cast<long>(before_middle), names.end())
                          ? "same"
                          : "other");
  std::sort(names.begin(), names.end());
  std::erase_if(names, [&](const std::string& name) {  // ghosts, see above
    struct stat st;
    return t_fstatat(fd, name.c_str(), &st, AT_SYMLINK_NOFOLLOW) < 0;
  });
  for (const std::string& name : names) add(key + ".name", escape(name));
  return true;
}

void Observation::add_inode(const std::string& key, int dirfd, const std::string& path) {
  struct stat st;
  if (t_fstatat(dirfd, path.c_str(), &st, AT_SYMLINK_NOFOLLOW) == 0)
    add(key + ".ino", std::to_string(st.st_ino) + "@" + std::to_string(st.st_dev));
}

void Observation::add_object(const std::string& key, int dirfd, const std::string& path,
                             bool deep) {
  struct stat st;
  if (t_fstatat(dirfd, path.c_str(), &st, AT_SYMLINK_NOFOLLOW) < 0) return add_error(key, errno);
  add_stat(key, st);
  if (S_ISLNK(st.st_mode)) {
    const ssize_t got = t_readlinkat(dirfd, path.c_str(), data, sizeof data);
    add(key + ".target", got < 0 ? error_name(errno) : escape({data, static_cast<size_t>(got)}));
  }
  if (S_ISREG(st.st_mode)) {
    const int fd = t_openat(dirfd, path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) {
      add_error(key + ".data", errno);
    } else {
      add(key + ".data", content(fd, st.st_size));
      close(fd);
    }
  }
  if (dirfd != AT_FDCWD || !deep) return;
  const ssize_t got = t_llistxattr(path.c_str(), data, sizeof data);
  if (got < 0) return add_error(key + ".xattrs", errno);
  std::vector<std::string> names;
  for (ssize_t at = 0; at < got; at += static_cast<ssize_t>(strlen(data + at)) + 1)
    names.emplace_back(data + at);
  std::sort(names.begin(), names.end());
  for (const std::string& name : names) {
    const ssize_t size = t_lgetxattr(path.c_str(), name.c_str(), data, sizeof data);
    add(key + ".xattr", size < 0 ? value_text(name, error_name(errno))
                                 : value_text(name, {data, static_cast<size_t>(size)}));
  }
}

void Observation::add_descriptor(const std::string& key, int fd) {
  if (fd < 0) return;
  struct stat st;
  if (t_fstat(fd, &st) < 0) return add_error(key, errno);
  add_stat(key, st);
  const int flags = fcntl(fd, F_GETFL);
  add(key + ".flags", octal(static_cast<unsigned>(flags)));
  if (!S_ISREG(st.st_mode) || (flags & O_PATH)) return;
  add(key + ".position", static_cast<uint64_t>(lseek(fd, 0, SEEK_CUR)));
  if ((flags & O_ACCMODE) != O_WRONLY) add(key + ".data", content(fd, st.st_size));
}

void Observation::add_parent(const std::string& key, int dirfd, const std::string& path) {
  const std::string parent = parent_of(path);
  const int fd = t_openat(dirfd, parent.c_str(), O_RDONLY | O_DIRECTORY | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) return add_error(key, errno);
  struct stat st;
  if (t_fstat(fd, &st) == 0) add_stat(key, st);
  add_listing(key, fd);
  close(fd);
}

void Observation::add_tree(const std::string& path) {
  std::vector<std::string> pending = {path};
  while (!pending.empty()) {
    const std::string here = pending.back();
    pending.pop_back();
    const std::string key =
        "tree[" + (here.size() > path.size() ? escape(here.substr(path.size() + 1)) : ".") + "]";
    add_object(key, AT_FDCWD, here, true);
    struct stat st;
    if (t_lstat(here.c_str(), &st) < 0 || !S_ISDIR(st.st_mode)) continue;
    const int fd = t_open(here.c_str(), O_RDONLY | O_DIRECTORY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) {
      add_error(key + ".ls", errno);
      continue;
    }
    std::vector<Entry> entries;
    const int error = read_entries(fd, &entries);
    for (const std::string& ghost : take_ghosts(fd, &entries)) add("ghost", escape(ghost));
    close(fd);
    if (error != 0) {
      add_error(key + ".ls", error);
      continue;
    }
    for (const Entry& entry : entries) {
      const std::string of = key + ".ls[" + escape(entry.name) + "]";
      add(of + ".type", std::to_string(entry.type));
      if (entry.name == ".")
        add(of + ".ownino", entry.ino);
      else if (entry.name != "..")
        add(of + ".ino", entry.ino);
      else if (here != path)  // what is around the tree is not the overlay's
        add(of + ".upino", entry.ino);
    }
    for (auto entry = entries.rbegin(); entry != entries.rend(); ++entry)
      if (entry->name != "." && entry->name != "..") pending.push_back(here + "/" + entry->name);
  }
}

}  // namespace model
