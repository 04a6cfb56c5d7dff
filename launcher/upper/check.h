// Is an upper what its format says? Finds what is damaged, and what a kill has left.
#pragma once

#include <stdint.h>

#include <string>
#include <vector>

#include "core/format/format.h"
#include "launcher/upper/view.h"

namespace ovl {

enum class Severity : uint8_t {
  kError,  // some reader of the upper sees something wrong, or something is lost
  kNote,   // nobody sees it: left by a kill
};

enum class FindingKind : uint8_t {
  // Marks of one object.
  kUnknownMark,
  kBadMark,
  kBadRedirectOfWhole,
  kBadOrigin,
  kBadImpure,
  kMisplacedMark,
  kFillingKilled,
  kBadRecord,
  kRecordedType,
  // What it has to do with the lowers.
  kLostDirectory,
  kLostData,
  kOtherSize,
  kOtherDigest,
  kOtherOrigin,
  kNotFound,
  kEndedRedirect,
  kMissingImpure,
  kNoMark,
  // Whiteouts.
  kWhiteoutInOpaque,
  kWhiteoutInNew,
  kWhiteoutOverNothing,
  kUnannouncedWhiteout,
  // The index.
  kUnknownEntry,
  kOtherEntry,
  kForgottenEntry,
  kBadCount,
  kLowCount,
  kHighCount,
  kNoEntry,
  // The workdir.
  kTemporary,
  kSettleKilled,
  kCompanionOfNothing,
  kUnknownCompanion,
  kVolatile,
  kUnknownFeature,
  kCount
};

struct FindingText {
  FindingKind kind;
  Severity severity;
  const char* text;      // of the path; "{}" is the finding's detail
  const char* repair;    // what --repair does: "remove it"; nullptr: it can't be repaired
  const char* repaired;  // "removed"
};
const FindingText& text_of(FindingKind kind);

struct Finding {
  FindingKind kind;
  std::string path;          // that the user knows: as programs see it, or in the workdir
  std::string detail = {};   // for the text
  std::string real = {};     // what a repair changes
  Priv mark = Priv::kCount;  // and which mark of it
  std::string value = {};    // to what

  Severity severity() const { return text_of(kind).severity; }
  bool can_repair() const { return text_of(kind).repair != nullptr; }
  bool operator==(const Finding& other) const = default;
};
// "error /a/b: what is wrong".
std::string line_of(const Finding& finding);

struct CheckReport {
  uint64_t objects = 0;
  std::vector<Finding> findings;       // by path
  std::vector<std::string> unchecked;  // what could not be looked at, as lines
  bool needless_mark = false;          // the upper is marked as unportable, and is portable
};

// Are the lowers those that the upper was made over? If not, nothing is made of inode numbers
// there, nor of whiteouts for what is not there.
enum class Below : uint8_t { kSame, kPerhapsOthers };

// Requires: nobody changes the upper meanwhile. Changes nothing. source.work may be empty. Throws
// Failure where nothing can be said at all.
CheckReport check_upper(const UpperSource& source, Below below = Below::kSame);

// Repairs what can be. Each step is one system call that leaves a right upper; no user's data goes
// and none is made up. What can't be done is told by another check. Requires: the upper is held.
void repair(const UpperSource& source, const std::vector<Finding>& findings);

}  // namespace ovl
