// SPDX-License-Identifier: MIT
#include "src/serve/service_manager.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <time.h>
#include <unistd.h>

#include <cstddef>
#include <cstdlib>

namespace waitprobe {
namespace {

// A manager that reads what it is told.
class ManagerTest : public testing::Test {
 protected:
  ~ManagerTest() override {
    for (const char* name : {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"}) unsetenv(name);
    if (!path_.empty() && path_[0] == '/') unlink(path_.c_str());
  }
  void listen_at(const std::string& path) {
    path_ = path;
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, path.size());
    if (path[0] == '@') address.sun_path[0] = '\0';
    socket_ = FileDescriptor(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + (path[0] == '/' ? 1 : 0));
    ASSERT_EQ(bind(socket_.get(), reinterpret_cast<const sockaddr*>(&address), length), 0) << errno_text(errno);
    setenv("NOTIFY_SOCKET", path.c_str(), 1);
  }
  std::string told() const {
    pollfd fd = {socket_.get(), POLLIN, 0};
    if (poll(&fd, 1, 0) != 1) return "nothing";
    char buffer[1000];
    const ssize_t size = recv(socket_.get(), buffer, sizeof buffer, 0);
    return std::string(buffer, size < 0 ? 0 : static_cast<std::size_t>(size));
  }
  std::string path_;
  FileDescriptor socket_;
};

TEST_F(ManagerTest, IsToldWhatHappens) {
  const std::string own = "/tmp/waitprobe-notify-" + std::to_string(getpid());
  for (const std::string& path : {own, "@" + own}) {
    listen_at(path);
    ServiceManager manager = ServiceManager::from_environment();
    ASSERT_TRUE(manager.is_there());
    EXPECT_EQ(std::getenv("NOTIFY_SOCKET"), nullptr) << "programs that are started do not speak for us";
    EXPECT_TRUE(manager.ready("3 targets\nREADY=0").ok());
    EXPECT_EQ(told(), "READY=1\nSTATUS=3 targets READY=0");
    timespec before = {}, after = {};
    clock_gettime(CLOCK_MONOTONIC, &before);
    EXPECT_TRUE(manager.reloading().ok());
    clock_gettime(CLOCK_MONOTONIC, &after);
    const std::string reloading = told(), prefix = "RELOADING=1\nMONOTONIC_USEC=";
    ASSERT_EQ(reloading.substr(0, prefix.size()), prefix);
    const long at_us = std::stol(reloading.substr(prefix.size()));
    EXPECT_GE(at_us, before.tv_sec * 1'000'000 + before.tv_nsec / 1000);
    EXPECT_LE(at_us, after.tv_sec * 1'000'000 + after.tv_nsec / 1000);
    EXPECT_TRUE(manager.status("x").ok());
    EXPECT_EQ(told(), "STATUS=x");
    EXPECT_TRUE(manager.watchdog().ok());
    EXPECT_EQ(told(), "WATCHDOG=1");
    EXPECT_TRUE(manager.stopping().ok());
    EXPECT_EQ(told(), "STOPPING=1");
    EXPECT_EQ(told(), "nothing");
  }
}

TEST_F(ManagerTest, NeedNotBeThere) {
  for (const char* nothing : {"", "x", "/", "@", "relative", "vsock:2:1"}) {
    setenv("NOTIFY_SOCKET", nothing, 1);
    ServiceManager manager = ServiceManager::from_environment();
    EXPECT_FALSE(manager.is_there()) << nothing;
    EXPECT_TRUE(manager.ready("").ok());
  }
  setenv("NOTIFY_SOCKET", ("/" + std::string(200, 'x')).c_str(), 1);
  EXPECT_FALSE(ServiceManager::from_environment().is_there());
  setenv("NOTIFY_SOCKET", "/nowhere/notify", 1);
  ServiceManager gone = ServiceManager::from_environment();
  const auto told = gone.ready("");
  ASSERT_FALSE(told.ok());
  EXPECT_EQ(told.error().why, "No such file or directory");
}

TEST_F(ManagerTest, WhoDoesNotReadDoesNotStopTheService) {
  listen_at("@waitprobe-notify-full-" + std::to_string(getpid()));
  ServiceManager manager = ServiceManager::from_environment();
  int taken = 0;
  while (taken < 100'000 && manager.watchdog().ok()) taken++;
  EXPECT_GT(taken, 0);
  EXPECT_LT(taken, 100'000);
  while (told() != "nothing") {
  }
  EXPECT_TRUE(manager.watchdog().ok());
}

TEST_F(ManagerTest, SaysHowOftenItWantsToHear) {
  listen_at("@waitprobe-notify-watchdog-" + std::to_string(getpid()));
  const auto interval = [this](const char* usec, const std::string& pid) {
    setenv("NOTIFY_SOCKET", path_.c_str(), 1);
    setenv("WATCHDOG_USEC", usec, 1);
    pid.empty() ? unsetenv("WATCHDOG_PID") : setenv("WATCHDOG_PID", pid.c_str(), 1);
    const auto wanted = ServiceManager::from_environment().watchdog_interval();
    return wanted ? static_cast<long>(wanted->count()) : -1;
  };
  EXPECT_EQ(interval("30000000", ""), 15'000'000);
  EXPECT_EQ(interval("30000000", std::to_string(getpid())), 15'000'000);
  EXPECT_EQ(interval("30000000", "1"), -1) << "of another process";
  for (const char* nothing : {"", "0", "x", "30s", "-1"}) EXPECT_EQ(interval(nothing, ""), -1) << nothing;
}

}  // namespace
}  // namespace waitprobe
