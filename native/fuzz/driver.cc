// Stands in for libFuzzer where there is no clang: random changes of the seeds for a while, under g++'s sanitizers.
// Usage: fuzzer SECONDS DIRECTORY-OF-INPUTS

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <vector>

extern "C" int LLVMFuzzerInitialize(int*, char***);
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

int main(int count, char** arguments) {
  if (count < 3) return 2;
  LLVMFuzzerInitialize(&count, &arguments);
  std::vector<std::vector<uint8_t>> inputs;
  for (const auto& entry : std::filesystem::directory_iterator(arguments[2])) {
    std::ifstream file(entry.path(), std::ios::binary);
    inputs.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  }
  for (const auto& input : inputs) LLVMFuzzerTestOneInput(input.data(), input.size());
  std::mt19937 random(std::random_device{}());
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(std::atoi(arguments[1]));
  uint64_t tried = 0;
  while (!inputs.empty() && std::chrono::steady_clock::now() < end) {
    auto input = inputs[random() % inputs.size()];
    for (uint32_t changes = 1 + random() % 6; changes > 0 && !input.empty(); changes--) {
      if (random() % 16 == 0) {
        input.resize(random() % (input.size() + 1));
      } else {
        // Most of what matters is at the beginning.
        const size_t range = random() % 2 == 0 ? std::min<size_t>(input.size(), 300) : input.size();
        input[random() % range] = static_cast<uint8_t>(random());
      }
    }
    LLVMFuzzerTestOneInput(input.data(), input.size());
    tried++;
  }
  std::printf("%llu inputs, no finding\n", static_cast<unsigned long long>(tried));
}
