// See scratch.h.
#include "core/sys/scratch.h"

#include <stdint.h>
#include <sys/mman.h>

#include <atomic>

#include "core/sys/sys.h"

namespace ovl {
namespace {

constexpr int kBlocks = 24;
constexpr size_t kBlockSize = 96 * 1024;  // a walk, two paths, one directory buffer

// Untouched pages cost nothing. Each block begins with a page; but an object that says so would
// move all that stands beside it to another page as well.
constexpr size_t kPage = 4096;
char blocks[kBlocks * kBlockSize + kPage];
char* block(int slot) {
  const size_t begin = (kPage - reinterpret_cast<uintptr_t>(blocks) % kPage) % kPage;
  return blocks + begin + static_cast<size_t>(slot) * kBlockSize;
}

// Near what a process touches at its start (gate.cc); not so the blocks.
#define OVL_NEAR __attribute__((section(".data")))
OVL_NEAR std::atomic<int> owners[kBlocks];  // tid, 0 = free

struct Mapping {
  Mapping* next;
  size_t size;
};
// What each block grew by: a task that died (exec'ed) leaves it to the block's next owner.
OVL_NEAR Mapping* mappings[kBlocks];

void unmap_all(Mapping* m) {
  while (m != nullptr) {
    Mapping* next = m->next;
    raw_call(SYS_munmap, m, m->size);
    m = next;
  }
}

// Has the task ended, or left for memory of its own: a vfork child that has exec'ed, a thread of
// the parent's before a fork?
bool task_is_gone(int tid) {
  constexpr int kMemory = 1;  // KCMP_VM
  return raw_call(SYS_tkill, tid, 0) == -ESRCH ||
         raw_call(SYS_kcmp, sys_getpid(), tid, kMemory, 0, 0) > 0;
}

int claim() {
  const int self = sys_gettid();
  for (int i = 0; i < kBlocks; i++) {
    int free = 0;
    if (owners[i].load(std::memory_order_relaxed) == 0 &&
        owners[i].compare_exchange_strong(free, self, std::memory_order_acquire))
      return i;
  }
  for (int i = 0; i < kBlocks; i++) {
    int owner = owners[i].load(std::memory_order_relaxed);
    if (owner != 0 && owner != self && task_is_gone(owner) &&
        owners[i].compare_exchange_strong(owner, self, std::memory_order_acquire)) {
      unmap_all(mappings[i]);
      mappings[i] = nullptr;
      return i;
    }
  }
  return -1;
}

}  // namespace

Scratch::Scratch()
    : slot_(claim()),
      mapped_(nullptr),
      arena_(slot_ >= 0 ? block(slot_) : nullptr, slot_ >= 0 ? kBlockSize : 0, &Scratch::grow,
             this) {}

Scratch::~Scratch() {
  if (slot_ < 0) {
    unmap_all(static_cast<Mapping*>(mapped_));
    return;
  }
  unmap_all(mappings[slot_]);
  mappings[slot_] = nullptr;
  owners[slot_].store(0, std::memory_order_release);
}

char* Scratch::grow(size_t bytes, void* self) {
  auto* scratch = static_cast<Scratch*>(self);
  size_t size = (bytes + sizeof(Mapping) + 16 + 4095) & ~size_t{4095};
  long p =
      raw_call(SYS_mmap, nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (p < 0 && p > -4096) return nullptr;
  auto* mapping = reinterpret_cast<Mapping*>(p);
  mapping->size = size;
  if (scratch->slot_ < 0) {
    mapping->next = static_cast<Mapping*>(scratch->mapped_);
    scratch->mapped_ = mapping;
  } else {
    mapping->next = mappings[scratch->slot_];
    mappings[scratch->slot_] = mapping;
  }
  return reinterpret_cast<char*>(mapping) + 16;
}

}  // namespace ovl
