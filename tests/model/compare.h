// Compares what two sides saw.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace model {

// One accepted difference, a line of tests/model/deviations.
struct Deviation;

// The accepted differences, with how often each was met.
class Deviations {
 public:
  Deviations();
  ~Deviations();
  Deviations(const Deviations&) = delete;
  Deviations& operator=(const Deviations&) = delete;
  void read(const std::string& file);

  enum class Verdict { kUnexplained, kIgnore, kObject, kEnd };
  Verdict judge(const std::string& variant, const std::string& operation, const std::string& key,
                const std::string& kernel, const std::string& ours);
  // Is this word of one side to be left out?
  bool dropped(const std::string& variant, const std::string& operation, const std::string& word,
               bool kernel);
  std::string report() const;

 private:
  std::vector<Deviation> all_;
};

struct Difference {
  size_t step = 0;        // its place in the lines
  std::string operation;  // as in the script
  std::string key, kernel, ours;

  // What is the same of two differences that have the same reason, most likely.
  std::string signature() const;
};

// Numbers of inodes and devices, and recent times, under names that both sides have in common.
// Objects of the lowers are known by the first tree that was walked; others by their order in each
// line, since the number of one that was removed may come again.
class Canon {
 public:
  std::string line(const std::string& raw, bool learn);
  // A mount's device is another one each time: what a session's first line shows is the root.
  void begin_session(const std::string& raw);

 private:
  std::string object(const std::string& value) const;
  void learn_objects(const std::string& raw);
  std::string device_;
  std::map<std::string, std::string> known_;
  std::map<std::string, std::string> listed_;  // by the number alone
};

// The first difference that no deviation explains.
class Comparison {
 public:
  Comparison(std::string variant, Deviations* deviations)
      : variant_(std::move(variant)), deviations_(deviations) {}
  void begin_session(const std::string& kernel, const std::string& ours) {
    kernel_.begin_session(kernel);
    ours_.begin_session(ours);
  }
  // One line of both sides; `operation` is the script's. True: go on.
  bool step(size_t number, const std::string& operation, const std::string& kernel,
            const std::string& ours, bool learn = false);
  const std::optional<Difference>& difference() const { return difference_; }

 private:
  std::string variant_;
  Deviations* deviations_;
  Canon kernel_, ours_;
  std::set<std::string> accepted_;  // inode and field
  std::optional<Difference> difference_;
};

}  // namespace model
