// See identity.h.
#include "launcher/session/identity.h"

#include <fmt/format.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/statfs.h>

#include <algorithm>
#include <filesystem>

#include "core/format/format.h"
#include "core/sys/file_handle.h"
#include "launcher/failure.h"
#include "launcher/session/existing.h"

namespace ovl {
namespace {

// The form of the text: what is told in different forms can't be compared.
constexpr char kByHandle = 'h', kByInode = 'i';
constexpr size_t kUuidDigits = 32;

std::string hex(const void* bytes, size_t size) {
  std::string text(2 * size, 0);
  encode_index_name(bytes, size, text.data());
  return text;
}

bool is_unknown_uuid(const std::string& identity) {
  return identity.find_first_not_of('0', 1) >= 1 + kUuidDigits;
}

}  // namespace

std::string root_identity(const std::string& dir, bool inner) {
  const CStr path(dir.c_str(), dir.size());
  struct statfs fs;
  // Its handles and inode numbers need not outlive the mount.
  if (statfs(dir.c_str(), &fs) != 0 || fs.f_type == FUSE_SUPER_MAGIC) return "";
  KernelHandle handle;
  if (!inner && sys_handle(At(path), &handle).ok()) {
    uint8_t uuid[kUuidDigits / 2] = {};
    if (const Result<UniqueFd> fd = sys_openat(path, O_RDONLY | O_DIRECTORY); fd.ok())
      ignore(sys_fs_uuid(fd.value().get(), uuid));
    return fmt::format("{}{}-{:x}-{}", kByHandle, hex(uuid, sizeof uuid), handle.type,
                       hex(handle.data, handle.bytes));
  }
  // A mount of the kernel's overlayfs may number its directories anew.
  struct stat st;
  if (fs.f_type == OVERLAYFS_SUPER_MAGIC || stat(dir.c_str(), &st) != 0) return "";
  return fmt::format("{}{:x}-{:x}", kByInode, static_cast<uint64_t>(fs.f_type), st.st_ino);
}

bool may_be_same_root(const std::string& a, const std::string& b) {
  if (a.empty() || b.empty() || a[0] != b[0]) return true;
  // Kernels before 6.9 tell no UUID.
  const bool by_rest = a[0] == kByHandle && (is_unknown_uuid(a) || is_unknown_uuid(b));
  const size_t start = by_rest ? std::min({1 + kUuidDigits, a.size(), b.size()}) : 0;
  return a.substr(start) == b.substr(start);
}

std::string other_layers(const PlannedOverlay& overlay, const RecordedConfig& recorded) {
  const std::string upper = quote(overlay.upper);
  constexpr const char kAdvice[] =
      "what it has of the lower may not fit; another --upper starts afresh";
  if (recorded.roots.size() == recorded.lowers.size() &&
      overlay.lowers.size() != recorded.lowers.size())
    return fmt::format("--upper {}: was made over {} lowers, not {}: {}", upper,
                       recorded.lowers.size(), overlay.lowers.size(), kAdvice);
  for (size_t i = 0; i < std::min(overlay.roots.size(), recorded.roots.size()); i++)
    if (!may_be_same_root(overlay.roots[i], recorded.roots[i]))
      return fmt::format("--upper {}: was made over another lower than {}: {}", upper,
                         quote(overlay.lowers[i]), kAdvice);
  // A copy of both at the same place fits.
  std::error_code error;
  const bool other_place =
      overlay.upper != recorded.upper || std::filesystem::is_empty(overlay.upper, error);
  if (other_place && has_index(overlay.work) &&
      !may_be_same_root(overlay.upper_root, recorded.upper_root))
    return fmt::format(
        "--work {}: its index of hard links was made for another upper than {}: what that one "
        "changed may be seen; another --work starts afresh",
        quote(overlay.work), upper);
  return "";
}

}  // namespace ovl
