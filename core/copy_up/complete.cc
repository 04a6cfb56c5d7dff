// See complete.h.
#include "core/copy_up/complete.h"

#include <linux/falloc.h>

#include "core/copy_up/data.h"
#include "core/copy_up/marks.h"
#include "core/copy_up/metadata.h"
#include "core/session/lock.h"
#include "core/session/readers.h"
#include "core/walk/changed.h"
#include "core/walk/lookup.h"

namespace ovl {
namespace {

constexpr const char kCapability[] = "security.capability";
constexpr size_t kCapabilityMax = 64;

// What programs see of a metacopy, kept while its inode has something else: a write takes times,
// setuid bits and capabilities, and emptying the size. Times and size stand in a record that counts
// as long as the marker is there; the others where an ordinary user's stand. So the marker's going
// is the one step that is seen, and a kill before it changes nothing.
class Kept {
 public:
  Kept(Op& op, const Overlay& overlay, int fd)
      : op_(op), overlay_(overlay), fd_(fd), record_(priv_name(overlay.format, Priv::kFilling)) {}

  // What is emptied keeps no setuid bit and no capability.
  Result<void> begin(Data data) {
    TRY(sys_fstat(fd_, &st_));
    char value[kFillingSize];
    const Result<size_t> n = sys_fgetxattr(fd_, record_, value, sizeof value);
    if (n.ok()) return left_by_a_kill(value, n.value());
    if (n.error() != ENODATA) return Error(n.error());
    const bool whole = data == Data::kAll;
    mode_recorded_ = whole && TRY(mode_needs_record());
    TRY(read_capability(kCapability));
    capability_stored_ = whole && capability_size_ != 0;
    const auto time = [](const statx_timestamp& t) { return Filling::Time{t.tv_sec, t.tv_nsec}; };
    encode_filling(Filling{time(st_.stx_atime), time(st_.stx_mtime), st_.stx_size, mode_recorded_,
                           capability_stored_},
                   value);
    TRY(sys_fsetxattr(fd_, record_, value, sizeof value));
    const Result<void> kept = keep();
    if (!kept.ok()) ignore(end());
    return kept;
  }

  // Gives the inode all that it is to show when the marker has gone.
  Result<void> put_back(Data data) const {
    if (data == Data::kDrop) return Times(st_).changed_now().set(fd_);
    TRY(put_back_mode());
    if (capability_size_ != 0)
      TRY(ignore_if(sys_fsetxattr(fd_, kCapability, capability_, capability_size_), EPERM));
    TRY(forget_kept());
    return Times(st_).set(fd_);
  }
  // Everything is where it belongs. Without the marker the record counts no more.
  Result<void> end() const {
    TRY(forget_kept());
    return ignore_if(sys_fremovexattr(fd_, record_), ENODATA);
  }

  // The metacopy as it was. Where that fails it goes on showing what is kept. Blocks of data that
  // could not come whole go: on a full file system they would stay lost.
  Result<void> give_up() const {
    constexpr int kHole = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
    const auto size = static_cast<off_t>(st_.stx_size);
    TRY(sys_ftruncate(fd_, size));
    ignore(checked_void(raw_call(SYS_fallocate, fd_, kHole, 0, size)));
    TRY(put_back(Data::kAll));
    return end();
  }

 private:
  static constexpr mode_t kTaken = S_ISUID | S_ISGID;

  const char* override_name() const { return priv_name(overlay_.format, Priv::kOverrideStat); }
  // Where an ordinary user's stands. Without memory: nullptr, which is EFAULT.
  const char* stored_name() const {
    CStr stored;
    name_to_disk(op_.arena(), overlay_.format, kCapability, true, &stored);
    return stored.c_str();
  }

  Result<void> left_by_a_kill(const char* value, size_t size) {
    Filling shown;
    TRY(decode_filling(value, size, &shown));
    st_.stx_size = shown.size;
    st_.stx_atime = {shown.accessed.seconds, shown.accessed.nanoseconds};
    st_.stx_mtime = {shown.changed.seconds, shown.changed.nanoseconds};
    mode_recorded_ = shown.mode_recorded;
    capability_stored_ = shown.capability_stored;
    TRY(read_capability(kCapability));
    if (capability_size_ == 0 && capability_stored_) TRY(read_capability(stored_name()));
    if (!mode_recorded_) return {};
    char text[kOverrideStatMax];
    const Result<size_t> n = sys_fgetxattr(fd_, override_name(), text, sizeof text);
    if (!n.ok()) return ignore_if(Result<void>(Error(n.error())), ENODATA);
    OverrideStat recorded;
    if (decode_override_stat(Str(text, n.value()), &recorded).ok())
      st_.stx_mode = static_cast<uint16_t>((st_.stx_mode & S_IFMT) | (recorded.mode & 07777));
    return {};
  }

  Result<bool> mode_needs_record() const {
    if ((st_.stx_mode & kTaken) == 0 || op_.caller().credentials().override_dac) return false;
    const Result<size_t> n = sys_fgetxattr(fd_, override_name(), nullptr, 0);
    if (!n.ok() && n.error() != ENODATA) return Error(n.error());
    return !n.ok();
  }
  Result<void> read_capability(const char* name) {
    const Result<size_t> n = sys_fgetxattr(fd_, name, capability_, sizeof capability_);
    capability_size_ = n.ok() ? n.value() : 0;
    if (n.ok() || n.error() == EOPNOTSUPP) return {};
    return ignore_if(Result<void>(Error(n.error())), ENODATA);
  }

  // As long as they stand there, nobody misses what a write takes.
  Result<void> keep() {
    if (capability_stored_) TRY(sys_fsetxattr(fd_, stored_name(), capability_, capability_size_));
    if (!mode_recorded_) return {};
    char text[kOverrideStatMax];
    const OverrideStat value = {st_.stx_uid, st_.stx_gid, st_.stx_mode, true, 0, 0};
    return sys_fsetxattr(fd_, override_name(), text, encode_override_stat(value, text));
  }
  Result<void> forget_kept() const {
    if (capability_stored_) TRY(ignore_if(sys_fremovexattr(fd_, stored_name()), ENODATA));
    return mode_recorded_ ? ignore_if(sys_fremovexattr(fd_, override_name()), ENODATA)
                          : Result<void>();
  }

  Result<void> put_back_mode() const {
    if ((st_.stx_mode & kTaken) == 0) return {};
    StatX now;
    TRY(sys_fstat(fd_, &now));
    return now.stx_mode == st_.stx_mode ? Result<void>() : sys_fchmod(fd_, st_.stx_mode & 07777);
  }

  Op& op_;
  const Overlay& overlay_;
  const int fd_;
  const char* const record_;
  StatX st_;
  bool mode_recorded_ = false;
  bool capability_stored_ = false;
  char capability_[kCapabilityMax];
  size_t capability_size_ = 0;
};

Result<void> fill(Op& op, const Node& node, int upper) {
  TRY(may_write(op, node.real.stx_size));
  UniqueFd lower = TRY(open_lower(node.data()));
  StatX st;
  TRY(sys_fstat(lower.get(), &st));
  if (!S_ISREG(st.stx_mode)) return Error(EIO);
  return copy_data(op, *node.overlay, lower.get(), upper, st.stx_size);
}

// Until the end the marker tells where the inode number comes from; then the origin does.
Result<void> add_origin(const Node& node, int upper) {
  StatX st;
  TRY(sys_lstat(node.lowers[0].path, &st));
  if (st.stx_nlink > 1) return {};
  char origin[kFileHandleMax];
  const size_t size = TRY(origin_of(node.lowers[0], -1, origin));
  // Under another name than the lower's an empty one would be taken for that of another file.
  if (size == 0 && node.priv.has(Priv::kRedirect)) return {};
  return sys_fsetxattr(upper, priv_name(node.overlay->format, Priv::kOrigin), origin, size);
}

}  // namespace

Result<bool> complete(Op& op, const Node& node, Data data) {
  const char* marker = priv_name(node.overlay->format, Priv::kMetacopy);
  Result<UniqueFd> opened = sys_openat(node.upper, O_RDWR | O_NOFOLLOW);
  if (!opened.ok() && has_changed(node, node.upper, opened.error())) return false;
  UniqueFd upper = TRY(std::move(opened));
  TRY(ignore_if(mark_impure(op, *node.up), ENOENT));
  StatX st;
  TRY(sys_fstat(upper.get(), &st));
  if (!same_inode(st, node.real)) return false;  // its data may lie elsewhere
  Completion lock(op.session(), st.stx_ino);
  Result<size_t> marked = sys_fgetxattr(upper.get(), marker, nullptr, 0);
  if (!marked.ok() && marked.error() != ENODATA) return Error(marked.error());
  if (!marked.ok()) return false;
  Kept kept(op, *node.overlay, upper.get());
  TRY(kept.begin(data));
  Result<void> r = data == Data::kAll ? fill(op, node, upper.get()) : sys_ftruncate(upper.get(), 0);
  if (r.ok()) r = add_origin(node, upper.get());
  if (r.ok()) r = kept.put_back(data);
  if (r.ok()) {
    StatX lower;  // for O_TRUNC it may be lost
    const bool known = sys_lstat(node.data(), &lower).ok();
    const DataChange change(op.session(), known ? &lower : nullptr);
    r = ignore_if(sys_fremovexattr(upper.get(), marker), ENODATA);
  }
  ignore(r.ok() ? kept.end() : kept.give_up());
  TRY(r);
  return true;
}

Result<void> give_up_filling(Op& op, const Node& node) {
  const UniqueFd upper = TRY(sys_openat(node.upper, O_RDWR | O_NOFOLLOW));
  StatX st;
  TRY(sys_fstat(upper.get(), &st));
  if (!same_inode(st, node.real)) return {};
  Kept kept(op, *node.overlay, upper.get());
  TRY(kept.begin(Data::kAll));
  return kept.give_up();
}

}  // namespace ovl
