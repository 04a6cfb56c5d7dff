// See walk.h. Outside the overlays the walk only looks for what could lead into one: symlinks and
// roots of overlays. As long as nothing but that was met from a start that the kernel sees as we
// do, the result is native.
#include "core/walk/walk.h"

#include <limits.h>

#include "core/attr/attr.h"
#include "core/session/lock.h"
#include "core/walk/magic.h"
#include "core/walk/removed.h"

namespace ovl {
namespace {

constexpr int kMaxSymlinks = 40;  // MAXSYMLINKS
constexpr size_t kLinkTextMost = PATH_MAX;

class Walk {
 public:
  Walk(Op& op, unsigned flags) : op_(op), flags_(flags) {}

  Result<Walked> run(int dirfd, CStr path) {
    if (path.empty()) {
      if ((flags_ & kEmptyPath) == 0) return Error(ENOENT);
      return of_descriptor(dirfd);
    }
    TRY(begin(dirfd, path));
    if (native_) return native();
    todo_ = path;
    for (;;) {
      if (is_plainly_outside()) return native();
      if (!next_component()) break;
      TRY(step());
      if (native_) return native();
    }
    return result();
  }

 private:
  // --- where the walk starts ---
  Result<void> begin(int dirfd, CStr path) {
    if (path[0] == '/' && (flags_ & kInRoot) == 0) {
      if (flags_ & kBeneath) return Error(EXDEV);
      return to_root();
    }
    if (dirfd == AT_FDCWD) {
      const Held cwd = {"/proc/thread-self/cwd", -1};
      Result<CStr> real = op_.caller().cwd(op_.arena());
      if (!real.ok() && real.error() != ENOENT) return Error(real.error());
      return real.ok() ? start_at(real.value(), cwd) : start_removed(cwd);
    }
    Result<CStr> link = op_.caller().fd_link(op_.arena(), dirfd);
    if (!link.ok()) return Error(link.error());
    if (link.value()[0] != '/') {  // a pipe, a socket: the kernel says ENOTDIR
      native_ = true;
      return {};
    }
    return start_at(link.value(), Held{descriptor_link(op_.arena(), dirfd), dirfd});
  }

  Result<void> start_at(CStr real, const Held& held) {
    CStr virt = TRY(map_back(op_, real));
    kernel_follows_ = real == Str(virt);
    Result<const Node*> found = node_at(op_, virt, Purpose::kPass);
    if (!found.ok() && found.error() != ENOENT && found.error() != ENOTDIR)
      return Error(found.error());
    if (!found.ok() || !stands_for(*found.value(), real) || is_marked_removed(op_, held, real))
      return start_removed(held);
    // Something else has the name by now, or it is no directory at all.
    if (!found.value()->outside() && !found.value()->is_dir()) return start_removed(held);
    start_ = current_ = found.value();
    natural_ = current_->outside() && kernel_follows_;
    return {};
  }

  Result<void> start_removed(const Held& held) {
    TRY(enter_removed(held));
    start_ = current_;
    return {};
  }

  Result<void> enter_removed(const Held& held) {
    kernel_follows_ = false;
    removed_ = TRY(removed_directory(op_, held));
    current_ = removed_.node;
    removed_naturally_ = natural_;
    natural_ = natural_ && current_->outside() && removed_.real == Str(current_->virt);
    return {};
  }

  bool in_removed() const { return removed_.node != nullptr && current_ == removed_.node; }

  Result<void> to_root() {
    const bool was_outside = current_ == nullptr || current_->outside();
    current_ = TRY(node_at(op_, "/", Purpose::kPass));
    TRY(crossed(was_outside));
    if (start_ == nullptr) start_ = current_;
    return {};
  }

  // AT_EMPTY_PATH
  Result<Walked> of_descriptor(int dirfd) {
    Walked w;
    if (dirfd == AT_FDCWD) {
      TRY(begin(dirfd, "."));
      if (in_removed()) return of_removed();
      w.native = natural_ && current_->outside();
      w.node = current_;
      TRY(load(w.node));
    } else {
      FdNode fd = TRY(node_of_fd(op_, dirfd));
      w.native = fd.node == nullptr;
      w.node = fd.node;
      if (fd.detached)
        orphan_ = Orphan{fd.overlay, fd.on_lower, descriptor_link(op_.arena(), dirfd), dirfd};
    }
    if (w.native) return native();
    if (w.node->outside()) w.outside_path = w.node->virt;
    w.parent = w.node->up;
    w.name = base_name(w.node->virt);
    return w;
  }

  // --- one component ---
  // Cuts the next name off todo_. False at the end.
  bool next_component() {
    size_t from = 0;
    while (from < todo_.size() && todo_[from] == '/') from++;
    if (from == todo_.size()) return false;
    size_t end = todo_.find('/', from);
    if (end == SIZE_MAX) end = todo_.size();
    name_ = todo_.sub(from, end - from);
    todo_ = todo_.sub(end);
    last_ = true;
    for (char c : todo_) last_ = last_ && c == '/';
    slash_ = !todo_.empty();
    return true;
  }

  // From "/": is there neither a symlink nor an overlay on the whole way? One call of the kernel
  // instead of one for each name. What it finds missing, the real call will find.
  bool is_plainly_outside() {
    constexpr int kFewest = 3;  // names for which it pays
    if (!natural_ || !current_->outside() || current_->virt != Str("/")) return false;
    Str rest = todo_;
    while (!rest.empty() && rest[0] == '/') rest = rest.sub(1);
    if (!op_.caller().has_own_descriptors() || !is_normal(rest, kFewest)) return false;
    const CStr path = op_.arena().concat("/", rest);
    if (path.data() == nullptr || op_.session().level() != 0 || passes_overlay(path)) return false;
    if (is_mapping_list(path)) return false;  // the result says so
    const uint64_t last = (flags_ & kFollow) != 0 ? 0u : unsigned{O_NOFOLLOW};
    const Result<UniqueFd> found =
        sys_openat2(path, open_how{O_PATH | last, 0, RESOLVE_NO_SYMLINKS});
    return found.ok() || found.error() == ENOENT || found.error() == ENOTDIR ||
           found.error() == EACCES;
  }

  // This many names or more, and nothing else between the slashes.
  static bool is_normal(Str path, int fewest) {
    int count = 0;
    for (; !path.empty(); count++) {
      size_t end = path.find('/');
      if (end == SIZE_MAX) end = path.size();
      const Str name = path.sub(0, end);
      if (name.empty() || name == Str(".") || name == Str("..")) return false;
      path = path.sub(end + 1);
    }
    return count >= fewest;
  }

  bool passes_overlay(Str path) const {
    for (uint32_t i = 0; i < op_.session().overlay_count(); i++)
      if (is_below_or_same(path, op_.session().overlay(i).at)) return true;
    return false;
  }

  Result<void> step() {
    // The current node must be a directory that can be searched.
    if (!current_->outside() && !current_->is_dir()) return Error(ENOTDIR);
    found_ = nullptr;
    if (in_removed()) return removed_step();
    // Where a symlink of an overlay has led out of it, no call of the kernel has looked yet.
    if (current_->outside() && !natural_ && is_dots(name_)) TRY(outside_directory());
    if (name_ == Str(".")) {
      kind_ = Last::kDot;
      return search_current();
    }
    if (name_ == Str("..")) {
      kind_ = Last::kDotDot;
      return dot_dot();
    }
    kind_ = Last::kName;
    if (name_.size() > NAME_MAX) return Error(ENAMETOOLONG);
    return current_->outside() ? outside_step() : overlay_step();
  }

  Result<void> removed_step() {
    kind_ = name_ == Str(".") ? Last::kDot : Last::kDotDot;
    if (kind_ == Last::kDot) return {};
    if (name_ != Str("..")) return Error(name_.size() > NAME_MAX ? ENAMETOOLONG : ENOENT);
    if ((flags_ & (kBeneath | kInRoot)) && current_ == start_)
      return (flags_ & kBeneath) ? Result<void>(Error(EXDEV)) : Result<void>();
    Result<const Node*> up = parent_of(op_, removed_);
    native_ = !up.ok() && natural_;  // the kernel words its own error
    if (native_) return {};
    const bool was_outside = current_->outside();
    current_ = TRY(std::move(up));
    return crossed(was_outside);
  }

  static bool is_dots(Str name) { return name == Str(".") || name == Str(".."); }

  Result<void> outside_directory() {
    return sys_faccessat2(At(op_.arena().join(current_->virt, ".")), 0 /* F_OK */, 0);
  }

  Result<void> search_current() { return may_search(op_, *current_); }

  Result<void> dot_dot() {
    TRY(search_current());
    if ((flags_ & (kBeneath | kInRoot)) && current_->virt == start_->virt) {
      if (flags_ & kBeneath) return Error(EXDEV);
      return {};
    }
    below_ = current_->outside() ? current_->virt : CStr();
    if (current_->virt == Str("/")) return {};
    kernel_follows_ =
        kernel_follows_ && (current_->outside() || stands_for(*current_, current_->virt));
    const bool was_outside = current_->outside();
    // Across a border of sessions the node above is not the one that the walk came through.
    const Node* up = op_.session().level() == 0 ? current_->up : nullptr;
    current_ = up != nullptr ? up : TRY(node_at(op_, dir_name(current_->virt), Purpose::kPass));
    return crossed(was_outside);
  }

  Result<void> overlay_step() {
    const CStr virt = op_.arena().join(current_->virt, name_);
    if (const Overlay* other = op_.session().rooted_at(virt)) return enter(*other);
    if (op_.session().exclude_count() != 0) {
      const Overlay* shown = op_.session().containing(virt);
      if (shown == nullptr) return leave(virt);
      if (shown != current_->overlay) return cross(virt);
    }
    for (;;) {
      found_ = TRY(lookup(op_, *current_, name_, Search::kChecked,
                          last_ ? Purpose::kResult : Purpose::kPass));
      if (!found_->exists()) return last_ ? Result<void>() : Result<void>(Error(ENOENT));
      if (!found_->is_symlink() || !follows()) break;
      const Str text = TRY(link_text());
      kernel_follows_ = kernel_follows_ && found_->top() == Str(found_->virt);
      if (text.data() != nullptr) return follow(text);
      if (++symlinks_ > kMaxSymlinks) return Error(ELOOP);
    }
    if (last_) return {};
    if (!found_->is_dir()) return Error(ENOTDIR);
    current_ = found_;
    return {};
  }

  Result<void> outside_step() {
    const CStr virt = op_.arena().join(current_->virt, name_);
    if (virt.data() == nullptr) return Error(ENOMEM);
    if (const Overlay* overlay = op_.session().rooted_at(virt)) return enter(*overlay);
    TRY(outside_node(virt));
    if (last_ && !follows()) return {};
    if (virt == Str("/proc/self") || virt == Str("/proc/thread-self"))
      return follow(TRY(op_.caller().proc_link(op_.arena(), virt)));
    if (op_.session().leads_to_overlay(virt)) {
      if (!last_) current_ = found_;
      return {};
    }
    char* text = op_.arena().array<char>(kLinkTextMost);
    if (text == nullptr) return Error(ENOMEM);
    Result<size_t> n = sys_readlink(virt, text, kLinkTextMost);
    op_.arena().trim(text, n.ok() ? n.value() : 0);
    if (n.ok()) return outside_symlink(Str(text, n.value()));
    if (n.error() == EINVAL || last_) {  // no symlink, or for the real call to tell
      if (!last_) current_ = found_;
      return {};
    }
    if (natural_) native_ = true;  // the kernel words its own error
    return natural_ ? Result<void>() : Result<void>(Error(n.error()));
  }

  // Does a symlink in this place count as its target?
  bool follows() const {
    if (!last_) return true;
    if (flags_ & kFollow) return true;
    return slash_ && (flags_ & kParent) == 0;
  }

  // Of the symlink found_. data() == nullptr: something else has taken its place, or nothing.
  Result<Str> link_text() {
    char* text = op_.arena().array<char>(kLinkTextMost);
    if (text == nullptr) return Error(ENOMEM);
    Result<size_t> n = sys_readlink(found_->top(), text, kLinkTextMost);
    op_.arena().trim(text, n.ok() ? n.value() : 0);
    if (n.ok()) return Str(text, n.value());
    if (n.error() == EINVAL || n.error() == ENOENT) return Str(nullptr, 0);
    return Error(n.error());
  }

  Result<void> outside_symlink(Str text) {
    Magic magic = TRY(magic_target(op_, found_->virt, text));
    if (!magic.is_magic) return follow(text);
    kernel_follows_ = false;
    if (flags_ & (kNoMagic | kNoSymlinks)) return Error(ELOOP);
    if (magic.node == nullptr || (last_ && magic.node->outside())) {
      // A pipe, a deleted file, something of nobody's layer: only the kernel can go through it.
      orphan_ = magic.orphan;
      if (last_ || magic.node != nullptr) return {};
      return text.starts_with("/") ? enter_removed(Held{found_->virt, -1}) : Error(ENOTDIR);
    }
    TRY(crossed(true, magic.node));
    if (last_) {
      found_ = magic.node;
      current_ = magic.node->up != nullptr ? magic.node->up : magic.node;
      return {};
    }
    current_ = magic.node;
    return {};
  }

  // Puts a link's text in front of what is to do.
  Result<void> follow(Str text) {
    if (flags_ & kNoSymlinks) return Error(ELOOP);
    if (++symlinks_ > kMaxSymlinks) return Error(ELOOP);
    if (text.empty()) return Error(ENOENT);
    todo_ = op_.arena().concat(text, todo_);
    if (todo_.data() == nullptr) return Error(ENOMEM);
    found_ = nullptr;
    kind_ = Last::kRoot;
    if (text[0] != '/') return {};
    if (flags_ & kBeneath) return Error(EXDEV);
    if (flags_ & kInRoot) {
      current_ = start_;
      return {};
    }
    return to_root();
  }

  // --- borders ---
  Result<void> enter(const Overlay& overlay) {
    if (flags_ & kNoXdev) return Error(EXDEV);
    Node* root = const_cast<Node*>(TRY(lookup_root(op_, overlay)));  // NOLINT: fresh, ours
    root->up = current_;
    natural_ = false;
    current_ = root;
    found_ = root;
    kind_ = Last::kName;
    return {};
  }

  Result<void> leave(CStr virt) {
    if (flags_ & kNoXdev) return Error(EXDEV);
    TRY(outside_node(virt));
    natural_ = false;
    if (!last_) current_ = found_;
    return {};
  }

  // From an inner session's overlay to one around it, by an exclude.
  Result<void> cross(CStr virt) {
    if (flags_ & kNoXdev) return Error(EXDEV);
    natural_ = false;
    found_ = TRY(node_at(op_, virt, last_ ? Purpose::kResult : Purpose::kPass));
    if (last_) return {};
    if (!found_->exists()) return Error(ENOENT);
    if (!found_->is_dir()) return Error(ENOTDIR);
    current_ = found_;
    return {};
  }

  Result<void> outside_node(CStr virt) {
    Node* node = op_.arena().make<Node>();
    if (node == nullptr) return Error(ENOMEM);
    node->virt = virt;
    node->up = current_;
    found_ = node;
    return {};
  }

  Result<void> crossed(bool was_outside) { return crossed(was_outside, current_); }
  Result<void> crossed(bool was_outside, const Node* to) {
    if (to->outside() == was_outside) return {};
    if ((flags_ & kNoXdev) && start_ != nullptr) return Error(EXDEV);
    natural_ = false;
    return {};
  }

  // --- what it came to ---
  // The node, and the directory that holds it: what an op looks at.
  Result<void> load(const Node* node) {
    TRY(ensure_loaded(op_, *node));
    return node->up != nullptr ? ensure_loaded(op_, *node->up) : Result<void>();
  }

  Result<Walked> native(const Walked& known = Walked()) {
    Walked w;
    w.native = true;
    w.mapping_list = known.mapping_list;
    w.orphan = orphan_;
    return w;
  }

  // The removed directory itself.
  Result<Walked> of_removed() {
    orphan_ = removed_.orphan;
    if (removed_naturally_) return native();
    Node* node = op_.arena().make<Node>();
    if (node == nullptr) return Error(ENOMEM);
    node->virt = removed_.link;
    Walked w;
    w.node = node;
    w.last = Last::kDot;
    w.outside_path = op_.arena().concat(removed_.link, "/.");
    w.orphan = orphan_;
    return w;
  }

  Result<Walked> result() {
    if (in_removed()) return of_removed();
    Walked w;
    w.last = kind_;
    w.trailing_slash = slash_;
    w.kernel_follows = kernel_follows_ && (flags_ & kInRoot) == 0;
    if (found_ == nullptr || kind_ != Last::kName) {  // "/", "x/..", "."
      w.node = current_;
      w.parent = current_->up;
      w.name = base_name(current_->virt);
    } else {
      w.node = found_;
      w.parent = found_->up;
      w.name = base_name(found_->virt);
    }
    if (w.node->outside()) {
      if (!slash_ && is_mapping_list(w.node->virt)) w.mapping_list = w.node->virt;
      if (natural_) return native(w);
      w.orphan = orphan_;
      w.outside_path = outside_path(w.node->virt);
      return w;
    }
    if (slash_ && (flags_ & kParent) == 0 && w.node->exists() && !w.node->is_dir())
      return Error(ENOTDIR);
    TRY((flags_ & kParent) ? load(w.node) : ensure_loaded(op_, *w.node));
    return w;
  }

  // What cannot be said of the directory itself (rmdir, rename) is not to be said of it for "x/.".
  CStr outside_path(CStr virt) {
    const bool names = (flags_ & kParent) != 0;
    if (names && kind_ == Last::kDotDot && !below_.empty()) return op_.arena().join(below_, "..");
    if (names && kind_ != Last::kName) return op_.arena().join(virt, ".");
    return slash_ && kind_ == Last::kName ? op_.arena().concat(virt, "/") : virt;
  }

  Op& op_;
  const unsigned flags_;
  const Node* start_ = nullptr;
  const Node* current_ = nullptr;  // the directory that the walk is in
  const Node* found_ = nullptr;    // what the last component named in it
  Str todo_;
  Str name_;
  Last kind_ = Last::kRoot;
  CStr below_;                  // the directory outside that the last ".." came from
  bool last_ = false;           // name_ is the last component
  bool slash_ = false;          // and is followed by slashes
  bool natural_ = true;         // so far the kernel sees what we see
  bool kernel_follows_ = true;  // see Walked
  bool native_ = false;
  int symlinks_ = 0;
  Orphan orphan_;    // see Walked
  Removed removed_;  // a directory on the way
  bool removed_naturally_ = false;
};

}  // namespace

Result<Walked> walk(Op& op, int dirfd, CStr path, unsigned flags) {
  const std::atomic<uint64_t>& epoch = op.session().state().epoch;
  const uint64_t before = epoch.load(std::memory_order_acquire);
  Result<Walked> walked = Walk(op, flags).run(dirfd, path);
  if ((flags & kStill) != 0 || (walked.ok() && walked.value().native)) return walked;
  if ((before & 1) == 0 && epoch.load(std::memory_order_acquire) == before) return walked;
  // A directory has moved or gone meanwhile: what was seen may be a mixture of before and after.
  Mutation hold(op.session(), Mutation::Topology::kShared);
  return Walk(op, flags).run(dirfd, path);
}

Result<Walked> walk_existing(Op& op, int dirfd, CStr path, unsigned flags) {
  Walked w = TRY(walk(op, dirfd, path, flags));
  if (!w.native && !w.outside() && !w.node->exists()) return Error(ENOENT);
  return w;
}

}  // namespace ovl
