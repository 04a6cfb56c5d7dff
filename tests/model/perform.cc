// The operations of operations.def, each followed by a look at all that it named.
#include <string.h>
#include <sys/syscall.h>

#include "tests/model/call.h"
#include "tests/model/operations.h"
#include "tests/model/words.h"

namespace model {
namespace {

int open_how_at(Call& c) {
  open_how how = {};
  how.flags = static_cast<uint64_t>(c.open_flags(3));
  how.mode = c.mode(4);
  how.resolve = static_cast<uint64_t>(c.num(5));
  return t_openat2(c.dir(1), c.path(2), &how, sizeof how);
}

// It can't be told not to wait for a FIFO's other end.
int creat_but_no_fifo(Call& c) {
  struct stat st;
  if (t_stat(c.path(1), &st) == 0 && S_ISFIFO(st.st_mode)) {
    errno = ENXIO;
    return -1;
  }
  return t_creat(c.path(1), c.mode(2));
}

using Function = long (*)(Call&);
struct Performer {
  const char* name;
  Function function;
};
const Performer kPerformers[] = {
#define OP(name, arguments, weight, effect, call) {#name, [](Call& c) -> long { return (call); }},
#include "tests/model/operations.def"
#undef OP
};

// Words of the call that name things; the paths start at dirfd.
struct Named {
  char kind;  // p or s
  int dirfd;
  std::string path;
};

std::vector<Named> named(const Operation& operation, Call& call,
                         const std::vector<std::string>& arguments) {
  std::vector<Named> all;
  int dirfd = AT_FDCWD;
  for (size_t i = 0; operation.arguments[i] != 0; i++) {
    switch (operation.arguments[i]) {
      case 'd':
        dirfd = call.dir(i);
        break;
      case 'p':
        all.push_back({'p', dirfd, unescape(arguments[i])});
        dirfd = AT_FDCWD;
        break;
      case 's':
      case 'S':
        all.push_back({operation.arguments[i], call.fd(i), ""});
        break;
      default:
        break;
    }
  }
  return all;
}

}  // namespace

void perform_blindly(Process* process, const std::vector<std::string>& words, Observation* seen) {
  const Operation* operation = find_operation(words[0]);
  if (operation == nullptr || words.size() != 1 + strlen(operation->arguments)) {
    seen->add("ret", "no-such-operation");
    return;
  }
  const std::vector<std::string> arguments(words.begin() + 1, words.end());
  Observation blind;
  Call call(process, arguments, &blind);
  const long result = kPerformers[operation - operations().data()].function(call);
  seen->add("ret", result < 0 ? error_name(errno) : std::to_string(result));
}

void perform(Process* process, const std::vector<std::string>& words, Observation* seen) {
  if (words[0] == "walk") return seen->add_tree(unescape(words.at(1)));
  const Operation* operation = find_operation(words[0]);
  if (operation == nullptr || words.size() != 1 + strlen(operation->arguments)) {
    seen->add("ret", "no-such-operation");
    return;
  }
  const std::vector<std::string> arguments(words.begin() + 1, words.end());
  Call call(process, arguments, seen);
  static const char* const kBefore[] = {"a0", "b0"};
  static const char* const kAfter[] = {"a", "b"};
  static const char* const kParent[] = {"adir", "bdir"};
  const std::vector<Named> before = named(*operation, call, arguments);
  size_t paths = 0;
  for (const Named& thing : before)
    if (thing.kind == 'p') seen->add_inode(kBefore[paths++], thing.dirfd, thing.path);

  constexpr int kUntouched = 4711;
  errno = kUntouched;
  const long result = kPerformers[operation - operations().data()].function(call);
  const int error = errno;
  seen->add("ret", result < 0 ? error_name(error) : std::to_string(result));

  // What the call has closed or opened is looked at as it is now.
  paths = 0;
  for (const Named& thing : named(*operation, call, arguments)) {
    if (thing.kind == 'p') {
      seen->add_object(kAfter[paths], thing.dirfd, thing.path, true);
      if (operation->effect == 'N' && !thing.path.empty())
        seen->add_parent(kParent[paths], thing.dirfd, thing.path);
      paths++;
    } else if (thing.kind == 's' || result >= 0) {
      seen->add_descriptor(thing.kind == 's' ? "fd" : "new", thing.dirfd);
    }
  }
}

}  // namespace model
