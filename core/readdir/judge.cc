// See judge.h.
#include "core/readdir/judge.h"

#include <dirent.h>
#include <linux/limits.h>

#include "core/attr/attr.h"
#include "core/walk/beside.h"
#include "core/walk/lookup.h"

namespace ovl {
namespace {

// FUSE passes on longer names than NAME_MAX.
constexpr size_t kNameRoom = 1024 + 1;

// File type bits to DT_*: the kernel's S_DT().
uint8_t type_of(mode_t mode) { return static_cast<uint8_t>((mode & S_IFMT) >> 12); }

bool is_whiteout_device(const StatX& st) {
  return S_ISCHR(st.stx_mode) && st.stx_rdev_major == 0 && st.stx_rdev_minor == 0;
}

// One lookup in memory of its own: a listing may need one for each of many thousand names.
// False: programs see no such name.
Result<bool> shown_as(Op& op, const Node& dir, Str name, Verdict* out) {
  Op inner(op.caller(), op.session());
  const Node* node = TRY(lookup(inner, dir, name, Search::kUnchecked));
  if (!node->exists()) return false;
  out->ino = shown_identity(*node).ino;
  out->type = type_of(node->mode);
  return true;
}

}  // namespace

uint32_t layer_count(const Node& dir) { return dir.lower_count + (dir.in_upper() ? 1 : 0); }

const Layer& layer_at(const Node& dir, uint32_t index) {
  if (!dir.in_upper()) return *dir.lowers[index].layer;
  return index == 0 ? *dir.overlay->upper_layer : *dir.lowers[index - 1].layer;
}

CStr layer_path(const Node& dir, uint32_t index) {
  if (!dir.in_upper()) return dir.lowers[index].path;
  return index == 0 ? dir.upper : dir.lowers[index - 1].path;
}

Result<void> Judge::enter(uint32_t index) {
  layer_ = &layer_at(dir_, index);
  const CStr base = layer_path(dir_, index);
  // The directory may stand on a mount below the layer's root: its device decides how numbers are
  // shown.
  if (index == 0)
    real_ = dir_.real;
  else
    TRY(sys_lstat(base, &real_));
  buffer_ = op_.arena().array<char>(base.size() + 1 + kNameRoom);
  if (buffer_ == nullptr) return Error(ENOMEM);
  memcpy(buffer_, base.data(), base.size());
  base_ = base.size();
  if (base_ == 0 || buffer_[base_ - 1] != '/') buffer_[base_++] = '/';
  // In an upper the kernel's lookup hides them wherever they stand; in a lower only below opaque=x.
  xattr_whiteouts_ = layer_->is_upper;
  if (layer_->has_format && !layer_->is_upper) {
    char value[2];
    Result<size_t> n =
        sys_lgetxattr(base, priv_name(layer_->format, Priv::kOpaque), value, sizeof value);
    xattr_whiteouts_ = n.ok() && decode_opaque(value, n.value()) == Opaque::kHasXattrWhiteouts;
  }
  return {};
}

CStr Judge::full_path(Str name) {
  if (name.size() >= kNameRoom) name = name.sub(0, kNameRoom - 1);
  memcpy(buffer_ + base_, name.data(), name.size());
  buffer_[base_ + name.size()] = 0;
  return CStr(buffer_, base_ + name.size());
}

Result<void> Judge::private_names(CStr real, PrivSet* out) {
  constexpr size_t kUsual = 1024;
  if (list_ == nullptr) {
    list_ = op_.arena().array<char>(kUsual);
    if (list_ == nullptr) return Error(ENOMEM);
    list_size_ = kUsual;
  }
  Result<size_t> n = sys_llistxattr(real, list_, list_size_);
  if (!n.ok() && n.error() == ERANGE && list_size_ < XATTR_LIST_MAX) {
    list_ = op_.arena().array<char>(XATTR_LIST_MAX);
    if (list_ == nullptr) return Error(ENOMEM);
    list_size_ = XATTR_LIST_MAX;
    n = sys_llistxattr(real, list_, list_size_);
  }
  // A name that can't be asked has none that we could have set.
  if (!n.ok() && n.error() != EACCES && n.error() != EOPNOTSUPP && n.error() != ENODATA)
    return Error(n.error());
  if (n.ok()) *out = parse_xattr_list(layer_->format, list_, n.value());
  return {};
}

// Whether the name is a whiteout or has gone; else its real type and private xattrs.
Result<bool> Judge::look(CStr real, uint8_t* type, PrivSet* priv) {
  StatX st;
  bool have_stat = false;
  if (*type == DT_CHR || *type == DT_UNKNOWN) {
    Result<void> r = sys_lstat(real, &st);
    if (!r.ok() && r.error() == ENOENT) return true;
    // A directory that may be read but not searched: names are all that can be told of it.
    if (!r.ok() && r.error() == EACCES) return false;
    if (!r.ok()) return Error(r.error());
    if (is_whiteout_device(st)) return true;
    *type = type_of(st.stx_mode);
    have_stat = true;
  }
  if (!layer_->is_upper && !layer_->has_format) return false;
  // Other types than these hold no user.* xattrs.
  if (*type != DT_REG && *type != DT_DIR && layer_->format.prefix == XattrPrefix::kUser)
    return false;
  Result<void> names = private_names(real, priv);
  if (!names.ok() && names.error() == ENOENT) return true;
  if (!names.ok()) return Error(names.error());
  if (*type != DT_REG || !xattr_whiteouts_ || !priv->has(Priv::kWhiteout)) return false;
  if (!have_stat) {
    Result<void> r = sys_lstat(real, &st);
    if (!r.ok() && r.error() == ENOENT) return true;
    if (!r.ok()) return Error(r.error());
  }
  return st.stx_size == 0;
}

bool Judge::is_fuse_mark(Str name) const {
  return name == kFuseOpaqueFile && (layer_->is_upper || layer_->has_format) &&
         has_fuse_opaque_file(dir_);
}

Result<bool> Judge::hidden(Str name, uint8_t type) {
  if (is_fuse_mark(name)) return true;
  if (!layer_->is_upper && !layer_->has_format && type != DT_CHR && type != DT_UNKNOWN)
    return false;
  PrivSet priv;
  return look(full_path(name), &type, &priv);
}

Result<Verdict> Judge::judge(Str name, uint8_t type, uint64_t ino, bool below) {
  real_.stx_ino = ino;
  Verdict verdict{false, type, identity_of(*dir_.overlay, real_).ino};
  const bool plain = !layer_->is_upper && !layer_->has_format;
  if (plain && type != DT_CHR && type != DT_UNKNOWN) return verdict;
  if (is_fuse_mark(name)) {
    verdict.hidden = true;
    return verdict;
  }
  const CStr real = full_path(name);
  PrivSet priv;
  verdict.hidden = TRY(look(real, &verdict.type, &priv));
  if (verdict.hidden || plain) return verdict;

  // A copy-up shows the number of what it was copied from. New regular files have no private
  // xattrs; of the other types only a lookup can tell.
  const bool maybe_copy =
      layer_->is_upper &&
      ((below && (verdict.type != DT_REG || !priv.empty())) || priv.has(Priv::kOrigin) ||
       priv.has(Priv::kMetacopy) || priv.has(Priv::kRedirect) || priv.has(Priv::kNlink) ||
       (stands_beside(*dir_.overlay, DTTOIF(verdict.type)) && any_beside(op_)));
  if (maybe_copy) {
    Result<bool> shown = shown_as(op_, dir_, name, &verdict);
    // What can't be looked up (a metacopy whose data is gone) still stands there, and rm must find
    // it.
    if (shown.ok())
      verdict.hidden = !shown.value();
    else if (shown.error() == ENOMEM)
      return Error(ENOMEM);
    return verdict;
  }
  if (verdict.type == DT_REG && priv.has(Priv::kOverrideStat)) {
    char value[kOverrideStatMax];
    OverrideStat stat;
    Result<size_t> n =
        sys_lgetxattr(real, priv_name(layer_->format, Priv::kOverrideStat), value, sizeof value);
    if (n.ok() && decode_override_stat(Str(value, n.value()), &stat).ok() && stat.has_type)
      verdict.type = type_of(stat.mode);
  }
  return verdict;
}

uint64_t own_ino(const Node& dir) { return shown_identity(dir).ino; }

Result<uint64_t> parent_ino(Op& op, const Node& dir) {
  if (dir.virt == Str("/")) return own_ino(dir);
  const Node* up = dir.up;
  if (up == nullptr) up = TRY(node_at(op, dir_name(dir.virt)));
  if (!up->outside()) {
    TRY(ensure_loaded(op, *up));
    return shown_identity(*up).ino;
  }
  StatX st;
  TRY(sys_lstat(up->virt, &st));
  return st.stx_ino;
}

}  // namespace ovl
