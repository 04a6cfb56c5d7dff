// The command line. All options stand in the tables of options.cc.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/session/segment.h"

namespace ovl {

// One --lower and what belongs to it.
struct PairOptions {
  std::vector<std::string> lowers;       // topmost first
  std::vector<std::string> data_lowers;  // those that give data alone
  std::optional<std::string> upper, work, at;
};

// How calls come to the overlay.
enum class Intercept : uint8_t {
  kAuto,  // kBoth where that is possible, else kPreload
  kPreload,
  kSeccomp,
  kBoth,
};

struct RunOptions {
  bool read_only = false;  // the upper is shown, and nothing can be changed
  bool join = false;       // of a session that runs: pairs tell at most its upper and workdir
  std::vector<PairOptions> pairs;
  Perm perm = Perm::kOwner;
  RedirectDir redirect_dir = RedirectDir::kOn;
  bool metacopy = true;
  bool index = true;
  bool portable = false;  // no redirects, no metacopies and no index are written
  XattrPrefix prefix = XattrPrefix::kUser;
  std::vector<std::string> excludes;
  bool trace = false;
  std::string trace_file;  // empty: stderr
  bool stats = false;
  bool allow_uncovered = false;
  Intercept intercept = Intercept::kAuto;
  bool strict = false;
  bool is_volatile = false;      // nothing is written out for the programs' sake
  bool accept_volatile = false;  // an upper that a volatile session left behind will do
  bool verbose = false;
  std::vector<std::string> command;
};

struct DiffOptions {
  std::optional<std::string> upper, work, at;
  std::vector<std::string> lowers, data_lowers;
  XattrPrefix prefix = XattrPrefix::kUser;
  bool prefix_given = false;
  bool null = false;  // names end in NUL, unquoted
};

struct SettleOptions {
  PairOptions pair;
  XattrPrefix prefix = XattrPrefix::kUser;
  bool prefix_given = false;
  bool verbose = false;
};

struct CheckOptions {
  PairOptions pair;
  XattrPrefix prefix = XattrPrefix::kUser;
  bool prefix_given = false;
  bool repair = false;
  bool verbose = false;
};

struct ExportOptions {
  std::optional<std::string> upper, work;
  std::string destination;
  bool trusted = false;
  bool verbose = false;
};

enum class CommandKind {
  kRun,
  kDiff,
  kSettle,
  kCheck,
  kExport,
  kCoverage,
  kText /* --help, --version: printed already */
};

struct CommandLine {
  CommandKind kind = CommandKind::kRun;
  RunOptions run;
  DiffOptions diff;
  SettleOptions settle;
  CheckOptions check;
  ExportOptions export_to;
};

// Throws Failure for what can't be understood.
CommandLine parse_command_line(int argc, char** argv);

struct Lowers {
  std::vector<std::string> merged;  // topmost first
  std::vector<std::string> data;    // those that give data alone
};
// "A:B::D1::D2" as overlayfs's lowerdir= has it: "\:" is a colon in a name, "\\" a backslash.
// Throws Failure.
Lowers split_lowers(const std::string& text);

}  // namespace ovl
