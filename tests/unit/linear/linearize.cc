// See linearize.h.
#include "tests/unit/linear/linearize.h"

#include <string.h>

#include <algorithm>
#include <set>
#include <unordered_set>

namespace linear {
namespace {

constexpr int kStatesMost = 200'000;
constexpr uint16_t kNobodys = 0xffff;  // a mode

// What a call in progress still has to see.
constexpr uint8_t kContent = 1, kSize = 2;

struct Begun {
  int16_t event = -1;
  Walk walk;
  uint8_t object = kNone;  // seen by it...
  uint8_t left = 0;        // ... but for this
};

struct State {
  Tree tree;
  uint16_t first = 0;  // all before are done
  std::vector<bool> done;
  std::vector<Begun> begun;  // by task
};

bool sees_later(Kind kind) {
  return kind == Kind::kList || kind == Kind::kOpenRead || kind == Kind::kOpenWrite ||
         kind == Kind::kOpenCreate;
}

// Does it act on an object that it has found by a name, and not on the name?
bool acts_on_object(Kind kind) {
  return kind == Kind::kOpenTruncate || kind == Kind::kChmod || kind == Kind::kTruncate ||
         kind == Kind::kLink;
}

class Search {
 public:
  // `at_once`: looks for simple explanations alone, in which walks are made at one moment too.
  Search(const History& history, bool at_once) : events_(history), at_once_(at_once) {
    std::stable_sort(events_.begin(), events_.end(),
                     [](const Event& a, const Event& b) { return a.invoked < b.invoked; });
    for (const Event& e : events_) tasks_ = std::max(tasks_, e.task + 1);
    forget_unseen_modes();
  }

  Verdict run(const Tree& before) {
    for (const Event& e : events_)
      if (e.answer.strange) return Verdict::kRefused;
    State state;
    state.tree = before;
    state.done.resize(events_.size());
    state.begun.resize(static_cast<size_t>(tasks_));
    if (go(std::move(state))) return Verdict::kExplained;
    return too_long_ ? Verdict::kTooLong : Verdict::kRefused;
  }

 private:
  bool go(State s) {
    observe(&s);
    do
      while (s.first < events_.size() && s.done[s.first]) s.first++;
    while (absorb(&s));
    if (s.first == events_.size()) return true;
    if (!seen_.insert(fingerprint(s)).second) return false;
    if (seen_.size() > kStatesMost) {
      too_long_ = true;
      return false;
    }
    std::vector<uint16_t> next = may_come_next(s);
    if (at_once_) leave_out_alike(s, &next);
    for (uint16_t i : next)
      if (step(s, i)) return true;
    return false;
  }

  // What changes nothing and can have been told now, was told now: nothing is lost by that either.
  bool absorb(State* s) const {
    bool any = false;
    for (uint16_t i : may_come_next(*s)) {
      const Event& e = events_[i];
      Begun& begun = s->begun[e.task];
      if (begun.event == i && begun.left != 0) continue;
      if (!tells_now(*s, e, begun.event == i ? begun.walk : Walk())) continue;
      if (begun.event == i) begun = Begun();
      s->done[i] = any = true;
    }
    return any;
  }

  static bool tells_now(const State& s, const Event& e, Walk walk) {
    const Kind kind = e.call.kind;
    const bool looks = kind == Kind::kStat || kind == Kind::kList || kind == Kind::kOpenRead ||
                       kind == Kind::kOpenWrite;
    if (e.answer.error == 0 && !looks) return false;
    for (int error = 0; walk.steps < steps_of(e.call);)
      if ((error = s.tree.walk(e.call, &walk)) != 0) return error == e.answer.error;
    uint8_t i = kNone;
    if (e.answer.error != 0) {
      Tree tree = s.tree;  // a call that fails changes nothing
      return tree.act(e.call, walk, &i) == e.answer.error;
    }
    const Object& o = s.tree.object(walk.at);
    const Facts& f = e.answer.facts;
    if (kind == Kind::kList) return o.type == Type::kDirectory && listed(o) == e.answer.listed;
    if (o.type != f.type) return false;
    const bool file = o.type == Type::kFile;
    if (kind == Kind::kStat)
      return o.inode == f.inode && o.mode == f.mode &&
             (!file || (o.size == f.size && o.links == f.links));
    return file ? o.tag == f.tag && o.size == f.size : kind == Kind::kOpenRead;
  }

  static uint8_t listed(const Object& dir) {
    uint8_t names = 0;
    for (int n = 0; n < kNames; n++)
      if (dir.child[n] != kNone) names = static_cast<uint8_t>(names | 1 << n);
    return names;
  }

  // Then it doesn't matter who has made what is gone again.
  void forget_unseen_modes() {
    std::set<uint16_t> seen;
    for (const Event& e : events_)
      if (e.call.kind == Kind::kStat) seen.insert(e.answer.facts.mode);
    for (Event& e : events_) {
      const Kind kind = e.call.kind;
      if (kind != Kind::kCreate && kind != Kind::kOpenCreate && kind != Kind::kMkdir &&
          kind != Kind::kChmod)
        continue;
      if (seen.count(e.call.value) == 0) e.call.value = kNobodys;
    }
  }

  // Of calls that are alike, who ends first comes first.
  void leave_out_alike(const State& s, std::vector<uint16_t>* next) const {
    const auto begun = [&](uint16_t i) { return s.begun[events_[i].task].event == i; };
    for (size_t n = next->size(); n-- > 1;)
      for (size_t before = 0; before < n; before++) {
        if (begun((*next)[n]) || begun((*next)[before])) continue;
        if (!alike(events_[(*next)[n]], events_[(*next)[before]])) continue;
        next->erase(next->begin() + static_cast<std::ptrdiff_t>(n));
        break;
      }
  }
  static bool alike(const Event& a, const Event& b) {
    const auto same = [](const Path& p, const Path& q) {
      return p.depth == q.depth && memcmp(p.name, q.name, p.depth) == 0;
    };
    return a.call.kind == b.call.kind && a.call.value == b.call.value &&
           a.answer.error == b.answer.error && a.answer.listed == b.answer.listed &&
           same(a.call.path, b.call.path) && same(a.call.to, b.call.to) &&
           memcmp(&a.answer.facts, &b.answer.facts, sizeof(Facts)) == 0;
  }

  // Nobody who isn't done has ended before they began. Who ends first comes first.
  std::vector<uint16_t> may_come_next(const State& s) const {
    uint64_t end = UINT64_MAX;
    std::vector<uint16_t> next;
    for (uint16_t i = s.first; i < events_.size() && events_[i].invoked < end; i++) {
      if (s.done[i]) continue;
      next.push_back(i);
      end = std::min(end, events_[i].returned);
    }
    std::erase_if(next, [&](uint16_t i) { return events_[i].invoked >= end; });
    std::sort(next.begin(), next.end(),
              [&](uint16_t a, uint16_t b) { return events_[a].returned < events_[b].returned; });
    return next;
  }

  bool step(const State& s, uint16_t i) {
    const Event& e = events_[i];
    Begun begun = s.begun[e.task];
    if (begun.event != i) {
      begun = Begun();
      begun.event = static_cast<int16_t>(i);
    }
    if (begun.left != 0) return false;
    if (finish(s, i, begun.walk)) return true;
    const int all = steps_of(e.call);
    if (begun.walk.steps == all || (at_once_ && !acts_on_object(e.call.kind))) return false;
    do
      if (s.tree.walk(e.call, &begun.walk) != 0) return false;
    while (at_once_ && begun.walk.steps < all);
    State next = s;
    next.begun[e.task] = begun;
    return go(std::move(next));
  }

  // All the rest of it at one moment, now.
  bool finish(const State& s, uint16_t i, Walk walk) {
    const Event& e = events_[i];
    for (int error = 0; walk.steps < steps_of(e.call);)
      if ((error = s.tree.walk(e.call, &walk)) != 0)
        return false;  // else it would have been absorbed
    State next = s;
    Begun seeing;
    if (next.tree.act(e.call, walk, &seeing.object) != e.answer.error || e.answer.error != 0)
      return false;
    next.begun[e.task] = Begun();
    if (e.call.kind == Kind::kStat && !fits(&next, e, seeing.object, removes_meanwhile(s)))
      return false;
    if (sees_later(e.call.kind)) {
      const Type type = next.tree.object(seeing.object).type;
      if (e.call.kind != Kind::kList && type != e.answer.facts.type) return false;
      seeing.event = static_cast<int16_t>(i);
      seeing.left = e.call.kind == Kind::kList ? (1 << kNames) - 1
                    : type == Type::kFile      ? kContent | kSize
                                               : 0;
    }
    if (seeing.left != 0)
      next.begun[e.task] = seeing;
    else
      next.done[i] = true;
    return go(std::move(next));
  }

  // While a file loses a name that somebody may have open, it has one in the workdir for a moment:
  // one link too many is seen.
  bool removes_meanwhile(const State& s) const {
    for (uint16_t i : may_come_next(s)) {
      const Kind kind = events_[i].call.kind;
      if (kind == Kind::kUnlink || kind == Kind::kRename) return true;
    }
    return false;
  }

  // What one look tells of one moment.
  static bool fits(State* s, const Event& e, uint8_t i, bool one_more) {
    const Object& o = s->tree.object(i);
    const Facts& f = e.answer.facts;
    if (o.type != f.type || o.mode != f.mode) return false;
    if (o.type == Type::kFile && o.size != f.size) return false;
    const bool counted = o.links == f.links || (one_more && o.links + 1 == f.links);
    if (o.type == Type::kFile && !counted) return false;
    return s->tree.has_inode(i, f.inode);
  }

  // Whoever can see what was seen sees it at once: nothing is lost by that.
  void observe(State* s) const {
    for (Begun& b : s->begun) {
      if (b.event < 0 || b.left == 0) continue;
      const Event& e = events_[b.event];
      const Object& o = s->tree.object(b.object);
      if (e.call.kind == Kind::kList) {
        for (int n = 0; n < kNames; n++)
          if ((o.child[n] != kNone) == ((e.answer.listed >> n & 1) != 0)) b.left &= ~(1 << n);
      } else {
        if (o.tag == e.answer.facts.tag) b.left &= ~kContent;
        if (o.size == e.answer.facts.size) b.left &= ~kSize;
      }
      if (b.left != 0) continue;
      s->done[b.event] = true;
      b = Begun();
    }
  }

  static uint64_t fingerprint(const State& s) {
    uint8_t held[3 * 256];
    size_t count = 0;
    uint64_t h = 0x2545f4914f6cdd1du;  // from 0 a 0 would leave no trace
    const auto mix = [&h](uint64_t w) {
      h = (h ^ w) * 0x9e3779b97f4a7c15u;
      h ^= h >> 31;
    };
    mix(s.first);
    for (size_t i = s.first; i < s.done.size(); i++)
      if (s.done[i]) mix(i);
    for (const Begun& b : s.begun) {
      if (b.event < 0) continue;
      mix(uint64_t{0x100000000} | static_cast<uint64_t>(b.event) << 16 | b.walk.steps << 8 |
          b.left);
      for (const uint8_t i : {b.object, b.walk.at, b.walk.to}) held[count++] = i;
    }
    return s.tree.hash(h, held, count);
  }

  History events_;
  const bool at_once_;
  int tasks_ = 0;
  std::unordered_set<uint64_t> seen_;
  bool too_long_ = false;
};

// Could leaving it out make anything less possible?
bool changes_nothing(const Event& e) {
  return e.answer.error != 0 || e.call.kind == Kind::kStat || e.call.kind == Kind::kList ||
         e.call.kind == Kind::kOpenRead || e.call.kind == Kind::kOpenWrite;
}

}  // namespace

Verdict linearize(const Tree& before, const History& history) {
  const Verdict verdict = Search(history, true).run(before);
  return verdict == Verdict::kExplained ? verdict : Search(history, false).run(before);
}

History shortest_refused(const Tree& before, const History& history) {
  History rest = history;
  for (size_t i = rest.size(); i-- > 0;) {
    if (!changes_nothing(rest[i])) continue;
    History without = rest;
    without.erase(without.begin() + static_cast<std::ptrdiff_t>(i));
    if (linearize(before, without) == Verdict::kRefused) rest = without;
  }
  return rest;
}

}  // namespace linear
