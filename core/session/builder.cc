// See builder.h.
#include "core/session/builder.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>

#include "core/format/format.h"
#include "core/sys/sys.h"

namespace ovl {
namespace {

// Appends to the string area; what does not fit shows as used > size.
class Strings {
 public:
  Strings(char* area, uint32_t size) : area_(area), size_(size) {}
  StrRef add(Str text) {
    StrRef ref{used_, static_cast<uint32_t>(text.size())};
    if (used_ + text.size() + 1 <= size_) {
      if (!text.empty()) memcpy(area_ + used_, text.data(), text.size());
      area_[used_ + text.size()] = 0;
    }
    used_ += static_cast<uint32_t>(text.size()) + 1;
    return ref;
  }
  bool overflowed() const { return used_ > size_; }

 private:
  char* area_;
  uint32_t size_;
  uint32_t used_ = 0;
};

size_t strings_needed(const SessionSpec& spec) {
  size_t n = spec.preload_path.size() + spec.trace_path.size() + spec.outermost.size() + 3;
  for (uint32_t i = 0; i < spec.exclude_count; i++) n += spec.excludes[i].size() + 1;
  for (uint32_t i = 0; i < spec.overlay_count; i++) {
    const OverlaySpec& o = spec.overlays[i];
    n += o.at.size() + 2 * o.upper.size() + o.work.size() + 4;
    for (uint32_t k = 0; k < o.lower_count; k++) n += o.lowers[k].root.size() + 1;
  }
  return n;
}

// The largest page of any architecture: where a part of a file may begin that is mapped alone.
constexpr size_t kPage = 65536;

Result<uint64_t> device_of(CStr path) {
  StatX st;
  TRY(sys_lstat(path, &st));
  return makedev(st.stx_dev_major, st.stx_dev_minor);
}

// The bottom layer needs a look at overlay xattrs only when it is somebody's upper; its root tells.
bool looks_like_an_upper(CStr root, XattrFormat format) {
  char list[1024];
  Result<size_t> n = sys_llistxattr(root, list, sizeof list);
  if (!n.ok()) return n.error() == ERANGE;
  return !parse_xattr_list(format, list, n.value()).empty();
}

// Could the root of the overlay be one that its owner may not search?
bool may_be_closed(const OverlaySpec& spec) {
  if (spec.perm != Perm::kOwner) return true;
  if (spec.upper.empty()) return false;
  char value[kOverrideStatMax];
  Result<size_t> n =
      sys_lgetxattr(spec.upper, priv_name(spec.format, Priv::kOverrideStat), value, sizeof value);
  OverrideStat recorded;
  if (!n.ok()) return n.error() != ENODATA && n.error() != EOPNOTSUPP;
  return !decode_override_stat(Str(value, n.value()), &recorded).ok() ||
         (recorded.mode & 0100) == 0;
}

// A number for each file system of an overlay: 0 for the one that the overlay shows as its own.
class FileSystems {
 public:
  explicit FileSystems(uint64_t shown) { devices_[count_++] = shown; }
  uint8_t index_of(uint64_t device) {
    for (uint8_t i = 0; i < count_; i++)
      if (devices_[i] == device) return i;
    if (count_ == kMost) return kMost - 1;
    devices_[count_] = device;
    return count_++;
  }

 private:
  static constexpr uint8_t kMost = 64;
  uint64_t devices_[kMost];
  uint8_t count_ = 0;
};

Result<void> fill_overlay(Segment* segment, Strings* strings, const OverlaySpec& spec,
                          uint32_t* next_layer, OverlayConfig* out) {
  const uint64_t shown = TRY(device_of(spec.lowers[0].root));
  FileSystems file_systems(shown);
  out->at = strings->add(spec.at);
  out->upper = strings->add(spec.upper);
  out->work = strings->add(spec.work);
  out->first_layer = *next_layer;
  out->lower_count = spec.lower_count;
  out->shown_dev = shown;
  out->redirect_dir = spec.redirect_dir;
  out->metacopy = spec.metacopy;
  out->perm = spec.perm;
  out->can_whiteout_device = spec.can_whiteout_device;

  LayerConfig* upper = &segment->layers[(*next_layer)++];
  upper->root = out->upper;
  upper->format = spec.format;
  if (!spec.upper.empty()) {
    upper->dev = TRY(device_of(spec.upper));
    upper->fs_index = file_systems.index_of(upper->dev);
    upper->has_format = 1;
  }
  for (uint32_t k = 0; k < spec.lower_count; k++) {
    LayerConfig* lower = &segment->layers[(*next_layer)++];
    const bool bottom = k + 1 == spec.lower_count;
    lower->root = strings->add(spec.lowers[k].root);
    lower->format = spec.lowers[k].format;
    lower->dev = TRY(device_of(spec.lowers[k].root));
    lower->fs_index = file_systems.index_of(lower->dev);
    lower->has_format = !bottom || looks_like_an_upper(spec.lowers[k].root, lower->format);
  }
  return {};
}

Result<void> fill(Segment* segment, const SessionSpec& spec, size_t size, size_t strings_size,
                  size_t state_offset) {
  Strings strings(reinterpret_cast<char*>(segment) + sizeof(Segment),
                  static_cast<uint32_t>(strings_size));
  segment->version = kSegmentVersion;
  segment->size = size;
  segment->strings_offset = sizeof(Segment);
  segment->strings_size = static_cast<uint32_t>(strings_size);
  segment->allow_uncovered = spec.allow_uncovered;
  segment->supervised = spec.supervised;
  segment->preload = spec.preload;
  segment->watch = (spec.trace_path.empty() ? 0 : kWatchTrace) | (spec.count_ops ? kWatchCount : 0);
  segment->preload_path = strings.add(spec.preload_path);
  segment->trace_path = strings.add(spec.trace_path);
  segment->exclude_count = spec.exclude_count;
  for (uint32_t i = 0; i < spec.exclude_count; i++)
    segment->excludes[i] = strings.add(spec.excludes[i]);
  uint32_t next_layer = 0;
  for (uint32_t i = 0; i < spec.overlay_count; i++) {
    segment->overlays[i].id = spec.overlays[i].id != 0 ? spec.overlays[i].id : i + 1;
    TRY(fill_overlay(segment, &strings, spec.overlays[i], &next_layer, &segment->overlays[i]));
    if (may_be_closed(spec.overlays[i])) segment->closed_roots = 1;
  }
  segment->overlay_count = spec.overlay_count;
  segment->outermost = strings.add(spec.outermost);
  segment->state_offset = state_offset;
  if (spec.outermost.empty()) {
    auto* state = reinterpret_cast<SharedState*>(reinterpret_cast<char*>(segment) + state_offset);
    state->overlay_ids.store(spec.overlay_count, std::memory_order_relaxed);
  }
  if (strings.overflowed()) return Error(E2BIG);
  __atomic_store_n(&segment->magic, kSegmentMagic, __ATOMIC_RELEASE);
  return {};
}

}  // namespace

Result<void> write_segment(CStr path, const SessionSpec& spec) {
  uint32_t layers = 0;
  for (uint32_t i = 0; i < spec.overlay_count; i++) layers += spec.overlays[i].lower_count + 1;
  if (spec.overlay_count > kMaxOverlays || layers > kMaxLayers || spec.exclude_count > kMaxExcludes)
    return Error(E2BIG);
  const size_t strings_size = strings_needed(spec);
  const size_t own_size = (sizeof(Segment) + strings_size + kPage - 1) & ~(kPage - 1);
  const bool alone = spec.outermost.empty();
  const size_t size = alone ? own_size + sizeof(SharedState) : own_size;

  ignore(sys_unlink(path));  // an old one: processes that still map it keep theirs
  UniqueFd fd = TRY(sys_openat(path, O_RDWR | O_CREAT | O_EXCL, 0600));
  TRY(sys_ftruncate(fd.get(), static_cast<off_t>(size)));
  long p = raw_call(SYS_mmap, nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
  if (p < 0 && p > -4096) return Error(static_cast<int>(-p));
  Result<void> filled = fill(reinterpret_cast<Segment*>(p), spec, size, strings_size,
                             alone ? own_size : spec.state_offset);
  raw_call(SYS_munmap, p, size);
  if (!filled.ok()) ignore(sys_unlink(path));
  return filled;
}

}  // namespace ovl
