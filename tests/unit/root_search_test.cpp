// SPDX-License-Identifier: MIT
#include <elf.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <vector>

#include "bpf/abi.h"
#include "src/collect/process/root_search.h"

namespace waitprobe {
namespace {

constexpr std::uint64_t data_at = 0x1000;

// An ELF file with one segment, which a process may write, whose address ends as its place in the file does.
class FileOfData {
 public:
  explicit FileOfData(std::size_t bytes, std::uint32_t flags = PF_R | PF_W, std::uint64_t address = 0x400000)
      : fd_(memfd_create("file", 0)) {
    Elf64_Ehdr header = {};
    std::memcpy(header.e_ident, ELFMAG, SELFMAG);
    header.e_ident[EI_CLASS] = ELFCLASS64;
    header.e_ident[EI_DATA] = ELFDATA2LSB;
    header.e_ident[EI_VERSION] = EV_CURRENT;
    header.e_type = ET_DYN;
    header.e_machine = EM_X86_64;
    header.e_version = EV_CURRENT;
    header.e_ehsize = sizeof header;
    header.e_phoff = sizeof header;
    header.e_phentsize = sizeof(Elf64_Phdr);
    header.e_phnum = 1;
    Elf64_Phdr segment = {};
    segment.p_type = PT_LOAD;
    segment.p_flags = flags;
    segment.p_offset = data_at;
    segment.p_vaddr = address;
    segment.p_filesz = segment.p_memsz = bytes;
    put(0, &header, sizeof header);
    put(sizeof header, &segment, sizeof segment);
    EXPECT_EQ(ftruncate(fd_, static_cast<off_t>(data_at + bytes)), 0);
  }
  ~FileOfData() { close(fd_); }
  FileOfData(const FileOfData&) = delete;
  FileOfData& operator=(const FileOfData&) = delete;

  FileOfData& with_root(std::uint64_t at, const wp_root& root) {
    put(data_at + at, &root, sizeof root);
    return *this;
  }
  std::vector<std::uint64_t> find() const { return find_roots_in_file(fd_); }

 private:
  void put(std::uint64_t at, const void* bytes, std::size_t count) {
    EXPECT_EQ(pwrite(fd_, bytes, count, static_cast<off_t>(at)), static_cast<ssize_t>(count));
  }
  int fd_;
};

wp_root fresh_root() {
  wp_root root = {};
  root.magic = WP_ROOT_MAGIC;
  root.version = WP_ABI_VERSION;
  root.size = sizeof root;
  return root;
}

using Places = std::vector<std::uint64_t>;

TEST(RootSearch, FindsRootsWhereTheyMayStand) {
  EXPECT_EQ(FileOfData(4096).find(), Places{});
  EXPECT_EQ(FileOfData(4096).with_root(0, fresh_root()).find(), Places{data_at});
  EXPECT_EQ(FileOfData(4096).with_root(4096 - 192, fresh_root()).find(), Places{data_at + 4096 - 192});
  EXPECT_EQ(FileOfData(4096).with_root(64, fresh_root()).with_root(1024, fresh_root()).find(),
            (Places{data_at + 64, data_at + 1024}));
  EXPECT_EQ(FileOfData(4096).with_root(8, fresh_root()).find(), Places{}) << "roots are aligned";
  EXPECT_EQ(FileOfData(4096, PF_R | PF_W, 0x400010).with_root(0x30, fresh_root()).find(), Places{data_at + 0x30})
      << "by their address, not by their place in the file";
  EXPECT_EQ(FileOfData(4096, PF_R).with_root(0, fresh_root()).find(), Places{}) << "nobody could arm it";
  // Where one piece of the file ends and the next begins.
  EXPECT_EQ(FileOfData(3 << 20).with_root((1 << 20) - 64, fresh_root()).with_root(2 << 20, fresh_root()).find(),
            (Places{data_at + (1 << 20) - 64, data_at + (2 << 20)}));
}

TEST(RootSearch, TakesNothingElseForOne) {
  wp_root armed = fresh_root(), nameless = fresh_root(), small = fresh_root();
  armed.armed.events = 1;
  nameless.version = 0;
  small.size = 8;
  for (const wp_root& other : {wp_root{}, armed, nameless, small}) {
    EXPECT_EQ(FileOfData(4096).with_root(64, other).find(), Places{});
  }
  FileOfData many(1 << 16);
  for (std::uint64_t at = 0; at < 1 << 16; at += 256) many.with_root(at, fresh_root());
  EXPECT_EQ(many.find().size(), 16U) << "a file may say what it likes";
  const int nothing = memfd_create("nothing", 0);
  EXPECT_EQ(find_roots_in_file(nothing), Places{});
  close(nothing);
}

TEST(RootSearch, SurvivesSizesThatLie) {
  EXPECT_EQ(FileOfData(1 << 12, PF_R | PF_W, UINT64_MAX - 5).with_root(0, fresh_root()).find().size() <= 1, true);
}

}  // namespace
}  // namespace waitprobe
