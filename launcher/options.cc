// See options.h.
#include "launcher/options.h"

#include <fmt/core.h>
#include <string.h>

#include <CLI/CLI.hpp>
#include <map>

#include "launcher/failure.h"

namespace ovl {
namespace {

constexpr const char kDescription[] =
    "ovlrun --lower DIR [OPTIONS] -- CMD...\n"
    "Runs CMD with a writable view of each --lower; every change lands in its --upper.";
constexpr const char kFooter[] =
    "Several pairs: each --lower starts one, and the --upper, --work and --at after it belong to "
    "it.\n"
    "Exit status: the command's own; 125 ovlrun failed, 126 CMD can't be run, 127 CMD not found.\n"
    "'ovlrun diff --help' tells about listing what an upper changes, 'ovlrun check --help' about\n"
    "finding and mending damage in one, 'ovlrun settle --help' and 'ovlrun export --help' about\n"
    "handing one to the kernel's overlayfs.";

const std::map<std::string, Perm> kPerms = {{"owner", Perm::kOwner}, {"posix", Perm::kPosix}};
const std::map<std::string, RedirectDir> kRedirectDirs = {{"on", RedirectDir::kOn},
                                                          {"off", RedirectDir::kOff},
                                                          {"follow", RedirectDir::kFollow},
                                                          {"nofollow", RedirectDir::kNoFollow}};
const std::map<std::string, bool> kOnOff = {{"on", true}, {"off", false}};
const std::map<std::string, XattrPrefix> kPrefixes = {{"user", XattrPrefix::kUser},
                                                      {"trusted", XattrPrefix::kTrusted}};
const std::map<std::string, Intercept> kIntercepts = {{"auto", Intercept::kAuto},
                                                      {"preload", Intercept::kPreload},
                                                      {"seccomp", Intercept::kSeccomp},
                                                      {"both", Intercept::kBoth}};

// An option with one of a few words as its value.
template <class T>
CLI::Option* add_choice(CLI::App& app, const char* name, T& value,
                        const std::map<std::string, T>& words, const char* help) {
  std::string shown;
  for (const auto& [word, unused] : words) shown += (shown.empty() ? "" : "|") + word;
  return app
      .add_option_function<std::string>(
          name,
          [&value, &words, name, shown](const std::string& word) {
            const auto found = words.find(word);
            if (found == words.end()) fail("{}: '{}' is none of {}", name, word, shown);
            value = found->second;
          },
          help)
      ->type_name(shown);
}

void set_once(std::optional<std::string>& where, const char* option, const std::string& value) {
  if (where) fail("{} is given twice for the same --lower", option);
  if (value.empty()) fail("{}: empty name", option);
  where = value;
}

// Puts the values of --lower, --upper, --work, --at together in the order in which they were given.
class PairBuilder {
 public:
  explicit PairBuilder(std::vector<PairOptions>& pairs) : pairs_(pairs) {}
  void lower(const std::string& value) {
    if (pairs_.empty() || !pairs_.back().lowers.empty()) pairs_.emplace_back();
    Lowers lowers = split_lowers(value);
    pairs_.back().lowers = std::move(lowers.merged);
    pairs_.back().data_lowers = std::move(lowers.data);
  }
  void member(std::optional<std::string> PairOptions::*which, const char* option,
              const std::string& value) {
    if (pairs_.empty()) pairs_.emplace_back();  // in front of the first --lower
    set_once(pairs_.back().*which, option, value);
  }

 private:
  std::vector<PairOptions>& pairs_;
};

// Returns true when it printed what was asked for (--help).
bool parse(CLI::App& app, const std::vector<std::string>& arguments) {
  try {
    std::vector<std::string> reversed(arguments.rbegin(), arguments.rend());
    app.parse(std::move(reversed));
  } catch (const CLI::CallForHelp&) {
    fmt::print("{}", app.help());
    return true;
  } catch (const CLI::ParseError& error) {
    std::string line = error.what();
    for (char& c : line)
      if (c == '\n') c = ' ';
    fail("{} (see {} --help)", line, app.get_name());
  }
  return false;
}

// What --portable means for the other options.
void make_portable(RunOptions& run, bool redirect_dir_given, bool metacopy_given,
                   bool index_given) {
  if (redirect_dir_given && run.redirect_dir == RedirectDir::kOn)
    fail("--portable and --redirect-dir=on contradict one another");
  if (metacopy_given && run.metacopy) fail("--portable and --metacopy=on contradict one another");
  if (index_given && run.index) fail("--portable and --index=on contradict one another");
  if (run.prefix == XattrPrefix::kTrusted)
    fail("--portable and --xattr=trusted contradict one another");
  if (!redirect_dir_given) run.redirect_dir = RedirectDir::kOff;
  run.metacopy = false;
  run.index = false;
}

void parse_run(const std::vector<std::string>& arguments, CommandLine& line) {
  RunOptions& run = line.run;
  PairBuilder pairs(run.pairs);
  std::optional<std::string> trace;
  bool version = false, coverage = false;
  CLI::App app(kDescription, "ovlrun");
  app.footer(kFooter);
  // Called at each occurrence, in the order of the command line.
  const auto each = [&app](const char* name, const std::function<void(const std::string&)>& set,
                           const char* type, const char* help) {
    app.add_option_function<std::string>(name, set, help)->trigger_on_parse()->type_name(type);
  };
  each(
      "--lower", [&](const std::string& v) { pairs.lower(v); }, "DIR[:DIR...][::DIR...]",
      "show this directory writable; several: topmost first, shown at --at; after '::' those that "
      "only give data to metacopies");
  each(
      "--upper", [&](const std::string& v) { pairs.member(&PairOptions::upper, "--upper", v); },
      "DIR", "where changes go (default: a fresh one below the XDG state directory)");
  each(
      "--work", [&](const std::string& v) { pairs.member(&PairOptions::work, "--work", v); }, "DIR",
      "workdir on the upper's file system (default: the upper's name with .work)");
  each(
      "--at", [&](const std::string& v) { pairs.member(&PairOptions::at, "--at", v); }, "DIR",
      "where programs see the merged tree (default: the lower's own path)");
  add_choice(app, "--perm", run.perm, kPerms,
             "owner: may do what each file's owner may; posix: what overlayfs would allow");
  const CLI::Option* redirect_dir =
      add_choice(app, "--redirect-dir", run.redirect_dir, kRedirectDirs,
                 "rename lower directories by redirect");
  const CLI::Option* metacopy = add_choice(app, "--metacopy", run.metacopy, kOnOff,
                                           "copy metadata only when only metadata changes");
  const CLI::Option* index =
      add_choice(app, "--index", run.index, kOnOff, "hard links of the lower stay linked");
  app.add_flag("--portable", run.portable,
               "write neither redirects nor metacopies nor an index: an unprivileged kernel mount "
               "shows the upper as it is");
  add_choice(app, "--xattr", run.prefix, kPrefixes, "prefix of the private xattrs");
  each(
      "--exclude", [&](const std::string& v) { run.excludes.push_back(v); }, "DIR",
      "leave this directory below a lower as it is, changes included");
  app.add_option_function<std::string>(
         "--trace", [&](const std::string& v) { trace = v; },
         "list every operation, to stderr or FILE")
      ->expected(0, 1)
      ->type_name("[=FILE]");
  app.add_flag("--stats", run.stats, "print counters at the end");
  app.add_flag("--allow-uncovered", run.allow_uncovered,
               "run programs that can't be followed (static, another libc) without the overlay");
  add_choice(app, "--intercept", run.intercept, kIntercepts,
             "how calls come to the overlay: by the preload object, by the seccomp supervisor; "
             "auto: both where that is possible, else the preload");
  app.add_flag(
      "--strict", run.strict,
      "the supervisor alone, without the exception for the preload; refuses to start where "
      "that is not possible");
  app.add_flag("-v,--verbose", run.verbose, "say how calls are intercepted, and why");
  app.add_flag("--coverage", coverage, "list the system calls and how each is covered");
  app.add_flag("-V,--version", version, "print the version");
  if (parse(app, arguments)) {
    line.kind = CommandKind::kText;
    return;
  }
  if (version) {
    fmt::print("ovlrun {}\n", OVLRUN_VERSION);
    line.kind = CommandKind::kText;
  } else if (coverage) {
    line.kind = CommandKind::kCoverage;
  }
  if (run.portable)
    make_portable(run, redirect_dir->count() > 0, metacopy->count() > 0, index->count() > 0);
  if (trace) {
    run.trace = true;
    run.trace_file = *trace;
  }
}

void parse_diff(const std::vector<std::string>& arguments, CommandLine& line) {
  DiffOptions& diff = line.diff;
  CLI::App app(
      "Lists what an upper changes: A added, M modified, m metadata only, D deleted, R renamed, "
      "T type changed.",
      "ovlrun diff");
  std::string lower;
  app.add_option_function<std::string>(
         "--upper", [&](const std::string& v) { set_once(diff.upper, "--upper", v); },
         "the upper (default: the newest below the XDG state directory)")
      ->type_name("DIR");
  app.add_option("--lower", lower, "what lies below it (default: as in its last session)")
      ->type_name("DIR[:DIR...][::DIR...]");
  app.add_option_function<std::string>(
         "--work", [&](const std::string& v) { set_once(diff.work, "--work", v); },
         "its workdir (default: the upper's name with .work)")
      ->type_name("DIR");
  app.add_option_function<std::string>(
         "--at", [&](const std::string& v) { set_once(diff.at, "--at", v); },
         "the paths that programs see (default: as in its last session)")
      ->type_name("DIR");
  CLI::Option* prefix =
      add_choice(app, "--xattr", diff.prefix, kPrefixes, "prefix of the private xattrs");
  app.add_flag("-0,--null", diff.null, "end names with NUL instead of newline, and quote nothing");
  if (parse(app, arguments)) {
    line.kind = CommandKind::kText;
    return;
  }
  if (!lower.empty()) {
    Lowers lowers = split_lowers(lower);
    diff.lowers = std::move(lowers.merged);
    diff.data_lowers = std::move(lowers.data);
  }
  diff.prefix_given = prefix->count() > 0;
}

// An option that may be given once.
CLI::Option* add_once(CLI::App& app, const char* name, std::optional<std::string>& where,
                      const char* type, const char* help) {
  return app
      .add_option_function<std::string>(
          name, [&where, name](const std::string& v) { set_once(where, name, v); }, help)
      ->type_name(type);
}

// What settle and check have in common: an upper, and what lies below it.
template <class Options>
void parse_upper_command(CLI::App& app, const std::vector<std::string>& arguments, Options& options,
                         CommandLine& line) {
  std::string lower;
  add_once(app, "--upper", options.pair.upper, "DIR", "the upper");
  app.add_option("--lower", lower, "what lies below it (default: as in its last session)")
      ->type_name("DIR[:DIR...][::DIR...]");
  add_once(app, "--work", options.pair.work, "DIR",
           "its workdir (default: the upper's name with .work)");
  add_once(app, "--at", options.pair.at, "DIR",
           "the paths that programs see, for messages (default: as in its last session)");
  CLI::Option* prefix =
      add_choice(app, "--xattr", options.prefix, kPrefixes, "prefix of the private xattrs");
  if (parse(app, arguments)) {
    line.kind = CommandKind::kText;
    return;
  }
  if (!lower.empty()) {
    Lowers lowers = split_lowers(lower);
    options.pair.lowers = std::move(lowers.merged);
    options.pair.data_lowers = std::move(lowers.data);
  }
  options.prefix_given = prefix->count() > 0;
}

void parse_settle(const std::vector<std::string>& arguments, CommandLine& line) {
  CLI::App app(
      "Makes an upper portable: files get the data and directories the content that it refers to "
      "in the lowers, so that an unprivileged kernel mount, and fuse-overlayfs, show it as ovlrun "
      "does. May be killed and started again at any time.",
      "ovlrun settle");
  app.add_flag("-v,--verbose", line.settle.verbose, "say what is done, a line each");
  parse_upper_command(app, arguments, line.settle, line);
}

void parse_check(const std::vector<std::string>& arguments, CommandLine& line) {
  CLI::App app(
      "Checks an upper: a line for each thing that is wrong (error) or was left by a kill and "
      "harms "
      "nobody (note). Exit status 1: there are errors; 125: it could not be checked.",
      "ovlrun check");
  app.add_flag("--repair", line.check.repair,
               "mend what can be mended without losing or making up anything");
  app.add_flag("-v,--verbose", line.check.verbose, "say more");
  parse_upper_command(app, arguments, line.check, line);
}

void parse_export(const std::vector<std::string>& arguments, CommandLine& line) {
  ExportOptions& to = line.export_to;
  CLI::App app(
      "Copies an upper into a new directory DEST for a kernel mount by root: its marks under the "
      "prefix trusted, recorded owners, modes and devices made real. Mount it with "
      "redirect_dir=on,metacopy=on,index=off over the same lowers. Where hard links of a lower "
      "were "
      "changed, their index comes to DEST.work: then with that workdir and index=on.",
      "ovlrun export");
  app.add_flag("--trusted", to.trusted, "the form to write; there is no other yet");
  add_once(app, "--upper", to.upper, "DIR", "the upper");
  add_once(app, "--work", to.work, "DIR", "its workdir (default: the upper's name with .work)");
  app.add_flag("-v,--verbose", to.verbose, "say what is done, a line each");
  app.add_option("DEST", to.destination, "must not exist, or be empty")->type_name("");
  if (parse(app, arguments)) line.kind = CommandKind::kText;
}

// A command other than that of running something: its name is the first word.
struct Subcommand {
  const char* name;
  CommandKind kind;
  void (*parse)(const std::vector<std::string>& arguments, CommandLine& line);
};
constexpr Subcommand kSubcommands[] = {
    {"diff", CommandKind::kDiff, parse_diff},
    {"settle", CommandKind::kSettle, parse_settle},
    {"check", CommandKind::kCheck, parse_check},
    {"export", CommandKind::kExport, parse_export},
};

}  // namespace

Lowers split_lowers(const std::string& text) {
  Lowers lowers;
  std::string part;
  bool data = false;  // `part` comes after "::"
  const auto end_part = [&] {
    if (part.empty()) fail("--lower: empty name in {}", quote(text));
    (data ? lowers.data : lowers.merged).push_back(std::move(part));
    part.clear();
  };
  for (size_t i = 0; i < text.size(); i++) {
    if (text[i] == ':') {
      const bool twice = i + 1 < text.size() && text[i + 1] == ':';
      if (twice && part.empty() && lowers.merged.empty())
        fail("--lower: {}: no directory that is shown before '::'", quote(text));
      if (twice && i + 2 == text.size())
        fail("--lower: {}: no directory with data after '::'", quote(text));
      if (data && !twice)
        fail("--lower: {}: ':' after '::': what only gives data comes last", quote(text));
      end_part();
      data = data || twice;
      if (twice) i++;
      continue;
    }
    if (text[i] == '\\' && i + 1 < text.size() && (text[i + 1] == ':' || text[i + 1] == '\\')) i++;
    part += text[i];
  }
  end_part();
  return lowers;
}

CommandLine parse_command_line(int argc, char** argv) {
  CommandLine line;
  // What follows "--" is the command's own and is never looked at.
  int end = 1;
  while (end < argc && strcmp(argv[end], "--") != 0) end++;
  std::vector<std::string> own(argv + 1, argv + end);
  if (end + 1 < argc) line.run.command.assign(argv + end + 1, argv + argc);
  for (const Subcommand& subcommand : kSubcommands) {
    if (own.empty() || own[0] != subcommand.name) continue;
    line.kind = subcommand.kind;
    own.erase(own.begin());
    subcommand.parse(own, line);
    return line;
  }
  parse_run(own, line);
  if (line.kind != CommandKind::kRun) return line;
  RunOptions& run = line.run;
  if (run.pairs.empty()) fail("no --lower DIR (see ovlrun --help)");
  for (const PairOptions& pair : run.pairs)
    if (pair.lowers.empty()) fail("no --lower DIR (see ovlrun --help)");
  if (run.command.empty()) fail("no command: write -- CMD... at the end");
  return line;
}

}  // namespace ovl
