// The situations that layers can put an object in.
#include "tests/unit/faults/scene.h"

namespace ovl::testing {
namespace {

void must(long result) { ASSERT_EQ(result, 0); }

// --- by operations ---

void as_it_is(Scene& s) { s.x = "/d/x"; }

void copied(Scene& s) {
  s.x = "/d/x";
  if (s.kind == kFile)
    must(s.try_open(s.x, O_RDWR));
  else
    s.touch(s.x);
}

void touched(Scene& s) {
  s.x = "/d/x";
  s.touch(s.x);
}

void made_in_merged(Scene& s) {
  s.x = "/d/new";
  s.make_here(s.x);
}

void made_in_upper(Scene& s) {
  must(s.make_dir("/u"));
  s.x = "/u/x";
  s.make_here(s.x);
}

void made_over_whiteout(Scene& s) {
  s.x = "/e/gone";
  must(s.remove(s.x));
  s.make_here(s.x);
}

void made_in_opaque(Scene& s) {
  must(s.remove_dir("/e/empty"));
  must(s.make_dir("/e/empty"));
  s.x = "/e/empty/x";
  s.make_here(s.x);
}

void below_renamed(Scene& s) {
  must(s.move("/d", "/r"));
  s.x = "/r/x";
}

void touched_below_renamed(Scene& s) {
  below_renamed(s);
  s.touch(s.x);
}

void renamed(Scene& s) {
  s.x = "/d/y";
  must(s.move("/d/x", s.x));
}

void renamed_across(Scene& s) {
  s.x = "/e/y";
  must(s.move("/d/x", s.x));
}

void renamed_and_completed(Scene& s) {
  renamed_across(s);
  must(s.try_open(s.x, O_RDWR));
}

void renamed_twice(Scene& s) {
  renamed(s);
  must(s.move("/d/y", "/e/y"));
  s.x = "/e/y";
}

// Only root gives files away; others' modes are recorded all the same.
uid_t other_owner() { return geteuid() == 0 ? 12345 : geteuid(); }
gid_t other_group() { return geteuid() == 0 ? 12345 : getegid(); }

void recorded(Scene& s) {
  touched(s);
  must(s.chown(s.x, other_owner(), other_group()));
  if (s.kind != kSymlink) must(s.chmod(s.x, 0));
}

void emptied(Scene& s) {
  s.x = "/d/x";
  must(s.write_new("/d/x/n", "n"));
  must(s.remove("/d/x/n"));
}

void emptied_of_lowers(Scene& s) {
  s.x = "/e/full";
  must(s.remove("/e/full/in"));
}

void last_link(Scene& s) {
  s.x = "/d/x";
  must(s.remove("/linked"));
  must(s.remove("/e/linked"));
}

void other_link_touched(Scene& s) {
  s.x = "/d/x";
  s.touch("/linked");
}

void other_link_completed(Scene& s) {
  s.x = "/d/x";
  must(s.try_open("/linked", O_RDWR));
}

void other_link_renamed(Scene& s) {
  s.x = "/d/x";
  must(s.move("/linked", "/e/moved_link"));
}

void link_added(Scene& s) {
  s.x = "/d/x";
  must(s.make_link(s.x, "/e/added"));
}

void new_links(Scene& s) {
  made_in_merged(s);
  must(s.make_link(s.x, "/e/added"));
}

// Somebody has it open, and its data was copied up since.
void read_and_copied(Scene& s) {
  s.x = "/d/x";
  const long fd = s.open_fd(s.x, O_RDONLY);
  ASSERT_GE(fd, 0);
  s.other_fd = static_cast<int>(fd);
  must(s.try_open(s.x, O_RDWR));
}

void name_over_nothing(Scene& s) { s.x = "/d/sub/x"; }
void name_in_copied(Scene& s) {
  s.x = "/d/x";
  s.touch("/d");
}
void name_in_upper(Scene& s) {
  must(s.make_dir("/u"));
  s.x = "/u/x";
}
void name_over_whiteout(Scene& s) {
  s.x = "/e/gone";
  must(s.remove(s.x));
}
void name_over_whiteout_of_directory(Scene& s) {
  s.x = "/e/empty";
  must(s.remove_dir(s.x));
}
void name_over_whiteout_below_renamed(Scene& s) {
  must(s.remove("/e/gone"));
  must(s.move("/e", "/r"));
  s.x = "/r/gone";
}
void name_in_opaque(Scene& s) {
  must(s.remove_dir("/e/empty"));
  must(s.make_dir("/e/empty"));
  s.x = "/e/empty/x";
}
void name_below_renamed(Scene& s) {
  must(s.move("/d", "/r"));
  s.x = "/r/sub/x";
}
void name_that_moved_away(Scene& s) {
  must(s.move("/e/there", "/d/moved"));
  s.x = "/e/there";
}
// What is made there gets the directory's group and list.
void name_that_inherits(Scene& s) {
  must(s.remove("/e/gone"));
  s.x = "/e/gone";
  must(s.chmod("/e", 02775));
  const std::string list(
      "\x02\0\0\0"
      "\x01\0\x07\0\xff\xff\xff\xff"
      "\x02\0\x05\0\xdc\x05\0\0"
      "\x04\0\x05\0\xff\xff\xff\xff"
      "\x10\0\x07\0\xff\xff\xff\xff"
      "\x20\0\0\0\xff\xff\xff\xff",
      44);
  must(s.set_xattr("/e", "system.posix_acl_default", list));
}
void name_that_inherits_recorded_group(Scene& s) {
  must(s.remove("/e/gone"));
  s.x = "/e/gone";
  must(s.chown("/e", static_cast<uid_t>(-1), other_group()));
  must(s.chmod("/e", 02775));
}

// --- of the lowers ---

void fill_linked(Scene& s) {
  s.make_real(s.lower("/d/x"));
  for (const char* name : {"/linked", "/e/linked"})
    ASSERT_EQ(::link(s.lower("/d/x").c_str(), s.lower(name).c_str()), 0);
}

void fill_nothing(Scene&) {}

// The topmost lower has the directory alone.
void fill_middle(Scene& s) {
  s.make_lower_dir("/d");
  for (int i : {1, 2}) {
    std::filesystem::create_directories(s.lower("/d", i));
    s.make_real(s.lower("/d/x", i), i == 1 ? std::string(5000, 'm') : "bottom");
  }
  if (s.kind == kFull) Scene::write_file(s.lower("/d/x/bottom", 2), "bottom");
}

void fill_attributed(Scene& s) {
  s.make_real(s.lower("/d/x"));
  const std::string real = s.lower("/d/x");
  for (int i = 0; i < 8; i++)
    ASSERT_EQ(setxattr(real.c_str(), ("user.n" + std::to_string(i)).c_str(), "value", 5, 0), 0);
  ASSERT_EQ(::chmod(real.c_str(), 04755), 0);
  if (getuid() == 0) {
    ASSERT_EQ(::chown(real.c_str(), 1234, 1234), 0);
    ASSERT_EQ(::chmod(real.c_str(), 06755), 0);
    const std::string none("\x01\0\0\x02\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20);
    ASSERT_EQ(setxattr(real.c_str(), "security.capability", none.data(), none.size(), 0), 0);
  }
}

Options with(void (*change)(Options&)) {
  Options options;
  change(options);
  return options;
}
const Options kThree = with([](Options& o) { o.lowers = 3; });
const Options kNoIndex = with([](Options& o) { o.index = false; });
const Options kNoMetacopy = with([](Options& o) { o.metacopy = false; });
const Options kNoRedirect = with([](Options& o) { o.redirect_dir = RedirectDir::kOff; });
const Options kFileWhiteouts = with([](Options& o) { o.can_whiteout_device = false; });
const Options kAtElsewhere = with([](Options& o) { o.in_place = false; });

}  // namespace

const std::vector<Situation>& situations() {
  constexpr unsigned kLinkable = kFile | kSymlink | kFifo;
  static const std::vector<Situation> all = {
      {"InLower", kObject, as_it_is},
      {"InLowerShownElsewhere", kFile | kFull, as_it_is, nullptr, kAtElsewhere},
      {"InMiddleLower", kFile | kFull | kSymlink, as_it_is, fill_middle, kThree},
      {"InLowerWithAttributes", kFile, as_it_is, fill_attributed},
      {"InLowerWithoutMetacopy", kFile, as_it_is, nullptr, kNoMetacopy},
      {"InLowerWithoutRedirect", kFile | kFull, as_it_is, nullptr, kNoRedirect},
      {"InLowerWithFileWhiteouts", kFile | kHollow | kSymlink, as_it_is, nullptr, kFileWhiteouts},
      {"Copied", kObject, copied},
      {"CopiedFromMiddleLower", kFile | kFull, copied, fill_middle, kThree},
      {"CopiedWithAttributes", kFile, copied, fill_attributed},
      {"Metacopy", kFile, touched},
      {"MetacopyWithAttributes", kFile, touched, fill_attributed},
      {"MetacopyFromMiddleLower", kFile, touched, fill_middle, kThree},
      {"MadeInMerged", kObject, made_in_merged},
      {"MadeInUpper", kObject, made_in_upper},
      {"MadeOverWhiteout", kObject, made_over_whiteout},
      {"MadeInOpaque", kFile | kHollow, made_in_opaque},
      {"BelowRenamed", kFile | kFull | kHollow | kSymlink, below_renamed},
      {"MetacopyBelowRenamed", kFile, touched_below_renamed},
      {"Renamed", kObject, renamed},
      {"RenamedAcross", kObject, renamed_across},
      {"RenamedTwice", kFile | kFull, renamed_twice},
      {"RenamedFromMiddleLower", kFile | kFull, renamed_across, fill_middle, kThree},
      {"RenamedAndCompleted", kFile, renamed_and_completed},
      {"OwnerAndModeRecorded", kObject, recorded},
      {"Emptied", kHollow, emptied},
      {"EmptiedOfLowers", kHollow, emptied_of_lowers},
      {"EmptiedOfLowersWithFileWhiteouts", kHollow, emptied_of_lowers, nullptr, kFileWhiteouts},
      {"Linked", kLinkable, as_it_is, fill_linked},
      {"LinkedAndTouched", kLinkable, touched, fill_linked},
      {"LinkedAndCopied", kFile, copied, fill_linked},
      {"LinkedAndRenamed", kLinkable, renamed_across, fill_linked},
      {"LinkedAndOtherTouched", kLinkable, other_link_touched, fill_linked},
      {"LinkedAndOtherCopied", kFile, other_link_completed, fill_linked},
      {"LinkedAndOtherRenamed", kFile, other_link_renamed, fill_linked},
      {"LinkedAndLinkAdded", kLinkable, link_added, fill_linked},
      {"LinkedAndLast", kLinkable, last_link, fill_linked},
      {"LinkedWithoutIndex", kFile | kSymlink, as_it_is, fill_linked, kNoIndex},
      {"LinkedWithoutMetacopy", kFile, as_it_is, fill_linked, kNoMetacopy},
      {"LinkedWithoutRedirect", kFile, as_it_is, fill_linked, kNoRedirect},
      {"LinkAdded", kLinkable, link_added},
      {"NewLinks", kLinkable, new_links},
      {"ReadByOthers", kFile, read_and_copied},
      {"OverNothing", kName, name_over_nothing, fill_nothing},
      {"InCopiedDirectory", kName, name_in_copied, fill_nothing},
      {"InNewDirectory", kName, name_in_upper, fill_nothing},
      {"OverWhiteout", kName, name_over_whiteout, fill_nothing},
      {"OverFileWhiteout", kName, name_over_whiteout, fill_nothing, kFileWhiteouts},
      {"OverWhiteoutOfDirectory", kName, name_over_whiteout_of_directory, fill_nothing},
      {"OverWhiteoutBelowRenamed", kName, name_over_whiteout_below_renamed, fill_nothing},
      {"InOpaqueDirectory", kName, name_in_opaque, fill_nothing},
      {"InRenamedDirectory", kName, name_below_renamed, fill_nothing},
      {"WhereSomethingMovedAway", kName, name_that_moved_away, fill_nothing},
      {"WhereListAndGroupAreInherited", kName, name_that_inherits, fill_nothing},
      {"WhereRecordedGroupIsInherited", kName, name_that_inherits_recorded_group, fill_nothing},
  };
  return all;
}

}  // namespace ovl::testing
