// SPDX-License-Identifier: MIT
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>

#include "src/cli/command_table.h"
#include "src/cli/parser.h"
#include "src/collect/trace/command.h"

namespace waitprobe::cli {
namespace {

namespace fs = std::filesystem;

constexpr const char* torch_library = "libwaitprobe_torch.so";
constexpr const char* preload_by_hand = "preload it yourself: LD_PRELOAD=/path/to/libwaitprobe_torch.so";

struct Options {
  bool torch = false;
  bool track = false;
};

void declare(Parser& parser, Options& options) {
  parser.add_flag("--torch", options.torch, "Preload libwaitprobe_torch.so, a backend for PyTorch");
  parser.add_flag("--track", options.track, "Track open waits from the start, for stuck");
  parser.set_target_usage("-- CMD ARGS...");
}

void finish(Options& options, const Parser& /*parser*/, const Arguments& arguments) {
  if (arguments.command.empty()) throw UsageError{"no command; use 'waitprobe run --torch -- CMD ARGS...'"};
  if (!options.torch && !options.track) throw UsageError{"nothing to prepare; use --torch, --track or both"};
}

// Where it is built, and where it is installed.
Result<std::string> find_library() {
  std::error_code error;
  const fs::path self = fs::read_symlink("/proc/self/exe", error);
  if (error) return Error{"find", torch_library, "/proc/self/exe cannot be read: " + error.message(), preload_by_hand};
  const fs::path beside = self.parent_path() / torch_library,
                 installed = self.parent_path() / WAITPROBE_LIBRARIES / torch_library;
  for (const fs::path& path : {beside, installed.lexically_normal()}) {
    if (access(path.c_str(), R_OK) == 0) return path.string();
  }
  return Error{"find", torch_library,
               "not found beside " + self.string() + " or in " + installed.lexically_normal().parent_path().string(),
               std::string("run cmake --install, or ") + preload_by_hand};
}

// Behind what is preloaded already: some libraries (the sanitizers') must come first.
Result<void> preload(const std::string& library) {
  if (library.find_first_of(" :$") != std::string::npos) {
    return Error{"preload", library, "LD_PRELOAD does not allow blanks, colons or '$' in paths",
                 "copy it to a path without blanks, colons and '$'"};
  }
  const char* before = std::getenv("LD_PRELOAD");
  std::string all = before != nullptr ? before : "";
  if ((':' + all + ':').find(':' + library + ':') != std::string::npos) return {};
  if (!all.empty()) all += ':';
  all += library;
  setenv("LD_PRELOAD", all.c_str(), 1);
  return {};
}

}  // namespace

void declare_run(Parser& parser) { declare(parser, parser.keep<Options>()); }

// In the place of the tool: signals, exit status and process number are those of the command.
Result<int> run_run(const CommandRow& row, const Arguments& arguments) {
  const Options options = parsed<Options>(row, arguments, declare, finish);
  if (options.torch) {
    const auto library = find_library();
    if (!library) return library.error();
    if (auto preloaded = preload(*library); !preloaded) return preloaded.error();
  }
  if (options.track) setenv("WAITPROBE_TRACK", "1", 1);
  std::vector<char*> words;
  for (const std::string& word : arguments.command) words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);
  restore_signals();
  execvp(words[0], words.data());
  return start_error(arguments.command[0], errno);
}

}  // namespace waitprobe::cli
