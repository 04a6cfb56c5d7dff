// See tree.h.
#include "tests/unit/linear/tree.h"

#include <errno.h>
#include <stdlib.h>

#include <utility>

namespace linear {

bool acts_on_object(Kind kind) {
  return kind == Kind::kOpenTruncate || kind == Kind::kChmod || kind == Kind::kTruncate ||
         kind == Kind::kLink;
}

Tree::Tree() {
  objects_[0] = Object();
  objects_[0].type = Type::kDirectory;
  objects_[0].links = 1;
  count_ = 1;
}

uint8_t Tree::add(Path path, const Object& object) {
  if (count_ == kMost) abort();
  objects_[count_] = object;
  objects_[count_].links = 0;
  add_link(path, count_);
  return count_++;
}

void Tree::add_link(Path path, uint8_t object) {
  uint8_t dir = 0;
  if (find_parent(path, &dir) != 0) abort();
  at(object).links++;
  put(dir, path, object);
}

int Tree::find(Path path, uint8_t* object) const {
  uint8_t here = 0;
  for (int i = 0; i < path.depth; i++) {
    if (!is_dir(here)) return ENOTDIR;
    here = objects_[here].child[path.name[i]];
    if (here == kNone) return ENOENT;
  }
  *object = here;
  return 0;
}

int Tree::find_parent(Path path, uint8_t* dir) const {
  path.depth--;
  if (const int error = find(path, dir); error != 0) return error;
  return is_dir(*dir) ? 0 : ENOTDIR;
}

bool Tree::is_empty(uint8_t dir) const {
  for (uint8_t c : objects_[dir].child)
    if (c != kNone) return false;
  return true;
}

bool Tree::is_below_or_same(uint8_t i, uint8_t top) const {
  for (; i != kNone; i = objects_[i].parent)
    if (i == top) return true;
  return false;
}

void Tree::put(uint8_t dir, Path path, uint8_t object) {
  at(dir).child[path.name[path.depth - 1]] = object;
  if (object != kNone && is_dir(object)) at(object).parent = dir;
}

void Tree::drop(uint8_t object) {
  at(object).links--;
  if (is_dir(object)) at(object).parent = kNone;
}

int Tree::apply(const Call& call) {
  switch (call.kind) {
    case Kind::kCreate:
      return make(call, Type::kFile, true);
    case Kind::kOpenCreate:
      return make(call, Type::kFile, false);
    case Kind::kMkdir:
      return make(call, Type::kDirectory, true);
    case Kind::kUnlink:
      return remove(call, Type::kFile);
    case Kind::kRmdir:
      return remove(call, Type::kDirectory);
    case Kind::kRename:
    case Kind::kRenameNoReplace:
    case Kind::kExchange:
      return rename(call);
    default: {
      uint8_t object = kNone;
      if (const int error = find(call.path, &object); error != 0) return error;
      return act(call, object);
    }
  }
}

int Tree::act(const Call& call, uint8_t object) {
  Object& o = at(object);
  const bool dir = is_dir(object);
  switch (call.kind) {
    case Kind::kOpenWrite:
      return dir ? EISDIR : 0;
    case Kind::kOpenTruncate:
      if (dir) return EISDIR;
      o.size = 0;
      o.tag = 0;
      return 0;
    case Kind::kTruncate:
      if (dir) return EISDIR;
      o.size = call.value;
      if (o.size == 0) o.tag = 0;
      return 0;
    case Kind::kChmod:
      o.mode = call.value;
      return 0;
    case Kind::kList:
      return dir ? 0 : ENOTDIR;
    case Kind::kLink:
      return link(call, object);
    default:
      return 0;
  }
}

int Tree::make(const Call& call, Type type, bool exclusive) {
  uint8_t dir = 0;
  if (const int error = find_parent(call.path, &dir); error != 0) return error;
  const uint8_t there = child(dir, call.path);
  if (there != kNone) return exclusive ? EEXIST : is_dir(there) ? EISDIR : 0;
  if (count_ == kMost) abort();
  Object& o = objects_[count_];
  o = Object();
  o.mode = call.value;
  o.type = type;
  o.links = 1;
  put(dir, call.path, count_++);
  return 0;
}

int Tree::remove(const Call& call, Type type) {
  uint8_t dir = 0;
  if (const int error = find_parent(call.path, &dir); error != 0) return error;
  const uint8_t there = child(dir, call.path);
  if (there == kNone) return ENOENT;
  if (type == Type::kFile && is_dir(there)) return EISDIR;
  if (type == Type::kDirectory && !is_dir(there)) return ENOTDIR;
  if (is_dir(there) && !is_empty(there)) return ENOTEMPTY;
  put(dir, call.path, kNone);
  drop(there);
  return 0;
}

int Tree::rename(const Call& call) {
  const bool exchange = call.kind == Kind::kExchange;
  uint8_t from_dir = 0, to_dir = 0;
  if (const int error = find_parent(call.path, &from_dir); error != 0) return error;
  if (const int error = find_parent(call.to, &to_dir); error != 0) return error;
  const uint8_t from = child(from_dir, call.path), to = child(to_dir, call.to);
  if (from == kNone) return ENOENT;
  if (call.kind == Kind::kRenameNoReplace && to != kNone) return EEXIST;
  if (exchange && to == kNone) return ENOENT;
  if (is_dir(from) && is_below_or_same(to_dir, from)) return EINVAL;
  if (to != kNone && is_dir(to) && is_below_or_same(from_dir, to))
    return exchange ? EINVAL : ENOTEMPTY;
  if (from == to) return 0;
  if (to != kNone && !exchange) {
    if (is_dir(from) && !is_dir(to)) return ENOTDIR;
    if (!is_dir(from) && is_dir(to)) return EISDIR;
    if (is_dir(to) && !is_empty(to)) return ENOTEMPTY;
    drop(to);
  }
  put(from_dir, call.path, exchange ? to : kNone);
  put(to_dir, call.to, from);
  return 0;
}

int Tree::link(const Call& call, uint8_t from) {
  uint8_t dir = 0;
  if (const int error = find_parent(call.to, &dir); error != 0) return error;
  if (child(dir, call.to) != kNone) return EEXIST;
  if (is_dir(from)) return EPERM;
  if (at(from).links == 0) return ENOENT;
  at(from).links++;
  put(dir, call.to, from);
  return 0;
}

bool Tree::has_inode(uint8_t i, uint32_t inode) {
  if (objects_[i].inode == 0) at(i).inode = inode;
  return objects_[i].inode == inode;
}

uint64_t Tree::hash(uint64_t seed) const {
  uint64_t h = seed ^ count_;
  for (int i = 0; i < count_; i++) {
    const Object& o = objects_[i];
    uint32_t children = 0;
    memcpy(&children, o.child, sizeof children);
    const uint64_t words[] = {
        uint64_t{o.inode} << 32 | uint32_t{o.mode} << 16 | o.size,
        uint64_t{children} << 32 | uint32_t{o.links} << 16 | uint32_t{o.tag} << 8 | o.parent};
    for (uint64_t w : words) {
      h = (h ^ w) * 0x9e3779b97f4a7c15u;
      h ^= h >> 29;
    }
  }
  return h;
}

}  // namespace linear
