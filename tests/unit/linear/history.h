// What several tasks have done to a small tree, and what they were told: calls with the moments at
// which they began and ended, by one counter for all tasks.
#pragma once

#include <stdint.h>

#include <string>
#include <vector>

namespace linear {

// Few names, so that tasks meet.
constexpr int kNames = 4;
constexpr const char* kNameText[kNames] = {"p", "q", "d", "e"};
constexpr int kDeepest = 8;

struct Path {
  uint8_t depth = 0;  // 0: the tree's root
  uint8_t name[kDeepest] = {};

  std::string text() const {
    std::string t;
    for (int i = 0; i < depth; i++) t += std::string("/") + kNameText[name[i]];
    return t;
  }
};

enum class Kind : uint8_t {
  kCreate,  // O_CREAT | O_EXCL
  kOpenCreate,
  kOpenRead,
  kOpenWrite,
  kOpenTruncate,
  kStat,
  kChmod,
  kTruncate,
  kUnlink,
  kMkdir,
  kRmdir,
  kRename,
  kRenameNoReplace,
  kExchange,
  kLink,
  kList,
};
constexpr int kKinds = static_cast<int>(Kind::kList) + 1;

struct Call {
  Kind kind = Kind::kStat;
  Path path;
  Path to;             // of renames and links
  uint16_t value = 0;  // the mode of what is made; the new mode; the new size
};

enum class Type : uint8_t { kFile, kDirectory };

// What a call has seen of an object. Modes and sizes are other ones with each call that sets them,
// so that they tell who did; inode numbers and tags (what a file of the lower begins with) tell
// objects apart.
struct Facts {
  uint32_t inode = 0;
  uint16_t mode = 0;
  uint16_t size = 0;
  uint8_t links = 0;
  uint8_t tag = 0;
  Type type = Type::kFile;
};

struct Answer {
  int16_t error = 0;
  Facts facts;
  uint8_t listed = 0;    // kList: a bit for each name
  bool strange = false;  // a name twice, a name that nobody gave, a call that was not ours
};

struct Event {
  Call call;
  Answer answer;
  uint64_t invoked = 0;  // below returned
  uint64_t returned = 0;
  uint8_t task = 0;
};

using History = std::vector<Event>;

bool takes_two_paths(Kind kind);
std::string to_text(const Call& call);
// One line per event, by their beginnings.
std::string to_text(const History& history);

}  // namespace linear
