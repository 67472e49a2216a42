// SPDX-License-Identifier: MIT
//
// The environments of other processes, which may keep anything in the place of one.
#include "src/collect/process/environment.h"

#include <gtest/gtest.h>

#include <elf.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "src/collect/process/process.h"

namespace waitprobe {
namespace {

constexpr const char* name = "ENVIRONMENT_TEST";

std::optional<std::string> value_in(std::uint32_t pid) { return Environment(pid).value_of(name); }
std::uint32_t self() { return static_cast<std::uint32_t>(getpid()); }

// A child that does something and then stands still until the end of the scope.
class Child {
 public:
  explicit Child(const std::function<void()>& body) {
    int ready[2];
    if (pipe(ready) != 0) abort();
    pid_ = fork();
    if (pid_ == 0) {
      body();
      if (write(ready[1], "r", 1) != 1) _exit(1);
      for (;;) pause();
    }
    char byte;
    close(ready[1]);
    EXPECT_EQ(read(ready[0], &byte, 1), 1);
    close(ready[0]);
  }
  ~Child() { end(); }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  std::uint32_t pid() const { return static_cast<std::uint32_t>(pid_); }
  void end() {
    if (pid_ == 0) return;
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
    pid_ = 0;
  }

 private:
  pid_t pid_ = 0;
};

Series series_of(std::uint32_t pid, std::uint64_t start_ticks, std::uint32_t parent_pid) {
  Series s;
  s.pid = pid;
  s.process_start_ticks = start_ticks;
  s.parent_pid = parent_pid;
  return s;
}

TEST(Environment, IsThatOfNow) {
  unsetenv(name);
  EXPECT_FALSE(value_in(self()));
  setenv(name, "one", 1);
  EXPECT_EQ(value_in(self()), "one");
  setenv(name, "", 1);
  EXPECT_EQ(value_in(self()), "");
  setenv(name, std::string(1000, 'x').c_str(), 1);
  EXPECT_EQ(value_in(self()), std::string(256, 'x'));
  setenv("ENVIRONMENT_TEST_MORE", "other", 1);
  unsetenv(name);
  EXPECT_FALSE(value_in(self()));
}

TEST(Environment, OneObjectSeesItMove) {
  Environment environment(self());
  setenv(name, "here", 1);
  EXPECT_EQ(environment.value_of(name), "here");
  for (int i = 0; i < 1000; i++) setenv(("ENVIRONMENT_TEST_" + std::to_string(i)).c_str(), "x", 1);
  setenv(name, "there", 1);
  EXPECT_EQ(environment.value_of(name), "there");
}

TEST(Environment, TableOfGarbage) {
  setenv(name, "of the parent", 1);
  static char* bad[] = {reinterpret_cast<char*>(1), reinterpret_cast<char*>(UINTPTR_MAX - 2), nullptr};
  static char good[] = "ENVIRONMENT_TEST=behind the garbage";
  static char* mixed[] = {reinterpret_cast<char*>(8), good, nullptr};
  static char* ring[4];
  for (char*& entry : ring) entry = reinterpret_cast<char*>(ring);
  static char no_value[] = "ENVIRONMENT_TEST";
  static char* without[] = {no_value, nullptr};
  const auto in_child = [](char** table) {
    const Child child([=] { environ = table; });
    return value_in(child.pid());
  };
  EXPECT_EQ(in_child(bad), std::nullopt);
  EXPECT_EQ(in_child(mixed), "behind the garbage");
  EXPECT_EQ(in_child(ring), std::nullopt);
  EXPECT_EQ(in_child(without), std::nullopt);
  // What the test itself was started with.
  EXPECT_EQ(in_child(nullptr), std::nullopt);
  EXPECT_EQ(in_child(reinterpret_cast<char**>(16)), std::nullopt);
}

TEST(Environment, StringAtTheEndOfItsMemory) {
  const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  auto* memory = static_cast<char*>(mmap(nullptr, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  ASSERT_EQ(mprotect(memory + page, page, PROT_NONE), 0);
  const std::string entry = std::string(name) + "=unended";
  std::memcpy(memory + page - entry.size(), entry.data(), entry.size());
  static char* table[2];
  table[0] = memory + page - entry.size();
  const Child child([] { environ = table; });
  EXPECT_EQ(value_in(child.pid()), "unended");
}

TEST(Environment, ProcessThatHasEnded) {
  Child child([] {});
  const std::uint32_t pid = child.pid();
  child.end();
  EXPECT_FALSE(value_in(pid));
}

// A file with a table of symbols, headers of which are then changed at random.
TEST(Environment, MappedFilesThatAreCalledLibcAndLie) {
  setenv(name, "right", 1);
  const auto folder = std::filesystem::temp_directory_path() / ("environment_test." + std::to_string(getpid()));
  std::filesystem::create_directory(folder);
  std::string file(4096, '\0');
  Elf64_Ehdr header = {};
  std::memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = ELFCLASS64;
  header.e_ident[EI_DATA] = ELFDATA2LSB;
  header.e_ident[EI_VERSION] = EV_CURRENT;
  header.e_type = ET_DYN;
  header.e_machine = EM_X86_64;
  header.e_version = EV_CURRENT;
  header.e_phoff = 64;
  header.e_shoff = 128;
  header.e_ehsize = sizeof header;
  header.e_phentsize = sizeof(Elf64_Phdr);
  header.e_phnum = 1;
  header.e_shentsize = sizeof(Elf64_Shdr);
  header.e_shnum = 3;
  Elf64_Phdr load = {};
  load.p_type = PT_LOAD;
  load.p_filesz = load.p_memsz = file.size();
  Elf64_Shdr symbols = {}, strings = {};
  symbols.sh_type = SHT_DYNSYM;
  symbols.sh_offset = 512;
  symbols.sh_size = 4 * sizeof(Elf64_Sym);
  symbols.sh_entsize = sizeof(Elf64_Sym);
  symbols.sh_link = 2;
  strings.sh_type = SHT_STRTAB;
  strings.sh_offset = 1024;
  strings.sh_size = 16;
  Elf64_Sym symbol = {};
  symbol.st_name = 1;
  symbol.st_info = ELF64_ST_INFO(STB_GLOBAL, STT_OBJECT);
  symbol.st_shndx = 1;
  const auto put = [&](std::size_t at, const auto& part) { std::memcpy(file.data() + at, &part, sizeof part); };
  put(0, header);
  put(64, load);
  put(128 + sizeof symbols, symbols);
  put(128 + 2 * sizeof symbols, strings);
  for (std::size_t i = 1; i < 4; i++) put(512 + i * sizeof symbol, symbol);
  std::memcpy(file.data() + 1024, "\0environ", 9);

  std::mt19937 random(7);
  for (int round = 0; round < 300; round++) {
    std::string changed = file;
    for (int i = round == 0 ? 0 : 1 + round % 4; i > 0; i--) {
      const std::size_t at = random() % (512 + 4 * sizeof symbol);
      changed[at] = random() % 2 == 0 ? static_cast<char>(random()) : '\xff';
    }
    const auto path = folder / ("libc.so." + std::to_string(round));
    std::ofstream(path, std::ios::binary) << changed;
    const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    void* const mapped = mmap(nullptr, file.size(), PROT_READ, MAP_PRIVATE, fd, 0);
    ASSERT_NE(mapped, MAP_FAILED);
    close(fd);
    EXPECT_EQ(value_in(self()), "right") << round;
    munmap(mapped, file.size());
  }
  std::filesystem::remove_all(folder);
}

TEST(EnvironmentReader, RemembersThoseThatHaveEnded) {
  EnvironmentReader reader(name);
  Child child([] { setenv(name, "7", 1); });
  const std::uint64_t start = start_ticks_of(child.pid());
  reader.add(child.pid(), true, 1'000);
  const Series series = series_of(child.pid(), start, self());
  child.end();
  reader.look(UINT64_MAX - 1);
  EXPECT_EQ(reader.value_of(series), "7");
  EXPECT_EQ(reader.next_ns(), UINT64_MAX) << "nobody is left to be looked at";
}

TEST(EnvironmentReader, LooksAgainSoonThenEverMoreRarely) {
  EnvironmentReader reader(name);
  reader.add(self(), true, 1'000);
  EXPECT_EQ(reader.next_ns(), 10'001'000U);
  std::uint64_t now = 1'000, least = 10'000'000;
  for (int i = 0; i < 20; i++) {
    EXPECT_GE(reader.next_ns() - now, least) << "and longer where a look took long";
    now = reader.next_ns();
    reader.look(now - 1);
    EXPECT_EQ(reader.next_ns(), now) << "it was not due";
    reader.look(now);
    least = std::min<std::uint64_t>(least * 2, 1'000'000'000);
  }
  EXPECT_EQ(least, 1'000'000'000U);
  reader.add(self(), false, now);
  EXPECT_GE(reader.next_ns() - now, least) << "it is known";
  reader.look_at_all();
  EXPECT_EQ(reader.next_ns(), UINT64_MAX);
}

TEST(EnvironmentReader, ForgetsThoseThatHaveEndedWithoutASeriesWhenThereAreMany) {
  setenv(name, "1", 1);
  EnvironmentReader reader(name);
  Child kept([] {}), forgotten([] {});
  const Series of_kept = series_of(kept.pid(), start_ticks_of(kept.pid()), 0);
  const Series of_forgotten = series_of(forgotten.pid(), start_ticks_of(forgotten.pid()), 0);
  for (const std::uint32_t pid : {self(), kept.pid(), forgotten.pid()}) reader.add(pid, true, 1'000);
  kept.end();
  forgotten.end();
  EXPECT_FALSE(reader.is_crowded());
  reader.forget_all_but({of_kept});
  EXPECT_EQ(reader.value_of(of_kept), "1");
  EXPECT_FALSE(reader.value_of(of_forgotten));
  EXPECT_EQ(reader.value_of(series_of(self(), start_ticks_of(self()), 0)), "1") << "it is alive";
}

TEST(EnvironmentReader, ValueOfAParentIsHandedDownUntilSomebodyHasAnother) {
  setenv(name, "5", 1);
  EnvironmentReader reader(name);
  reader.add(self(), true, 1'000);
  const Series brief = series_of(4'000'000, start_ticks_of(self()) + 1, self());
  EXPECT_EQ(reader.value_of(brief), "5");
  EXPECT_FALSE(reader.value_of(series_of(4'000'000, start_ticks_of(self()) - 1, self()))) << "older than that parent";
  EXPECT_FALSE(reader.value_of(series_of(4'000'000, start_ticks_of(self()) + 1, 3'999'999))) << "of somebody else";
  {
    const Child same([] {});
    reader.add(same.pid(), true, 1'000);
    EXPECT_EQ(reader.value_of(brief), "5");
    const Child other([] { setenv(name, "6", 1); });
    reader.add(other.pid(), true, 1'000);
    EXPECT_FALSE(reader.value_of(brief)) << "it may have had either";
    EXPECT_EQ(reader.value_of(series_of(other.pid(), start_ticks_of(other.pid()), self())), "6");
  }
}

TEST(EnvironmentReader, ValueThatChangesIsNotHandedDown) {
  setenv(name, "5", 1);
  EnvironmentReader reader(name);
  reader.add(self(), true, 1'000);
  setenv(name, "6", 1);
  reader.look_at_all();
  EXPECT_FALSE(reader.value_of(series_of(4'000'000, start_ticks_of(self()) + 1, self())));
  EXPECT_EQ(reader.value_of(series_of(self(), start_ticks_of(self()), 1)), "6");
}

}  // namespace
}  // namespace waitprobe
