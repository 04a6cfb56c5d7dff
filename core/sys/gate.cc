// See gate.h.
#include "core/sys/gate.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

namespace ovl {

// In a page of the object that its own relocations touch in any case.
__attribute__((section(".data"))) uintptr_t gate_shift = 0;

namespace {

constexpr int kFixedNoReplace = 0x100000;  // MAP_FIXED_NOREPLACE
constexpr int kDontUnmap = 4;              // MREMAP_DONTUNMAP

bool map_again() {
  return plain_call(SYS_mremap, ovl_gate_page, kGateSize, kGateSize,
                    MREMAP_MAYMOVE | MREMAP_FIXED | kDontUnmap,
                    kGateAddress) == static_cast<long>(kGateAddress);
}

bool map_copy() {
  if (plain_call(SYS_mprotect, kGateAddress, kGateSize, PROT_READ | PROT_WRITE) != 0) return false;
  // NOLINTNEXTLINE(performance-no-int-to-ptr)
  memcpy(reinterpret_cast<void*>(kGateAddress), ovl_gate_page, kGateSize);
  return plain_call(SYS_mprotect, kGateAddress, kGateSize, PROT_READ | PROT_EXEC) == 0;
}

}  // namespace

[[gnu::hot]] bool fix_gate() {
  if (gate_shift != 0) return true;
  constexpr long kWanted = static_cast<long>(kGateAddress);
  // Kernels before 4.17 take the address as a hint.
  const long free = plain_call(SYS_mmap, kWanted, kGateSize, PROT_NONE,
                               MAP_PRIVATE | MAP_ANONYMOUS | kFixedNoReplace, -1, 0);
  if (free < 0 && free > -4096) return false;
  if (free != kWanted) {
    plain_call(SYS_munmap, free, kGateSize);
    return false;
  }
  // Mapped twice since Linux 5.13; before, a copy. (A move would take the page from below the very
  // call that moves it.)
  if (!map_again() && !map_copy()) {
    plain_call(SYS_munmap, kWanted, kGateSize);
    return false;
  }
  gate_shift = kGateAddress - reinterpret_cast<uintptr_t>(ovl_gate_page);
  return true;
}

}  // namespace ovl
