// What an object of the upper has to do with the lowers: does what it refers to exist there, as it
// was?
#include <linux/fsverity.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include <algorithm>

#include "core/copy_up/data.h"
#include "core/walk/index.h"
#include "launcher/upper/check_state.h"

namespace ovl {
namespace {

// The kernel's struct ovl_metacopy: version, length, flags, algorithm of the digest; digest.
constexpr size_t kDigestAt = 4, kDigestAlgorithmAt = 3;

// Is the digest that fs-verity has of the data another one than the metacopy tells? Where either
// has none, nothing is known.
bool has_other_digest(const std::string& metacopy, CStr data) {
  if (metacopy.size() <= kDigestAt) return false;
  const Result<UniqueFd> file = open_lower(data);
  if (!file.ok()) return false;
  constexpr size_t kDigestMost = 64;
  alignas(struct fsverity_digest) char buffer[sizeof(struct fsverity_digest) + kDigestMost] = {};
  auto* measured = reinterpret_cast<struct fsverity_digest*>(buffer);
  measured->digest_size = kDigestMost;
  if (ioctl(file.value().get(), FS_IOC_MEASURE_VERITY, measured) != 0) return false;
  const std::string_view there(reinterpret_cast<const char*>(measured->digest),
                               measured->digest_size);
  return measured->digest_algorithm != static_cast<unsigned char>(metacopy[kDigestAlgorithmAt]) ||
         metacopy.substr(kDigestAt) != there;
}

// Does the origin name another file than the one that was found?
bool is_other_file(const CheckState& state, const FileHandle& origin, const LowerRef& lower) {
  StatX st;
  if (state.below == Below::kPerhapsOthers || !sys_lstat(lower.path, &st).ok()) return false;
  // Of another file system nothing is known; a lower may have been copied.
  if (memcmp(origin.uuid, lower.layer->uuid, sizeof origin.uuid) != 0 || inode_of(origin) == 0)
    return false;
  return !is_object_of(state.overlay(), origin, lower, st);
}

void check_metacopy(CheckState& state, const Seen& seen, const Marks& marks, const Node& node) {
  const CStr data = node.data();
  StatX st;
  if (!sys_lstat(data, &st).ok()) return;
  if (st.stx_size != node.real.stx_size)
    state.add({FindingKind::kOtherSize, seen.path,
               fmt::format("{} bytes instead of {} in {}", st.stx_size, node.real.stx_size,
                           quote(text_of(data)))});
  else if (marks.origin_handle && !marks.has.has(Priv::kNlink) &&
           is_other_file(state, *marks.origin_handle, node.lowers[0]))
    state.add({FindingKind::kOtherOrigin, seen.path, quote(text_of(node.lowers[0].path))});
  else if (has_other_digest(marks.metacopy, data))
    state.add({FindingKind::kOtherDigest, seen.path, quote(text_of(data))});
}

// The path in the lowers, in words.
std::string told_place(const Seen& seen, const Marks& marks) {
  return quote(marks.redirect.empty() ? seen.path : marks.redirect);
}

}  // namespace

bool refers_to_lower(const Marks& marks) {
  return marks.has.has(Priv::kMetacopy) || marks.has.has(Priv::kRedirect) ||
         marks.has.has(Priv::kNlink);
}

void check_directory(CheckState& state, const Seen& seen, const Marks& marks, const Node* node) {
  if (!marks.has.has(Priv::kRedirect)) return;
  state.refers(seen.path);
  if (marks.damaged) return;
  if (marks.ends_below())
    state.add({FindingKind::kEndedRedirect, seen.path, quote(marks.redirect), seen.real,
               Priv::kRedirect});
  else if (node != nullptr && node->lower_count == 0)
    state.add({FindingKind::kLostDirectory, seen.path, quote(marks.redirect)});
}

void check_file(CheckState& state, const Seen& seen, const Marks& marks, const Node* node,
                int error) {
  const bool metacopy = S_ISREG(seen.st.stx_mode) && marks.has.has(Priv::kMetacopy);
  if (metacopy || marks.has.has(Priv::kRedirect)) state.refers(seen.path);
  if (marks.damaged) return;
  if (node == nullptr) {
    if (error == EACCES || error == ENOENT)
      state.unchecked(seen.path, error);
    else if (metacopy && error == EIO)
      state.add({FindingKind::kLostData, seen.path, told_place(seen, marks)});
    else
      state.add({FindingKind::kNotFound, seen.path, error_text(error)});
    return;
  }
  if (metacopy && node->lower_count != 0) check_metacopy(state, seen, marks, *node);
  if (!marks.has.has(Priv::kNlink)) return;
  NamedInode& inode = state.inodes[key_of(seen.st)];
  StatX lower;
  if (node->lower_count != 0 && sys_lstat(node->lowers[0].path, &lower).ok())
    inode.lower_nlink = lower.stx_nlink;
}

}  // namespace ovl
