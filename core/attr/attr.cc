// See attr.h.
#include "core/attr/attr.h"

#include <fcntl.h>
#include <sys/sysmacros.h>

#include "core/sys/file_handle.h"
#include "core/walk/beside.h"

namespace ovl {
namespace {

// An inode number of another file system of the overlay carries its number in bits 55..62, as the
// kernel's xino=on does; one that is too large for that is spread by a hash below the top bit,
// which the others never have.
constexpr int kFsShift = 55;
constexpr uint64_t kHashed = uint64_t{1} << 63;

uint64_t mix(uint64_t x) {  // splitmix64's finaliser
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

uint64_t dev_of(const StatX& st) { return makedev(st.stx_dev_major, st.stx_dev_minor); }

// The layer whose file system has this device, or nullptr.
const Layer* layer_with(const Overlay& overlay, uint64_t dev) {
  if (overlay.upper_layer != nullptr && overlay.upper_layer->dev == dev) return overlay.upper_layer;
  for (uint32_t i = 0; i < overlay.lower_count; i++)
    if (overlay.lowers[i].dev == dev) return &overlay.lowers[i];
  return nullptr;
}

Identity in_overlay(const Overlay& overlay, const Layer& layer, uint64_t ino) {
  return Identity{major(overlay.shown_dev), minor(overlay.shown_dev),
                  shown_ino(overlay, layer, ino)};
}

// The handles of erofs tell places, no inode numbers, and only root may ask what is there.
Result<uint64_t> ino_on_erofs(const Layer& layer, const FileHandle& handle) {
  KernelHandle kernels;
  kernels.bytes = handle.fid_size;
  kernels.type = handle.type;
  memcpy(kernels.data, handle.fid, handle.fid_size);
  const UniqueFd root = TRY(sys_openat(layer.root, O_RDONLY | O_DIRECTORY));
  const UniqueFd object = TRY(sys_open_handle(root.get(), kernels));
  StatX st;
  TRY(sys_fstat(object.get(), &st));
  return st.stx_ino;
}

// The topmost lower on the file system that a handle is of; where none has its UUID, the topmost
// of all.
const Layer& layer_of(const Overlay& overlay, const FileHandle& handle) {
  for (uint32_t i = 0; i < overlay.lower_count; i++)
    if (memcmp(overlay.lowers[i].uuid, handle.uuid, sizeof handle.uuid) == 0)
      return overlay.lowers[i];
  return overlay.lowers[0];
}

// What an upper file's origin tells of the lower's object. False: nothing.
bool origin_identity(const Overlay& overlay, const Object& top, Identity* out) {
  unsigned char value[kFileHandleMax];
  const Result<size_t> n = top.get(priv_name(overlay.format, Priv::kOrigin), value, sizeof value);
  FileHandle handle;
  if (!n.ok() || overlay.lower_count == 0) return false;
  const Result<OriginState> state = decode_origin(value, n.value(), &handle);
  if (!state.ok() || state.value() != OriginState::kKnown) return false;
  const Layer& layer = layer_of(overlay, handle);
  const Result<uint64_t> ino =
      layer.is_erofs ? ino_on_erofs(layer, handle) : Result<uint64_t>(inode_of(handle));
  if (!ino.ok() || ino.value() == 0) return false;
  *out = in_overlay(overlay, layer, ino.value());
  return true;
}

// Identity of the topmost object. `below`: attributes of lowers[0], when it is in the upper and has
// one.
Identity identity_of(const Node& node, const Object& top, const StatX* below) {
  const Overlay& overlay = *node.overlay;
  if (!node.has_upper_inode()) return identity_of(overlay, node.real);
  // A copy of a hard-linked file that is in no index has left its links: they have the number.
  if (below != nullptr && !node.is_dir() && below->stx_nlink > 1 && !node.priv.has(Priv::kNlink))
    return identity_of(overlay, node.real);
  if (below != nullptr) return identity_of(overlay, *below);
  if (!node.is_dir() && node.priv.has(Priv::kOrigin)) {
    // Renamed since: only the handle tells.
    Identity identity;
    if (origin_identity(overlay, marked_object(node, top), &identity)) return identity;
  }
  return identity_of(overlay, node.real);
}

// A metacopy takes the room that its data takes.
void show_blocks(const Node& node, const StatX* below, StatX* out) {
  if (!node.is_regular() || node.lower_count == 0) return;
  if (node.has_upper_inode() && !node.metacopy()) return;
  if (node.has_upper_inode() && node.lower_count == 1) {
    if (below != nullptr) out->stx_blocks = below->stx_blocks;
    return;
  }
  StatX data;
  if (node.lower_count > 1 && sys_lstat(node.data(), &data).ok()) out->stx_blocks = data.stx_blocks;
}

// The link count that an index keeps. A damaged one is left as the file system has it.
//
// It is told relative to one of the two inodes' own counts, and read apart from that. What is said
// relative to the lower's is right by itself. What is said relative to the upper's is right where
// that one's count was read in between two readings of the same value: only the name that comes to
// an inode from its index changes the value, each one to another.
class IndexedNlink {
 public:
  IndexedNlink(const Node& node, const Object& top, const StatX* below)
      : name_(priv_name(node.format(), Priv::kNlink)),
        top_(top),
        marked_(marked_object(node, top)),
        below_(below) {}

  void show(StatX* out) {
    uint32_t real = out->stx_nlink;
    if (!read()) return;
    for (int i = 0; i < kTries; i++) {
      if (relative_to_lower() && below_ != nullptr) break;
      const size_t size = size_;
      char before[kNlinkMax];
      memcpy(before, value_, size);
      StatX now;
      if (!top_.stat(&now).ok() || !read()) return;
      real = now.stx_nlink;
      if (!relative_to_lower() && Str(before, size) == Str(value_, size_)) break;
      if (relative_to_lower()) raw_call(SYS_sched_yield);
    }
    // Left so by a kill, while names were moved away from where the lower is found.
    if (relative_to_lower() && below_ == nullptr) {
      out->stx_nlink = real > 1 ? real - 1 : 1;
      return;
    }
    const Result<uint32_t> nlink =
        decode_nlink(Str(value_, size_), real, below_ != nullptr ? below_->stx_nlink : 0);
    out->stx_nlink = nlink.ok() ? nlink.value() : real;
  }

 private:
  static constexpr int kTries = 200;
  bool read() {
    Result<size_t> n = marked_.get(name_, value_, sizeof value_);
    size_ = n.ok() ? n.value() : 0;
    return n.ok();
  }
  bool relative_to_lower() const {
    return size_ != 0 && value_[0] == static_cast<char>(NlinkBase::kLower);
  }

  const char* const name_;
  const Object& top_;
  const Object marked_;
  const StatX* const below_;
  char value_[kNlinkMax];
  size_t size_ = 0;
};

}  // namespace

uint64_t shown_ino(const Overlay&, const Layer& layer, uint64_t real_ino) {
  if (layer.fs_index == 0) return real_ino;
  const uint64_t fs = layer.fs_index;
  if (real_ino >> kFsShift == 0) return real_ino | fs << kFsShift;
  return mix(real_ino ^ mix(fs)) | kHashed;
}

Identity identity_of(const Overlay& overlay, const StatX& real) {
  const uint64_t dev = dev_of(real);
  if (dev != overlay.shown_dev) {
    if (const Layer* layer = layer_with(overlay, dev))
      return in_overlay(overlay, *layer, real.stx_ino);
  }
  return Identity{real.stx_dev_major, real.stx_dev_minor, real.stx_ino};
}

Identity shown_identity(const Node& node) {
  StatX lower;
  const bool has_below = node.has_upper_inode() && node.lower_count != 0 &&
                         sys_lstat(node.lowers[0].path, &lower).ok();
  return identity_of(node, Object::at(node.top()), has_below ? &lower : nullptr);
}

Result<void> show(Op&, const Node& node, const Object& top, StatX* attributes) {
  StatX lower;
  // A lower that went away under us leaves the upper's own number: better than no answer.
  const bool has_below = node.has_upper_inode() && node.lower_count != 0 &&
                         sys_lstat(node.lowers[0].path, &lower).ok();
  const StatX* below = has_below ? &lower : nullptr;
  const Identity identity = identity_of(node, top, below);
  attributes->stx_dev_major = identity.dev_major;
  attributes->stx_dev_minor = identity.dev_minor;
  attributes->stx_ino = identity.ino;
  attributes->stx_mode = static_cast<uint16_t>(node.mode);
  attributes->stx_uid = node.uid;
  attributes->stx_gid = node.gid;
  attributes->stx_rdev_major = node.rdev_major;
  attributes->stx_rdev_minor = node.rdev_minor;
  if (node.filling()) {
    attributes->stx_size = node.real.stx_size;
    attributes->stx_atime = node.real.stx_atime;
    attributes->stx_mtime = node.real.stx_mtime;
  }
  if (node.merged()) attributes->stx_nlink = 1;
  show_blocks(node, below, attributes);
  // Of a lower the real count is shown, unless it is an upper that is only looked at, or the
  // session around this one shows another.
  const bool counted = node.has_upper_inode() || node.overlay->upper_layer == nullptr ||
                       (node.lower_count != 0 && node.lowers[0].layer->writer != node.overlay);
  if (!node.is_dir() && node.priv.has(Priv::kNlink) && counted)
    IndexedNlink(node, top, below).show(attributes);
  if (!node.has_upper_inode()) return {};
  // The upper may be a mount of its own; what programs see is the place of the lower.
  attributes->stx_attributes &= ~uint64_t{STATX_ATTR_MOUNT_ROOT};
  if (has_below) attributes->stx_attributes |= lower.stx_attributes & STATX_ATTR_MOUNT_ROOT;
  const Flags flags = flags_of(node, top);
  if (flags.immutable) attributes->stx_attributes |= STATX_ATTR_IMMUTABLE;
  if (flags.append) attributes->stx_attributes |= STATX_ATTR_APPEND;
  return {};
}

Result<void> shown_stat(Op& op, const Node& node, StatX* out) {
  *out = node.real;
  return show(op, node, Object::at(node.top()), out);
}

Flags flags_of(const Node& node, const Object& top) {
  const bool told = node.in_upper() || node.lower_count == 0 || !node.lowers[0].layer->is_erofs;
  Flags flags = {told && (node.real.stx_attributes & STATX_ATTR_IMMUTABLE) != 0,
                 (node.real.stx_attributes & STATX_ATTR_APPEND) != 0};
  if (!node.priv.has(Priv::kProtattr)) return flags;
  char value[16];
  Result<size_t> n = top.get(priv_name(node.format(), Priv::kProtattr), value, sizeof value);
  if (!n.ok()) return flags;
  const Str letters(value, n.value());
  flags.immutable |= letters.find('i') != SIZE_MAX;
  flags.append |= letters.find('a') != SIZE_MAX;
  return flags;
}

}  // namespace ovl
