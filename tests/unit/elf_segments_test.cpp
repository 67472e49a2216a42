// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include "src/collect/process/elf_file.h"

namespace waitprobe {
namespace {

GElf_Phdr load(std::uint64_t offset, std::uint64_t bytes, std::uint64_t address, std::uint32_t flags) {
  GElf_Phdr header = {};
  header.p_type = PT_LOAD;
  header.p_offset = offset;
  header.p_filesz = bytes;
  header.p_memsz = bytes;
  header.p_vaddr = address;
  header.p_flags = flags;
  return header;
}

// As lld lays a program out: what becomes read-only after relocation is a segment of its own, which ends in the page of the
// file that the next one begins in.
ElfSegments as_lld() {
  return {{load(0, 0x1800, 0x200000, PF_R), load(0x1800, 0x900, 0x202800, PF_R | PF_X),
           load(0x2100, 0x200, 0x204100, PF_R | PF_W), load(0x2300, 0x100, 0x205300, PF_R | PF_W)}};
}

TEST(ElfSegments, TellWhichPagesOfTheFileAreMappedWritableTwice) {
  EXPECT_TRUE(as_lld().shares_writable_page(0x2340));
  EXPECT_TRUE(as_lld().shares_writable_page(0x2140)) << "the other way round as well";
  EXPECT_FALSE(as_lld().shares_writable_page(0x1840));
  ElfSegments apart = as_lld();
  apart.loads[3].p_offset = 0x3300;
  EXPECT_FALSE(apart.shares_writable_page(0x3340));
  EXPECT_FALSE(apart.shares_writable_page(0x2140)) << "code beside it does not count";
}

TEST(ElfSegments, KnowTheSegmentThatAnOffsetBelongsTo) {
  EXPECT_EQ(as_lld().to_address(0x2340, PF_W), 0x205340U);
  EXPECT_EQ(as_lld().to_address(0x2340, PF_X), std::nullopt);
  EXPECT_EQ(as_lld().to_address(0x2400, PF_W), std::nullopt) << "the page has it, the segment has not";
}

TEST(ElfSegments, FindWhereTheFileIsLoadedByItsCode) {
  Mapping code;
  code.start = 0x7f0000002000;
  code.offset = 0x1000;
  EXPECT_EQ(as_lld().load_bias(code, PF_X), 0x7f0000002000U - 0x202000U);
  code.offset = 0x3000;
  EXPECT_EQ(as_lld().load_bias(code, PF_X), std::nullopt);
}

}  // namespace
}  // namespace waitprobe
