// See create.h. Where nothing is in the way, the system call on the final name is the atomic step
// and the kernel does the rest: umask, default ACL, set-group-ID directories. Over a whiteout the
// object is made in the workdir and renamed over it; what it would have inherited it inherits there
// from a directory that is given the same to hand down.
#include "core/names/create.h"

#include "core/attr/attr.h"
#include "core/copy_up/marks.h"

namespace ovl {
namespace {

constexpr const char kDefaultAcl[] = "system.posix_acl_default";
constexpr size_t kAclMost = 4096;

// Does the directory hand down a group that its real counterpart would not?
bool hands_down_recorded_group(const Node& dir) {
  if ((dir.mode & S_ISGID) == 0) return false;
  return dir.gid != dir.real.stx_gid || (dir.real.stx_mode & S_ISGID) == 0;
}

// Where an object is made before it has its place: a temporary, or a name in a temporary directory.
class Nursery {
 public:
  Nursery(Op& op, const Node& dir) : op_(op), dir_(dir), temp_(op, *dir.overlay) {
    path_ = temp_.path();
  }
  ~Nursery() {
    if (!nested_ || published_) return;
    Result<void> r = sys_unlink(path_);
    if (!r.ok() && r.error() == EISDIR) ignore(sys_rmdir(path_));
  }
  Nursery(const Nursery&) = delete;
  Nursery& operator=(const Nursery&) = delete;

  CStr path() const { return path_; }

  // Makes what is made here inherit what it would in the directory.
  Result<void> inherit() {
    char* acl = op_.arena().array<char>(kAclMost);
    if (acl == nullptr) return Error(ENOMEM);
    Result<size_t> size = sys_lgetxattr(dir_.upper, kDefaultAcl, acl, kAclMost);
    if (!size.ok() && size.error() != ENODATA && size.error() != EOPNOTSUPP)
      return Error(size.error());
    const bool set_group = (dir_.real.stx_mode & S_ISGID) != 0;
    if (!size.ok() && !set_group) return {};
    TRY(make_own_directory(temp_.path()));
    nested_ = true;
    path_ = op_.arena().concat(temp_.path(), "/0");
    if (size.ok()) TRY(sys_lsetxattr(temp_.path(), kDefaultAcl, acl, size.value()));
    if (!set_group) return {};
    TRY(ignore_if(sys_chown(temp_.path(), static_cast<uid_t>(-1), dir_.real.stx_gid), EPERM));
    return sys_chmod(temp_.path(), 02700);
  }

  Result<void> publish(CStr upper, unsigned flags) {
    TRY(nested_ ? sys_rename(path_, upper, flags) : temp_.publish(upper, flags));
    published_ = true;
    // What was exchanged is a whiteout.
    if (nested_ && (flags & RENAME_EXCHANGE) != 0) ignore(sys_unlink(path_));
    return {};
  }

 private:
  Op& op_;
  const Node& dir_;
  Temp temp_;
  CStr path_;
  bool nested_ = false;
  bool published_ = false;
};

// What the object shows, where that isn't what it really has: the recorded group of a set-group-ID
// directory goes to what is made in it; a closed directory stays open to us.
Result<void> record(Op& op, const Node& dir, CStr real, bool hand_down_group) {
  StatX now;
  TRY(sys_lstat(real, &now));
  Shown shown = {now.stx_uid, now.stx_gid, now.stx_mode};
  if (hand_down_group) {
    shown.gid = dir.gid;
    if (S_ISDIR(now.stx_mode)) shown.mode |= S_ISGID;
  }
  return set_shown(op, *dir.overlay, Object::at(real), now, shown, Recorded::kNo);
}

Result<void> create_prepared(Op& op, const Node& dir, const Node& node, Creation& creation) {
  const bool directory = creation.directory();
  const bool whiteout = node.where == Where::kUpperWhiteout;
  Nursery nursery(op, dir);
  if (creation.kind() != Creation::Kind::kLink) TRY(nursery.inherit());
  TRY(creation.make(nursery.path()));
  const bool group = creation.kind() != Creation::Kind::kLink && hands_down_recorded_group(dir);
  if (group || creation.kind() == Creation::Kind::kClosedDirectory)
    TRY(record(op, dir, nursery.path(), group));
  else if (directory)
    TRY(keep_open_to_us(op, *dir.overlay, nursery.path()));
  if (directory && whiteout && TRY(lower_has(op, dir, base_name(node.virt))))
    TRY(mark_opaque(op, *dir.overlay, nursery.path()));
  if (!whiteout) return nursery.publish(node.upper, RENAME_NOREPLACE);
  return nursery.publish(node.upper, directory ? RENAME_EXCHANGE : 0);
}

}  // namespace

Result<void> create_at(Op& op, const Place& place, Creation& creation) {
  const Node* dir = TRY(copy_up_dir(op, *place.dir));
  const Node& node = *place.node;
  const bool inherits = creation.kind() != Creation::Kind::kLink;
  const bool as_it_is = creation.kind() != Creation::Kind::kClosedDirectory &&
                        !(inherits && hands_down_recorded_group(*dir));
  if (node.where == Where::kAbsent && as_it_is && creation.can_make(node.upper)) {
    TRY(creation.make(node.upper));
    // A umask may have closed it. If that has to stay so, it is there all the same.
    if (creation.directory()) ignore(keep_open_to_us(op, *dir->overlay, node.upper));
    return {};
  }
  return create_prepared(op, *dir, node, creation);
}

Result<void> create_name(Op& op, NamePath& target, Creation& creation) {
  const bool directory = creation.directory();
  const Walked& first = target.walked();
  TRY(may_create(op, first, Place{first.parent, first.node}, directory));
  Mutation mutation(op.session(), Mutation::Topology::kShared);
  TRY(target.settle());
  const Walked& walked = target.walked();
  if (walked.last != Last::kName) return Error(EEXIST);
  mutation.lock_dir(*walked.parent->overlay, walked.parent->virt);
  if (walked.parent->in_upper() && walked.node->where == Where::kAbsent) {
    // Whatever came into that place meanwhile, the system call finds it.
    Result<void> r = create_at(op, Place{walked.parent, walked.node}, creation);
    if (r.ok() || r.error() != EEXIST) return r;
  }
  const Place place = TRY(look_again(op, walked));
  TRY(may_create(op, walked, place, directory));
  return create_at(op, place, creation);
}

}  // namespace ovl
