// The on-disk format: names of private xattrs and the codecs of their values. Pure: no system
// calls, a fuzz target for each decoder. Kernel counterpart:
// fs/overlayfs/{overlayfs.h,xattrs.c,util.c,copy_up.c}; for override_stat containers/storage and
// fuse-overlayfs. No literal xattr name stands anywhere else (tests/lint).
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/base/arena.h"
#include "core/base/result.h"
#include "core/base/str.h"
#include "core/format/xattr_format.h"

namespace ovl {

enum class Priv : uint32_t {
  kOpaque,
  kRedirect,
  kOrigin,
  kImpure,
  kNlink,
  kUpper,
  kUuid,
  kMetacopy,
  kProtattr,
  kWhiteout,
  kFilling,       // ours alone: what a metacopy shows while its data is on its way
  kOverrideStat,  // user.containers.override_stat, whatever the prefix
  kFuseOpaque,    // user.fuseoverlayfs.opaque likewise: fuse-overlayfs's own opaque, read only
  kCount
};

// The xattr's full name: "user.overlay.opaque"; in a layer inside another overlay
// "user.overlay.overlay.opaque".
const char* priv_name(XattrFormat format, Priv which);

// What fuse-overlayfs puts into a directory that has kFuseOpaque, as an empty file.
inline constexpr Str kFuseOpaqueFile(".wh..wh..opq");

// Which private xattrs an object has.
class PrivSet {
 public:
  bool has(Priv p) const { return (bits_ >> static_cast<uint32_t>(p)) & 1; }
  void add(Priv p) { bits_ |= 1u << static_cast<uint32_t>(p); }
  void remove(Priv p) { bits_ &= ~(1u << static_cast<uint32_t>(p)); }
  bool empty() const { return bits_ == 0; }

 private:
  uint32_t bits_ = 0;
};

// From a listxattr(2) result.
PrivSet parse_xattr_list(XattrFormat format, const char* list, size_t size);

// --- how names that programs use map to names on disk ---
enum class NameClass : uint8_t {
  kPlain,   // stored under its own name
  kStored,  // stored under another name (escaped, or below override_): the function's output
  kHidden,  // one of ours: programs can't see it
};
// program -> disk: "user.overlay.foo" is stored as "user.overlay.overlay.foo"; "security.*" that
// the user can't set is stored below "user.containers.override_security..." (store_security true).
// *out: the stored name (arena memory) unless kPlain.
NameClass name_to_disk(Arena& arena, XattrFormat format, Str name, bool store_security, CStr* out);
// disk -> program: kHidden for private ones, kStored with the program's name for escaped ones.
NameClass name_from_disk(Arena& arena, XattrFormat format, Str name, CStr* out);

// --- values ---
enum class Opaque : uint8_t { kNo, kOpaque, kHasXattrWhiteouts };
Opaque decode_opaque(const char* value, size_t size);

// Checks a redirect's value: absolute "/a/b" or one name. EINVAL otherwise (empty, "//", trailing
// '/', ".." or "." parts, NUL). Kernel counterpart: ovl_get_redirect_xattr / ovl_check_redirect.
Result<void> check_redirect(Str value);
constexpr size_t kRedirectMax = 256;

// ovl_fb: the encoded file handle in origin, upper and index names.
struct FileHandle {
  uint8_t type;  // exportfs fid type
  uint8_t uuid[16];
  bool path_upper;
  uint8_t fid_size;
  uint8_t fid[128];
};
enum class OriginState : uint8_t { kUnknown /* copied up, from what is not known */, kKnown };
constexpr size_t kFileHandleMax = 21 + 128;
// EINVAL: not an ovl_fb. Size 0, a higher version, unknown flags or other endianness: kUnknown.
Result<OriginState> decode_origin(const void* value, size_t size, FileHandle* out);
// Returns the encoded size (at most kFileHandleMax).
size_t encode_origin(const FileHandle& handle, void* out);
// The inode number inside the handle, where the fid type is one whose layout is known and carries
// it whole (FILEID_INO32_GEN 1, FILEID_INO32_GEN_PARENT 2, xfs 0x81/0x82, btrfs 0x4d/0x4e); 0 when
// unknown.
uint64_t inode_of(const FileHandle& handle);

// metacopy: size 0 or ovl_metacopy. EIO when malformed.
Result<void> decode_metacopy(const void* value, size_t size);

// The name that an inode has in index/: its origin in hexadecimal. out[2 * size].
void encode_index_name(const void* origin, size_t size, char* out);

// What a metacopy shows while its data is on its way, or was when a kill came: its own times and
// size are not to be trusted then.
struct Filling {
  struct Time {
    int64_t seconds;
    uint32_t nanoseconds;
  };
  Time accessed, changed;
  uint64_t size;
  // What else is kept until then, where an ordinary user's stand.
  bool mode_recorded, capability_stored;
};
constexpr size_t kFillingSize = 33;
void encode_filling(const Filling& filling, void* out);
// EIO when malformed.
Result<void> decode_filling(const void* value, size_t size, Filling* out);

// nlink: "U+1", "L-1". Returns the nlink relative to the two real ones. EIO when malformed.
Result<uint32_t> decode_nlink(Str value, uint32_t upper_nlink, uint32_t lower_nlink);
constexpr size_t kNlinkMax = 16;
enum class NlinkBase : char { kUpper = 'U', kLower = 'L' };
// Says `nlink` relative to `real`, that of the base. out[kNlinkMax]; returns the length.
size_t encode_nlink(NlinkBase base, uint32_t nlink, uint32_t real, char* out);

// user.containers.override_stat
struct OverrideStat {
  uid_t uid;
  gid_t gid;
  mode_t mode;  // 07777 bits, and S_IFMT when `has_type`
  bool has_type;
  uint32_t rdev_major, rdev_minor;
};
// EINVAL when malformed.
Result<void> decode_override_stat(Str value, OverrideStat* out);
constexpr size_t kOverrideStatMax = 80;
// out[kOverrideStatMax]; returns the length. Always with a type.
size_t encode_override_stat(const OverrideStat& stat, char* out);

}  // namespace ovl
