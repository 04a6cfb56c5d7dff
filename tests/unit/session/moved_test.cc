// The list of moved directories.
#include "core/session/moved.h"

#include <set>
#include <thread>

#include "tests/support/fixture.h"

namespace ovl::testing {
namespace {

class MovedTest : public OverlayTest {
 protected:
  const Overlay& overlay() { return session().overlay(0); }
  int add(const std::string& lower, const std::string& shown) {
    return moved_add(session(), overlay(), view(lower), view(shown)).error();
  }
  int rename(const std::string& from, const std::string& to) {
    return moved_rename(session(), overlay(), view(from), view(to)).error();
  }
  void remove(const std::string& shown) { moved_remove(session(), overlay(), view(shown)); }
  std::set<std::string> candidates(const std::string& lower) {
    Op op(caller(), session());
    std::set<std::string> result;
    uint32_t cursor = 0;
    for (;;) {
      CStr c = moved_candidate(session(), overlay(), op.arena(), view(lower), &cursor);
      if (c.data() == nullptr) return result;
      EXPECT_EQ(c.c_str()[c.size()], 0);
      EXPECT_TRUE(result.insert(std::string(c.data(), c.size())).second);
    }
  }
  uint32_t count() { return session().state().moved_count.load(); }
  static Str view(const std::string& s) { return Str(s.data(), s.size()); }
};
using Set = std::set<std::string>;

TEST_F(MovedTest, AnswersForTheDirectoryAndWhatIsBelow) {
  start();
  EXPECT_EQ(candidates("/a"), Set{});
  EXPECT_EQ(add("/a/b", "/x"), 0);
  EXPECT_EQ(candidates("/a/b"), (Set{"/x"}));
  EXPECT_EQ(candidates("/a/b/c/d"), (Set{"/x/c/d"}));
  EXPECT_EQ(candidates("/a"), Set{});
  EXPECT_EQ(candidates("/a/bc"), Set{});
  EXPECT_EQ(candidates("/a/"), Set{});
}

TEST_F(MovedTest, TellsAllPlacesInTurn) {
  start();
  add("/a", "/x");
  add("/a/b", "/y");
  EXPECT_EQ(candidates("/a/b/c"), (Set{"/x/b/c", "/y/c"}));
}

TEST_F(MovedTest, AddingReplacesWhatWasShownThere) {
  start();
  add("/a", "/x");
  add("/b", "/x");
  EXPECT_EQ(candidates("/a"), Set{});
  EXPECT_EQ(candidates("/b"), (Set{"/x"}));
  add("/b", "/x");
  EXPECT_EQ(candidates("/b"), (Set{"/x"}));
  EXPECT_EQ(count(), 1u);
}

TEST_F(MovedTest, RenamingTakesWhatIsBelowAlong) {
  start();
  add("/a", "/x");
  add("/b", "/x/in");
  add("/c", "/xy");
  EXPECT_EQ(rename("/x", "/somewhere/else"), 0);
  EXPECT_EQ(candidates("/a/f"), (Set{"/somewhere/else/f"}));
  EXPECT_EQ(candidates("/b"), (Set{"/somewhere/else/in"}));
  EXPECT_EQ(candidates("/c"), (Set{"/xy"}));
  EXPECT_EQ(rename("/nothing", "/y"), 0);
  EXPECT_EQ(rename("/xy", "/xy"), 0);
  EXPECT_EQ(candidates("/c"), (Set{"/xy"}));
}

TEST_F(MovedTest, RenamingOverAnEmptyDirectoryForgetsIt) {
  start();
  add("/a", "/x");
  add("/b", "/y");
  EXPECT_EQ(rename("/x", "/y"), 0);
  EXPECT_EQ(candidates("/a"), (Set{"/y"}));
  EXPECT_EQ(candidates("/b"), Set{});
}

TEST_F(MovedTest, AddThenRenameOfWhatIsBelowKeepsBoth) {
  start();
  add("/b", "/dir/in");
  add("/dir", "/new");  // "/dir" itself was no moved one
  EXPECT_EQ(rename("/dir", "/new"), 0);
  EXPECT_EQ(candidates("/dir"), (Set{"/new"}));
  EXPECT_EQ(candidates("/b"), (Set{"/new/in"}));
}

TEST_F(MovedTest, RemovingForgetsWhatIsBelowToo) {
  start();
  add("/a", "/x");
  add("/b", "/x/in");
  add("/c", "/xy");
  remove("/x");
  EXPECT_EQ(candidates("/a"), Set{});
  EXPECT_EQ(candidates("/b"), Set{});
  EXPECT_EQ(candidates("/c"), (Set{"/xy"}));
  remove("/xy");
  EXPECT_EQ(count(), 0u);
}

TEST_F(MovedTest, StringsAreKeptWhileTheirAreaIsUsedAgainAndAgain) {
  start();
  const std::string tail(500, 't');
  for (int i = 0; i < 20; i++) add("/lower" + std::to_string(i), "/first" + std::to_string(i));
  for (int round = 0; round < 500; round++)
    for (int i = 0; i < 20; i += 3)
      ASSERT_EQ(
          rename((round == 0 ? "/first" + std::to_string(i)
                             : "/r" + std::to_string(round - 1) + "-" + std::to_string(i) + tail),
                 "/r" + std::to_string(round) + "-" + std::to_string(i) + tail),
          0)
          << round;
  for (int i = 0; i < 20; i++)
    EXPECT_EQ(
        candidates("/lower" + std::to_string(i)),
        (Set{i % 3 == 0 ? "/r499-" + std::to_string(i) + tail : "/first" + std::to_string(i)}));
}

TEST_F(MovedTest, AFullListSaysSoAndStaysRight) {
  start();
  for (uint32_t i = 0; i < kMovedMax; i++)
    ASSERT_EQ(add("/l" + std::to_string(i), "/s" + std::to_string(i)), 0);
  EXPECT_EQ(add("/more", "/more"), ENOSPC);
  EXPECT_EQ(candidates("/more"), Set{});
  EXPECT_EQ(candidates("/l77"), (Set{"/s77"}));
  remove("/s5");
  EXPECT_EQ(add("/more", "/more"), 0);
  EXPECT_EQ(candidates("/more"), (Set{"/more"}));
  EXPECT_EQ(candidates("/l5"), Set{});
}

TEST_F(MovedTest, AFullStringAreaSaysSoAndChangesNothing) {
  start();
  const std::string long_name(100 * 1000, 'n');
  int error = 0, added = 0;
  for (int i = 0; error == 0; i++) {
    error = add("/l" + std::to_string(i), "/s" + std::to_string(i) + long_name);
    if (error == 0) added++;
  }
  EXPECT_EQ(error, ENOSPC);
  EXPECT_GE(added, 4);
  EXPECT_EQ(rename("/s0" + long_name, "/t0" + long_name + long_name), ENOSPC);
  for (int i = 0; i < added; i++)
    EXPECT_EQ(candidates("/l" + std::to_string(i)), (Set{"/s" + std::to_string(i) + long_name}));
  EXPECT_EQ(add("/small", "/small"), 0);
}

TEST_F(MovedTest, EntriesOfAnInterruptedChangeOfHalvesSurvive) {
  start();
  add("/a", "/x");
  add("/b", "/y");
  // As a writer leaves it that was killed after it had moved one entry's strings to the other half.
  SharedState& state = session().state();
  constexpr uint32_t kHalf = kMovedStrings / 2;
  memcpy(&state.moved_strings[kHalf], "/b/y", 4);
  state.moved[1].lower = uint64_t{kHalf} << 32 | 2;
  state.moved[1].shown = uint64_t{kHalf + 2} << 32 | 2;
  const std::string long_name(1000, 'n');
  std::string name = "/x";
  for (int i = 0; i < 2000; i++) {
    const std::string next = "/" + std::to_string(i) + long_name;
    ASSERT_EQ(rename(name, next), 0);
    name = next;
  }
  EXPECT_EQ(candidates("/a"), (Set{name}));
  EXPECT_EQ(candidates("/b"), (Set{"/y"}));
}

TEST_F(MovedTest, ReadersSeeAWholeEntryOrNone) {
  start();
  std::atomic<bool> done{false};
  std::atomic<int> wrong{0};
  std::vector<std::thread> readers;
  for (int r = 0; r < 2; r++)
    readers.emplace_back([&] {
      while (!done) {
        Op op(caller(), session());
        for (const char* lower : {"/even/f", "/odd/f"}) {
          uint32_t cursor = 0;
          for (;;) {
            CStr c = moved_candidate(session(), overlay(), op.arena(), lower, &cursor);
            if (c.data() == nullptr) break;
            // "/e...e/f" for even, "/o...o/f" for odd
            for (size_t i = 1; i + 2 < c.size(); i++)
              if (c[i] != lower[1]) wrong++;
            if (!(c.sub(c.size() - 2) == Str("/f"))) wrong++;
          }
        }
      }
    });
  for (int i = 0; i < 3000; i++) {
    const std::string even(400 + i % 100, 'e'), odd(300 + i % 70, 'o');
    EXPECT_EQ(add("/even", "/" + even), 0);
    EXPECT_EQ(add("/odd", "/" + odd), 0);
    EXPECT_EQ(rename("/" + even, "/" + even + "e"), 0);
    remove("/" + even + "e");
    remove("/" + odd);
  }
  done = true;
  for (std::thread& t : readers) t.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(count(), 0u);
}

}  // namespace
}  // namespace ovl::testing
