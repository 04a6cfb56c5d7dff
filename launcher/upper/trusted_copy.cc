// See trusted_copy.h.
#include "launcher/upper/trusted_copy.h"

#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <map>
#include <optional>
#include <vector>

#include "core/caller/local_caller.h"
#include "core/copy_up/data.h"
#include "core/copy_up/metadata.h"
#include "core/format/format.h"
#include "core/walk/attributes.h"
#include "core/walk/beside.h"
#include "launcher/session/existing.h"
#include "launcher/session/listing.h"
#include "launcher/upper/object_copy.h"
#include "launcher/upper/view.h"

namespace ovl {
namespace {

constexpr XattrFormat kFrom = XattrPrefix::kUser, kTo = XattrPrefix::kTrusted;
constexpr size_t kListMost = 65536;  // XATTR_LIST_MAX

enum class Fate : uint8_t {
  kRenamed,
  kDropped,  // made real, or said anew by the kernel
  kOfIndex,  // means something where the index is copied too
};
// By Priv.
constexpr Fate kFates[] = {
    Fate::kRenamed,  // opaque; but not x: whiteouts are devices there
    Fate::kRenamed,  // redirect
    Fate::kRenamed,  // origin
    Fate::kRenamed,  // impure
    Fate::kOfIndex,  // nlink
    Fate::kDropped,  // upper
    Fate::kRenamed,  // uuid
    Fate::kRenamed,  // metacopy
    Fate::kRenamed,  // protattr
    Fate::kDropped,  // whiteout
    Fate::kDropped,  // filling
    Fate::kDropped,  // override_stat
    Fate::kRenamed,  // fuse-overlayfs's opaque
};
static_assert(std::size(kFates) == static_cast<size_t>(Priv::kCount));

// An object of the upper, and what programs are to see of it.
struct Original {
  std::string from, to;
  StatX real;
  PrivSet marks;
  Attributes attributes;
  dev_t device = 0;
  std::string companion;  // carries the marks (core/walk/beside.h); empty: it does itself
  bool whiteout = false;
  Opaque opaque = Opaque::kNo;
};

class TrustedCopy {
 public:
  TrustedCopy(const std::string& upper, const std::string& work, const std::string& to,
              const std::string& to_work, Progress& progress)
      : upper_(upper),
        work_(work),
        to_(to),
        to_work_(to_work),
        progress_(progress),
        view_({upper, upper, work, {upper}, kFrom.prefix}, true) {}

  void run() {
    std::vector<std::string> todo = {""};
    std::vector<Original> directories;  // those above come first
    while (!todo.empty()) {
      const std::string dir = std::move(todo.back());
      todo.pop_back();
      directories.push_back(look(upper_ + dir, to_ + dir));
      const bool fuse = directories.back().marks.has(Priv::kFuseOpaque);
      const bool opaque = fuse || directories.back().opaque == Opaque::kOpaque;
      for (const RealEntry& entry : real_entries(upper_ + dir)) {
        const std::string rel = dir + "/" + entry.name;
        if (entry.is_dir) {
          const std::string made = to_ + rel;
          check(sys_mkdir(view(made), 0700), upper_ + rel);
          todo.push_back(rel);
          continue;
        }
        if (fuse && view(entry.name) == kFuseOpaqueFile) continue;
        const Original object = look(upper_ + rel, to_ + rel);
        // There is nothing to hide, and the kernel would list it.
        if (!opaque || !object.whiteout) copy(object);
      }
    }
    if (!to_work_.empty()) copy_index();
    // What is made inside changes times, and needs the right to write.
    for (auto dir = directories.rbegin(); dir != directories.rend(); ++dir) finish(*dir);
  }

 private:
  static void check(const Result<void>& result, const std::string& from) {
    check_done(result, from);
  }
  template <class T>
  static T get(Result<T> result, const std::string& from) {
    return value_of(std::move(result), from);
  }

  // Its entries have names in the upper, or are known by names of a lower alone.
  void copy_index() {
    const std::string from = work_ + "/index", to = to_work_ + "/index";
    check(sys_mkdir(view(to), 0700), from);
    for (const RealEntry& entry : real_entries(from)) {
      if (entry.name.starts_with('#')) continue;  // a kill has left it
      if (entry.is_dir || !is_index_name(entry.name))
        fail("{}: is nothing that is known in an index", quote(from + "/" + entry.name));
      const Original object = look(from + "/" + entry.name, to + "/" + entry.name);
      // Of an overlay that was exported by NFS: tells of what was removed.
      if (!object.whiteout) copy(object);
    }
  }

  Original look(const std::string& path, const std::string& to) {
    Original object;
    object.from = path;
    object.to = to;
    check(sys_lstat(view(path), &object.real), path);
    object.attributes = {object.real.stx_uid, object.real.stx_gid, object.real.stx_mode};
    object.device = makedev(object.real.stx_rdev_major, object.real.stx_rdev_minor);
    const Result<size_t> size = sys_llistxattr(view(path), list_.data(), list_.size());
    if (!size.ok() && size.error() != EOPNOTSUPP)
      fail("{}: {}", quote(path), error_text(size.error()));
    if (size.ok()) object.marks = parse_xattr_list(kFrom, list_.data(), size.value());
    check(show_filling(kFrom, Object::at(view(path)), object.marks, &object.real), path);
    look_beside(object);
    object.whiteout = object.marks.has(Priv::kWhiteout) && S_ISREG(object.real.stx_mode) &&
                      object.real.stx_size == 0;
    if (object.whiteout) {
      object.attributes = {0, 0, S_IFCHR};
      object.device = 0;
    } else if (S_ISCHR(object.real.stx_mode) && object.device == 0) {
      object.whiteout = true;
    } else if (object.marks.has(Priv::kOverrideStat)) {
      apply_record(object);
    }
    if (object.marks.has(Priv::kOpaque)) {
      const std::string opaque = mark(object, Priv::kOpaque);
      object.opaque = decode_opaque(opaque.data(), opaque.size());
    }
    return object;
  }

  void look_beside(Original& object) {
    if (!stands_beside(view_.overlay(), object.real.stx_mode)) return;
    Op op(caller_, view_.session());
    Node found;
    check(find_beside(op, view_.overlay(), Object::at(view(object.from)), &found), object.from);
    if (found.beside.empty()) return;
    object.marks = found.priv;
    object.companion = text_of(found.beside);
  }

  std::string mark(const Original& object, Priv which) const {
    char value[512];
    const std::string path = object.companion.empty() ? object.from : object.companion;
    const size_t size =
        get(sys_lgetxattr(view(path), priv_name(kFrom, which), value, sizeof value), object.from);
    return std::string(value, size);
  }

  void apply_record(Original& object) const {
    const std::string path = quote(object.from), text = mark(object, Priv::kOverrideStat);
    OverrideStat recorded;
    if (!decode_override_stat(view(text), &recorded).ok())
      fail("{}: its recorded owner and mode can't be read: {}", path, quote(text));
    const mode_t real_type = object.real.stx_mode & S_IFMT;
    const mode_t type = recorded.has_type ? recorded.mode & S_IFMT : real_type;
    if (type != real_type && (real_type != S_IFREG || S_ISDIR(type) || S_ISLNK(type)))
      fail("{}: is recorded as of another type, which it can't become: {}", path, quote(text));
    object.attributes = {recorded.uid, recorded.gid, type | (recorded.mode & 07777)};
    if (S_ISCHR(type) || S_ISBLK(type))
      object.device = makedev(recorded.rdev_major, recorded.rdev_minor);
  }

  void copy(const Original& object) {
    const Inode inode = {object.real.stx_dev_major, object.real.stx_dev_minor, object.real.stx_ino};
    if (object.real.stx_nlink > 1) {
      const auto copied = copies_.find(inode);
      if (copied != copies_.end()) {
        const Result<void> linked = sys_link(view(copied->second), view(object.to));
        if (linked.ok()) return progress_.did("linked", object.from);
        if (linked.error() != EMLINK) check(linked, object.from);
      }
      copies_[inode] = object.to;
    }
    make(object, object.from, object.to);
    finish(object);
  }

  void make(const Original& object, const std::string& from, const std::string& to) {
    const mode_t type = object.attributes.mode & S_IFMT;
    if (type == S_IFREG) return make_file(object, from, to);
    if (type != S_IFLNK) return check(sys_mknod(view(to), type | 0600, object.device), object.from);
    std::vector<char> text(PATH_MAX + 1);
    text[get(sys_readlink(view(from), text.data(), PATH_MAX), object.from)] = 0;
    check(sys_symlink(text.data(), view(to)), object.from);
  }

  void make_file(const Original& object, const std::string& from, const std::string& to) {
    const UniqueFd out = get(sys_openat(view(to), O_WRONLY | O_CREAT | O_EXCL, 0600), object.from);
    const uint64_t size = object.real.stx_size;
    if (size == 0) return;
    if (object.marks.has(Priv::kMetacopy))
      return check(sys_ftruncate(out.get(), static_cast<off_t>(size)), object.from);
    const UniqueFd in = get(open_lower(view(from)), object.from);
    Op op(caller_, view_.session());
    check(copy_data(op, view_.overlay(), in.get(), out.get(), size), object.from);
  }

  // All but its content.
  void finish(const Original& object) {
    const std::string &from = object.from, &to = object.to;
    const NewName name = [&](const std::string& old) { return new_name(object, old); };
    check(give_attributes(view(from), view(to), object.attributes, name), object.from);
    for (Priv which : {Priv::kOrigin, Priv::kNlink}) {
      if (object.companion.empty() || !object.marks.has(which) || is_dropped(which)) continue;
      const std::string told = mark(object, which);
      check(sys_lsetxattr(view(to), priv_name(kTo, which), told.data(), told.size()), object.from);
    }
    check(Times(object.real).set(view(to)), object.from);
    progress_.did("copied", from,
                  S_ISREG(object.attributes.mode) && !object.marks.has(Priv::kMetacopy)
                      ? object.real.stx_size
                      : 0);
  }

  bool is_dropped(Priv which) const {
    const Fate fate = kFates[static_cast<size_t>(which)];
    return fate == Fate::kDropped || (fate == Fate::kOfIndex && to_work_.empty());
  }

  std::optional<std::string> new_name(const Original& object, const std::string& name) {
    for (uint32_t i = 0; i < static_cast<uint32_t>(Priv::kCount); i++) {
      const Priv which = static_cast<Priv>(i);
      if (name == priv_name(kTo, which) && name != priv_name(kFrom, which))
        fail("{}: has {}: it is of a trusted upper already", quote(object.from), name);
      if (name != priv_name(kFrom, which)) continue;
      if (is_dropped(which) || (which == Priv::kOpaque && object.opaque != Opaque::kOpaque))
        return std::nullopt;
      return priv_name(kTo, which == Priv::kFuseOpaque ? Priv::kOpaque : which);
    }
    // One of a program's: by the name that it has for that.
    Op op(caller_, view_.session());
    CStr shown = view(name), stored;
    if (name_from_disk(op.arena(), kFrom, view(name), &shown) == NameClass::kHidden)
      fail("{}: has {}, a format that is not known here", quote(object.from), quote(name));
    const NameClass kind = name_to_disk(op.arena(), kTo, shown, false, &stored);
    return text_of(kind == NameClass::kStored ? Str(stored) : Str(shown));
  }

  struct Inode {
    uint32_t major, minor;
    uint64_t number;
    auto operator<=>(const Inode&) const = default;
  };

  const std::string upper_, work_, to_, to_work_;
  Progress& progress_;
  LocalCaller caller_;
  View view_;                            // of nothing: for what the core wants to know of a session
  std::map<Inode, std::string> copies_;  // where the first one is
  std::vector<char> list_ = std::vector<char>(kListMost);
};

}  // namespace

void copy_trusted(const std::string& upper, const std::string& work, const std::string& to,
                  const std::string& to_work, Progress& progress) {
  TrustedCopy(upper, work, to, to_work, progress).run();
}

}  // namespace ovl
