// getdents64(2), getdents(2). The position in a merged listing is kept in the real descriptor's own
// offset: it is right after dup and fork and in every process that holds the descriptor, and
// lseek(2) on it means what it should. Kernel counterpart: ovl_iterate().
#include <limits.h>

#include "core/ops/ops.h"
#include "core/readdir/cache.h"
#include "core/readdir/position.h"
#include "core/readdir/stream.h"
#include "core/session/lock.h"
#include "core/walk/walk.h"

namespace ovl {
namespace {

constexpr size_t kChunk = 32 * 1024;

enum class Form : uint8_t { k64, kOld };

// The next chunk of a merged directory.
Result<size_t> read_merged(Op& op, const Node& dir, int fd, uint64_t position, char* out,
                           size_t room, uint64_t* next) {
  StatX real;
  TRY(sys_fstat(fd, &real));
  MergedListing listing;
  // At the beginning programs want what there is now.
  const bool kept =
      position != 0 && take_listing(listing_key(op.caller(), dir, real, position), dir, &listing);
  if (!kept) TRY(listing.load(op, dir));
  const size_t size = TRY(fill_from_listing(listing, position, out, room, next));
  if (*next != kEndPosition) keep_listing(listing_key(op.caller(), dir, real, *next), &listing);
  return size;
}

// Is the descriptor in the middle of a lower directory that was not merged when that began, and is
// now?
bool goes_on_in_lower(const FdNode& fd, uint64_t position) {
  return fd.on_lower && fd.node->in_upper() && fd.node->lower_count == 1 && position != 0 &&
         !is_listing_position(position);
}

// *begun: where the descriptor stood, once something may have been read.
Outcome read_directory(Op& op, int fd, UserBuf to, unsigned count, Form form,
                       Result<off_t>* begun) {
  const FdNode found = TRY(node_of_fd(op, fd));
  if (found.detached) {
    // Removed for programs, though the lower's still stands there.
    BorrowedFd removed = TRY(op.caller().borrow(fd));
    StatX st;
    TRY(sys_fstat(removed.get(), &st));
    if (S_ISDIR(st.stx_mode)) return Error(ENOENT);
    return Outcome::native();
  }
  if (found.node == nullptr || found.node->outside() || !found.node->is_dir())
    return Outcome::native();
  const Node& dir = *found.node;
  if (reads_natively(dir)) return Outcome::native();

  BorrowedFd borrowed = TRY(op.caller().borrow(fd));
  *begun = sys_lseek(borrowed.get(), 0, SEEK_CUR);
  auto position = static_cast<uint64_t>(TRY(*begun));
  const bool compat = op.caller().is_compat();
  if (compat) position = long_position(position);
  const bool in_lower = goes_on_in_lower(found, position);
  // Removing names while reading them is what rm does; those that are removed already were mostly
  // told before.
  if (in_lower && is_plain(dir, dir.lowers[0])) return Outcome::native();
  const bool one_layer = in_lower || single_layer(dir);
  if (!one_layer && position >= kEndPosition) return 0;
  if (count > INT_MAX) return Error(EINVAL);
  const size_t room = count < kChunk ? count : kChunk;
  char* chunk = op.arena().array<char>(kChunk);
  if (chunk == nullptr) return Error(ENOMEM);

  uint64_t next = 0;
  const size_t size =
      one_layer ? TRY(fill_from_layer(op, dir, in_lower ? 1 : 0, borrowed.get(), chunk, room))
                : TRY(read_merged(op, dir, borrowed.get(), position, chunk, room, &next));
  if (compat && !one_layer) to_short_positions(chunk, size);
  if (form == Form::kOld) to_old_form(chunk, size);
  Result<void> copied = op.caller().copy_out(to, chunk, size);
  if (!copied.ok() && one_layer)
    TRY(sys_lseek(borrowed.get(), static_cast<off_t>(position), SEEK_SET));
  if (!copied.ok()) return Error(copied.error());
  if (!one_layer) TRY(sys_lseek(borrowed.get(), static_cast<off_t>(next), SEEK_SET));
  return static_cast<long>(size);
}

// Once more with everything held still where a directory has moved or gone meanwhile: it may have
// been looked for where it was, or was not yet.
Outcome read_still(Op& op, int fd, UserBuf to, unsigned count, Form form) {
  const std::atomic<uint64_t>& epoch = op.session().state().epoch;
  const uint64_t before = epoch.load(std::memory_order_acquire);
  Result<off_t> begun = Error(EBADF);
  const Outcome outcome = read_directory(op, fd, to, count, form, &begun);
  if ((before & 1) == 0 && epoch.load(std::memory_order_acquire) == before) return outcome;
  const Mutation hold(op.session(), Mutation::Topology::kShared);
  if (begun.ok()) {
    const BorrowedFd directory = TRY(op.caller().borrow(fd));
    TRY(sys_lseek(directory.get(), begun.value(), SEEK_SET));
  }
  return read_directory(op, fd, to, count, form, &begun);
}

}  // namespace

Outcome op_getdents64(Op& op, unsigned fd, UserBuf to, unsigned count) {
  return read_still(op, static_cast<int>(fd), to, count, Form::k64);
}

Outcome op_getdents(Op& op, unsigned fd, UserBuf to, unsigned count) {
  return read_still(op, static_cast<int>(fd), to, count, Form::kOld);
}

}  // namespace ovl
