// Where a sequence is run: file systems for the layers, and the directories of both sides.
//
//   LOWER/p/q/m/T      the tree that programs see; with one lower it is that lower itself
//   LOWER/p/q/m/out    what symlinks lead to, outside of the overlay
//   LOWER/kp/...       the same two for the kernel's side, which sees it in the place of LOWER/p
//   LOWER/l0, l1, ...  several lowers
//   UPPER/ours, UPPER/kernel, and their .work
#pragma once

#include <stdint.h>

#include <string>

#include "tests/model/sequence.h"
#include "tests/model/tree.h"
#include "tests/model/variants.h"

namespace model {

// Why something cannot be run on this machine.
struct Skipped {
  std::string reason;
};

class Stage {
 public:
  // Makes and mounts what the variant asks for. Throws Skipped.
  explicit Stage(const Variant& variant);
  ~Stage();
  Stage(const Stage&) = delete;
  Stage& operator=(const Stage&) = delete;

  void make(const Sequence& sequence);
  bool layers_are_unchanged() const;

  const Variant& variant() const { return variant_; }
  Owner owner() const { return owner_; }
  std::string tree() const { return around() + "/q/m/T"; }
  std::string around() const { return lower_ + "/p"; }
  std::string kernels_around() const { return lower_ + "/kp"; }
  std::string real_around() const { return lower_ + "/real"; }
  std::string layer(int i) const;  // as ovlrun is given it
  std::string kernels_layer(int i) const;
  std::string upper(const std::string& side) const { return upper_ + "/" + side; }

 private:
  std::string layer_to_make(int i) const;
  std::string mount_image(const std::string& type, const std::string& name);
  void make_surroundings();
  void pack_layers(const std::string& type);
  void unpack_layers();
  bool packed() const { return *variant_.lower != 0 && std::string(variant_.lower) != "ext4"; }

  const Variant& variant_;
  Owner owner_;
  std::string top_, upper_, lower_;
  uint64_t layers_made_ = 0;
};

}  // namespace model
