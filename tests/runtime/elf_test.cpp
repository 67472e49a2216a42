// SPDX-License-Identifier: MIT
//
// What tools find in an ELF file that carries the library, and what nobody may find.
#include <gtest/gtest.h>

#include <elf.h>

#include <cstring>
#include <algorithm>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "bpf/abi.h"
#include "tests/runtime/elf_file.h"

namespace {

using test::ElfFile;
using test::Note;
using test::Symbol;

// Name and number of arguments.
const std::vector<std::pair<std::string, int>> probes = {
    {"wait_start", 3},      {"wait_stop", 5},     {"wait_slow_1us", 5},  {"wait_slow_10us", 5},
    {"wait_slow_100us", 5}, {"wait_slow_1ms", 5}, {"wait_slow_10ms", 5}, {"wait_slow_100ms", 5},
    {"wait_slow_1s", 5},    {"wait_block", 3},    {"wait_batch", 4},
};

std::vector<Note> notes_of_library(const ElfFile& file) {
  std::vector<Note> result;
  for (const Note& note : file.notes()) {
    if (note.provider == "waitprobe") result.push_back(note);
  }
  return result;
}

bool is_of_library(const std::string& mangled) {
  // waitprobe::..., its vtables and typeinfo, and the C functions. Not what std makes of its types.
  static const std::regex pattern("_Z(TV|TI|TS|N?K?)?N?9waitprobe.*|waitprobe_.*|_ZGV.*waitprobe.*");
  return std::regex_match(mangled, pattern);
}

// Carriers of the probes: one copy each.
class Carrier : public testing::TestWithParam<const char*> {
 protected:
  ElfFile file_{GetParam()};
};
INSTANTIATE_TEST_SUITE_P(Elf, Carrier, testing::Values(WAITPROBE_LIBRARY, LAST_WAITS_STATIC, PLUGIN_STATIC),
                         [](const auto& test) {
                           return test.index == 0 ? "shared_library" : test.index == 1 ? "executable" : "plugin";
                         });

// Files that link the static library.
class StaticCopy : public testing::TestWithParam<const char*> {
 protected:
  ElfFile file_{GetParam()};
};
INSTANTIATE_TEST_SUITE_P(Elf, StaticCopy, testing::Values(LAST_WAITS_STATIC, PLUGIN_STATIC),
                         [](const auto& test) { return test.index == 0 ? "executable" : "plugin"; });

}  // namespace

TEST_P(Carrier, has_each_probe_exactly_once) {
  std::multiset<std::string> found, expected;
  for (const Note& note : notes_of_library(file_)) found.insert(note.probe);
  for (const auto& [name, args] : probes) expected.insert(name);
  EXPECT_EQ(found, expected);
}

TEST_P(Carrier, has_all_arguments_in_registers) {
  for (const Note& note : notes_of_library(file_)) {
    int expected = -1;
    for (const auto& [name, args] : probes) {
      if (name == note.probe) expected = args;
    }
#if defined(__x86_64__)
    static const std::regex in_register("8@%r[a-z0-9]+");
#else
    static const std::regex in_register("8@x[0-9]+");
#endif
    std::istringstream args(note.args);
    int n = 0;
    for (std::string arg; args >> arg; n++) EXPECT_TRUE(std::regex_match(arg, in_register)) << note.probe << ": " << note.args;
    EXPECT_EQ(n, expected) << note.probe << ": " << note.args;
  }
}

// The BPF programs read them there, and not where the notes say.
TEST_P(Carrier, has_each_argument_where_a_function_gets_its_parameter) {
#if defined(__x86_64__)
  const std::vector<std::string> registers = {"8@%rdi", "8@%rsi", "8@%rdx", "8@%rcx", "8@%r8"};
#else
  const std::vector<std::string> registers = {"8@x0", "8@x1", "8@x2", "8@x3", "8@x4"};
#endif
  for (const Note& note : notes_of_library(file_)) {
    std::istringstream args(note.args);
    std::size_t n = 0;
    for (std::string arg; args >> arg; n++) EXPECT_EQ(arg, registers.at(n)) << note.probe << ": " << note.args;
  }
}

TEST_P(Carrier, has_two_semaphores_in_one_word_and_the_root_behind_it) {
  std::set<std::uint64_t> semaphores, of_batches;
  for (const Note& note : notes_of_library(file_)) {
    (note.probe == "wait_block" || note.probe == "wait_batch" ? of_batches : semaphores).insert(note.semaphore);
  }
  ASSERT_EQ(semaphores.size(), 1U);
  ASSERT_EQ(of_batches, std::set<std::uint64_t>{*semaphores.begin() + offsetof(wp_armed, batch)});
  const std::vector<std::uint8_t> bytes = file_.bytes(*semaphores.begin(), sizeof(wp_root));
  ASSERT_EQ(bytes.size(), sizeof(wp_root));
  wp_root root;
  std::memcpy(&root, bytes.data(), sizeof root);
  EXPECT_EQ(root.armed.events | root.armed.batch | root.armed.backends | root.armed.self, 0);
  EXPECT_EQ(root.magic, WP_ROOT_MAGIC);
  EXPECT_EQ(root.version, static_cast<__u32>(WP_ABI_VERSION));
  EXPECT_EQ(root.size, sizeof(wp_root));
  EXPECT_EQ(root.counter_buckets, static_cast<__u32>(WP_COUNTER_BUCKETS));
  EXPECT_EQ(root.prepared, static_cast<__u32>(WP_PREPARED_AT_START)) << "without a write that would cost each process a page";
  for (const Symbol& symbol : file_.symbols(SHT_SYMTAB)) {
    if (symbol.name != "waitprobe_root") continue;
    EXPECT_EQ(symbol.value, *semaphores.begin()) << "the semaphore is its first member";
  }
}

// At exec, the kernel raises the semaphore in the first writable mapping of its page of the file.
TEST_P(Carrier, has_its_semaphores_in_a_page_that_nothing_else_of_the_file_is_in) {
  constexpr std::uint64_t page = 4096;
  const std::uint64_t word = notes_of_library(file_).at(0).semaphore;
  EXPECT_EQ(word % page, 0U);
  const std::vector<std::uint8_t> rest = file_.bytes(word + sizeof(wp_root), page);
  EXPECT_EQ(rest, std::vector<std::uint8_t>(page - sizeof(wp_root), 0)) << "the section ends with the page";

  const std::vector<test::Segment> segments = file_.segments();
  const auto own = std::find_if(segments.begin(), segments.end(), [&](const test::Segment& segment) {
    return word >= segment.address && word < segment.address + segment.file_size;
  });
  ASSERT_NE(own, segments.end());
  const std::uint64_t offset = own->file_offset + (word - own->address);
  EXPECT_EQ(offset % page, 0U);
  for (const test::Segment& segment : segments) {
    const bool maps_it = segment.file_offset / page * page < offset + page && segment.file_offset + segment.file_size > offset;
    EXPECT_TRUE(!segment.writable || !maps_it || &segment == &*own)
        << "the segment at " << segment.address << " maps the page too";
  }
}

#if defined(__x86_64__)
// Each kernel has a nop that is best for it; docs/design.md says which. Next to the first, libbpf would take the five-byte one.
TEST_P(Carrier, has_three_nops_in_a_row_at_each_probe) {
  const std::vector<std::uint8_t> nops = {0x90, 0x66, 0x2e, 0x0f, 0x1f, 0x84, 0x00, 0x00,
                                          0x00, 0x00, 0x00, 0x0f, 0x1f, 0x44, 0x00, 0x00};
  for (const Note& note : notes_of_library(file_)) EXPECT_EQ(file_.bytes(note.pc, nops.size()), nops) << note.probe;
}
#endif

TEST_P(Carrier, exports_nothing_in_namespace_c10) {
  for (const std::uint32_t table : {SHT_DYNSYM, SHT_SYMTAB}) {
    for (const Symbol& symbol : file_.symbols(table)) {
      EXPECT_EQ(symbol.name.find("3c10"), std::string::npos) << symbol.name;
      EXPECT_NE(symbol.name.rfind("c10", 0), 0U) << symbol.name;
    }
  }
}

TEST_P(StaticCopy, exports_nothing_of_the_library) {
  int of_library = 0;
  for (const Symbol& symbol : file_.symbols(SHT_SYMTAB)) of_library += symbol.defined && is_of_library(symbol.name);
  EXPECT_GT(of_library, 10) << "it is in there";
  for (const Symbol& symbol : file_.symbols(SHT_DYNSYM)) {
    EXPECT_FALSE(symbol.defined && is_of_library(symbol.name)) << symbol.name;
  }
}

TEST(SharedLibrary, stays_once_it_is_loaded) { EXPECT_NE(ElfFile(WAITPROBE_LIBRARY).flags_1() & DF_1_NODELETE, 0U); }

TEST(SharedLibrary, depends_on_the_c_and_cpp_libraries_alone) {
  static const std::set<std::string> allowed = {"libc.so.6", "libstdc++.so.6",       "libgcc_s.so.1",
                                                "libm.so.6", "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1"};
  for (const std::string& library : ElfFile(WAITPROBE_LIBRARY).needed()) EXPECT_EQ(allowed.count(library), 1U) << library;
}
