// ftw(3) and nftw(3). Each directory is listed once and closed, so that the walk holds one
// descriptor whatever its depth and nopenfd say; the walk is a list of levels, not a recursion.
// Semantics follow glibc's, which differ from POSIX's in a few places: FTW_ACTIONRETVAL, a
// directory seen twice is left out silently, unreadable entries come as FTW_NS.
#include <ftw.h>
#include <stdlib.h>
#include <unistd.h>

#include "preload/call.h"
#include "preload/dir.h"
#include "preload/interposers.h"

namespace ovl {
namespace {

// A growing piece of memory; false from room_for(): none left.
struct Bytes {
  char* data = nullptr;
  size_t size = 0;
  size_t room = 0;

  bool room_for(size_t more) {
    if (size + more <= room) return true;
    size_t wanted = room == 0 ? 1024 : room * 2;
    while (wanted < size + more) wanted *= 2;
    auto* grown = static_cast<char*>(realloc(data, wanted));
    if (grown == nullptr) return false;
    data = grown;
    room = wanted;
    return true;
  }
  bool append(const void* from, size_t count) {
    if (!room_for(count)) return false;
    memcpy(data + size, from, count);
    size += count;
    return true;
  }
};

struct Identity {
  dev_t dev;
  ino_t ino;
};

// The directories that were visited, by (dev, ino): open addressing.
class Visited {
 public:
  ~Visited() { free(slots_); }
  // 1: new, 0: known already, -1: no memory.
  int add(Identity id) {
    if (count_ * 2 >= room_ && !grow()) return -1;
    Slot& slot = find(slots_, room_, id);
    if (slot.used) return 0;
    slot = Slot{id, true};
    count_++;
    return 1;
  }

 private:
  struct Slot {
    Identity id;
    bool used;
  };
  static Slot& find(Slot* slots, size_t room, Identity id) {
    size_t at = static_cast<size_t>(id.ino * 0x9e3779b97f4a7c15u + id.dev);
    for (;; at++) {
      Slot& slot = slots[at & (room - 1)];
      if (!slot.used || (slot.id.ino == id.ino && slot.id.dev == id.dev)) return slot;
    }
  }
  bool grow() {
    const size_t room = room_ == 0 ? 64 : room_ * 2;
    auto* slots = static_cast<Slot*>(calloc(room, sizeof(Slot)));
    if (slots == nullptr) return false;
    for (size_t i = 0; i < room_; i++)
      if (slots_[i].used) find(slots, room, slots_[i].id) = slots_[i];
    free(slots_);
    slots_ = slots;
    room_ = room;
    return true;
  }
  Slot* slots_ = nullptr;
  size_t room_ = 0;
  size_t count_ = 0;
};

// A directory whose entries are being reported.
struct Level {
  Level* up;
  struct stat st;
  Bytes names;      // NUL-terminated, one after the other
  size_t at;        // of the next name
  size_t path_end;  // size of the directory's own path
  int base;         // of the directory in its path
};

class Walk {
 public:
  Walk(__ftw_func_t old_function, __nftw_func_t function, int flags)
      : old_function_(old_function), function_(function), flags_(flags) {}
  ~Walk() {
    while (level_ != nullptr) pop();
    free(path_.data);
  }

  int run(const char* start) {
    size_t size = strlen(start);
    if (size == 0) return fail(ENOENT);
    while (size > 1 && start[size - 1] == '/') size--;
    if (!path_.append(start, size) || !path_.append("", 1)) return fail(ENOMEM);
    path_.size = size;
    size_t base = size;
    while (base > 0 && start[base - 1] != '/') base--;
    ftw_ = {static_cast<int>(base), 0};

    if ((flags_ & FTW_CHDIR) == 0) return start_here();
    start_cwd_ = ip_openat(AT_FDCWD, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (start_cwd_ < 0) return -1;
    int result = enter_directory_of_path() ? start_here() : -1;
    const int error = errno;
    if (ip_fchdir(start_cwd_) != 0 && result == 0)
      result = -1;
    else
      errno = error;
    raw_call(SYS_close, start_cwd_);
    return result;
  }

 private:
  int fail(int error) {
    errno = error;
    return -1;
  }

  // Makes the directory that holds what path_ names the current one. Requires: the walk's first cwd
  // is the current one.
  bool enter_directory_of_path() {
    if (ftw_.base == 0) return true;
    if (ftw_.base == 1) return ip_chdir("/") == 0;
    char* last_slash = path_.data + ftw_.base - 1;
    *last_slash = 0;
    const bool entered = ip_chdir(path_.data) == 0;
    *last_slash = '/';
    return entered;
  }

  // Goes back up from the directory that path_ names. A symlink's ".." is another directory's.
  bool return_from_directory() {
    if ((flags_ & FTW_PHYS) != 0) return ip_chdir("..") == 0;
    return ip_fchdir(start_cwd_) == 0 && enter_directory_of_path();
  }

  // How to reach what path_ names: with FTW_CHDIR its directory is the current one.
  const char* access_path() const {
    const size_t base = static_cast<size_t>(ftw_.base);
    return (flags_ & FTW_CHDIR) != 0 && base < path_.size ? path_.data + base : path_.data;
  }

  int report(const struct stat* st, int type) {
    if (function_ != nullptr) return function_(path_.data, st, type, &ftw_);
    // ftw() knows fewer types.
    if (type == FTW_DP) type = FTW_D;
    if (type == FTW_SL) type = FTW_F;
    if (type == FTW_SLN) type = FTW_NS;
    return old_function_(path_.data, st, type);
  }

  // The type to report, or -1. *st is filled unless FTW_NS.
  int look(struct stat* st, bool first) {
    const char* path = access_path();
    const bool physical = (flags_ & FTW_PHYS) != 0;
    if ((physical ? ip_lstat(path, st) : ip_stat(path, st)) == 0)
      return S_ISDIR(st->st_mode) ? FTW_D : S_ISLNK(st->st_mode) ? FTW_SL : FTW_F;
    const int error = errno;
    if (first ? error != ENOENT || physical : error != ENOENT && error != EACCES) return -1;
    struct stat link;
    if (!physical && ip_lstat(path, &link) == 0 && S_ISLNK(link.st_mode)) {
      *st = link;
      return FTW_SLN;
    }
    errno = error;
    return first ? -1 : FTW_NS;
  }

  int start_here() {
    ErrnoSaver saver;
    struct stat st = {};
    const int type = look(&st, true);
    int result;
    if (type < 0) {
      result = -1;
    } else if (type == FTW_D) {
      device_ = st.st_dev;
      result = visit(st) < 0 ? -1 : walk_from(st);
    } else {
      result = report(&st, type);
    }
    if (result == -1) saver.fail(errno);
    if ((flags_ & FTW_ACTIONRETVAL) != 0 &&
        (result == FTW_SKIP_SUBTREE || result == FTW_SKIP_SIBLINGS))
      return 0;
    return result;
  }

  int visit(const struct stat& st) {
    return (flags_ & FTW_PHYS) != 0 ? 1 : visited_.add({st.st_dev, st.st_ino});
  }

  // Lists the directory that path_ names and reports it where it comes before its entries. 0:
  // level_ is it.
  int push(const struct stat& st) {
    DIR* dir = open_directory_at(AT_FDCWD, access_path());
    if (dir == nullptr) return errno == EACCES ? report(&st, FTW_DNR) : -1;
    int result = (flags_ & FTW_DEPTH) == 0 ? report(&st, FTW_D) : 0;
    if (result == 0 && (flags_ & FTW_CHDIR) != 0) result = ip_fchdir(ip_dirfd(dir)) == 0 ? 0 : -1;
    Level* level = nullptr;
    if (result == 0) {
      level = static_cast<Level*>(malloc(sizeof(Level)));
      if (level != nullptr) *level = Level{level_, st, {}, 0, path_.size, ftw_.base};
      result = level != nullptr && list(dir, &level->names) ? 0 : fail(ENOMEM);
    }
    const int error = errno;
    ip_closedir(dir);
    errno = error;
    if (result != 0) {
      if (level != nullptr) free(level->names.data);
      free(level);
      return result;
    }
    level_ = level;
    ftw_.level++;
    if (path_.data[path_.size - 1] != '/') {
      if (!path_.append("/", 1)) return fail(ENOMEM);
    }
    ftw_.base = static_cast<int>(path_.size);
    return 0;
  }

  static bool list(DIR* dir, Bytes* names) {
    while (struct dirent* entry = ip_readdir(dir)) {
      const char* name = entry->d_name;
      if (name[0] == '.' && (name[1] == 0 || (name[1] == '.' && name[2] == 0))) continue;
      if (!names->append(name, strlen(name) + 1)) return false;
    }
    return true;
  }

  void pop() {
    Level* level = level_;
    level_ = level->up;
    path_.size = level->path_end;
    path_.data[path_.size] = 0;
    ftw_.base = level->base;
    ftw_.level--;
    free(level->names.data);
    free(level);
  }

  // Leaves level_ with `result`: reports it where it comes after its entries, and goes back to its
  // parent directory.
  int leave(int result) {
    const struct stat st = level_->st;
    const bool more_above = level_->up != nullptr;
    pop();
    if ((flags_ & FTW_ACTIONRETVAL) != 0 && result == FTW_SKIP_SIBLINGS) result = 0;
    if (result == 0 && (flags_ & FTW_DEPTH) != 0) result = report(&st, FTW_DP);
    const bool goes_on =
        result == 0 || ((flags_ & FTW_ACTIONRETVAL) != 0 && result != -1 && result != FTW_STOP);
    if (more_above && goes_on && (flags_ & FTW_CHDIR) != 0 && !return_from_directory()) result = -1;
    return result;
  }

  // What the result of one entry means for its siblings.
  int settle(int result) const {
    return (flags_ & FTW_ACTIONRETVAL) != 0 && result == FTW_SKIP_SUBTREE ? 0 : result;
  }

  int walk_from(const struct stat& st) {
    int result = push(st);
    while (result == 0 && level_ != nullptr) {
      if (level_->at == level_->names.size) {
        result = settle(leave(0));
      } else {
        result = settle(next_entry());
      }
      // An entry that stops its siblings ends the level; what ends the walk ends them all.
      while (result != 0 && level_ != nullptr) result = settle(leave(result));
    }
    return result;
  }

  int next_entry() {
    const char* name = level_->names.data + level_->at;
    const size_t size = strlen(name);
    level_->at += size + 1;
    path_.size = static_cast<size_t>(ftw_.base);
    if (!path_.append(name, size + 1)) return fail(ENOMEM);
    path_.size--;
    struct stat st = {};
    const int type = look(&st, false);
    if (type < 0) return -1;
    if (type != FTW_NS && (flags_ & FTW_MOUNT) != 0 && st.st_dev != device_) return 0;
    if (type != FTW_D) return report(&st, type);
    const int fresh = visit(st);
    if (fresh < 0) return fail(ENOMEM);
    return fresh == 0 ? 0 : push(st);
  }

  __ftw_func_t old_function_;
  __nftw_func_t function_;
  int flags_;
  struct FTW ftw_ = {0, 0};
  dev_t device_ = 0;
  int start_cwd_ = -1;  // with FTW_CHDIR
  Bytes path_;          // NUL-terminated
  Level* level_ = nullptr;
  Visited visited_;
};

}  // namespace

int ip_ftw(const char* path, __ftw_func_t function, int) {
  return Walk(function, nullptr, 0).run(path);
}

int ip_nftw(const char* path, __nftw_func_t function, int, int flags) {
  if ((flags & ~(FTW_PHYS | FTW_MOUNT | FTW_CHDIR | FTW_DEPTH | FTW_ACTIONRETVAL)) != 0) {
    errno = EINVAL;
    return -1;
  }
  return Walk(nullptr, function, flags).run(path);
}

}  // namespace ovl
