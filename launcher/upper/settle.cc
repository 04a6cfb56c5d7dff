// See settle.h. Passes, with the disk waited for in between, so that after a power loss too only
// the last of them can be half done:
//  1. Data: names that only an index has a copy of come to the upper; every metacopy gets its data;
//     below a directory with a redirect, all that it shows of the lowers is copied up.
//  2. Names: the index goes; those directories become opaque, which ends what the redirect began,
//     and it goes.
//  3. Whiteouts that hide nothing now, or that are files, which the kernel would list.
//  4. The mark.
#include "launcher/upper/settle.h"

#include <sys/stat.h>
#include <unistd.h>

#include <optional>
#include <set>

#include "core/caller/local_caller.h"
#include "core/copy_up/complete.h"
#include "core/copy_up/data.h"
#include "core/copy_up/marks.h"
#include "core/copy_up/metadata.h"
#include "core/session/lock.h"
#include "core/walk/lookup.h"
#include "launcher/session/listing.h"
#include "launcher/session/plan.h"
#include "launcher/upper/memory.h"
#include "launcher/upper/object_copy.h"
#include "launcher/upper/settle_index.h"

namespace ovl {
namespace {

std::string joined(const std::string& dir, Str name) {
  return dir + "/" + std::string(name.data(), name.size());
}

class Settler {
 public:
  Settler(const UpperSource& source, Progress& progress)
      : source_(source),
        progress_(progress),
        view_(source, true),
        memory_(source.work + "/work/" + kSettleMemory, source.upper),
        index_(source, memory_, progress) {}

  void run() {
    index_.bring_names();
    bring_data();
    sync();
    index_.remove();
    unfold();
    if (!redirected_.empty()) sync();
    clean_whiteouts();
    memory_.remove();
    sync();
    remove_mark();
  }

 private:
  // How a directory of the upper stands to the lowers.
  struct Directory {
    std::string rel;
    bool moved = false;  // a redirect on it or above tells where its lowers are
    bool pure = false;   // the marks say that it has none
  };

  Session& session() { return view_.session(); }
  std::string real(const std::string& rel) const { return source_.upper + rel; }

  [[noreturn]] void fail_at(const std::string& rel, int error) const {
    if (error == EIO)
      fail("{}: what the upper has of it refers to something that is missing in the lower",
           quote(view_.shown(rel)));
    fail("{}: {}", quote(view_.shown(rel)), error_text(error));
  }
  void check(const Result<void>& result, const std::string& rel) const {
    if (!result.ok()) fail_at(rel, result.error());
  }
  template <class T>
  T get(Result<T> result, const std::string& rel) const {
    if (!result.ok()) fail_at(rel, result.error());
    return std::move(result).value();
  }
  const Node& node(Op& op, const std::string& rel) {
    return *get(node_at(op, view(view_.shown(rel))), rel);
  }

  StatX stat_of(const std::string& rel) const {
    const std::string path = real(rel);
    StatX st;
    check(sys_lstat(view(path), &st), rel);
    return st;
  }
  std::string value(const std::string& rel, Priv which) const {
    char text[512];
    const std::string path = real(rel);
    const Result<size_t> size =
        sys_lgetxattr(view(path), priv_name(view_.overlay().format, which), text, sizeof text);
    return size.ok() ? std::string(text, size.value()) : "";
  }
  bool is_opaque(const Node& dir) const {
    if (dir.priv.has(Priv::kFuseOpaque)) return true;
    if (!dir.priv.has(Priv::kOpaque)) return false;
    char text[2];
    const Result<size_t> size = sys_lgetxattr(
        dir.upper, priv_name(view_.overlay().format, Priv::kOpaque), text, sizeof text);
    return size.ok() && decode_opaque(text, size.value()) == Opaque::kOpaque;
  }
  void drop(const std::string& rel, Priv which) {
    const std::string path = real(rel);
    check(
        ignore_if(sys_lremovexattr(view(path), priv_name(view_.overlay().format, which)), ENODATA),
        rel);
  }

  void sync() {
    progress_.begins("waiting for the disk");
    const Result<UniqueFd> dir = sys_openat(view(source_.upper), O_RDONLY | O_DIRECTORY);
    if (!dir.ok() || syncfs(dir.value().get()) != 0)
      fail("--upper {}: {}", quote(source_.upper), error_text(dir.ok() ? errno : dir.error()));
  }

  // --- 1. ---
  void bring_data() {
    std::vector<Directory> todo = {Directory{}};
    while (!todo.empty()) {
      const Directory dir = std::move(todo.back());
      todo.pop_back();
      bring_data_of(dir, todo);
    }
  }

  // `above`: as the directory that holds it is.
  void bring_data_of(const Directory& above, std::vector<Directory>& todo) {
    const std::string& rel = above.rel;
    memory_.finish_change(stat_of(rel), rel);
    Op op(caller_, session());
    const Node& dir = node(op, rel);
    Directory now = {rel, above.moved, above.pure};
    if (is_opaque(dir)) now.pure = true;
    if (dir.priv.has(Priv::kRedirect)) {
      const bool absolute = value(rel, Priv::kRedirect).starts_with('/');
      if (!now.pure || (absolute && !is_opaque(dir))) {
        now.pure = false;
        now.moved = true;
        if (dir.lower_count == 0)
          fail("{}: the directory that it was in the lower ({}) is missing there",
               quote(view_.shown(rel)), quote(value(rel, Priv::kRedirect)));
      }
      redirected_.push_back(now);
    }
    if (now.pure) now.moved = false;
    std::set<std::string> names;
    for (const RealEntry& entry : real_entries(text_of(dir.upper))) names.insert(entry.name);
    for (uint32_t i = 0; now.moved && i < dir.lower_count; i++)
      for (const RealEntry& entry : real_entries(text_of(dir.lowers[i].path)))
        names.insert(entry.name);
    QuietDirectory quiet(memory_, dir.real, rel);
    for (const std::string& name : names) {
      const std::string below = joined(rel, view(name));
      Op inner(caller_, session());  // of many thousand names, memory for one
      const Node& child = *get(lookup(inner, dir, view(name), Search::kUnchecked), below);
      if (!child.exists()) continue;
      if (!child.in_upper()) {
        if (!now.moved) continue;
        quiet.begin();
        bring(below);
      } else if (!child.is_dir()) {
        finish(child, below, now.moved, quiet);
      }
      if (child.is_dir()) todo.push_back({below, now.moved, now.pure});
    }
    quiet.end();
  }

  // An object of a lower, into the upper.
  void bring(const std::string& rel) {
    Op op(caller_, session());
    const Node& lower = node(op, rel);
    if (lower.is_dir() || lower.real.stx_nlink < 2 || !memory_.link(lower, rel)) {
      if (!lower.is_dir() && lower.real.stx_nlink > 1) memory_.will_copy(lower, rel);
      get(copy_up(op, lower, Data::kAll), rel);
      if (!lower.is_dir() && lower.real.stx_nlink > 1) memory_.copied(lower, rel);
    }
    progress_.did("copied", view_.shown(rel), lower.is_regular() ? lower.real.stx_size : 0);
  }

  // A file of the upper that may refer to a lower one.
  void finish(const Node& seen, const std::string& rel, bool moved, QuietDirectory& quiet) {
    const bool redirected = seen.priv.has(Priv::kRedirect);
    if (seen.priv.has(Priv::kNlink)) index_.finish(seen);
    if (!seen.metacopy()) memory_.finish_change(seen.real, rel);
    if (!seen.metacopy() && !redirected && !(moved && seen.priv.has(Priv::kOrigin))) return;
    Op op(caller_, session());
    const Node* file = &node(op, rel);
    const bool fill = file->metacopy();
    if (fill) {
      check_data(*file, rel);
      quiet.begin();
      if (file->real.stx_nlink > 1 || !replace(op, *file, rel)) fill_in_place(op, *file, rel);
      file = &node(op, rel);
      if (file->metacopy()) fail_at(rel, EBUSY);
    }
    // By this name nothing will lead to the lower file any more that it has its number from.
    if (moved || redirected) check(make_origin_whole(op, *file), rel);
    if (redirected) drop(rel, Priv::kRedirect);
    if (fill || redirected)
      progress_.did("completed", view_.shown(rel), fill ? file->real.stx_size : 0);
  }

  // Data and metadata as a new file in its place. False: this user can't make it the same.
  bool replace(Op& op, const Node& file, const std::string& rel) {
    Temp temp(op, view_.overlay());
    UniqueFd to = get(sys_openat(temp.path(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600), rel);
    const UniqueFd from = get(open_lower(file.data()), rel);
    check(copy_data(op, view_.overlay(), from.get(), to.get(), file.real.stx_size), rel);
    const auto new_name = [&](const std::string& name) -> std::optional<std::string> {
      for (Priv reference : {Priv::kMetacopy, Priv::kFilling, Priv::kRedirect, Priv::kOrigin})
        if (name == priv_name(view_.overlay().format, reference)) return std::nullopt;
      return name;
    };
    const Attributes same = {file.real.stx_uid, file.real.stx_gid, file.real.stx_mode};
    const Result<void> given = give_attributes(file.upper, temp.path(), same, new_name);
    if (!given.ok() && given.error() == EPERM) return false;
    check(given, rel);
    StatX lower;
    check(sys_lstat(file.lowers[0].path, &lower), rel);
    if (lower.stx_nlink < 2) {
      char origin[kFileHandleMax];
      const size_t size = get(origin_of(file.lowers[0], -1, origin), rel);
      check(set_mark(op, view_.overlay(), temp.path(), Priv::kOrigin, Str(origin, size)), rel);
      check(mark_impure(op, *file.up), rel);
    }
    check(Times(file.real).set(temp.path()), rel);
    const KeepTimes keep = get(KeepTimes::of(file.up->upper), rel);
    check(temp.publish(file.upper), rel);
    check(keep.restore(), rel);
    return true;
  }

  void fill_in_place(Op& op, const Node& file, const std::string& rel) {
    memory_.will_change(file.real);
    get(complete(op, file, Data::kAll), rel);
    StatX now;
    check(sys_lstat(file.upper, &now), rel);
    memory_.changed(now, rel);
  }

  // Is what lies below still the file that the metadata was copied from, as far as one can tell?
  void check_data(const Node& file, const std::string& rel) {
    StatX data;
    check(sys_lstat(file.data(), &data), rel);
    if (!S_ISREG(data.stx_mode) || data.stx_size != file.real.stx_size)
      fail("{}: its data in the lower was changed: {} bytes instead of {} in {}",
           quote(view_.shown(rel)), data.stx_size, file.real.stx_size, quote(text_of(file.data())));
  }

  // --- 2. ---
  void unfold() {
    for (auto dir = redirected_.rbegin(); dir != redirected_.rend(); ++dir) {
      Op op(caller_, session());
      const std::string path = real(dir->rel);
      if (!dir->pure) check(mark_opaque(op, view_.overlay(), view(path)), dir->rel);
      drop(dir->rel, Priv::kRedirect);
      progress_.did("unfolded", view_.shown(dir->rel));
    }
  }

  // --- 3. ---
  void clean_whiteouts() {
    std::vector<Directory> todo = {Directory{}};
    while (!todo.empty()) {
      Directory dir = std::move(todo.back());
      todo.pop_back();
      const std::string opaque = value(dir.rel, Priv::kOpaque);
      const Opaque kind = decode_opaque(opaque.data(), opaque.size());
      if (kind == Opaque::kOpaque) dir.pure = true;
      const std::string path = real(dir.rel);
      QuietDirectory quiet(memory_, stat_of(dir.rel), dir.rel);
      if (check_settled(dir.rel).has(Priv::kFuseOpaque)) {
        translate_opaque(dir.rel, quiet);
        dir.pure = true;
      }
      for (const RealEntry& entry : real_entries(path)) {
        const std::string below = joined(dir.rel, view(entry.name));
        if (entry.is_dir)
          todo.push_back({below, false, dir.pure});
        else
          clean_whiteout(below, dir.pure, quiet);
      }
      quiet.end();
      if (kind == Opaque::kHasXattrWhiteouts) drop(dir.rel, Priv::kOpaque);
    }
  }

  // fuse-overlayfs reads the kernel's own as well.
  void translate_opaque(const std::string& rel, QuietDirectory& quiet) {
    const std::string path = real(rel), file = joined(path, kFuseOpaqueFile);
    Op op(caller_, session());
    check(mark_opaque(op, view_.overlay(), view(path)), rel);
    quiet.begin();
    check(ignore_if(sys_unlink(view(file)), ENOENT), rel);
    drop(rel, Priv::kFuseOpaque);
  }

  void clean_whiteout(const std::string& rel, bool pure, QuietDirectory& quiet) {
    const std::string path = real(rel);
    const StatX st = stat_of(rel);
    const bool device = S_ISCHR(st.stx_mode) && st.stx_rdev_major == 0 && st.stx_rdev_minor == 0;
    bool file = false;
    if (S_ISREG(st.stx_mode)) file = check_settled(rel).has(Priv::kWhiteout) && st.stx_size == 0;
    if (!file && !(device && pure)) return;
    quiet.begin();
    if (pure) {
      check(sys_unlink(view(path)), rel);
      return;
    }
    Op op(caller_, session());
    Mutation mutation(session(), Mutation::Topology::kExclusive);
    const Result<void> put = put_whiteout(op, view_.overlay(), view(path));
    if (!put.ok())
      fail("{}: its whiteout can't become a device: {}", quote(view_.shown(rel)),
           error_text(put.error()));
  }

  // Nothing may be left when the mark goes.
  PrivSet check_settled(const std::string& rel) {
    const std::string path = real(rel);
    const Result<size_t> size = sys_llistxattr(view(path), list_.data(), list_.size());
    if (!size.ok()) fail_at(rel, size.error());
    const PrivSet found = parse_xattr_list(view_.overlay().format, list_.data(), size.value());
    if (found.has(Priv::kRedirect) || found.has(Priv::kMetacopy))
      fail("{}: is not settled: the upper was changed meanwhile", quote(view_.shown(rel)));
    return found;
  }

  // --- 4. ---
  void remove_mark() {
    const std::string inner = source_.work + "/work", incompat = inner + "/incompat";
    const std::string mark = incompat + "/" + kIncompatName;
    check_done(ignore_if(sys_rmdir(view(mark)), ENOENT), mark);
    ignore(sys_rmdir(view(incompat)));  // others' marks may be there
    const Result<UniqueFd> dir = sys_openat(view(inner), O_RDONLY | O_DIRECTORY);
    if (dir.ok()) check_done(sys_fsync(dir.value().get()), inner);
  }

  const UpperSource& source_;
  Progress& progress_;
  LocalCaller caller_;
  View view_;
  SettleMemory memory_;
  IndexSettler index_;
  std::vector<Directory> redirected_;                  // those above come first
  std::vector<char> list_ = std::vector<char>(65536);  // XATTR_LIST_MAX
};

}  // namespace

void settle(const UpperSource& source, Progress& progress) { Settler(source, progress).run(); }

}  // namespace ovl
