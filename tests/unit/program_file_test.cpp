// SPDX-License-Identifier: MIT
#include "src/collect/program_file.h"

#include <fcntl.h>
#include <gtest/gtest.h>

namespace waitprobe {
namespace {

Carries carries(const std::string& path, const std::string& root = "") {
  ProgramFiles files;
  const FileDescriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  EXPECT_TRUE(file.ok()) << path;
  const Carries once = files.carries(file, path, root);
  EXPECT_EQ(files.carries(file, path, root), once) << "remembered";
  return once;
}

TEST(ProgramFiles, FollowTheLibrariesThatAProgramNames) {
  EXPECT_EQ(carries("/bin/ls"), Carries::no) << "it names libraries that name others";
  EXPECT_EQ(carries("/proc/self/exe"), Carries::no);
}

TEST(ProgramFiles, FindTheProbesOfTheFileItselfAndOfALibrary) {
  EXPECT_EQ(carries(PROGRAM_WITH_PROBES), Carries::yes);
  EXPECT_EQ(carries(PROGRAM_WITH_A_LIBRARY_WITH_PROBES), Carries::yes) << "by its RUNPATH";
}

TEST(ProgramFiles, DoNotKnowWhatTheyCannotFind) {
  EXPECT_EQ(carries("/bin/ls", "/nonexistent"), Carries::unknown) << "no library is there";
  EXPECT_EQ(carries("/etc/passwd"), Carries::unknown);
}

}  // namespace
}  // namespace waitprobe
