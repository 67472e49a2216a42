// SPDX-License-Identifier: MIT
#include "tests/workload/truth_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

TruthFile::TruthFile(const std::string& file, std::size_t rows, std::size_t keys) : keys_(keys) {
  if (file.empty()) return;
  const std::size_t bytes = (header_words + 2 * rows * keys) * sizeof(std::uint64_t);
  const int fd = open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  void* memory = MAP_FAILED;
  if (fd >= 0 && ftruncate(fd, static_cast<off_t>(bytes)) == 0) {
    memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
  }
  if (memory == MAP_FAILED) {
    std::perror(("waitprobe-workload: cannot map " + file).c_str());
    std::exit(1);
  }
  close(fd);
  words_ = static_cast<std::uint64_t*>(memory);
  words_[1] = rows;
  words_[2] = keys;
  words_[0] = 0x7761697474727468;
}
