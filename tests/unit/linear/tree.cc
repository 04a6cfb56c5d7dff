// See tree.h.
#include "tests/unit/linear/tree.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <utility>

namespace linear {

namespace {

bool changes_name(Kind kind) {
  switch (kind) {
    case Kind::kCreate:
    case Kind::kOpenCreate:
    case Kind::kMkdir:
    case Kind::kUnlink:
    case Kind::kRmdir:
    case Kind::kRename:
    case Kind::kRenameNoReplace:
    case Kind::kExchange:
      return true;
    default:
      return false;
  }
}

int steps_of_path(const Call& call) { return call.path.depth - (changes_name(call.kind) ? 1 : 0); }

}  // namespace

int steps_of(const Call& call) {
  return steps_of_path(call) + (takes_two_paths(call.kind) ? call.to.depth - 1 : 0);
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
  for (int i = 0; i + 1 < path.depth; i++) dir = objects_[dir].child[path.name[i]];
  at(object).links++;
  put(dir, path, object);
}

int Tree::walk(const Call& call, Walk* walk) const {
  const int first = steps_of_path(call);
  const bool on_first = walk->steps < first;
  uint8_t* here = on_first ? &walk->at : &walk->to;
  if (!is_dir(*here)) return ENOTDIR;
  const uint8_t next =
      objects_[*here]
          .child[on_first ? call.path.name[walk->steps] : call.to.name[walk->steps - first]];
  if (next == kNone) return ENOENT;
  *here = next;
  walk->steps++;
  const bool to_directory =
      on_first ? changes_name(call.kind) && walk->steps == first : walk->steps == steps_of(call);
  return to_directory && !is_dir(next) ? ENOTDIR : 0;
}

int Tree::apply(const Call& call, uint8_t* object) {
  Walk way;
  while (way.steps < steps_of(call))
    if (const int error = walk(call, &way); error != 0) return error;
  uint8_t ignored = kNone;
  return act(call, way, object != nullptr ? object : &ignored);
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

int Tree::act(const Call& call, const Walk& walk, uint8_t* object) {
  *object = walk.at;
  Object& o = at(walk.at);
  const bool dir = is_dir(walk.at);
  switch (call.kind) {
    case Kind::kCreate:
      return make(call, walk.at, Type::kFile, true, object);
    case Kind::kOpenCreate:
      return make(call, walk.at, Type::kFile, false, object);
    case Kind::kMkdir:
      return make(call, walk.at, Type::kDirectory, true, object);
    case Kind::kUnlink:
      return remove(call, walk.at, Type::kFile);
    case Kind::kRmdir:
      return remove(call, walk.at, Type::kDirectory);
    case Kind::kRename:
    case Kind::kRenameNoReplace:
    case Kind::kExchange:
      return rename(call, walk.at, walk.to);
    case Kind::kLink:
      return link(call, walk.at, walk.to);
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
    case Kind::kOpenRead:
    case Kind::kStat:
      return 0;
  }
  return 0;
}

int Tree::make(const Call& call, uint8_t dir, Type type, bool exclusive, uint8_t* object) {
  const uint8_t there = child(dir, call.path);
  *object = there;
  if (there != kNone) return exclusive ? EEXIST : is_dir(there) ? EISDIR : 0;
  if (at(dir).links == 0) return ENOENT;
  if (count_ == kMost) abort();
  Object& o = objects_[count_];
  o = Object();
  o.mode = call.value;
  o.type = type;
  o.links = 1;
  *object = count_;
  put(dir, call.path, count_++);
  return 0;
}

int Tree::remove(const Call& call, uint8_t dir, Type type) {
  const uint8_t there = child(dir, call.path);
  if (there == kNone) return ENOENT;
  if (type == Type::kFile && is_dir(there)) return EISDIR;
  if (type == Type::kDirectory && !is_dir(there)) return ENOTDIR;
  if (is_dir(there) && !is_empty(there)) return ENOTEMPTY;
  put(dir, call.path, kNone);
  at(there).links--;
  return 0;
}

int Tree::rename(const Call& call, uint8_t from_dir, uint8_t to_dir) {
  const bool exchange = call.kind == Kind::kExchange;
  const uint8_t from = child(from_dir, call.path), to = child(to_dir, call.to);
  if (from == kNone) return ENOENT;
  if (call.kind == Kind::kRenameNoReplace && to != kNone) return EEXIST;
  if (exchange && to == kNone) return ENOENT;
  if (is_dir(from) && is_below_or_same(to_dir, from)) return EINVAL;
  if (to != kNone && is_dir(to) && is_below_or_same(from_dir, to))
    return exchange ? EINVAL : ENOTEMPTY;
  if (from == to) return 0;
  if (at(to_dir).links == 0) return ENOENT;
  if (to != kNone && !exchange) {
    if (is_dir(from) && !is_dir(to)) return ENOTDIR;
    if (!is_dir(from) && is_dir(to)) return EISDIR;
    if (is_dir(to) && !is_empty(to)) return ENOTEMPTY;
    at(to).links--;
  }
  put(from_dir, call.path, exchange ? to : kNone);
  put(to_dir, call.to, from);
  return 0;
}

int Tree::link(const Call& call, uint8_t from, uint8_t dir) {
  if (child(dir, call.to) != kNone) return EEXIST;
  if (at(dir).links == 0) return ENOENT;
  if (is_dir(from)) return EPERM;
  if (at(from).links == 0) return ENOENT;
  at(from).links++;
  put(dir, call.to, from);
  return 0;
}

std::string Tree::text_below(uint8_t dir, const std::string& path) const {
  std::string all;
  for (int n = 0; n < kNames; n++) {
    const uint8_t i = objects_[dir].child[n];
    if (i == kNone) continue;
    const Object& o = objects_[i];
    const std::string here = path + "/" + kNameText[n];
    char facts[96];
    snprintf(facts, sizeof facts, " %s ino %u mode %o size %d links %d content %d\n",
             is_dir(i) ? "directory" : "file", o.inode, o.mode, o.size, o.links, o.tag);
    all += "  " + here + facts;
    if (is_dir(i)) all += text_below(i, here);
  }
  return all;
}

bool Tree::has_inode(uint8_t i, uint32_t inode) {
  if (objects_[i].inode == 0) at(i).inode = inode;
  return objects_[i].inode == inode;
}

uint64_t Tree::hash(uint64_t seed, const uint8_t* held, size_t held_count) const {
  // Numbers in the order in which they are met from the root on.
  uint8_t number[kMost], order[kMost], count = 0;
  memset(number, kNone, count_);
  const auto meet = [&](uint8_t i) {
    if (i == kNone || number[i] != kNone) return;
    number[i] = count;
    order[count++] = i;
  };
  uint64_t h = seed;
  const auto mix = [&h](uint64_t word) {
    h = (h ^ word) * 0x9e3779b97f4a7c15u;
    h ^= h >> 29;
  };
  meet(0);
  for (size_t i = 0; i < held_count; i++) meet(held[i]);
  for (uint8_t n = 0; n < count; n++) {
    const Object& o = objects_[order[n]];
    uint64_t around = 0;
    for (const uint8_t i : o.child) {
      meet(i);
      around = around << 8 | (i == kNone ? kNone : number[i]);
    }
    meet(o.parent);
    around = around << 8 | (o.parent == kNone ? kNone : number[o.parent]);
    mix(uint64_t{o.inode} << 32 | uint32_t{o.mode} << 16 | o.size);
    mix(around << 24 | uint32_t{o.links} << 16 | uint32_t{o.tag} << 8 |
        static_cast<uint8_t>(o.type));
  }
  for (size_t i = 0; i < held_count; i++) mix(held[i] == kNone ? kNone : number[held[i]]);
  return h;
}

}  // namespace linear
