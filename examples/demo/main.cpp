// SPDX-License-Identifier: MIT
//
// waitprobe-demo: compresses a directory with many threads. Traced or not, it runs the same.
#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <iostream>

#include "examples/demo/pipeline.h"

int main(int argc, char** argv) {
  demo::Settings settings;
  settings.directory = "/usr/include";
  std::string output_file = "/dev/null";
  std::size_t budget_mib = 1;
  CLI::App app("Compresses every file below a directory, with a thread for each stage and many for the slow ones",
               "waitprobe-demo");
  app.add_option("DIRECTORY", settings.directory, "What to compress (default: /usr/include)")->check(CLI::ExistingDirectory);
  app.add_option("-o", output_file, "Where to write (default: nowhere)")->type_name("FILE");
  app.add_option("--readers", settings.readers, "Threads that read files")->check(CLI::Range(1, 256));
  app.add_option("--compressors", settings.compressors, "Threads that compress")->check(CLI::Range(1, 256));
  app.add_option("--budget", budget_mib, "MiB of files in memory at once")->check(CLI::Range(1, 4096));
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  settings.budget_bytes = budget_mib << 20;
  std::ofstream output(output_file, std::ios::binary);
  if (!output) {
    std::cerr << "waitprobe-demo: cannot write to " << output_file << "\n";
    return 1;
  }

  const auto start = std::chrono::steady_clock::now();
  const demo::Summary done = demo::compress_directory(settings, output);
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  output.flush();
  std::printf("compressed %llu files of %s: %.1f MB to %.1f MB in %.2f s", static_cast<unsigned long long>(done.files),
              settings.directory.c_str(), static_cast<double>(done.bytes_in) / 1e6, static_cast<double>(done.bytes_out) / 1e6,
              seconds);
  if (done.unreadable != 0) std::printf(", %llu could not be read", static_cast<unsigned long long>(done.unreadable));
  std::printf("\n");
  return output ? 0 : 1;
}
