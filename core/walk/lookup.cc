// See lookup.h. The order of questions is the kernel's: the upper first; then down the lowers until
// a whiteout, an opaque directory, or something of another type ends the search. A redirect changes
// the name, or the start, for what is below.
#include "core/walk/lookup.h"

#include <limits.h>

#include "core/attr/attr.h"
#include "core/session/known.h"
#include "core/session/name_watch.h"
#include "core/walk/attributes.h"
#include "core/walk/beside.h"
#include "core/walk/data_only.h"
#include "core/walk/index.h"

namespace ovl {
namespace {

bool is_whiteout_device(const StatX& st) {
  return S_ISCHR(st.stx_mode) && st.stx_rdev_major == 0 && st.stx_rdev_minor == 0;
}

// lstat where "nothing there" is a value.
Result<bool> present(CStr real, StatX* st) {
  Result<void> r = sys_lstat(real, st);
  if (r.ok()) return true;
  if (r.error() == ENOENT || r.error() == ENOTDIR) return false;
  return Error(r.error());
}

// A path of one or more names, looked up in the lowers: what a redirect says. Each directory on the
// way is one too: what it finds is where the next name is looked up.
struct Path {
  Path* then = nullptr;              // nullptr: what it finds is the node's
  const LowerRef* starts = nullptr;  // directories, topmost first, in which the name is looked up
  uint32_t start_count = 0;
  Str rest;
  LowerRef* found = nullptr;
  uint32_t found_count = 0;
  // Where the starts are in the view of this overlay, if another root may stand there; or nullptr.
  const Overlay* overlay = nullptr;
  CStr virt;
};

// The search through the layers for one name. Kernel counterpart: struct ovl_lookup_data.
class LayerSearch {
 public:
  LayerSearch(Op& op, const Node& dir, Node* node, Purpose purpose)
      : op_(op), dir_(dir), node_(node), overlay_(*dir.overlay), pass_(purpose == Purpose::kPass) {}

  Result<void> run(Str name) {
    bool in_upper = overlay_.upper_layer != nullptr && dir_.in_upper();
    Result<void> r = Error(EIO);
    NameWatch names(op_.session());
    for (int i = 0; i < kTries; i++, names.begin()) {
      r = search(name, in_upper);
      const bool gone = !r.ok() && (r.error() == ENOENT || r.error() == ENOTDIR);
      if (!stale_ && !gone && !has_changed_hands(names)) {
        if (lost_) complain();
        return r;
      }
      if (stale_) in_upper = true;  // the directory has come there meanwhile, if it was not
      node_->where = Where::kAbsent;
      node_->index = CStr();
      target_ = Path();
      stale_ = done_ = want_data_ = lost_ = false;
    }
    return r.ok() ? Result<void>(Error(EIO)) : r;
  }

 private:
  static constexpr int kTries = 64;

  // What leads to a metacopy's data was read by its name, which another may have got in between.
  bool has_changed_hands(const NameWatch& names) const {
    const bool led = node_->priv.has(Priv::kMetacopy) || node_->priv.has(Priv::kRedirect);
    if (!node_->in_upper() || node_->is_dir() || !led || names.held_still()) return false;
    StatX now;
    return !sys_lstat(node_->upper, &now).ok() || !same_inode(now, node_->real) ||
           now.stx_ctime.tv_sec != node_->real.stx_ctime.tv_sec ||
           now.stx_ctime.tv_nsec != node_->real.stx_ctime.tv_nsec;
  }

  Result<void> search(Str name, bool in_upper) {
    target_.rest = name;
    target_.starts = dir_.lowers;
    target_.start_count = dir_.lower_count;
    if (in_upper) TRY(upper());
    if (done_ || target_.start_count == 0) return finish();
    TRY(make_room(&target_));
    Mount mount;
    if (op_.session().mount_at(overlay_, node_->virt, &mount))
      TRY(mounted(mount));
    else
      TRY(lowers());
    return finish();
  }

  Result<void> upper() {
    const Layer& layer = *overlay_.upper_layer;
    StatX st;
    if (!TRY(present(node_->upper, &st))) return {};
    if (is_whiteout_device(st)) return whiteout();
    TRY(set_attributes(op_, layer, node_->upper, st, node_));
    if (is_whiteout_file(node_->priv, st)) return whiteout();
    node_->where = Where::kUpper;
    if (node_->is_dir()) {
      done_ = TRY(ends_here(node_->upper, node_->priv, layer, &target_, 0));
      return {};
    }
    // A file goes on down for its data, or for the object whose inode number it keeps.
    want_data_ = node_->metacopy();
    if (want_data_) {
      TRY(check_metacopy(node_->upper, layer));
      TRY(redirect(node_->upper, node_->priv, layer, &target_, 0));
    } else if (!node_->priv.has(Priv::kOrigin)) {
      done_ = true;
    } else {
      // Left from when it was a metacopy, or nothing. The kernel asks the origin's handle.
      TRY(redirect(node_->upper, node_->priv, layer, &target_, 0));
    }
    return {};
  }

  Result<void> whiteout() {
    node_->where = Where::kUpperWhiteout;
    done_ = true;
    return {};
  }

  // Another root stands here.
  Result<void> mounted(const Mount& mount) {
    if (node_->exists() && !node_->is_dir()) return {};
    for (uint32_t i = 0; i < mount.lower_count; i++)
      target_.found[target_.found_count++] = LowerRef{&mount.lowers[i], mount.lowers[i].root};
    if (node_->exists()) return {};
    node_->where = Where::kLower;
    node_->mode = S_IFDIR;
    node_->loaded = false;
    if (pass_) return {};
    StatX st;
    TRY(sys_lstat(target_.found[0].path, &st));
    node_->loaded = true;
    return set_attributes(op_, *target_.found[0].layer, target_.found[0].path, st, node_);
  }

  // The target_, from its starts; and the directories on the way there, where it is a path.
  Result<void> lowers() {
    for (Path* path = &target_;;) {
      const size_t slash = path->rest.find('/');
      if (slash != SIZE_MAX) {
        path = TRY(first_directory(path, slash));
        continue;
      }
      const bool again = path->then != nullptr ? TRY(pass(path)) : TRY(target());
      if (again) continue;
      if (path->then == nullptr) return {};
      path = TRY(enter(*path));
    }
  }

  Result<Path*> first_directory(Path* path, size_t slash) {
    Path* way = op_.arena().make<Path>();
    if (way == nullptr) return Error(ENOMEM);
    way->then = path;
    way->starts = path->starts;
    way->start_count = path->start_count;
    way->rest = path->rest.sub(0, slash);
    path->rest = path->rest.sub(slash + 1);
    TRY(make_room(way));
    if (path->overlay == nullptr) return way;
    path->virt = op_.arena().join(path->virt, way->rest);
    if (path->virt.data() == nullptr) return Error(ENOMEM);
    return way;
  }

  // The directory on the way has been found: on with what comes after it.
  Result<Path*> enter(const Path& way) {
    Path* path = way.then;
    path->starts = way.found;
    path->start_count = way.found_count;
    Mount mount;
    if (path->overlay == nullptr || !op_.session().mount_at(*path->overlay, path->virt, &mount))
      return path;
    path->starts = roots(mount.lowers, mount.lower_count);
    path->start_count = mount.lower_count;
    if (path->starts == nullptr) return Error(ENOMEM);
    return path;
  }

  Result<void> make_room(Path* path) {
    path->found = op_.arena().array<LowerRef>(overlay_.lowers_most);
    return path->found != nullptr ? Result<void>() : Result<void>(Error(ENOMEM));
  }
  Result<void> found(Path* path, const LowerRef& object) {
    if (path->found_count == overlay_.lowers_most) return Error(EIO);
    path->found[path->found_count++] = object;
    return {};
  }

  // One name on the way. True: a redirect has put something else into its place.
  Result<bool> pass(Path* path) {
    for (uint32_t i = 0; i < path->start_count; i++) {
      const LowerRef& start = path->starts[i];
      const CStr real = op_.arena().join(start.path, path->rest);
      StatX st;
      if (!TRY(present(real, &st))) continue;
      if (is_whiteout_device(st) && start.layer->format.depth != 0) continue;
      if (!S_ISDIR(st.stx_mode)) return false;
      TRY(found(path, LowerRef{start.layer, real}));
      if (!start.layer->has_format) continue;
      const PrivSet priv = TRY(read_private(op_, start.layer->format, real, st.stx_mode));
      const Str before = path->rest;
      if (TRY(ends_here(real, priv, *start.layer, path, i + 1))) return false;
      if (path->rest.data() != before.data()) return true;
    }
    return false;
  }

  // The last name. True: a redirect has put something else into its place.
  Result<bool> target() {
    while (target_.start_count != 0 && !done_) {
      const LowerRef start = *target_.starts;
      const Str before = target_.rest;
      TRY(lower(start));
      if (target_.rest.data() != before.data()) return !done_;
      target_.starts++;
      target_.start_count--;
    }
    return false;
  }

  // One lower layer, from the start directory that it has: the first of target_.
  Result<void> lower(const LowerRef& start) {
    const Layer& layer = *start.layer;
    const CStr real = op_.arena().join(start.path, target_.rest);
    if (real.data() == nullptr) return Error(ENOMEM);
    // Only passed, and known to be a directory: then so it is.
    const bool passes = pass_ && !layer.has_format;
    if (passes && is_known_directory(op_.session().segment(), real)) return known(start, real);
    StatX st;
    if (!TRY(present(real, &st))) return {};
    if (is_whiteout_device(st)) {
      // In a layer inside another overlay it is that one's.
      done_ = layer.format.depth == 0;
      return {};
    }
    LowerRef entry;
    StatX entry_st;
    if (st.stx_nlink > 1 && !S_ISDIR(st.stx_mode) &&
        TRY(indexed_around(layer, real, &entry, &entry_st))) {
      TRY(take(entry, entry_st));
      if (done_) return {};
    }
    return take(LowerRef{&layer, real}, st);
  }

  // A lower's object that is no whiteout device.
  Result<void> take(const LowerRef& object, const StatX& st) {
    const Layer& layer = *object.layer;
    const CStr real = object.path;
    const bool first = !node_->exists();
    if (first) {
      TRY(set_attributes(op_, layer, real, st, node_));
      if (is_whiteout_file(node_->priv, st)) {
        done_ = true;
        return {};
      }
      node_->where = Where::kLower;
    } else if (S_ISDIR(st.stx_mode) != node_->is_dir()) {
      done_ = true;
      return {};
    }
    if (want_data_ && !S_ISREG(st.stx_mode)) return lost_data();
    if (pass_ && !layer.has_format && S_ISDIR(st.stx_mode) && op_.session().shared())
      remember_directory(op_.session().segment(), real);
    TRY(found(&target_, object));
    PrivSet priv = node_->priv;
    if (!first) {
      priv = PrivSet();
      if (layer.has_format) priv = TRY(read_private(op_, layer.format, real, st.stx_mode));
    }
    if (node_->is_dir()) {
      done_ = TRY(ends_here(real, priv, layer, &target_, 1));
      return {};
    }
    want_data_ = S_ISREG(st.stx_mode) && priv.has(Priv::kMetacopy) && (first || want_data_);
    if (!want_data_) {
      done_ = true;
      return {};
    }
    TRY(check_metacopy(real, layer));
    return redirect(real, priv, layer, &target_, 1);
  }

  // In a session inside another one: the inode that a hard link is there, where its lower was
  // copied up by another name. False: none.
  Result<bool> indexed_around(const Layer& layer, CStr real, LowerRef* entry, StatX* st) {
    const Layer& source = *layer.source;
    const Overlay& writer = *source.writer;
    if (&source == &layer || source.is_upper || op_.session().state().index_used.load() == 0)
      return false;
    TRY(sys_lstat(real, st));
    const CStr path = TRY(index_entry(op_, writer, LowerRef{&source, real}, *st));
    if (path.empty() || !TRY(present(path, st))) return false;
    Layer* upper = op_.arena().array<Layer>(1);
    if (upper == nullptr) return Error(ENOMEM);
    *upper = *writer.upper_layer;
    for (uint32_t i = 0; i < kXattrPrefixes; i++)
      upper->format.escapes[i] = static_cast<uint8_t>(
          upper->format.escapes[i] + layer.format.escapes[i] - source.format.escapes[i]);
    *entry = LowerRef{upper, path};
    return true;
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
    return found(&target_, LowerRef{start.layer, real});
  }

  static bool is_whiteout_file(PrivSet priv, const StatX& st) {
    return priv.has(Priv::kWhiteout) && S_ISREG(st.stx_mode) && st.stx_size == 0;
  }

  // What a directory says about those below it: true: they do not count. Else perhaps redirect().
  Result<bool> ends_here(CStr real, PrivSet priv, const Layer& layer, Path* path, uint32_t next) {
    if (priv.has(Priv::kOpaque)) {
      const Result<Str> read = read_value(op_, layer.format, real, Priv::kOpaque);
      // Closed by a mode that the kernel's mount has made; it writes no other value than "y". We
      // do, where whiteouts are files.
      const bool always = overlay_.can_whiteout_device || !layer.is_upper;
      if (!read.ok() && read.error() == EACCES && always) return true;
      const Str value = TRY(read);
      // An absolute redirect counts even in an opaque directory's place: the kernel never writes
      // both.
      if (value.data() != nullptr && decode_opaque(value.data(), value.size()) == Opaque::kOpaque)
        return true;
    }
    if (priv.has(Priv::kFuseOpaque)) return true;
    TRY(redirect(real, priv, layer, path, next));
    return false;
  }

  // Puts what a redirect says into the place of the path's rest: in the starts from `next` on, or
  // in the roots below the layer.
  Result<void> redirect(CStr real, PrivSet priv, const Layer& layer, Path* path, uint32_t next) {
    if (!priv.has(Priv::kRedirect) || layer.writer->redirect_dir == RedirectDir::kNoFollow)
      return {};
    Str value = TRY(read_value(op_, layer.format, real, Priv::kRedirect));
    if (value.data() == nullptr) return {};
    if (!check_redirect(value).ok()) return Error(EIO);
    if (value[0] != '/') {  // another name in the same directories
      path->rest = value;
      path->starts += next;
      path->start_count -= next;
      return {};
    }
    const Overlay& writer = *layer.writer;
    const Layer* const end = writer.lowers + writer.lower_count;
    const Layer* const first = layer.source + 1;  // the lowers stand behind their upper
    path->rest = value.sub(1);
    path->start_count = static_cast<uint32_t>(end - first);
    path->starts = roots(first, path->start_count);
    path->overlay = writer.mount_count != 0 ? &writer : nullptr;
    path->virt = writer.at;
    return path->starts != nullptr ? Result<void>() : Result<void>(Error(ENOMEM));
  }

  LowerRef* roots(const Layer* layers, uint32_t count) {
    LowerRef* refs = op_.arena().array<LowerRef>(count);
    for (uint32_t i = 0; refs != nullptr && i < count; i++)
      refs[i] = LowerRef{&layers[i], layers[i].root};
    return refs;
  }

  Result<void> check_metacopy(CStr real, const Layer& layer) {
    Str value = TRY(read_value(op_, layer.format, real, Priv::kMetacopy));
    return decode_metacopy(value.data(), value.size());
  }

  Result<void> finish() {
    if (want_data_) TRY(data_only());  // cleared by the object that has the data
    if (node_->in_upper() && !node_->is_dir() && !node_->metacopy() && target_.found_count != 0)
      TRY(check_origin());
    node_->lowers = target_.found;
    node_->lower_count = target_.found_count;
    if (node_->where == Where::kLower && node_->real.stx_nlink > 1 && !node_->is_dir() &&
        op_.session().state().index_used.load(std::memory_order_acquire) != 0)
      return indexed();
    return {};
  }

  // The data of a metacopy that no lower with names has.
  Result<void> data_only() {
    LowerRef data = {};
    if (target_.found_count != 0)
      TRY(find_data(op_, target_.found[target_.found_count - 1], &data));
    return data.path.empty() ? lost_data() : found(&target_, data);
  }

  // A hard link whose inode was copied up by another name is the upper's inode.
  Result<void> indexed() {
    const CStr entry = TRY(index_entry(op_, overlay_, node_->lowers[0], node_->real));
    if (entry.empty()) return {};
    StatX st;
    if (!TRY(present(entry, &st))) {
      // Not copied up; or all names went since the upper was looked at, and the entry with them.
      stale_ = TRY(present(node_->upper, &st));
      return {};
    }
    if (((st.stx_mode ^ node_->real.stx_mode) & S_IFMT) != 0) return Error(EIO);
    node_->index = entry;
    TRY(set_attributes(op_, *overlay_.upper_layer, entry, st, node_));
    // This name may have gone, and what is counted there are the others.
    StatX upper;
    stale_ = TRY(present(node_->upper, &upper));
    return {};
  }

  // A lower that was changed, or another one than the upper was made for.
  Result<void> lost_data() {
    lost_ = true;
    return Error(EIO);
  }
  void complain() {
    const CStr line = op_.arena().concat("ovlrun: ", node_->virt,
                                         ": the data of this file is not in the lower any more\n");
    if (line.data() != nullptr) op_.caller().complain(line);
  }

  // Is the object below by name really the one that this upper file was copied from? The handle
  // tells where it is known.
  Result<void> check_origin() {
    Result<Str> read = read_value(op_, overlay_.format, node_->marked(), Priv::kOrigin);
    if (!read.ok() && read.error() != EACCES) return Error(read.error());
    // A mode that the kernel's mount has made may keep us from reading it.
    const Str value = read.ok() ? read.value() : Str();
    FileHandle handle;
    Result<OriginState> state = decode_origin(value.data(), value.size(), &handle);
    StatX st;
    TRY(sys_lstat(target_.found[0].path, &st));
    const bool known = state.ok() && state.value() == OriginState::kKnown && inode_of(handle) != 0;
    // Where only the name tells, several names of one file would tell several things.
    const bool same =
        known ? is_object_of(overlay_, handle, target_.found[0], st) : node_->real.stx_nlink == 1;
    if (S_ISREG(st.stx_mode) != node_->is_regular() || !same) target_.found_count = 0;
    return {};
  }

  Op& op_;
  const Node& dir_;
  Node* node_;
  const Overlay& overlay_;
  const bool pass_;
  Path target_;
  bool want_data_ = false;
  bool done_ = false;
  bool lost_ = false;   // it has data nowhere
  bool stale_ = false;  // what was seen in the upper is no more, so that it counts for nothing
};

}  // namespace

bool has_fuse_opaque_file(const Node& dir) {
  const auto is_marked = [](CStr real, XattrFormat format) {
    return sys_lgetxattr(real, priv_name(format, Priv::kFuseOpaque), nullptr, 0).ok();
  };
  if (dir.in_upper() && is_marked(dir.upper, dir.overlay->format)) return true;
  // It is the last one: it hides those below.
  if (dir.lower_count == 0) return false;
  const LowerRef& last = dir.lowers[dir.lower_count - 1];
  return last.layer->has_format && is_marked(last.path, last.layer->format);
}

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
  if (name == kFuseOpaqueFile && has_fuse_opaque_file(dir)) return node;
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
  if (dir.outside()) return {};
  // Of a lower's directory the kernel tells, unless that was an upper once and has records.
  if (!dir.in_upper() && !dir.lowers[0].layer->has_format) return {};
  if (!dir.loaded) {
    const Session& session = op.session();
    if (dir.in_upper() && session.segment().closed_roots == 0 &&
        session.state().closed_directories.load(std::memory_order_acquire) == 0)
      return {};
    TRY(ensure_loaded(op, dir));
  }
  return may(op, dir, 1 /* X_OK */);
}

Result<const Node*> node_at(Op& op, Str virt, Purpose purpose) {
  return node_at(op, virt, purpose, op.session().level());
}

Result<const Node*> node_at(Op& op, Str virt, Purpose purpose, uint32_t level) {
  const Overlay* overlay = op.session().containing(virt, level);
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
