// SPDX-License-Identifier: MIT
//
// USDT probes of any provider, from a file's ELF notes (section .note.stapsdt). Needs no symbol table.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "src/model/result.h"

namespace waitprobe {

// Units: offsets in the file, which is what uprobes count by.
struct UsdtSite {
  std::string provider;                // any bytes
  std::string name;                    // any bytes
  std::string arguments;               // where they are, as the note says it: "8@%rdi 8@%rsi"
  std::uint64_t offset = 0;            // of its instruction, which is a nop
  bool has_long_nops = false;          // of ten and of five bytes right behind it, as in probes of waitprobe
  std::uint64_t semaphore_offset = 0;  // 0: none
  bool shares_semaphore_page =
      false;  // another writable segment maps that page of the file too, and the kernel may raise there
};

// Whether each argument is in the register in which a function gets its parameter of the same number.
bool passes_parameters(const UsdtSite& site);

// Nothing if it is an ELF file without any. Errors: not an ELF file of 64 bits.
Result<std::optional<std::vector<UsdtSite>>> read_usdt_sites(int fd, const std::string& file_name);

// Whether a kernel that makes calls of probes' nops would do so here: `code` are the bytes at a site, as many as there are up
// to 6. Such a call writes below the stack pointer, where a leaf function may keep its variables (x86-64).
bool may_become_call(std::string_view code);

// Whether this kernel does so, by its symbols or, where these cannot be read, by its type information. Nothing: it cannot be
// told.
std::optional<bool> makes_calls_of_nops();
// The same by the text of /proc/kallsyms and by the type information; nothing or empty: it cannot be read.
std::optional<bool> makes_calls_of_nops(const std::optional<std::string>& symbols, const std::optional<std::string>& types);

}  // namespace waitprobe
