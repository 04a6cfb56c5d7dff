// See data_only.h.
#include "core/walk/data_only.h"

#include "core/walk/attributes.h"

namespace ovl {
namespace {

// The file at this path of a layer; empty: there is none. No symlink is followed.
Result<CStr> regular_file(Op& op, const Layer& layer, Str path) {
  for (size_t end = 0;; end++) {
    end = path.find('/', end);
    const CStr real = op.arena().join(layer.root, path.sub(0, end));
    if (real.data() == nullptr) return Error(ENOMEM);
    StatX st;
    const Result<void> r = sys_lstat(real, &st);
    if (!r.ok() && (r.error() == ENOENT || r.error() == ENOTDIR)) return CStr();
    TRY(r);
    if (end == SIZE_MAX) return S_ISREG(st.stx_mode) ? real : CStr();
    if (!S_ISDIR(st.stx_mode)) return CStr();
  }
}

}  // namespace

Result<void> find_data(Op& op, const LowerRef& last, LowerRef* found) {
  const Overlay& writer = *last.layer->writer;
  if (writer.data_count == 0) return {};
  const Str redirect = TRY(read_value(op, last.layer->format, last.path, Priv::kRedirect));
  if (redirect.empty() || redirect[0] != '/') return {};
  if (!check_redirect(redirect).ok()) return Error(EIO);
  const Layer* const first = writer.lowers + writer.lower_count;
  for (const Layer* layer = first; layer < first + writer.data_count; layer++) {
    const CStr real = TRY(regular_file(op, *layer, redirect.sub(1)));
    if (real.empty()) continue;
    *found = LowerRef{layer, real};
    return {};
  }
  return {};
}

bool had_data_at(Op& op, const Node& node, CStr real) {
  if (!node.in_upper() || !node.is_regular() || node.metacopy() || node.lower_count == 0)
    return false;
  LowerRef data = {};
  return find_data(op, node.lowers[node.lower_count - 1], &data).ok() && data.path == Str(real);
}

}  // namespace ovl
