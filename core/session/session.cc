// See session.h.
#include "core/session/session.h"

#include <fcntl.h>
#include <sys/mman.h>

#include "core/sys/sys.h"

namespace ovl {

Result<void> Session::attach(CStr path) {
  if (path.size() >= sizeof path_bytes_) return Error(ENAMETOOLONG);
  Result<UniqueFd> opened = sys_openat(path, O_RDWR);
  // A program's own seccomp filter may forbid to open anything for writing (man-db's formatters);
  // then no change gets past that filter either, and a private view of the segment, in which
  // nothing is counted or remembered, is enough.
  const bool shared = opened.ok();
  if (!shared) opened = sys_openat(path, O_RDONLY);
  UniqueFd fd = TRY(std::move(opened));
  StatX st;
  TRY(sys_fstat(fd.get(), &st));
  if (st.stx_size < sizeof(Segment)) return Error(EINVAL);
  long p = raw_call(SYS_mmap, nullptr, st.stx_size, PROT_READ | PROT_WRITE,
                    shared ? MAP_SHARED : MAP_PRIVATE, fd.get(), 0);
  if (p < 0 && p > -4096) return Error(static_cast<int>(-p));
  auto* segment = reinterpret_cast<Segment*>(p);
  int error = 0;
  if (segment->magic != kSegmentMagic || segment->size != st.stx_size)
    error = EINVAL;
  else if (segment->version != kSegmentVersion)
    error = EPROTO;
  if (error != 0) {
    raw_call(SYS_munmap, p, st.stx_size);
    return Error(error);
  }
  memcpy(path_bytes_, path.c_str(), path.size() + 1);
  path_ = CStr(path_bytes_, path.size());
  for (uint32_t i = 0; i < segment->overlay_count; i++) {
    const OverlayConfig& c = segment->overlays[i];
    const uint32_t layer_count = c.lower_count + 1;
    for (uint32_t k = c.first_layer; k < c.first_layer + layer_count; k++) {
      const LayerConfig& l = segment->layers[k];
      layers_[k] =
          Layer{segment->str(l.root), l.dev, l.fs_index, l.has_format != 0, k == c.first_layer};
    }
    overlays_[i] = Overlay{i,
                           segment->str(c.at),
                           segment->str(c.upper),
                           segment->str(c.work),
                           c.upper.size != 0 ? &layers_[c.first_layer] : nullptr,
                           &layers_[c.first_layer + 1],
                           c.lower_count,
                           c.shown_dev,
                           c.redirect_dir,
                           c.metacopy != 0,
                           c.prefix,
                           c.perm,
                           c.can_whiteout_device != 0};
  }
  overlay_count_ = segment->overlay_count;
  shared_ = shared;
  __atomic_store_n(&segment_, segment, __ATOMIC_RELEASE);
  return {};
}

const Overlay* Session::rooted_at(Str virt) const {
  for (uint32_t i = 0; i < overlay_count_; i++)
    if (overlays_[i].at == virt) return &overlays_[i];
  return nullptr;
}

const Overlay* Session::containing(Str virt) const {
  const Overlay* best = nullptr;
  for (uint32_t i = 0; i < overlay_count_; i++)
    if (is_below_or_same(virt, overlays_[i].at) &&
        (best == nullptr || overlays_[i].at.size() > best->at.size()))
      best = &overlays_[i];
  if (best == nullptr) return nullptr;
  for (uint32_t i = 0; i < exclude_count(); i++) {
    CStr e = exclude(i);
    // An exclude counts for the overlay around it, not for one mounted below it.
    if (e.size() >= best->at.size() && is_below_or_same(virt, e)) return nullptr;
  }
  return best;
}

bool Session::excluded(Str virt) const { return containing(virt) == nullptr; }

}  // namespace ovl
