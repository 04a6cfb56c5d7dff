#include "tests/model/generate.h"

#include <string.h>

#include <functional>

#include "tests/model/operations.h"
#include "tests/model/random.h"
#include "tests/model/words.h"

namespace model {
namespace {

using Words = std::vector<std::string>;

const Words kDirs = {"a", "b", "a/c", "a/c/d", "b/e"};
const Words kLeaves = {"f", "g", "h", "i", "s", "c", "e"};
const Words kHostile = {"new\nline", "\xff\xfe\x80", "sp ace", "-rf", ".wh.f", "...", "q'\"`\\"};
const std::string kLong(255, 'n');
const std::string kDeep = "b/e/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x";
// What `setcap cap_net_raw+ep` writes.
const std::string kCapability("\x01\0\0\x02\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20);

class Generator {
 public:
  explicit Generator(const Wanted& wanted) : wanted_(wanted), random_(wanted.seed) {}

  Sequence make() {
    make_tree();
    make_steps();
    return sequence_;
  }

 private:
  bool with(const char* what) const { return !wanted_.without.contains(what); }

  // --- the layers ---

  std::string place() {
    if (random_.percent(3)) return kDeep + "/" + random_.of(kLeaves);
    std::string path = random_.percent(25) ? "" : random_.of(kDirs) + "/";
    if (random_.percent(8)) return path + random_.of(kHostile);
    if (random_.percent(2) && with("longnames")) return path + kLong;
    return path + random_.of(kLeaves);
  }

  unsigned file_mode() {
    static const std::vector<unsigned> kModes = {0644, 0644, 0644, 0600,  0444,  0755,
                                                 0664, 0200, 0000, 04755, 02755, 01644};
    return random_.of(kModes);
  }

  unsigned layer_mode(unsigned mode, unsigned needed) {
    return with("unreadable") ? mode : mode | needed;
  }

  unsigned directory_mode() {
    static const std::vector<unsigned> kModes = {0755,  0755,  0755, 0755, 0700, 0775,
                                                 01777, 02755, 0555, 0311, 0000};
    return random_.of(kModes);
  }

  std::string file_content() {
    switch (random_.below(8)) {
      case 0:
        return "0:0";
      case 1:
        return "20:3@131072";  // a hole, then data
      case 2:
        return "70000:" + std::to_string(random_.below(20));
      default:
        return std::to_string(1 + random_.below(200)) + ":" + std::to_string(random_.below(20));
    }
  }

  std::string symlink_target() {
    static const Words kTargets = {
        "f",      "../b", "{T}/a",          "{T}/b/e/f", "nothing",     "s",
        "../out", "a/c",  "{T}/../out/dir", "./g",       "../out/file", "{T}/../out/back/f"};
    return random_.of(kTargets);
  }

  void add(int layer, std::string kind, std::string path, unsigned mode,
           std::string argument = "") {
    sequence_.tree.push_back({layer, std::move(kind), std::move(path), mode, std::move(argument)});
  }

  void make_tree() {
    for (int layer = 0; layer < wanted_.layers; layer++) {
      const size_t entries = 4 + random_.below(wanted_.layers > 3 ? 8 : 20);
      for (const std::string& dir : kDirs)
        if (random_.percent(60)) add(layer, "dir", dir, layer_mode(directory_mode(), 0500));
      Words files;
      for (size_t i = 0; i < entries; i++) {
        const std::string path = place();
        const size_t kind = random_.below(100);
        if (kind < 45) {
          add(layer, "file", path, layer_mode(file_mode(), 0400), file_content());
          files.push_back(path);
        } else if (kind < 55) {
          add(layer, "dir", path, layer_mode(directory_mode(), 0500));
        } else if (kind < 67) {
          if (with("symlinks")) add(layer, "symlink", path, 0, escape(symlink_target()));
        } else if (kind < 75) {
          if (!files.empty() && with("hardlinks"))
            add(layer, "hard", path, 0, escape(random_.of(files)));
        } else if (kind < 78) {
          if (with("specials")) add(layer, "fifo", path, file_mode());
        } else if (kind < 80) {
          if (with("specials")) add(layer, "sock", path, file_mode());
        } else if (kind < 82) {
          if (wanted_.as_root && with("specials")) add(layer, "chr", path, file_mode(), "0x103");
        } else if (kind < 90) {
          if (layer + 1 < wanted_.layers) add(layer, "whiteout", path, 0);
        } else if (kind < 94) {
          if (layer + 1 < wanted_.layers)
            add(layer, "opaque", random_.percent(70) ? random_.of(kDirs) : path,
                layer_mode(directory_mode(), 0500));
        } else if (!files.empty()) {
          add(layer, "xattr", random_.percent(50) ? random_.of(files) : random_.of(kDirs), 0,
              escape(random_.percent(50) ? "user.a" : "user.b") + ":" + std::to_string(layer));
        } else if (with("acls")) {
          add(layer, "xattr", random_.of(kDirs), 0,
              escape(random_.percent(50) ? "system.posix_acl_default" : "system.posix_acl_access") +
                  ":" + escape(acl()));
        }
      }
      if (with("acls") && random_.percent(20))
        add(layer, "xattr", random_.of(kDirs), 0, "system.posix_acl_default:" + escape(acl()));
    }
    if (with("owners")) add_owners();
    for (const Entry& entry : sequence_.tree) known_.push_back(entry.path);
    if (with("free") && random_.percent(20)) add_files_of_processes();
  }

  // Some objects are other users'. What may not be read can't be copied up by everybody.
  void add_owners() {
    static const Words kOwners = {"0:0", "1234:1234", "1234:65500", "0:65500"};
    std::set<std::string> owned;
    for (const Entry& entry : sequence_.tree)
      if (random_.percent(12)) owned.insert(entry.path);
    std::erase_if(sequence_.tree, [&](const Entry& entry) {  // it could take the right to read
      return owned.contains(entry.path) && entry.kind == "xattr" &&
             entry.argument.starts_with("system.posix_acl");
    });
    const size_t count = sequence_.tree.size();
    for (size_t i = 0; i < count; i++) {
      Entry entry = sequence_.tree[i];
      if (!owned.contains(entry.path)) continue;
      if (entry.kind == "file") entry.mode |= 0444;
      if (entry.kind == "dir" || entry.kind == "opaque") entry.mode |= 0555;
      sequence_.tree[i].mode = entry.mode;
      if (entry.kind != "whiteout" && entry.kind != "xattr" && entry.kind != "hard")
        add(entry.layer, "owner", entry.path, 0, random_.of(kOwners));
    }
  }

  // What each process that runs freely has to itself: no other names it, nor its links.
  static std::string own_name(size_t process, size_t which) {
    return "free." + std::to_string(process) + "." + std::to_string(which);
  }
  void add_files_of_processes() {
    free_ = true;
    for (size_t process = 1; process < kFreeProcesses; process++) {
      for (size_t which = 0; which < 4; which++) {
        if (!random_.percent(60)) continue;
        const int layer = static_cast<int>(random_.below(static_cast<size_t>(wanted_.layers)));
        const std::string dir = random_.of(kDirs) + "/";
        add(layer, "file", dir + own_name(process, which), file_mode() | 0400, file_content());
        if (with("hardlinks") && random_.percent(30))
          add(layer, "hard", random_.of(kDirs) + "/" + own_name(process, which + 4), 0,
              dir + own_name(process, which));
      }
    }
  }

  std::string own_path(size_t process) {
    std::string path = "{T}/" + random_.of(kDirs) + "/" + own_name(process, random_.below(8));
    if (random_.percent(20)) path += "/" + random_.of(kLeaves);
    return path;
  }

  // Processes that work at the same time, each on names of its own in directories that all have.
  void run_freely() {
    static const std::set<std::string_view> kOperations = {
        "open",   "creat",    "stat",     "lstat",       "mkdir",     "rmdir",    "unlink",
        "rename", "link",     "symlink",  "mknod",       "chmod",     "truncate", "setxattr",
        "access", "getxattr", "readlink", "removexattr", "lsetxattr", "close",    "write"};
    std::vector<const Operation*> choices;
    for (const Operation& operation : operations())
      if (with(operation.name) && kOperations.contains(operation.name))
        choices.insert(choices.end(), static_cast<size_t>(operation.weight), &operation);
    for (size_t i = 0; i < 60; i++) {
      const size_t process = 1 + random_.below(kFreeProcesses - 1);
      const Operation& operation = *random_.of(choices);
      std::string words;
      for (const char* kind = operation.arguments; *kind != 0; kind++)
        words += " " + (*kind == 'p'   ? own_path(process)
                        : *kind == 't' ? own_name(process, random_.below(8))
                                       : argument(*kind));
      sequence_.steps.push_back(std::to_string(process) + " free " + operation.name + words);
    }
  }

  // system.posix_acl_*: version 2, then tag, permissions, id for each entry.
  std::string acl() {
    std::string value("\x02\0\0\0", 4);
    const auto entry = [&value](unsigned tag, unsigned permissions, uint32_t id) {
      const unsigned char bytes[] = {
          static_cast<unsigned char>(tag),         0,
          static_cast<unsigned char>(permissions), 0,
          static_cast<unsigned char>(id),          static_cast<unsigned char>(id >> 8),
          static_cast<unsigned char>(id >> 16),    static_cast<unsigned char>(id >> 24)};
      value.append(reinterpret_cast<const char*>(bytes), sizeof bytes);
    };
    entry(1, 7, UINT32_MAX);
    entry(2, random_.below(8), wanted_.owner == 0 ? 65500 : wanted_.owner);
    entry(4, random_.below(8), UINT32_MAX);
    entry(16, 4 | random_.below(8), UINT32_MAX);
    entry(32, random_.below(8), UINT32_MAX);
    return value;
  }

  // --- the operations ---

  std::string path() {
    std::string path = random_.percent(65) && !known_.empty() ? random_.of(known_)
                       : random_.percent(20)                  ? random_.of(kDirs)
                                                              : place();
    const size_t odd = random_.below(100);
    if (odd < 4) return path + "/";
    if (odd < 6) return path + "/.";
    if (odd < 8) return path + "/..";
    if (odd < 10) return path + "/" + random_.of(kLeaves);
    if (odd < 15) return "{T}/" + path;
    if (odd < 16) return "{T}/../out/" + std::string(random_.percent(50) ? "file" : "dir/f");
    if (odd < 17) return "";
    if (odd < 18) return random_.percent(50) ? "." : "{T}";
    if (odd < 19) return with("overlong") ? kLong + "n" : kLong;
    if (odd < 20) return "./" + path + "//";
    if (odd < 21 && with("overlong")) return padded(path);
    if (!path.empty() && path.size() < 200) known_.push_back(path);
    return path;
  }

  // As long as a path may be, or a byte longer.
  std::string padded(const std::string& path) {
    const size_t wanted = random_.percent(50) ? 4095 : 4096;
    if (path.size() + 2 > wanted) return path;
    std::string pad;
    while (pad.size() + 2 + path.size() <= wanted) pad += "./";
    if (pad.size() + path.size() < wanted) pad += "/";
    return pad + path;
  }

  std::string slot() { return std::to_string(random_.below(5)); }

  std::string flags(const Words& always, const Words& some, size_t chance) {
    std::string word = random_.of(always);
    for (const std::string& flag : some)
      if (random_.percent(chance)) word += "|" + flag;
    return word;
  }

  std::string open_flags() {
    switch (random_.below(20)) {
      case 0:
        return "O_PATH";
      case 1:
        return "O_PATH|O_NOFOLLOW";
      case 2:
        return "O_RDONLY|O_DIRECTORY";
      case 3:
        return with("tmpfile") ? "O_RDWR|O_TMPFILE" : "O_RDWR";
      case 4:
        return with("tmpfile") ? "O_WRONLY|O_TMPFILE|O_EXCL" : "O_WRONLY";
      default:
        return flags(
            {"O_RDONLY", "O_WRONLY", "O_RDWR", "O_RDWR"},
            {"O_CREAT", "O_CREAT", "O_EXCL", "O_TRUNC", "O_APPEND", "O_NOFOLLOW", "O_DIRECTORY"},
            14);
    }
  }

  std::string xattr_name() {
    Words names = {"user.a", "user.b", "user.c", "user.a", "user.b", "trusted.t"};
    if (wanted_.as_root) names.push_back("security.capability");
    if (with("escapes")) {
      names.push_back("user.overlay.x");
      names.push_back("trusted.overlay.x");
    }
    if (with("acls")) {
      names.push_back("system.posix_acl_access");
      names.push_back("system.posix_acl_default");
    }
    return escape(random_.of(names));
  }

  std::string id() {
    if (with("chown")) {
      static const Words kIds = {"-1", "65500", "0", "1234", "65500", "-1"};
      return random_.of(kIds);
    }
    return random_.percent(50) ? "-1" : std::to_string(wanted_.owner);
  }

  std::string argument(char kind) {
    static const Words kPositions = {"0", "1", "100", "5000", "70000", "-1", "0", "10"};
    switch (kind) {
      case 'S':
      case 's':
        return slot();
      case 'd':
        return random_.percent(55) ? "-" : slot();
      case 'p':
        return escape(path());
      case 't':
        return escape(symlink_target());
      case 'm':
        return octal_word(random_.percent(60) ? file_mode() : directory_mode());
      case 'o':
        return open_flags();
      case 'a':
        return random_.of(Words{"0", "0", "AT_SYMLINK_NOFOLLOW", "AT_SYMLINK_FOLLOW",
                                "AT_EMPTY_PATH", "AT_EMPTY_PATH|AT_SYMLINK_NOFOLLOW", "0x40000"});
      case 'u':
        return random_.of(Words{"0", "0", "AT_REMOVEDIR", "AT_REMOVEDIR", "AT_SYMLINK_NOFOLLOW"});
      case 'r': {
        Words choices = {"0", "0", "RENAME_NOREPLACE", "RENAME_NOREPLACE|RENAME_EXCHANGE", "0x40"};
        if (with("exchange")) choices.insert(choices.end(), 3, "RENAME_EXCHANGE");
        if (with("whiteout")) choices.push_back("RENAME_WHITEOUT");
        return random_.of(choices);
      }
      case 'R':
        return random_.of(
            Words{"0", "0", "RESOLVE_BENEATH", "RESOLVE_IN_ROOT", "RESOLVE_NO_SYMLINKS"});
      case 'k':
        return random_.of(Words{"F_OK", "R_OK", "W_OK", "X_OK", "R_OK|W_OK", "W_OK|X_OK", "8"});
      case 'b':
        return random_.of(Words{"S_IFREG|0644", "S_IFIFO|0600", "S_IFSOCK|0755", "S_IFCHR|0600",
                                "S_IFDIR|0755", "0640"});
      case 'D':
        return random_.of(Words{"0", "0x103"});
      case 'n':
        return random_.of(Words{"0", "1", "10", "100", "5000", "70000"});
      case 'P':
        return random_.of(kPositions);
      case 'w':
        return random_.of(Words{"SEEK_SET", "SEEK_CUR", "SEEK_END"});
      case 'L':
        return random_.of(
            Words{"0", "FALLOC_FL_KEEP_SIZE", "FALLOC_FL_KEEP_SIZE|FALLOC_FL_PUNCH_HOLE"});
      case 'i':
        return id();
      case 'T':
        return random_.of(Words{"now", "omit", "1111111111", "999999999"});
      case 'x':
        return xattr_name();
      case 'v':
        return random_.of(
            Words{"\"\"", "one", "two", std::string(100, 'v'), escape(acl()), escape(kCapability)});
      case 'c':
        return random_.of(Words{"0", "0", "0", "XATTR_CREATE", "XATTR_REPLACE", "3", "4"});
      case 'z':
        return random_.of(Words{"4096", "4096", "0", "1", "3"});
      case 'e':
        return std::to_string(random_.below(26));
      case 'q':
        return std::to_string(1 + random_.below(3));
      default:
        return "?";
    }
  }

  static std::string octal_word(unsigned mode) { return "0" + octal(mode); }

  void make_steps() {
    std::vector<const Operation*> choices;
    for (const Operation& operation : operations()) {
      if (!with(operation.name)) continue;
      if (std::string_view(operation.name) == "fork" && wanted_.processes < 2) continue;
      choices.insert(choices.end(), static_cast<size_t>(operation.weight), &operation);
    }
    std::vector<int> living = {0};
    const size_t by_kernel = with("by-kernel") && random_.percent(25) ? 1 + random_.below(20) : 0;
    for (size_t i = 0; i < wanted_.operations; i++) {
      const Operation& operation = *random_.of(choices);
      std::string words;
      for (const char* kind = operation.arguments; *kind != 0; kind++)
        words += " " + argument(*kind);
      if (std::string_view(operation.name) == "chdir" && random_.percent(40)) words = " {T}";
      const int process = random_.of(living);
      if (std::string_view(operation.name) == "fork") {
        const int target = words.back() - '0';
        if (target < wanted_.processes) living.push_back(target);
      }
      sequence_.steps.push_back(std::to_string(process) + " " + operation.name + words);
      if (i + 1 == by_kernel) {
        sequence_.steps.push_back("session by-kernel");
        living = {0};
      } else if (i > by_kernel && with("sessions") && random_.percent(1)) {
        sequence_.steps.push_back("session");
        living = {0};
      }
    }
    if (free_) run_freely();
  }

  static constexpr size_t kFreeProcesses = 4;

  const Wanted& wanted_;
  Random random_;
  Sequence sequence_;
  Words known_;
  bool free_ = false;  // processes run freely at the end
};

}  // namespace

const std::vector<Feature>& features() {
  static const std::vector<Feature> all = {
      {"hardlinks", "hard links in the layers"},
      {"symlinks", "symlinks in the layers"},
      {"specials", "FIFOs, sockets and devices in the layers"},
      {"acls", "access control lists"},
      {"chown", "other owners than that of the layers"},
      {"longnames", "names of 255 bytes in the layers"},
      {"overlong", "names of 256 bytes, and paths of 4,096"},
      {"unreadable", "files and directories in the layers that their owner may not read"},
      {"owners", "objects of other users in the layers"},
      {"free", "processes that work at the same time"},
      {"escapes", "xattrs that programs name like overlayfs's own"},
      {"exchange", "RENAME_EXCHANGE"},
      {"whiteout", "RENAME_WHITEOUT"},
      {"tmpfile", "O_TMPFILE"},
      {"by-kernel", "steps that the kernel does beforehand in both uppers"},
      {"sessions", "a second session on what the first one left"},
  };
  return all;
}

Sequence generate(const Wanted& wanted) { return Generator(wanted).make(); }

}  // namespace model
