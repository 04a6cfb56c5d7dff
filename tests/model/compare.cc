#include "tests/model/compare.h"

#include <fmt/format.h>

#include <fstream>
#include <regex>
#include <stdexcept>

#include "tests/model/words.h"

namespace model {

namespace {

// key without what names an entry: tree[a/f].ino is tree.ino.
std::string plain_key(const std::string& key) {
  std::string plain;
  size_t depth = 0;
  for (char c : key) {
    depth += c == '[';
    if (depth == 0) plain += c;
    depth -= c == ']' && depth > 0;
  }
  return plain;
}

std::string operation_name(const std::string& operation) {
  const std::vector<std::string> words = split(operation);
  if (words.size() > 2 && words[1] == "free") return words[2];
  return words.size() < 2 ? operation : words[1];
}

// Does the link count that comes behind this inode number say that the object has no name?
bool has_no_link(const std::string& raw, size_t at, std::string_view key) {
  const std::string owner(key.substr(0, key.rfind('.')));
  for (const char* count : {".nlink=", ".dirlink="}) {
    const std::string field = owner + count;
    // Between them is the device.
    const size_t found = raw.find(field, at);
    if (found != std::string::npos && raw.find(owner + ".ino=", at) > found &&
        raw.compare(found + field.size(), 2, "0 ") == 0)
      return true;
  }
  return false;
}

// Times that a tree was made with, or that an operation has set.
constexpr long kNoLaterThanThis = 1'200'000'000;

}  // namespace

// VARIANT OPERATION KEY KERNEL OURS ACTION: regular expressions that match a whole word each.
// Behind VARIANT stands +hard where the layers hold hard links, then +fifo where there are FIFOs,
// then +kernel where the upper was begun by the kernel. A
// new object that a descriptor shows without any link is newN.gone.
// ACTION is `ignore`; `object` for this field of this object from now on; `end` where the trees
// differ from then on, so that the rest of the sequence says nothing; or `drop`, which leaves words
// KEY=KERNEL of the kernel out, and words KEY=OURS of ovlrun.
const std::set<std::string> kActions = {"ignore", "object", "end", "drop"};

struct Deviation {
  std::string line;
  std::regex variant, operation, key, kernel, ours;
  std::string action;
  size_t met = 0;
};

Deviations::Deviations() = default;
Deviations::~Deviations() = default;

void Deviations::read(const std::string& file) {
  std::ifstream in(file);
  if (!in) throw std::runtime_error("can't read " + file);
  for (std::string line; std::getline(in, line);) {
    const std::vector<std::string> words = split(line);
    if (words.empty() || words[0][0] == '#') continue;
    if (words.size() != 6 || !kActions.contains(words[5]))
      throw std::runtime_error(file + ": not a deviation: " + line);
    const auto regex = [](const std::string& text) {
      return std::regex(text, std::regex::extended | std::regex::optimize);
    };
    all_.push_back({line, regex(words[0]), regex(words[1]), regex(words[2]), regex(words[3]),
                    regex(words[4]), words[5]});
  }
}

Deviations::Verdict Deviations::judge(const std::string& variant, const std::string& operation,
                                      const std::string& key, const std::string& kernel,
                                      const std::string& ours) {
  for (Deviation& deviation : all_) {
    if (deviation.action == "drop" || !std::regex_match(variant, deviation.variant) ||
        !(std::regex_match(operation_name(operation), deviation.operation) ||
          std::regex_match(operation, deviation.operation)) ||
        !(std::regex_match(plain_key(key), deviation.key) ||
          std::regex_match(key, deviation.key)) ||
        !std::regex_match(kernel, deviation.kernel) || !std::regex_match(ours, deviation.ours))
      continue;
    deviation.met++;
    return deviation.action == "end"      ? Verdict::kEnd
           : deviation.action == "object" ? Verdict::kObject
                                          : Verdict::kIgnore;
  }
  return Verdict::kUnexplained;
}

bool Deviations::dropped(const std::string& variant, const std::string& operation,
                         const std::string& word, bool kernel) {
  const size_t equals = word.find('=');
  for (Deviation& deviation : all_) {
    if (deviation.action != "drop" || !std::regex_match(variant, deviation.variant) ||
        !std::regex_match(operation, deviation.operation) ||
        !std::regex_match(word.substr(0, equals), deviation.key) ||
        !std::regex_match(word.substr(equals + 1), kernel ? deviation.kernel : deviation.ours))
      continue;
    deviation.met++;
    return true;
  }
  return false;
}

std::string Deviations::report() const {
  std::string text;
  for (const Deviation& deviation : all_)
    if (deviation.met > 0) text += fmt::format("{:8} x {}\n", deviation.met, deviation.line);
  return text;
}

std::string Difference::signature() const {
  const std::string plain = plain_key(key);
  std::string values;
  if (plain == "ret" || plain.find('.') == std::string::npos)
    values = " " + plain_key(kernel).substr(0, 24) + " " + plain_key(ours).substr(0, 24);
  return operation_name(operation) + " " + plain + values;
}

std::string Canon::object(const std::string& value) const {
  const size_t device = value.find('@');
  return device != std::string::npos && value.substr(device) == device_
             ? value.substr(0, device) + "@root"
             : value;
}

void Canon::begin_session(const std::string& raw) {
  for (const std::string& word : split(raw))
    if (word.starts_with("shown.ino=")) device_ = word.substr(word.find('@'));
}

// What a walk's stat calls tell; listings may have other numbers with the kernel.
void Canon::learn_objects(const std::string& raw) {
  for (const std::string& word : split(raw)) {
    const size_t equals = word.find('=');
    if (plain_key(word.substr(0, equals)) != "tree.ino") continue;
    const std::string value = object(word.substr(equals + 1));
    const size_t begin = word.find('[') + 1;
    const std::string name =
        known_.emplace(value, word.substr(begin, word.rfind(']') - begin)).first->second;
    listed_.emplace(value.substr(0, value.find('@')), name);
  }
}

std::string Canon::line(const std::string& raw, bool learn) {
  if (learn) learn_objects(raw);
  std::map<std::string, size_t> fresh, devices;
  std::string text, last_device;
  text.reserve(raw.size());
  for (size_t at = 0; at < raw.size();) {
    const size_t end = std::min(raw.find(' ', at), raw.size());
    const std::string_view word = std::string_view(raw).substr(at, end - at);
    at = end + 1;
    if (word.empty()) continue;
    const size_t equals = std::min(word.find('='), word.size() - 1);
    const std::string_view key = word.substr(0, equals + 1);
    const std::string value(word.substr(equals + 1));
    text += ' ';
    if (key.ends_with("ino=")) {
      text += key;
      // The numbers of "." and ".." in listings are looked up, but tell of no new objects.
      const size_t device = value.find('@');
      const std::string number = value.substr(0, device);
      if (device != std::string::npos) last_device = value.substr(device);
      // What is listed has the device of the directory, which was looked at before.
      const auto& all = last_device.empty() ? listed_ : known_;
      const std::string found = object(last_device.empty() ? value : number + last_device);
      const auto known = all.find(found);
      const bool met = fresh.contains(found);
      if (known != all.end())
        text += "old:" + known->second;
      else if (key.ends_with(".ino=") || met)
        text += fmt::format("new{}{}", fresh.emplace(found, fresh.size()).first->second,
                            has_no_link(raw, at, key) ? ".gone" : "");
      else
        text += "unknown";
    } else if (key.ends_with(".dev=")) {
      text += key;
      text += fmt::format("dev{}", devices.emplace(value, devices.size()).first->second);
    } else if (key.ends_with(".mtime=") && strtol(value.c_str(), nullptr, 10) > kNoLaterThanThis) {
      text += key;
      text += "recent";
    } else {
      text += word;
    }
  }
  return text;
}

bool Comparison::step(size_t number, const std::string& operation, const std::string& kernel,
                      const std::string& ours, bool learn) {
  const std::string theirs = kernel_.line(kernel, learn), mine = ours_.line(ours, learn);
  if (theirs == mine) return true;
  const std::string name = operation_name(operation);
  const auto words = [&](const std::string& text, bool of_kernel) {
    std::vector<std::string> kept;
    for (std::string& word : split(text))
      if (!deviations_->dropped(variant_, name, word, of_kernel)) kept.push_back(std::move(word));
    return kept;
  };
  const std::vector<std::string> a = words(theirs, true), b = words(mine, false);
  std::map<std::string, std::string> same, same_back;  // new objects of the two sides
  std::map<std::string, std::string> objects;          // by the key that they are shown under
  for (size_t i = 0; i < std::max(a.size(), b.size()); i++) {
    const std::string k = i < a.size() ? a[i] : "nothing=", o = i < b.size() ? b[i] : "nothing=";
    const std::string key = k.substr(0, k.find('=')), other = o.substr(0, o.find('='));
    // Different things are seen: what comes after cannot be told from each other.
    const bool same_key = key == other;
    const std::string of_kernel = same_key ? k.substr(key.size() + 1) : k,
                      of_ours = same_key ? o.substr(key.size() + 1) : o;
    const std::string owner = key.substr(0, key.rfind('.'));
    if (key.ends_with(".ino")) objects[owner] = of_ours;
    if (of_kernel.starts_with("new") && of_ours.starts_with("new") && key.ends_with("ino")) {
      if (same.emplace(of_kernel, of_ours).first->second == of_ours &&
          same_back.emplace(of_ours, of_kernel).first->second == of_kernel)
        continue;
    } else if (k == o) {
      continue;
    }
    const auto object = objects.find(owner);
    const std::string accepted =
        object == objects.end() ? "" : object->second + key.substr(owner.size());
    if (same_key && accepted_.contains(accepted)) continue;
    switch (deviations_->judge(variant_, operation, key, of_kernel, of_ours)) {
      case Deviations::Verdict::kObject:
        if (accepted.starts_with("old")) accepted_.insert(accepted);
        [[fallthrough]];
      case Deviations::Verdict::kIgnore:
        if (same_key) continue;
        return true;
      case Deviations::Verdict::kEnd:
        return false;
      case Deviations::Verdict::kUnexplained:
        difference_ = Difference{number, operation, key, of_kernel, of_ours};
        return false;
    }
  }
  return true;
}

}  // namespace model
