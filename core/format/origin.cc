// struct ovl_fb, packed: u8 version, magic, len, flags, fid type; u8 uuid[16]; fid bytes. It stands
// in the xattrs origin and upper, and in hexadecimal as a name in index/. Kernel counterpart:
// ovl_check_fb_len(), ovl_encode_real_fh().
#include "core/format/format.h"

namespace ovl {
namespace {

constexpr uint8_t kVersion = 0;
constexpr uint8_t kMagic = 0xfb;
constexpr size_t kHeader = 21;
constexpr uint8_t kBigEndian = 1, kAnyEndian = 2, kPathUpper = 4;
constexpr uint8_t kAllFlags = kBigEndian | kAnyEndian | kPathUpper;
constexpr uint8_t kOurEndian = __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? kBigEndian : 0;

template <class T>
uint64_t load(const uint8_t* from) {
  T value;
  memcpy(&value, from, sizeof value);
  return value;
}

}  // namespace

Result<OriginState> decode_origin(const void* value, size_t size, FileHandle* out) {
  if (size == 0) return OriginState::kUnknown;
  const auto* bytes = static_cast<const uint8_t*>(value);
  if (size < kHeader || bytes[1] != kMagic) return Error(EINVAL);
  const size_t length = bytes[2];
  if (length < kHeader || length > size) return Error(EINVAL);
  const uint8_t flags = bytes[3];
  if (bytes[0] > kVersion || (flags & ~kAllFlags) != 0) return OriginState::kUnknown;
  if ((flags & kAnyEndian) == 0 && (flags & kBigEndian) != kOurEndian) return OriginState::kUnknown;
  // Longer than any handle that the kernel makes (MAX_HANDLE_SZ): nothing that could be found by
  // it.
  if (length - kHeader > sizeof out->fid) return OriginState::kUnknown;
  out->type = bytes[4];
  memcpy(out->uuid, bytes + 5, sizeof out->uuid);
  out->path_upper = (flags & kPathUpper) != 0;
  out->fid_size = static_cast<uint8_t>(length - kHeader);
  memcpy(out->fid, bytes + kHeader, out->fid_size);
  return OriginState::kKnown;
}

size_t encode_origin(const FileHandle& handle, void* out) {
  const size_t fid_size = handle.fid_size < sizeof handle.fid ? handle.fid_size : sizeof handle.fid;
  auto* bytes = static_cast<uint8_t*>(out);
  bytes[0] = kVersion;
  bytes[1] = kMagic;
  bytes[2] = static_cast<uint8_t>(kHeader + fid_size);
  bytes[3] = static_cast<uint8_t>(kOurEndian | (handle.path_upper ? kPathUpper : 0));
  bytes[4] = handle.type;
  memcpy(bytes + 5, handle.uuid, sizeof handle.uuid);
  memcpy(bytes + kHeader, handle.fid, fid_size);
  return kHeader + fid_size;
}

void encode_index_name(const void* origin, size_t size, char* out) {
  const auto* bytes = static_cast<const uint8_t*>(origin);
  for (size_t i = 0; i < size; i++) {
    *out++ = "0123456789abcdef"[bytes[i] >> 4];
    *out++ = "0123456789abcdef"[bytes[i] & 15];
  }
}

uint64_t inode_of(const FileHandle& handle) {
  const uint8_t* fid = handle.fid;
  switch (handle.type) {
    case 0x01:  // FILEID_INO32_GEN: ino, generation. tmpfs under the same number: generation, ino,
                // ino >> 32
      if (handle.fid_size == 8) return load<uint32_t>(fid);
      if (handle.fid_size == 12) return load<uint64_t>(fid + 4);
      return 0;
    case 0x02:  // FILEID_INO32_GEN_PARENT
      return handle.fid_size == 16 ? load<uint32_t>(fid) : 0;
    case 0x81:  // FILEID_INO64_GEN, FILEID_INO64_GEN_PARENT (xfs)
    case 0x82:
    case 0x4d:  // FILEID_BTRFS_WITHOUT_PARENT, _WITH_PARENT, _WITH_PARENT_ROOT
    case 0x4e:
    case 0x4f:
      return handle.fid_size >= 12 ? load<uint64_t>(fid) : 0;
    default:
      return 0;
  }
}

}  // namespace ovl
