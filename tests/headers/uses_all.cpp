// SPDX-License-Identifier: MIT
//
// Uses everything of the public headers in the ways that compilers like to warn about.
#include <waitprobe/wait_counter.h>

#ifdef USE_C10
#include <c10/util/WaitCounter.h>
#endif

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace {

class Backend : public waitprobe::detail::WaitCounterBackendIf {
 public:
  std::intptr_t start(std::chrono::steady_clock::time_point) noexcept override { return ++waits_; }
  void stop(std::chrono::steady_clock::time_point, std::intptr_t) noexcept override {}

 private:
  std::intptr_t waits_ = 0;
};

}  // namespace

// Ordinary classes, which have default visibility.
class Factory : public waitprobe::detail::WaitCounterBackendFactoryIf {
 public:
  std::unique_ptr<waitprobe::detail::WaitCounterBackendIf> create(std::string_view key) noexcept override {
    return key.empty() ? nullptr : std::make_unique<Backend>();
  }
};

class __attribute__((visibility("default"))) Pool {
 public:
  explicit Pool(const std::string& name) : handle_("pool." + name) {}
  void acquire() { guard_.emplace(handle_.start()); }
  void release() { guard_.reset(); }

 private:
  waitprobe::WaitCounterHandle handle_;
  std::optional<waitprobe::WaitCounterHandle::WaitGuard> guard_;
};

template <typename T>
class Queue {
 public:
  T pop() {
    STATIC_SCOPED_WAIT_COUNTER(queue.pop);
    STATIC_SCOPED_WAIT_COUNTER(queue.pop.two_in_one_scope);
    return T{};
  }
};

inline int in_inline_function() { return WITH_WAIT_COUNTER(inline.function, 7); }

struct DefaultMember {
  waitprobe::WaitCounterHandle& handle = STATIC_WAIT_COUNTER(default.member);
};

static waitprobe::WaitCounterHandle& at_namespace_scope = STATIC_WAIT_COUNTER(namespace.scope);
static waitprobe_handle c_handle = WAITPROBE_HANDLE("c.handle");

int use_all(int n);
int use_all(int n) {
  waitprobe::detail::registerWaitCounterBackend(std::make_unique<Factory>());
  const auto factories = waitprobe::detail::getRegisteredWaitCounterBackends();
  Pool pool("main");
  pool.acquire();
  pool.release();
  auto guard = at_namespace_scope.start();
  auto moved = std::move(guard);
  moved.stop();
  const auto in_lambda = [](int i) {
    STATIC_SCOPED_WAIT_COUNTER(in.lambda);
    return i;
  };
  for (int i = 0; i < n; i++) STATIC_WAIT_COUNTER(in.loop).start().stop();
  WITH_WAIT_COUNTER(nothing, static_cast<void>(0));
  waitprobe_stop(waitprobe_start(&c_handle));
  WAITPROBE_SCOPED("c.scope");
  WAITPROBE_SCOPED("c.two_in_one_scope");
  WAITPROBE_SCOPED_IDLE("c.idle_scope");
  STATIC_SCOPED_IDLE_COUNTER(idle.scope);
  STATIC_SCOPED_WORK_COUNTER(work.scope);
  STATIC_IDLE_COUNTER(idle.handle).start().stop();
  STATIC_WORK_COUNTER(work.handle).start().stop();
  waitprobe::WaitCounterHandle("idle.made", WAITPROBE_CLASS_IDLE).start().stop();
  std::vector<int> numbers = {1};
  WITH_WAIT_COUNTER(outer, WITH_WAIT_COUNTER(inner, numbers.at(0))) += in_lambda(n);
  WITH_IDLE_COUNTER(idle.outer, WITH_WORK_COUNTER(work.inner, numbers.at(0))) += in_lambda(n);
  DefaultMember member;
  member.handle.start().stop();
  return Queue<int>().pop() + in_inline_function() + numbers[0] + static_cast<int>(factories.size()) +
         WITH_WAIT_COUNTER(commas, std::pair<int, int>(1, 2).second);
}

#ifdef USE_C10
int use_c10();
int use_c10() {
  c10::monitor::WaitCounterHandle handle(std::string("c10"));
  c10::monitor::WaitCounterHandle idle("c10.idle", WAITPROBE_CLASS_IDLE);
  STATIC_SCOPED_IDLE_COUNTER(c10.idle_scope);
  idle.start().stop();
  c10::monitor::WaitCounterHandle::WaitGuard guard = handle.start();
  c10::monitor::detail::registerWaitCounterBackend(nullptr);
  return static_cast<int>(c10::monitor::detail::getRegisteredWaitCounterBackends().size());
}
#endif
