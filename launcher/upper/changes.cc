// See changes.h. Two views through the core's own lookup: what programs see now, and what the
// lowers alone would show.
#include "launcher/upper/changes.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <set>

#include "core/caller/local_caller.h"
#include "core/names/redirect.h"
#include "core/ops/ops.h"
#include "core/walk/lookup.h"
#include "launcher/failure.h"
#include "launcher/session/listing.h"
#include "launcher/upper/view.h"

namespace fs = std::filesystem;

namespace ovl {
namespace {

std::vector<std::string> names_in(const std::string& dir) {
  std::vector<std::string> names;
  for (const RealEntry& entry : real_entries(dir)) names.push_back(entry.name);
  return names;
}

// The xattrs that programs see.
std::map<std::string, std::string> xattrs_of(Session& session, const std::string& path) {
  LocalCaller caller;
  std::map<std::string, std::string> all;
  std::vector<char> list(65536), value(65536);
  Outcome n = run_op<&op_llistxattr>(caller, session, UserPath(path.c_str()), UserBuf(list.data()),
                                     list.size());
  const long size =
      n.is_native() ? raw_call(SYS_llistxattr, path.c_str(), list.data(), list.size()) : n.value();
  for (const char* name = list.data(); size > 0 && name < list.data() + size;
       name += strlen(name) + 1) {
    if (strcmp(name, "security.selinux") == 0) continue;  // the kernel's labels, not the user's
    Outcome got = run_op<&op_lgetxattr>(caller, session, UserPath(path.c_str()), UserPath(name),
                                        UserBuf(value.data()), value.size());
    const long length =
        got.is_native() ? raw_call(SYS_lgetxattr, path.c_str(), name, value.data(), value.size())
                        : got.value();
    all[name] = length > 0 ? std::string(value.data(), static_cast<size_t>(length)) : "";
  }
  return all;
}

bool same_data(CStr a, CStr b) {
  const UniqueFd fa(open(a.c_str(), O_RDONLY | O_CLOEXEC)),
      fb(open(b.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fa.valid() || !fb.valid()) return false;
  std::vector<char> ba(256 * 1024), bb(256 * 1024);
  while (true) {
    const ssize_t na = read(fa.get(), ba.data(), ba.size());
    if (na < 0) return false;
    for (ssize_t got = 0; got < na;) {
      const ssize_t nb = read(fb.get(), bb.data() + got, static_cast<size_t>(na - got));
      if (nb <= 0) return false;
      got += nb;
    }
    if (na == 0) return read(fb.get(), bb.data(), 1) == 0;
    if (memcmp(ba.data(), bb.data(), static_cast<size_t>(na)) != 0) return false;
  }
}

std::string link_text(CStr path) {
  std::error_code error;
  return fs::read_symlink(path.c_str(), error).string();
}

class Scan {
 public:
  explicit Scan(const UpperSource& source) : now_(source, true), before_(source, false) {}

  std::vector<Change> run() {
    todo_.push_back({"", ""});
    {
      Op now(caller_, now_.session()), before(caller_, before_.session());
      compare(now_.node(now, ""), "", before_.node(before, ""), "");
    }
    while (!todo_.empty()) {
      const Directory dir = std::move(todo_.back());
      todo_.pop_back();
      scan(dir);
    }
    for (const Newcomer& file : newcomers_) find_source(file);
    // What was renamed away left a whiteout: that is the other half of the rename.
    std::erase_if(changes_, [&](const Change& c) {
      return c.kind == ChangeKind::kDeleted && sources_.contains(c.old_path);
    });
    std::sort(changes_.begin(), changes_.end(), [](const Change& a, const Change& b) {
      return a.path != b.path ? a.path < b.path : a.kind < b.kind;
    });
    return std::move(changes_);
  }

 private:
  struct Directory {
    std::string rel;
    std::optional<std::string> old;  // what it was before: nullopt: nothing
  };

  // A file at a new name that was copied up from the lower object with this inode number.
  struct Newcomer {
    std::string rel;
    uint64_t ino;
    size_t change;  // where it stands in changes_, as added
  };

  void add(ChangeKind kind, const std::string& rel, const std::string& old) {
    changes_.push_back({kind, now_.shown(rel), before_.shown(old)});
  }

  void scan(const Directory& dir) {
    // Memory for one directory at a time, and for the chain above it.
    Op now_op(caller_, now_.session()), before_op(caller_, before_.session());
    const Node& now_dir = now_.node(now_op, dir.rel);
    const Node* before_dir = dir.old ? &before_.node(before_op, *dir.old) : nullptr;
    std::vector<std::string> found = names_in(now_dir.upper.c_str());
    std::set<std::string> names(found.begin(), found.end());
    if (before_dir != nullptr && now_dir.lower_count == 0) {
      // Opaque: what lies below is gone.
      for (uint32_t i = 0; i < before_dir->lower_count; i++) {
        found = names_in(before_dir->lowers[i].path.c_str());
        names.insert(found.begin(), found.end());
      }
    }
    for (const std::string& name : names) {
      const std::string rel = dir.rel + "/" + name;
      const Node& now =
          *value_of(lookup(now_op, now_dir, view(name), Search::kUnchecked), now_.shown(rel));
      const Node* before = nullptr;
      if (before_dir != nullptr) {
        before = value_of(lookup(before_op, *before_dir, view(name), Search::kUnchecked),
                          now_.shown(rel));
        if (!before->exists()) before = nullptr;
      }
      entry(before_op, now, rel, before, dir.old ? *dir.old + "/" + name : "");
    }
  }

  // The path that an object had in the lowers, when it is another than `rel`'s own.
  static std::optional<std::string> renamed_from(Op& op, const Node& now, const std::string& own) {
    if (!now.in_upper() || now.lower_count == 0 || !now.priv.has(Priv::kRedirect))
      return std::nullopt;
    const std::string old = text_of(value_of(lower_path(op, now), own));
    if (old == own) return std::nullopt;
    return old;
  }

  // A file's redirect may be a link's, and the file still have its first name too.
  bool is_gone(const std::string& rel) {
    Op op(caller_, now_.session());
    const Result<const Node*> node = node_at(op, view(now_.shown(rel)));
    if (!node.ok() || !node.value()->exists()) return true;
    // Or something else has the name by now.
    const Node& there = *node.value();
    return there.in_upper() && !there.is_dir() && there.lower_count == 0;
  }

  void entry(Op& before_op, const Node& now, const std::string& rel, const Node* before,
             const std::string& old) {
    if (!now.exists()) {
      if (before == nullptr) return;
      add(ChangeKind::kDeleted, rel, old);
      if (!before->is_dir()) deleted_files_[before->real.stx_ino] = old;
      return;
    }
    if (!now.in_upper()) return;
    const std::optional<std::string> from = renamed_from(before_op, now, old);
    if (from && (now.is_dir() || is_gone(*from))) {
      if (before != nullptr) add(ChangeKind::kDeleted, rel, old);
      add(ChangeKind::kRenamed, rel, *from);
      sources_.insert(before_.shown(*from));
      const Node& source = before_.node(before_op, *from);
      compare(now, rel, source, *from);
      if (now.is_dir()) todo_.push_back({rel, *from});
      return;
    }
    if (before == nullptr) {
      add(ChangeKind::kAdded, rel, rel);
      if (now.is_dir()) todo_.push_back({rel, std::nullopt});
      if (const uint64_t ino = origin_of(now); ino != 0)
        newcomers_.push_back({rel, ino, changes_.size() - 1});
    } else if ((now.mode & S_IFMT) != (before->mode & S_IFMT)) {
      add(ChangeKind::kType, rel, old);
      if (now.is_dir()) todo_.push_back({rel, std::nullopt});
    } else {
      compare(now, rel, *before, old);
      if (now.is_dir()) todo_.push_back({rel, old});
    }
  }

  // The inode number of the lower file that an upper one was copied from; 0: not known, or no copy.
  static uint64_t origin_of(const Node& now) {
    if (now.is_dir() || !now.priv.has(Priv::kOrigin)) return 0;
    char value[kFileHandleMax];
    const Result<size_t> size = sys_lgetxattr(
        now.marked(), priv_name(now.overlay->format, Priv::kOrigin), value, sizeof value);
    FileHandle handle;
    if (!size.ok()) return 0;
    const Result<OriginState> state = decode_origin(value, size.value(), &handle);
    return state.ok() && state.value() == OriginState::kKnown ? inode_of(handle) : 0;
  }

  // A renamed file is a whole copy that knows where it came from, and a whiteout there.
  void find_source(const Newcomer& file) {
    const auto source = deleted_files_.find(file.ino);
    if (source == deleted_files_.end() || sources_.contains(before_.shown(source->second))) return;
    Op now_op(caller_, now_.session()), before_op(caller_, before_.session());
    const Node& now = now_.node(now_op, file.rel);
    const Node& before = before_.node(before_op, source->second);
    if ((now.mode & S_IFMT) != (before.mode & S_IFMT)) return;
    changes_[file.change].kind = ChangeKind::kRenamed;
    changes_[file.change].old_path = before_.shown(source->second);
    sources_.insert(before_.shown(source->second));
    compare(now, file.rel, before, source->second);
  }

  // Two objects of one type.
  void compare(const Node& now, const std::string& rel, const Node& before,
               const std::string& old) {
    if (!now.is_dir() && data_differs(now, before))
      add(ChangeKind::kModified, rel, old);
    else if (metadata_differs(now, rel, before, old))
      add(ChangeKind::kMetadata, rel, old);
  }

  static bool data_differs(const Node& now, const Node& before) {
    if (now.is_symlink()) return link_text(now.top()) != link_text(before.top());
    if (S_ISCHR(now.mode) || S_ISBLK(now.mode))
      return now.rdev_major != before.rdev_major || now.rdev_minor != before.rdev_minor;
    if (!now.is_regular() || now.data() == Str(before.data())) return false;
    return now.real.stx_size != before.real.stx_size || !same_data(now.data(), before.data());
  }

  bool metadata_differs(const Node& now, const std::string& rel, const Node& before,
                        const std::string& old) {
    if (now.mode != before.mode || now.uid != before.uid || now.gid != before.gid) return true;
    const auto& time = now.real.stx_mtime;
    const auto& old_time = before.real.stx_mtime;
    if (!now.is_dir() && (time.tv_sec != old_time.tv_sec || time.tv_nsec != old_time.tv_nsec))
      return true;
    return xattrs_of(now_.session(), now_.shown(rel)) !=
           xattrs_of(before_.session(), before_.shown(old));
  }

  LocalCaller caller_;
  View now_, before_;
  std::vector<Directory> todo_;
  std::vector<Change> changes_;
  std::set<std::string> sources_;  // paths that a rename took away
  std::vector<Newcomer> newcomers_;
  std::map<uint64_t, std::string> deleted_files_;  // by inode number
};

}  // namespace

std::vector<Change> changes_of(const UpperSource& source) { return Scan(source).run(); }

}  // namespace ovl
