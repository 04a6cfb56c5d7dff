// What each call does, were it alone: a tree of files and directories, with the errors of Linux in
// their order.
#pragma once

#include <string.h>

#include "tests/unit/linear/history.h"

namespace linear {

constexpr uint8_t kNone = 0xff;

struct Object {
  uint32_t inode = 0;  // 0: nobody has asked yet
  uint16_t mode = 0;
  uint16_t size = 0;
  uint8_t links = 0;  // 0: removed
  uint8_t tag = 0;
  Type type = Type::kFile;
  uint8_t parent = kNone;  // of a directory
  uint8_t child[kNames] = {kNone, kNone, kNone, kNone};
};

// How far a call has come.
struct Walk {
  uint8_t steps = 0;
  uint8_t at = 0;  // reached by its path: the object, or the directory of a name to change
  uint8_t to = 0;  // the directory of its other name
};
int steps_of(const Call& call);

class Tree {
 public:
  static constexpr int kMost = 96;

  Tree();
  Tree(const Tree& other) { *this = other; }
  Tree& operator=(const Tree& other) {
    count_ = other.count_;
    memcpy(static_cast<void*>(objects_), other.objects_, count_ * sizeof(Object));
    return *this;
  }

  // For the tree that is there at first.
  uint8_t add(Path path, const Object& object);
  void add_link(Path path, uint8_t object);

  // The whole call at one moment; its error. `object`: what it was about, if that isn't nullptr.
  int apply(const Call& call, uint8_t* object = nullptr);
  // In steps: names on the way are looked up one after the other, whatever becomes meanwhile of
  // what they have led to; then the call acts there.
  int walk(const Call& call, Walk* walk) const;  // one step
  int act(const Call& call, const Walk& walk, uint8_t* object);

  const Object& object(uint8_t i) const { return objects_[i]; }
  // The number of an object that was made here is learned when it is first seen.
  bool has_inode(uint8_t i, uint32_t inode);

  // A line for each name.
  std::string text() const { return text_below(0, ""); }

  // Of what is there, and of objects that somebody still holds; not of what is gone, nor in which
  // order it came.
  uint64_t hash(uint64_t seed, const uint8_t* held, size_t count) const;

 private:
  Object& at(uint8_t i) { return objects_[i]; }
  uint8_t child(uint8_t dir, Path path) const {
    return objects_[dir].child[path.name[path.depth - 1]];
  }
  bool is_dir(uint8_t i) const { return objects_[i].type == Type::kDirectory; }
  bool is_empty(uint8_t dir) const;
  std::string text_below(uint8_t dir, const std::string& path) const;
  bool is_below_or_same(uint8_t i, uint8_t top) const;
  void put(uint8_t dir, Path path, uint8_t object);
  int make(const Call& call, uint8_t dir, Type type, bool exclusive, uint8_t* object);
  int remove(const Call& call, uint8_t dir, Type type);
  int rename(const Call& call, uint8_t from_dir, uint8_t to_dir);
  int link(const Call& call, uint8_t from, uint8_t dir);

  uint8_t count_ = 0;
  Object objects_[kMost];  // NOLINT: those behind count_ are nobody's
};

}  // namespace linear
