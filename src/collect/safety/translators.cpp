// SPDX-License-Identifier: MIT
#include "src/collect/safety/translators.h"

#include <string_view>

namespace waitprobe {
namespace {

// Names of files begin so. Only the programs themselves: the libraries that valgrind preloads are passed on to children that
// are none of its own.
struct Translator {
  std::string_view file;
  const char* name;
};
constexpr Translator translators[] = {
    {"memcheck-", "valgrind"},   {"helgrind-", "valgrind"}, {"drd-", "valgrind"},      {"callgrind-", "valgrind"},
    {"cachegrind-", "valgrind"}, {"massif-", "valgrind"},   {"dhat-", "valgrind"},     {"lackey-", "valgrind"},
    {"none-", "valgrind"},       {"exp-bbv-", "valgrind"},  {"qemu-x86_64", "qemu"},   {"libdynamorio", "DynamoRIO"},
    {"pinbin", "Pin"},           {"libpin3", "Pin"},        {"libpindwarf", "Pin"},    {"libfrida-gum", "Frida"},
    {"frida-agent", "Frida"},    {"box64", "box64"},        {"FEXInterpreter", "FEX"}, {"FEXLoader", "FEX"},
    {"rosetta", "Rosetta"},      {"qemu-aarch64", "qemu"},
};
constexpr std::string_view valgrind_programs[] = {"-amd64-linux", "-x86-linux", "-arm64-linux", "-riscv64-linux"};

std::optional<std::string> translator_by_name(std::string_view name) {
  for (const auto& [file, translator] : translators) {
    if (!name.starts_with(file)) continue;
    if (std::string_view(translator) != "valgrind") return translator;
    for (const std::string_view end : valgrind_programs) {
      if (name.substr(0, name.find(" (deleted)")).ends_with(end)) return translator;
    }
  }
  return std::nullopt;
}

}  // namespace

std::optional<std::string> translator_of(const std::vector<Mapping>& mappings) {
  for (const Mapping& mapping : mappings) {
    if (!mapping.executable) continue;
    if (auto found = translator_by_name(file_name_of(mapping.path))) return found;
  }
  return std::nullopt;
}

// It is cut at 15 bytes.
std::optional<std::string> translator_of(const std::string& comm) {
  for (const auto& [file, translator] : translators) {
    if (comm.starts_with(file) && (std::string_view(translator) != "valgrind" || comm.find("-amd64") != std::string::npos ||
                                   comm.find("-arm64") != std::string::npos))
      return translator;
  }
  return std::nullopt;
}

std::optional<std::string> translation_hazard(const LibraryInstance& instance) {
  std::string by = "another program (such as qemu)";
  if (instance.code != Code::not_to_run) {
    const auto mappings = file_mappings(instance.pid);
    const auto translator = mappings ? translator_of(*mappings) : std::nullopt;
    if (!translator) return std::nullopt;
    by = *translator;
  }
  return by + " translates its code and would treat breakpoints as instructions";
}

Error moved_code_error(const LibraryInstance& instance) {
  return {"trace", instance.path + " in " + describe_process(instance.pid),
          "it copied its code to anonymous memory (as for huge pages), where no probe can be set",
          "start it without that (BOLT: without --hugify)"};
}

}  // namespace waitprobe
