// See attributes.h.
#include "core/walk/attributes.h"

#include "core/attr/attr.h"
#include "core/walk/beside.h"
#include "core/walk/lookup.h"

namespace ovl {

Result<Str> read_value(Op& op, XattrFormat format, CStr real, Priv which) {
  constexpr size_t kMost = 512;
  char* value = op.arena().array<char>(kMost);
  if (value == nullptr) return Error(ENOMEM);
  Result<size_t> n = sys_lgetxattr(real, priv_name(format, which), value, kMost);
  if (n.ok()) return Str(value, n.value());
  if (n.error() == ENODATA || n.error() == EOPNOTSUPP) return Str(nullptr, 0);
  return Error(n.error() == ERANGE ? EIO : n.error());
}

namespace {

Result<void> apply_override(Op& op, XattrFormat format, CStr real, Node* node) {
  Str text = TRY(read_value(op, format, real, Priv::kOverrideStat));
  OverrideStat recorded;
  // A damaged record hides nothing: what the file system says stands.
  if (text.data() == nullptr || !decode_override_stat(text, &recorded).ok()) return {};
  node->uid = recorded.uid;
  node->gid = recorded.gid;
  node->mode =
      (recorded.mode & 07777) | (recorded.has_type ? recorded.mode & S_IFMT : node->mode & S_IFMT);
  if (recorded.has_type && !S_ISREG(recorded.mode)) {
    node->rdev_major = recorded.rdev_major;
    node->rdev_minor = recorded.rdev_minor;
  }
  return {};
}

}  // namespace

Result<void> show_filling(XattrFormat format, const Object& object, PrivSet priv, StatX* real) {
  if (!priv.has(Priv::kMetacopy) || !priv.has(Priv::kFilling)) return {};
  char value[kFillingSize];
  const Result<size_t> n = object.get(priv_name(format, Priv::kFilling), value, sizeof value);
  if (!n.ok() && n.error() == ENODATA) return object.stat(real);  // it has come
  if (!n.ok()) return Error(n.error() == ERANGE ? EIO : n.error());
  Filling shown;
  TRY(decode_filling(value, n.value(), &shown));
  real->stx_size = shown.size;
  real->stx_atime.tv_sec = shown.accessed.seconds;
  real->stx_atime.tv_nsec = shown.accessed.nanoseconds;
  real->stx_mtime.tv_sec = shown.changed.seconds;
  real->stx_mtime.tv_nsec = shown.changed.nanoseconds;
  return {};
}

Result<void> set_attributes(Op& op, const Layer& layer, CStr real, const StatX& st, Node* node) {
  node->real = st;
  node->mode = st.stx_mode;
  node->uid = st.stx_uid;
  node->gid = st.stx_gid;
  node->rdev_major = st.stx_rdev_major;
  node->rdev_minor = st.stx_rdev_minor;
  node->priv = PrivSet();
  node->beside = CStr();
  if (!layer.has_format) return {};
  // Of a layer inside an upper its own overlay knows.
  if (layer.source->is_upper && stands_beside(*layer.writer, st.stx_mode) && any_beside(op))
    TRY(find_beside(op, *layer.writer, Object::at(real), node));
  else
    node->priv = TRY(read_private(op, layer.format, real, st.stx_mode));
  TRY(show_filling(layer.format, Object::at(real), node->priv, &node->real));
  if (!node->priv.has(Priv::kOverrideStat)) return {};
  return apply_override(op, layer.format, node->beside.empty() ? real : node->beside, node);
}

Result<void> load_attributes(Op& op, Node* node) {
  StatX st;
  TRY(sys_lstat(node->top(), &st));
  const Layer& layer =
      node->has_upper_inode() ? *node->overlay->upper_layer : *node->lowers[0].layer;
  node->loaded = true;
  return set_attributes(op, layer, node->top(), st, node);
}

}  // namespace ovl
