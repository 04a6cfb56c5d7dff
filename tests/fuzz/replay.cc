// Runs a fuzz target without libFuzzer: the files on the command line, or a fixed sequence of
// random and mutated inputs, each in an allocation of exactly its size so that a sanitizer sees
// every byte read beyond it.
#include <stdio.h>

#include <memory>
#include <random>
#include <string>
#include <vector>

#include "tests/fuzz/fuzz.h"

namespace {

constexpr int kRounds = 30000;

void run(const std::string& input) {
  std::unique_ptr<uint8_t[]> exact(new uint8_t[input.size()]);
  for (size_t i = 0; i < input.size(); i++) exact[i] = static_cast<uint8_t>(input[i]);
  LLVMFuzzerTestOneInput(exact.get(), input.size());
}

// libstdc++'s distributions may differ between versions; the engine may not.
size_t below(std::mt19937& random, size_t limit) { return random() % limit; }

void mutate(std::mt19937& random, std::string* input) {
  const auto byte = [&random] {
    static const char kLikely[] = {0,   1,   4,   '\x15', '\x7f', '\x80', '\xfb', '\xff',
                                   '/', '.', ':', '-',    '+',    '0',    '9',    '7'};
    return random() % 2 ? kLikely[below(random, sizeof kLikely)] : static_cast<char>(random());
  };
  for (size_t steps = below(random, 5); steps > 0; steps--) {
    const size_t at = below(random, input->size() + 1);
    switch (below(random, 5)) {
      case 0:
        input->insert(at, 1, byte());
        break;
      case 1:
        if (at < input->size()) input->erase(at, 1);
        break;
      case 2:
        if (at < input->size()) (*input)[at] = byte();
        break;
      case 3:
        input->resize(at);
        break;
      default:
        input->insert(at, input->substr(below(random, input->size() + 1)));
    }
  }
}

bool run_file(const char* path) {
  FILE* file = fopen(path, "rb");
  if (file == nullptr) {
    perror(path);
    return false;
  }
  std::string input;
  for (int c; (c = fgetc(file)) != EOF;) input += static_cast<char>(c);
  fclose(file);
  run(input);
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1) {
    bool read_all = true;
    for (int i = 1; i < argc; i++) read_all &= run_file(argv[i]);
    return read_all ? 0 : 1;
  }
  std::vector<std::string> seeds;
  for (const FuzzSeed* s = kFuzzSeeds; s->size != SIZE_MAX; s++)
    seeds.emplace_back(s->data, s->size);
  for (const std::string& seed : seeds) run(seed);
  std::mt19937 random(20240229);
  for (int i = 0; i < kRounds; i++) {
    std::string input;
    if (random() % 4 != 0) {
      input = seeds[below(random, seeds.size())];
      mutate(random, &input);
    } else {
      for (size_t n = below(random, 64); n > 0; n--) input += static_cast<char>(random());
    }
    run(input);
  }
  return 0;
}
