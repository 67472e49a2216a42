// SPDX-License-Identifier: MIT
//
// The function that PyTorch looks for, called as PyTorch does.
#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <string>
#include <thread>
#include <vector>

#include "src/runtime/counter.h"
#include "src/runtime/probes.h"
#include "src/torch/key_classes.h"
#include "tests/runtime/blocks.h"
#include "tests/runtime/child.h"
#include "tests/runtime/recorder.h"
#include "tests/torch/wait_counters.h"

using host::Counter;
using host::counter_of;
using host::Guard;

TEST(Torch, KeyIsKnownBeforeAnybodyListens) {
  const std::string key("torch.\0zero", 11);
  Counter counter(key);
  ASSERT_TRUE(counter.is_followed());
  EXPECT_EQ(waitprobe_root.counter_cnt, 1U);
  EXPECT_EQ(waitprobe::detail::find_counter(key)->name(), key);
  EXPECT_EQ(waitprobe_root.counter_cnt, 1U) << "that was the same one";
  counter.destroy();
}

TEST(Torch, KeysOfPyTorchHaveTheirClass) {
  const struct {
    waitprobe_class key_class;
    std::vector<const char*> keys;
  } classes[] = {
      {WAITPROBE_CLASS_WORK,
       {"pytorch.wait_counter.dynamo_compile", "pytorch.wait_counter.fx_codegen_and_compile",
        "pytorch.wait_counter.compile_triton", "pytorch.wait_counter.Scheduler.fused_nodes",
        "pytorch.wait_counter.c10d._object_to_tensor", "pytorch.wait_counter.torchcomms._tensor_to_object",
        "pytorch.wait_counter.ProcessGroupNCCL__checkTimeout", "pytorch.wait_counter.FlightRecorder__dump",
        "pytorch.wait_counter.subproc_pool.job", "pytorch.dynamo_timed._compile.compile_inner", "pytorch.filelock.region",
        "pytorch.ProcessGroupNCCL__dumpDebuggingInfo", "pytorch.triton.benchmark"}},
      {WAITPROBE_CLASS_IDLE, {"pytorch.wait_counter.subproc_pool.running", "pytorch.wait_counter.subproc_pool.quiesced"}},
      {WAITPROBE_CLASS_WAIT,
       {"pytorch.wait_counter.TCPStore__wait", "pytorch.wait_counter.c10d.init_process_group",
        "pytorch.dynamo_timed.async_compile.wait", "pytorch.wait_counter.guard_collective",
        "pytorch.wait_counter.cuda_device_synchronize", "pytorch.ProcessGroupNCCL__abort", "pytorch.filelock.enter",
        "pytorch.remote_cache.get", "my_compile", "train.barrier", "pytorch.wait_counter.", "pytorch.", ""}},
  };
  for (const auto& [key_class, keys] : classes) {
    for (const char* key : keys) EXPECT_EQ(waitprobe::class_of_torch_key(key), key_class) << key;
  }
  Counter counter("pytorch.wait_counter.dynamo_compile");
  EXPECT_EQ(waitprobe::detail::find_counter("pytorch.wait_counter.dynamo_compile")->abi.flags, WP_CLASS_WORK + 0U);
  counter.destroy();
}

TEST(Torch, NobodyListens) {
  Counter& counter = counter_of("torch.idle");
  errno = E2BIG;
  const std::intptr_t ctx = counter.start();
  counter.stop(ctx);
  EXPECT_EQ(ctx, 0);
  EXPECT_EQ(errno, E2BIG);
  const auto* arena = reinterpret_cast<const wp_arena*>(waitprobe_root.arena);
  EXPECT_TRUE(arena == nullptr || arena->block_cnt == 0) << "no thread has taken a block";
}

TEST(Torch, WaitsOverlapAndEndInAnyOrder) {
  test::Recorder& recorder = test::Recorder::follow("torch.");
  Counter& counter = counter_of("torch.overlap");
  std::vector<std::intptr_t> open;
  for (int i = 0; i < 100; i++) open.push_back(counter.start());
  for (int i = 0; i < 100; i++) counter.stop(open[static_cast<std::size_t>(i * 37 % 100)]);
  EXPECT_TRUE(recorder.of("torch.overlap").saw(100));
  EXPECT_EQ(test::open_slots(), 0);
}

TEST(Torch, AnotherThreadStops) {
  test::Recorder& recorder = test::Recorder::follow("torch.");
  Counter& counter = counter_of("torch.handed_over");
  for (int i = 0; i < 100; i++) {
    const std::intptr_t ctx = counter.start();
    std::thread([&] { counter.stop(ctx); }).join();
  }
  EXPECT_TRUE(recorder.of("torch.handed_over").saw(100));
}

TEST(Torch, TenThreadsAskForTheSameKeysAndWait) {
  test::Recorder& recorder = test::Recorder::follow("torch.");
  std::vector<std::thread> threads;
  for (int t = 0; t < 10; t++) {
    threads.emplace_back([] {
      for (int i = 0; i < 1000; i++) const Guard guard(counter_of("torch.key" + std::to_string(i % 100)));
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (int i = 0; i < 100; i++) {
    EXPECT_TRUE(recorder.of("torch.key" + std::to_string(i)).saw(100)) << i;
  }
}

TEST(Torch, WaitThatIsOpenAcrossAForkEndsInTheParent) {
  test::Recorder& recorder = test::Recorder::follow("torch.");
  Counter& counter = counter_of("torch.fork");
  const std::intptr_t ctx = counter.start();
  EXPECT_TRUE(test::holds_in_child([&] {
    counter.stop(ctx);
    CHILD_EXPECT(recorder.of("torch.fork").stops == 0);
    { const Guard guard(counter); }
    CHILD_EXPECT(recorder.of("torch.fork").stops == 1);
    return true;
  }));
  counter.stop(ctx);
  EXPECT_TRUE(recorder.of("torch.fork").saw(1));
}

TEST(Torch, WaitThatBeganUnheardIsNotReported) {
  Counter& counter = counter_of("torch.late");
  const std::intptr_t ctx = counter.start();
  test::Recorder& recorder = test::Recorder::follow("torch.");
  counter.stop(ctx);
  { const Guard guard(counter); }
  EXPECT_TRUE(recorder.of("torch.late").saw(1));
}

TEST(Torch, DestroyedCounterLeavesItsOpenWaitsBe) {
  test::Recorder& recorder = test::Recorder::follow("torch.");
  Counter doomed("torch.destroyed"), other("torch.destroyed");
  const std::intptr_t ctx = doomed.start();
  doomed.destroy();
  other.stop(ctx);
  other.destroy();
  EXPECT_TRUE(recorder.of("torch.destroyed").saw(1));
}
