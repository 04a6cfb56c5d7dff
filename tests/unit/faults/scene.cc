// See scene.h.
#include "tests/unit/faults/scene.h"

#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "core/walk/lookup.h"

namespace ovl::testing {
namespace {

// A time of access that lies ahead is not moved by reading (relatime).
constexpr time_t kOldChange = 1'000'000'000, kOldAccess = 2'100'000'000;

std::string old_or_new(const statx_timestamp& t, time_t old) {
  return t.tv_sec == old ? std::to_string(t.tv_nsec) : "new";
}

}  // namespace

void Scene::make_real(const std::string& real, const std::string& content) {
  switch (kind) {
    case kFile:
      write_file(real, content);
      ASSERT_EQ(setxattr(real.c_str(), "user.old", "old", 3, 0), 0);
      break;
    case kFull:
      std::filesystem::create_directories(real + "/sub");
      write_file(real + "/in", content);
      break;
    case kHollow:
      std::filesystem::create_directories(real);
      break;
    case kSymlink:
      ASSERT_EQ(symlink("other", real.c_str()), 0);
      break;
    case kFifo:
      ASSERT_EQ(mkfifo(real.c_str(), 0644), 0);
      break;
    default:
      break;
  }
}

void Scene::make_here(const std::string& virt) {
  switch (kind) {
    case kFile:
      ASSERT_EQ(write_new(virt, std::string(5000, 'n')), 0);
      ASSERT_EQ(set_xattr(virt, "user.old", "old"), 0);
      break;
    case kFull:
      ASSERT_EQ(make_dir(virt), 0);
      ASSERT_EQ(write_new(virt + "/in", "new"), 0);
      break;
    case kHollow:
      ASSERT_EQ(make_dir(virt), 0);
      break;
    case kSymlink:
      ASSERT_EQ(make_symlink("other", virt), 0);
      break;
    case kFifo:
      ASSERT_EQ(make_node(virt, S_IFIFO | 0644), 0);
      break;
    default:
      break;
  }
}

void Scene::touch(const std::string& virt) {
  const timespec times[2] = {{kOldAccess, 5}, {kOldChange, 5}};
  ASSERT_EQ(set_times(virt, times), 0);
}

long Scene::set_times(const std::string& p, const timespec times[2]) {
  return run<op_utimensat>(AT_FDCWD, path(p), UserBuf(const_cast<timespec*>(times)),
                           AT_SYMLINK_NOFOLLOW);
}

long Scene::bind_socket(const std::string& p) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  const std::string virt = at(p);
  if (virt.size() >= sizeof address.sun_path) return -ENAMETOOLONG;
  memcpy(address.sun_path, virt.c_str(), virt.size() + 1);
  const int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const long r = run<op_bind>(s, UserBuf(&address), static_cast<unsigned>(sizeof address));
  close(s);
  return r;
}

long Scene::link_unnamed(const std::string& dir, const std::string& p) {
  const long file = open_fd(dir, O_TMPFILE | O_RDWR, 0640);
  if (file < 0) return file;
  const long r =
      run<op_linkat>(static_cast<int>(file), UserPath(""), AT_FDCWD, path(p), AT_EMPTY_PATH | 0);
  close(static_cast<int>(file));
  return r;
}

long Scene::watch(const std::string& p, unsigned mask) {
  const int events = inotify_init1(IN_CLOEXEC);
  const long r = run<op_inotify_add_watch>(events, path(p), mask);
  close(events);
  return r < 0 ? r : 0;
}

void Scene::close_all() {
  for (int* one : {&fd, &other_fd}) {
    if (*one >= 0) close(*one);
    *one = -1;
  }
}

void Scene::give_old_times(const std::string& top) const {
  long number = 0;
  const auto give = [&](const std::string& real) {
    number++;
    const timespec times[2] = {{kOldAccess, number}, {kOldChange, number}};
    ASSERT_EQ(utimensat(AT_FDCWD, real.c_str(), times, AT_SYMLINK_NOFOLLOW), 0) << real;
  };
  // The same ones in each run.
  std::vector<std::string> all = {top};
  for (const auto& entry : std::filesystem::recursive_directory_iterator(top))
    all.push_back(entry.path());
  std::sort(all.begin(), all.end());
  for (const std::string& real : all)
    if (!is_whiteout(real)) give(real);
}

// Asks for them only where there is one that is none of ours.
std::string Scene::xattrs(const std::string& p, const char* real) {
  char names[4096], value[4096];
  ssize_t n = llistxattr(real, names, sizeof names);
  bool any = false;
  for (const char* name = names; name < names + n; name += strlen(name) + 1)
    any = any || (strncmp(name, "user.overlay.", 13) != 0 &&
                  strcmp(name, this->name(Priv::kOverrideStat)) != 0);
  if (!any) return "";
  n = run<op_llistxattr>(path(p), UserBuf(names), sizeof names);
  if (n < 0) return "E" + std::to_string(-n);
  std::map<std::string, std::string> all;
  for (const char* name = names; name < names + n; name += strlen(name) + 1) {
    const long size = run<op_lgetxattr>(path(p), UserPath(name), UserBuf(value), sizeof value);
    all[name] = size < 0 ? "E" + std::to_string(-size)
                         : std::to_string(std::hash<std::string>()(
                               std::string(value, static_cast<size_t>(size))));
  }
  std::string text;
  for (const auto& [name, hash] : all) text += " " + name + "=" + hash;
  return text;
}

// Inode numbers of the lowers are the same in each run; the upper's own are told by the first path
// that has them.
void Scene::see(Op& op, const Node& node, uint64_t listed, const std::string& p, Seeing* seeing) {
  StatX st;
  if (!shown_stat(op, node, &st).ok()) {
    seeing->both(p + " can't be looked at\n");
    return;
  }
  if (listed != 0 && st.stx_ino != listed)
    seeing->both(p + " is listed with another inode number\n");
  std::string content;
  if (S_ISREG(st.stx_mode)) {
    const std::string data = read_file(node.data().c_str());
    content =
        std::to_string(data.size()) + ":" + std::to_string(std::hash<std::string>()(data) % 100000);
  }
  if (S_ISLNK(st.stx_mode)) content = std::filesystem::read_symlink(node.top().c_str());
  const bool dir = S_ISDIR(st.stx_mode);
  const std::string number = known_.count(st.stx_ino) != 0
                                 ? std::to_string(st.stx_ino)
                                 : "of " + seeing->first.emplace(st.stx_ino, p).first->second;
  char text[512];
  snprintf(text, sizeof text, "%s %o %u:%u dev %u:%u size %lu links %u ino %s", p.c_str(),
           st.stx_mode, st.stx_uid, st.stx_gid, st.stx_rdev_major, st.stx_rdev_minor,
           dir ? 0 : static_cast<unsigned long>(st.stx_size), dir ? 0 : st.stx_nlink,
           number.c_str());
  seeing->both(text);
  seeing->both(" atime " + old_or_new(st.stx_atime, kOldAccess) + " mtime ");
  seeing->tree.exact += old_or_new(st.stx_mtime, kOldChange);
  seeing->tree.any += dir ? "any" : old_or_new(st.stx_mtime, kOldChange);
  seeing->both(" " + content + (S_ISLNK(st.stx_mode) ? "" : xattrs(p, node.top().c_str())) + "\n");
  if (!dir) return;
  MergedListing listing;
  if (!listing.load(op, node).ok()) {
    seeing->both(p + " can't be listed\n");
    return;
  }
  std::map<std::string, uint64_t> names;
  for (uint32_t i = 2; i < listing.size(); i++) names[listing[i].name] = listing[i].ino;
  for (const auto& [n, ino] : names) {
    const Result<const Node*> child = lookup(op, node, Str(n.data(), n.size()), Search::kUnchecked);
    if (child.ok() && child.value()->exists())
      see(op, *child.value(), ino, p + "/" + n, seeing);
    else
      seeing->both(p + "/" + n + " can't be found\n");
  }
}

Tree Scene::tree() {
  if (known_.empty())
    for (const auto& top : std::filesystem::directory_iterator(root())) {
      if (top.path().filename().string().rfind("lower", 0) != 0) continue;
      known_.insert(real(top.path()).st_ino);
      for (const auto& entry : std::filesystem::recursive_directory_iterator(top))
        known_.insert(real(entry.path()).st_ino);
    }
  Seeing seeing;
  Op op(caller(), session());
  const std::string virt = at();
  const Result<const Node*> top = node_at(op, Str(virt.data(), virt.size()));
  if (top.ok())
    see(op, *top.value(), 0, "", &seeing);
  else
    seeing.both("the root can't be found\n");
  return seeing.tree;
}

}  // namespace ovl::testing
