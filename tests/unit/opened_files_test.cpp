// SPDX-License-Identifier: MIT
#include "src/collect/process/opened_files.h"

#include <gtest/gtest.h>

namespace waitprobe {
namespace {

OpenedFile opened(std::uint32_t pid, std::uint64_t inode, std::uint64_t time_ns, std::uint64_t start = 0x1000) {
  OpenedFile file;
  file.pid = pid;
  file.mapping.file = {1, inode};
  file.mapping.start = start;
  file.time_ns = time_ns;
  return file;
}

LibraryInstance instance(std::uint32_t pid, const FileId& file, std::uint64_t code_address = 0, const std::string& path = "") {
  LibraryInstance one;
  one.pid = pid;
  one.file = file;
  one.code_address = code_address;
  one.path = path;
  return one;
}

std::vector<std::uint64_t> inodes(const std::vector<OpenedFile>& files) {
  std::vector<std::uint64_t> all;
  for (const OpenedFile& file : files) all.push_back(file.mapping.file.inode);
  return all;
}

TEST(OpenedFiles, AreForgottenWhenALookHasFoundThem) {
  OpenedFiles files;
  files.add(opened(7, 100, 50));
  files.add(opened(7, 101, 60));
  EXPECT_EQ(files.found(instance(7, {1, 100})).value().time_ns, 50);
  EXPECT_FALSE(files.found(instance(7, {1, 100})));
  EXPECT_FALSE(files.found(instance(8, {1, 101})));
  files.is_gone(7);
  EXPECT_EQ(inodes(files.take_ended()), std::vector<std::uint64_t>{101});
  EXPECT_TRUE(files.take_ended().empty());
}

TEST(OpenedFiles, OfTheProgramBeforeHaveEndedWithIt) {
  OpenedFiles files;
  files.is_there(7, 1, "first");
  files.add(opened(7, 100, 50));
  files.program_started(7, "next", 55);
  files.add(opened(7, 101, 60));
  const auto ended = files.take_ended();
  EXPECT_EQ(inodes(ended), std::vector<std::uint64_t>{100});
  EXPECT_EQ(ended.at(0).ended_ns, 55U);
  EXPECT_EQ(files.waiting_since(UINT64_MAX), std::vector<std::uint32_t>{7});
  EXPECT_EQ(files.program_of(7).comm, "next");
  files.is_named(7, "renamed");
  EXPECT_EQ(files.program_of(7).comm, "renamed");
}

TEST(OpenedFiles, BelongToTheProcessThatHasTheNumber) {
  OpenedFiles files;
  files.is_there(7, 1, "before");
  files.add(opened(7, 100, 45));
  files.thread_ended(7, 50);
  EXPECT_TRUE(files.knows(7)) << "what it did may be heard of later";
  EXPECT_FALSE(files.knows(8));
  files.is_there(7, 6, "next", 60);
  EXPECT_EQ(inodes(files.take_ended()), std::vector<std::uint64_t>{100});
  files.add(opened(7, 101, 65));
  files.is_another(7, 70);
  EXPECT_FALSE(files.knows(7));
  EXPECT_EQ(inodes(files.take_ended()), std::vector<std::uint64_t>{101});
}

TEST(OpenedFiles, AreNoMoreThereWhenALookDoesNotFindThem) {
  OpenedFiles files;
  OpenedFile closed = opened(7, 100, 50);
  closed.probes = std::make_shared<ProbeFile>();
  files.add(closed);
  files.looked_at(7, 50);
  files.looked_at(7, 55);
  files.looked_at(7, 58);
  files.give_up_before(60);
  const auto ended = files.take_ended();
  ASSERT_EQ(ended.size(), 1U);
  EXPECT_EQ(ended[0].ended_ns, 55U);
}

TEST(OpenedFiles, KnowASecondOne) {
  OpenedFiles files;
  files.add(opened(7, 100, 50, 0x1000));
  files.add(opened(7, 100, 51, 0x1000));
  files.is_gone(7);
  auto ended = files.take_ended();
  ASSERT_EQ(ended.size(), 1U);
  EXPECT_FALSE(ended[0].is_second);
  EXPECT_TRUE(ended[0].is_again);
  files.add(opened(8, 100, 50, 0x1000));
  files.add(opened(8, 100, 51, 0x9000));
  files.is_gone(8);
  ended = files.take_ended();
  ASSERT_EQ(ended.size(), 1U);
  EXPECT_TRUE(ended[0].is_second);
}

TEST(OpenedFiles, WaitUntilTheyAreGivenUp) {
  OpenedFiles files;
  files.add(opened(7, 100, 50));
  files.add(opened(8, 100, 70));
  EXPECT_EQ(files.waiting_since(60), std::vector<std::uint32_t>{7});
  files.give_up_before(60);
  files.is_gone(7);
  EXPECT_TRUE(files.take_ended().empty()) << "it is not known to have probes, and is no instance";
  EXPECT_EQ(files.waiting_since(UINT64_MAX), std::vector<std::uint32_t>{8});
}

TEST(OpenedFiles, AreClosedWhereTheyHadProbesAndAreNotThere) {
  OpenedFiles files;
  OpenedFile closed = opened(7, 100, 50);
  closed.probes = std::make_shared<ProbeFile>();
  files.add(closed);
  files.give_up_before(60);
  EXPECT_EQ(inodes(files.take_ended()), std::vector<std::uint64_t>{100});
}

TEST(OpenedFiles, AreFoundByTheirCodeWhereTheKernelTellsOfAnotherFile) {
  OpenedFiles files;
  OpenedFile of_layer = opened(7, 100, 50, 0x1000);
  of_layer.mapping.end = 0x3000;
  of_layer.mapping.path = "/layer/lib.so";
  files.add(of_layer);
  EXPECT_FALSE(files.found(instance(7, {2, 900}, 0x3000, "/merged/lib.so")));
  EXPECT_FALSE(files.found(instance(7, {2, 900}, 0x2fff, "/merged/other.so"))) << "it was closed, and another is there";
  EXPECT_EQ(files.found(instance(7, {2, 900}, 0x2fff, "/merged/lib.so")).value().time_ns, 50);
}

TEST(OpenedFiles, HaveABoundAndSayWhenItIsReached) {
  OpenedFiles files;
  std::uint32_t pid = 1;
  while (files.add(opened(pid, 100, 50))) pid++;
  EXPECT_GT(pid, 10'000U);
  files.found(instance(1, {1, 100}));
  EXPECT_TRUE(files.add(opened(pid, 100, 50)));
}

}  // namespace
}  // namespace waitprobe
