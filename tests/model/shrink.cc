#include "tests/model/shrink.h"

namespace model {
namespace {

constexpr size_t kMostTries = 200;  // most need less

// Leaves out pieces of halving size as long as the difference stays.
template <class T, class Same>
bool leave_out(std::vector<T> Sequence::*part, Sequence* sequence, const Same& same) {
  bool shorter = false;
  for (size_t piece = (sequence->*part).size(); piece > 0; piece /= 2) {
    for (size_t at = (sequence->*part).size(); at > 0;) {
      at = at > piece ? at - piece : 0;
      Sequence less = *sequence;
      auto& items = less.*part;
      if (at >= items.size()) continue;
      items.erase(items.begin() + static_cast<long>(at),
                  items.begin() + static_cast<long>(std::min(at + piece, items.size())));
      if (!same(less)) continue;
      *sequence = std::move(less);
      shorter = true;
    }
  }
  return shorter;
}

}  // namespace

Sequence shrink(Sequence sequence, Difference* difference, const Try& run) {
  const std::string wanted = difference->signature();
  size_t tries = 0;
  const auto same = [&](const Sequence& candidate) {
    if (++tries > kMostTries) return false;
    const std::optional<Difference> now = run(candidate);
    if (!now || now->signature() != wanted) return false;
    *difference = *now;
    return true;
  };
  for (bool shorter = true; shorter;) {
    shorter = leave_out(&Sequence::steps, &sequence, same);
    shorter |= leave_out(&Sequence::tree, &sequence, same);
  }
  return sequence;
}

}  // namespace model
