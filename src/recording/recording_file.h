// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "src/collect/machine/file_descriptor.h"
#include "src/model/result.h"

namespace waitprobe {

// A file that grows line by line, each of which is in it as a whole or not at all.
class RecordingFile {
 public:
  // "-" is stdout. What there was is overwritten by the first line, and not before. What is not a plain file is written to as
  // it is. Errors: there is such a file already, or it cannot be made.
  static Result<RecordingFile> create(const std::string& path, bool overwrite);

  // False when the reader has gone, which is no error and the end of the work. Errors: it cannot be written to, and ends with
  // the line before.
  Result<bool> write_line(std::string_view line);

  // Takes it back, if create() has made it.
  void remove();

 private:
  void cut() const;

  RecordingFile(std::string path, FileDescriptor file) : path_(std::move(path)), file_(std::move(file)) {}

  std::string path_;
  FileDescriptor file_;
  bool is_new_ = false;
  bool can_be_cut_ = false;    // a plain file that nobody else writes to
  std::uint64_t written_ = 0;  // bytes, of whole lines
  std::uint64_t line_cnt_ = 0;
};

}  // namespace waitprobe
