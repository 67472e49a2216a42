// SPDX-License-Identifier: MIT
//
// What a reader of an ELF file finds in it: USDT notes, symbols, dynamic section, bytes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

struct Elf;

namespace test {

struct Note {
  std::uint64_t pc = 0;
  std::uint64_t semaphore = 0;
  std::string provider;
  std::string probe;
  std::string args;
};

struct Symbol {
  std::string name;  // as it is in the file, mangled
  bool defined = false;
  std::uint64_t value = 0;
};

struct Segment {  // PT_LOAD
  std::uint64_t address = 0;
  std::uint64_t file_offset = 0;
  std::uint64_t file_size = 0;
  bool writable = false;
};

class ElfFile {
 public:
  explicit ElfFile(const std::string& path);
  ~ElfFile();
  ElfFile(const ElfFile&) = delete;
  ElfFile& operator=(const ElfFile&) = delete;

  std::vector<Note> notes() const;                                // of .note.stapsdt
  std::vector<Symbol> symbols(std::uint32_t section_type) const;  // SHT_DYNSYM or SHT_SYMTAB
  std::vector<std::string> needed() const;
  std::vector<Segment> segments() const;
  std::uint64_t flags_1() const;  // DT_FLAGS_1
  // The bytes at an address, as many as are there.
  std::vector<std::uint8_t> bytes(std::uint64_t address, std::size_t n) const;

 private:
  int fd_;
  Elf* elf_;
};

}  // namespace test
