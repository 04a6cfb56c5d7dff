// What a sequence is run on, as a table.
#pragma once

#include <string>
#include <vector>

namespace model {

enum class Kernel {
  kRoot,       // root's mount, trusted xattrs
  kNamespace,  // an unprivileged mount in a user namespace, with userxattr
};

struct Variant {
  const char* name;
  Kernel kernel;
  bool as_root;  // the commands run as root, on both sides
  int lowers;
  const char* mount_options;
  const char* ovlrun_options;
  const char* without = "";    // operations and features of the generator that it leaves out
  const char* upper = "ext4";  // file systems
  const char* lower = "";      // empty: the upper's own

  // Do both sides have the same names of private xattrs?
  bool same_xattrs() const { return as_root || kernel == Kernel::kNamespace; }
};

const std::vector<Variant>& variants();

struct Form {
  const char* name;
  const char* executor;  // which program, by the end of its name
  const char* ovlrun_options;
  bool trapped = false;  // nothing but the supervisor sees the calls
};

const std::vector<Form>& forms();

}  // namespace model
