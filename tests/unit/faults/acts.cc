// What may be done to an object or a name: all operations of core/ops/ops.def that change anything,
// or bring something to the upper for another reason.
#include <linux/fs.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>

#include "core/caller/followed.h"
#include "tests/unit/faults/scene.h"

namespace ovl::testing {
namespace {

constexpr timespec kThen[2] = {{1'600'000'000, 7}, {1'600'000'001, 8}};

const std::string kAccessList(
    "\x02\0\0\0"
    "\x01\0\x06\0\xff\xff\xff\xff"
    "\x02\0\x06\0\xdc\x05\0\0"
    "\x04\0\x04\0\xff\xff\xff\xff"
    "\x10\0\x06\0\xff\xff\xff\xff"
    "\x20\0\x04\0\xff\xff\xff\xff",
    44);

void open_reader(Scene& s) { s.fd = static_cast<int>(s.open_fd(s.x, O_RDONLY)); }

// A descriptor that has to follow the file first.
void open_stale(Scene& s) {
  open_reader(s);
  ASSERT_EQ(s.try_open(s.x, O_RDWR), 0);
  local_forget_followed();
}

long rename_to(Scene& s, const char* to, unsigned flags = 0) { return s.move(s.x, to, flags); }

long native_is_done(long result) { return result == Scene::kNative ? 0 : result; }

long open_of(Scene& s, int flags) { return s.try_open(s.x, flags, 0640); }

const Act kOpens[] = {
    {"open_to_read", kFile | kFifo, [](Scene& s) { return open_of(s, O_RDONLY | O_NONBLOCK); }},
    {"open_to_write", kFile, [](Scene& s) { return open_of(s, O_WRONLY); }},
    {"open_to_read_and_write", kFile | kFifo, [](Scene& s) { return open_of(s, O_RDWR); }},
    {"open_to_append", kFile, [](Scene& s) { return open_of(s, O_WRONLY | O_APPEND); }},
    {"open_and_truncate", kFile, [](Scene& s) { return open_of(s, O_RDWR | O_TRUNC); }},
    {"open_to_read_and_truncate", kFile, [](Scene& s) { return open_of(s, O_RDONLY | O_TRUNC); }},
    {"open_or_create", kFile, [](Scene& s) { return open_of(s, O_RDWR | O_CREAT); }},
    {"creat", kFile, [](Scene& s) { return open_of(s, O_WRONLY | O_CREAT | O_TRUNC); }},
    {"watch_for_changes", kFile | kDirectory, [](Scene& s) { return s.watch(s.x, IN_MODIFY); }},
    {"watch_for_reads", kFile | kDirectory, [](Scene& s) { return s.watch(s.x, IN_OPEN); }},
};

const Act kAttributes[] = {
    {"chmod", kFile | kFifo | kDirectory, [](Scene& s) { return s.chmod(s.x, 0600); }},
    {"chmod_to_setuid", kFile, [](Scene& s) { return s.chmod(s.x, 04711); }},
    {"chmod_to_closed", kFile | kDirectory, [](Scene& s) { return s.chmod(s.x, 0); }},
    {"fchmod", kFile | kDirectory, [](Scene& s) { return s.run<op_fchmod>(s.fd, mode_t{0604}); },
     open_reader},
    {"fchmod_stale", kFile, [](Scene& s) { return s.run<op_fchmod>(s.fd, mode_t{0604}); },
     open_stale},
    {"fstat_stale", kFile,
     [](Scene& s) {
       struct stat st;
       return native_is_done(s.run<op_fstat>(s.fd, UserBuf(&st)));
     },
     open_stale},
    {"chown", kObject, [](Scene& s) { return s.chown(s.x, 2345, 3456); }},
    {"fchown", kFile | kDirectory,
     [](Scene& s) { return s.run<op_fchown>(s.fd, uid_t{2345}, gid_t{3456}); }, open_reader},
    {"utimensat", kObject, [](Scene& s) { return s.set_times(s.x, kThen); }},
    {"futimens", kFile | kDirectory,
     [](Scene& s) {
       return s.run<op_utimensat>(s.fd, UserPath(nullptr), UserBuf(const_cast<timespec*>(kThen)),
                                  0);
     },
     open_reader},
    {"utime", kFile, [](Scene& s) { return s.run<op_utime>(s.path(s.x), UserBuf(nullptr)); }},
    {"truncate_to_nothing", kFile,
     [](Scene& s) { return s.run<op_truncate>(s.path(s.x), off_t{0}); }},
    {"truncate_shorter", kFile,
     [](Scene& s) { return s.run<op_truncate>(s.path(s.x), off_t{100}); }},
    {"truncate_longer", kFile,
     [](Scene& s) { return s.run<op_truncate>(s.path(s.x), off_t{9000}); }},
    {"setxattr", kFile | kDirectory, [](Scene& s) { return s.set_xattr(s.x, "user.new", "new"); }},
    {"fsetxattr", kFile,
     [](Scene& s) {
       return s.run<op_fsetxattr>(s.fd, UserPath("user.new"), Scene::buffer("new"), size_t{3}, 0);
     },
     open_reader},
    {"removexattr", kFile,
     [](Scene& s) { return s.run<op_removexattr>(s.path(s.x), UserPath("user.old")); }},
    {"fremovexattr", kFile,
     [](Scene& s) { return s.run<op_fremovexattr>(s.fd, UserPath("user.old")); }, open_reader},
    {"set_access_list", kFile | kDirectory,
     [](Scene& s) { return s.set_xattr(s.x, "system.posix_acl_access", kAccessList); }},
    {"remove_access_list", kFile,
     [](Scene& s) {
       return s.run<op_lremovexattr>(s.path(s.x), UserPath("system.posix_acl_access"));
     },
     [](Scene& s) { ASSERT_EQ(s.set_xattr(s.x, "system.posix_acl_access", kAccessList), 0); }},
    {"set_default_list", kDirectory,
     [](Scene& s) { return s.set_xattr(s.x, "system.posix_acl_default", kAccessList); }},
    {"set_capability", kFile,
     [](Scene& s) {
       const std::string none("\x01\0\0\x02\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20);
       return s.set_xattr(s.x, "security.capability", none);
     },
     nullptr, true},
    {"chattr", kFile,
     [](Scene& s) {
       int flags = FS_NODUMP_FL;
       return s.run<op_ioctl>(s.fd, FS_IOC_SETFLAGS, UserBuf(&flags));
     },
     open_reader},
};

void remove_gone(Scene& s) { ASSERT_EQ(s.remove("/e/absent"), 0); }
void copy_there(Scene& s) { ASSERT_EQ(s.try_open("/e/there", O_RDWR), 0); }
void hollow_out(Scene& s) {
  if (s.there("/e/full/in")) {
    ASSERT_EQ(s.remove("/e/full/in"), 0);
  }
}

const Act kNames[] = {
    {"unlink", kThing, [](Scene& s) { return s.remove(s.x); }},
    {"rmdir", kHollow, [](Scene& s) { return s.remove_dir(s.x); }},
    {"rename_beside", kObject,
     [](Scene& s) { return s.move(s.x, s.x.substr(0, s.x.rfind('/')) + "/renamed"); }},
    {"rename_away", kObject, [](Scene& s) { return rename_to(s, "/e/away"); }},
    {"rename_away_noreplace", kFile | kFull,
     [](Scene& s) { return rename_to(s, "/away", RENAME_NOREPLACE); }},
    {"rename_over_lower", kThing, [](Scene& s) { return rename_to(s, "/e/there"); }},
    {"rename_over_copy", kThing, [](Scene& s) { return rename_to(s, "/e/there"); }, copy_there},
    {"rename_over_link", kThing, [](Scene& s) { return rename_to(s, "/e/twin"); }},
    {"rename_over_whiteout", kObject, [](Scene& s) { return rename_to(s, "/e/absent"); },
     remove_gone},
    {"rename_over_directory", kDirectory, [](Scene& s) { return rename_to(s, "/e/void"); }},
    {"rename_over_emptied_directory", kDirectory, [](Scene& s) { return rename_to(s, "/e/full"); },
     hollow_out},
    {"exchange_with_file", kObject,
     [](Scene& s) { return rename_to(s, "/e/there", RENAME_EXCHANGE); }},
    {"exchange_with_link", kFile | kSymlink,
     [](Scene& s) { return rename_to(s, "/e/twin", RENAME_EXCHANGE); }},
    {"exchange_with_directory", kObject,
     [](Scene& s) { return rename_to(s, "/e/void", RENAME_EXCHANGE); }},
    {"link", kThing, [](Scene& s) { return s.make_link(s.x, "/e/link"); }},
    {"link_over_whiteout", kThing, [](Scene& s) { return s.make_link(s.x, "/e/absent"); },
     remove_gone},
    {"link_of_descriptor", kFile,
     [](Scene& s) {
       const std::string magic = "/proc/self/fd/" + std::to_string(s.fd);
       return native_is_done(s.run<op_linkat>(AT_FDCWD, UserPath(magic.c_str()), AT_FDCWD,
                                              s.path("/e/link"), AT_SYMLINK_FOLLOW));
     },
     open_reader},
    {"create_in_it", kDirectory,
     [](Scene& s) { return s.try_open(s.x + "/made", O_CREAT | O_EXCL | O_RDWR, 0640); }},
    {"mkdir_in_it", kDirectory, [](Scene& s) { return s.make_dir(s.x + "/made"); }},
    {"unnamed_file_in_it", kDirectory,
     [](Scene& s) { return s.try_open(s.x, O_TMPFILE | O_RDWR, 0640); }},
    {"remove_from_it", kFull, [](Scene& s) { return s.remove(s.x + "/in"); }},
};

const Act kNew[] = {
    {"create", kName, [](Scene& s) { return open_of(s, O_CREAT | O_EXCL | O_RDWR); }},
    {"create_and_truncate", kName,
     [](Scene& s) { return open_of(s, O_CREAT | O_TRUNC | O_WRONLY); }},
    {"create_closed", kName, [](Scene& s) { return s.try_open(s.x, O_CREAT | O_WRONLY, 0); }},
    {"mkdir", kName, [](Scene& s) { return s.make_dir(s.x); }},
    {"mkdir_closed", kName, [](Scene& s) { return s.make_dir(s.x, 0); }},
    {"symlink", kName, [](Scene& s) { return s.make_symlink("text", s.x); }},
    {"mkfifo", kName, [](Scene& s) { return s.make_node(s.x, S_IFIFO | 0640); }},
    {"mknod_file", kName, [](Scene& s) { return s.make_node(s.x, S_IFREG | 0640); }},
    {"mknod_device", kName,
     [](Scene& s) {
       return s.make_node(s.x, S_IFCHR | 0640, static_cast<unsigned>(makedev(1, 3)));
     },
     nullptr, true},
    {"bind", kName, [](Scene& s) { return s.bind_socket(s.x); }},
    {"link_unnamed_file", kName,
     [](Scene& s) { return s.link_unnamed(s.x.substr(0, s.x.rfind('/')), s.x); }},
    {"link_lower_file", kName, [](Scene& s) { return s.make_link("/f", s.x); }},
    {"link_link", kName, [](Scene& s) { return s.make_link("/twin", s.x); }},
    {"move_lower_file", kName, [](Scene& s) { return s.move("/f", s.x); }},
    {"move_lower_directory", kName, [](Scene& s) { return s.move("/g", s.x); }},
    {"move_new_file", kName, [](Scene& s) { return s.move("/new", s.x); },
     [](Scene& s) { ASSERT_EQ(s.write_new("/new", "new"), 0); }},
    {"move_new_directory", kName, [](Scene& s) { return s.move("/new", s.x); },
     [](Scene& s) { ASSERT_EQ(s.make_dir("/new"), 0); }},
};

}  // namespace

const std::vector<Act>& acts() {
  static const std::vector<Act> all = [] {
    std::vector<Act> list;
    for (const Act& act : kOpens) list.push_back(act);
    for (const Act& act : kAttributes) list.push_back(act);
    for (const Act& act : kNames) list.push_back(act);
    for (const Act& act : kNew) list.push_back(act);
    return list;
  }();
  return all;
}

}  // namespace ovl::testing
