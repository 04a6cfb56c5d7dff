// The preload object in real processes. Most tests run one command of the probe twice: natively on
// a tree, and below an overlay whose merged view is the same tree; what the two print, and the
// trees afterwards, must be equal.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <sstream>

namespace fs = std::filesystem;

namespace {

struct Ran {
  std::string output;
  int status;
};

std::string quoted(const std::vector<std::string>& words) {
  std::string line;
  for (const std::string& word : words) {
    line += "'";
    for (char c : word) line += c == '\'' ? std::string("'\\''") : std::string(1, c);
    line += "' ";
  }
  return line;
}

void write_file(const fs::path& path, const std::string& text, int mode = 0644) {
  std::ofstream(path) << text;
  chmod(path.c_str(), static_cast<mode_t>(mode));
}

// name -> type, mode and content.
std::map<std::string, std::string> contents(const fs::path& tree) {
  std::map<std::string, std::string> all;
  for (const auto& entry : fs::recursive_directory_iterator(tree)) {
    struct stat st;
    lstat(entry.path().c_str(), &st);
    std::ostringstream text;
    text << std::oct << st.st_mode << ' ';
    if (entry.is_symlink())
      text << fs::read_symlink(entry.path()).string();
    else if (entry.is_regular_file())
      text << std::ifstream(entry.path()).rdbuf();
    all[fs::relative(entry.path(), tree)] = text.str();
  }
  return all;
}

class Preload : public ::testing::Test {
 protected:
  Preload() {
    std::string pattern = fs::temp_directory_path() / "ovlrun-preload.XXXXXX";
    root_ = fs::canonical(mkdtemp(pattern.data()));
    fs::create_directories(native() / "tree");
    fs::create_directories(overlay() / "tree");
    setenv("OVLRUN_PRELOAD", OVLRUN_PRELOAD_OBJECT, 1);
  }
  ~Preload() override {
    std::error_code ignored;
    fs::permissions(root_, fs::perms::owner_all, ignored);
    fs::remove_all(root_, ignored);
  }

  // Each has a directory "tree"; the overlay shows its own in place.
  fs::path native() const { return root_ / "native"; }
  fs::path overlay() const { return root_ / "overlay"; }

  // Part of the lower.
  void lower(const std::function<void(const fs::path&)>& make) {
    make(native() / "tree");
    make(overlay() / "tree");
    before_ = contents(overlay() / "tree");
  }
  // A change that the upper brings: made by a shell in both.
  void change(const std::string& script) {
    const Ran a = run(native(), {"sh", "-ec", "cd tree; " + script}),
              b = below({"sh", "-ec", "cd tree; " + script});
    EXPECT_EQ(a.status, 0) << a.output;
    EXPECT_EQ(b.status, 0) << b.output;
    EXPECT_EQ(a.output, b.output);
  }

  static Ran run(const fs::path& cwd, const std::vector<std::string>& command) {
    const std::string line =
        "cd '" + cwd.string() + "' && exec " + quoted(command) + " 2>&1 </dev/null";
    FILE* f = popen(line.c_str(), "r");
    std::string output;
    for (int c; (c = fgetc(f)) != EOF;) output += static_cast<char>(c);
    return Ran{output, pclose(f)};
  }
  Ran below(std::vector<std::string> command) const {
    command.insert(command.begin(), {OVLRUN_WITH_OVERLAY, "tree", "upper", "--"});
    return run(overlay(), command);
  }

  // The probe sees the same in both, and the lower is as it was.
  std::string same(std::vector<std::string> command) {
    command.insert(command.begin(), OVLRUN_PROBE);
    const Ran a = run(native(), command), b = below(command);
    EXPECT_EQ(a.output, b.output) << quoted(command);
    EXPECT_EQ(a.status, b.status) << quoted(command);
    return b.output;
  }
  void expect_lower_unchanged() { EXPECT_EQ(before_, contents(overlay() / "tree")); }
  // What programs see in the end.
  void expect_same_trees() {
    const std::vector<std::string> look = {
        "sh", "-c",
        "find tree -printf '%p %y %m %l\\n' | sort; find tree -type f | sort | xargs cat"};
    EXPECT_EQ(run(native(), look).output, below(look).output);
  }

  fs::path root_;
  std::map<std::string, std::string> before_;
};

// Some of each kind, with names that the probe's fts knows.
void make_tree(const fs::path& tree) {
  for (const char* dir : {"a/b/c", "children/inside", "children/again", "skip/deep", "empty"})
    fs::create_directories(tree / dir);
  write_file(tree / "a/file", "text\n");
  write_file(tree / "a/b/.hidden", "");
  write_file(tree / "a/b/c/deep.c", "deep\n");
  write_file(tree / "children/inside/x", "x");
  write_file(tree / "skip/never", "");
  write_file(tree / "script", "#!/bin/sh\necho \"$0 $# $1 $2 $GIVEN\"\n", 0755);
  fs::create_symlink("file", tree / "a/to-file");
  fs::create_symlink("../a", tree / "children/link");
  fs::create_symlink("nowhere", tree / "dangling");
  fs::create_symlink("..", tree / "a/b/up");
}

const char kChanges[] =
    "echo new >a/new; rm a/file; mkdir a/b/made; echo y >children/inside/y; rm -r empty; mkdir "
    "empty; ln -s new a/to-new";

class Walks : public Preload, public ::testing::WithParamInterface<bool> {
 protected:
  void SetUp() override {
    lower(make_tree);
    if (GetParam()) change(kChanges);
  }
  void TearDown() override { expect_lower_unchanged(); }
};
INSTANTIATE_TEST_SUITE_P(Trees, Walks, ::testing::Bool(), [](const auto& param) {
  return param.param ? std::string("Merged") : std::string("Untouched");
});

TEST_P(Walks, FtwReportsWhatLibcReports) {
  // Not through two links to one directory: which of them comes first is the file system's to say.
  same({"ftw", "tree/a"});
  same({"ftw", "tree/skip/"});
  same({"ftw", "tree/dangling"});
  same({"ftw", "nowhere"});
  same({"ftw", ""});
}

TEST_P(Walks, NftwReportsWhatLibcReports) {
  for (int flags : {0, 1, 4, 5, 8, 9, 12, 13, 3, 16, 32})
    same({"nftw", "tree/a", std::to_string(flags)});
  for (int flags : {1, 5, 13}) same({"nftw", "tree", std::to_string(flags)});
  same({"nftw", "tree/script", "5"});
}

TEST_P(Walks, NftwFollowsTheCallersInstructions) {
  // One directory below another, so that the order is given.
  for (const char* with : {"1", "2", "3", "7"})
    for (const char* at : {"1", "2"}) same({"nftw", "tree/skip", "17", at, with});
}

TEST_P(Walks, FtsReturnsWhatLibcReturns) {
  constexpr int kLogical = 2, kNoChdir = 4, kNoStat = 8, kPhysical = 16, kSeeDot = 32,
                kComFollow = 1;
  for (int options :
       {kPhysical, kPhysical | kNoChdir, kLogical, kPhysical | kSeeDot, kPhysical | kNoStat,
        kPhysical | kComFollow, kPhysical | kNoStat | kNoChdir, 0x1000}) {
    same({"fts", std::to_string(options), "tree"});
    same({"fts", std::to_string(options), "tree/skip", "tree/a/b", "tree/script", "tree/dangling",
          "tree/nowhere"});
  }
  same({"fts", "16", "tree/children/link", "tree/"});
  same({"fts", "16", ""});
}

TEST_P(Walks, GlobFindsWhatLibcFinds) {
  constexpr int kMark = 2, kNoSort = 4, kNoCheck = 16, kBrace = 1 << 10, kPeriod = 1 << 7,
                kOnlyDir = 1 << 13;
  same({"glob", "0", "tree/*", "tree/a/*/*.c", "tree/*/nothing*"});
  same({"glob", std::to_string(kMark), "tree/*", "tree/dang*"});
  same({"glob", std::to_string(kBrace | kPeriod), "tree/{a,children}/*", "tree/a/b/.*"});
  same({"glob", std::to_string(kOnlyDir), "tree/*"});
  same({"glob", std::to_string(kNoCheck), "tree/none*", "tree/a"});
  static_cast<void>(kNoSort);
}

TEST_P(Walks, ScandirListsWhatLibcLists) {
  for (const char* dir : {"tree", "tree/a", "tree/a/b", "tree/empty", "tree/script", "nowhere"})
    same({"scandir", dir});
}

TEST_P(Walks, PositionsLeadBack) {
  for (const char* dir : {"tree", "tree/a", "tree/empty"}) same({"positions", dir});
}

TEST_P(Walks, OpendirAnswersAsLibc) {
  same({"opendir", "tree/a", "tree/script", "nowhere", "tree/dangling"});
}

TEST_P(Walks, RealpathShowsTheProgramsPaths) {
  same({"realpath", "tree", "tree/a/b/up/to-file", "tree/children/link/b", "tree/dangling",
        "tree/script/", "tree/nowhere", "tree/nowhere/x", "tree/a/../script", "/", "", "tree/a/new",
        "tree/a/to-new"});
}

TEST_P(Walks, GetcwdShowsTheProgramsPaths) {
  same({"cwd", "tree/a/b", "..", "b/c", "nowhere", "../up/../children"});
}

TEST_F(Preload, LargeDirectoriesAreWholeWhenMerged) {
  lower([](const fs::path& tree) {
    fs::create_directories(tree / "many");
    for (int i = 0; i < 700; i++)
      write_file(tree / "many" / ("a-name-that-takes-some-space." + std::to_string(i)), "");
  });
  change("for i in 1 2 3; do echo $i >many/new.$i; rm many/a-name-that-takes-some-space.$i; done");
  same({"scandir", "tree/many"});
  same({"positions", "tree/many"});
  same({"empty", "tree/many"});
  expect_same_trees();
  expect_lower_unchanged();
}

TEST_F(Preload, FopenModesOpenAndCreate) {
  lower([](const fs::path& tree) {
    write_file(tree / "file", "some text\n");
    write_file(tree / "other", "some text\n", 0600);
  });
  same({"fopen", "tree/file", "tree/new", "tree", "tree/no/such"});
  same({"wide", "tree/wide"});
  expect_same_trees();
  expect_lower_unchanged();
}

TEST_F(Preload, FreopenKeepsTheNumberAndNeverWritesTheLower) {
  lower([](const fs::path& tree) { write_file(tree / "file", "some text\n"); });
  same({"freopen", "tree/file", "tree/new"});
  expect_same_trees();
  expect_lower_unchanged();
}

TEST_F(Preload, EverySpellingIsCovered) {
  lower([](const fs::path& tree) { fs::create_symlink("file", tree / "link"); });
  change("echo hello >file");
  same({"spellings", "tree/file", "tree/link"});
}

TEST_F(Preload, TemporaryNamesAreMadeInTheOverlay) {
  lower([](const fs::path& tree) { fs::create_directories(tree / "dir"); });
  same({"temp", "tree/dir"});
  same({"temp", "tree"});
  expect_same_trees();
  expect_lower_unchanged();
}

TEST_F(Preload, WhatLibcAddsToTheSystemCall) {
  lower([](const fs::path& tree) {
    write_file(tree / "file", "text");
    fs::create_directories(tree / "empty");
    fs::create_directories(tree / "full/x");
  });
  same({"misc", "tree/file", "tree/empty", "tree/full"});
  expect_same_trees();
  expect_lower_unchanged();
}

TEST_F(Preload, DescriptorsAreTheLowestAndNoneIsOurs) {
  lower([](const fs::path& tree) { write_file(tree / "file", "text"); });
  change("echo new >new");
  same({"descriptors", "tree/file", "tree/new", "tree", "tree/nowhere"});
}

TEST_F(Preload, SuccessLeavesErrnoAlone) {
  lower([](const fs::path& tree) {
    write_file(tree / "file", "text");
    fs::create_directories(tree / "dir");
  });
  change("echo new >dir/new");
  same({"errno", "tree/file", "tree/dir"});
}

void make_programs(const fs::path& tree) {
  const std::string body =
      "echo \"$# $1 $2 $GIVEN\"; test -e /proc/self/fd/9 && echo leak; exit 7\n";
  write_file(tree / "script", "#!/bin/sh\n" + body, 0755);
  write_file(tree / "plain", body, 0755);
  write_file(tree / "denied", "#!/bin/sh\n", 0644);
  fs::create_symlink("script", tree / "link");
}

TEST_F(Preload, ExecFamilyRunsWhatLibcRuns) {
  lower(make_programs);
  const std::string shown = same({"exec", "tree"});
  EXPECT_NE(shown.find("execve: exit 7"), std::string::npos) << shown;
}

TEST_F(Preload, ExecFamilyRunsWhatIsOnlyInTheUpper) {
  lower([](const fs::path&) {});
  make_programs(native() / "tree");
  change("true");
  fs::create_directories(overlay() / "upper");
  make_programs(overlay() / "upper");
  same({"exec", "tree"});
}

TEST_F(Preload, PosixSpawnDoesItsActionsInTheOverlay) {
  lower(make_programs);
  const std::string script =
      "echo in $(basename $PWD); ls; head -c 9 <&7; echo err >&2; ls /proc/self/fd | wc -l";
  const std::string shown = same({"spawn", "tree", script});
  EXPECT_NE(shown.find("out: in tree"), std::string::npos) << shown;
  EXPECT_NE(shown.find("leader"), std::string::npos) << shown;
  expect_same_trees();
  expect_lower_unchanged();
}

TEST_F(Preload, ASpawnedChildHasNoHandlersOfItsParent) {
  lower([](const fs::path& tree) { write_file(tree / "file", "text"); });
  EXPECT_EQ(same({"spawn_signal", "tree"}), "posix_spawn 0: signal 10, handled 0\n");
  expect_lower_unchanged();
}

TEST_F(Preload, ShellsOfSystemAndPopenAreCovered) {
  lower([](const fs::path& tree) { write_file(tree / "file", "text"); });
  const std::string shown = same({"shell", "tree"});
  EXPECT_NE(shown.find("popen: made"), std::string::npos) << shown;
  expect_same_trees();
  expect_lower_unchanged();
}

TEST_F(Preload, ProfilesLandInTheOverlay) {
  lower([](const fs::path& tree) { fs::create_directories(tree / "dir"); });
  const std::string look =
      "cd tree/dir && " OVLRUN_PROBE
      "_profiled && pwd | grep -c dir; ls; GMON_OUT_PREFIX=../pre " OVLRUN_PROBE
      "_profiled; ls .. | sed 's/[0-9]*$//'";
  const std::string shown = below({"sh", "-c", look}).output;
  EXPECT_EQ(shown, run(native(), {"sh", "-c", look}).output);
  EXPECT_NE(shown.find("gmon.out"), std::string::npos) << shown;
  expect_lower_unchanged();
}

TEST_F(Preload, WordsWithCommandsAreRefused) {
  lower([](const fs::path&) {});
  EXPECT_EQ(below({OVLRUN_PROBE, "wordexp", "a $HOME b"}).output,
            run(native(), {OVLRUN_PROBE, "wordexp", "a $HOME b"}).output);
  EXPECT_EQ(below({OVLRUN_PROBE, "wordexp", "$(touch tree/made)"}).output,
            "commands are refused\n");
  expect_lower_unchanged();
}

TEST_F(Preload, VforkChildrenHaveTheirOwnCwd) {
  lower([](const fs::path& tree) { write_file(tree / "file", "text"); });
  same({"vfork", "tree"});
  expect_same_trees();
  expect_lower_unchanged();
}

TEST_F(Preload, ThreadsAreCancelledInOpen) {
  lower([](const fs::path& tree) { write_file(tree / "file", "text"); });
  same({"cancel", "tree/fifo", "tree/file"});
  same({"cancel", "fifo", "fifo"});
  expect_lower_unchanged();
}

TEST_F(Preload, SignalsInterruptOpen) {
  lower([](const fs::path&) {});
  same({"interrupt", "tree/fifo"});
}

TEST_F(Preload, SocketsHaveTheProgramsPaths) {
  lower([](const fs::path& tree) { fs::create_directories(tree / "dir"); });
  same({"socket", "tree/dir"});
  const std::string shown =
      below({OVLRUN_PROBE, "socket", (overlay() / "tree/dir").string()}).output;
  EXPECT_NE(shown.find("name ok, the program's own 1"), std::string::npos) << shown;
  expect_lower_unchanged();
}

TEST_F(Preload, ObjectsOfTheUpperAreLoaded) {
  lower([](const fs::path& tree) { fs::copy_file(OVLRUN_PROBE_MODULE, tree / "lower.so"); });
  change(
      "cp lower.so upper.so; mkdir dir; cp lower.so dir/upper.so; ln -s dir/upper.so link.so; rm "
      "lower.so");
  same({"dlopen", "tree/upper.so", "./tree/dir/upper.so", "tree/link.so", "tree/lower.so",
        "nowhere.so"});
}

TEST_F(Preload, EnvironmentShowsNothingOfOurs) {
  lower([](const fs::path&) {});
  same({"environment"});
}

TEST_F(Preload, SanitizersSeeNothingToReport) {
  lower([](const fs::path& tree) { write_file(tree / "file", "text"); });
  change("echo new >new");
  for (const char* sanitizer : {"address", "thread", "undefined"}) {
    const Ran ran = below({std::string(OVLRUN_PROBE "_") + sanitizer, "tree"});
    EXPECT_EQ(ran.output, "done\n") << sanitizer;
    EXPECT_EQ(ran.status, 0) << sanitizer;
  }
}

TEST_F(Preload, OtherPreloadsKeepTheirPlace) {
  lower([](const fs::path&) {});
  const std::vector<std::string> command = {"env", "LD_PRELOAD=" OVLRUN_PROBE_MODULE, OVLRUN_PROBE,
                                            "environment"};
  EXPECT_EQ(run(native(), command).output, below(command).output);
}

TEST_F(Preload, EmptyEnvironmentsStayCovered) {
  lower([](const fs::path&) {});
  change("echo in the upper >file");
  const Ran ran = below({"sh", "-c", "env -i /usr/bin/env -i cat tree/file; env -i env"});
  EXPECT_EQ(ran.output, "in the upper\n");
}

TEST_F(Preload, SessionThatCannotBeAttachedEndsTheProgram) {
  const Ran ran = run(root_, {"env", "LD_PRELOAD=" OVLRUN_PRELOAD_OBJECT,
                              "OVLRUN_SESSION=/no/such/session", "echo", "not reached"});
  EXPECT_EQ(WEXITSTATUS(ran.status), 125);
  EXPECT_EQ(ran.output.find("ovlrun: the session /no/such/session cannot be attached"), 0u)
      << ran.output;
  EXPECT_EQ(ran.output.find("not reached"), std::string::npos);
}

TEST_F(Preload, WithoutASessionEverythingIsNative) {
  make_tree(native() / "tree");
  for (const std::vector<std::string>& command :
       std::vector<std::vector<std::string>>{{"fts", "16", "tree"},
                                             {"glob", "0", "tree/*"},
                                             {"realpath", "tree/a/b/up"},
                                             {"scandir", "tree"},
                                             {"exec", "tree"}}) {
    std::vector<std::string> words = {OVLRUN_PROBE};
    words.insert(words.end(), command.begin(), command.end());
    const Ran plain = run(native(), words);
    words.insert(words.begin(), {"env", "LD_PRELOAD=" OVLRUN_PRELOAD_OBJECT});
    EXPECT_EQ(plain.output, run(native(), words).output);
  }
}

}  // namespace
