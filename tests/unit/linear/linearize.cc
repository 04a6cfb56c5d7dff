// See linearize.h.
#include "tests/unit/linear/linearize.h"

#include <algorithm>
#include <unordered_set>

namespace linear {
namespace {

constexpr int kStatesMost = 200'000;

// What a call in progress still has to see.
constexpr uint8_t kContent = 1, kSize = 2;

struct Begun {
  int16_t event = -1;
  uint8_t object = kNone;
  uint8_t left = 0;  // 0: it has still to act
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

class Search {
 public:
  explicit Search(const History& history) : events_(history) {
    std::stable_sort(events_.begin(), events_.end(),
                     [](const Event& a, const Event& b) { return a.invoked < b.invoked; });
    for (const Event& e : events_) tasks_ = std::max(tasks_, e.task + 1);
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
    for (uint16_t i : may_come_next(s))
      if (step(s, i)) return true;
    return false;
  }

  // What changes nothing and can have been told now, was told now: nothing is lost by that either.
  bool absorb(State* s) const {
    bool any = false;
    for (uint16_t i : may_come_next(*s)) {
      const Event& e = events_[i];
      if (s->begun[e.task].event == i || !tells_now(*s, e)) continue;
      s->done[i] = any = true;
    }
    return any;
  }

  static bool tells_now(const State& s, const Event& e) {
    const Kind kind = e.call.kind;
    if (e.answer.error != 0) {
      if (fails_on_the_second_way(s, e)) return true;
      Tree tree = s.tree;  // a call that fails changes nothing
      return tree.apply(e.call) == e.answer.error;
    }
    if (kind != Kind::kStat && kind != Kind::kList && kind != Kind::kOpenRead &&
        kind != Kind::kOpenWrite)
      return false;
    uint8_t i = kNone;
    if (s.tree.find(e.call.path, &i) != 0) return false;
    const Object& o = s.tree.object(i);
    const Facts& f = e.answer.facts;
    if (kind == Kind::kList) return o.type == Type::kDirectory && listed(o) == e.answer.listed;
    if (o.type != f.type) return false;
    const bool file = o.type == Type::kFile;
    if (kind == Kind::kStat)
      return o.inode == f.inode && o.mode == f.mode &&
             (!file || (o.size == f.size && o.links == f.links));
    return file ? o.tag == f.tag && o.size == f.size : kind == Kind::kOpenRead;
  }

  // The directories of a rename are found one after the other.
  static bool fails_on_the_second_way(const State& s, const Event& e) {
    uint8_t dir = kNone;
    return takes_two_paths(e.call.kind) && s.tree.find_parent(e.call.to, &dir) == e.answer.error;
  }

  static uint8_t listed(const Object& dir) {
    uint8_t names = 0;
    for (int n = 0; n < kNames; n++)
      if (dir.child[n] != kNone) names = static_cast<uint8_t>(names | 1 << n);
    return names;
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
    const Begun& begun = s.begun[e.task];
    if (begun.event == i) return begun.left == 0 && act(s, i);
    if (e.answer.error == 0 && sees_later(e.call.kind)) return begin_to_see(s, i);
    State next = s;
    if (next.tree.apply(e.call) == e.answer.error && fits(&next, e, removes_meanwhile(s))) {
      next.done[i] = true;
      if (go(std::move(next))) return true;
    }
    return acts_on_object(e.call.kind) && find(s, i);
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
  static bool fits(State* s, const Event& e, bool one_more) {
    if (e.call.kind != Kind::kStat || e.answer.error != 0) return true;
    uint8_t i = kNone;
    s->tree.find(e.call.path, &i);
    const Object& o = s->tree.object(i);
    const Facts& f = e.answer.facts;
    if (o.type != f.type || o.mode != f.mode) return false;
    if (o.type == Type::kFile && o.size != f.size) return false;
    const bool counted = o.links == f.links || (one_more && o.links + 1 == f.links);
    if (o.type == Type::kFile && !counted) return false;
    return s->tree.has_inode(i, f.inode);
  }

  bool find(const State& s, uint16_t i) {
    uint8_t object = kNone;
    if (s.tree.find(events_[i].call.path, &object) != 0) return false;
    State next = s;
    next.begun[events_[i].task] = Begun{static_cast<int16_t>(i), object, 0};
    return go(std::move(next));
  }

  bool act(const State& s, uint16_t i) {
    const Event& e = events_[i];
    State next = s;
    if (next.tree.act(e.call, s.begun[e.task].object) != e.answer.error) return false;
    next.begun[e.task] = Begun();
    next.done[i] = true;
    return go(std::move(next));
  }

  bool begin_to_see(const State& s, uint16_t i) {
    const Event& e = events_[i];
    State next = s;
    if (next.tree.apply(e.call) != 0) return false;
    Begun begun;
    begun.event = static_cast<int16_t>(i);
    next.tree.find(e.call.path, &begun.object);
    const Type type = next.tree.object(begun.object).type;
    if (e.call.kind != Kind::kList && type != e.answer.facts.type) return false;
    if (e.call.kind == Kind::kList)
      begun.left = (1 << kNames) - 1;
    else if (type == Type::kFile)
      begun.left = kContent | kSize;
    if (begun.left == 0)
      next.done[i] = true;
    else
      next.begun[e.task] = begun;
    return go(std::move(next));
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
    uint64_t h = s.tree.hash(s.first);
    const auto mix = [&h](uint64_t w) {
      h = (h ^ w) * 0x9e3779b97f4a7c15u;
      h ^= h >> 31;
    };
    for (size_t i = s.first; i < s.done.size(); i++)
      if (s.done[i]) mix(i);
    for (const Begun& b : s.begun)
      if (b.event >= 0)
        mix(uint64_t{0x100000000} | static_cast<uint64_t>(b.event) << 40 | b.object << 8 | b.left);
    return h;
  }

  History events_;
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
  return Search(history).run(before);
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
