// See lookup.h. The order of questions is the kernel's: the upper first; then down the lowers until
// a whiteout, an opaque directory, or something of another type ends the search. A redirect changes
// the name, or the start, for what is below.
#include "core/walk/lookup.h"

#include <limits.h>

#include "core/attr/attr.h"
#include "core/session/known.h"

namespace ovl {
namespace {

constexpr size_t kXattrListGuess = 1024;
constexpr size_t kXattrListMost = 65536;

bool is_whiteout_device(const StatX& st) {
  return S_ISCHR(st.stx_mode) && st.stx_rdev_major == 0 && st.stx_rdev_minor == 0;
}

// Could an object of this type carry private xattrs? user.* exists on files and directories only.
bool can_have_private(XattrPrefix prefix, mode_t mode) {
  return S_ISREG(mode) || S_ISDIR(mode) || prefix == XattrPrefix::kTrusted;
}

Result<PrivSet> read_private(Op& op, XattrFormat format, CStr real, mode_t mode) {
  if (!can_have_private(format.prefix, mode)) return PrivSet();
  size_t size = kXattrListGuess;
  for (;;) {
    char* list = op.arena().array<char>(size);
    if (list == nullptr) return Error(ENOMEM);
    Result<size_t> n = sys_llistxattr(real, list, size);
    if (n.ok()) return parse_xattr_list(format, list, n.value());
    if (n.error() == EOPNOTSUPP) return PrivSet();
    if (n.error() != ERANGE || size == kXattrListMost) return Error(n.error());
    size = kXattrListMost;
  }
}

// Value of a private xattr; an absent one is empty with data() == nullptr.
Result<Str> read_value(Op& op, XattrFormat format, CStr real, Priv which) {
  constexpr size_t kMost = 512;
  char* value = op.arena().array<char>(kMost);
  if (value == nullptr) return Error(ENOMEM);
  Result<size_t> n = sys_lgetxattr(real, priv_name(format, which), value, kMost);
  if (n.ok()) return Str(value, n.value());
  if (n.error() == ENODATA || n.error() == EOPNOTSUPP) return Str(nullptr, 0);
  return Error(n.error() == ERANGE ? EIO : n.error());
}

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

// Copies what the kernel says into the node, then what is recorded over it.
Result<void> set_attributes(Op& op, const Layer& layer, CStr real, const StatX& st, Node* node) {
  node->real = st;
  node->mode = st.stx_mode;
  node->uid = st.stx_uid;
  node->gid = st.stx_gid;
  node->rdev_major = st.stx_rdev_major;
  node->rdev_minor = st.stx_rdev_minor;
  node->priv = PrivSet();
  if (!layer.has_format) return {};
  node->priv = TRY(read_private(op, layer.format, real, st.stx_mode));
  if (node->priv.has(Priv::kOverrideStat)) return apply_override(op, layer.format, real, node);
  return {};
}

// lstat where "nothing there" is a value.
Result<bool> present(CStr real, StatX* st) {
  Result<void> r = sys_lstat(real, st);
  if (r.ok()) return true;
  if (r.error() == ENOENT || r.error() == ENOTDIR) return false;
  return Error(r.error());
}

// The search through the layers for one name. Kernel counterpart: struct ovl_lookup_data.
class LayerSearch {
 public:
  LayerSearch(Op& op, const Node& dir, Node* node, Purpose purpose)
      : op_(op), dir_(dir), node_(node), overlay_(*dir.overlay), pass_(purpose == Purpose::kPass) {}

  Result<void> run(Str name) {
    rest_ = name;
    starts_ = dir_.lowers;
    start_count_ = dir_.lower_count;
    if (overlay_.upper_layer != nullptr && dir_.in_upper()) TRY(upper());
    if (done_ || start_count_ == 0) return finish();
    found_ = op_.arena().array<LowerRef>(overlay_.lower_count);
    if (found_ == nullptr) return Error(ENOMEM);
    for (uint32_t i = 0; i < start_count_ && !done_; i++) {
      const LowerRef& start = starts_[i];
      if (below_ != nullptr && start.layer <= below_)
        continue;  // a redirect of that layer starts below it
      const uint32_t before = restarts_;
      TRY(lower(start));
      if (restarts_ != before) i = UINT32_MAX;  // another list of starts: from its beginning
    }
    return finish();
  }

 private:
  Result<void> upper() {
    StatX st;
    if (!TRY(present(node_->upper, &st))) return {};
    if (is_whiteout_device(st)) return whiteout();
    TRY(set_attributes(op_, *overlay_.upper_layer, node_->upper, st, node_));
    if (node_->priv.has(Priv::kWhiteout) && S_ISREG(st.stx_mode) && st.stx_size == 0)
      return whiteout();
    node_->where = Where::kUpper;
    if (node_->is_dir()) return below_directory(node_->upper, node_->priv, *overlay_.upper_layer);
    // A file goes on down for its data, or for the object whose inode number it keeps.
    want_data_ = node_->metacopy();
    if (want_data_) {
      TRY(check_metacopy(node_->upper, *overlay_.upper_layer));
      return redirect(node_->upper, node_->priv, *overlay_.upper_layer);
    }
    if (!node_->priv.has(Priv::kOrigin)) done_ = true;
    return {};
  }

  Result<void> whiteout() {
    node_->where = Where::kUpperWhiteout;
    done_ = true;
    return {};
  }

  // One lower layer, from the start directory that it has.
  Result<void> lower(const LowerRef& start) {
    StatX st;
    CStr real;
    // Only passed, and known to be a directory: then so it is.
    const bool passes = pass_ && !start.layer->has_format && rest_.find('/') == SIZE_MAX;
    if (passes) {
      real = op_.arena().join(start.path, rest_);
      if (real.data() == nullptr) return Error(ENOMEM);
      if (is_known_directory(op_.session().segment(), real)) return known(start, real);
    }
    if (!TRY(descend(start, &real, &st)) || done_) return {};
    const bool first = !node_->exists();
    if (first) {
      TRY(set_attributes(op_, *start.layer, real, st, node_));
      if (node_->priv.has(Priv::kWhiteout) && S_ISREG(st.stx_mode) && st.stx_size == 0) {
        done_ = true;
        return {};
      }
      node_->where = Where::kLower;
    } else if (S_ISDIR(st.stx_mode) != node_->is_dir()) {
      done_ = true;
      return {};
    }
    if (want_data_ && !S_ISREG(st.stx_mode)) return Error(EIO);
    if (passes && S_ISDIR(st.stx_mode) && op_.session().shared())
      remember_directory(op_.session().segment(), real);
    found_[found_count_++] = LowerRef{start.layer, real};
    PrivSet priv = node_->priv;
    if (!first) {
      priv = PrivSet();
      if (start.layer->has_format)
        priv = TRY(read_private(op_, start.layer->format, real, st.stx_mode));
    }
    if (node_->is_dir()) return below_directory(real, priv, *start.layer);
    want_data_ = S_ISREG(st.stx_mode) && priv.has(Priv::kMetacopy) && (first || want_data_);
    if (!want_data_) {
      done_ = true;
      return {};
    }
    TRY(check_metacopy(real, *start.layer));
    return redirect(real, priv, *start.layer);
  }

  Result<void> known(const LowerRef& start, CStr real) {
    if (!node_->exists()) {
      node_->where = Where::kLower;
      node_->mode = S_IFDIR;
      node_->loaded = false;
    } else if (!node_->is_dir()) {
      done_ = true;
      return {};
    }
    found_[found_count_++] = LowerRef{start.layer, real};
    return {};
  }

  // Walks rest_ (one name, or the path of a redirect) inside one layer. False: not there.
  Result<bool> descend(const LowerRef& start, CStr* real, StatX* st) {
    CStr at = start.path;
    for (size_t from = 0; from < rest_.size();) {
      size_t slash = rest_.find('/', from);
      const bool last = slash == SIZE_MAX;
      if (last) slash = rest_.size();
      at = op_.arena().join(at, rest_.sub(from, slash - from));
      if (!TRY(present(at, st))) return false;
      if (is_whiteout_device(*st)) {
        done_ = true;
        return false;
      }
      if (!last && !S_ISDIR(st->stx_mode)) return false;
      from = slash + 1;
    }
    *real = at;
    return true;
  }

  // What an object says about the layers below a directory.
  Result<void> below_directory(CStr real, PrivSet priv, const Layer& layer) {
    if (priv.has(Priv::kOpaque)) {
      Str value = TRY(read_value(op_, layer.format, real, Priv::kOpaque));
      if (value.data() != nullptr && decode_opaque(value.data(), value.size()) == Opaque::kOpaque) {
        // An absolute redirect counts even in an opaque directory's place: the kernel never writes
        // both.
        done_ = true;
        return {};
      }
    }
    return redirect(real, priv, layer);
  }

  Result<void> redirect(CStr real, PrivSet priv, const Layer& layer) {
    if (!priv.has(Priv::kRedirect) || overlay_.redirect_dir == RedirectDir::kNoFollow) return {};
    Str value = TRY(read_value(op_, layer.format, real, Priv::kRedirect));
    if (value.data() == nullptr) return {};
    if (!check_redirect(value).ok()) return Error(EIO);
    below_ = &layer;
    restarts_++;
    if (value[0] != '/') {  // another name in the same directories
      size_t slash = rest_.rfind('/');
      rest_ = slash == SIZE_MAX ? value : Str(op_.arena().concat(rest_.sub(0, slash + 1), value));
      return {};
    }
    rest_ = value.sub(1);
    LowerRef* roots = op_.arena().array<LowerRef>(overlay_.lower_count);
    if (roots == nullptr) return Error(ENOMEM);
    for (uint32_t i = 0; i < overlay_.lower_count; i++)
      roots[i] = LowerRef{&overlay_.lowers[i], overlay_.lowers[i].root};
    starts_ = roots;
    start_count_ = overlay_.lower_count;
    return {};
  }

  Result<void> check_metacopy(CStr real, const Layer& layer) {
    Str value = TRY(read_value(op_, layer.format, real, Priv::kMetacopy));
    return decode_metacopy(value.data(), value.size());
  }

  Result<void> finish() {
    if (want_data_) return Error(EIO);  // cleared by the object that has the data
    if (node_->in_upper() && !node_->is_dir() && !node_->metacopy() && found_count_ != 0)
      TRY(check_origin());
    node_->lowers = found_;
    node_->lower_count = found_count_;
    return {};
  }

  // Is the object below by name really the one that this upper file was copied from? The handle
  // tells where it is known.
  Result<void> check_origin() {
    Str value = TRY(read_value(op_, overlay_.format, node_->upper, Priv::kOrigin));
    FileHandle handle;
    Result<OriginState> state = decode_origin(value.data(), value.size(), &handle);
    StatX st;
    TRY(sys_lstat(found_[0].path, &st));
    const bool known = state.ok() && state.value() == OriginState::kKnown && inode_of(handle) != 0;
    if (S_ISREG(st.stx_mode) != node_->is_regular() || (known && inode_of(handle) != st.stx_ino))
      found_count_ = 0;
    return {};
  }

  Op& op_;
  const Node& dir_;
  Node* node_;
  const Overlay& overlay_;
  const bool pass_;
  const LowerRef* starts_ = nullptr;  // directories, one per layer, in which rest_ is looked up
  uint32_t start_count_ = 0;
  Str rest_;
  const Layer* below_ = nullptr;  // only layers below this one count
  uint32_t restarts_ = 0;
  LowerRef* found_ = nullptr;
  uint32_t found_count_ = 0;
  bool want_data_ = false;
  bool done_ = false;
};

}  // namespace

Result<const Node*> lookup(Op& op, const Node& dir, Str name, Search search, Purpose purpose) {
  if (name.size() > NAME_MAX) return Error(ENAMETOOLONG);
  if (search == Search::kChecked) TRY(may_search(op, dir));
  Node* node = op.arena().make<Node>();
  if (node == nullptr) return Error(ENOMEM);
  node->overlay = dir.overlay;
  node->up = &dir;
  node->virt = op.arena().join(dir.virt, name);
  if (!dir.upper.empty()) node->upper = op.arena().join(dir.upper, name);
  if (node->virt.data() == nullptr || node->upper.data() == nullptr) return Error(ENOMEM);
  TRY(LayerSearch(op, dir, node, purpose).run(name));
  return node;
}

Result<const Node*> lookup_root(Op& op, const Overlay& overlay) {
  Node* node = op.arena().make<Node>();
  LowerRef* lowers = op.arena().array<LowerRef>(overlay.lower_count);
  if (node == nullptr || lowers == nullptr) return Error(ENOMEM);
  for (uint32_t i = 0; i < overlay.lower_count; i++)
    lowers[i] = LowerRef{&overlay.lowers[i], overlay.lowers[i].root};
  node->overlay = &overlay;
  node->virt = overlay.at;
  node->upper = overlay.upper;
  node->where = overlay.upper_layer != nullptr ? Where::kUpper : Where::kLower;
  node->lowers = lowers;
  node->lower_count = overlay.lower_count;
  node->mode = S_IFDIR;
  node->loaded = false;
  return node;
}

Result<void> ensure_loaded(Op& op, const Node& node) {
  if (node.loaded || node.outside() || !node.exists()) return {};
  return load_attributes(op, const_cast<Node*>(&node));  // NOLINT: every node is this op's own
}

Result<void> may_search(Op& op, const Node& dir) {
  if (dir.outside() || !dir.in_upper()) return {};  // a lower's directory: the kernel tells
  if (!dir.loaded) {
    const Session& session = op.session();
    if (session.segment().closed_roots == 0 &&
        session.state().closed_directories.load(std::memory_order_acquire) == 0)
      return {};
    TRY(ensure_loaded(op, dir));
  }
  return may(op, dir, 1 /* X_OK */);
}

Result<void> load_attributes(Op& op, Node* node) {
  StatX st;
  TRY(sys_lstat(node->top(), &st));
  const Layer& layer = node->in_upper() ? *node->overlay->upper_layer : *node->lowers[0].layer;
  node->loaded = true;
  return set_attributes(op, layer, node->top(), st, node);
}

Result<const Node*> node_at(Op& op, Str virt, Purpose purpose) {
  const Overlay* overlay = op.session().containing(virt);
  if (overlay == nullptr) {
    Node* node = op.arena().make<Node>();
    if (node == nullptr) return Error(ENOMEM);
    node->virt = op.arena().dup(virt);
    return node;
  }
  const Node* node = TRY(lookup_root(op, *overlay));
  Str rest = below(virt, overlay->at);
  while (!rest.empty()) {
    size_t end = rest.find('/', 1);
    if (end == SIZE_MAX) end = rest.size();
    if (!node->exists()) return Error(ENOENT);
    if (!node->is_dir()) return Error(ENOTDIR);
    const bool last = end == rest.size();
    node = TRY(lookup(op, *node, rest.sub(1, end - 1), Search::kUnchecked,
                      last ? purpose : Purpose::kPass));
    rest = rest.sub(end);
  }
  if (purpose == Purpose::kPass) return node;
  TRY(ensure_loaded(op, *node));
  if (node->up != nullptr) TRY(ensure_loaded(op, *node->up));
  return node;
}

}  // namespace ovl
