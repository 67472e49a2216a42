// SPDX-License-Identifier: MIT
//
// What a guard costs: idle, with one backend, with a tracer (bench/run.sh attaches one). Beside it, as the yardstick, a guard
// that does what PyTorch's does when nobody listens: read the clock twice.
#include <benchmark/benchmark.h>

#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>

#include <waitprobe/wait_counter.h>

namespace {

namespace detail = waitprobe::detail;
using Moment = std::chrono::steady_clock::time_point;

class TwoClockReads {
 public:
  ~TwoClockReads() { benchmark::DoNotOptimize(std::chrono::steady_clock::now() - start_); }

 private:
  Moment start_ = std::chrono::steady_clock::now();
};

void yardstick(benchmark::State& state) {
  for (auto _ : state) {
    const TwoClockReads guard;
    benchmark::ClobberMemory();
  }
}

void guard(benchmark::State& state) {
  for (auto _ : state) {
    STATIC_SCOPED_WAIT_COUNTER(bench.guard);
    benchmark::ClobberMemory();
  }
}

void empty(benchmark::State& state) {
  for (auto _ : state) benchmark::ClobberMemory();
}

struct Backend : detail::WaitCounterBackendIf {
  std::intptr_t start(Moment) noexcept override { return 0; }
  void stop(Moment, std::intptr_t) noexcept override {}
};

struct Factory : detail::WaitCounterBackendFactoryIf {
  std::unique_ptr<detail::WaitCounterBackendIf> create(std::string_view) noexcept override {
    return std::make_unique<Backend>();
  }
};

}  // namespace

// What is to be measured comes first: "idle", "backend", or "tracer", which says that it is ready on stdout and waits for a
// line.
int main(int argc, char** argv) {
  const std::string_view what = argc > 1 ? argv[1] : "";
  if (what == "backend") {
    detail::registerWaitCounterBackend(std::make_unique<Factory>());
  } else if (what == "tracer") {
    std::printf("pid %d\n", getpid());
    std::fflush(stdout);
    std::getchar();
  } else if (what != "idle") {
    std::fprintf(stderr, "usage: waitprobe-bench idle|backend|tracer [BENCHMARK OPTIONS]\n");
    return 2;
  }
  const bool armed = *waitprobe_armed != 0;
  if (armed != (what != "idle")) {
    std::fprintf(stderr, "waitprobe-bench: cannot measure %s: the guard is %sarmed\n", argv[1], armed ? "" : "not ");
    return 1;
  }
  for (const int threads : {1, 2, 4, 8}) {
    benchmark::RegisterBenchmark("empty", empty)->Threads(threads)->UseRealTime();
    benchmark::RegisterBenchmark("yardstick", yardstick)->Threads(threads)->UseRealTime();
    benchmark::RegisterBenchmark(std::string(what).c_str(), guard)->Threads(threads)->UseRealTime();
  }
  argc--;
  argv++;
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
}
