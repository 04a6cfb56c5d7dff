#include "tests/model/stage.h"

#include <errno.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

namespace model {
namespace {

constexpr unsigned kOrdinary = 65500;  // owns nothing else

void make_directory(const std::string& path, Owner owner) {
  if ((mkdir(path.c_str(), 0755) < 0 && errno != EEXIST) ||
      (geteuid() == 0 && chown(path.c_str(), owner.uid, owner.gid) < 0))
    throw Skipped{fmt::format("no directory {}: {}", path, strerror(errno))};
}

// A program of the system; what it says is shown where it fails.
bool run(const std::string& command) {
  FILE* pipe = popen((command + " 2>&1").c_str(), "r");
  if (pipe == nullptr) return false;
  std::string said;
  char line[256];
  while (fgets(line, sizeof line, pipe) != nullptr) said += line;
  if (pclose(pipe) == 0) return true;
  fmt::print("{}: {}\n", command, said);
  return false;
}

const Sequence& outside() {
  static const Sequence sequence = Sequence::parse(
      "tree 0 dir dir 0755\n"
      "tree 0 file dir/f 0644 10:1\n"
      "tree 0 file file 0644 20:2\n"
      "tree 0 symlink back 0 {T}/a\n");
  return sequence;
}

// The driver's mounts are its own and go away with it.
void enter_own_mounts() {
  static bool entered = false;
  if (entered) return;
  if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) < 0)
    throw Skipped{fmt::format("no mount namespace: {}", strerror(errno))};
  entered = true;
}

}  // namespace

Stage::Stage(const Variant& variant) : variant_(variant) {
  const bool root = geteuid() == 0;
  owner_ = root && !variant.as_root ? Owner{kOrdinary, kOrdinary} : Owner{geteuid(), getegid()};
  if (!root && variant.kernel == Kernel::kRoot) throw Skipped{"not root"};
  const char* temporary = getenv("TMPDIR");
  // Memory, where there is some: a copy-up is synced, and that is none of what is tested here.
  std::string pattern = std::string(root && access("/dev/shm", W_OK) == 0 ? "/dev/shm"
                                    : temporary != nullptr                ? temporary
                                                                          : "/tmp") +
                        "/ovlrun-model.XXXXXX";
  if (mkdtemp(pattern.data()) == nullptr) throw Skipped{"no temporary directory"};
  top_ = pattern;
  chmod(top_.c_str(), 0755);
  upper_ = lower_ = top_;
  if (root) {
    enter_own_mounts();
    upper_ = mount_image(variant.upper, "upper");
    lower_ = upper_;
    if (std::string(variant.lower) == "ext4") lower_ = mount_image("ext4", "lower");
  }
}

Stage::~Stage() {
  if (packed()) unpack_layers();
  for (const char* name : {"/lower", "/upper"}) umount2((top_ + name).c_str(), MNT_DETACH);
  try {
    remove_tree(top_);
  } catch (const std::exception&) {
    // It is only rubbish in a temporary directory.
  }
}

std::string Stage::mount_image(const std::string& type, const std::string& name) {
  const std::string at = top_ + "/" + name, image = at + ".image";
  if (mkdir(at.c_str(), 0755) < 0) throw Skipped{"no directory " + at};
  if (type == "tmpfs") {
    if (mount("tmpfs", at.c_str(), "tmpfs", 0, "mode=755") < 0) throw Skipped{"no tmpfs"};
    return at;
  }
  static const struct {
    const char* type;
    const char* make;
    const char* options;
  } kTypes[] = {{"ext4", "mkfs.ext4 -q -F -m 0 -E lazy_itable_init=1,nodiscard", "acl,user_xattr"},
                {"xfs", "mkfs.xfs -q -f -m reflink=1", ""},
                {"btrfs", "mkfs.btrfs -q -f", ""}};
  for (const auto& known : kTypes) {
    if (type != known.type) continue;
    if (!run("truncate -s 512M " + image)) throw Skipped{"no room for an image"};
    if (!run(fmt::format("PATH=/usr/sbin:/sbin:$PATH {} {}", known.make, image)))
      throw Skipped{fmt::format("no mkfs of {}", type)};
    if (!run(fmt::format("mount -o loop{}{} {} {}", *known.options ? "," : "", known.options, image,
                         at)))
      throw Skipped{fmt::format("no mount of {}", type)};
    unlink(image.c_str());  // whatever ends this program, it goes away with the mount
    chmod(at.c_str(), 0755);
    return at;
  }
  throw Skipped{"no such file system: " + type};
}

std::string Stage::layer_to_make(int i) const {
  if (packed()) return fmt::format("{}/content{}", top_, i);
  return variant_.lowers == 1 ? tree() : fmt::format("{}/l{}", lower_, i);
}
std::string Stage::layer(int i) const {
  return packed() ? fmt::format("{}/packed{}", top_, i) : layer_to_make(i);
}
std::string Stage::kernels_layer(int i) const {
  return variant_.lowers == 1 && !packed() ? real_around() + "/q/m/T" : layer(i);
}

void Stage::unpack_layers() {
  for (int i = 0; i < variant_.lowers; i++) umount2(layer(i).c_str(), MNT_DETACH);
}

void Stage::pack_layers(const std::string& type) {
  for (int i = 0; i < variant_.lowers; i++) {
    const std::string image = layer(i) + ".image";
    unlink(image.c_str());
    const std::string command =
        type == "squashfs"
            ? fmt::format("mksquashfs {} {} -noappend -no-progress", layer_to_make(i), image)
            : fmt::format("mkfs.erofs {} {}", image, layer_to_make(i));
    if (!run("PATH=/usr/sbin:/sbin:$PATH " + command)) throw Skipped{"no mkfs of " + type};
    make_directory(layer(i), owner_);
    if (!run(fmt::format("mount -o loop,ro {} {}", image, layer(i))))
      throw Skipped{"no mount of " + type};
    unlink(image.c_str());
  }
}

void Stage::make_surroundings() {
  for (const std::string& around : {this->around(), kernels_around()}) {
    if (access(around.c_str(), F_OK) == 0) remove_tree(around);
    for (const char* below : {"", "/q", "/q/m", "/q/m/T"}) make_directory(around + below, owner_);
    const std::string out = around + "/q/m/out";
    make_directory(out, owner_);
    make_layer(outside(), 0, out, tree(), owner_);
  }
}

void Stage::make(const Sequence& sequence) {
  if (packed()) unpack_layers();
  for (const char* side : {"ours", "kernel"}) {
    for (const std::string& path : {upper(side), upper(side) + ".work"}) {
      if (access(path.c_str(), F_OK) == 0) remove_tree(path);
      make_directory(path, owner_);
    }
  }
  make_surroundings();
  make_directory(real_around(), owner_);
  for (int i = 0; i < variant_.lowers; i++) {
    const std::string layer = layer_to_make(i);
    if ((variant_.lowers > 1 || packed()) && access(layer.c_str(), F_OK) == 0) remove_tree(layer);
    make_directory(layer, owner_);
    make_layer(sequence, i, layer, tree(), owner_);
  }
  if (packed()) pack_layers(variant_.lower);
  // The kernel shows the upper's own root; ovlrun begins a new one as the lower's.
  struct stat root;
  if (stat(layer(0).c_str(), &root) == 0) {
    const timespec times[2] = {root.st_atim, root.st_mtim};
    for (const char* side : {"ours", "kernel"}) utimensat(AT_FDCWD, upper(side).c_str(), times, 0);
  }
  layers_made_ = 0;
  for (int i = 0; i < variant_.lowers; i++) layers_made_ += fingerprint(layer(i));
}

bool Stage::layers_are_unchanged() const {
  uint64_t now = 0;
  for (int i = 0; i < variant_.lowers; i++) now += fingerprint(layer(i));
  return now == layers_made_;
}

}  // namespace model
