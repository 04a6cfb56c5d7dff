// See builder.h.
#include "core/session/builder.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>

#include "core/format/format.h"
#include "core/sys/file_handle.h"
#include "core/sys/kernel_abi.h"
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
  // Puts `text` at the very beginning, as it is.
  void copy(const char* text, uint32_t size) {
    if (size <= size_) memcpy(area_, text, size);
    used_ = size;
  }
  bool overflowed() const { return used_ > size_; }

 private:
  char* area_;
  uint32_t size_;
  uint32_t used_ = 0;
};

size_t strings_needed(const SessionSpec& spec) {
  size_t n = spec.preload_path.size() + spec.trace_path.size() + 2;
  if (spec.around != nullptr)
    n += spec.around->segment().strings_size + spec.around->path().size() + 1;
  for (uint32_t i = 0; i < spec.exclude_count; i++) n += spec.excludes[i].size() + 1;
  for (uint32_t i = 0; i < spec.overlay_count; i++) {
    const OverlaySpec& o = spec.overlays[i];
    n += o.at.size() + o.upper.size() + o.work.size() + o.given_upper.size() + o.given_work.size() +
         5;
    for (uint32_t k = 0; k < o.lower_count; k++) n += o.lowers[k].root.size() + 1;
    for (uint32_t k = 0; k < o.data_count; k++) n += o.data[k].root.size() + 1;
    for (uint32_t k = 0; k < o.given_count; k++) n += o.given[k].size() + 1;
    for (uint32_t k = 0; k < o.mount_count; k++) {
      n += o.mounts[k].at.size() + 1;
      for (uint32_t m = 0; m < o.mounts[k].lower_count; m++)
        n += o.mounts[k].lowers[m].root.size() + 1;
    }
  }
  return n;
}

// The largest page of any architecture: where a part of a file may begin that is mapped alone.
constexpr size_t kPage = 65536;
constexpr size_t kLine = 64;  // of a processor's cache

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

// Has this directory of a workdir an entry? One that can't be read may have some.
bool has_entries(CStr work, CStr name) {
  const Result<UniqueFd> fd = sys_openat(At(work), O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
  if (!fd.ok()) return false;
  const Result<UniqueFd> dir = sys_openat(At(fd.value().get(), name), O_RDONLY | O_DIRECTORY, 0);
  if (!dir.ok()) return dir.error() != ENOENT;
  alignas(8) char buffer[512];
  const Result<size_t> n = sys_getdents64(dir.value().get(), buffer, sizeof buffer);
  if (!n.ok()) return true;
  size_t entries = 0;
  for (size_t at = 0; at < n.value(); entries++)
    at += reinterpret_cast<const KernelDirent*>(buffer + at)->d_reclen;
  return entries > 2;
}

// Can what symlinks and special files of the upper can't carry be found by their handles? The
// handles have to mean the same in every session. Fills in the file system's UUID.
bool can_stand_beside(const OverlaySpec& spec, uint8_t uuid[16]) {
  if (spec.format.prefix != XattrPrefix::kUser || spec.work.empty()) return false;
  KernelHandle handle;
  struct statfs fs;
  const Result<UniqueFd> fd = sys_openat(spec.upper, O_RDONLY | O_DIRECTORY);
  if (!fd.ok() || !sys_handle(fd.value().get(), &handle).ok()) return false;
  if (!sys_statfs(spec.upper, &fs).ok() || fs.f_type == FUSE_SUPER_MAGIC) return false;
  ignore(sys_fs_uuid(fd.value().get(), uuid));
  return true;
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

class Filler {
 public:
  Filler(Segment* segment, const SessionSpec& spec, size_t strings_size)
      : segment_(segment),
        spec_(spec),
        strings_(reinterpret_cast<char*>(segment) + sizeof(Segment),
                 static_cast<uint32_t>(strings_size)) {}

  // `state_offset`: of the session's own state.
  Result<void> run(size_t size, size_t strings_size, size_t known_offset, size_t state_offset) {
    segment_->version = kSegmentVersion;
    segment_->size = size;
    segment_->strings_offset = sizeof(Segment);
    segment_->strings_size = static_cast<uint32_t>(strings_size);
    segment_->known_offset = known_offset;
    segment_->state_offset = state_offset;
    if (spec_.around != nullptr) take_over(*spec_.around);
    segment_->allow_uncovered = spec_.allow_uncovered;
    segment_->supervised = spec_.supervised;
    segment_->strict = spec_.strict;
    segment_->preload = spec_.preload;
    if (spec_.count_ops) segment_->watch |= kWatchCount;
    segment_->preload_path = strings_.add(spec_.preload_path);
    if (!spec_.trace_path.empty()) {
      segment_->watch |= kWatchTrace;
      segment_->trace_path = strings_.add(spec_.trace_path);
    }
    for (uint32_t i = 0; i < spec_.exclude_count; i++) {
      segment_->exclude_levels[segment_->exclude_count] = segment_->level;
      segment_->excludes[segment_->exclude_count++] = strings_.add(spec_.excludes[i]);
    }
    SharedState& state = this->state();
    const uint32_t first_id = 1 + state.overlay_ids.fetch_add(spec_.overlay_count);
    for (uint32_t i = 0; i < spec_.overlay_count; i++) {
      OverlayConfig* out = &segment_->overlays[segment_->overlay_count];
      out->id = first_id + i;
      TRY(overlay(spec_.overlays[i], out));
      segment_->overlay_count++;
      if (may_be_closed(spec_.overlays[i])) segment_->closed_roots = 1;
    }
    if (strings_.overflowed()) return Error(E2BIG);
    __atomic_store_n(&segment_->magic, kSegmentMagic, __ATOMIC_RELEASE);
    return {};
  }

 private:
  // All that the session around is: its strings keep their places.
  void take_over(const Session& around) {
    const Segment& from = around.segment();
    strings_.copy(reinterpret_cast<const char*>(&from) + from.strings_offset, from.strings_size);
    segment_->overlay_count = from.overlay_count;
    segment_->layer_count = from.layer_count;
    segment_->given_count = from.given_count;
    segment_->mount_count = from.mount_count;
    segment_->exclude_count = from.exclude_count;
    segment_->level = from.level + 1;
    segment_->closed_roots = from.closed_roots;
    segment_->any_volatile = from.any_volatile;
    segment_->watch = from.watch & ~kWatchCount;
    segment_->trace_path = from.trace_path;
    memcpy(segment_->overlays, from.overlays, sizeof from.overlays);
    memcpy(segment_->layers, from.layers, sizeof from.layers);
    memcpy(segment_->given, from.given, sizeof from.given);
    memcpy(segment_->mounts, from.mounts, sizeof from.mounts);
    memcpy(segment_->excludes, from.excludes, sizeof from.excludes);
    memcpy(segment_->exclude_levels, from.exclude_levels, sizeof from.exclude_levels);
    const bool outermost = from.outermost.size == 0;
    segment_->outermost = outermost ? strings_.add(around.path()) : from.outermost;
    segment_->state_offset = from.state_offset;
  }

  // In an upper of the session around that is.
  bool lies_in_volatile(CStr upper) const {
    const Overlay* around =
        spec_.around == nullptr || upper.empty() ? nullptr : spec_.around->upper_with(upper);
    return around != nullptr && around->is_volatile;
  }

  SharedState& state() {
    if (spec_.around != nullptr) return spec_.around->state();
    return *reinterpret_cast<SharedState*>(reinterpret_cast<char*>(segment_) +
                                           segment_->state_offset);
  }

  Result<void> overlay(const OverlaySpec& spec, OverlayConfig* out) {
    const uint64_t shown =
        spec.shown_dev != 0 ? spec.shown_dev : TRY(device_of(spec.lowers[0].root));
    FileSystems file_systems(shown);
    out->at = strings_.add(spec.at);
    out->upper = strings_.add(spec.upper);
    out->work = strings_.add(spec.work);
    out->first_layer = segment_->layer_count;
    out->lower_count = spec.lower_count;
    out->data_count = spec.data_count;
    out->shown_dev = shown;
    out->level = segment_->level;
    out->redirect_dir = spec.redirect_dir;
    out->metacopy = spec.metacopy;
    out->perm = spec.perm;
    out->can_whiteout_device = spec.can_whiteout_device;
    // What an inner overlay has below it are several real objects, of several file systems.
    out->index = spec.index && !spec.upper.empty() && !spec.work.empty() && segment_->level == 0;
    if (out->index && has_entries(spec.work, "index")) state().index_used.store(1);
    out->is_volatile = (spec.is_volatile || lies_in_volatile(spec.upper)) && !spec.upper.empty();
    if (out->is_volatile) segment_->any_volatile = 1;
    out->errors_before = state().errors[out->id % kErrorSequences].peek();
    // Those below user.overlay. have left their mark.
    if (spec.format.prefix == XattrPrefix::kTrusted ||
        (!spec.work.empty() && has_entries(spec.work, "work/incompat")))
      state().metacopies.store(1);
    out->given_upper = strings_.add(spec.given_upper);
    out->given_work = strings_.add(spec.given_work);
    out->first_given = segment_->given_count;
    out->given_count = spec.given_count;
    for (uint32_t k = 0; k < spec.given_count; k++)
      segment_->given[segment_->given_count++] = strings_.add(spec.given[k]);

    LayerConfig* upper = next_layer();
    upper->root = out->upper;
    upper->format = spec.format;
    if (!spec.upper.empty()) {
      upper->dev = TRY(device_of(spec.upper));
      upper->fs_index = file_systems.index_of(upper->dev);
      upper->has_format = 1;
      out->beside = can_stand_beside(spec, upper->uuid);
      if (out->beside && has_entries(spec.work, "ovlrun/beside")) state().beside_used.store(1);
    }
    TRY(lowers(spec.lowers, spec.lower_count, spec.data_count == 0, file_systems));
    TRY(data_layers(spec.data, spec.data_count));
    for (uint32_t k = 0; k < spec.mount_count; k++) {
      MountConfig& mount = segment_->mounts[segment_->mount_count++];
      mount.at = strings_.add(spec.mounts[k].at);
      mount.overlay = segment_->overlay_count;
      mount.first_layer = segment_->layer_count;
      mount.lower_count = spec.mounts[k].lower_count;
      TRY(lowers(spec.mounts[k].lowers, mount.lower_count, true, file_systems));
    }
    return {};
  }

  Result<void> data_layers(const LowerSpec* specs, uint32_t count) {
    for (uint32_t k = 0; k < count; k++) {
      LayerConfig* layer = next_layer();
      layer->root = strings_.add(specs[k].root);
      layer->format = specs[k].format;
      layer->dev = TRY(device_of(specs[k].root));
    }
    return {};
  }

  // `lowest`: nothing lies below them.
  Result<void> lowers(const LowerSpec* specs, uint32_t count, bool lowest,
                      FileSystems& file_systems) {
    for (uint32_t k = 0; k < count; k++) {
      LayerConfig* lower = next_layer();
      lower->root = strings_.add(specs[k].root);
      lower->format = specs[k].format;
      lower->dev = TRY(device_of(specs[k].root));
      lower->fs_index = file_systems.index_of(lower->dev);
      identify(segment_->level == 0 ? segment_->overlays[segment_->overlay_count].index : 0, lower);
      if (specs[k].of != nullptr) {
        lower->source = spec_.around->index_of(*specs[k].of->source);
        lower->has_format = specs[k].of->has_format;
      } else {
        const bool bottom = lowest && k + 1 == count;
        lower->has_format =
            specs[k].has_format || !bottom || looks_like_an_upper(specs[k].root, lower->format);
      }
    }
    return {};
  }

  // What stands in origins of copies from this lower; and can an index tell its objects from those
  // of other lowers? Kernel counterpart: ovl_get_fsid(), ovl_lower_fs().
  void identify(uint8_t index, LayerConfig* lower) {
    const CStr root = segment_->str(lower->root);
    struct statfs fs;
    lower->is_erofs = sys_statfs(root, &fs).ok() && fs.f_type == EROFS_SUPER_MAGIC_V1 ? 1 : 0;
    if (const Result<UniqueFd> fd = sys_openat(root, O_RDONLY | O_DIRECTORY); fd.ok())
      ignore(sys_fs_uuid(fd.value().get(), lower->uuid));
    if (index == 0) return;
    KernelHandle handle;
    lower->indexed = sys_handle(At(root), &handle).ok() ? 1 : 0;
    const uint32_t first = segment_->overlays[segment_->overlay_count].first_layer + 1;
    for (LayerConfig* other = &segment_->layers[first]; other < lower; other++)
      if (other->dev != lower->dev && memcmp(other->uuid, lower->uuid, sizeof lower->uuid) == 0)
        lower->indexed = other->indexed = 0;
  }

  LayerConfig* next_layer() {
    LayerConfig* layer = &segment_->layers[segment_->layer_count];
    layer->source = segment_->layer_count++;
    return layer;
  }

  Segment* const segment_;
  const SessionSpec& spec_;
  Strings strings_;
};

// Is there room for it all?
bool fits(const SessionSpec& spec) {
  uint32_t overlays = spec.overlay_count, layers = 0, given = 0, mounts = 0;
  uint32_t excludes = spec.exclude_count, level = 0;
  for (uint32_t i = 0; i < spec.overlay_count; i++) {
    const OverlaySpec& overlay = spec.overlays[i];
    layers += overlay.lower_count + overlay.data_count + 1;
    given += overlay.given_count;
    mounts += overlay.mount_count;
    for (uint32_t k = 0; k < overlay.mount_count; k++) layers += overlay.mounts[k].lower_count;
  }
  if (spec.around != nullptr) {
    const Segment& around = spec.around->segment();
    overlays += around.overlay_count;
    layers += around.layer_count;
    given += around.given_count;
    mounts += around.mount_count;
    excludes += around.exclude_count;
    level = around.level + 1;
  }
  return overlays <= kMaxOverlays && layers <= kMaxLayers && given <= kMaxLayers &&
         mounts <= kMaxMounts && excludes <= kMaxExcludes && level < kMaxNesting;
}

Result<void> write_at(int fd, const Segment& segment, size_t offset, size_t size) {
  const char* const from = reinterpret_cast<const char*>(&segment) + offset;
  for (size_t done = 0; done < size;)
    done += TRY(sys_pwrite(fd, from + done, size - done, static_cast<off_t>(offset + done)));
  return {};
}

// What is not zero of a segment that the Filler has filled.
Result<void> write_parts(int fd, const Segment& segment) {
  TRY(sys_ftruncate(fd, static_cast<off_t>(segment.size)));
  TRY(write_at(fd, segment, 0, segment.strings_offset + segment.strings_size));
  if (segment.outermost.size != 0) return {};  // the state is another file's
  constexpr size_t kFirst = offsetof(SharedState, overlay_ids);
  constexpr size_t kEnd = offsetof(SharedState, beside_used) + sizeof SharedState::beside_used;
  return write_at(fd, segment, segment.state_offset + kFirst, kEnd - kFirst);
}

}  // namespace

Result<void> write_segment(CStr path, const SessionSpec& spec) {
  if (!fits(spec)) return Error(E2BIG);
  const size_t strings_size = strings_needed(spec);
  const size_t known_offset = (sizeof(Segment) + strings_size + kLine - 1) & ~(kLine - 1);
  const size_t own_size =
      (known_offset + kKnownDirectories * sizeof(KnownDirectory) + kPage - 1) & ~(kPage - 1);
  const size_t size = spec.around == nullptr ? own_size + sizeof(SharedState) : own_size;

  ignore(sys_unlink(path));  // an old one: processes that still map it keep theirs
  UniqueFd fd = TRY(sys_openat(path, O_RDWR | O_CREAT | O_EXCL, 0600));
  // Not in a mapping of the file: there each page that is written costs the file system a fault.
  const long p =
      raw_call(SYS_mmap, nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (p < 0 && p > -4096) return Error(static_cast<int>(-p));
  auto* const segment = reinterpret_cast<Segment*>(p);
  Result<void> done =
      Filler(segment, spec, strings_size).run(size, strings_size, known_offset, own_size);
  if (done.ok()) done = write_parts(fd.get(), *segment);
  raw_call(SYS_munmap, p, size);
  if (!done.ok()) ignore(sys_unlink(path));
  return done;
}

}  // namespace ovl
