// SPDX-License-Identifier: MIT
#include "src/recording/recording_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "src/collect/machine/file_write.h"

namespace waitprobe {
namespace {

bool is_plain_file(int fd) {
  struct stat status;
  return fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
}

}  // namespace

Result<RecordingFile> RecordingFile::create(const std::string& path, bool overwrite) {
  if (path == "-") return RecordingFile("the standard output", FileDescriptor(fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0)));
  const int made = open(path.c_str(), O_WRONLY | O_CLOEXEC | O_CREAT | O_EXCL, 0666);
  const bool is_there = made < 0 && errno == EEXIST;
  RecordingFile file(path, FileDescriptor(is_there ? open(path.c_str(), O_WRONLY | O_CLOEXEC) : made));
  if (!file.file_.ok()) return write_error(path, errno);
  file.is_new_ = !is_there;
  file.can_be_cut_ = is_plain_file(file.file_.get());
  if (is_there && file.can_be_cut_ && !overwrite) {
    return Error{"write", path, "there is such a file already", "name another, or add --overwrite"};
  }
  return file;
}

Result<bool> RecordingFile::write_line(std::string_view line) {
  if (line_cnt_ == 0) cut();
  const int error = write_all(file_.get(), line);
  if (error == EPIPE) return false;
  if (error != 0) {
    cut();                                                 // what is there of this line would be no line
    if (line_cnt_ <= 1) return write_error(path_, error);  // not one interval
    return Error{"write to", path_, errno_text(error),
                 "it holds the " + std::to_string(line_cnt_) + " lines before, and can be reported on"};
  }
  written_ += line.size();
  line_cnt_++;
  return true;
}

// Leaves the whole lines. Where that is not possible, readers find out for themselves.
void RecordingFile::cut() const {
  if (can_be_cut_) (void)!ftruncate(file_.get(), static_cast<off_t>(written_));
}

void RecordingFile::remove() {
  if (is_new_) unlink(path_.c_str());
}

}  // namespace waitprobe
