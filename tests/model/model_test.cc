// model_test: the same sequences of operations below ovlrun and on the kernel's overlayfs.
// README.md says how to use it.
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <fstream>
#include <iostream>
#include <random>
#include <regex>
#include <sstream>

#include "tests/model/generate.h"
#include "tests/model/runner.h"
#include "tests/model/shrink.h"
#include "tests/model/words.h"

namespace model {
namespace {

constexpr int kSkipped = 77;  // as ctest knows it

struct Options {
  std::string ovlrun, executors, variant = "owner", form = "libc", found;
  std::vector<std::string> deviations, replay, without;
  std::optional<uint64_t> seed;
  size_t operations = 600, length = 60, most = 2;
  double minutes = 0;
  bool show = false, no_shrink = false;
};

template <class Table>
const auto& find(const Table& table, const std::string& name) {
  for (const auto& line : table)
    if (name == line.name) return line;
  throw CLI::ValidationError("there is no " + name);
}

std::string read_file(const std::string& name) {
  std::ifstream in(name);
  if (!in) throw std::runtime_error("can't read " + name);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

std::string describe(const Difference& difference) {
  return fmt::format("# at: {}\n# {}\n#   kernel: {}\n#   ovlrun: {}\n", difference.operation,
                     difference.key, difference.kernel, difference.ours);
}

// Regressions: each file has to show no difference.
int replay(const Options& options, Runner* runner, const Variant& variant) {
  int failed = 0;
  for (const std::string& file : options.replay) {
    const Sequence sequence = Sequence::parse(read_file(file));
    if (!sequence.variants.empty() &&
        !std::regex_match(variant.name, std::regex(sequence.variants, std::regex::extended)))
      continue;
    const auto difference = runner->run(sequence);
    if (!difference) continue;
    failed++;
    fmt::print("FAILED: {}\n{}", file, describe(*difference));
  }
  return failed;
}

int search(const Options& options, Runner* runner, const Variant& variant) {
  Wanted wanted;
  wanted.seed = options.seed ? *options.seed : std::random_device{}();
  wanted.layers = variant.lowers;
  wanted.as_root = variant.as_root;
  wanted.owner = runner->stage().owner().uid;
  wanted.operations = options.length;
  wanted.without = {options.without.begin(), options.without.end()};
  for (const std::string& left_out : CLI::detail::split(variant.without, ','))
    wanted.without.insert(left_out);
  if (!variant.same_xattrs()) wanted.without.insert("by-kernel");
  fmt::print("from seed {}\n", wanted.seed);
  const auto end =
      std::chrono::steady_clock::now() + std::chrono::duration<double>(options.minutes * 60);
  std::map<std::string, size_t> seen;
  size_t done = 0;
  for (; options.minutes > 0 ? std::chrono::steady_clock::now() < end : done < options.operations;
       wanted.seed++) {
    const Sequence sequence = generate(wanted);
    if (options.show) fmt::print("{}", sequence.text());
    done += sequence.operations();
    auto difference = runner->run(sequence);
    if (!difference) continue;
    const std::string signature = difference->signature();
    if (seen[signature]++ > 0) continue;
    if (seen.size() > options.most) break;
    Sequence shortest = sequence;
    if (!options.no_shrink)
      shortest =
          shrink(sequence, &*difference, [runner](const Sequence& s) { return runner->run(s); });
    const std::string text =
        fmt::format("# {} (model_test --seed {} --variant {} --form {} --length {})\n{}{}",
                    signature, wanted.seed, variant.name, options.form, options.length,
                    describe(*difference), shortest.text());
    fmt::print("DIFFERENT:\n{}\n", text);
    std::fflush(stdout);
    if (!options.found.empty())
      std::ofstream(
          fmt::format("{}/{}-{}-{}", options.found, variant.name, options.form, wanted.seed))
          << text;
  }
  for (const auto& [signature, count] : seen) fmt::print("{:6} x {}\n", count, signature);
  return static_cast<int>(seen.size());
}

int run(const Options& options) {
  const Variant& variant = find(variants(), options.variant);
  const Form& form = find(forms(), options.form);
  const Programs programs = {options.ovlrun, options.executors};
  if (access((programs.executors + form.executor).c_str(), X_OK) < 0)
    throw Skipped{fmt::format("no executor of the form {}", form.name)};
  Deviations deviations;
  for (const std::string& file : options.deviations) deviations.read(file);
  Stage stage(variant);
  Runner runner(&stage, form, programs, &deviations);
  const auto start = std::chrono::steady_clock::now();
  const int different = options.replay.empty() ? search(options, &runner, variant)
                                               : replay(options, &runner, variant);
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  const Counts& counts = runner.counts();
  fmt::print("{}", deviations.report());
  fmt::print(
      "{} {}: {} sequences, {} operations in {:.1f} s; {} uppers crosswise ({} not portable), {} "
      "ended by a deviation; {} different\n",
      variant.name, form.name, counts.sequences, counts.operations, seconds, counts.crosswise,
      counts.not_portable, counts.ended_early, different);
  return different > 0 ? 1 : 0;
}

}  // namespace
}  // namespace model

int main(int argc, char** argv) {
  model::Options options;
  CLI::App app{"The same sequences of operations below ovlrun and on the kernel's overlayfs"};
  std::string names = "features for --without:\n";
  for (const model::Feature& feature : model::features())
    names += fmt::format("  {:12} {}\n", feature.name, feature.what);
  app.footer(names);
  app.add_option("--ovlrun", options.ovlrun)->required()->envname("OVLRUN");
  app.add_option("--executors", options.executors,
                 "programs that perform, without the end of their names")
      ->required()
      ->envname("OVLRUN_MODEL_EXECUTORS");
  app.add_option("--variant", options.variant);
  app.add_option("--form", options.form);
  app.add_option("--seed", options.seed, "default: a fresh one, which is printed")
      ->envname("OVLRUN_MODEL_SEED");
  app.add_option("--operations", options.operations, "how many in all")
      ->envname("OVLRUN_MODEL_OPERATIONS");
  app.add_option("--length", options.length, "operations in a sequence");
  app.add_option("--minutes", options.minutes, "for so long, in place of --operations");
  app.add_option("--deviations", options.deviations, "files of accepted differences");
  app.add_option("--replay", options.replay, "sequences to run");
  app.add_option("--without", options.without, "operations and features to leave out")
      ->delimiter(',');
  app.add_option("--most", options.most, "ends when so many differences were shown");
  app.add_option("--found", options.found, "directory for what differs");
  app.add_flag("--show", options.show, "print each sequence");
  app.add_flag("--no-shrink", options.no_shrink);
  CLI11_PARSE(app, argc, argv);
  umask(022);
  try {
    return model::run(options);
  } catch (const model::Skipped& skipped) {
    fmt::print("SKIPPED: {}\n", skipped.reason);
    return model::kSkipped;
  } catch (const std::exception& error) {
    fmt::print(stderr, "model_test: {}\n", error.what());
    return 2;
  }
}
