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
#include "core/walk/beside.h"
#include "launcher/session/listing.h"
#include "launcher/upper/object_copy.h"
#include "launcher/upper/view.h"

namespace ovl {
namespace {

constexpr XattrFormat kFrom = XattrPrefix::kUser, kTo = XattrPrefix::kTrusted;
constexpr size_t kListMost = 65536;  // XATTR_LIST_MAX

enum class Fate : uint8_t {
  kRenamed,
  kDropped,  // made real, or of an index that is not there
};
// By Priv.
constexpr Fate kFates[] = {
    Fate::kRenamed,  // opaque; but not x: whiteouts are devices there
    Fate::kRenamed,  // redirect
    Fate::kRenamed,  // origin
    Fate::kRenamed,  // impure
    Fate::kDropped,  // nlink
    Fate::kDropped,  // upper
    Fate::kRenamed,  // uuid
    Fate::kRenamed,  // metacopy
    Fate::kRenamed,  // protattr
    Fate::kDropped,  // whiteout
    Fate::kDropped,  // override_stat
    Fate::kRenamed,  // fuse-overlayfs's opaque
};
static_assert(std::size(kFates) == static_cast<size_t>(Priv::kCount));

// An object of the upper, and what programs are to see of it.
struct Original {
  std::string rel;
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
              Progress& progress)
      : upper_(upper),
        to_(to),
        progress_(progress),
        view_({upper, upper, work, {upper}, kFrom.prefix}, true) {}

  void run() {
    std::vector<std::string> todo = {""};
    std::vector<Original> directories;  // those above come first
    while (!todo.empty()) {
      const std::string dir = std::move(todo.back());
      todo.pop_back();
      directories.push_back(look(dir));
      const bool fuse = directories.back().marks.has(Priv::kFuseOpaque);
      const bool opaque = fuse || directories.back().opaque == Opaque::kOpaque;
      for (const RealEntry& entry : real_entries(upper_ + dir)) {
        const std::string rel = dir + "/" + entry.name;
        if (entry.is_dir) {
          const std::string made = to_ + rel;
          check(sys_mkdir(view(made), 0700), rel);
          todo.push_back(rel);
          continue;
        }
        if (fuse && view(entry.name) == kFuseOpaqueFile) continue;
        const Original object = look(rel);
        // There is nothing to hide, and the kernel would list it.
        if (!opaque || !object.whiteout) copy(object);
      }
    }
    // What is made inside changes times, and needs the right to write.
    for (auto dir = directories.rbegin(); dir != directories.rend(); ++dir) finish(*dir);
  }

 private:
  void check(const Result<void>& result, const std::string& rel) const {
    if (!result.ok()) fail("{}: {}", quote(upper_ + rel), error_text(result.error()));
  }
  template <class T>
  T get(Result<T> result, const std::string& rel) const {
    return value_of(std::move(result), upper_ + rel);
  }

  Original look(const std::string& rel) {
    const std::string path = upper_ + rel;
    Original object;
    object.rel = rel;
    check(sys_lstat(view(path), &object.real), rel);
    object.attributes = {object.real.stx_uid, object.real.stx_gid, object.real.stx_mode};
    object.device = makedev(object.real.stx_rdev_major, object.real.stx_rdev_minor);
    const Result<size_t> size = sys_llistxattr(view(path), list_.data(), list_.size());
    if (!size.ok() && size.error() != EOPNOTSUPP)
      fail("{}: {}", quote(path), error_text(size.error()));
    if (size.ok()) object.marks = parse_xattr_list(kFrom, list_.data(), size.value());
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
    const std::string path = upper_ + object.rel;
    Op op(caller_, view_.session());
    Node found;
    check(find_beside(op, view_.overlay(), Object::at(view(path)), &found), object.rel);
    if (found.beside.empty()) return;
    object.marks = found.priv;
    object.companion = text_of(found.beside);
  }

  std::string mark(const Original& object, Priv which) const {
    char value[512];
    const std::string path = object.companion.empty() ? upper_ + object.rel : object.companion;
    const size_t size =
        get(sys_lgetxattr(view(path), priv_name(kFrom, which), value, sizeof value), object.rel);
    return std::string(value, size);
  }

  void apply_record(Original& object) const {
    const std::string path = quote(upper_ + object.rel), text = mark(object, Priv::kOverrideStat);
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
    const std::string from = upper_ + object.rel, to = to_ + object.rel;
    const Inode inode = {object.real.stx_dev_major, object.real.stx_dev_minor, object.real.stx_ino};
    if (object.real.stx_nlink > 1) {
      const auto copied = copies_.find(inode);
      if (copied != copies_.end()) {
        const std::string first = to_ + copied->second;
        const Result<void> linked = sys_link(view(first), view(to));
        if (linked.ok()) return progress_.did("linked", from);
        if (linked.error() != EMLINK) check(linked, object.rel);
      }
      copies_[inode] = object.rel;
    }
    make(object, from, to);
    finish(object);
  }

  void make(const Original& object, const std::string& from, const std::string& to) {
    const mode_t type = object.attributes.mode & S_IFMT;
    if (type == S_IFREG) return make_file(object, from, to);
    if (type != S_IFLNK) return check(sys_mknod(view(to), type | 0600, object.device), object.rel);
    std::vector<char> text(PATH_MAX + 1);
    text[get(sys_readlink(view(from), text.data(), PATH_MAX), object.rel)] = 0;
    check(sys_symlink(text.data(), view(to)), object.rel);
  }

  void make_file(const Original& object, const std::string& from, const std::string& to) {
    const UniqueFd out = get(sys_openat(view(to), O_WRONLY | O_CREAT | O_EXCL, 0600), object.rel);
    const uint64_t size = object.real.stx_size;
    if (size == 0) return;
    if (object.marks.has(Priv::kMetacopy))
      return check(sys_ftruncate(out.get(), static_cast<off_t>(size)), object.rel);
    const UniqueFd in = get(open_lower(view(from)), object.rel);
    Op op(caller_, view_.session());
    check(copy_data(op, in.get(), out.get(), size), object.rel);
  }

  // All but its content.
  void finish(const Original& object) {
    const std::string from = upper_ + object.rel, to = to_ + object.rel;
    const NewName name = [&](const std::string& old) { return new_name(object, old); };
    check(give_attributes(view(from), view(to), object.attributes, name), object.rel);
    if (!object.companion.empty() && object.marks.has(Priv::kOrigin)) {
      const std::string origin = mark(object, Priv::kOrigin);
      const char* own = priv_name(kTo, Priv::kOrigin);
      check(sys_lsetxattr(view(to), own, origin.data(), origin.size()), object.rel);
    }
    check(Times(object.real).set(view(to)), object.rel);
    progress_.did("copied", from,
                  S_ISREG(object.attributes.mode) && !object.marks.has(Priv::kMetacopy)
                      ? object.real.stx_size
                      : 0);
  }

  std::optional<std::string> new_name(const Original& object, const std::string& name) {
    for (uint32_t i = 0; i < static_cast<uint32_t>(Priv::kCount); i++) {
      const Priv which = static_cast<Priv>(i);
      if (name == priv_name(kTo, which) && name != priv_name(kFrom, which))
        fail("{}: has {}: it is of a trusted upper already", quote(upper_ + object.rel), name);
      if (name != priv_name(kFrom, which)) continue;
      if (kFates[i] == Fate::kDropped ||
          (which == Priv::kOpaque && object.opaque != Opaque::kOpaque))
        return std::nullopt;
      return priv_name(kTo, which == Priv::kFuseOpaque ? Priv::kOpaque : which);
    }
    // One of a program's: by the name that it has for that.
    Op op(caller_, view_.session());
    CStr shown = view(name), stored;
    if (name_from_disk(op.arena(), kFrom, view(name), &shown) == NameClass::kHidden)
      fail("{}: has {}, a format that is not known here", quote(upper_ + object.rel), quote(name));
    const NameClass kind = name_to_disk(op.arena(), kTo, shown, false, &stored);
    return text_of(kind == NameClass::kStored ? Str(stored) : Str(shown));
  }

  struct Inode {
    uint32_t major, minor;
    uint64_t number;
    auto operator<=>(const Inode&) const = default;
  };

  const std::string upper_, to_;
  Progress& progress_;
  LocalCaller caller_;
  View view_;  // of nothing: for what the core wants to know of a session
  std::map<Inode, std::string> copies_;
  std::vector<char> list_ = std::vector<char>(kListMost);
};

}  // namespace

void copy_trusted(const std::string& upper, const std::string& work, const std::string& to,
                  Progress& progress) {
  TrustedCopy(upper, work, to, progress).run();
}

}  // namespace ovl
