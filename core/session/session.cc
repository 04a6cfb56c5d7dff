// See session.h. What is hot here is what each program's start runs: it stands together, in pages
// that are mapped at once.
#include "core/session/session.h"

#include <fcntl.h>
#include <sys/mman.h>

#include <new>

#include "core/sys/sys.h"

namespace ovl {

namespace {

// A session file, or a part of one, as it is in memory.
struct Mapped {
  void* address;
  uint64_t size;
};

// `size` 0: all of the file.
[[gnu::hot]] Result<Mapped> map_file(CStr path, uint64_t offset, uint64_t size, bool* shared) {
  const auto open_file = [&](int flags) {
    return raw_call(SYS_openat, AT_FDCWD, path.c_str(), flags | O_CLOEXEC, 0);
  };
  long opened = open_file(O_RDWR);
  // A program's own seccomp filter may forbid to open anything for writing (man-db's formatters);
  // then no change gets past that filter either, and a private view of the segment, in which
  // nothing is counted or remembered, is enough.
  if (opened < 0) {
    *shared = false;
    opened = open_file(O_RDONLY);
  }
  const UniqueFd fd(static_cast<int>(TRY(checked(opened))));
  const auto file_size =
      static_cast<uint64_t>(TRY(checked(raw_call(SYS_lseek, fd.get(), 0, SEEK_END))));
  if (size == 0) size = file_size;
  if (size < sizeof(Segment) || file_size < offset || file_size - offset < size)
    return Error(EINVAL);
  const long p = raw_call(SYS_mmap, nullptr, size, PROT_READ | PROT_WRITE,
                          *shared ? MAP_SHARED : MAP_PRIVATE, fd.get(), offset);
  if (p < 0 && p > -4096) return Error(static_cast<int>(-p));
  // Most of it is never touched: whoever touches a page shall not wait for its neighbours to be
  // read.
  raw_call(SYS_madvise, p, size, MADV_RANDOM);
  return Mapped{reinterpret_cast<void*>(p), size};  // NOLINT(performance-no-int-to-ptr)
}

Result<void> check(const Segment& segment, uint64_t size) {
  if (segment.magic != kSegmentMagic) return Error(EINVAL);
  if (segment.version != kSegmentVersion) return Error(EPROTO);
  const bool alone = segment.outermost.size == 0;
  if (segment.size != size || (alone && segment.state_offset + sizeof(SharedState) > size))
    return Error(EINVAL);
  constexpr uint64_t kKnownSize = sizeof(KnownDirectory) * kKnownDirectories;
  if (segment.known_offset > size || size - segment.known_offset < kKnownSize) return Error(EINVAL);
  return {};
}

Result<SharedState*> map_state(Segment* segment, bool* shared) {
  if (segment->outermost.size == 0)
    return reinterpret_cast<SharedState*>(reinterpret_cast<char*>(segment) + segment->state_offset);
  const Mapped state = TRY(map_file(segment->str(segment->outermost), segment->state_offset,
                                    sizeof(SharedState), shared));
  return static_cast<SharedState*>(state.address);
}

}  // namespace

[[gnu::hot]] Result<void> Session::attach(CStr path) {
  if (path.size() >= sizeof path_bytes_) return Error(ENAMETOOLONG);
  bool shared = true;
  const Mapped mapped = TRY(map_file(path, 0, 0, &shared));
  auto* segment = static_cast<Segment*>(mapped.address);
  Result<void> good = check(*segment, mapped.size);
  Result<SharedState*> state = good.ok() ? map_state(segment, &shared) : Error(good.error());
  if (!state.ok()) {
    raw_call(SYS_munmap, mapped.address, mapped.size);
    return Error(state.error());
  }
  memcpy(path_bytes_, path.c_str(), path.size() + 1);
  path_ = CStr(path_bytes_, path.size());
  decode(*segment);
  shared_ = shared;
  state_ = state.value();
  __atomic_store_n(&segment_, segment, __ATOMIC_RELEASE);
  return {};
}

Session::~Session() {
  if (segment_ == nullptr) return;
  if (segment_->outermost.size != 0) raw_call(SYS_munmap, state_, sizeof(SharedState));
  raw_call(SYS_munmap, segment_, segment_->size);
}

[[gnu::hot]] void Session::decode(const Segment& segment) {
  for (uint32_t k = 0; k < segment.layer_count; k++) {
    const LayerConfig& l = segment.layers[k];
    new (&layers_[k])
        Layer{segment.str(l.root), l.dev,   l.fs_index,     l.has_format != 0, false,  l.format,
              &layers_[l.source],  nullptr, l.indexed != 0, l.is_erofs != 0,   l.uuid, false};
  }
  uint32_t lowers = 0, next_mount = 0;
  for (uint32_t i = 0; i < segment.overlay_count; i++) {
    const OverlayConfig& c = segment.overlays[i];
    Layer* const upper = &layers_[c.first_layer];
    upper->is_upper = true;
    for (uint32_t k = 0; k <= c.lower_count + c.data_count; k++) {
      if (upper[k].source == &upper[k]) upper[k].writer = &overlays_[i];
      upper[k].data_only = k > c.lower_count;
    }
    lowers += c.lower_count + c.data_count;
    // They stand in the order of their overlays.
    const uint32_t first_mount = next_mount;
    while (next_mount < segment.mount_count && segment.mounts[next_mount].overlay == i)
      lowers += segment.mounts[next_mount++].lower_count;
    new (&overlays_[i]) Overlay{i,
                                c.id,
                                segment.str(c.at),
                                segment.str(c.upper),
                                segment.str(c.work),
                                c.upper.size != 0 ? upper : nullptr,
                                upper + 1,
                                c.lower_count,
                                c.data_count,
                                c.shown_dev,
                                c.redirect_dir,
                                c.metacopy != 0,
                                upper->format,
                                c.perm,
                                c.can_whiteout_device != 0,
                                c.index != 0,
                                c.beside != 0,
                                c.is_volatile != 0,
                                c.errors_before,
                                c.level,
                                c.level == 0 ? c.lower_count + c.data_count : lowers,
                                c.given_count,
                                next_mount - first_mount};
  }
  for (uint32_t k = 0; k < segment.layer_count; k++) layers_[k].writer = layers_[k].source->writer;
  overlay_count_ = segment.overlay_count;
  level_ = segment.level;
}

const Overlay* Session::rooted_at(Str virt) const {
  for (uint32_t i = 0; i < overlay_count_; i++)
    if (overlays_[i].at == virt) return level_ == 0 ? &overlays_[i] : inner_rooted_at(virt);
  return nullptr;
}

bool Session::leads_to_overlay(Str virt) const {
  for (uint32_t i = 0; i < overlay_count_; i++)
    if (overlays_[i].at.size() > virt.size() && is_below_or_same(overlays_[i].at, virt))
      return true;
  return false;
}

const Overlay* Session::inner_rooted_at(Str virt) const {
  const Overlay* overlay = containing(virt);
  return overlay != nullptr && overlay->at == virt ? overlay : nullptr;
}

const Overlay* Session::containing_at(Str virt, uint32_t level) const {
  const Overlay* best = nullptr;
  for (uint32_t i = 0; i < overlay_count_; i++)
    if (overlays_[i].level == level && is_below_or_same(virt, overlays_[i].at) &&
        (best == nullptr || overlays_[i].at.size() > best->at.size()))
      best = &overlays_[i];
  if (best == nullptr) return nullptr;
  for (uint32_t i = 0; i < exclude_count(); i++) {
    CStr e = exclude(i);
    // An exclude counts for the overlay around it, not for one mounted below it.
    if (segment_->exclude_levels[i] == level && e.size() >= best->at.size() &&
        is_below_or_same(virt, e))
      return nullptr;
  }
  return best;
}

const Overlay* Session::containing(Str virt, uint32_t level) const {
  for (;; level--) {
    const Overlay* overlay = containing_at(virt, level);
    if (overlay != nullptr || level == 0) return overlay;
  }
}

bool Session::in_some_layer(Str real) const {
  for (uint32_t i = 0; i < segment_->layer_count; i++)
    if (!layers_[i].root.empty() && is_below_or_same(real, layers_[i].root)) return true;
  return workdir_with(real) != nullptr;
}

namespace {

// The overlay of an upper with the longest such path that this one is below, or is.
const Overlay* innermost(const Session& session, CStr Overlay::*directory, Str real) {
  const Overlay* best = nullptr;
  for (uint32_t i = 0; i < session.overlay_count(); i++) {
    const Overlay& overlay = session.overlay(i);
    if (overlay.upper_layer != nullptr && is_below_or_same(real, overlay.*directory) &&
        (best == nullptr || (overlay.*directory).size() > (best->*directory).size()))
      best = &overlay;
  }
  return best;
}

}  // namespace

const Overlay* Session::upper_with(Str real) const {
  return innermost(*this, &Overlay::upper, real);
}

const Overlay* Session::workdir_with(Str real) const {
  return innermost(*this, &Overlay::work, real);
}

CStr Session::given_upper(const Overlay& overlay) const {
  return segment_->str(segment_->overlays[overlay.index].given_upper);
}
CStr Session::given_work(const Overlay& overlay) const {
  return segment_->str(segment_->overlays[overlay.index].given_work);
}
CStr Session::given_lower(const Overlay& overlay, uint32_t i) const {
  return segment_->str(segment_->given[segment_->overlays[overlay.index].first_given + i]);
}

bool Session::mount_at(const Overlay& overlay, Str virt, Mount* out) const {
  if (overlay.mount_count == 0) return false;
  for (uint32_t i = 0; i < segment_->mount_count; i++) {
    const MountConfig& m = segment_->mounts[i];
    if (m.overlay != overlay.index || segment_->str(m.at) != virt) continue;
    *out = Mount{&layers_[m.first_layer], m.lower_count};
    return true;
  }
  return false;
}

}  // namespace ovl
