// SPDX-License-Identifier: MIT
//
// Plug-ins that wait, and are unloaded.
#include <gtest/gtest.h>

#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <future>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "tests/runtime/plugin.h"
#include "tests/runtime/recorder.h"

// A copy of the library that is unloaded leaves its counters behind: they are never freed.
extern "C" const char* __lsan_default_options() { return "detect_leaks=0"; }

// The same function, and so the same static handle, as in the plug-in.
inline void plugin_wait_inline() { STATIC_SCOPED_WAIT_COUNTER(plugin.wait); }

namespace {

class Plugin {
 public:
  explicit Plugin(const std::string& file) : file_(file), library_(dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL)) {
    EXPECT_NE(library_, nullptr) << dlerror();
  }
  ~Plugin() { unload(); }
  Plugin(const Plugin&) = delete;
  Plugin& operator=(const Plugin&) = delete;

  template <typename Function>
  Function* get(const char* name) const {
    return reinterpret_cast<Function*>(dlsym(library_, name));
  }
#define IN(plugin, function) (*(plugin).get<decltype(function)>(#function))

  void unload() {
    if (library_ != nullptr) dlclose(library_);
    library_ = nullptr;
  }
  bool loaded() const {
    void* again = dlopen(file_.c_str(), RTLD_NOW | RTLD_NOLOAD);
    if (again != nullptr) dlclose(again);
    return again != nullptr;
  }

 private:
  std::string file_;
  void* library_;
};

bool shared_library_loaded() {
  void* library = dlopen(WAITPROBE_LIBRARY, RTLD_NOW | RTLD_NOLOAD);
  if (library != nullptr) dlclose(library);
  return library != nullptr;
}

class Dlopen : public testing::TestWithParam<const char*> {};

}  // namespace

TEST_P(Dlopen, gives_a_plugin_a_copy_that_never_mixes_with_the_host_s) {
  test::Recorder& host = test::Recorder::follow("plugin.");
  plugin_wait_inline();
  Plugin plugin(GetParam());
  IN(plugin, plugin_wait)(7);
  EXPECT_TRUE(host.of("plugin.wait").saw(1)) << "the plug-in has its own registry, in which nobody listens";
  IN(plugin, plugin_follow)();
  IN(plugin, plugin_wait)(7);
  EXPECT_EQ(IN(plugin, plugin_seen)(), 7);
  plugin_wait_inline();
  EXPECT_TRUE(host.of("plugin.wait").saw(2));
  EXPECT_EQ(IN(plugin, plugin_seen)(), 7);
}

TEST_P(Dlopen, lets_a_plugin_use_a_handle_that_the_host_has_filled_and_the_other_way_round) {
  test::Tally& host = test::Recorder::follow("plugin.wait").of("plugin.wait");
  Plugin plugin(GetParam());
  IN(plugin, plugin_follow)();
  waitprobe_handle of_host = WAITPROBE_HANDLE("plugin.wait");
  waitprobe_handle of_plugin = WAITPROBE_HANDLE("plugin.wait");
  waitprobe_stop(waitprobe_start(&of_host));
  for (int i = 0; i < 7; i++) IN(plugin, plugin_wait_on)(&of_host);
  IN(plugin, plugin_wait_on)(&of_plugin);
  waitprobe_stop(waitprobe_start(&of_plugin));
  EXPECT_TRUE(host.saw(2));
  EXPECT_EQ(IN(plugin, plugin_seen)(), 8);
}

TEST_P(Dlopen, unloads_a_plugin_that_has_waited) {
  plugin_wait_inline();
  Plugin plugin(GetParam());
  IN(plugin, plugin_follow)();
  IN(plugin, plugin_wait)(7);
  plugin.unload();
  EXPECT_FALSE(plugin.loaded());
}

TEST_P(Dlopen, unloads_a_plugin_before_the_threads_that_have_waited_in_it_end) {
  Plugin plugin(GetParam());
  IN(plugin, plugin_follow)();
  std::promise<void> unloaded;
  const std::shared_future<void> end = unloaded.get_future().share();
  std::vector<std::promise<void>> waited(8);
  std::vector<std::thread> threads;
  for (std::promise<void>& done : waited) {
    threads.emplace_back([&] {
      IN(plugin, plugin_wait)(7);
      done.set_value();
      end.wait();
    });
  }
  for (std::promise<void>& done : waited) done.get_future().wait();
  EXPECT_EQ(IN(plugin, plugin_seen)(), 8 * 7);
  plugin.unload();
  EXPECT_FALSE(plugin.loaded());
  unloaded.set_value();
  for (std::thread& thread : threads) thread.join();
}

TEST_P(Dlopen, sees_the_waits_of_static_destructors_during_unloading) {
  PluginEnd end;
  Plugin plugin(GetParam());
  IN(plugin, plugin_follow)();
  IN(plugin, plugin_report_end)(&end);
  // Another thread, so that the unloading one waits in it for the first time then.
  std::thread([&] { IN(plugin, plugin_wait)(7); }).join();
  plugin.unload();
  EXPECT_FALSE(plugin.loaded());
  EXPECT_EQ(end.starts, 8);
  EXPECT_EQ(end.stops, 8);
  EXPECT_EQ(end.value_of_key, nullptr) << "the key belongs to somebody else by now";
  pthread_key_delete(end.key);
}

TEST_P(Dlopen, can_be_repeated_with_threads_that_stay) {
  std::vector<std::thread> threads;
  std::promise<void> over;
  const std::shared_future<void> end = over.get_future().share();
  // The shared library asks whoever follows for ever: that must be a plug-in that stays.
  std::optional<Plugin> staying;
  if (GetParam() == std::string(PLUGIN_SHARED)) {
    const std::string copy = testing::TempDir() + "/staying_plugin_" + std::to_string(getpid()) + ".so";
    std::filesystem::copy_file(GetParam(), copy);
    staying.emplace(copy);
    std::filesystem::remove(copy);
    IN(*staying, plugin_follow)();
  }
  for (int i = 0; i < 30; i++) {
    Plugin plugin(GetParam());
    if (!staying) IN(plugin, plugin_follow)();
    std::promise<void> waited;
    threads.emplace_back([&plugin, &waited, end] {
      IN(plugin, plugin_wait)(7);
      waited.set_value();
      end.wait();
    });
    waited.get_future().wait();
    IN(plugin, plugin_wait)(7);
    EXPECT_GE(IN(staying ? *staying : plugin, plugin_seen)(), staying ? 14 * (i + 1) : 14);
  }
  over.set_value();
  for (std::thread& thread : threads) thread.join();
}

TEST(DlopenShared, leaves_the_shared_library_loaded_for_the_threads_that_have_used_it) {
  ASSERT_FALSE(shared_library_loaded());
  Plugin plugin(PLUGIN_SHARED);
  IN(plugin, plugin_follow)();
  std::promise<void> waited, unloaded;
  std::thread thread([&] {
    IN(plugin, plugin_wait)(7);
    waited.set_value();
    unloaded.get_future().wait();
  });
  waited.get_future().wait();
  plugin.unload();
  EXPECT_FALSE(plugin.loaded());
  EXPECT_TRUE(shared_library_loaded());
  unloaded.set_value();
  thread.join();
}

// Each copy takes room in the static TLS block, of which the C library keeps little for what is loaded later.
TEST(DlopenStatic, has_room_for_forty_copies_at_once) {
  std::string folder = testing::TempDir() + "waitprobe.XXXXXX";
  ASSERT_NE(mkdtemp(folder.data()), nullptr);
  std::vector<std::unique_ptr<Plugin>> plugins;
  for (int i = 0; i < 40; i++) {
    const std::string file = folder + "/plugin." + std::to_string(i) + ".so";
    std::filesystem::copy_file(PLUGIN_STATIC, file);
    plugins.push_back(std::make_unique<Plugin>(file));
    ASSERT_FALSE(HasFailure()) << "copy " << i;
    IN(*plugins.back(), plugin_follow)();
  }
  for (const auto& plugin : plugins) IN(*plugin, plugin_wait)(7);
  for (const auto& plugin : plugins) EXPECT_EQ(IN(*plugin, plugin_seen)(), 7);
  plugins.clear();
  std::filesystem::remove_all(folder);
}

INSTANTIATE_TEST_SUITE_P(Plugin, Dlopen, testing::Values(PLUGIN_STATIC, PLUGIN_SHARED),
                         [](const auto& test) { return test.index == 0 ? "with_a_static_copy" : "with_the_shared_library"; });
