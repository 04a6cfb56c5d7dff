#include "tests/model/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <fts.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <filesystem>
#include <map>
#include <stdexcept>

#include "tests/model/words.h"

namespace model {
namespace {

[[noreturn]] void failed(const std::string& what) {
  throw std::runtime_error(fmt::format("{}: {}", what, strerror(errno)));
}

// Long ago, and different for each object.
timespec time_of(const std::string& path) {
  return {static_cast<time_t>(1'000'000'000 + hash(path) % 100'000'000),
          static_cast<long>(hash(path) / 7 % 1'000'000'000)};
}

// False: in this layer, something else stands in the place of one.
bool make_parents(const std::string& root, const std::string& path) {
  for (size_t at = 0; (at = path.find('/', at)) != std::string::npos; at++) {
    const std::string parent = root + "/" + path.substr(0, at);
    struct stat st;
    if (mkdir(parent.c_str(), 0755) < 0 && (lstat(parent.c_str(), &st) < 0 || !S_ISDIR(st.st_mode)))
      return false;
  }
  return true;
}

void make_file(const std::string& path, const std::string& argument) {
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) failed(path);
  const size_t size = strtoul(argument.c_str(), nullptr, 0);
  const size_t colon = argument.find(':'), at = argument.find('@');
  const size_t seed = colon == std::string::npos ? 0 : strtoul(&argument[colon + 1], nullptr, 0);
  const off_t position = at == std::string::npos ? 0 : strtol(&argument[at + 1], nullptr, 0);
  std::string content(size, '\0');
  for (size_t i = 0; i < size; i++) content[i] = static_cast<char>('A' + (seed + i / 5) % 26);
  if (position > 0 && ftruncate(fd, position) < 0) failed(path);
  if (size > 0 && pwrite(fd, content.data(), size, position) != static_cast<ssize_t>(size))
    failed(path);
  close(fd);
}

void set_xattr(const std::string& path, const std::string& argument) {
  const size_t colon = std::min(argument.find(':'), argument.size());
  const std::string name = unescape(argument.substr(0, colon)),
                    value = unescape(argument.substr(std::min(colon + 1, argument.size())));
  // Not every file system and kind of file has them all; both sides start with what there is.
  lsetxattr(path.c_str(), name.c_str(), value.data(), value.size(), 0);
}

// False: something else has its place already.
bool make_entry(const Entry& entry, const std::string& root, const std::string& tree) {
  const std::string path = root + "/" + entry.path;
  if (!make_parents(root, entry.path)) return false;
  if (entry.kind == "dir" || entry.kind == "opaque") {
    struct stat there;
    if (mkdir(path.c_str(), 0755) < 0 &&
        (lstat(path.c_str(), &there) < 0 || !S_ISDIR(there.st_mode)))
      return false;
    if (entry.kind == "opaque") {
      // Each side reads one of them: programs see the other (compare.cc).
      lsetxattr(path.c_str(), "user.overlay.opaque", "y", 1, 0);
      lsetxattr(path.c_str(), "trusted.overlay.opaque", "y", 1, 0);
    }
    return true;
  }
  struct stat st;
  if (entry.kind != "xattr" && entry.kind != "owner" && lstat(path.c_str(), &st) == 0) return false;
  int result = 0;
  if (entry.kind == "file") {
    make_file(path, entry.argument);
  } else if (entry.kind == "hard") {
    if (!make_parents(root, unescape(entry.argument))) return false;  // a symlink leads out there
    link((root + "/" + unescape(entry.argument)).c_str(),
         path.c_str());  // may have been shrunk away
  } else if (entry.kind == "symlink") {
    result = symlink(with_tree(unescape(entry.argument), tree).c_str(), path.c_str());
  } else if (entry.kind == "fifo") {
    result = mknod(path.c_str(), S_IFIFO | 0600, 0);
  } else if (entry.kind == "sock") {
    result = mknod(path.c_str(), S_IFSOCK | 0600, 0);
  } else if (entry.kind == "chr") {
    result = mknod(path.c_str(), S_IFCHR | 0600, static_cast<dev_t>(number(entry.argument)));
    if (result < 0 && errno == EPERM) result = 0;  // root's alone
  } else if (entry.kind == "whiteout") {
    result = mknod(path.c_str(), S_IFCHR, makedev(0, 0));
  } else if (entry.kind == "xattr") {
    set_xattr(path, entry.argument);
  } else if (entry.kind == "owner") {
    // When everything is there.
  } else {
    throw std::runtime_error("no such kind of entry: " + entry.kind);
  }
  if (result < 0) failed(path);
  return true;
}

// What a whole walk over a tree does to each object; directories come after their content.
template <class Visit>
void walk(const std::string& root, Visit visit) {
  char* const paths[] = {const_cast<char*>(root.c_str()), nullptr};
  FTS* fts = fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR | FTS_NOSTAT, nullptr);
  if (fts == nullptr) failed(root);
  while (FTSENT* entry = fts_read(fts))
    if (entry->fts_info != FTS_D) visit(entry->fts_path);
  fts_close(fts);
}

bool has_symlink_above(const std::string& root, const std::string& path) {
  for (size_t at = path.find('/'); at != std::string::npos; at = path.find('/', at + 1))
    if (std::filesystem::is_symlink(root + "/" + path.substr(0, at))) return true;
  return false;
}

}  // namespace

void make_layer(const Sequence& sequence, int layer, const std::string& root,
                const std::string& tree, Owner owner) {
  const unsigned fsuid = static_cast<unsigned>(setfsuid(owner.uid)),
                 fsgid = static_cast<unsigned>(setfsgid(owner.gid));
  std::map<std::string, unsigned> modes;
  for (const Entry& entry : sequence.tree)
    if (entry.layer == layer && make_entry(entry, root, tree) && entry.kind != "symlink" &&
        entry.kind != "hard" && entry.kind != "whiteout" && entry.kind != "xattr" &&
        entry.kind != "owner")
      modes[root + "/" + entry.path] = entry.mode;
  setfsuid(fsuid);
  setfsgid(fsgid);
  for (const Entry& entry : sequence.tree) {
    if (entry.layer != layer || entry.kind != "owner") continue;
    const size_t colon = entry.argument.find(':');
    const auto uid = static_cast<uid_t>(number(entry.argument.substr(0, colon))),
               gid = static_cast<gid_t>(number(entry.argument.substr(colon + 1)));
    // It may have been shrunk away, or something else have its place; nothing outside of the layer.
    if (!has_symlink_above(root, entry.path))
      (void)!lchown((root + "/" + entry.path).c_str(), uid, gid);
  }
  walk(root, [&](const char* path) {
    const auto mode = modes.find(path);
    const std::string shown = std::string(path).substr(root.size());
    const timespec times[2] = {time_of(shown), time_of(shown)};
    utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW);
    if (mode != modes.end()) fchmodat(AT_FDCWD, path, mode->second, AT_SYMLINK_NOFOLLOW);
  });
}

uint64_t fingerprint(const std::string& directory) {
  uint64_t sum = 0;
  walk(directory, [&](const char* path) {
    struct stat st;
    if (lstat(path, &st) < 0) return;
    // Whatever is done to an inode changes its change time.
    sum += hash(fmt::format("{} {} {} {} {} {} {}.{} {}.{}", path, st.st_ino, st.st_mode,
                            st.st_nlink, st.st_uid, st.st_size, st.st_mtim.tv_sec,
                            st.st_mtim.tv_nsec, st.st_ctim.tv_sec, st.st_ctim.tv_nsec));
  });
  return sum;
}

void remove_tree(const std::string& path) {
  if (geteuid() != 0) {  // closed directories
    char* const paths[] = {const_cast<char*>(path.c_str()), nullptr};
    FTS* fts = fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR, nullptr);
    while (FTSENT* entry = fts != nullptr ? fts_read(fts) : nullptr)
      if (entry->fts_info == FTS_D && (entry->fts_statp->st_mode & 0700) != 0700)
        chmod(entry->fts_accpath, 0700);
    if (fts != nullptr) fts_close(fts);
  }
  walk(path, [](const char* entry) {
    if (unlink(entry) < 0 && errno == EISDIR) rmdir(entry);
  });
}

}  // namespace model
