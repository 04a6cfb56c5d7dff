// Random sequences of operations on an overlay and on a plain copy of its lower: results, errnos
// and trees must be the same after each. OVL_SEED and OVL_ROUNDS choose others than the few that
// always run. A failure names the seed and the operations so far.
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>

#include <map>
#include <random>
#include <set>

#include "tests/unit/names/names_test.h"

namespace ovl::testing {
namespace {

class Model : public NamesTest {
 protected:
  std::string plain(const std::string& rest = "") const { return root() + "/plain" + rest; }

  // --- the trees ---
  void fill(std::mt19937& random, const std::string& top) {
    std::filesystem::create_directories(top);
    for (int i = 0; i < 12; i++) {
      const std::string p = top + some_path(random, false);
      std::error_code ignored;
      switch (random() % 5) {
        case 0:
        case 1:
          std::filesystem::create_directories(p, ignored);
          break;
        case 2:
        case 3:
          std::filesystem::create_directories(std::filesystem::path(p).parent_path(), ignored);
          if (!exists(p) &&
              std::filesystem::is_directory(std::filesystem::path(p).parent_path(), ignored))
            write_file(p, std::string(random() % 3000, static_cast<char>('a' + i)),
                       random() % 4 ? 0644 : 0444);
          break;
        default:
          if (symlink(some_text(random, p.substr(top.size())).c_str(), p.c_str()) != 0) continue;
      }
    }
  }
  void make_plain() {
    const std::string command = "cp -a " + lower() + " " + plain();
    ASSERT_EQ(system(command.c_str()), 0);
    // A second lower lies below the first: what it has and the first doesn't hide.
    if (exists(root() + "/lower1")) {
      const std::string merge = "cp -an " + lower("", 1) + "/. " + plain() + "/ 2>/dev/null";
      if (system(merge.c_str()) != 0) return;
    }
  }

  static std::string some_path(std::mt19937& random, bool odd) {
    static const char* const kNames[] = {"a", "b", "c", "d", "e"};
    std::string p;
    for (int depth = 1 + static_cast<int>(random() % 3); depth > 0; depth--) {
      p += std::string("/") + kNames[random() % 5];
      if (odd && random() % 25 == 0) p += "/..";
      if (odd && random() % 25 == 0) p += "/.";
    }
    if (odd && random() % 15 == 0) p += "/";
    return p;
  }

  // Of a symlink that does not lead out of the tree.
  static std::string some_text(std::mt19937& random, const std::string& p) {
    const bool deep = p.find("/.") == std::string::npos && std::count(p.begin(), p.end(), '/') > 1;
    if (deep && random() % 2) return "../a";
    return random() % 2 ? "b/c" : "d";
  }

  // --- one operation on both ---
  static long with_errno(long r) { return r < 0 ? -errno : 0; }

  struct Both {
    std::string text;
    long native, ours;
  };

  Both step(std::mt19937& random) {
    const std::string p = some_path(random, true), q = some_path(random, true);
    const std::string np = plain(p), nq = plain(q);
    const mode_t mode = random() % 4 == 0 ? 0500 : random() % 3 == 0 ? 0444 : 0755;
    switch (random() % 14) {
      case 0:
        return {"mkdir " + p, with_errno(::mkdir(np.c_str(), mode | 0700)),
                make_dir(p, mode | 0700)};
      case 1:
        return {"rmdir " + p, with_errno(::rmdir(np.c_str())), remove_dir(p)};
      case 2:
      case 3:
        return {"unlink " + p, with_errno(::unlink(np.c_str())), remove(p)};
      case 4:
      case 5:
      case 6:
        return {"rename " + p + " " + q, with_errno(::rename(np.c_str(), nq.c_str())), move(p, q)};
      case 7: {
        const unsigned flags = random() % 2 ? RENAME_EXCHANGE : RENAME_NOREPLACE;
        return {"renameat2 " + p + " " + q + " " + std::to_string(flags),
                with_errno(::renameat2(AT_FDCWD, np.c_str(), AT_FDCWD, nq.c_str(), flags)),
                move(p, q, flags)};
      }
      case 8:
        return {"link " + p + " " + q, with_errno(::link(np.c_str(), nq.c_str())), make_link(p, q)};
      case 9: {
        const std::string text = some_text(random, p);
        return {"symlink " + p, with_errno(::symlink(text.c_str(), np.c_str())),
                make_symlink(text, p)};
      }
      case 10:
        return {"mkfifo " + p, with_errno(::mkfifo(np.c_str(), 0644)),
                make_node(p, S_IFIFO | 0644)};
      case 11: {
        const mode_t bits = random() % 2 ? 0644 : 0600;
        struct stat st;
        if (lstat(np.c_str(), &st) != 0 || !S_ISREG(st.st_mode)) return {"", 0, 0};
        return {"chmod " + p, with_errno(::chmod(np.c_str(), bits)),
                run<op_fchmodat2>(AT_FDCWD, path(p), bits, 0)};
      }
      default:
        return open_step(random, p);
    }
  }

  Both open_step(std::mt19937& random, const std::string& p) {
    static const int kFlags[] = {O_RDONLY,
                                 O_WRONLY,
                                 O_RDWR,
                                 O_WRONLY | O_CREAT,
                                 O_RDWR | O_CREAT | O_EXCL,
                                 O_WRONLY | O_TRUNC,
                                 O_RDWR | O_CREAT | O_TRUNC,
                                 O_WRONLY | O_APPEND,
                                 O_RDONLY | O_NOFOLLOW,
                                 O_RDONLY | O_DIRECTORY,
                                 O_RDONLY | O_CREAT,
                                 O_PATH | O_NOFOLLOW};
    const int flags = kFlags[random() % (sizeof kFlags / sizeof *kFlags)] | O_NONBLOCK;
    const mode_t mode = random() % 4 ? 0644 : 0444;
    const int native = ::open(plain(p).c_str(), flags, mode);
    Both both = {"open " + p + " " + std::to_string(flags), native < 0 ? -errno : 0, 0};
    const long ours = open_fd(p, flags, mode);
    both.ours = ours < 0 ? ours : 0;
    const std::string text(1 + random() % 9, static_cast<char>('A' + random() % 26));
    for (long fd : {static_cast<long>(native), ours}) {
      if (fd < 0) continue;
      struct stat st;
      const bool writes = (flags & O_ACCMODE) != O_RDONLY && (flags & O_PATH) == 0;
      if (!writes || fstat(static_cast<int>(fd), &st) != 0 || !S_ISREG(st.st_mode)) continue;
      EXPECT_EQ(write(static_cast<int>(fd), text.data(), text.size()),
                static_cast<ssize_t>(text.size()));
    }
    if (native >= 0) close(native);
    if (ours >= 0) close(static_cast<int>(ours));
    return both;
  }

  void play(unsigned seed, const Options& options) {
    std::mt19937 random(seed);
    for (int i = 0; i < options.lowers; i++) fill(random, lower("", i));
    if (HasFatalFailure()) return;
    make_plain();
    start(options);
    const std::string before = fingerprint();
    std::string log = "seed " + std::to_string(seed) + "\n";
    std::map<uint64_t, uint64_t> inodes;
    for (int i = 0; i < 120; i++) {
      const Both both = step(random);
      if (both.text.empty()) continue;
      log += both.text + " = " + std::to_string(both.native) + "\n";
      ASSERT_EQ(both.ours, both.native) << log;
      Seen natively, here;
      see_plain(plain(), &natively);
      see_overlay("", &here);
      ASSERT_EQ(differences(here, natively), "") << log;
      for (const auto& [ino, shown] : natively.inodes)
        ASSERT_TRUE(inodes.count(ino) == 0 || inodes[ino] == shown)
            << "an inode number changed: " << natively.paths[ino] << " " << inodes[ino] << " to "
            << shown << "\n"
            << log;
      inodes = natively.inodes;
      std::set<uint64_t> different;
      for (const auto& [ino, shown] : inodes)
        ASSERT_TRUE(different.insert(shown).second) << "one number for two\n" << log;
    }
    ASSERT_EQ(fingerprint(), before) << log;
    if (options.prefix != XattrPrefix::kTrusted) return;
    EXPECT_EQ(kernel_sees(options), "") << log;
  }

  // How a kernel mount of the layers differs from the plain copy.
  std::string kernel_sees(const Options& options) {
    int out[2];
    if (pipe(out) != 0) return "no pipe";
    const pid_t child = fork();
    if (child == 0) {
      const std::string text = in_a_mount(options);
      if (write(out[1], text.data(), text.size()) < 0) _exit(1);
      _exit(0);
    }
    close(out[1]);
    std::string text;
    char buffer[4096];
    for (ssize_t n; (n = read(out[0], buffer, sizeof buffer)) > 0;)
      text.append(buffer, static_cast<size_t>(n));
    close(out[0]);
    waitpid(child, nullptr, 0);
    return text;
  }

  std::string in_a_mount(const Options& options) {
    if (unshare(CLONE_NEWNS) != 0 ||
        mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0)
      return "";
    std::string data = "redirect_dir=on,metacopy=on,index=off,lowerdir=" + lower();
    if (options.lowers > 1) data += ":" + lower("", 1);
    data += ",upperdir=" + upper() + ",workdir=" + work();
    const std::string at_mount = root() + "/mount";
    std::filesystem::create_directories(at_mount);
    if (mount("overlay", at_mount.c_str(), "overlay", 0, data.c_str()) != 0)
      return errno == ENODEV || errno == EPERM ? "" : "mount: " + std::string(strerror(errno));
    Seen kernel, natively;
    see_real(at_mount, "", &kernel);
    see_real(plain(), "", &natively);
    return differences(kernel, natively);
  }
};

class ModelOf : public Model, public ::testing::WithParamInterface<int> {};

TEST_P(ModelOf, SameAsOnAPlainCopy) {
  const char* seed = getenv("OVL_SEED");
  const unsigned base = seed != nullptr ? static_cast<unsigned>(atoi(seed)) : 1000;
  const int i = GetParam();
  Options options;
  options.metacopy = i % 3 != 0;
  options.in_place = i % 2 == 0;
  options.can_whiteout_device = i % 5 != 0;
  options.lowers = i % 4 == 1 ? 2 : 1;
  // What the kernel follows, and reads the same.
  if (geteuid() == 0 && i % 5 != 0 && i % 7 != 0) options.prefix = XattrPrefix::kTrusted;
  play(base + static_cast<unsigned>(i), options);
}

int rounds() {
  const char* wanted = getenv("OVL_ROUNDS");
  return wanted != nullptr ? atoi(wanted) : 12;
}
INSTANTIATE_TEST_SUITE_P(Seeds, ModelOf, ::testing::Range(0, rounds()));

}  // namespace
}  // namespace ovl::testing
