// Runs one sequence on both sides, and says where they differ.
#pragma once

#include <optional>
#include <string>

#include "tests/model/compare.h"
#include "tests/model/sequence.h"
#include "tests/model/sides.h"
#include "tests/model/stage.h"

namespace model {

struct Counts {
  size_t sequences = 0, operations = 0, crosswise = 0, not_portable = 0, ended_early = 0;
};

class Runner {
 public:
  Runner(Stage* stage, const Form& form, Programs programs, Deviations* deviations)
      : stage_(stage), form_(form), programs_(std::move(programs)), deviations_(deviations) {}

  std::optional<Difference> run(const Sequence& sequence);
  const Stage& stage() const { return *stage_; }
  const Counts& counts() const { return counts_; }

 private:
  Setting setting(const char* side) const;
  void by_kernel(const std::vector<std::string>& steps);
  bool session(const std::vector<std::string>& steps, size_t number, bool first,
               Comparison* comparison);
  std::optional<Difference> crosswise(const Sequence& sequence);

  Stage* stage_;
  const Form& form_;
  Programs programs_;
  Deviations* deviations_;
  Counts counts_;
};

}  // namespace model
