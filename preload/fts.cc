// fts(3). The structures are the program's to look at, so they have libc's layout; each entry is
// one allocation: FTSENT, name, struct stat. Semantics are 4.4BSD's, which libc's follow. Without
// FTS_NOCHDIR the walk changes the current directory.
#include <errno.h>
#include <fts.h>
#include <stdlib.h>
#include <unistd.h>

#include "preload/call.h"
#include "preload/dir.h"
#include "preload/interposers.h"

namespace ovl {
namespace {

constexpr size_t kPathMost = 0xffff;  // fts_pathlen is a short

enum class Build { kRead, kChildren, kNames };

bool is_dot(const char* name) {
  return name[0] == '.' && (name[1] == 0 || (name[1] == '.' && name[2] == 0));
}

bool has(const FTS* sp, int option) { return (sp->fts_options & option) != 0; }

FTSENT* new_entry(FTS* sp, const char* name, size_t size) {
  size_t bytes = sizeof(FTSENT) + size;
  bytes = (bytes + alignof(struct stat) - 1) & ~(alignof(struct stat) - 1);
  auto* memory = static_cast<char*>(calloc(1, bytes + sizeof(struct stat)));
  if (memory == nullptr) return nullptr;
  auto* p = reinterpret_cast<FTSENT*>(memory);
  memcpy(p->fts_name, name, size);
  p->fts_namelen = static_cast<unsigned short>(size);
  p->fts_path = sp->fts_path;
  p->fts_instr = FTS_NOINSTR;
  p->fts_symfd = -1;
  if (!has(sp, FTS_NOSTAT)) p->fts_statp = reinterpret_cast<struct stat*>(memory + bytes);
  return p;
}

void free_list(FTSENT* p) {
  while (p != nullptr) {
    FTSENT* next = p->fts_link;
    free(p);
    p = next;
  }
}

// Where "/<name>" of a child goes in the path of `p`.
size_t append_at(const FTSENT* p) {
  const size_t size = p->fts_pathlen;
  return p->fts_path[size - 1] == '/' ? size - 1 : size;
}

int open_here() { return ip_openat(AT_FDCWD, ".", O_RDONLY | O_CLOEXEC); }

// fchdir for walks that change directory. False: errno.
bool change_to(const FTS* sp, int fd) { return has(sp, FTS_NOCHDIR) || ip_fchdir(fd) == 0; }

// Changes to the directory of `p`, by descriptor or by path, if it still is that directory (symlink
// attacks). False: errno.
bool change_safely(const FTS* sp, const FTSENT* p, int fd, const char* path) {
  if (has(sp, FTS_NOCHDIR)) return true;
  const int opened = fd >= 0 ? fd : ip_openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (opened < 0) return false;
  struct stat st;
  bool done = ip_fstat(opened, &st) == 0;
  if (done && (st.st_dev != p->fts_dev || st.st_ino != p->fts_ino)) {
    errno = ENOENT;
    done = false;
  }
  done = done && ip_fchdir(opened) == 0;
  const int error = errno;
  if (fd < 0) raw_call(SYS_close, opened);
  errno = error;
  return done;
}

// Fills in what the entry is; the result is for fts_info. Requires: fts_accpath is set.
unsigned short look(const FTS* sp, FTSENT* p, bool follow) {
  struct stat own;
  struct stat* st = has(sp, FTS_NOSTAT) ? &own : p->fts_statp;
  if (has(sp, FTS_LOGICAL) || follow) {
    if (ip_stat(p->fts_accpath, st) != 0) {
      const int error = errno;
      if (ip_lstat(p->fts_accpath, st) == 0) {
        errno = 0;
        return FTS_SLNONE;
      }
      p->fts_errno = error;
      memset(st, 0, sizeof *st);
      return FTS_NS;
    }
  } else if (ip_lstat(p->fts_accpath, st) != 0) {
    p->fts_errno = errno;
    memset(st, 0, sizeof *st);
    return FTS_NS;
  }
  if (S_ISDIR(st->st_mode)) {
    p->fts_dev = st->st_dev;
    p->fts_ino = st->st_ino;
    p->fts_nlink = st->st_nlink;
    if (is_dot(p->fts_name)) return FTS_DOT;
    for (FTSENT* above = p->fts_parent; above->fts_level >= FTS_ROOTLEVEL;
         above = above->fts_parent) {
      if (above->fts_ino == p->fts_ino && above->fts_dev == p->fts_dev) {
        p->fts_cycle = above;
        return FTS_DC;
      }
    }
    return FTS_D;
  }
  if (S_ISLNK(st->st_mode)) return FTS_SL;
  return S_ISREG(st->st_mode) ? FTS_F : FTS_DEFAULT;
}

// Sorts a list with the program's function.
FTSENT* sort(FTS* sp, FTSENT* head, size_t count) {
  if (count > static_cast<size_t>(sp->fts_nitems)) {
    auto** grown = static_cast<FTSENT**>(realloc(sp->fts_array, (count + 40) * sizeof(FTSENT*)));
    if (grown == nullptr) return head;  // unsorted is better than nothing
    sp->fts_array = grown;
    sp->fts_nitems = static_cast<int>(count + 40);
  }
  FTSENT** array = sp->fts_array;
  for (FTSENT* p = head; p != nullptr; p = p->fts_link) *array++ = p;
  qsort(sp->fts_array, count, sizeof(FTSENT*),
        reinterpret_cast<int (*)(const void*, const void*)>(sp->fts_compar));
  for (size_t i = 0; i < count; i++)
    sp->fts_array[i]->fts_link = i + 1 < count ? sp->fts_array[i + 1] : nullptr;
  return sp->fts_array[0];
}

// Makes the common path buffer hold `size` bytes; entries point into it.
bool make_room(FTS* sp, size_t size, FTSENT* head) {
  if (size < static_cast<size_t>(sp->fts_pathlen)) return true;
  const size_t room = size + 256;
  const auto old = reinterpret_cast<uintptr_t>(sp->fts_path);
  auto* grown = static_cast<char*>(realloc(sp->fts_path, room));
  if (grown == nullptr) return false;
  sp->fts_path = grown;
  sp->fts_pathlen = static_cast<int>(room);
  auto adjust = [old, grown, sp](FTSENT* p) {
    if (reinterpret_cast<uintptr_t>(p->fts_accpath) == old) p->fts_accpath = grown;
    p->fts_path = sp->fts_path;
  };
  for (FTSENT* p = sp->fts_child; p != nullptr; p = p->fts_link) adjust(p);
  for (FTSENT* p = head; p != nullptr; p = p->fts_link) adjust(p);
  // The siblings of each level up, and the levels themselves.
  for (FTSENT* p = sp->fts_cur; p != nullptr && p->fts_level >= FTS_ROOTLEVEL; p = p->fts_parent)
    for (FTSENT* q = p; q != nullptr; q = q->fts_link) adjust(q);
  return true;
}

// Starts with a new root: its path is its name, its own name the last part of it.
void load_root(FTS* sp, FTSENT* p) {
  const size_t size = p->fts_pathlen = p->fts_namelen;
  memmove(sp->fts_path, p->fts_name, size + 1);
  char* slash = strrchr(p->fts_name, '/');
  if (slash != nullptr && (slash != p->fts_name || slash[1] != 0)) {
    const size_t last = strlen(slash + 1);
    memmove(p->fts_name, slash + 1, last + 1);
    p->fts_namelen = static_cast<unsigned short>(last);
  }
  p->fts_accpath = p->fts_path = sp->fts_path;
  sp->fts_dev = p->fts_dev;
}

// Appends the name of `p` to the path.
FTSENT* load_name(FTS* sp, FTSENT* p) {
  char* at = sp->fts_path + append_at(p->fts_parent);
  *at++ = '/';
  memmove(at, p->fts_name, static_cast<size_t>(p->fts_namelen) + 1);
  return sp->fts_cur = p;
}

void stop(FTS* sp) { sp->fts_options |= FTS_STOP; }

// The entries of the current directory entry as a list.
class Builder {
 public:
  Builder(FTS* sp, Build type) : sp_(sp), type_(type), cur_(sp->fts_cur) {}

  FTSENT* run() {
    DIR* dir = open_directory_at(AT_FDCWD, cur_->fts_accpath);
    if (dir == nullptr) {
      if (type_ == Build::kRead) {
        cur_->fts_info = FTS_DNR;
        cur_->fts_errno = errno;
      }
      return nullptr;
    }
    if (type_ == Build::kNames) {
      stat_ = false;
    } else {
      descended_ = change_safely(sp_, cur_, ip_dirfd(dir), nullptr);
      if (!descended_) {
        cannot_enter_ = errno;
        if (type_ == Build::kRead) cur_->fts_errno = errno;
        cur_->fts_flags |= FTS_DONTCHDIR;
      }
    }
    const bool complete = read_all(dir);
    ip_closedir(dir);
    if (!complete) {
      free_list(head_);
      cur_->fts_info = FTS_ERR;
      stop(sp_);
      return nullptr;
    }
    return finish();
  }

 private:
  bool read_all(DIR* dir) {
    const size_t prefix = append_at(cur_) + 1;
    while (struct dirent* entry = ip_readdir(dir)) {
      if (!has(sp_, FTS_SEEDOT) && is_dot(entry->d_name)) continue;
      if (!add(entry, prefix)) return false;
    }
    return true;
  }

  bool add(const struct dirent* entry, size_t prefix) {
    const size_t size = strlen(entry->d_name);
    FTSENT* p = new_entry(sp_, entry->d_name, size);
    if (p == nullptr) return false;
    if (prefix + size > kPathMost) {
      free(p);
      errno = ENAMETOOLONG;
      return false;
    }
    if (!make_room(sp_, prefix + size + 1, head_)) {
      free(p);
      return false;
    }
    p->fts_path = sp_->fts_path;
    p->fts_level = static_cast<short>(cur_->fts_level + 1);
    p->fts_parent = cur_;
    p->fts_pathlen = static_cast<unsigned short>(prefix + size);
    describe(p, entry, prefix);
    if (head_ == nullptr)
      head_ = p;
    else
      tail_->fts_link = p;
    tail_ = p;
    count_++;
    return true;
  }

  void describe(FTSENT* p, const struct dirent* entry, size_t prefix) {
    if (cannot_enter_ != 0) {
      p->fts_info = FTS_NS;
      p->fts_errno = cannot_enter_;
      p->fts_accpath = cur_->fts_accpath;
      return;
    }
    p->fts_accpath = has(sp_, FTS_NOCHDIR) ? p->fts_path : p->fts_name;
    const bool known_leaf = has(sp_, FTS_NOSTAT) && has(sp_, FTS_PHYSICAL) &&
                            entry->d_type != DT_DIR && entry->d_type != DT_UNKNOWN;
    if (!stat_ || known_leaf) {
      p->fts_info = FTS_NSOK;
      return;
    }
    if (has(sp_, FTS_NOCHDIR)) {
      char* at = sp_->fts_path + prefix;
      at[-1] = '/';
      memmove(at, p->fts_name, static_cast<size_t>(p->fts_namelen) + 1);
    }
    p->fts_info = look(sp_, p, false);
  }

  FTSENT* finish() {
    if (has(sp_, FTS_NOCHDIR)) {
      // The path buffer names the directory again.
      sp_->fts_path[cur_->fts_pathlen] = 0;
    }
    const bool go_back = descended_ && (type_ == Build::kChildren || head_ == nullptr);
    if (go_back &&
        !(cur_->fts_level == FTS_ROOTLEVEL ? change_to(sp_, sp_->fts_rfd)
                                           : change_safely(sp_, cur_->fts_parent, -1, ".."))) {
      free_list(head_);
      cur_->fts_info = FTS_ERR;
      stop(sp_);
      return nullptr;
    }
    if (head_ == nullptr) {
      if (type_ == Build::kRead) cur_->fts_info = FTS_DP;
      return nullptr;
    }
    return sp_->fts_compar != nullptr && count_ > 1 ? sort(sp_, head_, count_) : head_;
  }

  FTS* sp_;
  Build type_;
  FTSENT* cur_;
  FTSENT* head_ = nullptr;
  FTSENT* tail_ = nullptr;
  size_t count_ = 0;
  bool stat_ = true;
  bool descended_ = false;
  int cannot_enter_ = 0;  // errno
};

// FTS_FOLLOW on a symlink: look behind it, and remember the way back.
void follow(FTS* sp, FTSENT* p) {
  p->fts_info = look(sp, p, true);
  if (p->fts_info != FTS_D || has(sp, FTS_NOCHDIR)) return;
  p->fts_symfd = open_here();
  if (p->fts_symfd < 0) {
    p->fts_errno = errno;
    p->fts_info = FTS_ERR;
  } else {
    p->fts_flags |= FTS_SYMFOLLOW;
  }
}

// Into the directory `p` that was returned before. nullptr: it has no entries to return, or they
// can't be read.
FTSENT* descend(FTS* sp, FTSENT* p) {
  if (sp->fts_child != nullptr && has(sp, FTS_NAMEONLY)) {
    sp->fts_options &= ~FTS_NAMEONLY;
    free_list(sp->fts_child);
    sp->fts_child = nullptr;
  }
  if (sp->fts_child != nullptr) {
    // fts_children has read them already.
    if (!change_safely(sp, p, -1, p->fts_accpath)) {
      p->fts_errno = errno;
      p->fts_flags |= FTS_DONTCHDIR;
      for (FTSENT* child = sp->fts_child; child != nullptr; child = child->fts_link)
        child->fts_accpath = child->fts_parent->fts_accpath;
    }
  } else {
    sp->fts_child = Builder(sp, Build::kRead).run();
  }
  FTSENT* child = sp->fts_child;
  sp->fts_child = nullptr;
  return child;
}

// Back to the directory that holds the finished entry `p`.
FTSENT* ascend(FTS* sp, FTSENT* p) {
  FTSENT* up = p->fts_parent;
  free(p);
  if (up->fts_level == FTS_ROOTPARENTLEVEL) {
    free(up);
    errno = 0;
    return sp->fts_cur = nullptr;
  }
  sp->fts_cur = up;
  sp->fts_path[up->fts_pathlen] = 0;
  bool back;
  if (up->fts_level == FTS_ROOTLEVEL) {
    back = change_to(sp, sp->fts_rfd);
  } else if ((up->fts_flags & FTS_SYMFOLLOW) != 0) {
    back = change_to(sp, up->fts_symfd);
    raw_call(SYS_close, up->fts_symfd);
  } else {
    back = (up->fts_flags & FTS_DONTCHDIR) != 0 || change_safely(sp, up->fts_parent, -1, "..");
  }
  if (!back) {
    stop(sp);
    return nullptr;
  }
  up->fts_info = up->fts_errno != 0 ? FTS_ERR : FTS_DP;
  return up;
}

}  // namespace

FTS* ip_fts_open(char* const* roots, int options, FtsCompare compare) {
  if ((options & ~FTS_OPTIONMASK) != 0) {
    errno = EINVAL;
    return nullptr;
  }
  auto* sp = static_cast<FTS*>(calloc(1, sizeof(FTS)));
  if (sp == nullptr) return nullptr;
  sp->fts_compar = reinterpret_cast<decltype(sp->fts_compar)>(compare);
  sp->fts_options = options | (options & FTS_LOGICAL ? FTS_NOCHDIR : 0);
  sp->fts_rfd = -1;
  size_t longest = PATH_MAX;
  for (char* const* root = roots; *root != nullptr; root++) {
    const size_t size = strlen(*root) + 1;
    if (size > longest) longest = size;
  }
  sp->fts_path = static_cast<char*>(malloc(longest));
  sp->fts_pathlen = static_cast<int>(longest);
  FTSENT* above = sp->fts_path != nullptr ? new_entry(sp, "", 0) : nullptr;
  FTSENT* head = nullptr;
  FTSENT* tail = nullptr;
  size_t count = 0;
  int error = above == nullptr ? ENOMEM : 0;
  if (above != nullptr) above->fts_level = FTS_ROOTPARENTLEVEL;
  for (char* const* root = roots; error == 0 && *root != nullptr; root++, count++) {
    const size_t size = strlen(*root);
    FTSENT* p = size != 0 && size <= kPathMost ? new_entry(sp, *root, size) : nullptr;
    if (p == nullptr) {
      error = size == 0 ? ENOENT : size > kPathMost ? ENAMETOOLONG : ENOMEM;
      break;
    }
    p->fts_level = FTS_ROOTLEVEL;
    p->fts_parent = above;
    p->fts_accpath = p->fts_name;
    p->fts_info = look(sp, p, has(sp, FTS_COMFOLLOW));
    if (p->fts_info == FTS_DOT)
      p->fts_info = FTS_D;  // "." and ".." that are asked for are directories
    if (head == nullptr)
      head = p;
    else
      tail->fts_link = p;
    tail = p;
  }
  if (error == 0 && compare != nullptr && count > 1) head = sort(sp, head, count);
  // A dummy in front: the first fts_read goes to its "next".
  FTSENT* dummy = error == 0 ? new_entry(sp, "", 0) : nullptr;
  if (dummy == nullptr) {
    if (error == 0) error = ENOMEM;
    free_list(head);
    free(above);
    free(sp->fts_array);
    free(sp->fts_path);
    free(sp);
    errno = error;
    return nullptr;
  }
  dummy->fts_link = head;
  dummy->fts_info = FTS_INIT;
  dummy->fts_parent = above;
  sp->fts_cur = dummy;
  if (!has(sp, FTS_NOCHDIR) && (sp->fts_rfd = open_here()) < 0) sp->fts_options |= FTS_NOCHDIR;
  return sp;
}

FTSENT* ip_fts_read(FTS* sp) {
  FTSENT* p = sp->fts_cur;
  if (p == nullptr || has(sp, FTS_STOP)) return nullptr;
  const int instruction = p->fts_instr;
  p->fts_instr = FTS_NOINSTR;
  if (instruction == FTS_AGAIN) {
    p->fts_info = look(sp, p, false);
    return p;
  }
  if (instruction == FTS_FOLLOW && (p->fts_info == FTS_SL || p->fts_info == FTS_SLNONE)) {
    follow(sp, p);
    return p;
  }
  if (p->fts_info == FTS_D) {
    if (instruction == FTS_SKIP || (has(sp, FTS_XDEV) && p->fts_dev != sp->fts_dev)) {
      if ((p->fts_flags & FTS_SYMFOLLOW) != 0) raw_call(SYS_close, p->fts_symfd);
      free_list(sp->fts_child);
      sp->fts_child = nullptr;
      p->fts_info = FTS_DP;
      return p;
    }
    FTSENT* child = descend(sp, p);
    if (child == nullptr) return has(sp, FTS_STOP) ? nullptr : p;
    return load_name(sp, child);
  }
  for (;;) {
    FTSENT* done = p;
    p = p->fts_link;
    if (p == nullptr) return ascend(sp, done);
    sp->fts_cur = p;
    free(done);
    if (p->fts_level == FTS_ROOTLEVEL) {
      if (!change_to(sp, sp->fts_rfd)) {
        stop(sp);
        return nullptr;
      }
      load_root(sp, p);
      return p;
    }
    if (p->fts_instr == FTS_SKIP) continue;
    if (p->fts_instr == FTS_FOLLOW) {
      follow(sp, p);
      p->fts_instr = FTS_NOINSTR;
    }
    return load_name(sp, p);
  }
}

FTSENT* ip_fts_children(FTS* sp, int instruction) {
  if (instruction != 0 && instruction != FTS_NAMEONLY) {
    errno = EINVAL;
    return nullptr;
  }
  FTSENT* p = sp->fts_cur;
  errno = 0;
  if (p == nullptr || has(sp, FTS_STOP)) return nullptr;
  if (p->fts_info == FTS_INIT) return p->fts_link;
  if (p->fts_info != FTS_D) return nullptr;
  free_list(sp->fts_child);
  sp->fts_child = nullptr;
  Build type = Build::kChildren;
  if (instruction == FTS_NAMEONLY) {
    sp->fts_options |= FTS_NAMEONLY;
    type = Build::kNames;
  }
  // A relative root is reached from where the walk began; building goes back there by ".." only for
  // deeper levels.
  if (p->fts_level != FTS_ROOTLEVEL || p->fts_accpath[0] == '/' || has(sp, FTS_NOCHDIR))
    return sp->fts_child = Builder(sp, type).run();
  const int here = open_here();
  if (here < 0) return sp->fts_child = nullptr;
  sp->fts_child = Builder(sp, type).run();
  const bool back = ip_fchdir(here) == 0;
  raw_call(SYS_close, here);
  return back ? sp->fts_child : nullptr;
}

int ip_fts_set(FTS*, FTSENT* p, int instruction) {
  if (instruction < 0 ||
      (instruction != 0 && instruction != FTS_AGAIN && instruction != FTS_FOLLOW &&
       instruction != FTS_NOINSTR && instruction != FTS_SKIP)) {
    errno = EINVAL;
    return -1;
  }
  p->fts_instr = static_cast<unsigned short>(instruction);
  return 0;
}

int ip_fts_close(FTS* sp) {
  FTSENT* p = sp->fts_cur;
  while (p != nullptr) {
    FTSENT* done = p;
    const bool top = p->fts_level == FTS_ROOTPARENTLEVEL;
    p = p->fts_link != nullptr ? p->fts_link : p->fts_parent;
    free(done);
    if (top) break;
  }
  free_list(sp->fts_child);
  free(sp->fts_array);
  free(sp->fts_path);
  int result = 0;
  if (sp->fts_rfd >= 0) {
    if (!has(sp, FTS_NOCHDIR)) result = ip_fchdir(sp->fts_rfd);
    const int error = errno;
    raw_call(SYS_close, sp->fts_rfd);
    errno = error;
  }
  free(sp);
  return result;
}

}  // namespace ovl
