#include "tests/model/sequence.h"

#include <fmt/format.h>

#include <stdexcept>

#include "tests/model/words.h"

namespace model {

std::string Sequence::text() const {
  std::string text;
  if (!variants.empty()) text += "variants " + variants + "\n";
  if (alone) text += "alone\n";
  for (const Entry& entry : tree)
    text += fmt::format("tree {} {} {} {:#o}{}{}\n", entry.layer, entry.kind, escape(entry.path),
                        entry.mode, entry.argument.empty() ? "" : " ", entry.argument);
  for (const std::string& step : steps) text += step + "\n";
  return text;
}

Sequence Sequence::parse(std::string_view text) {
  Sequence sequence;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string line(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    const std::vector<std::string> words = split(line);
    if (words.empty() || words[0][0] == '#') continue;
    if (words[0] == "variants" && words.size() == 2) {
      sequence.variants = words[1];
    } else if (words[0] == "alone") {
      sequence.alone = true;
    } else if (words[0] == "tree" && words.size() >= 5) {
      Entry entry;
      entry.layer = static_cast<int>(number(words[1]));
      entry.kind = words[2];
      entry.path = unescape(words[3]);
      entry.mode = static_cast<unsigned>(number(words[4]));
      if (words.size() > 5) entry.argument = words[5];
      sequence.tree.push_back(entry);
    } else if (words[0] == "session" || (words.size() >= 2 && words[0].size() == 1)) {
      sequence.steps.push_back(line);
    } else {
      throw std::runtime_error("not a line of a sequence: " + line);
    }
  }
  return sequence;
}

bool ends_session(const std::string& step) { return step.starts_with("session"); }

size_t Sequence::operations() const {
  size_t count = 0;
  for (const std::string& step : steps) count += !ends_session(step);
  return count;
}

std::string with_tree(std::string text, const std::string& tree) {
  for (size_t at = 0; (at = text.find("{T}", at)) != std::string::npos; at += tree.size())
    text.replace(at, 3, tree);
  return text;
}

}  // namespace model
