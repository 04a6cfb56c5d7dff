// msync(2), where an upper is volatile: what is mapped of it is not written. The list of mappings
// tells what there is. Kernel counterpart: mm/msync.c.
#include <sys/mman.h>

#include "core/ops/mapping_lines.h"
#include "core/ops/ops.h"
#include "core/ops/sync.h"
#include "core/walk/walk.h"

namespace ovl {
namespace {

constexpr uintptr_t kPage = 4096;
constexpr int kFlags = MS_ASYNC | MS_INVALIDATE | MS_SYNC;

class Range final : public MappingVisitor {
 public:
  Range(Op& op, uintptr_t from, uintptr_t to) : op_(op), at_(from), to_(to) {}

  bool see(const MappingLine& mapping) override {
    if (mapping.to <= at_) return true;
    if (mapping.from >= to_) return false;
    if (mapping.from > at_) has_gap_ = true;
    at_ = mapping.to;
    if (mapping.shared && !mapping.path.empty() && !is_volatile(mapping.path)) others_ = true;
    return at_ < to_;
  }
  // Is there something else than what is volatile?
  bool has_others() const { return others_; }
  Result<void> result() const {
    if (has_gap_ || at_ < to_) return Error(ENOMEM);
    return error_ == 0 ? Result<void>() : Result<void>(Error(error_));
  }

 private:
  bool is_volatile(Str path) {
    // Names with odd bytes are written in another way: those are synced.
    if (path.find('\\') != SIZE_MAX) return false;
    const CStr real = op_.arena().dup(path);
    if (real.data() == nullptr || !op_.session().in_some_layer(real)) return false;
    const Result<CStr> virt = map_back(op_, real);
    if (!virt.ok()) return false;
    const Overlay* overlay = op_.session().containing(virt.value());
    if (overlay == nullptr || !overlay->is_volatile) return false;
    const Result<void> status = volatile_status(op_, *overlay);
    if (!status.ok()) error_ = status.error();
    return true;
  }

  Op& op_;
  uintptr_t at_;
  const uintptr_t to_;
  bool has_gap_ = false, others_ = false;
  int error_ = 0;
};

}  // namespace

Outcome op_msync(Op& op, UserBuf start, size_t length, int flags) {
  if (op.session().segment().any_volatile == 0 || (flags & MS_SYNC) == 0) return Outcome::native();
  const uintptr_t from = start.address();
  const uintptr_t to = from + ((length + kPage - 1) & ~(kPage - 1));
  // What the kernel refuses, or has nothing to do for.
  if ((flags & ~kFlags) != 0 || (flags & MS_ASYNC) != 0 || from % kPage != 0 || to <= from)
    return Outcome::native();
  Range range(op, from, to);
  if (!see_mappings(op, range).ok() || range.has_others()) return Outcome::native();
  return range.result();
}

}  // namespace ovl
