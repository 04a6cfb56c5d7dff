// One object, in one of the situations that layers can put it in, and what may be done to it.
#pragma once

#include <set>

#include "tests/unit/names/names_test.h"

namespace ovl::testing {

// What the object is.
enum Kind : unsigned {
  kFile = 1,
  kFull = 2,    // a directory with something in it
  kHollow = 4,  // a directory that shows as empty
  kSymlink = 8,
  kFifo = 16,
  kName = 32,  // nothing: a name that is free
  kDirectory = kFull | kHollow,
  kThing = kFile | kSymlink | kFifo,
  kObject = kThing | kDirectory,
};

// What programs see: a line for each path, with everything but numbers and times that differ from
// run to run.
struct Tree {
  std::string exact;
  std::string any;  // with whatever time of change directories have
};

class Scene : public NamesTest {
 public:
  using NamesTest::kNative;
  using NamesTest::lower;
  using NamesTest::make_dir;
  using NamesTest::make_link;
  using NamesTest::make_lower_dir;
  using NamesTest::make_node;
  using NamesTest::make_symlink;
  using NamesTest::move;
  using NamesTest::open_fd;
  using NamesTest::path;
  using NamesTest::remove;
  using NamesTest::remove_dir;
  using NamesTest::run;
  using NamesTest::there;
  using NamesTest::try_open;
  using NamesTest::write_file;
  using NamesTest::write_new;

  // --- the object ---
  Kind kind = kFile;
  std::string x;  // its virtual path
  int fd = -1;    // a descriptor that the operation is to use
  int other_fd = -1;

  // Makes an object of the kind at a real path, or as a program does.
  void make_real(const std::string& real, const std::string& content = std::string(5000, 'x'));
  void make_here(const std::string& virt);
  // Copies it up, with no more than has to be.
  void touch(const std::string& virt);
  bool is_dir() const { return (kind & kDirectory) != 0; }
  long remove_x() { return is_dir() ? remove_dir(x) : remove(x); }

  // --- operations that NamesTest has not ---
  long set_times(const std::string& p, const timespec times[2]);
  long chmod(const std::string& p, mode_t mode) {
    return run<op_fchmodat2>(AT_FDCWD, path(p), mode, 0);
  }
  long chown(const std::string& p, uid_t uid, gid_t gid) {
    return run<op_fchownat>(AT_FDCWD, path(p), uid, gid, AT_SYMLINK_NOFOLLOW);
  }
  long set_xattr(const std::string& p, const char* which, const std::string& value) {
    return run<op_lsetxattr>(path(p), UserPath(which), buffer(value), value.size(), 0);
  }
  long bind_socket(const std::string& p);
  long link_unnamed(const std::string& dir, const std::string& p);
  long watch(const std::string& p, unsigned mask);
  static UserBuf buffer(const std::string& bytes) {
    return UserBuf(const_cast<char*>(bytes.data()));
  }

  Tree tree();

 protected:
  void close_all();
  // All that lies in layers shows these times, so that a new one is told from them.
  void give_old_times(const std::string& top) const;

 private:
  struct Seeing {
    std::map<uint64_t, std::string> first;  // name of an inode of the upper
    Tree tree;
    void both(const std::string& text) {
      tree.exact += text;
      tree.any += text;
    }
  };
  void see(Op& op, const Node& node, uint64_t listed, const std::string& p, Seeing* seeing);
  std::string xattrs(const std::string& p, const char* real);

  std::set<uint64_t> known_;  // numbers of the lowers
};

struct Situation {
  const char* name;
  unsigned kinds;
  void (*prepare)(Scene&);         // by operations that are not disturbed; sets x
  void (*fill)(Scene&) = nullptr;  // of the lowers, instead of the object at /d/x
  Options options = {};
};

struct Act {
  const char* name;
  unsigned kinds;
  long (*run)(Scene&);
  void (*before)(Scene&) = nullptr;
  bool root_only = false;
};

const std::vector<Situation>& situations();
const std::vector<Act>& acts();

}  // namespace ovl::testing
