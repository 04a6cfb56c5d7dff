// See beside.h.
#include "core/walk/beside.h"

#include "core/sys/file_handle.h"

namespace ovl {
namespace {

constexpr char kOwn[] = "/ovlrun";
constexpr char kDirectory[] = "/ovlrun/beside";
constexpr mode_t kOwnMode = 0600;
constexpr size_t kXattrListGuess = 1024;
constexpr size_t kXattrListMost = 65536;

// Could an object of this type carry private xattrs? user.* exists on files and directories only.
bool can_have_private(XattrPrefix prefix, mode_t mode) {
  return S_ISREG(mode) || S_ISDIR(mode) || prefix == XattrPrefix::kTrusted;
}

// In the workdir, whatever the program's umask is.
Result<void> make_directory(Op& op, const Overlay& overlay) {
  for (const char* name : {kOwn, kDirectory}) {
    const CStr dir = op.arena().concat(overlay.work, CStr(name, strlen(name)));
    if (dir.data() == nullptr) return Error(ENOMEM);
    TRY(ignore_if(sys_mkdir(dir, 0700), EEXIST));
    TRY(sys_chmod(dir, 0700));
  }
  return {};
}

Result<void> make_companion(Op& op, const Overlay& overlay, CStr companion) {
  // Whoever finds the object from now on looks here too.
  op.session().state().beside_used.store(1, std::memory_order_seq_cst);
  Result<void> made = sys_mknod(companion, S_IFREG | kOwnMode, 0);
  if (!made.ok() && made.error() == ENOENT) {
    TRY(make_directory(op, overlay));
    made = sys_mknod(companion, S_IFREG | kOwnMode, 0);
  }
  if (!made.ok()) return ignore_if(made, EEXIST);
  return sys_chmod(companion, kOwnMode);  // a umask may have taken the owner's bits
}

}  // namespace

Result<PrivSet> read_private(Op& op, XattrFormat format, CStr real, mode_t mode) {
  if (!can_have_private(format.prefix, mode)) return PrivSet();
  size_t size = kXattrListGuess;
  for (;;) {
    char* list = op.arena().array<char>(size);
    if (list == nullptr) return Error(ENOMEM);
    Result<size_t> n = sys_llistxattr(real, list, size);
    if (n.ok()) {
      const PrivSet found = parse_xattr_list(format, list, n.value());
      op.arena().trim(list, 0);
      return found;
    }
    if (n.error() == EOPNOTSUPP) return PrivSet();
    if (n.error() != ERANGE || size == kXattrListMost) return Error(n.error());
    size = kXattrListMost;
  }
}

Result<CStr> beside_path(Op& op, const Overlay& overlay, const Object& object) {
  KernelHandle handle;
  const Result<void> r =
      object.is_fd() ? sys_handle(object.fd(), &handle) : sys_handle(At(object.path()), &handle);
  if (!r.ok() && (r.error() == EOPNOTSUPP || r.error() == EOVERFLOW)) return CStr();
  TRY(r);
  FileHandle fh = {};
  fh.type = static_cast<uint8_t>(handle.type);
  fh.path_upper = true;
  fh.fid_size = static_cast<uint8_t>(handle.bytes);
  memcpy(fh.fid, handle.data, handle.bytes);
  memcpy(fh.uuid, overlay.upper_layer->uuid, sizeof fh.uuid);
  char encoded[kFileHandleMax], name[2 * kFileHandleMax];
  const size_t size = encode_origin(fh, encoded);
  encode_index_name(encoded, size, name);
  if (2 * size > NAME_MAX) return CStr();
  const CStr path = op.arena().concat(overlay.work, kDirectory, "/", Str(name, 2 * size));
  if (path.data() == nullptr) return Error(ENOMEM);
  return path;
}

Result<void> find_beside(Op& op, const Overlay& overlay, const Object& object, Node* node) {
  const CStr companion = TRY(beside_path(op, overlay, object));
  if (companion.empty()) return {};
  char list[512];  // holds nothing but ours, and a security module's label
  const Result<size_t> n = sys_llistxattr(companion, list, sizeof list);
  if (!n.ok()) return ignore_if(Result<void>(Error(n.error())), ENOENT);
  node->priv = parse_xattr_list(overlay.format, list, n.value());
  node->beside = companion;
  return {};
}

Result<void> set_beside(Op& op, const Overlay& overlay, CStr companion, Priv which, Str value) {
  const char* name = priv_name(overlay.format, which);
  Result<void> r = sys_lsetxattr(companion, name, value.data(), value.size());
  if (!r.ok() && r.error() == ENOENT) {
    TRY(make_companion(op, overlay, companion));
    r = sys_lsetxattr(companion, name, value.data(), value.size());
  }
  return r;
}

void LastName::hold(const Node& node) {
  if (!node.in_upper() || node.beside.empty()) return;
  // The inode itself tells afterwards whether it has got another name meanwhile.
  Result<UniqueFd> inode = sys_openat(node.upper, O_PATH | O_NOFOLLOW);
  if (!inode.ok()) return;
  inode_ = std::move(inode).value();
  companion_ = node.beside;
}

void LastName::lost_name() const {
  StatX now;
  if (!companion_.empty() && sys_fstat(inode_.get(), &now).ok() && now.stx_nlink == 0)
    ignore(sys_unlink(companion_));
}

}  // namespace ovl
