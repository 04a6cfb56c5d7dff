// What programs see of one name in one layer's directory: nothing (a whiteout), or an inode number
// and a type. Kernel counterpart: ovl_cache_entry_new(), ovl_check_whiteouts(), ovl_cache_update().
#pragma once

#include "core/caller/op.h"
#include "core/walk/node.h"

namespace ovl {

struct Verdict {
  bool hidden;
  uint8_t type;  // DT_*
  uint64_t ino;
};

// The layers' directories that a directory is made of, topmost first.
uint32_t layer_count(const Node& dir);
const Layer& layer_at(const Node& dir, uint32_t index);
CStr layer_path(const Node& dir, uint32_t index);  // real

// d_ino of "." and "..".
uint64_t own_ino(const Node& dir);
Result<uint64_t> parent_ino(Op& op, const Node& dir);

// Judgements about the entries of one layer's directory.
class Judge {
 public:
  Judge(Op& op, const Node& dir) : op_(op), dir_(dir) {}
  // Before the first judgement. Errors: ENOMEM, what the file system says.
  Result<void> enter(uint32_t index);

  // `type` and `ino`: what getdents64(2) says. below: a lower layer has the name too. A name that
  // has gone is hidden.
  Result<Verdict> judge(Str name, uint8_t type, uint64_t ino, bool below);
  // Verdict::hidden alone: without inode numbers, which can cost a lookup.
  Result<bool> hidden(Str name, uint8_t type);

 private:
  CStr full_path(Str name);
  bool is_fuse_mark(Str name) const;
  Result<void> private_names(CStr real, PrivSet* out);
  Result<bool> look(CStr real, uint8_t* type, PrivSet* priv);

  Op& op_;
  const Node& dir_;  // outlives this
  const Layer* layer_ = nullptr;
  StatX real_;                    // the layer's directory, as the kernel tells
  bool xattr_whiteouts_ = false;  // the layer's directory may hold whiteouts of the xattr form
  char* buffer_ = nullptr;        // "<layer's directory>/", then room for a name
  size_t base_ = 0;
  char* list_ = nullptr;  // for listxattr
  size_t list_size_ = 0;
};

}  // namespace ovl
