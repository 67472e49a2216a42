// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

// What has happened until now, in a file that outlives every way to die. tests/e2e/truth.py reads it: eight words (a magic
// number, rows, keys, zeros), then for each row and key two words, `begun` and `done`. Whoever ends a wait raises `begun` right
// before and `done` right after, so that of a process that was killed at any moment, as many waits have been counted as lie
// between the two.
//
// Threads, processes: any number may write at once, those that have opened the same file too, with as many rows and keys.
class TruthFile {
 public:
  // No name: what is raised is kept nowhere. Ends the process where the file cannot be made.
  TruthFile(const std::string& file, std::size_t rows, std::size_t keys);

  void begin(std::size_t row, std::size_t key) { raise(row, key, 0); }
  void done(std::size_t row, std::size_t key) { raise(row, key, 1); }

 private:
  void raise(std::size_t row, std::size_t key, std::size_t which) {
    if (words_ != nullptr) __atomic_fetch_add(&words_[header_words + 2 * (row * keys_ + key) + which], 1U, __ATOMIC_SEQ_CST);
  }

  static constexpr std::size_t header_words = 8;
  std::uint64_t* words_ = nullptr;  // mapped, and never unmapped: threads write to the very end
  std::size_t keys_;
};
