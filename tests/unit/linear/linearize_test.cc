// The checker itself: what it has to accept, and above all what it has to refuse.
#include "tests/unit/linear/linearize.h"

#include <errno.h>
#include <gtest/gtest.h>

#include <random>

namespace linear {
namespace {

constexpr Path kP = {1, {0}}, kQ = {1, {1}}, kD = {1, {2}}, kE = {1, {3}};
constexpr Path kDp = {2, {2, 0}}, kDe = {2, {2, 3}}, kEp = {2, {3, 0}};

// /p: content 1, 100 bytes; /d: empty.
Tree small() {
  Tree tree;
  Object file;
  file.inode = 10;
  file.mode = 0644;
  file.size = 100;
  file.tag = 1;
  tree.add(kP, file);
  Object dir;
  dir.inode = 11;
  dir.mode = 0755;
  dir.type = Type::kDirectory;
  tree.add(kD, dir);
  return tree;
}

struct Told : Event {
  Told(int at_task, uint64_t from, uint64_t to, Kind kind, Path path, int error = 0) {
    task = static_cast<uint8_t>(at_task);
    invoked = from;
    returned = to;
    call.kind = kind;
    call.path = path;
    answer.error = static_cast<int16_t>(error);
  }
  Told& onto(Path path) {
    call.to = path;
    return *this;
  }
  Told& with(int value) {
    call.value = static_cast<uint16_t>(value);
    return *this;
  }
  Told& saw(uint32_t inode, int mode, int size, int links) {
    answer.facts = Facts{inode,
                         static_cast<uint16_t>(mode),
                         static_cast<uint16_t>(size),
                         static_cast<uint8_t>(links),
                         0,
                         Type::kFile};
    return *this;
  }
  Told& read(int tag, int size) {
    answer.facts.tag = static_cast<uint8_t>(tag);
    answer.facts.size = static_cast<uint16_t>(size);
    return *this;
  }
  Told& listed(std::initializer_list<int> names) {
    for (int n : names) answer.listed = static_cast<uint8_t>(answer.listed | 1 << n);
    return *this;
  }
};

bool explained(const History& history) {
  return linearize(small(), history) == Verdict::kExplained;
}

TEST(Linearize, CallsOneAfterTheOther) {
  EXPECT_TRUE(explained({}));
  EXPECT_TRUE(
      explained({Told(0, 1, 2, Kind::kUnlink, kP), Told(0, 3, 4, Kind::kStat, kP, ENOENT)}));
  EXPECT_FALSE(explained(
      {Told(0, 1, 2, Kind::kUnlink, kP), Told(0, 3, 4, Kind::kStat, kP).saw(10, 0644, 100, 1)}))
      << "resurrected";
  EXPECT_FALSE(explained({Told(0, 1, 2, Kind::kStat, kP, ENOENT)})) << "lost";
  EXPECT_FALSE(explained({Told(0, 1, 2, Kind::kStat, kP).saw(12, 0644, 100, 1)}))
      << "another inode";
}

TEST(Linearize, SideBySideInAnyOrder) {
  for (int error : {0, ENOENT})
    EXPECT_TRUE(explained(
        {Told(0, 1, 4, Kind::kUnlink, kP), Told(1, 2, 3, Kind::kChmod, kP, error).with(0600)}));
}

TEST(Linearize, ExclusiveCreationHasOneWinner) {
  const Told a = Told(0, 1, 4, Kind::kCreate, kQ).with(0601);
  EXPECT_TRUE(explained({a, Told(1, 2, 3, Kind::kCreate, kQ, EEXIST).with(0602)}));
  EXPECT_FALSE(explained({a, Told(1, 2, 3, Kind::kCreate, kQ).with(0602)}));
  EXPECT_FALSE(explained(
      {Told(0, 1, 4, Kind::kCreate, kQ, EEXIST), Told(1, 2, 3, Kind::kCreate, kQ, EEXIST)}));
  // With an unlink between there may be two.
  EXPECT_TRUE(
      explained({Told(0, 1, 6, Kind::kCreate, kQ).with(0601),
                 Told(1, 2, 7, Kind::kCreate, kQ).with(0602), Told(2, 3, 8, Kind::kUnlink, kQ)}));
}

TEST(Linearize, OrdersThatLeadToTheSameTreeAreNotTakenForOneAnother) {
  EXPECT_TRUE(explained({Told(0, 0, 9, Kind::kCreate, kQ), Told(1, 1, 2, Kind::kOpenCreate, kQ)}));
}

TEST(Linearize, OrderInTimeCounts) {
  const Told unlinked = Told(1, 3, 4, Kind::kUnlink, kP);
  EXPECT_TRUE(explained({Told(0, 1, 2, Kind::kChmod, kP).with(0600), unlinked}));
  EXPECT_FALSE(explained({unlinked, Told(0, 5, 6, Kind::kChmod, kP).with(0600)}));
}

TEST(Linearize, OfTwoChangesTheLastStays) {
  const History two = {Told(0, 1, 10, Kind::kChmod, kP).with(0601),
                       Told(1, 1, 10, Kind::kChmod, kP).with(0602)};
  const auto seen = [&](int first, int then) {
    History h = two;
    h.push_back(Told(2, 5, 6, Kind::kStat, kP).saw(10, first, 100, 1));
    h.push_back(Told(2, 11, 12, Kind::kStat, kP).saw(10, then, 100, 1));
    return explained(h);
  };
  EXPECT_TRUE(seen(0644, 0601));
  EXPECT_TRUE(seen(0601, 0602));
  EXPECT_TRUE(seen(0602, 0602));
  EXPECT_FALSE(seen(0601, 0644)) << "lost";
  EXPECT_FALSE(seen(0644, 0644)) << "lost";
  EXPECT_FALSE(seen(0603, 0601)) << "nobody's";
}

TEST(Linearize, RenamedFileIsTheSameAndIsOnce) {
  const Told moved = Told(0, 1, 2, Kind::kRename, kP).onto(kDp);
  EXPECT_TRUE(explained({moved, Told(0, 3, 4, Kind::kStat, kDp).saw(10, 0644, 100, 1)}));
  EXPECT_FALSE(explained({moved, Told(0, 3, 4, Kind::kStat, kP).saw(10, 0644, 100, 1)}));
  EXPECT_FALSE(explained({moved, Told(0, 3, 4, Kind::kOpenRead, kDp).read(2, 100)}))
      << "other content";
  // Seen at the new name, then at the old one.
  EXPECT_FALSE(explained({Told(0, 1, 9, Kind::kRename, kP).onto(kDp),
                          Told(1, 2, 3, Kind::kStat, kDp).saw(10, 0644, 100, 1),
                          Told(1, 4, 5, Kind::kStat, kP).saw(10, 0644, 100, 1)}));
}

TEST(Linearize, WhoFoundAnObjectActsOnItUnderAnyName) {
  const Told moved = Told(1, 2, 3, Kind::kRename, kP).onto(kDp);
  const Told seen = Told(1, 4, 5, Kind::kStat, kDp).saw(10, 0644, 100, 1);
  EXPECT_TRUE(explained({Told(0, 1, 9, Kind::kTruncate, kP).with(50), moved, seen,
                         Told(1, 6, 7, Kind::kStat, kDp).saw(10, 0644, 50, 1)}));
  EXPECT_FALSE(explained({moved, seen, Told(0, 6, 9, Kind::kTruncate, kP).with(50)}));
}

TEST(Linearize, WhoFoundADirectoryChangesItUnderAnyName) {
  const Told made = Told(0, 1, 2, Kind::kCreate, kDp).with(0601);
  const Told moved = Told(1, 4, 5, Kind::kRename, kD).onto(kQ);
  const Path qp = {2, {1, 0}};
  // It stood in /d before that was moved, and took /d/p to the name that had become free.
  EXPECT_TRUE(explained({made, moved, Told(0, 3, 9, Kind::kRenameNoReplace, kDp).onto(kD),
                         Told(1, 10, 11, Kind::kStat, kD).saw(12, 0601, 0, 1)}));
  EXPECT_TRUE(explained(
      {made, moved, Told(0, 3, 9, Kind::kUnlink, kDp), Told(1, 10, 11, Kind::kStat, qp, ENOENT)}));
  EXPECT_FALSE(explained({made, moved, Told(0, 6, 9, Kind::kUnlink, kDp)})) << "too late";
  EXPECT_FALSE(explained({made, moved, Told(0, 3, 9, Kind::kUnlink, kDp),
                          Told(1, 10, 11, Kind::kStat, qp).saw(12, 0601, 0, 1)}))
      << "lost";
}

TEST(Linearize, NamesOnTheWayAreLookedUpOneAfterTheOther) {
  const Path dep = {3, {2, 3, 0}}, dq = {2, {2, 1}}, qe = {2, {1, 3}};
  const History before = {
      Told(0, 1, 2, Kind::kMkdir, kDe).with(0701), Told(0, 3, 4, Kind::kCreate, dep).with(0601),
      // /d is /q from then on, and then its e is empty.
      Told(1, 6, 7, Kind::kRename, kD).onto(kQ), Told(1, 8, 9, Kind::kRename, qe).onto(kE)};
  const auto with = [&](const Told& told) {
    History all = before;
    all.push_back(told);
    return explained(all);
  };
  EXPECT_TRUE(with(Told(0, 5, 20, Kind::kUnlink, dep)));
  EXPECT_TRUE(with(Told(0, 5, 20, Kind::kUnlink, dep, ENOENT)));
  EXPECT_FALSE(with(Told(0, 5, 20, Kind::kUnlink, dq))) << "never was there";
}

TEST(Linearize, RenamesInACircle) {
  const Told into_d = Told(0, 3, 9, Kind::kRename, kE).onto(kDe);
  const Told made = Told(0, 1, 2, Kind::kMkdir, kE).with(0755);
  const Path ed = {2, {3, 2}};
  EXPECT_FALSE(explained({made, into_d, Told(1, 3, 9, Kind::kRename, kD).onto(ed)}))
      << "both are below the other";
  EXPECT_TRUE(explained({made, into_d, Told(1, 3, 9, Kind::kRename, kD, ENOENT).onto(ed)}));
  EXPECT_TRUE(explained({made, Told(0, 3, 4, Kind::kRename, kD, EINVAL).onto(Path{2, {2, 3}})}));
}

TEST(Linearize, NothingIsMadeInARemovedDirectory) {
  const Told removed = Told(0, 1, 9, Kind::kRmdir, kD);
  EXPECT_FALSE(explained({removed, Told(1, 2, 8, Kind::kCreate, kDp).with(0600)}));
  EXPECT_TRUE(explained({removed, Told(1, 2, 8, Kind::kCreate, kDp, ENOENT)}));
  EXPECT_TRUE(explained(
      {Told(0, 1, 9, Kind::kRmdir, kD, ENOTEMPTY), Told(1, 2, 8, Kind::kCreate, kDp).with(0600)}));
}

TEST(Linearize, LinksAreCounted) {
  const Told linked = Told(0, 1, 9, Kind::kLink, kP).onto(kDp);
  EXPECT_TRUE(explained({linked, Told(1, 2, 3, Kind::kStat, kP).saw(10, 0644, 100, 2)}));
  EXPECT_FALSE(explained({linked, Told(1, 10, 11, Kind::kStat, kP).saw(10, 0644, 100, 1)}));
  EXPECT_FALSE(explained({linked, Told(1, 2, 3, Kind::kStat, kP).saw(10, 0644, 100, 3)}));
}

TEST(Linearize, ListingsShowWhatWasThereAllTheTime) {
  const Told moved = Told(0, 1, 9, Kind::kRename, kP).onto(kQ);
  const auto lists = [&](std::initializer_list<int> names) {
    return explained({moved, Told(1, 2, 8, Kind::kList, Path()).listed(names)});
  };
  EXPECT_TRUE(lists({0, 2}));
  EXPECT_TRUE(lists({1, 2}));
  EXPECT_TRUE(lists({0, 1, 2}));  // one is read before, the other after
  EXPECT_TRUE(lists({2}));
  EXPECT_FALSE(lists({0})) << "d was there throughout";
  EXPECT_FALSE(lists({0, 2, 3})) << "e never was";
  EXPECT_FALSE(explained({moved, Told(1, 10, 11, Kind::kList, Path()).listed({0, 2})}))
      << "too late";
}

TEST(Linearize, WhatIsStrangeIsRefused) {
  Told list = Told(1, 2, 8, Kind::kList, Path()).listed({0, 2});
  EXPECT_TRUE(explained({list}));
  list.answer.strange = true;
  EXPECT_FALSE(explained({list}));
}

TEST(Linearize, OfARefusedHistoryTheShortestIsTold) {
  const History all = {Told(1, 1, 2, Kind::kStat, kQ, ENOENT), Told(0, 1, 2, Kind::kUnlink, kP),
                       Told(1, 3, 4, Kind::kList, kD),
                       Told(1, 5, 6, Kind::kStat, kP).saw(10, 0644, 100, 1)};
  const History rest = shortest_refused(small(), all);
  ASSERT_EQ(rest.size(), 2u);
  EXPECT_EQ(rest[1].call.kind, Kind::kStat);
}

// One that is made of an order is explained, however the calls overlap; with one answer changed
// against all orders it is refused.
TEST(Linearize, RandomOrdersAreFoundAgain) {
  std::mt19937_64 random(7);
  const auto below = [&](uint64_t n) { return random() % n; };
  constexpr Path kPaths[] = {kP, kQ, kD, kE, kDp, kDe, kEp};
  constexpr Kind kKindsHere[] = {Kind::kCreate, Kind::kStat,    Kind::kChmod,  Kind::kUnlink,
                                 Kind::kMkdir,  Kind::kRmdir,   Kind::kRename, Kind::kExchange,
                                 Kind::kLink,   Kind::kTruncate};
  for (int round = 0; round < 300; round++) {
    Tree tree = small();
    History history;
    for (int i = 0; i < 40; i++) {
      Event e;
      e.call.kind = kKindsHere[below(10)];
      e.call.path = kPaths[below(7)];
      e.call.to = kPaths[below(7)];
      e.call.value = static_cast<uint16_t>(0600 + i);
      uint8_t o = kNone;
      e.answer.error = static_cast<int16_t>(tree.apply(e.call, &o));
      if (e.call.kind == Kind::kStat && e.answer.error == 0) {
        const Object& object = tree.object(o);
        tree.has_inode(o, 100u + o);
        e.answer.facts =
            Facts{object.inode, object.mode, object.size, object.links, 0, object.type};
      }
      // Each begins up to three before its moment, and ends up to three after it.
      const uint64_t moment = 100 + 10 * static_cast<uint64_t>(i);
      e.invoked = moment - 10 * below(2) - below(9);
      e.returned = moment + 1 + 10 * below(2) + below(8);
      e.task = static_cast<uint8_t>(i % 4);
      history.push_back(e);
    }
    ASSERT_EQ(linearize(small(), history), Verdict::kExplained)
        << to_text(shortest_refused(small(), history));
    Event late;  // nobody has made this mode
    late.call.path = kP;
    late.call.kind = Kind::kStat;
    late.answer.facts.mode = 0777;
    late.invoked = 1000;
    late.returned = 1001;
    history.push_back(late);
    ASSERT_EQ(linearize(small(), history), Verdict::kRefused) << to_text(history);
  }
}

}  // namespace
}  // namespace linear
