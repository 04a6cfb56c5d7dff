// See generate.h.
#include "tests/unit/linear/generate.h"

#include <stdlib.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

namespace linear {
namespace {

struct Given {
  const char* path;
  char tag;             // 0: a directory
  const char* link_of;  // another one's path
};

constexpr int kVariants = 4;
const std::vector<Given> kGiven[kVariants] = {
    {{"/p", 'A', nullptr},
     {"/q", 'B', nullptr},
     {"/d", 0, nullptr},
     {"/d/p", 'C', nullptr},
     {"/d/q", 'B', "/q"},
     {"/d/e", 0, nullptr},
     {"/d/e/p", 'D', nullptr},
     {"/e", 0, nullptr}},
    {{"/d", 0, nullptr}, {"/d/p", 'A', nullptr}, {"/d/e", 0, nullptr}},
    {{"/p", 'A', nullptr}, {"/q", 'A', "/p"}},
    {{"/p", 'A', nullptr},
     {"/d", 0, nullptr},
     {"/d/d", 0, nullptr},
     {"/d/d/p", 'B', nullptr},
     {"/e", 0, nullptr},
     {"/e/p", 'C', nullptr},
     {"/e/q", 'C', "/e/p"}},
};

constexpr const char* kPaths[] = {"/p",   "/q",   "/d",   "/e",     "/d/p",   "/d/q",
                                  "/d/e", "/e/p", "/e/d", "/d/e/p", "/e/d/p", "/d/d"};

// By how often they come.
constexpr Kind kOften[] = {Kind::kCreate,     Kind::kCreate,
                           Kind::kOpenCreate, Kind::kOpenRead,
                           Kind::kOpenWrite,  Kind::kOpenTruncate,
                           Kind::kStat,       Kind::kChmod,
                           Kind::kChmod,      Kind::kTruncate,
                           Kind::kUnlink,     Kind::kUnlink,
                           Kind::kUnlink,     Kind::kMkdir,
                           Kind::kMkdir,      Kind::kRmdir,
                           Kind::kRmdir,      Kind::kRename,
                           Kind::kRename,     Kind::kRename,
                           Kind::kRename,     Kind::kRenameNoReplace,
                           Kind::kExchange,   Kind::kLink,
                           Kind::kLink,       Kind::kList};
constexpr Kind kMakeAndRemove[] = {Kind::kCreate, Kind::kOpenCreate, Kind::kMkdir,
                                   Kind::kUnlink, Kind::kUnlink,     Kind::kRmdir};

}  // namespace

Path parse_path(const char* text) {
  Path path;
  for (; *text != 0; text++)
    for (uint8_t i = 0; i < kNames; i++)
      if (*text == kNameText[i][0]) path.name[path.depth++] = i;
  return path;
}

void make_tree(const std::string& dir, int round, bool links) {
  for (const Given& g : kGiven[round % kVariants]) {
    const std::string path = dir + g.path;
    if (g.tag == 0)
      std::filesystem::create_directory(path);
    else if (g.link_of != nullptr && links)
      std::filesystem::create_hard_link(dir + g.link_of, path);
    else
      std::ofstream(path) << std::string(static_cast<size_t>(5000 + 100 * (g.tag - '@')), g.tag);
  }
}

Tree first_tree(Calls& calls, const std::string& top, int round, bool links) {
  Tree tree;
  for (const Given& g : kGiven[round % kVariants]) {
    const Path path = parse_path(g.path);
    Call look;
    look.path = path;
    const Facts f = perform(calls, top.c_str(), look).facts;
    Object o;
    o.inode = f.inode;
    o.mode = f.mode;
    o.size = f.size;
    o.type = g.tag == 0 ? Type::kDirectory : Type::kFile;
    o.tag = static_cast<uint8_t>(g.tag == 0 ? 0 : g.tag - '@');
    if (g.link_of == nullptr || !links) {
      tree.add(path, o);
      continue;
    }
    uint8_t other = kNone;
    look.path = parse_path(g.link_of);
    tree.apply(look, &other);
    tree.add_link(path, other);
  }
  return tree;
}

Script::Script(const Plan& plan, int round)
    : random_(plan.seed * 0x9e3779b97f4a7c15u + static_cast<uint64_t>(round)) {
  for (size_t n = 2 + (plan.few_names ? 0 : below(4)); paths_.size() < n;) {
    paths_.push_back(parse_path(kPaths[below(std::size(kPaths))]));
    // One in it, to meet what moves or goes.
    Path in = paths_.back();
    if (!plan.few_names && in.depth < 3 && below(3) == 0) {
      in.name[in.depth++] = static_cast<uint8_t>(below(kNames));
      paths_.push_back(in);
    }
  }
  if (plan.few_names)
    kinds_.assign(std::begin(kMakeAndRemove), std::end(kMakeAndRemove));
  else
    for (size_t n = 2 + below(5); kinds_.size() < n;)
      kinds_.push_back(kOften[below(std::size(kOften))]);
  for (uint64_t n = below(4); before_.size() < n;) before_.push_back(any());
  const auto tasks = static_cast<size_t>(plan.tasks());
  const size_t most =
      std::max<size_t>(1, std::min(static_cast<size_t>(plan.calls_most), 40 / tasks));
  calls_.resize(tasks);
  for (auto& of_task : calls_)
    for (uint64_t n = 1 + below(most); of_task.size() < n;) of_task.push_back(any());
}

Call Script::other() { return any(); }

Call Script::any() {
  Call call;
  call.kind = kinds_[below(kinds_.size())];
  call.path = paths_[below(paths_.size())];
  if (takes_two_paths(call.kind)) call.to = paths_[below(paths_.size())];
  const unsigned own = made_++ % 64;
  switch (call.kind) {
    case Kind::kCreate:
    case Kind::kOpenCreate:
      call.value = static_cast<uint16_t>(0600 | own);
      break;
    case Kind::kMkdir:
    case Kind::kChmod:
      call.value = static_cast<uint16_t>(0700 | own);
      break;
    case Kind::kTruncate:
      call.value = static_cast<uint16_t>(16 + 50 * own);
      break;
    default:
      break;
  }
  return call;
}

}  // namespace linear
