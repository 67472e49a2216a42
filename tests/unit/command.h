// SPDX-License-Identifier: MIT
//
// Programs that the tests run.
#pragma once

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

inline bool has_command(const std::string& name) { return std::system(("command -v " + name + " >/dev/null").c_str()) == 0; }

// A folder that goes when this does.
class ScratchFolder {
 public:
  ScratchFolder() {
    char name[] = "/tmp/waitprobe_unit_XXXXXX";
    path_ = mkdtemp(name);
  }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  ~ScratchFolder() { std::filesystem::remove_all(path_); }

  const std::string& path() const { return path_; }
  std::string file(const std::string& name, const std::string& content) const {
    std::ofstream(path_ + "/" + name, std::ios::binary) << content;
    return path_ + "/" + name;
  }

 private:
  std::string path_;
};

// What a command prints that reads `input`; with a line about its status if that is not 0.
inline std::string output_of(const std::string& command, const std::string& input = "") {
  const ScratchFolder folder;
  FILE* const pipe = popen(("(" + command + ") <" + folder.file("input", input)).c_str(), "r");
  std::string output;
  for (int c; (c = std::fgetc(pipe)) != EOF;) output += static_cast<char>(c);
  const int status = pclose(pipe);
  return status == 0 ? output : output + "status " + std::to_string(status) + "\n";
}
