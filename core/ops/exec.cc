// execve(2), execveat(2). The kernel opens the file, the "#!" interpreter and the program
// interpreter itself and sees only real paths; so each of them is resolved here, and where the
// kernel's own view would differ it is given real ones. Kernel counterpart: fs/exec.c,
// load_script(), load_elf_binary().
#include <limits.h>

#include "core/attr/attr.h"
#include "core/caller/descriptor_link.h"
#include "core/copy_up/copy_up.h"
#include "core/exec/environment.h"
#include "core/exec/image.h"
#include "core/exec/libraries.h"
#include "core/ops/ops.h"
#include "core/walk/walk.h"

namespace ovl {
namespace {

constexpr int kInterpretersMost = 5;  // as deep as the kernel goes

// A file to execute: how to name it to the kernel, and whether the kernel would have found it by
// the program's own words.
struct Target {
  int dirfd = AT_FDCWD;
  CStr file;      // real
  int flags = 0;  // AT_EMPTY_PATH, AT_SYMLINK_NOFOLLOW: only with the program's own words
  bool kernel_sees = false;
  CStr virt;  // as programs see it; empty: outside, and only by the program's own words
};

// Mostly all that is asked for stands in the file's beginning, which is read once.
class FileSource : public ByteSource {
 public:
  explicit FileSource(int fd) : fd_(fd) {}
  Result<size_t> read(void* out, size_t size, uint64_t offset) override {
    if (size_ == 0) size_ = TRY(sys_pread(fd_, head_, sizeof head_, 0));
    if (offset > size_ || size > size_ - offset)
      return sys_pread(fd_, out, size, static_cast<off_t>(offset));
    memcpy(out, head_ + offset, size);
    return size;
  }

 private:
  int fd_;
  size_t size_ = 0;
  char head_[1024];
};

bool same_file(const At& a, int a_flags, CStr b) {
  StatX x, y;
  return sys_statx(a, a_flags | AT_NO_AUTOMOUNT, &x).ok() &&
         sys_statx(b, AT_NO_AUTOMOUNT, &y).ok() && x.stx_ino == y.stx_ino &&
         x.stx_dev_minor == y.stx_dev_minor && x.stx_dev_major == y.stx_dev_major;
}

// The node's file as the kernel can execute it.
Result<CStr> executable_file(Op& op, const Node& found) {
  const Node* node = &found;
  if (!node->is_regular()) return Error(EACCES);
  TRY(may(op, *node, 1 /* X_OK */));
  if (!node->index.empty()) node = TRY(copy_up(op, *node, Data::kNone));  // it gets its name
  if (node->metacopy()) node = TRY(copy_up(op, *node, Data::kAll));       // its mode is the upper's
  return node->data();
}

// A name for `real` that keeps what programs see of it (comm is the last name of the path): the
// symlink that was called, where the kernel goes from it to the same file.
Result<CStr> called_name(Op& op, int dirfd, CStr path, CStr real) {
  Walked link = TRY(walk(op, dirfd, path, kParent));
  if (link.native || link.outside() || !link.node->is_symlink()) return real;
  return same_file(link.node->top(), 0, real) ? link.node->top() : real;
}

Result<Target> resolve(Op& op, int dirfd, CStr path, int flags) {
  Target target;
  const unsigned walk_flags = ((flags & AT_SYMLINK_NOFOLLOW) ? 0u : unsigned{kFollow}) |
                              ((flags & AT_EMPTY_PATH) ? unsigned{kEmptyPath} : 0u);
  Walked w = TRY(walk_existing(op, dirfd, path, walk_flags));
  if (w.native) return Target{dirfd, path, flags, true};
  if (w.outside()) {
    target.file = target.virt = w.outside_path;
    return target;
  }
  if (w.node->is_symlink()) return Error(ELOOP);
  const CStr real = TRY(executable_file(op, *w.node));
  target.virt = w.node->virt;
  target.kernel_sees = real == Str(w.node->virt);
  // By the program's own words where the kernel gets there by them: a script's $0 is what it was
  // called.
  if (target.kernel_sees && same_file(op.caller().reach(op.arena(), dirfd, path), flags, real)) {
    target.dirfd = dirfd;
    target.file = path;
    target.flags = flags;
    return target;
  }
  target.kernel_sees = false;
  target.file = path.empty() ? real : TRY(called_name(op, dirfd, path, real));
  return target;
}

Result<Image> inspect_open(Op& op, int fd) {
  FileSource source(fd);
  Image image = TRY(inspect_image(op.arena(), source));
  // With a supervisor the loader finds an upper's libraries by itself.
  if (image.kind == ImageKind::kDynamic && op.session().segment().supervised == 0)
    image.run_path = TRY(run_path(op.arena(), source));
  return image;
}

// The file for reading, also where only an O_PATH descriptor of it is at hand.
Result<UniqueFd> open_to_read(Op& op, const Target& target) {
  if ((target.flags & AT_EMPTY_PATH) == 0 || !target.file.empty())
    return sys_openat(op.caller().reach(op.arena(), target.dirfd, target.file),
                      O_RDONLY | O_NONBLOCK);
  BorrowedFd borrowed = TRY(op.caller().borrow(target.dirfd));
  return sys_openat(descriptor_link(op.arena(), borrowed.get()), O_RDONLY | O_NONBLOCK);
}

Result<Image> inspect(Op& op, const Target& target) {
  Result<UniqueFd> fd = open_to_read(op, target);
  if (!fd.ok() && fd.error() == EACCES) {
    // Executable but not readable: only the kernel can look into it, and into its memory.
    TRY(sys_faccessat2(op.caller().reach(op.arena(), target.dirfd, target.file), 1 /* X_OK */,
                       AT_EACCESS));
    return Image{ImageKind::kUnreadable};
  }
  if (!fd.ok()) return Error(fd.error());
  StatX st;
  TRY(sys_fstat(fd.value().get(), &st));
  if (!S_ISREG(st.stx_mode)) return Error(EACCES);
  return inspect_open(op, fd.value().get());
}

bool is_glibc_loader(Str path) {
  const Str name = base_name(path);
  return name.starts_with("ld-linux-x86-64.so") || name.starts_with("ld-linux-aarch64.so") ||
         (name.starts_with("ld-2.") && name.back() == 'o');
}

// Can the preload object follow this program?
const char* why_not_covered(const Image& image, const Target& target) {
  switch (image.kind) {
    case ImageKind::kDynamic:
      return is_glibc_loader(image.interpreter) ? nullptr
                                                : "is linked with another C library than glibc";
    case ImageKind::kLoader:
      return is_glibc_loader(target.file) ? nullptr : "is statically linked";
    case ImageKind::kForeign:
      return "is for another architecture";
    case ImageKind::kUnreadable:
      return "can't be read";
    default:
      return nullptr;
  }
}

Outcome refuse(Op& op, CStr file, const char* reason) {
  const CStr line = op.arena().concat(
      "ovlrun: ", op.arena().concat(file, " ", reason, ", and can't be followed: "),
      "use --allow-uncovered to run it without the overlay\n");
  if (line.data() != nullptr) op.caller().complain(line);
  return Error(EPERM);
}

// Which of the dynamic loader's arguments is the program; argv.count: none, or one that it searches
// for itself.
size_t program_argument(const Vector& argv) {
  static constexpr const char* kWithValue[] = {"--library-path",
                                               "--glibc-hwcaps-prepend",
                                               "--glibc-hwcaps-mask",
                                               "--inhibit-rpath",
                                               "--audit",
                                               "--preload",
                                               "--argv0"};
  for (size_t i = 1; i < argv.count; i++) {
    const Str word = CStr(argv.items[i]);
    if (!word.starts_with("--")) return word.find('/') == SIZE_MAX ? argv.count : i;
    for (const char* option : kWithValue)
      if (word == Str(option)) {
        i++;
        break;
      }
  }
  return argv.count;
}

// One execve, with the vectors as they change on the way through interpreters.
class Exec {
 public:
  Exec(Op& op, Vector argv, Vector env) : op_(op), argv_(argv), env_(env) {}

  // `spelled`: what a script is called for its interpreter. `by_fd`: that is below this descriptor,
  // or -1.
  Outcome run(Target target, CStr spelled, int by_fd) {
    first_ = target;
    first_argv_ = argv_;
    called_ = spelled;
    for (int depth = 0; depth < kInterpretersMost; depth++) {
      Result<Image> inspected = inspect(op_, target);
      if (!inspected.ok() && inspected.error() != ENOEXEC) return Error(inspected.error());
      const Image image = inspected.ok() ? inspected.value() : Image();
      const char* reason = why_not_covered(image, target);
      covered_ = reason == nullptr;
      if (!covered_ && (!supervised() || image.kind == ImageKind::kUnreadable)) {
        if (!op_.session().segment().allow_uncovered) return refuse(op_, spelled, reason);
        return execute(target);
      }
      if (image.kind == ImageKind::kLoader) {
        const Vector called = argv_;
        if (!supervised()) TRY(name_program());
        return argv_.items == called.items ? execute(target) : execute_as(target, argv_, false);
      }
      if (image.interpreter.empty()) return execute(target);
      Target interpreter = TRY(resolve(op_, AT_FDCWD, image.interpreter, 0));
      if (image.kind != ImageKind::kScript) {
        if (!supervised())
          libraries_ =
              TRY(library_path(op_, target.virt, image.run_path, variable(env_, kLibraryVariable)));
        if (interpreter.kernel_sees) return execute(target);
        return through_loader(interpreter, TRY(opened_by_loader(target, spelled)));
      }
      // The interpreter could not open it. Kernel counterpart: BINPRM_FLAGS_PATH_INACCESSIBLE.
      if (depth == 0 && by_fd >= 0 && op_.caller().closes_on_exec(by_fd)) return Error(ENOENT);
      kernel_sees_ = kernel_sees_ && target.kernel_sees;
      TRY(prepend_interpreter(image, spelled));
      spelled = image.interpreter;
      target = interpreter;
    }
    return Error(ELOOP);
  }

 private:
  bool supervised() const { return op_.session().segment().supervised != 0; }

  // Can the program open the session, which is its owner's alone? Not where root has started it and
  // this task has become another user. (Capabilities that it holds go with the exec.)
  bool may_attach() const {
    const uid_t uid = op_.caller().credentials().fsuid;
    StatX st;
    return uid == 0 || (sys_lstat(op_.session().path(), &st).ok() && st.stx_uid == uid);
  }

  // The file at the end of the chain. Where the kernel finds all of the chain by the program's own
  // words, it goes through it by itself: then comm stays the script's name.
  Outcome execute(const Target& target) {
    if (kernel_sees_ && target.kernel_sees) return execute_as(first_, first_argv_, true);
    return execute_as(target, argv_, false);
  }

  Outcome execute_as(const Target& target, const Vector& argv, bool as_called) {
    const bool preload = covered_ && op_.session().segment().preload != 0 &&
                         op_.caller().may_preload() && (!supervised() || may_attach());
    CStr file = target.file;
    Str called;
    if (!as_called && TRY(make_room(&file))) called = called_;
    const Vector env = preload ? TRY(session_environment(op_, env_, libraries_, called))
                               : TRY(plain_environment(op_, env_));
    if (as_called && env.items == env_.items) return Outcome::native();
    if (preload) called = Str();  // it sees to that itself
    return op_.caller().execute(
        ExecRequest{target.dirfd, file, target.flags, argv.items, env.items, called});
  }

  // The kernel shows the program what it was given as the file (AT_EXECFN). Another name may take
  // its place where it is as long: slashes that mean nothing make it so. False: nothing is to be
  // shown, or there is no way.
  Result<bool> make_room(CStr* file) {
    if (*file == called_ || file->empty()) return false;
    if (file->size() >= called_.size()) return true;
    const bool relative = (*file)[0] != '/';
    size_t missing = called_.size() - file->size();
    if (relative && missing == 1) missing = 2;
    if (file->size() + missing >= PATH_MAX) return false;
    char* room = op_.arena().array<char>(file->size() + missing + 1);
    if (room == nullptr) return Error(ENOMEM);
    memset(room, '/', missing);
    if (relative) room[0] = '.';
    memcpy(room + missing, file->c_str(), file->size() + 1);
    *file = CStr(room, file->size() + missing);
    return true;
  }

  // A dynamic loader that is run by hand (ldd does so) opens its program itself: it is told the
  // real path.
  Result<void> name_program() {
    const size_t at = program_argument(argv_);
    if (at == argv_.count) return {};
    const CStr path = CStr(argv_.items[at]);
    Result<Walked> found = walk_existing(op_, AT_FDCWD, path, kFollow);
    if (!found.ok()) return {};  // the loader says so itself
    const Walked& w = found.value();
    if (w.node != nullptr && !w.outside() && !w.node->is_regular()) return {};
    const CStr real = w.native ? path : w.outside() ? w.outside_path : w.node->data();
    const CStr virt = w.native ? CStr("") : w.node->virt;
    Result<UniqueFd> fd =
        sys_openat(op_.caller().reach(op_.arena(), AT_FDCWD, real), O_RDONLY | O_NONBLOCK);
    if (!fd.ok()) return {};
    Result<Image> image = inspect_open(op_, fd.value().get());
    if (!image.ok()) return {};
    libraries_ =
        TRY(library_path(op_, virt, image.value().run_path, variable(env_, kLibraryVariable)));
    if (same_file(op_.caller().reach(op_.arena(), AT_FDCWD, path), 0, real)) return {};
    char** items = op_.arena().array<char*>(argv_.count + 3);
    if (items == nullptr) return Error(ENOMEM);
    size_t n = 0;
    items[n++] = argv_.items[0];
    items[n++] = const_cast<char*>("--argv0");  // one among the options counts more
    items[n++] = argv_.items[at];
    for (size_t i = 1; i < argv_.count; i++)
      items[n++] = i == at ? const_cast<char*>(real.c_str()) : argv_.items[i];
    items[n] = nullptr;
    argv_ = Vector{items, n};
    return {};
  }

  // argv becomes: interpreter, its argument, the script as the program called it, the rest.
  Result<void> prepend_interpreter(const Image& image, CStr script) {
    const size_t extra = image.has_argument ? 2 : 1;
    char** items = op_.arena().array<char*>(argv_.count + extra + 2);
    if (items == nullptr) return Error(ENOMEM);
    size_t n = 0;
    items[n++] = const_cast<char*>(image.interpreter.c_str());
    if (image.has_argument) items[n++] = const_cast<char*>(image.argument.c_str());
    items[n++] = const_cast<char*>(script.c_str());
    for (size_t i = 1; i < argv_.count; i++) items[n++] = argv_.items[i];
    items[n] = nullptr;
    argv_ = Vector{items, n};
    return {};
  }

  // What the loader opens as the program, and shows as AT_EXECFN. With a supervisor it opens by
  // the program's own words, as everybody does.
  Result<CStr> opened_by_loader(const Target& program, CStr spelled) {
    if (!supervised() || program.virt.empty()) return program.file;
    if (spelled.starts_with("/dev/fd/")) return program.virt;  // may be closed by then
    if (spelled.find('/') != SIZE_MAX) return spelled;
    const CStr here = op_.arena().concat("./", spelled);  // it would search for a bare name
    if (here.data() == nullptr) return Error(ENOMEM);
    return here;
  }

  // The program interpreter is not where the kernel would look: run it by hand (glibc 2.33 and
  // later know --argv0).
  Outcome through_loader(const Target& loader, CStr program) {
    char** items = op_.arena().array<char*>(argv_.count + 5);
    if (items == nullptr) return Error(ENOMEM);
    size_t n = 0;
    items[n++] = const_cast<char*>(loader.file.c_str());
    items[n++] = const_cast<char*>("--argv0");
    items[n++] = argv_.count > 0 ? argv_.items[0] : const_cast<char*>("");
    items[n++] = const_cast<char*>(program.c_str());
    for (size_t i = 1; i < argv_.count; i++) items[n++] = argv_.items[i];
    items[n] = nullptr;
    argv_ = Vector{items, n};
    return execute_as(loader, argv_, false);
  }

  Op& op_;
  Vector argv_;
  Vector env_;
  Target first_;
  Vector first_argv_{nullptr, 0};
  CStr called_;              // what was executed, in the program's own words
  bool kernel_sees_ = true;  // all of the chain so far
  bool covered_ = true;
  CStr libraries_{nullptr, 0};
};

bool is_by_fd(int dirfd, CStr path) {
  return dirfd != AT_FDCWD && (path.empty() || path[0] != '/');
}

// How the kernel names a script that was executed by descriptor.
Result<CStr> spelled_name(Op& op, int dirfd, CStr path) {
  if (!is_by_fd(dirfd, path)) return path;
  const CStr name =
      op.arena().concat("/dev/fd/", number_text(op.arena(), dirfd), path.empty() ? "" : "/", path);
  if (name.data() == nullptr) return Error(ENOMEM);
  return name;
}

}  // namespace

Outcome op_execveat(Op& op, int dirfd, UserPath user_path, UserBuf argv, UserBuf envp, int flags) {
  if (flags & ~(AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW)) return Error(EINVAL);
  CStr path = TRY(op.caller().copy_in_path(op.arena(), user_path));
  if (path.empty() && (flags & AT_EMPTY_PATH) == 0) return Error(ENOENT);
  const Target target = TRY(resolve(op, dirfd, path, flags));
  const Vector arguments = TRY(copy_in_vector(op, argv, 0));
  const Vector environment = TRY(copy_in_vector(op, envp, 0));
  return Exec(op, arguments, environment)
      .run(target, TRY(spelled_name(op, dirfd, path)), is_by_fd(dirfd, path) ? dirfd : -1);
}

Outcome op_execve(Op& op, UserPath path, UserBuf argv, UserBuf envp) {
  return op_execveat(op, AT_FDCWD, path, argv, envp, 0);
}

}  // namespace ovl
